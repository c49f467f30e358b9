/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The global interpreter lock, policy "handoff": what it costs where nobody else wants
 * it, for a call that does not block and for a tick, against what these can't do
 * without; and a hand-over to another thread and back, against bare futexes.
 */
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <tasklet/tasklet.h>

#include "bench.h"

#define CALLS 20000000
#define TICKS 200000000
#define RTT_LOOPS 20000

static struct tl_gil *gil;

static bool begin(void)
{
	return !tl_gil_new(&gil, "handoff:futex", NULL);
}

static bool begin_attached(void)
{
	return begin() && !tl_gil_attach(gil);
}

static double end(double value)
{
	tl_gil_detach();
	if (tl_gil_free(gil))
		abort();
	return value;
}

/* Two exchanges that succeed. */
static double floor_keep(void)
{
	static _Atomic unsigned long word;
	double start = bench_now_ns();
	unsigned long was;
	long i;

	for (i = 0; i < CALLS; i++) {
		was = 0;
		/* release, acquire: as who lets go, and who takes it back */
		if (!atomic_compare_exchange_strong_explicit(
			    &word, &was, 1, memory_order_release,
			    memory_order_relaxed))
			abort();
		was = 1;
		if (!atomic_compare_exchange_strong_explicit(
			    &word, &was, 0, memory_order_acquire,
			    memory_order_relaxed))
			abort();
	}
	return (bench_now_ns() - start) / CALLS;
}

static double run_keep(void)
{
	double start;
	long i;

	if (!begin_attached())
		return bench_skip("no memory");
	start = bench_now_ns();
	for (i = 0; i < CALLS; i++) {
		tl_gil_block_begin();
		tl_gil_block_end();
	}
	return end((bench_now_ns() - start) / CALLS);
}

static double run_tick(void)
{
	double start;
	long i;

	if (!begin_attached())
		return bench_skip("no memory");
	start = bench_now_ns();
	for (i = 0; i < TICKS; i++)
		if (tl_tick())
			abort();
	return end((bench_now_ns() - start) / TICKS);
}

/* --- a round trip ----------------------------------------------------------- */

static int handoffs;		/* the holder's */

static void take_turns(long mine)
{
	(void)mine;
	if (tl_gil_attach(gil))
		abort();
	while (handoffs < 2 * RTT_LOOPS) {
		if (tl_gil_yield())
			handoffs++;
		else
			sched_yield();	/* the other one is not there yet */
	}
	tl_gil_detach();
}

static double run_handoff(int cpus)
{
	if (!begin())
		return bench_skip("no memory");
	handoffs = 0;
	return end(bench_both(take_turns, cpus, RTT_LOOPS));
}

static double floor_x1(void) { return bench_rtt_bare(1); }
static double floor_x2(void) { return bench_rtt_bare(2); }
static double run_x1(void) { return run_handoff(1); }
static double run_x2(void) { return run_handoff(2); }

const struct bench bench_gil[] = {
	{ "gil_keep", "ns", "two atomic exchanges",
	  "a call that does not block, and nobody waits", floor_keep, run_keep, 0,
	  0, 0 },
	{ "gil_tick", "ns", "a load and a branch",
	  "one tl_tick() of a thread that is not asked", bench_floor_tick, run_tick,
	  0, 0, 0 },
	{ "gil_handoff_x1", "ns", "two threads that wake each other by futexes",
	  "to another thread and back by yields, on one processor", floor_x1, run_x1,
	  0, 0, 0 },
	{ "gil_handoff_x2", "ns", "two threads that wake each other by futexes",
	  "the same on two processors", floor_x2, run_x2, 0, 0, 0 },
	{ 0 },
};
