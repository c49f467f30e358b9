/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The futex condition; see futex.h for its nodes' lives.
 *
 * Owns the static locks that guard the queues. A queue's pointer to its first node
 * is written with the lock held alone; signals look at it without.
 */
#include "wake/checked.h"
#include "wake/futex-list.h"

#define LOCKS 128	/* a power of two */

static struct tl__wake_lock locks[LOCKS];

struct tl__wake_lock *tl__wake_lock_of(const void *address)
{
	/* Fibonacci hashing: objects in arrays, and pages, spread well. */
	uint64_t hash = (uint64_t)(uintptr_t)address *
			UINT64_C(0x9e3779b97f4a7c15);

	return &locks[hash >> 57];
}
_Static_assert(LOCKS == 1 << (64 - 57), "the hash's bits are the index");

void tl__wake_locks_reset(void)
{
	int i;

	for (i = 0; i < LOCKS; i++) {
		locks[i].queues = NULL;
		/* relaxed: there is one thread */
		atomic_store_explicit(&locks[i].lock.word, 0,
				      memory_order_relaxed);
	}
}

/* --- the queue; under its lock ---------------------------------------------- */

static struct tl__wake_node *get_queue(struct tl__wake_cond *c)
{
	/* Those that waited in the parent are not here. */
	if (unlikely(c->forks != tl__wake_forks)) {
		c->forks = tl__wake_forks;
		/* relaxed: the lock orders it */
		atomic_store_explicit(&c->first, NULL, memory_order_relaxed);
	}
	/* relaxed: it is written under the lock, which orders it */
	return atomic_load_explicit(&c->first, memory_order_relaxed);
}

/* Both the old and the new first are there: nobody was told that he may go. */
static void set_queue(struct tl__wake_lock *lock, struct tl__wake_cond *c,
		      struct tl__wake_node *first)
{
	struct tl__wake_node *old = get_queue(c);

	if (old == first)
		return;
	if (old) {
		*old->prev_queue = old->next_queue;
		if (old->next_queue)
			old->next_queue->prev_queue = old->prev_queue;
	}
	if (first) {
		first->next_queue = lock->queues;
		first->prev_queue = &lock->queues;
		if (lock->queues)
			lock->queues->prev_queue = &first->next_queue;
		lock->queues = first;
	}
	/*
	 * release: pairs with tl__wake_cond_is_empty(). Who sees that the last one
	 * has left may give the condition back, without the lock: this is our last
	 * access.
	 */
	atomic_store_explicit(&c->first, first, memory_order_release);
}

/* Whether somebody waits for the condition that was, or is, at @c. */
static bool is_waited_for(struct tl__wake_lock *lock, const void *c)
{
	struct tl__wake_node *n;

	for (n = lock->queues; n; n = n->next_queue)
		if (n->cond == c)
			return true;
	return false;
}

static uint32_t state_of(struct tl__wake_node *n)
{
	/* relaxed: CLAIMED is stored under the lock, and DONE comes after it */
	return atomic_load_explicit(&n->state, memory_order_relaxed);
}

/* Relaxed: under the lock, or in a guess of tl__wake_cond_sleep(). */
static void claim(struct tl__wake_node *n, bool by_broadcast)
{
	n->by_broadcast = by_broadcast;
	atomic_store_explicit(&n->state, TL__WAKE_CLAIMED,
			      memory_order_relaxed);
}

/* --- wait -------------------------------------------------------------------- */

void tl__wake_cond_enter(struct tl__wake_cond *c, struct tl__wake_mutex *m,
			 struct tl__wake_node *n)
{
	struct tl__wake_lock *lock = tl__wake_lock_of(c);
	struct tl__wake_node *first;

	*n = (struct tl__wake_node){
		.next = n, .prev = n, .mutex = m, .cond = c
	};
	tl__lock(&lock->lock);
	first = get_queue(c);
	tl__wake_checked_mutex(c, m, first ? first->mutex : m);
	tl__wake_append(&first, n);
	set_queue(lock, c, first);
	tl__unlock(&lock->lock);
	tl__wake_mutex_unlock(m);
}

int tl__wake_cond_sleep(struct tl__wake_node *n, int clock,
			uint64_t deadline_ns)
{
	for (;;) {
		/* acquire: pairs with tl__wake_done() */
		uint32_t state = atomic_load_explicit(&n->state,
						      memory_order_acquire);
		int r;

		if (state & TL__WAKE_DONE)
			return 0;
		/* Once claimed he waits for the mutex, not for the clock. */
		r = tl__futex_wait_by(&n->state, state, clock,
				      state == TL__WAKE_QUEUED ? deadline_ns :
				      TL_FOREVER);
		if (r == -ETIMEDOUT || r == -EINTR)
			return r;
	}
}

/*
 * Takes himself off, unless he was claimed. Does not look at the condition before
 * he knows that he was not: as long as one waits whom nobody has claimed, it is
 * there, and for a claim the lock is needed.
 */
static bool give_up(struct tl__wake_cond *c, struct tl__wake_node *n)
{
	struct tl__wake_lock *lock = tl__wake_lock_of(c);
	bool queued;

	tl__lock(&lock->lock);
	queued = state_of(n) == TL__WAKE_QUEUED;
	if (queued) {
		struct tl__wake_node *first = get_queue(c);

		tl__wake_unlink(&first, n);
		set_queue(lock, c, first);
	}
	tl__unlock(&lock->lock);
	return queued;
}

/* Takes the mutex again, and along to it those that were woken with us. */
static void take_again(struct tl__wake_node *n)
{
	struct tl__wake_mutex *m = n->mutex;
	uint32_t old = 0, state;

	while (tl__wake_cond_sleep(n, CLOCK_MONOTONIC, TL_FOREVER))
		;
	/* relaxed: DONE was seen, and nothing comes after it */
	state = atomic_load_explicit(&n->state, memory_order_relaxed);
	/* acquire: as in tl__wake_mutex_try_lock() */
	if (!atomic_compare_exchange_strong_explicit(
		    &m->word, &old,
		    tl__wake_self() |
		    (state & TL__WAKE_PASS ? TL__WAKE_SLEEPERS : 0),
		    memory_order_acquire, memory_order_relaxed))
		tl__wake_mutex_lock_slow(m, CLOCK_MONOTONIC, TL_FOREVER,
					 state & TL__WAKE_PASS, true);
	if (state & TL__WAKE_HANDED)
		m->flags &= ~TL__WAKE_ON_WAY;
	if (n->chain) {
		tl__wake_list_of(m);
		tl__wake_append(&m->first, n->chain);
	}
}

int tl__wake_cond_leave(struct tl__wake_cond *c, struct tl__wake_node *n)
{
	/* acquire: pairs with tl__wake_done() */
	if (!(atomic_load_explicit(&n->state, memory_order_acquire) &
	      TL__WAKE_DONE) && give_up(c, n)) {
		tl__wake_mutex_lock(n->mutex);
		return -ETIMEDOUT;
	}
	take_again(n);
	return 0;
}

int tl__wake_cond_wait(struct tl__wake_cond *c, struct tl__wake_mutex *m,
		       int clock, uint64_t deadline_ns)
{
	struct tl__wake_node n;

	if (unlikely(!tl__wake_clock_ok(clock)))
		return -EINVAL;
	tl__wake_cond_enter(c, m, &n);
	while (tl__wake_cond_sleep(&n, clock, deadline_ns) == -EINTR)
		;
	return tl__wake_cond_leave(c, &n);
}

/* --- signal ------------------------------------------------------------------ */

/*
 * All of the ring @n were claimed. With the mutex in our hands they go to its list;
 * else the first is woken and takes the others along to the mutex, which we could
 * not touch after having put the last of them there.
 */
static void send(struct tl__wake_node *n)
{
	struct tl__wake_mutex *m = n->mutex;

	if (likely(tl__wake_mutex_is_mine(m))) {
		tl__wake_list_of(m);
		tl__wake_append(&m->first, n);
		return;
	}
	n->chain = n;
	tl__wake_unlink(&n->chain, n);
	tl__wake_done(n, 0);
}

/* The first of the queue, now claimed by a signal; NULL if nobody waits. */
static struct tl__wake_node *claim_first(struct tl__wake_lock *lock,
					 struct tl__wake_cond *c)
{
	struct tl__wake_node *first = get_queue(c), *n = first;

	if (n) {
		set_queue(lock, c, n->next == n ? NULL : n->next);
		tl__wake_unlink(&first, n);
		claim(n, false);
	}
	return n;
}

tl__cold void tl__wake_cond_signal_slow(struct tl__wake_cond *c)
{
	struct tl__wake_lock *lock = tl__wake_lock_of(c);
	struct tl__wake_node *n;

	tl__lock(&lock->lock);
	n = claim_first(lock, c);
	tl__unlock(&lock->lock);
	if (n)
		send(n);
}

void tl__wake_cond_abandon(struct tl__wake_cond *c, struct tl__wake_node *n)
{
	struct tl__wake_lock *lock = tl__wake_lock_of(c);
	struct tl__wake_node *other = NULL;

	if (tl__wake_cond_leave(c, n) || n->by_broadcast)
		return;
	tl__lock(&lock->lock);
	if (is_waited_for(lock, c))
		other = claim_first(lock, c);
	tl__unlock(&lock->lock);
	if (other)
		send(other);
}

tl__cold void tl__wake_cond_broadcast_slow(struct tl__wake_cond *c)
{
	struct tl__wake_lock *lock = tl__wake_lock_of(c);
	struct tl__wake_node *first, *n;

	tl__lock(&lock->lock);
	n = first = get_queue(c);
	if (n) {
		set_queue(lock, c, NULL);
		do
			claim(n, true);
		while ((n = n->next) != first);
	}
	tl__unlock(&lock->lock);
	if (first)
		send(first);
}

void tl__wake_cond_reset(struct tl__wake_cond *c)
{
	c->forks = tl__wake_forks;
	/* relaxed: whoever resets it sees to it that nobody uses it */
	atomic_store_explicit(&c->first, NULL, memory_order_relaxed);
}
