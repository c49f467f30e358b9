/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The implementations behind <tasklet/wake.h>, one file each, and what their
 * functions make of the caller's memory.
 */
#ifndef TL_WAKE_IMPL_H
#define TL_WAKE_IMPL_H

#include <tasklet/wake.h>

extern const struct tl_wake tl__wake_futex;
extern const struct tl_wake tl__wake_emulated;
extern const struct tl_wake tl__wake_pthread;
extern const struct tl_wake tl__wake_birrell;

/* Whoever was woken is done with the condition when signal and broadcast return. */
void tl__wake_table_cond_done(struct tl_wake_cond *cond);

/* The mutex and the semaphore of futex.c, which `emulated` and `birrell` have too. */
void tl__wake_table_lock(struct tl_wake_mutex *mutex);
int tl__wake_table_try_lock(struct tl_wake_mutex *mutex);
void tl__wake_table_unlock(struct tl_wake_mutex *mutex);
int tl__wake_table_sem_wait(struct tl_wake_sem *sem, int clock,
			    uint64_t deadline_ns);
int tl__wake_table_sem_try_wait(struct tl_wake_sem *sem);
int tl__wake_table_sem_post(struct tl_wake_sem *sem);

#endif
