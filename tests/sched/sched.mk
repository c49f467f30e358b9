# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# The programs that the scheduler's tests and its benchmark look at.

SCHED_PROGS := $(patsubst tests/sched/programs/%.c,$(O)/tests/sched/%,$(wildcard tests/sched/programs/*.c))

$(SCHED_PROGS): $(O)/tests/sched/%: $(O)/tests/sched/programs/%.o $(O)/libtasklet.a
	$(call say,LD,$@)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LDLIBS_LIB)

-include $(SCHED_PROGS:$(O)/tests/sched/%=$(O)/tests/sched/programs/%.d)
