/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The futex system call: absolute CLOCK_MONOTONIC deadlines, process-private.
 */
#ifndef TL_OS_FUTEX_H
#define TL_OS_FUTEX_H

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
