/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The checked build: unlocks of mutexes that are not the caller's, waits with such
 * ones, conditions that are waited for with two mutexes at a time.
 */
#ifndef TL_WAKE_CHECKED_H
#define TL_WAKE_CHECKED_H

#ifdef TL_CHECKED
struct tl_wake;

/* The table that stands for the one of that index. */
const struct tl_wake *tl__wake_checked(unsigned int index);

/* Somebody waits for @cond with @mutex, and others do so with @other. */
void tl__wake_checked_mutex(void *cond, const void *mutex, const void *other);
#else
static inline void tl__wake_checked_mutex(void *cond, const void *mutex,
					  const void *other)
{
	(void)cond, (void)mutex, (void)other;
}
#endif

#endif
