/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The slow half of the biased lock; see local.h.
 */
#include "core/local.h"

#include <errno.h>
#include <time.h>

#include "core/threads.h"
#include "os/membarrier.h"
#include "os/pause.h"

/* A section is some 10 ns long: longer means that its thread does not run. */
#define SPINS 200
#define PAUSE_NS 50000

void tl__local_wait(void)
{
	tl__threads_lock();
	tl__threads_unlock();
}

void tl__local_stop(struct tl_sched *s)
{
	static const struct timespec pause = { .tv_nsec = PAUSE_NS };
	int saved = errno;
	int i;

	if (s == tl__sched_self)
		return;
	/* relaxed: the membarrier orders it before the loads below */
	atomic_store_explicit(&s->local_stopped, 1, memory_order_relaxed);
	tl__membarrier();
	/* acquire: pairs with tl__local_leave() */
	for (i = 0; atomic_load_explicit(&s->in_local, memory_order_acquire);
	     i++) {
		if (i < SPINS)
			tl__pause();
		else
			nanosleep(&pause, NULL);
	}
	errno = saved;
}

void tl__local_resume(struct tl_sched *s)
{
	/* release: pairs with tl__local_enter(): what is shared now */
	atomic_store_explicit(&s->local_stopped, 0, memory_order_release);
}
