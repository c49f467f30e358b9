/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Messages between threads' schedulers; see remote.h.
 *
 * Mail: whoever wants something of another thread's tasklet notes it in t->mail
 * under t->mail_lock, and pushes t->mail_message to the thread's inbox unless it
 * is there already. Nothing is lost by that: the thread takes all that is noted,
 * under the same lock, when it gets the message.
 *
 * The lock is also what keeps a scheduler that is to get mail: it ends only after
 * it has taken the lock of each tasklet that somebody may have a handle of, and
 * has left NULL in t->sched; and then looks at its inbox for a last time.
 */
#include "core/remote.h"

#include <errno.h>

#include "base/list.h"
#include "core/end.h"
#include "core/run.h"
#include "core/tick.h"

bool tl__wake_awaited(struct tl_task *t)
{
	if (!(t->flags & TL__AWAITED)) {
		t->flags |= TL__AWAITED;
		t->sched->inbox.awaited++;
	}
	return false;
}

void tl__wake_delivered(struct tl_sched *s, struct tl__message *message)
{
	struct tl_task *t = tl__container_of(message, struct tl_task,
					     wake_message);

	if (t->flags & TL__AWAITED) {
		t->flags &= ~TL__AWAITED;
		s->inbox.awaited--;
	}
	tl__wake(s, t, t->remote_result);
}

/* --- mail ------------------------------------------------------------------- */

/* Next to run: the first if the thread is idle, else behind the current one. */
static void run_next(struct tl_sched *s, struct tl_task *t)
{
	if (t == s->head)
		return;		/* it is, or it will be in a moment */
	if (tl__state(t) == TL__RUNNABLE)
		tl__ring_remove(s, t);
	else if (tl__state(t) == TL__PAUSED)
		s->paused--;
	else
		return;
	if (s->polled_idle)
		tl__ring_push_front(s, t);
	else
		tl__ring_insert_after(s, s->head, t);
}

/*
 * The last handle came back. As in tl_task_unref(), but in the middle of a
 * switch perhaps: a kill is left to be found.
 */
static void unref_here(struct tl_sched *s, struct tl_task *t)
{
	if (!t->sched) {	/* the scheduler is at its end */
		tl__unref_remote(t);
		return;
	}
	if (!tl__refs_drop(t))
		return;
	switch (tl__state(t)) {
	case TL__UNBOUND:
	case TL__BOUND:
	case TL__DEAD:
		tl__stack_release(s, t);
		break;
	case TL__PAUSED:
		if (t->flags & TL__IN_RUN)
			break;
		tl__throw_arrived(s, t, &tl__error_killed);
		if (tl__state(t) == TL__PAUSED)	/* shielded: to no avail */
			tl__unpause(s, t);
		break;
	case TL__RUNNABLE:
	case TL__BLOCKED:
		break;
	}
}

static void mail_delivered(struct tl_sched *s, struct tl__message *message)
{
	struct tl_task *t = tl__container_of(message, struct tl_task,
					     mail_message);
	struct tl_error *error;
	uint8_t mail;

	tl__lock(&t->mail_lock);
	mail = t->mail;
	error = t->mail_error;
	t->mail = 0;
	t->mail_error = NULL;
	tl__unlock(&t->mail_lock);

	/* A kill first: it is never replaced by less. */
	if (mail & TL__MAIL_KILL)
		tl__throw_arrived(s, t, &tl__error_killed);
	if (mail & TL__MAIL_THROW)
		tl__throw_arrived(s, t, error);
	if (mail & TL__MAIL_RUN)
		run_next(s, t);
	if ((mail & TL__MAIL_INSERT) && tl__state(t) == TL__PAUSED)
		tl__unpause(s, t);
	if (mail & TL__MAIL_UNREF)
		unref_here(s, t);
	unref_here(s, t);	/* the mail's own handle; @t may be gone */
}

int tl__mail(struct tl_task *t, uint8_t mail, struct tl_error *error)
{
	struct tl_error *dropped = NULL;
	bool under_way;

	tl__lock(&t->mail_lock);
	if (!t->sched) {
		tl__unlock(&t->mail_lock);
		return -ESRCH;
	}
	under_way = t->mail;
	t->mail |= mail;
	if (mail & TL__MAIL_THROW) {	/* the last one counts */
		dropped = t->mail_error;
		t->mail_error = error;
	}
	if (!under_way) {
		/* The mail's own: the sender may give his up before it is read. */
		tl_task_ref(t);
		t->mail_message.deliver = mail_delivered;
		tl__inbox_push(t->sched, &t->mail_message);
	}
	if (mail & (TL__MAIL_KILL | TL__MAIL_THROW))
		tl__tick_request(t->sched);	/* it may be computing */
	tl__unlock(&t->mail_lock);
	tl_error_free(dropped);	/* its destructor may do anything */
	return 0;
}

void tl__unref_remote(struct tl_task *t)
{
	/* relaxed: to be tried below */
	uint32_t refs = tl__refs(t);

	for (;;) {
		if (refs == 1 && !tl__mail(t, TL__MAIL_UNREF, NULL))
			return;
		/*
		 * release: what we did with the tasklet, for whoever drops the
		 * last handle; acquire: if that is us, for it has no thread
		 */
		if (atomic_compare_exchange_weak_explicit(
			    &t->refs, &refs, refs - 1, memory_order_acq_rel,
			    memory_order_relaxed))
			break;
	}
	if (refs == 1)
		tl__orphan_release(t);
}

void tl__mail_after_fork(struct tl_task *t)
{
	/* relaxed: there is one thread. Only looks, for there may be many. */
	if (atomic_load_explicit(&t->mail_lock.word, memory_order_relaxed))
		atomic_store_explicit(&t->mail_lock.word, 0,
				      memory_order_relaxed);
	if (t->mail) {
		t->mail = 0;
		t->mail_error = NULL;	/* the parent's */
	}
}

void tl__mail_close(struct tl_task *t)
{
	tl__lock(&t->mail_lock);
	/* relaxed: see tl__is_ours() */
	__atomic_store_n(&t->sched, NULL, __ATOMIC_RELAXED);
	tl__unlock(&t->mail_lock);
}
