/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * One thread that waits for a GIL: a word that says why it is woken, and sleep.
 *
 * The word and what it says:
 *
 *	WAITS	the thread looks at the word
 *	SLEEPS	the thread may be in the kernel: who changes the word wakes it.
 *		Set by the thread itself only; may be set without need
 *	GO	it is its turn. Set once, by whoever took it out of its queue; the
 *		waiter may be gone as soon as that is there
 *	ASK	it shall ask the holder to drop. It is still in its queue
 */
#ifndef TL_PRELOAD_GIL_WAIT_H
#define TL_PRELOAD_GIL_WAIT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

enum { TL__WAITS, TL__SLEEPS, TL__GO, TL__ASK };

struct tl__waiter {
	struct tl__list link;		/* of its queue: under the mutex */
	_Atomic uint32_t word;
	bool queued;			/* under the mutex */
	bool is_io;
	bool asked;			/* for a drop, and waits for no time to do so */
	int cpu;			/* where it runs */
	const void *thread;
};

/* Makes it GO or ASK, and wakes it. It may be gone on return after GO. */
void tl__waiter_wake(struct tl__waiter *w, uint32_t word);

/*
 * Waits until it is woken or until @deadline_ns (CLOCK_MONOTONIC, TL_FOREVER); looks
 * at the word for @spin_ns before it sleeps, where another processor can change it.
 * Returns the word: WAITS after a time-out.
 */
uint32_t tl__waiter_wait(struct tl__waiter *w, uint64_t deadline_ns,
			 uint64_t spin_ns);

/* In the child of a fork: those that looked are not there. */
void tl__waiter_in_child(void);

#endif
