/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The checked build (make CHECKED=yes): finds pthread locks that a tasklet holds
 * while it waits or lets others run. Its thread would go on with other tasklets,
 * and stop as a whole in the first that wants that lock. And how what is found there
 * and elsewhere is told.
 */
#ifndef TL_CORE_CHECKED_H
#define TL_CORE_CHECKED_H

#include <tasklet/base.h>

struct tl_task;

#ifdef TL_CHECKED
/*
 * Tells what was found at @place, an address in the code: once a place. With
 * TL_CHECKED=abort in the environment the process ends there. Keeps errno.
 */
void tl__checked_report(void *place, const char *fmt, ...) TL_PRINTF(2, 3);

/* @me is about to be left for another tasklet, or for a sleep; it @does that. */
void tl__checked_leave(const struct tl_task *me, const char *does);
#else
static inline void tl__checked_leave(const struct tl_task *me, const char *does)
{
	(void)me, (void)does;
}
#endif

#endif
