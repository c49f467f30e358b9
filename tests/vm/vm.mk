# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# The program of ours that the virtual machine's own tests run there.

VM_PROGS := $(O)/tests/vm/guest

$(VM_PROGS): $(O)/tests/vm/%: $(O)/tests/vm/selftest/programs/%.o $(O)/libtasklet.a
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LDLIBS_LIB)

-include $(VM_PROGS:$(O)/tests/vm/%=$(O)/tests/vm/selftest/programs/%.d)
