/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The locks of the measured program: as an interpreter offers them to programs,
 * on an implementation of <tasklet/wake.h>, for threads that hold the GIL.
 *
 * A lock is binary and may be released by another thread than took it, as
 * Python's threading.Lock. To take one that is free keeps the GIL; to wait for
 * one lets go of it, once a first try has failed. A condition is the
 * implementation's own with its mutex, and waits as the lock does.
 *
 * Order: a thread that waits for the GIL may hold the mutex of a condition, never
 * the other way round: nobody blocks for a mutex with the GIL.
 */
#ifndef TL_GILTEST_LOCK_H
#define TL_GILTEST_LOCK_H

#include <tasklet/wake.h>

/* All zero with an implementation: taken. */
struct lock {
	const struct tl_wake *wake;
	struct tl_wake_sem sem;	/* a token: it is free */
};

void lock_acquire(struct lock *l);

/* One that is taken, by whomever. Any thread, with the GIL or without. */
void lock_release(struct lock *l);

struct cond {
	const struct tl_wake *wake;
	struct tl_wake_mutex mutex;
	struct tl_wake_cond cond;
};

void cond_acquire(struct cond *c);
void cond_release(struct cond *c);

/* The caller has acquired it. May return for no reason. */
void cond_await(struct cond *c);
void cond_notify(struct cond *c);

/* All of them; any thread, with the GIL or without, but one that has acquired it. */
void cond_notify_all(struct cond *c);

#endif
