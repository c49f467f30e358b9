/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Memory, and the fault injector that tests make it fail with.
 *
 * Owns the only way by which the library allocates, and the points at which a
 * failure can be forced. The invariants: a failed call returns NULL and has
 * changed nothing; NULL means failure and never "size 0"; errno is left as it
 * was. The injector is always compiled in, so that what is tested is what is
 * shipped; while it is not armed it costs a load and one branch that is never
 * taken.
 *
 * The order of all its atomics is relaxed, because no word here publishes
 * other data: an ordinal is all that a thread takes from them. The modification
 * order that each word has on its own, relaxed or not, is enough to give every
 * point a number of its own, and so to fail exactly one of several threads that
 * race for number n. Arming while other threads run is no data race either,
 * but then it is open from which of their points on it counts.
 */
#ifndef TL_BASE_ALLOC_H
#define TL_BASE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"

/* The number of the point that fails, counted from 1; 0: not armed. */
extern unsigned long tl__alloc_fail_at;

/* Whether each point after that one fails too. */
extern bool tl__alloc_fail_after;

bool tl__fault_slow(void);

/*
 * Passes an injection point: true means that the caller has to do as if the
 * call that follows had failed. Call it before mmap() and those system calls
 * whose failure is to be tested; tl__malloc() and its like call it themselves.
 * Async-signal-safe.
 */
static inline bool tl__fault(void)
{
	/* Relaxed: see the head of this file. */
	if (likely(!__atomic_load_n(&tl__alloc_fail_at, __ATOMIC_RELAXED)))
		return false;
	return tl__fault_slow();
}

/*
 * Makes the nth point from now fail, and with sticky all after it as well;
 * sets the count to 0. nth 0 disarms and leaves the count. ULONG_MAX only
 * counts.
 */
void tl__fault_arm(unsigned long nth, bool sticky);

/*
 * How many points were passed since tl__fault_arm(), up to when it was
 * disarmed; the ones that failed included. That it is nth or more means
 * that the fault was injected.
 */
unsigned long tl__fault_count(void);

/*
 * As their namesakes, but for size 0, which gives a pointer like any other,
 * and for errno. Any thread; not in signal handlers.
 */
void *tl__malloc(size_t size) __attribute__((malloc, warn_unused_result));
void *tl__calloc(size_t n, size_t size)
	__attribute__((malloc, warn_unused_result));
void *tl__realloc(void *p, size_t size) __attribute__((warn_unused_result));
void tl__free(void *p);

#endif
