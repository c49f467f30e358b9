/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The futex system call: absolute deadlines, CLOCK_MONOTONIC unless another clock
 * is named; process-private.
 */
#ifndef TL_OS_FUTEX_H
#define TL_OS_FUTEX_H

#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <tasklet/base.h>

#include "os/clock.h"

/* Sleeps while *word == value; may return early for no reason. */
static inline void tl__futex_wait(_Atomic uint32_t *word, uint32_t value,
				  uint64_t deadline_ns)
{
	struct timespec ts = tl__timespec(deadline_ns);

	syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, value,
		deadline_ns == TL_FOREVER ? NULL : &ts, NULL,
		FUTEX_BITSET_MATCH_ANY);
}

/*
 * The same by CLOCK_MONOTONIC or CLOCK_REALTIME, and with an answer: 0, woken
 * (perhaps for no reason), or -EAGAIN, -EINTR, -ETIMEDOUT. A wake-up that came to
 * this sleeper is never told as anything but 0. Keeps errno.
 */
static inline int tl__futex_wait_by(_Atomic uint32_t *word, uint32_t value,
				    int clock, uint64_t deadline_ns)
{
	struct timespec ts = tl__timespec(deadline_ns);
	int saved = errno, r;

	r = (int)syscall(SYS_futex, word,
			 FUTEX_WAIT_BITSET_PRIVATE |
			 (clock == CLOCK_REALTIME ? FUTEX_CLOCK_REALTIME : 0),
			 value, deadline_ns == TL_FOREVER ? NULL : &ts, NULL,
			 FUTEX_BITSET_MATCH_ANY);
	r = r ? -errno : 0;
	errno = saved;
	return r;
}

static inline void tl__futex_wake(_Atomic uint32_t *word, int count)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

/* For a word that io_uring waits on, with the key that is not private. */
static inline void tl__futex_wake_shared(_Atomic uint32_t *word, int count)
{
	syscall(SYS_futex, word, FUTEX_WAKE, count, NULL, NULL, 0);
}

#endif
