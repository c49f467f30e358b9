/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The explorer itself: scenarios so small that their interleavings can be counted by hand. So many preemptions are
 * allowed here that every interleaving is among them.
 */
#include "explore.h"

static _Atomic int words[3];

/* Two threads of three operations: 6! / (3! 3!). */
static void three_steps(int me)
{
	int i;

	for (i = 0; i < 3; i++)
		atomic_store_explicit(&words[me], i, memory_order_relaxed);
}

/* Three threads of two: 6! / (2! 2! 2!). */
static void two_steps(int me)
{
	atomic_store_explicit(&words[me], 1, memory_order_relaxed);
	atomic_store_explicit(&words[me], 2, memory_order_relaxed);
}

/* A loop that waits: ends only if it lets the other one go on. */
static void reset(void)
{
	words[0] = words[1] = words[2] = 0;
}

static void spins(int me)
{
	if (me) {
		explore_here();
		atomic_store_explicit(&words[0], 1, memory_order_relaxed);
		return;
	}
	while (!atomic_load_explicit(&words[0], memory_order_relaxed))
		tl__pause();
}

/* A futex wait that only a deadline ends, before or after the other one's step. */
static uint32_t timed_out;

static void times_out(int me)
{
	if (!me) {
		tl__futex_wait((_Atomic uint32_t *)&words[0], 0, tl__now() + 5);
		timed_out++;
		return;
	}
	atomic_store_explicit(&words[0], 1, memory_order_relaxed);
	tl__futex_wake((_Atomic uint32_t *)&words[0], 1);
}

const struct explore_scenario explore_self[] = {
	{ .name = "self_two", .what = "20 ways to mix three steps with three", .threads = 2, .bound = 6,
	  .body = three_steps, .wanted = 20 },
	{ .name = "self_three", .what = "90 ways to mix two, two and two", .threads = 3, .bound = 6,
	  .body = two_steps, .wanted = 90 },
	{ .name = "self_spins", .what = "a loop that waits hands over", .threads = 2, .bound = 3,
	  .setup = reset, .body = spins },
	{ .name = "self_times_out", .what = "a deadline may come before a wake-up or after it", .threads = 2,
	  .bound = 3, .setup = reset, .body = times_out, .wanted = 5 },
	{ 0 }
};
