/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * tl_run() as the rest of the core sees it.
 */
#ifndef TL_CORE_RUN_H
#define TL_CORE_RUN_H

#include "core/task.h"

/* A paused tasklet goes to the end of the ring. */
void tl__unpause(struct tl_sched *s, struct tl_task *t);

/*
 * Nothing can run: wakes the innermost run(), or the main tasklet if it is
 * paused. Returns whether that made something runnable.
 */
bool tl__run_wake_innermost(struct tl_sched *s);

/*
 * An error that nobody caught goes to the innermost run(), or else to the main
 * tasklet, which becomes the head of the ring in any case. Takes @error.
 */
void tl__run_deliver(struct tl_sched *s, struct tl_error *error);

/*
 * Nothing can run here: whether the innermost run(), which would be woken, wants
 * to sleep as long as other threads could give this one something to do.
 */
bool tl__run_innermost_threadblock(const struct tl_sched *s);

#endif
