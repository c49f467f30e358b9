/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The allocator and the fault injector; alloc.h says what each guarantees.
 *
 * Owns the injector's words. The invariant: between two calls of
 * tl__fault_arm() each point that is passed gets a number of its own, from 1.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"

unsigned long tl__alloc_fail_at;
bool tl__alloc_fail_after;
static unsigned long passed;

void tl__fault_arm(unsigned long nth, bool sticky)
{
	/* Relaxed, all four: see the head of alloc.h. */
	__atomic_store_n(&tl__alloc_fail_at, 0, __ATOMIC_RELAXED);
	if (!nth)
		return;
	__atomic_store_n(&passed, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&tl__alloc_fail_after, sticky, __ATOMIC_RELAXED);
	__atomic_store_n(&tl__alloc_fail_at, nth, __ATOMIC_RELAXED);
}

unsigned long tl__fault_count(void)
{
	/* Relaxed: a count, of interest once the threads are joined. */
	return __atomic_load_n(&passed, __ATOMIC_RELAXED);
}

/* Out of line and cold: here to keep tl__fault() small. */
tl__cold bool tl__fault_slow(void)
{
	/* Relaxed: the one variable's modification order makes n unique. */
	unsigned long at = __atomic_load_n(&tl__alloc_fail_at, __ATOMIC_RELAXED);
	bool after = __atomic_load_n(&tl__alloc_fail_after, __ATOMIC_RELAXED);
	unsigned long n;

	/* Disarmed since tl__fault() looked. */
	if (!at)
		return false;
	n = __atomic_add_fetch(&passed, 1, __ATOMIC_RELAXED);
	return after ? n >= at : n == at;
}

void *tl__malloc(size_t size)
{
	int saved = errno;
	void *p;

	if (tl__fault())
		return NULL;
	p = malloc(size ? size : 1);
	if (!p)
		errno = saved;
	return p;
}

void *tl__calloc(size_t n, size_t size)
{
	int saved = errno;
	void *p;

	if (tl__fault())
		return NULL;
	p = n && size ? calloc(n, size) : calloc(1, 1);
	if (!p)
		errno = saved;
	return p;
}

void *tl__realloc(void *p, size_t size)
{
	int saved = errno;

	if (tl__fault())
		return NULL;
	p = realloc(p, size ? size : 1);
	if (!p)
		errno = saved;
	return p;
}

void tl__free(void *p)
{
	/* free() may set errno before glibc 2.33. */
	int saved = errno;

	free(p);
	errno = saved;
}
