# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# The part of the top Makefile that is about tests: every tests/TARGET/*.c is a
# test program, every tests/TARGET/*.sh a test script; bench/ has benchmarks. TARGETS are
# all, but for those in WITHOUT.

TARGETS ?= $(filter-out harness bench peers fuzz $(WITHOUT),$(patsubst tests/%/,%,$(sort $(dir $(wildcard tests/*/*)))))
RUN_TESTS := $(O)/tests/harness/run-tests
# The one that is called: the host's, where the tests are for another machine.
RUNNER ?= $(RUN_TESTS)
RUNNER_FLAGS ?=

# The explorer's sources make one program, of another build: explore.mk.
test_c = $(filter-out tests/explore/%,$(wildcard tests/$(1)/*.c))
TEST_SRCS := $(foreach t,$(TARGETS),$(call test_c,$(t)))
TEST_PROGS := $(TEST_SRCS:%.c=$(O)/%)
# C++ ones too, where there is a compiler for it.
ifneq ($(shell command -v $(CXX)),)
TEST_CXX := $(foreach t,$(TARGETS),$(wildcard tests/$(t)/*.cc))
TEST_CXX_PROGS := $(TEST_CXX:%.cc=$(O)/%)
endif
TEST_SCRIPTS := $(foreach t,$(TARGETS),$(wildcard tests/$(t)/*.sh))

$(O)/tests/%.o: CPPFLAGS += -Itests/harness

$(RUN_TESTS): $(O)/tests/harness/run-tests.o
	$(call say,LD,$@)$(CC) $(LDFLAGS_ALL) -o $@ $<

$(TEST_PROGS): %: %.o $(O)/libtasklet.a
	$(call say,LD,$@)$(CC) $(LDFLAGS_ALL) -o $@ $(filter %.o,$^) \
		$(filter %.a,$^) $(LDLIBS_LIB) -lm

$(O)/tests/core/forced.o: CFLAGS_ALL += -fexceptions
$(O)/tests/tools/%.o: CPPFLAGS += -Itools
$(O)/tests/tools/wakelat-parts: $(patsubst %.c,$(O)/%.o,$(sort $(wildcard tools/wakelat/*.c) \
	tools/plot/gnuplot.c tools/output/output.c tools/text/time.c))

$(O)/tests/%.o: tests/%.cc
	@mkdir -p $(@D)
	$(call say,CXX,$<)$(CXX) $(CPPFLAGS_ALL) -std=gnu++17 -Wall -Wextra \
		-Werror -MMD -MP $(SAN_FLAGS) $(CFLAGS) -c -o $@ $<

$(TEST_CXX_PROGS): %: %.o $(O)/libtasklet.a
	$(call say,LD,$@)$(CXX) $(LDFLAGS_ALL) -o $@ $^ $(LDLIBS_LIB)

.PHONY: test-programs run-tests
test-programs: $(filter $(RUNNER),$(RUN_TESTS)) $(TEST_PROGS) $(TEST_CXX_PROGS)

include tests/explore/explore.mk
include tests/preload/preload.mk
include tests/trace/trace.mk
include tests/sched/sched.mk
include tests/vm/vm.mk
include tests/kmod/kmod.mk

run-tests: test-programs $(if $(TEST_SCRIPTS),lib tools) \
		$(if $(filter tests/preload/%,$(TEST_SCRIPTS)),$(PRELOAD_PROGS)) \
		$(if $(filter tests/trace/%,$(TEST_SCRIPTS)),$(TRACE_PROGS)) \
		$(if $(filter tests/sched/%,$(TEST_SCRIPTS)),$(SCHED_PROGS)) \
		$(if $(filter tests/vm/%,$(TEST_SCRIPTS)),$(VM_PROGS)) \
		$(if $(filter tests/kmod/%,$(TEST_SCRIPTS)),$(KMOD_PROGS)) \
		$(if $(filter tests/threads/% tests/gil/%,$(TEST_SCRIPTS)),$(FAKE_DEVICE)) \
		$(if $(filter tests/explore/%,$(TEST_SCRIPTS)),$(EXPLORE))
	$(Q)O=$(abspath $(O)) TL_RUNNER=$(abspath $(RUNNER)) CC="$(CC)" \
		$(RUNNER) $(RUNNER_FLAGS) $(TEST_PROGS) $(TEST_CXX_PROGS) $(TEST_SCRIPTS)

# The whole suite: as it is, with the other IO backend, under the checkers, and
# for the other processor. VARIANTS="plain" is the quick one.
VARIANTS ?= plain vm epoll checked asan tsan valgrind aarch64

.PHONY: check check-checked check-asan check-ubsan check-tsan check-valgrind check-aarch64
check: packages-check
	$(Q)$(MAKE) --no-print-directory lib tools
	$(Q)MAKE="$(MAKE)" tests/harness/check-all $(O) $(VARIANTS)

# The checkers look at the C programs of these; scripts run in `plain`.
CHECKED_TARGETS := base core chan gil io preload sync threads wake
CHECKER = $(MAKE) --no-print-directory run-tests TEST_SCRIPTS= O=$(O)/$(1)

check-asan: packages-lib
	+$(Q)ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 \
	UBSAN_OPTIONS=print_stacktrace=1 \
	$(call CHECKER,asan) TARGETS="$(CHECKED_TARGETS)" SAN=address,undefined RUNNER_FLAGS="-j 2 -T 6"

check-ubsan: packages-lib
	+$(Q)$(call CHECKER,ubsan) TARGETS="$(CHECKED_TARGETS)" SAN=undefined RUNNER_FLAGS="-T 2"

check-tsan: packages-lib
	+$(Q)TSAN_OPTIONS=halt_on_error=1 \
	$(call CHECKER,tsan) TARGETS="$(CHECKED_TARGETS)" SAN=thread RUNNER_FLAGS="-j 2 -T 8"

# The library that looks for pthread locks held too long: it must find none.
check-checked: packages-lib
	+$(Q)$(call CHECKER,checked) TARGETS="core chan gil sync wake" CHECKED=yes RUNNER_FLAGS="-j 2 -T 2"

# valgrind runs one thread at a time; without fair-sched, one that computes can keep
# the others from it for seconds, again and again.
check-valgrind: packages-lib
	$(Q)$(MAKE) --no-print-directory run-tests TEST_SCRIPTS= TARGETS="core chan" \
		RUNNER_FLAGS='-j 2 -T 15 -w "valgrind -q --error-exitcode=99 --fair-sched=try"'

# No liburing for the other processor is at hand, and the emulator has no
# io_uring: the epoll backend is what runs there.
check-aarch64:
	$(Q)$(MAKE) --no-print-directory $(O)/tests/harness/run-tests
	+$(Q)$(call CHECKER,aarch64) TARGETS="$(CHECKED_TARGETS)" URING=no \
		CROSS_COMPILE=aarch64-linux-gnu- LDFLAGS=-static \
		RUNNER=$(abspath $(RUN_TESTS)) RUNNER_FLAGS="-j 2 -T 8 -w qemu-aarch64"

# The tests in a virtual machine, with all of its kernels.
.PHONY: check-vm
check-vm: packages-check
	$(Q)$(MAKE) --no-print-directory test-programs TARGETS="threads gil"
	$(Q)TL_VM_KERNELS=all $(MAKE) --no-print-directory run-tests TARGETS="vm kmod sched" RUNNER_FLAGS="-T 4"

# Ten minutes of storms, as they are and under the thread sanitizer.
SOAK_SECONDS ?= 600

.PHONY: soak
soak: packages-lib
	$(Q)$(MAKE) --no-print-directory test-programs TEST_SCRIPTS=
	$(Q)$(MAKE) --no-print-directory test-programs TEST_SCRIPTS= O=$(O)/tsan SAN=thread
	$(Q)tests/harness/soak $(O) $$(($(SOAK_SECONDS) / 2))
	$(Q)TSAN_OPTIONS=halt_on_error=1 tests/harness/soak $(O)/tsan $$(($(SOAK_SECONDS) / 2))

# --- benchmarks -------------------------------------------------------------
#
#   BENCH="NAME ..."   only these (all if empty)   BENCH_JSON=FILE   JSON lines
#   BENCH_ROUNDS=N     measure N times

BENCH ?=
BENCH_JSON ?=
BENCH_ROUNDS ?=
BENCH_PROG := $(O)/tests/bench/bench
BENCH_OBJS := $(patsubst %,$(O)/%.o,$(basename $(wildcard tests/bench/*.c) \
	tests/bench/floor-switch.S))

# The plain loops have the test server's handler.
BENCH_HTTP := $(patsubst %.c,$(O)/%.o,$(sort $(wildcard tools/http/*.c)) \
	tools/giltest/lock.c tools/giltest/work.c)
$(O)/tests/bench/%.o: CPPFLAGS += -Itools
$(BENCH_OBJS): | packages-bench

$(BENCH_PROG): $(BENCH_OBJS) $(BENCH_HTTP) $(O)/libtasklet.a
	$(call say,LD,$@)$(CC) $(LDFLAGS_ALL) -o $@ $^ -lhttp_parser -luring -lpthread

.PHONY: bench
bench: packages-bench
	$(Q)$(MAKE) --no-print-directory lib tools $(BENCH_PROG)
	$(Q)TL_BUILD=$(abspath $(O)) $(BENCH_PROG) $(if $(BENCH_JSON),-j $(BENCH_JSON)) \
		$(if $(BENCH_ROUNDS),-r $(BENCH_ROUNDS)) $(BENCH)

-include $(TEST_PROGS:%=%.d) $(TEST_CXX_PROGS:%=%.d) $(RUN_TESTS).d $(BENCH_OBJS:.o=.d)
