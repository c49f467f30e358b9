/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The policy "ticks", as Python 2 had it: the lock is a semaphore with one token.
 * Every so many ticks its holder puts the token back and takes one again, whether
 * anybody waits or not; who wins is the semaphore's affair and the scheduler's.
 */
#include "gil/gil.h"

#include <time.h>

static void reset(struct tl_gil *gil, struct tl__gil_thread *holder)
{
	gil->ticks.sem = (struct tl_wake_sem)TL_WAKE_INIT;
	if (!holder)
		(void)gil->wake->sem_post(&gil->ticks.sem);
}

/* Its tick is never silent: it counts. */
static void begin(struct tl_gil *gil, struct tl__gil_thread *me)
{
	me->ticks_left = gil->settings.ticks;
	tl__tick_set(TL__TICK_GIL);
}

static bool try_acquire(struct tl_gil *gil, struct tl__gil_thread *me)
{
	if (gil->wake->sem_try_wait(&gil->ticks.sem))
		return false;
	begin(gil, me);
	return true;
}

static void acquire(struct tl_gil *gil, struct tl__gil_thread *me)
{
	(void)gil->wake->sem_wait(&gil->ticks.sem, CLOCK_MONOTONIC, TL_FOREVER);
	begin(gil, me);
}

static void release(struct tl_gil *gil, struct tl__gil_thread *me)
{
	(void)me;
	(void)gil->wake->sem_post(&gil->ticks.sem);
}

static bool yield(struct tl_gil *gil, struct tl__gil_thread *me, bool any)
{
	if (!any && me->ticks_left > 1) {
		me->ticks_left--;
		return false;
	}
	tl__gil_yields(me, any);
	(void)gil->wake->sem_post(&gil->ticks.sem);
	return true;
}

const struct tl__gil_policy tl__gil_ticks = {
	.name = "ticks",
	.reset = reset,
	.try = try_acquire,
	.acquire = acquire,
	.release = release,
	.yield = yield,
	.back = acquire,
};
