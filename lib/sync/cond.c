/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Conditions. Owns the queue of those that wait, and its length, under the queue's
 * lock; the length is also looked at without it, as a hint that there is nobody.
 *
 * A notification is a claim: it belongs to one waiter from the moment it is made.
 * So nothing is counted that could be left over. The user's lock is given up after
 * the waiter is queued, and without the queue's lock.
 */
#include <tasklet/cond.h>

#include <errno.h>

#include "sync/word.h"

static uint32_t waiters(const struct tl_cond *cond)
{
	/*
	 * relaxed: whoever must be seen has queued itself before it gave the
	 * user's lock up, which the notifier had since
	 */
	return __atomic_load_n(&cond->tl__waiters, __ATOMIC_RELAXED);
}

/* Under the lock. */
static void count_by(struct tl_cond *cond, uint32_t by)
{
	/* relaxed: as above */
	__atomic_store_n(&cond->tl__waiters, waiters(cond) + by,
			 __ATOMIC_RELAXED);
}

static bool abandon(struct tl_task *t, int result)
{
	struct tl_cond *cond = t->wait_object;
	bool queued;

	tl__lock(tl__lock_of(&cond->tl__lock));
	queued = tl__queue_has(&t->waiter);
	if (queued) {
		tl__queue_remove(&cond->tl__queue, &t->waiter);
		count_by(cond, -1u);
	}
	tl__unlock(tl__lock_of(&cond->tl__lock));
	return tl__wait_abandoned(t, queued, result);
}

static const struct tl__wait_ops ops = {
	.verb = "waits for condition",
	.abandon = abandon,
};

/* Takes @m again, whatever is thrown at @me meanwhile. */
static int lock_again(struct tl_task *me, struct tl_mutex *m)
{
	bool shielded = me->flags & TL__SHIELDED;
	int r = 0;

	if (tl__word_take_free(m)) {
		tl__word_set_owner(m, tl__self_id());
		return 0;
	}
	me->flags |= TL__SHIELDED;
	r = tl__word_lock(m, &tl__taking_again, TL_FOREVER);
	if (!shielded)
		me->flags &= ~TL__SHIELDED;
	return r ? -ENOTRECOVERABLE : 0;
}

static int wait(struct tl_cond *cond, struct tl_mutex *m, uint64_t deadline_ns)
{
	struct tl_sched *s = tl__sched();
	struct tl_task *me;
	int r, again;

	if (unlikely(!s))
		return tl__sched_error();
	if (m && !tl_mutex_is_owned(m))
		return -EPERM;
	me = tl__me(s);
	r = tl__wait_begin(s, me, deadline_ns);
	if (unlikely(r))
		return r;
	tl__lock(tl__lock_of(&cond->tl__lock));
	tl__queue_add(&cond->tl__queue, &me->waiter, false);
	count_by(cond, 1);
	tl__unlock(tl__lock_of(&cond->tl__lock));
	if (m)
		tl__word_give(m);
	r = tl__park(s, me, &ops, cond);
	again = m ? lock_again(me, m) : 0;
	return again ? again : r;
}

static int rwait(struct tl_cond *cond, struct tl_rlock *rlock,
		 uint64_t deadline_ns)
{
	uint32_t depth = tl_rlock_depth(rlock);
	int r;

	r = wait(cond, &rlock->tl__mutex, deadline_ns);
	if (depth && r != -ENOTRECOVERABLE)
		rlock->tl__depth = depth;
	return r;
}

int tl_cond_wait_until(struct tl_cond *cond, struct tl_mutex *mutex,
		       uint64_t deadline_ns)
{
	return tl__wait_end(wait(cond, mutex, deadline_ns));
}

int tl_cond_wait(struct tl_cond *cond, struct tl_mutex *mutex)
{
	return tl_cond_wait_until(cond, mutex, TL_FOREVER);
}

int tl_cond_rwait_until(struct tl_cond *cond, struct tl_rlock *rlock,
			uint64_t deadline_ns)
{
	return tl__wait_end(rwait(cond, rlock, deadline_ns));
}

int tl_cond_rwait(struct tl_cond *cond, struct tl_rlock *rlock)
{
	return tl_cond_rwait_until(cond, rlock, TL_FOREVER);
}

int tl_cond_wait_for_until(struct tl_cond *cond, struct tl_mutex *mutex,
			   bool (*predicate)(void *arg), void *arg,
			   uint64_t deadline_ns)
{
	int r;

	if (mutex && !tl_mutex_is_owned(mutex))
		return -EPERM;
	r = tl__thrown();
	while (!r && !predicate(arg))
		r = wait(cond, mutex, deadline_ns);
	return tl__wait_end(r == -ETIMEDOUT && predicate(arg) ? 0 : r);
}

int tl_cond_wait_for(struct tl_cond *cond, struct tl_mutex *mutex,
		     bool (*predicate)(void *arg), void *arg)
{
	return tl_cond_wait_for_until(cond, mutex, predicate, arg, TL_FOREVER);
}

int tl_cond_rwait_for_until(struct tl_cond *cond, struct tl_rlock *rlock,
			    bool (*predicate)(void *arg), void *arg,
			    uint64_t deadline_ns)
{
	int r;

	if (!tl_rlock_depth(rlock))
		return -EPERM;
	r = tl__thrown();
	while (!r && !predicate(arg))
		r = rwait(cond, rlock, deadline_ns);
	return tl__wait_end(r == -ETIMEDOUT && predicate(arg) ? 0 : r);
}

int tl_cond_rwait_for(struct tl_cond *cond, struct tl_rlock *rlock,
		      bool (*predicate)(void *arg), void *arg)
{
	return tl_cond_rwait_for_until(cond, rlock, predicate, arg, TL_FOREVER);
}

uint32_t tl_cond_notify(struct tl_cond *cond, uint32_t count)
{
	struct tl__claimed claimed = { 0 };

	if (!count || !waiters(cond))
		return 0;
	tl__lock(tl__lock_of(&cond->tl__lock));
	tl__claim_first(&claimed, &cond->tl__queue, count);
	count_by(cond, -claimed.count);
	tl__unlock(tl__lock_of(&cond->tl__lock));
	tl__wake_claimed(&claimed, 0);
	return claimed.count;
}

uint32_t tl_cond_notify_all(struct tl_cond *cond)
{
	return tl_cond_notify(cond, UINT32_MAX);
}
