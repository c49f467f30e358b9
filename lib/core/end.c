/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * How a tasklet begins and ends.
 *
 * All that an end entails and that can run foreign code (deferred handlers,
 * destructors of errors, the error handler) happens on the tasklet's own stack
 * while it is still current, before its last switch: so none of it can come
 * between another tasklet and the value that is on its way to it. What remains
 * is to put the stack on the free list, one step before it is left for good;
 * nothing runs in between that could take it from there.
 */
#include "core/end.h"

#include <errno.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/probe.h"
#include "core/extra.h"
#include "core/kill.h"
#include "core/park.h"
#include "core/run.h"
#include "core/unwind.h"
#include "core/watchdog.h"
#include "os/log.h"

struct tl__defer {
	struct tl__defer *older;
	void (*fn)(void *arg);
	void *arg;
};

const char *tl__task_label(const struct tl_task *t)
{
	static __thread char label[64];

	if (t->name)
		snprintf(label, sizeof(label), "tasklet %llu (%s)",
			 (unsigned long long)t->id, t->name);
	else
		snprintf(label, sizeof(label), "tasklet %llu",
			 (unsigned long long)t->id);
	return label;
}

int tl_defer(void (*fn)(void *arg), void *arg)
{
	struct tl_sched *s = tl__sched();
	struct tl__defer *defer;
	struct tl_task *me;

	if (!s)
		return tl__sched_error();
	me = tl__me(s);
	if (s->slow & TL__SLOW_IN_CALLBACK)
		return -EPERM;	/* its tasklet may be ending already */
	if (!fn || (me->flags & TL__MAIN))
		return -EINVAL;
	defer = tl__malloc(sizeof(*defer));
	if (!defer)
		return -ENOMEM;
	defer->fn = fn;
	defer->arg = arg;
	defer->older = me->defers;
	me->defers = defer;
	return 0;
}

int tl_undefer(void (*fn)(void *arg), void *arg)
{
	struct tl_sched *s = tl__sched_self;
	struct tl__defer **link, *defer;

	if (!s)
		return -ENOENT;
	for (link = &tl__me(s)->defers; (defer = *link); link = &defer->older)
		if (defer->fn == fn && defer->arg == arg) {
			*link = defer->older;
			tl__free(defer);
			return 0;
		}
	return -ENOENT;
}

static void run_defers(struct tl_task *me)
{
	struct tl__defer *defer;

	while ((defer = me->defers)) {
		me->defers = defer->older;
		defer->fn(defer->arg);
		tl__free(defer);
	}
}

void tl__stack_release(struct tl_sched *s, struct tl_task *t)
{
	struct tl__stack_cache *cache = &s->stacks;

	if (unlikely(t->name)) {
		tl__free(t->name);
		t->name = NULL;
	}
	tl__state_set(t, TL__DEAD);
	t->next = cache->free[t->stack_class];
	cache->free[t->stack_class] = t;
	t->slab->used--;
	cache->nfree++;
	cache->free_bytes += t->slab->slot_size;
	if (unlikely(cache->free_bytes > TL__STACK_CACHE_MAX))
		s->round_left = 0;	/* tl__poll() trims, on another stack */
}

void tl__keeper_ended(struct tl_task *t, int result, bool killed)
{
	tl__extra(t)->keeper.ops->ended(t, result, killed);
	t->flags &= ~TL__KEPT;
	tl__refs_drop(t);
}

void tl__task_buried(struct tl_sched *s, struct tl_task *t)
{
	if (unlikely(t->flags & TL__KEPT))
		tl__keeper_ended(t, -ECANCELED, true);
	s->alive--;
	tl__state_set(t, TL__DEAD);
	t->flags &= TL__LASTING_FLAGS;
	if (!tl__refs(t))
		tl__stack_release(s, t);
}

/* Makes an error of what a function returned. Out of memory: of a static one. */
static struct tl_error *error_of(struct tl_task *me, int code)
{
	struct tl_error *error;

	if ((me->flags & TL__RAISED) && tl_error_code(me->thrown) == code) {
		error = me->thrown;
		me->thrown = NULL;
		me->flags &= ~TL__RAISED;
		return error;
	}
	if (me->caught && tl_error_code(me->caught) == code) {
		error = me->caught;
		me->caught = NULL;
		return error;
	}
	if (tl_error_new(&error, code <= 4095 ? code : EINVAL,
			 "the tasklet's function returned %d", -code) == 0)
		return error;
	tl__log("%s ended with error %d, and there is no memory to report it",
		tl__task_label(me), code);
	return &tl__error_no_memory;
}

/* Returns @error if nobody has dealt with it, else NULL. */
static struct tl_error *report_uncaught(struct tl_sched *s, struct tl_task *me,
					struct tl_error *error)
{
	tl__error_set_origin(error, tl__task_label(me));
	if (!s->error_fn || !s->error_fn(me, error, s->error_arg))
		return error;
	tl_error_free(error);
	return NULL;
}

/* Everything that can run foreign code. */
tl__cold static void end_slowly(struct tl_sched *s, struct tl_task *me,
				int result)
{
	bool killed = result == -ECANCELED && (me->flags & TL__KILLED);
	const struct tl__keeper *keeper =
		me->flags & TL__KEPT ? &tl__extra(me)->keeper : NULL;
	struct tl_error *error = NULL;

	me->flags |= TL__IN_END | TL__SHIELDED;
	run_defers(me);
	if (result < 0 && !killed)
		error = error_of(me, -result);
	tl__caught_drop(me);
	if (error)
		error = report_uncaught(s, me, error);
	if (error && keeper && keeper->ops->take)
		error = keeper->ops->take(me, error);
	/* Handlers and destructors may have left more of both. */
	while (me->defers || me->caught || me->thrown) {
		run_defers(me);
		tl__caught_drop(me);
	}
	if (me->flags & TL__FPENV)
		tl_fpenv_private(false);
	if (me->flags & TL__UNWIND)
		tl__unwind_end(me);
	if (keeper)
		tl__keeper_ended(me, result, killed);
	if (error)
		tl__run_deliver(s, error);
}

/* Returns who is to run, which may be the watchdog instead of @next. */
tl__cold static struct tl_task *
leave_watched(struct tl_sched *s, struct tl_task *me, struct tl_task *next)
{
	if (s->slow & TL__SLOW_WATCHDOG)
		next = tl__watch_switch(s, me, next, true);
	if (s->slow & TL__SLOW_CALLBACK)
		tl__schedule_callback(s, me, next, false);
	return next;
}

/* Leaves the ring and the world. */
static void end(struct tl_sched *s, struct tl_task *me, int result)
	__attribute__((noreturn));

static void end(struct tl_sched *s, struct tl_task *me, int result)
{
	struct tl_task *next;

	TL__PROBE2(task_end, me->id, (int64_t)result);
	if (unlikely(--s->round_left < 0))
		tl__poll(s);
	next = s->head != me ? s->head : me->next;
	if (unlikely(next == me)) {
		/* The dying stack serves to wait on; it is not free yet. */
		tl__ring_remove(s, me);
		tl__state_set(me, TL__DEAD);
		tl_task_ref(me);	/* the last handle may come back now */
		s->alive--;
		while (!(next = tl__next_runnable(s)))
			/* Only the main tasklet is left, and it is blocked. */
			if (s->main->wait_ops->abandon(s->main, -EDEADLK)) {
				next = s->head;
				break;
			}
		s->alive++;
		tl__refs_drop(me);
		tl__state_set(me, TL__RUNNABLE);
	} else {
		tl__ring_remove(s, me);
		s->head = next;
	}
	/* Still in the state of one that runs: so nobody can take its stack. */
	if (unlikely(s->slow & (TL__SLOW_WATCHDOG | TL__SLOW_CALLBACK)))
		next = leave_watched(s, me, next);
	if (unlikely(me->caught || me->thrown))
		tl__caught_drop(me);	/* the callback's doing */
	TL__PROBE2(task_switch, me->id, next->id);
	tl__task_buried(s, me);
	tl__annotate_leave(&me->annotation, &next->annotation, true);
	tl__switch_final(next);
}

static void task_end(struct tl_sched *s, struct tl_task *me, int result)
	__attribute__((noreturn));

static inline void task_end(struct tl_sched *s, struct tl_task *me, int result)
{
	if (unlikely(result < 0 || me->defers || me->caught || me->thrown ||
		     (me->flags & (TL__FPENV | TL__STALE | TL__EXTRA_FLAGS))))
		end_slowly(s, me, result);
	end(s, me, result);
}

void tl__task_end(struct tl_task *me, int result)
{
	task_end(me->sched, me, result);
}

void tl__task_main(struct tl_task *me)
{
	tl__annotate_enter(&me->annotation);
	me->flags |= TL__STARTED;
	if (unlikely(me->flags & TL__UNWIND))
		tl__unwind_start(me);
	/* Thrown at before it began: as if its first call had failed. */
	if (unlikely(me->flags & TL__RAISED))
		task_end(me->sched, me, -tl_error_code(me->thrown));
	task_end(me->sched, me, me->fn(me->arg));
}

static struct tl_task *ending(const char *call)
{
	struct tl_sched *s = tl__sched_self;
	struct tl_task *me = s ? s->head : NULL;

	if (!me || (me->flags & TL__MAIN))
		tl__fatal("%s() on the main tasklet", call);
	if (s->slow & TL__SLOW_IN_CALLBACK)
		tl__fatal("%s() in a callback", call);
	if (me->flags & TL__IN_END)
		tl__fatal("%s() in a deferred handler or a destructor of %s, "
			  "which ends", call, tl__task_label(me));
	return me;
}

void tl_exit(int result)
{
	struct tl_task *me = ending("tl_exit");

	if (me->flags & TL__UNWIND)
		tl__unwind(me, result, NULL);
	task_end(me->sched, me, result);
}

void tl_exit_error(struct tl_error *error)
{
	struct tl_task *me = ending("tl_exit_error");
	int code;

	if (!error)
		tl_exit(0);
	code = tl_error_code(error);
	if (me->flags & TL__UNWIND)
		tl__unwind(me, -code, error);
	tl__caught_set(me, error);	/* a destructor may do anything */
	task_end(me->sched, me, -code);
}
