/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Tells the timed wait of CPython for its GIL from all others.
 */
#ifndef TL_PRELOAD_RECOGNISE_H
#define TL_PRELOAD_RECOGNISE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Whether the call of pthread_cond_timedwait() that returns to @ret is the one
 * in take_gil(). To be called from the function that was called so, or from one
 * of its callees. Allocates nothing, takes no lock.
 */
bool tl__recognise(const void *ret);

/* In the child of a fork: the thread that was adding a place is not there. */
void tl__recognise_in_child(void);

/* For the statistics. Any thread. */
struct tl__recognise_stats {
	uint64_t sites;		/* places that called */
	uint64_t found;		/* ... that were take_gil() */
	uint64_t unwound;	/* how often a stack was looked at */
};

void tl__recognise_stats(struct tl__recognise_stats *stats);

#endif
