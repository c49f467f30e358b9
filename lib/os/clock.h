/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The clock of all deadlines, and conversions for system calls.
 */
#ifndef TL_OS_CLOCK_H
#define TL_OS_CLOCK_H

#include <stdint.h>
#include <time.h>

#define TL__NS_PER_SEC UINT64_C(1000000000)

static inline uint64_t tl__clock(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * TL__NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

static inline uint64_t tl__now(void)
{
	return tl__clock(CLOCK_MONOTONIC);
}

/* For how long the calling thread has had a processor. A system call. */
static inline uint64_t tl__computed(void)
{
	return tl__clock(CLOCK_THREAD_CPUTIME_ID);
}

static inline struct timespec tl__timespec(uint64_t ns)
{
	struct timespec ts = {
		.tv_sec = (time_t)(ns / TL__NS_PER_SEC),
		.tv_nsec = (long)(ns % TL__NS_PER_SEC),
	};

	return ts;
}

#endif
