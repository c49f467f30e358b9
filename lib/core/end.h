/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The end of a tasklet.
 */
#ifndef TL_CORE_END_H
#define TL_CORE_END_H

#include "core/task.h"

/*
 * @t, which is in no list and does not run, is dead: gives back what it holds,
 * and its stack too if it has no handle.
 */
void tl__task_buried(struct tl_sched *s, struct tl_task *t);

/* The end of @me, the current tasklet, as if its function had returned. */
void tl__task_end(struct tl_task *me, int result) __attribute__((noreturn));

/* "tasklet 12 (name)", in a buffer of the calling thread. */
const char *tl__task_label(const struct tl_task *t);

/* @task, whose scheduler has ended, lost its last handle. */
void tl__orphan_release(struct tl_task *task);

/* Puts the stack of a tasklet that nobody refers to back into the cache. */
void tl__stack_release(struct tl_sched *s, struct tl_task *t);

#endif
