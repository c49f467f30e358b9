# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# The programs that test the kernel module's device, in the virtual machine; and what
# they look at the histogram with.

KMOD_PROGS := $(patsubst tests/kmod/programs/%.c,$(O)/tests/kmod/%,$(wildcard tests/kmod/programs/*.c))

$(KMOD_PROGS): $(O)/tests/kmod/%: $(O)/tests/kmod/programs/%.o $(O)/libtasklet.a
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LDLIBS_LIB)

# Threads and locks of the library's by a device that is none: in user space.
FAKE_DEVICE := $(O)/tests/harness/fake-device.so
$(FAKE_DEVICE): tests/harness/fake-device.c tests/harness/fake-device.h
	@mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(CPPFLAGS_ALL) -Itests/harness $(CFLAGS_ALL) -fvisibility=default -shared -o $@ $< -lpthread

-include $(KMOD_PROGS:$(O)/tests/kmod/%=$(O)/tests/kmod/programs/%.d)
