/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * How many threads of the process the library knows: those with a scheduler and
 * its own helpers. Whether there are others decides whether a wait without any
 * end in sight is a deadlock: a thread that has never called the library may
 * still do so.
 */
#ifndef TL_OS_TIDS_H
#define TL_OS_TIDS_H

#include <stdbool.h>

/* The calling thread is known from now on; is not any more. */
void tl__tids_enter(void);
void tl__tids_leave(void);

/* In the child of a fork: only the calling thread is left. */
void tl__tids_after_fork(bool known);

/*
 * Whether the process has a thread that is not known. Reads /proc, some 2 us.
 * True if it can't be told. A thread that has just ended may count for a moment.
 */
bool tl__tids_unknown(void);

#endif
