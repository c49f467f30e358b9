/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * How long the kernel lets a thread run at a time.
 */
#ifndef TL_PRELOAD_SLICE_H
#define TL_PRELOAD_SLICE_H

#include <stdbool.h>

/*
 * Short slices for the calling thread, or those that it had before. A thread with a
 * short slice that is woken comes before one that has a longer one and is in the midst
 * of it (Linux 6.12; before that this has no effect). Its share stays what it was.
 * Nothing is done to threads of a real-time policy.
 */
void tl__slice_short(bool on);

#endif
