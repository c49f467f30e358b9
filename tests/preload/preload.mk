# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# The programs that the scripts of this folder run with and without the preload
# library. They know nothing of it, and are linked with nothing of ours but what the
# benchmark's client needs.

PRELOAD_CONFORM := $(O)/tests/preload/conform
PRELOAD_CXX := $(O)/tests/preload/cxx
PRELOAD_CLIENT := $(O)/tests/preload/bench/echo-client
PRELOAD_DEAD := $(O)/tests/preload/dead
PRELOAD_GIL_LIKE := $(O)/tests/preload/gil-like
PRELOAD_PROGS := $(PRELOAD_CONFORM) $(PRELOAD_CLIENT) $(PRELOAD_DEAD) \
	$(PRELOAD_GIL_LIKE) \
	$(PRELOAD_CHECKED) \
	$(if $(shell command -v $(CXX)),$(PRELOAD_CXX))

CONFORM_OBJS := $(patsubst %.c,$(O)/%.o,$(sort $(wildcard tests/preload/programs/conform*.c)))
$(PRELOAD_CONFORM): $(CONFORM_OBJS)
	$(call say,LD,$@)$(CC) $(LDFLAGS_ALL) -o $@ $^ -lpthread

$(PRELOAD_DEAD): $(O)/tests/preload/programs/dead.o
	$(call say,LD,$@)$(CC) $(LDFLAGS_ALL) -o $@ $^ -lpthread

# Its functions are found as CPython's are.
$(PRELOAD_GIL_LIKE): $(O)/tests/preload/programs/gil-like.o
	$(call say,LD,$@)$(CC) $(LDFLAGS_ALL) -Wl,--export-dynamic -o $@ $^ -lpthread

$(PRELOAD_CXX): $(O)/tests/preload/programs/cxx.o
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CXX) $(LDFLAGS_ALL) -o $@ $^ -lpthread

$(PRELOAD_CLIENT): $(O)/tests/preload/bench/echo-client.o $(O)/libtasklet.a
	$(call say,LD,$@)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LDLIBS_LIB)

-include $(CONFORM_OBJS:.o=.d) $(O)/tests/preload/programs/cxx.d \
	$(O)/tests/preload/bench/echo-client.d

# A test of the library's own parts.
$(O)/tests/preload/floor: $(O)/lib/preload/gil-floor.o
$(O)/tests/preload/protocol: $(patsubst %,$(O)/lib/preload/%.o,gil gil-floor gil-learn \
	gil-wait slice mutex cond sem next settings)
# They come behind the archive that they need.
$(O)/tests/preload/protocol $(O)/tests/preload/floor: LDLIBS_LIB := $(O)/libtasklet.a $(LDLIBS_LIB)
