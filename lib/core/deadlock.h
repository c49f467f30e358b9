/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What is said of a deadlock. When it is one, is known to threads.c and park.c.
 */
#ifndef TL_CORE_DEADLOCK_H
#define TL_CORE_DEADLOCK_H

#include "core/task.h"

/*
 * Notes what the calling thread's tasklets wait for. Also writes it to standard
 * error, if the user wants that. To be called before the wait of the one who is
 * told is undone.
 */
void tl__deadlock_note(struct tl_sched *s);

#endif
