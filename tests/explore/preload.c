/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Scenarios of what the preload library does with CPython's GIL: one has it at a time, and all who wait get it, whatever
 * timer goes off at that moment. CPython's part is played as in tests/preload.
 */
#include "explore.h"

#include "../preload/cpython-gil.h"

/* Nobody finds this too long: the clock goes on only when a timer is chosen. */
#define INTERVAL_NS 5000000

static int entries;

/* What the GIL's calls stand on. Nobody waits on the conditions themselves. */
int tl__base_mutex_lock(pthread_mutex_t *m)
{
	explore_mutex_lock(m, __FILE__, __LINE__);
	return 0;
}

int tl__base_mutex_unlock(pthread_mutex_t *m)
{
	explore_mutex_unlock(m);
	return 0;
}

int tl__base_cond_signal(pthread_cond_t *c)
{
	(void)c;
	return 0;
}

int tl__base_cond_wait(pthread_cond_t *c, pthread_mutex_t *m, clockid_t clock, const struct timespec *until)
{
	(void)c, (void)m, (void)clock, (void)until;
	explore_fail("a wait that is not the GIL's");
}

static void setup(void)
{
	tl__gil_forget_all();
	gil_init(INTERVAL_NS);
	tl__gil_of_mutex(&gil.mutex)->switched = &gil.switch_cond;
	entries = 0;
}

static void begin(int me)
{
	(void)me;
	memset(&tl__gil_me, 0, sizeof(tl__gil_me));
}

/* The first has it from the beginning, and computes. */
static void begin_holds(int me)
{
	begin(me);
	if (me)
		return;
	gil_become_cpu_thread();
	gil_take(1);
}

static void critical(void)
{
	explore_assert(gil.inside == 1);
	explore_here();
	explore_assert(gil.inside == 1);
	entries++;
}

static void visit(int me)
{
	gil_take(me + 1);
	critical();
	gil_drop(me + 1);
}

static void body_comes(int me)
{
	visit(me);
}

static void check(int wanted)
{
	explore_assert(entries == wanted && !gil.inside && !gil.locked && !gil.collisions);
	/* No queue holds one that is gone. */
	explore_assert(!tl__list_first(&tl__gil_of_mutex(&gil.mutex)->io));
	explore_assert(!tl__list_first(&tl__gil_of_mutex(&gil.mutex)->cpu));
	explore_assert(!tl__gil_of_mutex(&gil.mutex)->cpu_waiters);
}

static void check_two(void)
{
	check(2);
}

static void check_three(void)
{
	check(3);
}

/* One computes until it is asked to drop it, and comes back. */
static void body_asks(int me)
{
	if (me) {
		visit(me);
		return;
	}
	while (!gil.drop_request)
		sched_yield();
	gil_drop(1);
	visit(0);
}

#define SCENARIO(n, count) .name = "preload_" #n, .threads = count, .setup = setup

const struct explore_scenario explore_preload[] = {
	{ SCENARIO(comes, 2), .begin = begin, .body = body_comes, .check = check_two,
	  .what = "two threads: one at a time, and both get in" },
	{ SCENARIO(asks, 2), .begin = begin_holds, .body = body_asks, .check = check_two,
	  .what = "an IO thread asks one that computes: the same" },
	{ SCENARIO(asks3, 3), .begin = begin_holds, .body = body_asks, .check = check_three, .bound = 1,
	  .what = "two IO threads ask one that computes: the same" },
	{ 0 }
};
