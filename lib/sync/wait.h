/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What all objects of lib/sync have in common: queues of waiters, and how a wait
 * begins and ends.
 *
 * The waiter is the tasklet's own (task->waiter): one waits for one object at a
 * time. An object has a short lock (os/lock.h) for its queue. Invariants:
 *
 *  - waiter.next is not NULL if and only if it is in an object's queue, and
 *    both change with that object's lock only. Whoever takes a waiter off has
 *    claimed it, and calls tl__wake_any() for it once, without the lock.
 *  - A waker's last access to the object comes before its first wake-up, and is
 *    the one that lets others see that they need not wait: the object may be
 *    gone after it. Not while somebody waits still, though his wake-up be under
 *    way: a deadline or a kill asks the object whether he is queued.
 *
 * No other lock is taken with an object's lock, and nobody switches with it.
 *
 * A call that waits again after it was woken has something to undo in between: it
 * must not be unwound there: tl__unwind_hold() (core/unwind.h).
 */
#ifndef TL_SYNC_WAIT_H
#define TL_SYNC_WAIT_H

#include "core/kill.h"
#include "core/park.h"
#include "core/remote.h"
#include "core/unwind.h"
#include "os/lock.h"

/* Lost so often, a waiter that was woken keeps newcomers away (as in nsync). */
#define TL__LOSSES 30

/* The word of an object that is its lock; it is nothing else but that. */
static inline struct tl__lock *tl__lock_of(uint32_t *word)
{
	_Static_assert(sizeof(struct tl__lock) == sizeof(*word),
		       "the lock is one word");
	return (struct tl__lock *)(void *)word;
}

/*
 * Who calls, for owners: the number of its tasklet; for a main tasklet, which
 * may be a plain thread yet or again, an address that only its thread has, with
 * a bit that no number has. Never 0.
 */
#define TL__MAIN_ID ((uint64_t)1 << 63)

static inline uint64_t tl__self_id(void)
{
	const struct tl_sched *s = tl__sched_self;

	if (s) {
		const struct tl_task *me = tl__me(s);

		if (!(me->flags & TL__MAIN))
			return me->id;
	}
	return (uint64_t)(uintptr_t)&tl__sched_self | TL__MAIN_ID;
}

/* What was thrown at the caller, who may have no scheduler; or 0. */
static inline int tl__thrown(void)
{
	const struct tl_sched *s = tl__sched_self;

	return s ? tl__raise_check(tl__me(s)) : 0;
}

/* --- queues: circular, with the address of the first one; under the lock ---- */

static inline void tl__queue_add(struct tl__waiter **queue,
				 struct tl__waiter *w, bool first)
{
	struct tl__waiter *head = *queue;

	if (!head) {
		w->next = w->prev = w;
		*queue = w;
		return;
	}
	w->next = head;
	w->prev = head->prev;
	head->prev->next = w;
	head->prev = w;
	if (first)
		*queue = w;
}

static inline bool tl__queue_has(const struct tl__waiter *w)
{
	return w->next;
}

static inline void tl__queue_remove(struct tl__waiter **queue,
				    struct tl__waiter *w)
{
	if (w->next == w) {
		*queue = NULL;
	} else {
		w->next->prev = w->prev;
		w->prev->next = w->next;
		if (*queue == w)
			*queue = w->next;
	}
	w->next = NULL;
}

/* Waiters that the caller has claimed, in order; `prev` leads to the next. */
struct tl__claimed {
	struct tl__waiter *first, *last;
	uint32_t count;
};

static inline void tl__claim(struct tl__claimed *claimed,
			     struct tl__waiter **queue, struct tl__waiter *w)
{
	tl__queue_remove(queue, w);
	w->prev = NULL;
	if (claimed->last)
		claimed->last->prev = w;
	else
		claimed->first = w;
	claimed->last = w;
	claimed->count++;
}

/* The first @count, or as many as there are. */
static inline void tl__claim_first(struct tl__claimed *claimed,
				   struct tl__waiter **queue, uint32_t count)
{
	while (count-- && *queue)
		tl__claim(claimed, queue, *queue);
}

/* Ends their waits with @result. Without the lock. */
static inline void tl__wake_claimed(const struct tl__claimed *claimed,
				    int result)
{
	struct tl__waiter *w = claimed->first, *next;

	for (; w; w = next) {
		next = w->prev;
		tl__wake_any(w->task, result);
	}
}

/* --- waits ------------------------------------------------------------------ */

/* What may refuse a wait. On success the deadline is armed. */
static inline int tl__wait_begin(struct tl_sched *s, struct tl_task *me,
				 uint64_t deadline_ns)
{
	int r = tl__block_check(s, me, true);

	return r ? r : tl__deadline_arm(s, me, deadline_ns);
}

/* The end of a call that blocks; the caller has nothing left to do. */
static inline int tl__wait_end(int result)
{
	const struct tl_sched *s = tl__sched_self;

	return s ? tl__unwind_return(tl__me(s), result) : result;
}

/*
 * What is left for an abandon to do once it knows, under the lock, whether it
 * has taken the tasklet off its queue.
 */
static inline bool tl__wait_abandoned(struct tl_task *t, bool was_queued,
				      int result)
{
	if (!was_queued)
		return tl__wake_awaited(t);
	tl__wake(t->sched, t, result);
	return true;
}

#endif
