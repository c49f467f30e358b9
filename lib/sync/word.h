/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The lock word: what mutex, rlock and rwlock are made of. The mutex is the
 * rwlock's writer's half.
 *
 * Owns `tl__word`, `tl__owner` and the queue of struct tl_mutex, and `tl__writers`
 * (how many writers are queued) of struct tl_rwlock. The bits, in the manner of
 * nsync. "Missed": may it be clear though what it says is so; "stale": may it be
 * set though that isn't so.
 *
 * bit       it says         set by               cleared by          missed stale
 *
 * LOCKED    a writer has    who takes it         its holder          no     no
 *           the lock
 * WAITERS   the queue is    who queues itself,   who takes the last  no     no
 *           not empty       under the queue's    one off, likewise          (1)
 *                           lock
 * WOKEN     one that was    who claims it, to    each that was       yes    no
 *           woken has not   wake it              woken: when it      (2)
 *           tried again                          takes the lock,
 *           yet                                  queues itself again
 *                                                or gives up
 * KEEP_OFF  one has lost    that one, when it    that one, when it   yes    no
 *           often: new-     queues itself        takes the lock or   (3)
 *           comers wait     again                gives up
 * WRITERS   a writer is     a writer that        who takes the last  no     no
 *           queued          queues itself        one off                    (1)
 * READERS   the readers,    each reader          each reader         no     no
 * (24 bits) counted
 *
 * (1) as seen with the queue's lock held.
 * (2) several readers are woken together, and the first of them clears it: then
 *     somebody may be woken without need. It is never set without one on his
 *     way, who clears it: that would be a lost wake-up.
 * (3) where several have set it, the first clears it. It only delays the others'
 *     turn by their next loss.
 *
 * While LOCKED and READERS are clear, and WAITERS set, WOKEN is set; or whoever
 * cleared the former is about to look (settle()). An unlock therefore finds out
 * whom to wake, and claims it, while it still has the lock; the exchange that
 * gives the lock up is its last access, for the next holder may free the memory.
 *
 * The owner is written by the writer alone, while it has the lock: it finds
 * itself there if and only if it has it, and others find anything but themselves.
 */
#ifndef TL_SYNC_WORD_H
#define TL_SYNC_WORD_H

#include <tasklet/rwlock.h>

#include "sync/wait.h"

#define TL__LOCKED	(1u << 0)
#define TL__WAITERS	(1u << 1)
#define TL__WOKEN	(1u << 2)
#define TL__KEEP_OFF	(1u << 3)
#define TL__WRITERS	(1u << 4)
#define TL__READER	(1u << 8)
#define TL__READERS	(~0u << 8)

/* A way to take the lock. */
struct tl__taking {
	uint32_t busy;		/* bits that keep a newcomer away */
	uint32_t taken;		/* those that keep away one that was woken */
	uint32_t add;		/* what takes it */
	uint32_t waiting;	/* what to set when one waits */
	bool rw;		/* it is in a struct tl_rwlock */
	bool hard;		/* nothing but the lock may end the wait */
	const struct tl__wait_ops *ops;
};

extern const struct tl__taking tl__taking_mutex;
extern const struct tl__taking tl__taking_again;	/* after a cond's wait */
extern const struct tl__taking tl__taking_write;
extern const struct tl__taking tl__taking_read;

/*
 * Takes @m, waiting until @deadline_ns if need be. If that is hard, -EDEADLK alone
 * can come of it, where all is deadlocked for good.
 */
int tl__word_lock(struct tl_mutex *m, const struct tl__taking *how,
		  uint64_t deadline_ns);

/* Gives up what the caller has: a writer's lock, whose owner is cleared, or
 * a reader's. */
void tl__word_unlock(struct tl_mutex *m, const struct tl__taking *how);

static inline bool tl__word_try(struct tl_mutex *m, uint32_t busy, uint32_t add,
				uint32_t clear)
{
	/* relaxed: a guess that the exchange checks */
	uint32_t old = __atomic_load_n(&m->tl__word, __ATOMIC_RELAXED);

	while (!(old & busy))
		/* acquire: pairs with tl__word_unlock(), what it guards */
		if (__atomic_compare_exchange_n(&m->tl__word, &old,
						(old + add) & ~clear, true,
						__ATOMIC_ACQUIRE,
						__ATOMIC_RELAXED))
			return true;
	return false;
}

/* relaxed, both: see above; it is ordered by the lock itself where it matters. */
static inline uint64_t tl__word_owner(const struct tl_mutex *m)
{
	return __atomic_load_n(&m->tl__owner, __ATOMIC_RELAXED);
}

static inline void tl__word_set_owner(struct tl_mutex *m, uint64_t owner)
{
	__atomic_store_n(&m->tl__owner, owner, __ATOMIC_RELAXED);
}

/* The frequent cases, one atomic operation each. */
static inline bool tl__word_take_free(struct tl_mutex *m)
{
	uint32_t old = 0;

	/* acquire: as in tl__word_try() */
	return __atomic_compare_exchange_n(&m->tl__word, &old, TL__LOCKED,
					   false, __ATOMIC_ACQUIRE,
					   __ATOMIC_RELAXED);
}

static inline void tl__word_give(struct tl_mutex *m)
{
	uint32_t old = TL__LOCKED;

	tl__word_set_owner(m, 0);
	/* release: pairs with tl__word_try(): what it guards */
	if (unlikely(!__atomic_compare_exchange_n(&m->tl__word, &old, 0, false,
						  __ATOMIC_RELEASE,
						  __ATOMIC_RELAXED)))
		tl__word_unlock(m, &tl__taking_mutex);
}

#endif
