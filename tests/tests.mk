# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# The part of the top Makefile that is about tests: every tests/TARGET/*.c is a
# test program, every tests/TARGET/*.sh a test script; bench/ has benchmarks.

TARGETS ?= $(filter-out harness bench peers model fuzz vm,$(patsubst tests/%/,%,$(sort $(dir $(wildcard tests/*/*)))))
RUN_TESTS := $(O)/tests/harness/run-tests
RUNNER_FLAGS ?=

test_c = $(wildcard tests/$(1)/*.c)
TEST_SRCS := $(foreach t,$(TARGETS),$(call test_c,$(t)))
TEST_PROGS := $(TEST_SRCS:%.c=$(O)/%)
TEST_SCRIPTS := $(foreach t,$(TARGETS),$(wildcard tests/$(t)/*.sh))
BENCH_PROGS := $(patsubst %.c,$(O)/%,$(wildcard tests/bench/bench-*.c))

$(O)/tests/%.o: CPPFLAGS += -Itests/harness

$(RUN_TESTS): $(O)/tests/harness/run-tests.o
	$(call say,LD,$@)$(CC) $(LDFLAGS_ALL) -o $@ $<

$(TEST_PROGS): %: %.o $(O)/libtasklet.a
	$(call say,LD,$@)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LDLIBS_LIB) -lm

.PHONY: test-programs run-tests check
test-programs: $(RUN_TESTS) $(TEST_PROGS)

run-tests: test-programs
	$(Q)O=$(abspath $(O)) TL_RUNNER=$(RUN_TESTS) \
		$(RUN_TESTS) $(RUNNER_FLAGS) $(TEST_PROGS) $(TEST_SCRIPTS)

check: packages-check
	$(Q)$(MAKE) --no-print-directory lib tools
	$(Q)$(MAKE) --no-print-directory run-tests

-include $(TEST_PROGS:%=%.d) $(RUN_TESTS).d
