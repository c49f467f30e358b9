/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The policy "interval", as CPython has had it since 3.2 (Python/ceval_gil.c, by
 * Antoine Pitrou): who waits for an interval during which nobody else got the lock
 * asks the holder to drop it; and a holder that was asked waits until another
 * thread has had it. Each blocking call drops it, and whoever comes back from one
 * is a waiter like any other: the convoy that the other policies are measured
 * against.
 *
 * Order: mutex, then switch_mutex. The wake-up is sent with the mutex held, as
 * there.
 */
#include "gil/gil.h"

#include <time.h>

#include "os/clock.h"

static void reset(struct tl_gil *gil, struct tl__gil_thread *holder)
{
	/* Who has asked it is not there any more, and can't be waited for. */
	if (holder)
		tl__tick_clear(TL__TICK_GIL);
	gil->interval = (struct tl__gil_interval){
		.holder = holder,
		.last = holder,
	};
}

/* With the mutex: it is free. */
static void take(struct tl_gil *gil, struct tl__gil_thread *me)
{
	struct tl__gil_interval *g = &gil->interval;

	gil->wake->mutex_lock(&g->switch_mutex);
	g->holder = me;
	if (g->last != me) {
		g->last = me;
		g->switches++;
	}
	gil->wake->cond_signal(&g->switched);
	gil->wake->mutex_unlock(&g->switch_mutex);
	tl__tick_clear(TL__TICK_GIL);
}

static bool try_acquire(struct tl_gil *gil, struct tl__gil_thread *me)
{
	struct tl__gil_interval *g = &gil->interval;
	bool is_free;

	gil->wake->mutex_lock(&g->mutex);
	is_free = !g->holder;
	if (is_free)
		take(gil, me);
	gil->wake->mutex_unlock(&g->mutex);
	return is_free;
}

static void acquire(struct tl_gil *gil, struct tl__gil_thread *me)
{
	struct tl__gil_interval *g = &gil->interval;
	uint64_t switches;
	int r;

	gil->wake->mutex_lock(&g->mutex);
	g->waiting++;
	while (g->holder) {
		switches = g->switches;
		r = gil->wake->cond_wait(&g->freed, &g->mutex, CLOCK_MONOTONIC,
					 tl__now() + gil->settings.interval_ns);
		if (r && g->holder && g->switches == switches)
			tl__gil_ask(g->holder);
	}
	g->waiting--;
	take(gil, me);
	gil->wake->mutex_unlock(&g->mutex);
}

static void release(struct tl_gil *gil, struct tl__gil_thread *me)
{
	struct tl__gil_interval *g = &gil->interval;
	bool asked;

	gil->wake->mutex_lock(&g->mutex);
	g->holder = NULL;
	asked = tl__tick_bits() & TL__TICK_GIL;
	gil->wake->cond_signal(&g->freed);
	gil->wake->mutex_unlock(&g->mutex);
	if (!asked)
		return;
	gil->wake->mutex_lock(&g->switch_mutex);
	/* Who asked waits still, and will be the next if nobody else is. */
	while (g->last == me)
		(void)gil->wake->cond_wait(&g->switched, &g->switch_mutex,
					   CLOCK_MONOTONIC, TL_FOREVER);
	gil->wake->mutex_unlock(&g->switch_mutex);
}

static bool yield(struct tl_gil *gil, struct tl__gil_thread *me, bool any)
{
	struct tl__gil_interval *g = &gil->interval;
	bool anybody;

	gil->wake->mutex_lock(&g->mutex);
	anybody = g->waiting;
	if (any && anybody)
		tl__gil_ask(me);
	gil->wake->mutex_unlock(&g->mutex);
	if (anybody) {
		tl__gil_yields(me, any);
		release(gil, me);
	}
	return anybody;
}

const struct tl__gil_policy tl__gil_interval = {
	.name = "interval",
	.reset = reset,
	.try = try_acquire,
	.acquire = acquire,
	.release = release,
	.yield = yield,
	.back = acquire,
};
