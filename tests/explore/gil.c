/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Scenarios of lib/gil's policy "handoff": one has the lock at a time, and all who wait get it, whether it is handed on at a
 * tick, given away or kept by a call that may never come back, and whatever timer goes off at that moment.
 */
#include "explore.h"

#include <tasklet/tasklet.h>

#include "core/tick.h"
#include "gil/gil.h"

#define THREADS 3

static struct tl_gil *gil;
static int inside, entries, ready;

static void setup(void)
{
	explore_assert(!tl_gil_new(&gil, "handoff:futex", NULL));
	/* The clock does not go on while anybody runs: nothing that lasts until then. */
	gil->settings.least_ns = 0;
	gil->settings.starve_ns = TL_FOREVER / 2;
	inside = entries = ready = 0;
}

static void critical(void)
{
	explore_assert(tl_gil_is_held());
	explore_assert(!inside);
	inside = 1;
	explore_here();
	inside = 0;
	entries++;
}

static void finish(int me)
{
	(void)me;
	tl_gil_detach();
}

static void check_free(int wanted)
{
	explore_assert(entries == wanted);
	explore_assert(!tl_gil_free(gil));
}

/* --- all come, block and leave ------------------------------------------------------------------------------------------ */

static void body_comes(int me)
{
	(void)me;
	explore_assert(!tl_gil_attach(gil));
	critical();
	explore_assert(!tl_gil_detach());
}

static void check_comes(void)
{
	check_free(3);
}

static void body_blocks(int me)
{
	(void)me;
	explore_assert(!tl_gil_attach(gil));
	critical();
	tl_gil_block_begin();
	tl_gil_block_end();
	critical();
	explore_assert(!tl_gil_detach());
}

static void check_blocks(void)
{
	check_free(4);
}

/* --- who is away is not waited for --------------------------------------------------------------------------------------- */

/* The first has it from the beginning, and makes a call that never comes back. */
static void begin_holds(int me)
{
	if (!me)
		explore_assert(!tl_gil_attach(gil));
}

static void body_away(int me)
{
	if (me) {
		body_comes(me);
		return;
	}
	critical();
	tl_gil_block_begin();
}

/* --- yields -------------------------------------------------------------------------------------------------------------- */

/* The first lets others in, until all have been. */
static void body_yields(int me)
{
	if (me) {
		body_comes(me);
		return;
	}
	critical();
	while (entries < 3) {
		if (tl_gil_yield())
			explore_assert(!inside && tl_gil_is_held());
		else
			sched_yield();
	}
}

/* One comes back from a call, and is let in at a tick: nothing but that asks the holder. */
static void body_ticks(int me)
{
	explore_assert(!tl_gil_attach(gil));
	critical();
	if (me) {
		tl_gil_block_begin();
		explore_here();
		tl_gil_block_end();
		critical();
		ready = 1;
	} else {
		while (!ready) {
			tl_tick();
			sched_yield();
		}
	}
	explore_assert(!tl_gil_detach());
}

static void check_ticks(void)
{
	check_free(3);
}

#define SCENARIO(n, count) .name = "gil_" #n, .threads = count, .setup = setup, .finish = finish, .body = body_##n

const struct explore_scenario explore_gil[] = {
	{ SCENARIO(comes, 3), .check = check_comes, .bound = 2, .what = "three threads: one at a time, and all get in" },
	{ SCENARIO(blocks, 2), .check = check_blocks, .what = "two threads that block: the same" },
	{ SCENARIO(away, 3), .begin = begin_holds, .check = check_comes, .bound = 1,
	  .what = "a call that never comes back does not keep it" },
	{ SCENARIO(yields, 3), .begin = begin_holds, .check = check_comes, .bound = 1, .what = "all are let in by yields" },
	{ SCENARIO(ticks, 2), .check = check_ticks, .bound = 1, .what = "one that has blocked is let in at a tick" },
	{ 0 }
};
