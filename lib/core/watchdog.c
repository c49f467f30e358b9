/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Budgets and interrupts; see watchdog.h. The rules are those of Stackless
 * Python's run(): who is interrupted, when that is held off, and who runs next.
 */
#include "core/watchdog.h"

#include <tasklet/time.h>

#include "core/park.h"
#include "core/run.h"
#include "core/tick.h"
#include "os/clock.h"

/* On the monitor's thread, or on ours in the child of a fork. */
static uint64_t go_off(struct tl__alarm *alarm)
{
	struct tl_sched *s = tl__container_of(alarm, struct tl_sched,
					      watch.alarm);

	/* relaxed: it says all there is to say */
	__atomic_fetch_or(s->tick_word, TL__TICK_TIMEOUT, __ATOMIC_RELAXED);
	return TL_FOREVER;
}

static bool is_soft(const struct tl__run *run)
{
	return run->flags & TL_RUN_SOFT;
}

/* A new slice begins. The alarm may be too early for it: see time_is_up(). */
static void slice_begin(struct tl__watch *watch)
{
	watch->ticks_left = watch->run->ticks;
	if (watch->run->ns)
		watch->end_ns = tl_after(watch->run->ns);
	tl__tick_clear(TL__TICK_INTERRUPT);
}

/*
 * Arms the alarm for this slice, unless it is armed. If it can't be, the word
 * stays as if it had gone off: then each tick looks at the clock and tries again.
 */
static void alarm_ensure(struct tl__watch *watch)
{
	if (!watch->run->ns || watch->alarmed)
		return;
	tl__tick_clear(TL__TICK_TIMEOUT);
	watch->alarmed = true;
	if (tl__monitor_arm(&watch->alarm, watch->end_ns)) {
		watch->alarmed = false;
		tl__tick_set(TL__TICK_TIMEOUT);
	}
}

/* The alarm has gone off. Did it mean this slice? */
static bool time_is_up(struct tl__watch *watch)
{
	watch->alarmed = false;
	if (tl__now() >= watch->end_ns)
		return true;
	alarm_ensure(watch);
	return false;
}

int tl__watch_begin(struct tl_sched *s, struct tl__run *run)
{
	struct tl__watch *watch = &s->watch;
	int r = 0;

	if (watch->run || !(run->ticks | run->ns))
		return 0;
	watch->run = run;
	slice_begin(watch);
	if (run->ns) {
		watch->alarm.go_off = go_off;
		watch->alarm.thread = tl__monitor_here();
		watch->alarmed = true;
		r = tl__monitor_arm(&watch->alarm, watch->end_ns);
	}
	if (r) {
		watch->run = NULL;
		return r;
	}
	if (run->ticks)
		tl__tick_set(TL__TICK_COUNT);
	s->slow |= TL__SLOW_WATCHDOG;
	return 0;
}

void tl__watch_end_slow(struct tl_sched *s)
{
	struct tl__watch *watch = &s->watch;

	if (watch->run->ns)
		tl__monitor_disarm(&watch->alarm);
	watch->run->task->flags &= ~TL__INTERRUPTED;
	watch->alarmed = false;
	watch->run = NULL;
	s->slow &= ~TL__SLOW_WATCHDOG;
	tl__tick_clear(TL__TICK_COUNT | TL__TICK_TIMEOUT | TL__TICK_INTERRUPT);
}

static bool nesting_holds_off(const struct tl__run *run,
			      const struct tl_task *t)
{
	return t->flags >> TL__NESTING_SHIFT &&
	       !(t->flags & TL__IGNORE_NESTING) &&
	       !(run->flags & TL_RUN_IGNORE_NESTING);
}

/* Whether an interrupt of @me must wait. */
static bool held_off(const struct tl_sched *s, const struct tl_task *me)
{
	const struct tl__run *run = s->watch.run;

	return is_soft(run) || (me->flags & TL__ATOMIC) ||
	       (s->slow & (TL__SLOW_IN_CALLBACK | TL__SLOW_TRAP)) ||
	       nesting_holds_off(run, me);
}

void tl__watch_recheck_slow(struct tl_sched *s, struct tl_task *me)
{
	if (s->watch.run && !held_off(s, me))
		tl__tick_set(TL__TICK_INTERRUPT);
}

/* The watchdog comes back: links it as the head, before who was to run. */
static void wake_watchdog(struct tl_sched *s, int verdict)
{
	struct tl__run *run = s->watch.run;
	struct tl_task *watchdog = run->task;

	if (tl__state(watchdog) == TL__PAUSED)
		s->paused--;
	else	/* somebody has inserted it; it loses nothing */
		tl__ring_remove(s, watchdog);
	tl__ring_push_front(s, watchdog);
	run->verdict = verdict;
}

/* Takes @me out of the ring, the watchdog into its place. */
static int interrupt(struct tl_sched *s, struct tl_task *me)
{
	struct tl__run *run = s->watch.run;

	me->flags &= ~TL__INTERRUPTED;
	run->victim = tl_task_ref(me);
	wake_watchdog(s, TL_RUN_INTERRUPTED);
	tl__ring_remove(s, me);
	tl__state_set(me, TL__PAUSED);
	s->paused++;
	return tl__yield_to(s, me, run->task);
}

int tl__watch_tick(struct tl_sched *s, struct tl_task *me)
{
	struct tl__watch *watch = &s->watch;
	unsigned int bits = tl__tick_bits();
	bool over = bits & TL__TICK_INTERRUPT;

	if (watch->run->ticks && !--watch->ticks_left)
		over = true;
	if ((bits & TL__TICK_TIMEOUT) && time_is_up(watch))
		over = true;
	if (likely(!over))
		return 0;
	if (!held_off(s, me))
		return interrupt(s, me);
	me->flags |= TL__INTERRUPTED;
	slice_begin(watch);
	alarm_ensure(watch);
	return 0;
}

/*
 * Whether the time was up when somebody let others run. For the whole run's
 * budget the alarm's word is enough; else the clock is about to be read anyway.
 */
static bool time_was_up(struct tl__watch *watch)
{
	if (!watch->run->ns)
		return false;
	if (!(watch->run->flags & TL_RUN_TOTAL))
		return tl__now() >= watch->end_ns;
	return (tl__tick_bits() & TL__TICK_TIMEOUT) && time_is_up(watch);
}

static struct tl_task *soft_interrupt(struct tl_sched *s, struct tl_task *from,
				      struct tl_task *to, bool now)
{
	struct tl__watch *watch = &s->watch;
	struct tl_task *watchdog = watch->run->task;

	if (time_was_up(watch)) {
		from->flags |= TL__INTERRUPTED;
		slice_begin(watch);
		alarm_ensure(watch);
	}
	if (!(from->flags & TL__INTERRUPTED))
		return to;
	from->flags &= ~TL__INTERRUPTED;
	if (from == watchdog || to == watchdog)
		return to;
	if (!now || nesting_holds_off(watch->run, from)) {
		to->flags |= TL__INTERRUPTED;
		return to;
	}
	wake_watchdog(s, TL_RUN_SOFT_INTERRUPTED);
	return watchdog;
}

struct tl_task *tl__watch_switch(struct tl_sched *s, struct tl_task *from,
				 struct tl_task *to, bool now)
{
	const struct tl__run *run = s->watch.run;

	if (is_soft(run))
		to = soft_interrupt(s, from, to, now);
	if (!(run->flags & TL_RUN_TOTAL))
		slice_begin(&s->watch);
	return to;
}

uint64_t tl__watch_deadline(const struct tl_sched *s, uint64_t deadline_ns)
{
	const struct tl__run *run = s->watch.run;

	if (run->ns && (run->flags & TL_RUN_TOTAL) &&
	    s->watch.end_ns < deadline_ns)
		return s->watch.end_ns;
	return deadline_ns;
}

void tl__watch_slept(struct tl_sched *s)
{
	const struct tl__run *run = s->watch.run;

	if (!(run->flags & TL_RUN_TOTAL))
		slice_begin(&s->watch);
	else if (run->ns && tl__state(run->task) == TL__PAUSED &&
		 tl__now() >= s->watch.end_ns)
		wake_watchdog(s, TL_RUN_SOFT_INTERRUPTED);
}
