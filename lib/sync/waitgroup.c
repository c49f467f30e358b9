/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Wait groups. Owns the word: the count in its upper half, and WAITERS, which says
 * that the queue is not empty; it is set and cleared under the queue's lock, is
 * never missed, and not stale as seen with the lock.
 *
 * The done that ends the last claims all that wait first; the exchange that makes
 * the count 0 is its last access, for who sees that may free the memory.
 */
#include <tasklet/waitgroup.h>

#include <errno.h>

#include "sync/wait.h"

#define WAITERS	((uint64_t)1 << 0)
#define ONE	((uint64_t)1 << 32)

/* How a wait ends that was claimed for a done which was not the last after all. */
#define AGAIN	1

static uint64_t load(const struct tl_waitgroup *group)
{
	/* acquire: pairs with tl_waitgroup_done(), if it is the last one's */
	return __atomic_load_n(&group->tl__word, __ATOMIC_ACQUIRE);
}

static bool exchange(struct tl_waitgroup *group, uint64_t *old, uint64_t new)
{
	/*
	 * release: pairs with load(): what was done before a done; acquire: and
	 * before the dones of others, which the last one hands on
	 */
	return __atomic_compare_exchange_n(&group->tl__word, old, new, false,
					   __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

static void queue_left(struct tl_waitgroup *group)
{
	if (!group->tl__queue)
		/* relaxed: the lock orders it */
		__atomic_fetch_and(&group->tl__word, ~WAITERS,
				   __ATOMIC_RELAXED);
}

static bool abandon(struct tl_task *t, int result)
{
	struct tl_waitgroup *group = t->wait_object;
	bool queued;

	tl__lock(tl__lock_of(&group->tl__lock));
	queued = tl__queue_has(&t->waiter);
	if (queued) {
		tl__queue_remove(&group->tl__queue, &t->waiter);
		queue_left(group);
	}
	tl__unlock(tl__lock_of(&group->tl__lock));
	return tl__wait_abandoned(t, queued, result);
}

static const struct tl__wait_ops ops = {
	.verb = "waits for wait group",
	.abandon = abandon,
};

int tl_waitgroup_add(struct tl_waitgroup *group, uint32_t count)
{
	uint64_t old = load(group);

	do
		if (count > UINT32_MAX - (uint32_t)(old >> 32))
			return -EOVERFLOW;
	while (!exchange(group, &old, old + count * ONE));
	return 0;
}

int tl_waitgroup_done(struct tl_waitgroup *group)
{
	struct tl__claimed claimed = { 0 };
	uint64_t old = load(group);

	for (;;) {
		if (old < ONE)
			break;
		if (old >= 2 * ONE || !(old & WAITERS)) {
			if (exchange(group, &old, old - ONE))
				break;
			continue;
		}
		tl__lock(tl__lock_of(&group->tl__lock));
		tl__claim_first(&claimed, &group->tl__queue, UINT32_MAX);
		queue_left(group);
		tl__unlock(tl__lock_of(&group->tl__lock));
		old = load(group);
	}
	tl__wake_claimed(&claimed, old >= 2 * ONE ? AGAIN : 0);
	return old < ONE ? -EOVERFLOW : 0;
}

static bool enqueue(struct tl_waitgroup *group, struct tl_task *me)
{
	uint64_t old;
	bool queued;

	tl__lock(tl__lock_of(&group->tl__lock));
	old = load(group);
	do
		queued = old >= ONE;
	while (queued && !exchange(group, &old, old | WAITERS));
	if (queued)
		tl__queue_add(&group->tl__queue, &me->waiter, false);
	tl__unlock(tl__lock_of(&group->tl__lock));
	return queued;
}

int tl_waitgroup_wait_until(struct tl_waitgroup *group, uint64_t deadline_ns)
{
	struct tl_sched *s;
	struct tl_task *me;
	int r;

	r = tl__thrown();
	if (unlikely(r) || load(group) < ONE)
		return r;
	s = tl__sched();
	if (unlikely(!s))
		return tl__sched_error();
	me = tl__me(s);
	do {
		r = tl__wait_begin(s, me, deadline_ns);
		if (unlikely(r))
			return r;
		if (!enqueue(group, me)) {
			tl__deadline_disarm(s, me);
			return 0;
		}
		r = tl__park(s, me, &ops, group);
	} while (r == AGAIN);
	return tl__unwind_return(me, r);
}

int tl_waitgroup_wait(struct tl_waitgroup *group)
{
	return tl_waitgroup_wait_until(group, TL_FOREVER);
}

int tl_waitgroup_try_wait(const struct tl_waitgroup *group)
{
	return load(group) < ONE ? 0 : -EAGAIN;
}

uint32_t tl_waitgroup_count(const struct tl_waitgroup *group)
{
	return (uint32_t)(load(group) >> 32);
}
