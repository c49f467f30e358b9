/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What one thread does to the tasklets of another: it never touches their
 * thread's ring, it leaves a message in that thread's inbox.
 *
 * A tasklet that waits on an object which several threads use (a shared channel,
 * a lock) is claimed under that object's lock: whoever takes its waiter off the
 * queue has it, and calls tl__wake_any() once. What the wait's ops->abandon()
 * does for a deadline, a kill or a close follows from that: under the object's
 * lock, if the waiter is still queued, it takes it off and wakes the tasklet
 * itself (tl__wake(), for abandon runs on the tasklet's thread); if it is not,
 * the claim is somebody's, the message is under way, and abandon returns
 * tl__wake_awaited().
 */
#ifndef TL_CORE_REMOTE_H
#define TL_CORE_REMOTE_H

#include "core/park.h"

/* Delivers a wake-up; t->remote_result is its result. */
void tl__wake_delivered(struct tl_sched *s, struct tl__message *message);

/*
 * Ends the wait of @t, which the caller has claimed: its call will return
 * @result when its turn comes. From any thread; what the caller did before is
 * visible to @t. @t may be gone when this returns.
 */
static inline void tl__wake_any(struct tl_task *t, int result)
{
	if (t->sched == tl__sched_self) {
		tl__wake(t->sched, t, result);
		return;
	}
	t->remote_result = result;
	t->wake_message.deliver = tl__wake_delivered;
	tl__inbox_push(t->sched, &t->wake_message);
}

/*
 * Somebody else has claimed @t, one of ours, and its message is under way: the
 * scheduler must not end or see a deadlock before it is here. Returns false,
 * which is what an abandon that comes too late has to say.
 */
bool tl__wake_awaited(struct tl_task *t);

/* --- mail ------------------------------------------------------------------- */

/* What a thread may want of another's tasklet. */
#define TL__MAIL_INSERT	(1u << 0)
#define TL__MAIL_RUN	(1u << 1)
#define TL__MAIL_KILL	(1u << 2)
#define TL__MAIL_THROW	(1u << 3)
#define TL__MAIL_UNREF	(1u << 4)	/* the sender's handle goes along */

/*
 * Asks the thread of @t, which the caller has a handle of, to do that; it will
 * find out whether it still can. Takes @error (with TL__MAIL_THROW). Returns 0,
 * or -ESRCH: that thread's scheduler has ended, and nothing was taken.
 */
int tl__mail(struct tl_task *t, uint8_t mail, struct tl_error *error);

/* Gives a handle of another thread's tasklet up. */
void tl__unref_remote(struct tl_task *t);

/* In the child of a fork, @t being its thread's: no mail is under way. */
void tl__mail_after_fork(struct tl_task *t);

/* @t's scheduler ends: no more mail. */
void tl__mail_close(struct tl_task *t);

#endif
