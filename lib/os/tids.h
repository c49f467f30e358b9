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

/*
 * Something of the program is to run on a helper of the library's, which may do
 * there what an unknown thread may; begins before anybody relies on it, ends when
 * it is over, or will never be. Any thread. In the child of a fork: there is none.
 */
void tl__tids_work_begins(void);
void tl__tids_work_ends(void);
void tl__tids_work_after_fork(void);

/* In the child of a fork: only the calling thread is left. */
void tl__tids_after_fork(bool known);

/*
 * Whether the process has a thread that is not known, or such work. Reads /proc,
 * some 2 us.
 * True if it can't be told. A thread that has just ended may count for a moment.
 */
bool tl__tids_unknown(void);

#endif
