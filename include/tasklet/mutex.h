/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Locks that one tasklet or thread holds at a time: the mutex, and the rlock,
 * which its holder may take again.
 *
 * They serve tasklets of one thread, of several threads, and plain threads, all
 * at once. The holder is the tasklet, not its thread; what a plain thread locks
 * its main tasklet holds. An object that nobody contends for costs one atomic
 * operation to lock and one to unlock.
 *
 * An unlock hands nothing over: it makes the first that waits runnable, and
 * whoever comes first has the lock. But one that has lost 30 times keeps
 * newcomers away until it has had its turn.
 *
 * Objects are plain memory: all bytes zero, or the initialiser, is a free lock;
 * nothing is to be destroyed. The memory may be used for something else as soon
 * as the last call on it has returned: also by one that has just locked and
 * unlocked it, while the unlock before that is on its way out.
 *
 * Contexts, unless said otherwise: tasklets and plain threads (a thread becomes
 * a scheduler with its first call that has to wait); not signal handlers.
 * Blocking calls fail as those of channels do, and then hold nothing:
 *
 *	-ETIMEDOUT	the deadline passed (_until); the lock is tried once
 *			more first
 *	-EAGAIN		it is taken, or the caller would have to wait (try)
 *	-EDEADLK	the caller holds it; or it would block, and nobody in
 *			the process could ever end that
 *	-EPERM		a trap forbids to block or to switch
 *	-ECANCELED	the caller was killed; or whatever was thrown at it
 *	-ENOMEM		no memory for the deadline or the thread's scheduler
 *
 * Memory ordering: what its holder did before an unlock is visible to whoever
 * locks it next.
 */
#ifndef TASKLET_MUTEX_H
#define TASKLET_MUTEX_H

#include <tasklet/base.h>

TL_BEGIN_DECLS

struct tl__waiter;

struct tl_mutex {
	uint32_t tl__word;
	uint32_t tl__lock;
	uint64_t tl__owner;
	struct tl__waiter *tl__queue;
};

#define TL_MUTEX_INIT { 0, 0, 0, 0 }

/* tl_mutex_lock - take it, waiting for that if need be. Returns 0 or see above. */
TL_API int tl_mutex_lock(struct tl_mutex *mutex);
TL_API int tl_mutex_lock_until(struct tl_mutex *mutex, uint64_t deadline_ns);

/*
 * tl_mutex_try_lock - take it if it is free and nobody is to have it first
 *
 * Returns 0 or -EAGAIN, also where the caller itself holds it.
 */
TL_API int tl_mutex_try_lock(struct tl_mutex *mutex);

/*
 * tl_mutex_unlock - give it up
 *
 * Never blocks or switches, and works while a tasklet is being killed. Returns 0,
 * or -EPERM if the caller doesn't hold it: then nothing has changed.
 */
TL_API int tl_mutex_unlock(struct tl_mutex *mutex);

/* Whether the caller holds it. */
TL_API bool tl_mutex_is_owned(const struct tl_mutex *mutex);

struct tl_rlock {
	struct tl_mutex tl__mutex;
	uint32_t tl__depth;
};

#define TL_RLOCK_INIT { TL_MUTEX_INIT, 0 }

/*
 * tl_rlock_lock - take it, or take it once more
 *
 * Each needs its unlock. Returns 0 or see above; -EOVERFLOW after 2^32 - 1 times.
 */
TL_API int tl_rlock_lock(struct tl_rlock *rlock);
TL_API int tl_rlock_lock_until(struct tl_rlock *rlock, uint64_t deadline_ns);

/* tl_rlock_try_lock - as tl_mutex_try_lock(), but its holder succeeds. */
TL_API int tl_rlock_try_lock(struct tl_rlock *rlock);

/* tl_rlock_unlock - undo one lock. As tl_mutex_unlock(). */
TL_API int tl_rlock_unlock(struct tl_rlock *rlock);

/* How many times the caller holds it; 0 if it doesn't. */
TL_API uint32_t tl_rlock_depth(const struct tl_rlock *rlock);

TL_END_DECLS

#endif
