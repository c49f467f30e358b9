/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The slow halves of the short lock; see lock.h.
 */
#include "os/lock.h"

#include <errno.h>

#include "base/probe.h"
#include "os/futex.h"
#include "os/pause.h"

/* A critical section takes some 10 ns: this often is enough if its holder runs. */
#ifndef TL__LOCK_SPINS
#define TL__LOCK_SPINS 100
#endif

tl__cold void tl__lock_slow(struct tl__lock *lock)
{
	int saved = errno;
	uint32_t free;
	int i;

	for (i = 0; i < TL__LOCK_SPINS; i++) {
		tl__pause();
		free = 0;
		/* relaxed: only a look; then as in tl__lock() */
		if (atomic_load_explicit(&lock->word, memory_order_relaxed) == 0 &&
		    atomic_compare_exchange_weak_explicit(
			    &lock->word, &free, 1, memory_order_acquire,
			    memory_order_relaxed))
			return;
	}
	/* acquire: as in tl__lock() */
	while (atomic_exchange_explicit(&lock->word, 2, memory_order_acquire))
		tl__futex_wait(&lock->word, 2, TL_FOREVER);
	errno = saved;
}

/* The lock may be taken again, or its memory be gone: see tl__futex_wake(). */
tl__cold void tl__unlock_slow(struct tl__lock *lock)
{
	int saved = errno;

	tl__probe_wake(TL_PROBE_WAKE_LOCK, &lock->word, 1);
	tl__futex_wake(&lock->word, 1);
	errno = saved;
}
