/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Throwing errors into tasklets, and catching them.
 *
 * An error that was thrown (a kill is one) stays in `thrown` and fails each
 * blocking call, as an exception passes through each frame, until tl_catch().
 * An error that came as a call's result (sent through a channel, or uncaught by
 * somebody else) is reported once and kept in `caught` for tl_catch().
 */
#include "core/kill.h"

#include <errno.h>

#include "core/end.h"
#include "core/extra.h"
#include "core/park.h"
#include "core/probes.h"
#include "core/remote.h"
#include "core/run.h"
#include "core/unwind.h"

static void free_stale(struct tl_task *me);

int tl__raise(struct tl_task *me)
{
	if (unlikely(me->flags & TL__STALE) && me == me->sched->head)
		free_stale(me);
	if ((me->flags & (TL__RAISED | TL__SHIELDED)) == TL__RAISED)
		return -tl_error_code(me->thrown);
	if (me->flags & TL__DELIVERED) {
		me->flags &= ~TL__DELIVERED;
		return -tl_error_code(me->caught);
	}
	return 0;
}

/* Runs destructors of users. */
static void free_stale(struct tl_task *me)
{
	struct tl_error *error = me->stale;

	me->flags &= ~TL__STALE;
	me->stale = NULL;
	tl__error_free_all(error);
}

/* A static one is in no list: several tasklets may have it. */
static void stale_push(struct tl_task *t, struct tl_error *error)
{
	if (!error || tl__error_is_static(error))
		return;
	tl__error_link(error, t->stale);
	t->stale = error;
	t->flags |= TL__STALE;
}

void tl__caught_push(struct tl_task *t, struct tl_error *error)
{
	stale_push(t, t->caught);
	t->caught = error;
}

void tl__caught_set(struct tl_task *me, struct tl_error *error)
{
	tl__caught_push(me, error);
	free_stale(me);
}

void tl__caught_drop(struct tl_task *me)
{
	stale_push(me, me->thrown);
	stale_push(me, me->caught);
	me->flags &= ~(TL__RAISED | TL__DELIVERED);
	me->thrown = me->caught = NULL;
	free_stale(me);
}

static void tell_keeper(struct tl_task *me)
{
	const struct tl__keeper_ops *ops = tl__extra(me)->keeper.ops;

	if (ops->swallowed)
		ops->swallowed(me);
}

struct tl_error *tl_catch(void)
{
	struct tl_sched *s = tl__sched_self;
	struct tl_error *error;
	struct tl_task *me;

	if (!s)
		return NULL;
	me = tl__me(s);
	if ((me->flags & (TL__RAISED | TL__SHIELDED)) == TL__RAISED) {
		me->flags &= ~TL__RAISED;
		error = me->thrown;
		me->thrown = NULL;
		if (error == &tl__error_killed && (me->flags & TL__KEPT))
			tell_keeper(me);
		return error;
	}
	if (me->flags & TL__STALE)
		free_stale(me);
	me->flags &= ~TL__DELIVERED;
	error = me->caught;
	me->caught = NULL;
	return error;
}

bool tl_shield(bool on)
{
	struct tl_sched *s = tl__sched();
	struct tl_task *me;
	bool was;

	if (!s)
		return false;
	me = tl__me(s);
	was = me->flags & TL__SHIELDED;
	/* Whoever ends has it to the end, also where a clean-up restores it. */
	if (on || (me->flags & TL__IN_END))
		me->flags |= TL__SHIELDED;
	else
		me->flags &= ~TL__SHIELDED;
	return was;
}

/*
 * Puts @error where it fails @t's calls. A kill is never replaced by less.
 * Returns the error that has to give way: the caller frees it, last of all, for
 * its destructor may do anything.
 */
static struct tl_error *raise_in(struct tl_task *t, struct tl_error *error)
{
	struct tl_error *old = t->thrown;

	if ((t->flags & TL__RAISED) && old == &tl__error_killed)
		return error;
	t->thrown = error;
	t->flags |= TL__RAISED;
	if (error == &tl__error_killed)
		t->flags |= TL__KILLED;
	return old;
}

/* What was put into @t ends its wait or its pause. */
static void throw_onwards(struct tl_sched *s, struct tl_task *t)
{
	/* A shield protects a pause as well as a wait. */
	if (t->flags & TL__SHIELDED)
		return;
	if (tl__state(t) == TL__BLOCKED)
		t->wait_ops->abandon(t, -tl_error_code(t->thrown));
	else if (tl__state(t) == TL__PAUSED)
		tl__unpause(s, t);
	tl__yield_raise(t);
}

void tl__throw_at(struct tl_sched *s, struct tl_task *t, struct tl_error *error)
{
	struct tl_error *dropped = raise_in(t, error);

	throw_onwards(s, t);
	tl_error_free(dropped);
}

static bool is_unstarted(const struct tl_task *t)
{
	return !(t->flags & (TL__STARTED | TL__MAIN));
}

/*
 * A kill of one whose function has not begun: it ends without running. Returns
 * the errors that it had, for the caller to free last of all.
 */
static struct tl_error *end_unstarted(struct tl_sched *s, struct tl_task *t)
{
	struct tl_error *errors;

	stale_push(t, t->thrown);
	errors = t->stale;
	if (tl__state(t) == TL__RUNNABLE)
		tl__ring_remove(s, t);
	else
		s->paused--;
	t->thrown = t->stale = NULL;
	tl__probe_unrun(t);
	tl__task_buried(s, t);
	return errors;
}

void tl__kill_quietly(struct tl_sched *s, struct tl_task *t)
{
	struct tl_error *error, *older;

	if (!is_unstarted(t)) {
		tl__throw_arrived(s, t, &tl__error_killed);
		return;
	}
	for (error = end_unstarted(s, t); error; error = older) {
		older = tl__error_unlink(error);
		stale_push(s->main, error);
	}
}

void tl__throw_arrived(struct tl_sched *s, struct tl_task *t,
		       struct tl_error *error)
{
	if (!tl__is_alive(t)) {
		stale_push(s->main, error);
		return;
	}
	stale_push(t, raise_in(t, error));
	throw_onwards(s, t);
}

/* Another thread's: it does the rest. A dead one has nothing to lose. */
static int throw_elsewhere(struct tl_task *t, struct tl_error *error)
{
	int r = tl__is_alive(t) ? 0 : -ESRCH;

	if (error == &tl__error_killed)
		r = r ? r : tl__mail(t, TL__MAIL_KILL, NULL);
	else
		r = r ? r : tl__mail(t, TL__MAIL_THROW, error);
	return error == &tl__error_killed && r == -ESRCH ? 0 : r;
}

static int throw_into(struct tl_task *t, struct tl_error *error, bool later)
{
	struct tl_sched *s = tl__sched();
	struct tl_task *me;
	int r;

	if (!s)
		return tl__sched_error();
	if (!tl__is_ours(t))
		return throw_elsewhere(t, error);
	me = tl__me(s);
	if (t == me && tl__state(me) == TL__RUNNABLE) {
		tl_error_free(raise_in(me, error));
		/* Whoever throws must know from the result whose it is now. */
		if (error != &tl__error_killed || (me->flags & TL__SHIELDED))
			return 0;
		return tl__unwind_return(me, -ECANCELED);
	}
	if (!tl__is_alive(t))
		return error == &tl__error_killed ? 0 : -ESRCH;
	if (!later) {
		r = tl__switch_check(s);
		if (r)
			return r;
	}
	if (error == &tl__error_killed && is_unstarted(t)) {
		if (t == s->entering)
			return -EPERM;	/* the switch to it is under way */
		tl__error_free_all(end_unstarted(s, t));
		return 0;
	}
	tl__throw_at(s, t, error);
	/* One that the kernel still holds, or that is shielded, goes on later. */
	if (later || tl__state(t) != TL__RUNNABLE)
		return 0;
	s->head = t;
	return tl__turned_to(s, me, t);
}

int tl_task_kill(struct tl_task *task)
{
	return throw_into(task, &tl__error_killed, false);
}

int tl_task_kill_later(struct tl_task *task)
{
	return throw_into(task, &tl__error_killed, true);
}

static int throw_error(struct tl_task *task, struct tl_error *error, bool later)
{
	if (!error)
		return -EINVAL;
	if (tl__sched_self)
		tl__error_set_origin(error,
				     tl__task_label(tl__me(tl__sched_self)));
	return throw_into(task, error, later);
}

int tl_task_throw(struct tl_task *task, struct tl_error *error)
{
	return throw_error(task, error, false);
}

int tl_task_throw_later(struct tl_task *task, struct tl_error *error)
{
	return throw_error(task, error, true);
}
