/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The slow halves of parking: switches that somebody watches, a ring that has
 * gone round or run dry, deadlines, sleeping.
 *
 * Polling: s->round_left counts switches. When it is used up, the ring has gone
 * round and the outside is looked at; where nothing is under way outside, it is
 * set so high that this costs nothing.
 */
#include "core/park.h"

#include <errno.h>

#include "base/list.h"
#include "core/kill.h"
#include "core/run.h"
#include "os/clock.h"

#define ROUNDS_WITHOUT_OUTSIDE (1 << 20)

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

int tl__switch_slow(struct tl_sched *s, struct tl_task *from,
		    struct tl_task *to)
{
	if ((s->slow & TL__SLOW_CALLBACK) && from != to)
		tl__schedule_callback(s, from, to, from->state == TL__RUNNABLE);
	if (from->flags & TL__FPENV) {
		tl__fpenv_save(&from->fpenv);
		tl__fpenv_load(&s->fpenv);
		s->slow &= ~TL__SLOW_FPENV;
	}
	tl__annotate_leave(&from->annotation, &to->annotation, false);
	(void)tl__switch(from, to);
	tl__annotate_enter(&from->annotation);
	if (from->flags & TL__FPENV) {
		tl__fpenv_save(&s->fpenv);
		tl__fpenv_load(&from->fpenv);
		s->slow |= TL__SLOW_FPENV;
	}
	return from->result;
}

const struct tl__wait_ops tl__yield_ops = {
	.verb = "yields",
};

int tl__block_check_slow(struct tl_sched *s, struct tl_task *me, bool block)
{
	int error = tl__raise(me);

	if (error || !block)
		return error;
	if (me->flags & TL__BLOCKTRAP)
		return -EPERM;
	return tl__switch_check(s);
}

int tl__park_slow(struct tl_sched *s, struct tl_task *me)
{
	struct tl_task *next;

	tl__ring_remove(s, me);
	next = tl__next_runnable(s);
	if (unlikely(!next)) {
		/* Nobody else: the call is undone, and we go on. */
		me->wait_ops->abandon(me, -EDEADLK);
		s->head = me;
		return me->result;
	}
	return next != me ? tl__switch_to(s, me, next) : me->result;
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

static bool outside_wakers(struct tl_sched *s)
{
	return s->io_pending || s->timers.len;
}

void tl__poll(struct tl_sched *s)
{
	int saved = errno;
	int round;

	if (unlikely(s->stacks.free_bytes > TL__STACK_CACHE_MAX))
		tl__stack_trim(s, TL__STACK_CACHE_MAX / 2);
	tl__inbox_drain(s);
	if (s->reactor_ops)
		s->reactor_ops->poll(s->reactor, !s->head);
	/* A look at the clock costs some 24 ns: once a round, if there is a timer. */
	if (s->timers.len)
		expire_timers(s);
	round = s->runcount ? (int)s->runcount : 1;
	s->round_left = outside_wakers(s) ? round : ROUNDS_WITHOUT_OUTSIDE;
	errno = saved;
}

static void sleep_until_woken(struct tl_sched *s)
{
	uint64_t deadline = TL_FOREVER;
	int saved = errno;

	tl__heap_peek(&s->timers, &deadline);
	tl__inbox_sleep(s, deadline);
	errno = saved;
}

struct tl_task *tl__next_runnable(struct tl_sched *s)
{
	for (;;) {
		tl__poll(s);
		if (s->head)
			return s->head;
		if (outside_wakers(s))
			sleep_until_woken(s);
		else if (!tl__run_wake_innermost(s))
			return NULL;
	}
}
