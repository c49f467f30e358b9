/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Conditions: waiting, with a lock given up for that time, until somebody
 * notifies.
 *
 * A wait may go with a mutex, with an rlock (all its levels are given up, and
 * taken again), or with no lock at all, where NULL stands for the mutex: enough
 * for tasklets of one thread, which nothing interrupts between their look at the
 * data and their wait. All waits on a condition at a time go with the same lock.
 *
 * A notification goes to those that wait when it is made, first come first
 * served, and to nobody else: none is kept for later, and none is lost because
 * the one it went to is slow to run, or another's wait was killed or timed out.
 * So there is no wait that only tries: it could find nothing.
 *
 * Whatever a wait returns, the lock is held again, with the same depth. Nothing
 * interrupts that: what is thrown at the caller meanwhile is reported by its next
 * blocking call. The one exception: if the lock can never be had again, because
 * all is deadlocked, the result is -ENOTRECOVERABLE, and the lock isn't held.
 *
 * Who uses it, its memory, contexts and errors: as tasklet/mutex.h has it; a wait
 * without owning the lock is refused with -EPERM and changes nothing. Memory
 * ordering: what was done before a notification is visible to those that it
 * wakes; the rest is the lock's.
 */
#ifndef TASKLET_COND_H
#define TASKLET_COND_H

#include <tasklet/mutex.h>

TL_BEGIN_DECLS

struct tl_cond {
	uint32_t tl__lock;
	uint32_t tl__waiters;
	struct tl__waiter *tl__queue;
};

#define TL_COND_INIT { 0, 0, 0 }

/*
 * tl_cond_wait - give @mutex up, wait for a notification, take it again
 *
 * There are no wake-ups without a notification; but what the caller waits for
 * may have changed again before it has the lock, so that a loop is needed.
 */
TL_API int tl_cond_wait(struct tl_cond *cond, struct tl_mutex *mutex);
TL_API int tl_cond_wait_until(struct tl_cond *cond, struct tl_mutex *mutex,
			      uint64_t deadline_ns);

/*
 * tl_cond_wait_for - that loop: until predicate(arg), called with the lock held
 *
 * It is asked first, and once more when the deadline has passed. Returns 0: it is
 * true; or why the wait ended.
 */
TL_API int tl_cond_wait_for(struct tl_cond *cond, struct tl_mutex *mutex,
			    bool (*predicate)(void *arg), void *arg);
TL_API int tl_cond_wait_for_until(struct tl_cond *cond, struct tl_mutex *mutex,
				  bool (*predicate)(void *arg), void *arg,
				  uint64_t deadline_ns);

/* The same with an rlock. */
TL_API int tl_cond_rwait(struct tl_cond *cond, struct tl_rlock *rlock);
TL_API int tl_cond_rwait_until(struct tl_cond *cond, struct tl_rlock *rlock,
			       uint64_t deadline_ns);
TL_API int tl_cond_rwait_for(struct tl_cond *cond, struct tl_rlock *rlock,
			     bool (*predicate)(void *arg), void *arg);
TL_API int tl_cond_rwait_for_until(struct tl_cond *cond, struct tl_rlock *rlock,
				   bool (*predicate)(void *arg), void *arg,
				   uint64_t deadline_ns);

/*
 * tl_cond_notify - wake the first @count that wait
 *
 * The caller need not hold the lock; it never blocks or switches. Returns how
 * many there were.
 */
TL_API uint32_t tl_cond_notify(struct tl_cond *cond, uint32_t count);
TL_API uint32_t tl_cond_notify_all(struct tl_cond *cond);

TL_END_DECLS

#endif
