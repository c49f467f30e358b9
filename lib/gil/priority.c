/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The policy "priority", as in PythonPlus (Kristjan Valur Jonsson): a thread that
 * comes back from blocking is an IO thread; every so many ticks the holder yields,
 * always if an IO thread waits, else one time in `yields`. While an IO thread waits
 * no other thread gets the lock, however long that goes on.
 */
#include "gil/gil.h"

#include <time.h>

static void reset(struct tl_gil *gil, struct tl__gil_thread *holder)
{
	gil->priority = (struct tl__gil_priority){
		.holder = holder,
		.switches = 1,	/* 0: no thread has given it away at that */
	};
}

/* With the mutex, as all below: it is free. */
static void take(struct tl_gil *gil, struct tl__gil_thread *me)
{
	gil->priority.holder = me;
	gil->priority.switches++;
	me->ticks_left = gil->settings.ticks;
	me->gave = 0;
	tl__tick_set(TL__TICK_GIL);	/* never silent: it counts */
}

/* One that has yielded waits until somebody else has had it. */
static bool may_take(const struct tl_gil *gil, const struct tl__gil_thread *me)
{
	const struct tl__gil_priority *g = &gil->priority;

	if (g->holder)
		return false;
	return tl__gil_class(me) == TL_GIL_IO ||
	       (!g->io_waiting && g->switches != me->gave);
}

static void give(struct tl_gil *gil)
{
	struct tl__gil_priority *g = &gil->priority;

	g->holder = NULL;
	if (g->io_waiting)
		gil->wake->cond_signal(&g->io);
	else if (g->cpu_waiting)
		gil->wake->cond_signal(&g->cpu);
}

static bool try_acquire(struct tl_gil *gil, struct tl__gil_thread *me)
{
	bool mine;

	gil->wake->mutex_lock(&gil->priority.mutex);
	mine = may_take(gil, me);
	if (mine)
		take(gil, me);
	gil->wake->mutex_unlock(&gil->priority.mutex);
	return mine;
}

static void acquire(struct tl_gil *gil, struct tl__gil_thread *me)
{
	struct tl__gil_priority *g = &gil->priority;
	bool io = tl__gil_class(me) == TL_GIL_IO;
	unsigned int *waiting = io ? &g->io_waiting : &g->cpu_waiting;

	gil->wake->mutex_lock(&g->mutex);
	++*waiting;
	while (!may_take(gil, me))
		(void)gil->wake->cond_wait(io ? &g->io : &g->cpu, &g->mutex,
					   CLOCK_MONOTONIC, TL_FOREVER);
	--*waiting;
	take(gil, me);
	gil->wake->mutex_unlock(&g->mutex);
}

static void release(struct tl_gil *gil, struct tl__gil_thread *me)
{
	(void)me;
	gil->wake->mutex_lock(&gil->priority.mutex);
	give(gil);
	gil->wake->mutex_unlock(&gil->priority.mutex);
}

static bool yield(struct tl_gil *gil, struct tl__gil_thread *me, bool any)
{
	struct tl__gil_priority *g = &gil->priority;
	bool gives;

	if (!any && me->ticks_left > 1) {
		me->ticks_left--;
		return false;
	}
	me->ticks_left = gil->settings.ticks;
	gil->wake->mutex_lock(&g->mutex);
	gives = g->io_waiting;
	if (!gives && (any || ++me->yields >= gil->settings.yields)) {
		me->yields = 0;
		gives = g->cpu_waiting;
	}
	if (gives) {
		tl__gil_yields(me, any);
		me->gave = g->switches;
		give(gil);
	}
	gil->wake->mutex_unlock(&g->mutex);
	return gives;
}

const struct tl__gil_policy tl__gil_priority = {
	.name = "priority",
	.reset = reset,
	.try = try_acquire,
	.acquire = acquire,
	.release = release,
	.yield = yield,
	.back = acquire,
};
