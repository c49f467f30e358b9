/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Objects that one thread uses without any atomic operation, until a second one
 * comes: a lock that is biased towards the thread that made them.
 *
 * All objects of a scheduler that are local share one biased lock. Their thread
 * enters it by a store and a load; another thread stops it, by a store, a
 * membarrier(2) in all threads and a load, and makes the object it wants a shared
 * one, with a lock of its own, for ever.
 *
 *	the owner			the other, holding the lock of threads.c
 *	in_local = 1			local_stopped = 1
 *	(compiler barrier)		membarrier
 *	local_stopped? out again	wait until in_local is 0
 *
 * Either the owner sees that it is stopped, or the other sees that it is in:
 * Dekker's algorithm; the asymmetric fences are those of Dice, Huang and Yang,
 * "Asymmetric Dekker Synchronization" (2001).
 *
 * A section has no switch in it, no system call, and runs no foreign code.
 */
#ifndef TL_CORE_LOCAL_H
#define TL_CORE_LOCAL_H

#include "core/task.h"

/* The owner's part. False: it is stopped. */
static inline bool tl__local_enter(struct tl_sched *s)
{
	/* relaxed: ordered against the load below by the other's membarrier */
	atomic_store_explicit(&s->in_local, 1, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
	/*
	 * acquire: pairs with tl__local_resume(), which objects are shared now;
	 * a 0 from before the stop makes the other wait for us
	 */
	if (likely(!atomic_load_explicit(&s->local_stopped,
					 memory_order_acquire)))
		return true;
	/* release: pairs with tl__local_stop() */
	atomic_store_explicit(&s->in_local, 0, memory_order_release);
	return false;
}

static inline void tl__local_leave(struct tl_sched *s)
{
	/* release: pairs with tl__local_stop(): all that was done inside */
	atomic_store_explicit(&s->in_local, 0, memory_order_release);
}

/* The owner waits until it is not stopped any more. */
void tl__local_wait(void);

/*
 * The other's part: keeps @s out until tl__local_resume(). With the lock of
 * threads.c, which is what keeps @s alive. No effect on the calling thread.
 */
void tl__local_stop(struct tl_sched *s);
void tl__local_resume(struct tl_sched *s);

#endif
