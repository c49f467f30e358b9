/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the stall detector wants of the rest of lib/core. Its samples are taken
 * on the monitor's thread: see monitor.h for how that one is told from others.
 */
#ifndef TL_CORE_STALL_H
#define TL_CORE_STALL_H

/*
 * A thread has become a scheduler: turns the detector on if TL_STALL says so, or
 * if it was on in the process that has forked this one.
 */
void tl__stall_thread_starts(void);

#endif
