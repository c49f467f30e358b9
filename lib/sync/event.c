/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Events. Owns the word's two bits.
 *
 * bit       it says        set by              cleared by          missed stale
 *
 * SET       the flag       tl_event_set()      tl_event_clear()    no     no
 * WAITERS   the queue is   who queues itself,  who takes the last  no     no, as
 *           not empty      under its lock      one off, likewise          seen
 *                                                                         locked
 *
 * Nobody queues itself while SET is. A set claims all that wait first; the
 * exchange that sets the flag is its last access, for who sees the flag may free
 * the memory.
 */
#include <tasklet/event.h>

#include <errno.h>

#include "sync/wait.h"

#define SET	(1u << 0)
#define WAITERS	(1u << 1)

static void queue_left(struct tl_event *event)
{
	if (!event->tl__queue)
		/* relaxed: the lock orders it */
		__atomic_fetch_and(&event->tl__word, ~WAITERS,
				   __ATOMIC_RELAXED);
}

static bool abandon(struct tl_task *t, int result)
{
	struct tl_event *event = t->wait_object;
	bool queued;

	tl__lock(tl__lock_of(&event->tl__lock));
	queued = tl__queue_has(&t->waiter);
	if (queued) {
		tl__queue_remove(&event->tl__queue, &t->waiter);
		queue_left(event);
	}
	tl__unlock(tl__lock_of(&event->tl__lock));
	return tl__wait_abandoned(t, queued, result);
}

static const struct tl__wait_ops ops = {
	.verb = "waits for event",
	.abandon = abandon,
};

bool tl_event_is_set(const struct tl_event *event)
{
	/* acquire: pairs with tl_event_set(): what was done before it */
	return __atomic_load_n(&event->tl__word, __ATOMIC_ACQUIRE) & SET;
}

static bool enqueue(struct tl_event *event, struct tl_task *me)
{
	uint32_t old;
	bool queued;

	tl__lock(tl__lock_of(&event->tl__lock));
	/* acquire, both: if it is set after all, as in tl_event_is_set() */
	old = __atomic_load_n(&event->tl__word, __ATOMIC_ACQUIRE);
	do
		queued = !(old & SET);
	while (queued && !__atomic_compare_exchange_n(
			&event->tl__word, &old, old | WAITERS, false,
			__ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE));
	if (queued)
		tl__queue_add(&event->tl__queue, &me->waiter, false);
	tl__unlock(tl__lock_of(&event->tl__lock));
	return queued;
}

int tl_event_wait_until(struct tl_event *event, uint64_t deadline_ns)
{
	struct tl_sched *s;
	struct tl_task *me;
	int r;

	r = tl__thrown();
	if (unlikely(r) || tl_event_is_set(event))
		return r;
	s = tl__sched();
	if (unlikely(!s))
		return tl__sched_error();
	me = tl__me(s);
	r = tl__wait_begin(s, me, deadline_ns);
	if (unlikely(r))
		return r;
	if (!enqueue(event, me)) {
		tl__deadline_disarm(s, me);
		return 0;
	}
	return tl__unwind_return(me, tl__park(s, me, &ops, event));
}

int tl_event_wait(struct tl_event *event)
{
	return tl_event_wait_until(event, TL_FOREVER);
}

int tl_event_try_wait(const struct tl_event *event)
{
	return tl_event_is_set(event) ? 0 : -EAGAIN;
}

void tl_event_set(struct tl_event *event)
{
	struct tl__claimed claimed = { 0 };
	/* relaxed: a guess that the exchange checks */
	uint32_t old = __atomic_load_n(&event->tl__word, __ATOMIC_RELAXED);

	for (;;) {
		if (!(old & WAITERS)) {
			/* release: pairs with tl_event_is_set() */
			if (__atomic_compare_exchange_n(
				    &event->tl__word, &old, SET, false,
				    __ATOMIC_RELEASE, __ATOMIC_RELAXED))
				break;
			continue;
		}
		tl__lock(tl__lock_of(&event->tl__lock));
		tl__claim_first(&claimed, &event->tl__queue, UINT32_MAX);
		queue_left(event);
		tl__unlock(tl__lock_of(&event->tl__lock));
		/* relaxed: as above */
		old = __atomic_load_n(&event->tl__word, __ATOMIC_RELAXED);
	}
	tl__wake_claimed(&claimed, 0);
}

void tl_event_clear(struct tl_event *event)
{
	/*
	 * acquire: what was done before the set that this undoes; release:
	 * pairs with nothing of ours, but users reset their data before it
	 */
	__atomic_fetch_and(&event->tl__word, ~SET, __ATOMIC_ACQ_REL);
}
