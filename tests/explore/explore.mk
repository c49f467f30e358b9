# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# The explorer of interleavings: the whole library once more, with its atomic
# operations as points of choice (explore.h) and with the address sanitizer, and
# the scenarios. Their mutants are made by explore.sh, with the same flags. The
# kernel's part is left out: a scheduler there sleeps on its futex word.

EXPLORE := $(O)/explore/explore
# What is below them are the scenarios' own mutex and condition.
EXPLORE_PRELOAD := $(patsubst %,lib/preload/%.c,gil gil-floor gil-learn gil-wait slice)
EXPLORE_SRCS := $(filter-out lib/os/uring% lib/io/uring%,$(filter %.c,$(LIB_SRCS))) \
	$(EXPLORE_PRELOAD) $(wildcard tests/explore/*.c)
EXPLORE_OBJS := $(EXPLORE_SRCS:%.c=$(O)/explore/%.o)
EXPLORE_FLAGS = -D_GNU_SOURCE -Iinclude -Ilib -Itests/explore -DTL_NO_URING \
	-DTL__LOCK_SPINS=1 -DTL__WORD_SPINS=0 -std=gnu11 $(EXPLORE_WARNINGS) -O1 -g \
	-fsanitize=address
# The library's own build warns about its sources.
EXPLORE_WARNINGS = $(if $(filter lib/%,$<),-w -Werror=implicit-function-declaration,$(WARNINGS) -Wno-shadow)
# The explorer's own operations are no points, nor are counters that nobody waits for.
EXPLORE_YIELD = $(if $(filter tests/explore/explore.c lib/base/% lib/os/tids.c,$<),,-include tests/explore/yield.h)

$(EXPLORE_OBJS): $(O)/explore/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(EXPLORE_FLAGS) $(EXPLORE_YIELD) -MMD -MP -c -o $@ $<

$(EXPLORE): $(EXPLORE_OBJS) $(patsubst %.S,$(O)/%.o,$(filter %.S,$(LIB_SRCS)))
	$(call say,LD,$@)$(CC) -fsanitize=address -o $@ $^ -lpthread

# BOUND=N: up to N preemptions in all of them. With 3, those of three threads that the
# tests explore up to 2 take minutes each.
BOUND ?=

.PHONY: explore
explore: $(EXPLORE)
	$(Q)$(EXPLORE) $(if $(BOUND),-b $(BOUND))

-include $(EXPLORE_OBJS:.o=.d)
