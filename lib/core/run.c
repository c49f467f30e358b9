/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * tl_run(): the caller steps aside until the ring is empty or an error comes
 * out of a tasklet.
 *
 * The runs under way form a stack, s->runs. The tasklet of each is paused and
 * carries TL__IN_RUN, unless somebody made it runnable; it then takes its run,
 * and those inside it, off the stack when it is back.
 */
#include "core/run.h"

#include <errno.h>

#include "core/kill.h"
#include "core/park.h"

void tl__unpause(struct tl_sched *s, struct tl_task *t)
{
	s->paused--;
	tl__ring_append(s, t);
}

/* What the end of the ring means for whoever runs it. */
static int verdict(const struct tl_sched *s)
{
	return s->alive > s->runcount + (uint64_t)s->paused ? TL_RUN_DEADLOCK :
							     TL_RUN_FINISHED;
}

bool tl__run_wake_innermost(struct tl_sched *s)
{
	struct tl__run *run = s->runs;

	if (run) {
		run->verdict = verdict(s);
		s->runs = run->outer;
		if (run->task->state == TL__PAUSED)
			tl__unpause(s, run->task);
		return true;
	}
	if (s->main->state != TL__PAUSED)
		return false;
	tl__unpause(s, s->main);
	return true;
}

void tl__run_deliver(struct tl_sched *s, struct tl_error *error)
{
	struct tl__run *run = s->runs;
	struct tl_task *t = run ? run->task : s->main;
	int code = -tl_error_code(error);

	tl__caught_push(t, error);
	if (run) {
		run->verdict = code;
		s->runs = run->outer;
	} else if (t->state != TL__BLOCKED ||
		   !t->wait_ops->abandon(t, code)) {
		/* The call that it is in reports it, or the next one. */
		t->flags |= TL__DELIVERED;
		tl__yield_raise(t);
	}
	if (t->state == TL__PAUSED)
		tl__unpause(s, t);
	if (t->state == TL__RUNNABLE)
		s->head = t;
}

/* Takes @run off the stack, and those inside it, whose tasklets go on. */
static void run_leave(struct tl_sched *s, struct tl__run *run)
{
	struct tl__run *inner, *other;

	for (other = s->runs; other && other != run; other = other->outer)
		;
	if (!other)
		return;		/* whoever woke us has taken it off */
	while ((inner = s->runs) != run) {
		s->runs = inner->outer;
		if (inner->task->state == TL__PAUSED)
			tl__unpause(s, inner->task);
	}
	s->runs = run->outer;
}

int tl_run(void)
{
	struct tl_sched *s = tl__sched();
	struct tl__run run = { .verdict = TL_RUN_FINISHED };
	struct tl_task *me, *next;
	int r;

	if (!s)
		return tl__sched_error();
	me = s->head;
	r = tl__block_check(s, me, true);
	if (r)
		return r;

	run.task = me;
	run.outer = s->runs;
	s->runs = &run;
	me->flags |= TL__IN_RUN;
	tl__ring_remove(s, me);
	me->state = TL__PAUSED;
	s->paused++;
	next = tl__next_runnable(s);	/* never NULL: we can be woken */
	if (next != me)
		tl__settled_to(s, me, next);
	me->flags &= ~TL__IN_RUN;
	run_leave(s, &run);

	if (run.verdict < 0) {
		me->flags &= ~TL__DELIVERED;
		return run.verdict;
	}
	r = tl__raise_check(me);
	return r ? r : run.verdict;
}
