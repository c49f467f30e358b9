/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Semaphores. Owns the word: the tokens in its upper half, and two bits.
 *
 * bit       it says        set by              cleared by          missed stale
 *
 * WAITERS   the queue is   who queues itself,  who takes the last  no     no, as
 *           not empty      under its lock      one off, likewise          seen
 *                                                                         locked
 * KEEP_OFF  one has lost   that one, when it   that one, when it   yes    no
 *           often: new-    queues itself       takes a token or
 *           comers wait    again               gives up
 *
 * Invariant: of those that wait, as many as there are tokens were woken and have
 * not tried yet, or whoever changes that is about to wake them (pump()). Whom a
 * release wakes it therefore claims first; adding the tokens is its last access.
 */
#include <tasklet/semaphore.h>

#include <errno.h>

#include "sync/wait.h"

#define WAITERS		((uint64_t)1 << 0)
#define KEEP_OFF	((uint64_t)1 << 1)
#define TOKEN		((uint64_t)1 << 32)

static uint64_t load(const struct tl_sem *sem)
{
	/* relaxed: a guess; whoever relies on it checks it with an exchange */
	return __atomic_load_n(&sem->tl__word, __ATOMIC_RELAXED);
}

static uint32_t tokens(uint64_t word)
{
	return (uint32_t)(word >> 32);
}

static bool exchange(struct tl_sem *sem, uint64_t *old, uint64_t new)
{
	/*
	 * acquire: pairs with release: what was done before the release whose
	 * token this takes
	 */
	return __atomic_compare_exchange_n(&sem->tl__word, old, new, false,
					   __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/* Under the lock: the bit that is to go, if the queue is empty. */
static void queue_left(struct tl_sem *sem)
{
	if (!sem->tl__queue)
		/* relaxed: the lock orders it */
		__atomic_fetch_and(&sem->tl__word, ~WAITERS, __ATOMIC_RELAXED);
}

static void claim(struct tl_sem *sem, struct tl__claimed *claimed,
		  uint32_t count)
{
	tl__lock(tl__lock_of(&sem->tl__lock));
	tl__claim_first(claimed, &sem->tl__queue, count);
	queue_left(sem);
	tl__unlock(tl__lock_of(&sem->tl__lock));
}

/* Wakes as many as there are tokens. The caller is in an acquire of its own. */
static void pump(struct tl_sem *sem)
{
	struct tl__claimed claimed = { 0 };
	uint64_t old = load(sem);

	if (!(old & WAITERS) || old < TOKEN)
		return;
	claim(sem, &claimed, tokens(old));
	tl__wake_claimed(&claimed, 0);
}

int tl_sem_init(struct tl_sem *sem, uint32_t value, uint32_t max)
{
	if (value > max)
		return -EINVAL;
	*sem = (struct tl_sem)TL_SEM_INIT(value);
	sem->tl__max = max;
	return 0;
}

static bool can_take(uint64_t word, bool newcomer)
{
	return word >= TOKEN && !(newcomer && (word & KEEP_OFF));
}

/* @clear: bits of ours that go with it. */
static bool take(struct tl_sem *sem, bool newcomer, uint64_t clear)
{
	uint64_t old = load(sem);

	while (can_take(old, newcomer))
		if (exchange(sem, &old, (old - TOKEN) & ~clear)) {
			if (unlikely(clear))
				pump(sem);	/* those that we kept off */
			return true;
		}
	return false;
}

int tl_sem_try_acquire(struct tl_sem *sem)
{
	return take(sem, true, 0) ? 0 : -EAGAIN;
}

static bool abandon(struct tl_task *t, int result)
{
	struct tl_sem *sem = t->wait_object;
	bool queued;

	tl__lock(tl__lock_of(&sem->tl__lock));
	queued = tl__queue_has(&t->waiter);
	if (queued) {
		tl__queue_remove(&sem->tl__queue, &t->waiter);
		queue_left(sem);
	}
	tl__unlock(tl__lock_of(&sem->tl__lock));
	return tl__wait_abandoned(t, queued, result);
}

static const struct tl__wait_ops ops = {
	.verb = "waits for a token of semaphore",
	.abandon = abandon,
};

/* Queues @me, unless it can have a token by now. Returns whether it is queued. */
static bool enqueue(struct tl_sem *sem, struct tl_task *me, bool newcomer,
		    uint64_t set)
{
	uint64_t old;
	bool queued;

	tl__lock(tl__lock_of(&sem->tl__lock));
	old = load(sem);
	do
		queued = !can_take(old, newcomer);
	while (queued && !exchange(sem, &old, old | WAITERS | set));
	if (queued)
		tl__queue_add(&sem->tl__queue, &me->waiter, !newcomer);
	tl__unlock(tl__lock_of(&sem->tl__lock));
	return queued;
}

static void give_up(struct tl_sem *sem, uint64_t clear)
{
	if (clear)
		/* relaxed: a bit about waiters */
		__atomic_fetch_and(&sem->tl__word, ~clear, __ATOMIC_RELAXED);
	pump(sem);
}

/* The caller is not to be unwound. */
static int take_waiting(struct tl_sched *s, struct tl_task *me,
			struct tl_sem *sem, uint64_t deadline_ns)
{
	uint64_t clear = 0;
	int losses = -1;	/* before the first wait we are a newcomer */
	int r;

	while (!take(sem, losses < 0, clear)) {
		r = tl__wait_begin(s, me, deadline_ns);
		if (!r) {
			uint64_t set = losses >= TL__LOSSES ? KEEP_OFF : 0;

			if (!enqueue(sem, me, losses < 0, set)) {
				tl__deadline_disarm(s, me);
				continue;
			}
			clear |= set;
			r = tl__park(s, me, &ops, sem);
			losses += !r;
		}
		if (r == -ETIMEDOUT && take(sem, losses < 0, clear))
			break;
		if (r) {
			give_up(sem, clear);
			return r;
		}
	}
	return 0;
}

static tl__cold int acquire_slow(struct tl_sem *sem, uint64_t deadline_ns)
{
	struct tl_sched *s = tl__sched();
	struct tl_task *me;
	uint32_t hold;
	int r;

	if (!s)
		return tl__sched_error();
	me = tl__me(s);
	r = tl__raise_check(me);
	if (r)
		return r;
	hold = tl__unwind_hold(me);
	r = take_waiting(s, me, sem, deadline_ns);
	tl__unwind_unhold(me, hold);
	return tl__unwind_return(me, r);
}

int tl_sem_acquire_until(struct tl_sem *sem, uint64_t deadline_ns)
{
	const struct tl_sched *s = tl__sched_self;

	if (likely(!s || !(tl__me(s)->flags & TL__ENTRY_FLAGS)) &&
	    likely(take(sem, true, 0)))
		return 0;
	return acquire_slow(sem, deadline_ns);
}

int tl_sem_acquire(struct tl_sem *sem)
{
	return tl_sem_acquire_until(sem, TL_FOREVER);
}

int tl_sem_release(struct tl_sem *sem, uint32_t count)
{
	struct tl__claimed claimed = { 0 };
	uint64_t old = load(sem);
	int r = 0;

	for (;;) {
		if (count > sem->tl__max - tokens(old)) {
			r = -EOVERFLOW;
			break;
		}
		if ((old & WAITERS) && claimed.count < count) {
			claim(sem, &claimed, count - claimed.count);
			old = load(sem);
		} else if (exchange(sem, &old, old + count * TOKEN)) {
			break;
		}
	}
	/* Without a token they find out, and wait again. */
	tl__wake_claimed(&claimed, 0);
	return r;
}

uint32_t tl_sem_value(const struct tl_sem *sem)
{
	return tokens(load(sem));
}
