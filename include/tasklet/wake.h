/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Mutexes, conditions and semaphores for OS threads, in several implementations
 * behind one table of functions, so that they can be compared in one run and
 * switched at run time:
 *
 *	futex		ours: a mutex of one word; a condition whose waiters queue
 *			in the order in which they came, each on a word of its own.
 *			A signal while the mutex is held moves the waiter to the
 *			mutex: the unlock wakes it, when it can have it
 *	emulated	a condition made of a semaphore and counters, the way
 *			PythonPlus did it. A newcomer leaves the tokens of those
 *			who were signalled alone
 *	pthread		what the C library has
 *	birrell		the textbook's condition made of semaphores, in which who
 *			signals waits for who is woken. To compare with, not to use
 *
 * Here a thread that waits blocks, with all of its tasklets: tl_mutex and its kin
 * are for those. An object belongs to one implementation from its first use on.
 *
 * All bytes zero is a mutex that is free, a condition that nobody waits for, a
 * semaphore without tokens, of each implementation: so is TL_WAKE_INIT.
 *
 * Rules, the same for all:
 *	- A condition is used with one mutex at a time: all who wait at once have
 *	  locked the same one.
 *	- cond_signal() and cond_broadcast() may be called with or without it.
 *	- A wait may end for no reason. Signals are not lost: a signal ends the
 *	  wait of somebody who waited when it was sent, whoever comes later, and
 *	  also if it crosses a deadline: who was chosen returns 0.
 *	- The memory of a mutex may be used for something else once the last unlock
 *	  has begun to return in the thread that locks it last (locks it, unlocks
 *	  it, frees it); that of a semaphore once the last sem_wait() has returned;
 *	  that of a condition once all waits have returned, or after a broadcast
 *	  and cond_destroy(), though those that it woke have not returned.
 *	- Objects are for the threads of one process, and not robust. In the child
 *	  of a fork, futex and emulated know that nobody else waits any more; a
 *	  mutex that another thread had then stays locked.
 *
 * Contexts: any thread; sem_post() also signal handlers. Not cancellation points.
 * Nothing here allocates; errno is not changed.
 *
 * Memory ordering: what was done before an unlock is visible after the next lock;
 * before a post, after the wait that takes its token. Signals order nothing beyond
 * what the mutex does.
 */
#ifndef TASKLET_WAKE_H
#define TASKLET_WAKE_H

#include <tasklet/base.h>

TL_BEGIN_DECLS

/* As large as pthread's are on aarch64, where they are largest. */
struct tl_wake_mutex {
	uint64_t tl__words[6];
};

struct tl_wake_cond {
	uint64_t tl__words[6];
};

struct tl_wake_sem {
	uint64_t tl__words[4];
};

#define TL_WAKE_INIT { { 0 } }

/*
 * One implementation. Deadlines are nanoseconds of @clock, which is
 * CLOCK_MONOTONIC or CLOCK_REALTIME; TL_FOREVER: none. Waits return 0, -ETIMEDOUT,
 * or -EINVAL for another clock, without having waited.
 */
struct tl_wake {
	const char *name;

	void (*mutex_lock)(struct tl_wake_mutex *mutex);
	/* 0 or -EAGAIN */
	int (*mutex_try_lock)(struct tl_wake_mutex *mutex);
	/* The caller has locked it. */
	void (*mutex_unlock)(struct tl_wake_mutex *mutex);

	/* The caller has locked @mutex, and has it again when it returns. */
	int (*cond_wait)(struct tl_wake_cond *cond, struct tl_wake_mutex *mutex,
			 int clock, uint64_t deadline_ns);
	/* Ends the wait of one, if somebody waits. */
	void (*cond_signal)(struct tl_wake_cond *cond);
	/* Ends the wait of all who wait. */
	void (*cond_broadcast)(struct tl_wake_cond *cond);

	/*
	 * Nobody waits but those that signals and broadcasts have woken: returns
	 * when they don't come back to the memory of @cond any more, whoever has
	 * the mutex. It is a condition again if all of its bytes are zero. At once
	 * but with emulated and pthread, which wait until each of them has run.
	 */
	void (*cond_destroy)(struct tl_wake_cond *cond);

	/* Takes a token, when there is one. */
	int (*sem_wait)(struct tl_wake_sem *sem, int clock,
			uint64_t deadline_ns);
	/* 0 or -EAGAIN */
	int (*sem_try_wait)(struct tl_wake_sem *sem);
	/* Adds a token. 0, or -EOVERFLOW: there are 2^31 - 1. */
	int (*sem_post)(struct tl_wake_sem *sem);
};

/*
 * tl_wake_find - the implementation of that name
 *
 * Returns NULL if there is none. Contexts: any thread.
 */
TL_API const struct tl_wake *tl_wake_find(const char *name);

/*
 * tl_wake_at - all of them, by index from 0; NULL after the last
 *
 * Contexts: any thread.
 */
TL_API const struct tl_wake *tl_wake_at(unsigned int index);

TL_END_DECLS

#endif
