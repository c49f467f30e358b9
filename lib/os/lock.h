/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A lock for a few instructions between threads: four bytes, one atomic
 * operation to take and one to release it. It protects the queues of objects
 * that tasklets of several threads wait on; nobody switches with it.
 *
 * The word and what it says (Drepper, "Futexes Are Tricky", mutex 3):
 *
 *	0  free
 *	1  taken
 *	2  taken, and somebody may sleep: whoever releases it wakes one.
 *	   May be set without need; never missed: a sleeper sets it itself,
 *	   in the exchange that finds the lock taken
 *
 * Order: a thread holds one such lock at a time, or several of channels in
 * order of their addresses (tl_select()).
 */
#ifndef TL_OS_LOCK_H
#define TL_OS_LOCK_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/compiler.h"

struct tl__lock {
	_Atomic uint32_t word;
};

#define TL__LOCK_INIT { 0 }

void tl__lock_slow(struct tl__lock *lock);
void tl__unlock_slow(struct tl__lock *lock);

static inline void tl__lock(struct tl__lock *lock)
{
	uint32_t free = 0;

	/* acquire: pairs with tl__unlock(); relaxed: nothing was taken */
	if (unlikely(!atomic_compare_exchange_strong_explicit(
		    &lock->word, &free, 1, memory_order_acquire,
		    memory_order_relaxed)))
		tl__lock_slow(lock);
}

static inline void tl__unlock(struct tl__lock *lock)
{
	/* release: pairs with tl__lock(): all that was done with the lock */
	if (unlikely(atomic_exchange_explicit(&lock->word, 0,
					      memory_order_release) == 2))
		tl__unlock_slow(lock);
}

#endif
