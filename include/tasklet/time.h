/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The clock that deadlines are of, and sleeping.
 */
#ifndef TASKLET_TIME_H
#define TASKLET_TIME_H

#include <tasklet/base.h>

TL_BEGIN_DECLS

/* Nanoseconds of CLOCK_MONOTONIC. Contexts: any, signal handlers too. */
TL_API uint64_t tl_now(void);

/* tl_after - the deadline that is @ns from now; saturates at TL_FOREVER. */
TL_API uint64_t tl_after(uint64_t ns);

/*
 * tl_sleep_until - block the calling tasklet until the deadline
 *
 * Tasklets with equal deadlines wake in the order in which they went to sleep.
 * A deadline that has passed still lets the others run first.
 *
 * Contexts: tasklets and plain threads; a plain thread sleeps too, and its other
 * tasklets run. No synchronisation with other threads. Returns 0, -EPERM (a trap),
 * -ENOMEM, -EDEADLK (TL_FOREVER, and nobody in the process can ever wake anybody:
 * see channel.h), or what was thrown at the caller, by whatever thread.
 */
TL_API int tl_sleep_until(uint64_t deadline_ns);
TL_API int tl_sleep(uint64_t ns);

TL_END_DECLS

#endif
