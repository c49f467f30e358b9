/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The scheduling class of schedulers in BPF (sched_ext), for the calling thread. Where
 * no such scheduler is loaded its threads are scheduled as any.
 */
#ifndef TL_OS_EXT_H
#define TL_OS_EXT_H

#include <sched.h>
#include <stdbool.h>

#define TL__SCHED_EXT 7		/* the C library's headers do not have it yet */

static inline bool tl__set_scheduler(int policy)
{
	struct sched_param param = { .sched_priority = 0 };

	return !sched_setscheduler(0, policy, &param);
}

/*
 * Whether it has asked: not where the kernel has no such class, nor if the thread has
 * a policy that somebody has chosen.
 */
static inline bool tl__ext_ask(void)
{
	return sched_getscheduler(0) == SCHED_OTHER &&
	       tl__set_scheduler(TL__SCHED_EXT);
}

/* It is scheduled as before. */
static inline void tl__ext_leave(void)
{
	if (sched_getscheduler(0) == TL__SCHED_EXT)
		(void)tl__set_scheduler(SCHED_OTHER);
}

#endif
