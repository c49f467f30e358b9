/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The budget of a run(), and how a tasklet is interrupted.
 *
 * At most one budget is in force on a thread, that of the outermost run() that
 * has one: s->watch.run, which is NULL otherwise. While there is one,
 * TL__SLOW_WATCHDOG makes every switch come by here; without one nothing costs
 * anything.
 *
 * A time slice ends when the ticks are counted down, or when a tick finds that
 * watch.end_ns is past. Nobody reads the clock for that: the monitor sets
 * TL__TICK_TIMEOUT when the alarm goes off. A switch starts a new slice but
 * leaves the alarm; when it goes off too early for that, it is armed again.
 */
#ifndef TL_CORE_WATCHDOG_H
#define TL_CORE_WATCHDOG_H

#include "core/task.h"

/*
 * Puts @run's budget in force, if it has one and is the first. Returns 0 or
 * -EAGAIN, -ENOMEM (no monitor).
 */
int tl__watch_begin(struct tl_sched *s, struct tl__run *run);

/* @run leaves the stack of runs. */
void tl__watch_end_slow(struct tl_sched *s);

static inline void tl__watch_end(struct tl_sched *s, const struct tl__run *run)
{
	if (unlikely(s->watch.run == run))
		tl__watch_end_slow(s);
}

/*
 * With TL__SLOW_WATCHDOG, just before each switch: @from is left for @to, the
 * head. @now: the watchdog may come between; returns who is to run.
 */
struct tl_task *tl__watch_switch(struct tl_sched *s, struct tl_task *from,
				 struct tl_task *to, bool now);

/* A tick of @me with something in the word. Returns as a yield does. */
int tl__watch_tick(struct tl_sched *s, struct tl_task *me);

/*
 * Something that held an interrupt of @me off may be gone: if one waits and
 * nothing else holds it off, it is due at the next tick.
 */
void tl__watch_recheck_slow(struct tl_sched *s, struct tl_task *me);

static inline void tl__watch_recheck(struct tl_sched *s, struct tl_task *me)
{
	if (unlikely(me->flags & TL__INTERRUPTED))
		tl__watch_recheck_slow(s, me);
}

/* With TL__SLOW_WATCHDOG: nothing runs; how long the thread may sleep. */
uint64_t tl__watch_deadline(const struct tl_sched *s, uint64_t deadline_ns);

/* And it has slept; perhaps the watchdog is in the ring now. */
void tl__watch_slept(struct tl_sched *s);

#endif
