/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The slow halves of parking: switches that somebody watches or traces, a ring
 * that has gone round or run dry, deadlines, sleeping.
 *
 * Polling: s->round_left counts switches. When it is used up, the ring has gone
 * round and the outside is looked at; where nothing is under way outside, it is
 * set so high that this costs nothing.
 */
#include "core/park.h"

#include <errno.h>
#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#endif

#include "base/list.h"
#include "core/deadlock.h"
#include "core/gil-hooks.h"
#include "core/kill.h"
#include "core/run.h"
#include "core/watchdog.h"
#include "core/threads.h"
#include "core/unwind.h"
#include "os/clock.h"

/* Somebody may come while we don't look: so often all the same. */
#define ROUNDS_WITHOUT_OUTSIDE (1 << 10)

void tl__schedule_callback(struct tl_sched *s, struct tl_task *from,
			   struct tl_task *to, bool linked)
{
	/*
	 * It shall find all as it was before the switch: @from is current, and
	 * what it makes runnable comes before @from in the ring, or last.
	 */
	if (linked)
		s->head = from;
	s->leaving = from;
	s->entering = to;
	s->slow |= TL__SLOW_IN_CALLBACK;
	s->schedule_fn(from, to, s->schedule_arg);
	s->slow &= ~TL__SLOW_IN_CALLBACK;
	s->leaving = s->entering = NULL;
	s->head = to;
}

/* @me, who has waited, goes on. */
static void probe_unpark(const struct tl_task *me)
{
	TL__PROBE2(unpark, me->id, (int64_t)me->result);
}

/* What @me's wait ended with; if that is a kill, it may not return. */
static int wait_over(struct tl_task *me)
{
	if (me->result < 0 && me->wait_ops && me->wait_ops->unwinds)
		tl__unwind_check(me);
	return me->result;
}

int tl__switch_slow(struct tl_sched *s, struct tl_task *from,
		    struct tl_task *to)
{
	/* Not later: a callback may end the wait. */
	bool parked = tl__state(from) == TL__BLOCKED;

	if (s->slow & TL__SLOW_WATCHDOG)
		to = tl__watch_switch(s, from, to, from->wait_ops != NULL);
	if ((s->slow & TL__SLOW_CALLBACK) && from != to)
		tl__schedule_callback(s, from, to, tl__state(from) == TL__RUNNABLE);
	if (from->flags & TL__FPENV) {
		tl__fpenv_save(&from->fpenv);
		tl__fpenv_load(&s->fpenv);
		s->slow &= ~TL__SLOW_FPENV;
	}
	if (from->flags & TL__UNWIND)
		tl__unwind_leave(from);
	if (from != to)
		TL__PROBE2(task_switch, from->id, to->id);
	tl__annotate_leave(&from->annotation, &to->annotation, false);
	(void)tl__switch(from, to);
	tl__annotate_enter(&from->annotation);
	if (from->flags & TL__FPENV) {
		tl__fpenv_save(&s->fpenv);
		tl__fpenv_load(&from->fpenv);
		s->slow |= TL__SLOW_FPENV;
	}
	if (from->flags & TL__UNWIND)
		tl__unwind_enter(from);
	if (parked)
		probe_unpark(from);
	return wait_over(from);
}

const struct tl__wait_ops tl__yield_ops = {
	.verb = "yields",
	.unwinds = true,
};

const struct tl__wait_ops tl__turn_ops = {
	.verb = "lets others run",
};

int tl__raise_unwinding(struct tl_task *me)
{
	return tl__unwind_return(me, tl__raise(me));
}

int tl__block_check_slow(struct tl_sched *s, struct tl_task *me, bool block)
{
	int error = tl__raise_unwinding(me);

	if (error || !block)
		return error;
	if (me->flags & TL__BLOCKTRAP)
		return -EPERM;
	return tl__switch_check(s);
}

int tl__park_slow(struct tl_sched *s, struct tl_task *me)
{
	struct tl_task *next;

	TL__PROBE3(park, me->id, me->wait_ops->verb, me->wait_object);
	/* For the probe alone? Then all goes on as it would without it. */
	if (me->next != me && s->round_left >= 0 && --s->round_left >= 0) {
		tl__ring_remove(s, me);
		return tl__switch_to(s, me, s->head);
	}
	tl__ring_remove(s, me);
	while (unlikely(!(next = tl__next_runnable(s))))
		/* Nobody else: the call is undone, unless somebody ends it. */
		if (me->wait_ops->abandon(me, -EDEADLK)) {
			s->head = me;
			probe_unpark(me);
			return me->result;
		}
	if (next != me)
		return tl__switch_to(s, me, next);
	probe_unpark(me);
	return wait_over(me);
}

int tl__deadline_arm(struct tl_sched *s, struct tl_task *me,
		     uint64_t deadline_ns)
{
	int r;

	if (deadline_ns == TL_FOREVER)
		return 0;
	r = tl__heap_insert(&s->timers, &me->timer, deadline_ns);
	if (!r)
		tl__poll_soon(s);
	return r;
}

void tl__deadline_disarm_slow(struct tl_sched *s, struct tl_task *t)
{
	tl__heap_remove(&s->timers, &t->timer);
}

static void expire_timers(struct tl_sched *s)
{
	uint64_t now = tl__now();
	struct tl__heap_node *node;
	uint64_t deadline;

	while ((node = tl__heap_peek(&s->timers, &deadline)) &&
	       deadline <= now) {
		struct tl_task *t = tl__container_of(node, struct tl_task,
						     timer);

		tl__heap_remove(&s->timers, node);
		t->wait_ops->abandon(
			t, t->wait_ops->until_deadline ? 0 : -ETIMEDOUT);
	}
}

int tl__switch_polled(struct tl_sched *s, struct tl_task *from,
		      struct tl_task *to)
{
	tl__poll(s);
	return tl__switch_to(s, from, to);
}

bool tl__outside_wakers(const struct tl_sched *s)
{
	return s->io_pending || s->timers.len || s->externals || s->pool_waits ||
	       s->inbox.awaited;
}

/* Whether there may be somebody who writes to the inbox. */
static bool other_threads(void)
{
#if __has_include(<sys/single_threaded.h>)
	return !__libc_single_threaded;
#else
	return true;
#endif
}

/* What is worth a closer look: the rest of a poll is for nothing then. */
static inline bool has_news(const struct tl_sched *s)
{
	return s->reactor_ops || s->timers.len ||
	       tl__inbox_has_mail(&s->inbox) ||
	       unlikely(s->stacks.free_bytes > TL__STACK_CACHE_MAX);
}

static __attribute__((noinline)) void look_closer(struct tl_sched *s)
{
	int saved = errno;

	if (unlikely(s->stacks.free_bytes > TL__STACK_CACHE_MAX))
		tl__stack_trim(s, TL__STACK_CACHE_MAX / 2);
	tl__inbox_drain(s);
	if (s->reactor_ops)
		s->reactor_ops->poll(s->reactor, !s->head);
	/* A look at the clock costs some 24 ns: once a round, if there is a timer. */
	if (s->timers.len)
		expire_timers(s);
	errno = saved;
}

void tl__poll(struct tl_sched *s)
{
	int round;

	tl__ask_progress(&s->ask, 2);
	s->polled_idle = !s->head;
	if (has_news(s))
		look_closer(s);
	round = s->runcount ? (int)s->runcount : 1;
	s->round_left = tl__outside_wakers(s) || other_threads() ?
		round : ROUNDS_WITHOUT_OUTSIDE;
}

static uint64_t next_deadline(const struct tl_sched *s)
{
	uint64_t deadline = TL_FOREVER;

	tl__heap_peek(&s->timers, &deadline);
	if (unlikely(s->slow & TL__SLOW_WATCHDOG))
		deadline = tl__watch_deadline(s, deadline);
	return deadline;
}

static void sleep_until_woken(struct tl_sched *s)
{
	uint64_t deadline = next_deadline(s), began;
	int saved = errno;

	tl__gil_sleep_begin();
	if (!tl__inbox_spin(s, deadline) && tl__inbox_doze(s)) {
		began = tl__now();
		tl__inbox_wait(s, deadline);
		tl__inbox_slept(s, began);
	}
	tl__gil_sleep_end();
	errno = saved;
}

/*
 * Sleeps until another thread has something for this one. False: none ever
 * will, for all of them sleep so.
 */
static bool sleep_for_others(struct tl_sched *s)
{
	uint64_t deadline = TL_FOREVER, began;
	int saved = errno;
	bool more = true;

	tl__gil_sleep_begin();
	if (!tl__inbox_spin(s, TL_FOREVER) && tl__inbox_doze(s)) {
		more = tl__threads_doze(s, &deadline);
		if (more) {
			began = tl__now();
			tl__inbox_wait(s, deadline);
			tl__threads_awake(s);
			tl__inbox_slept(s, began);
		} else {
			tl__inbox_rouse(s);
		}
	}
	tl__gil_sleep_end();
	errno = saved;
	return more;
}

/* Nothing is under way. Returns whether to look again, or it is a deadlock. */
static bool wait_for_others(struct tl_sched *s)
{
	/* A flood may have cut the last look short. */
	if (unlikely(tl__inbox_drain(s)))
		return true;
	if (!tl__run_innermost_threadblock(s) && tl__run_wake_innermost(s))
		return true;
	if (unlikely(next_deadline(s) != TL_FOREVER)) {
		sleep_until_woken(s);	/* a run() whose time will be up */
		return true;
	}
	if (!s->deadlock && sleep_for_others(s))
		return true;
	s->deadlock = false;
	tl__deadlock_note(s);
	return tl__run_wake_innermost(s);
}

struct tl_task *tl__next_runnable(struct tl_sched *s)
{
	for (;;) {
		tl__poll(s);
		if (s->head) {
			s->deadlock = false;
			s->recheck_ns = TL__RECHECK_MIN_NS;
			if (unlikely(s->idle_fn))
				s->idle_fn(s, false);
			return s->head;
		}
		if (unlikely(s->idle_fn) && s->idle_fn(s, true))
			continue;
		if (tl__outside_wakers(s))
			sleep_until_woken(s);
		else if (!wait_for_others(s))
			return NULL;
		if (unlikely(s->slow & TL__SLOW_WATCHDOG))
			tl__watch_slept(s);
	}
}
