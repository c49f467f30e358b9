/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * tl_run(): the caller steps aside until the ring is empty, an error comes out of
 * a tasklet, or the budget is used up (watchdog.c).
 *
 * The runs under way form a stack, s->runs. The tasklet of each is paused and
 * carries TL__IN_RUN, unless somebody made it runnable; it then takes its run,
 * and those inside it, off the stack when it is back.
 */
#include "core/run.h"

#include <errno.h>

#include <tasklet/watchdog.h>

#include "core/kill.h"
#include "core/park.h"
#include "core/watchdog.h"

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

/* Takes the innermost run off the stack, and its budget out of force. */
static void run_pop(struct tl_sched *s)
{
	tl__watch_end(s, s->runs);
	s->runs = s->runs->outer;
}

bool tl__run_wake_innermost(struct tl_sched *s)
{
	struct tl__run *run = s->runs;

	if (run) {
		run->verdict = verdict(s);
		run_pop(s);
		if (tl__state(run->task) == TL__PAUSED)
			tl__unpause(s, run->task);
		return true;
	}
	if (tl__state(s->main) != TL__PAUSED)
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
		run_pop(s);
	} else if (tl__state(t) != TL__BLOCKED ||
		   !t->wait_ops->abandon(t, code)) {
		/* The call that it is in reports it, or the next one. */
		t->flags |= TL__DELIVERED;
		tl__yield_raise(t);
	}
	if (tl__state(t) == TL__PAUSED)
		tl__unpause(s, t);
	if (tl__state(t) == TL__RUNNABLE)
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
		run_pop(s);
		if (tl__state(inner->task) == TL__PAUSED)
			tl__unpause(s, inner->task);
	}
	run_pop(s);
}

/* What the caller of tl_run_with() asks for. */
static int options_read(const struct tl_run_options *options,
			struct tl_task **interrupted, struct tl__run *run)
{
	const uint64_t known = TL_RUN_SOFT | TL_RUN_TOTAL |
			       TL_RUN_IGNORE_NESTING | TL_RUN_THREADBLOCK;
	const char *byte, *end;

	if (!options)
		return 0;
	if (options->size < sizeof(*options) || options->size > 4096 ||
	    (options->flags & ~known))
		return -EINVAL;
	byte = (const char *)(options + 1);
	end = (const char *)options + options->size;
	while (byte < end)
		if (*byte++)
			return -E2BIG;
	run->ticks = options->ticks;
	run->ns = options->ns;
	run->flags = (uint32_t)options->flags;
	/* Whom would we give the victim to? */
	if ((run->ticks | run->ns) && !interrupted &&
	    !(run->flags & TL_RUN_SOFT))
		return -EINVAL;
	return 0;
}

/*
 * What was thrown at @me counts, and then its victim is nobody's, and goes on: we
 * may not come back to it from here.
 */
static void victim_let_go(struct tl_task *me, struct tl__run *run)
{
	struct tl_task *victim = run->victim;

	if ((me->flags & (TL__RAISED | TL__SHIELDED)) != TL__RAISED &&
	    !(me->flags & TL__DELIVERED))
		return;
	run->victim = NULL;
	if (tl__state(victim) == TL__PAUSED)
		tl__unpause(me->sched, victim);
	tl_task_unref(victim);
}

static int run_result(struct tl_task *me, struct tl__run *run)
{
	int r;

	if (run->verdict < 0) {
		me->flags &= ~TL__DELIVERED;
		return run->verdict;
	}
	if (run->victim)
		victim_let_go(me, run);
	r = tl__raise_check(me);
	return r ? r : run->verdict;
}

static int run_others(struct tl_sched *s, struct tl_task *me,
		      struct tl__run *run)
{
	struct tl_task *next;

	run->verdict = TL_RUN_FINISHED;
	run->victim = NULL;
	run->task = me;
	run->outer = s->runs;
	s->runs = run;
	me->flags |= TL__IN_RUN;
	tl__ring_remove(s, me);
	tl__state_set(me, TL__PAUSED);
	s->paused++;
	next = tl__next_runnable(s);	/* never NULL: we can be woken */
	if (next != me)
		tl__turned_to(s, me, next);
	me->flags &= ~TL__IN_RUN;
	run_leave(s, run);
	return run_result(me, run);
}

int tl_run(void)
{
	struct tl_sched *s = tl__sched();
	struct tl__run run;
	struct tl_task *me;
	int r;

	if (!s)
		return tl__sched_error();
	me = s->head;
	r = tl__block_check(s, me, true);
	if (r)
		return r;
	run.flags = 0;
	run.ticks = run.ns = 0;
	return run_others(s, me, &run);
}

int tl_run_with(const struct tl_run_options *options,
		struct tl_task **interrupted)
{
	struct tl_sched *s = tl__sched();
	struct tl__run run = { .verdict = -EINVAL };
	struct tl_task *me;
	int r;

	if (!s)
		return tl__sched_error();
	r = options_read(options, interrupted, &run);
	if (r)
		return r;
	me = s->head;
	r = tl__block_check(s, me, true);
	if (!r)
		r = tl__watch_begin(s, &run);
	if (r)
		return r;
	r = run_others(s, me, &run);
	if (interrupted)
		*interrupted = run.victim;
	return r;
}

bool tl__run_innermost_threadblock(const struct tl_sched *s)
{
	return s->runs && (s->runs->flags & TL_RUN_THREADBLOCK);
}
