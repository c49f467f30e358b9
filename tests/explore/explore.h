/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A systematic explorer of interleavings, in the manner of CHESS (Musuvathi and Qadeer, 2007): the library's own sources,
 * compiled so that each atomic operation, futex call and lock asks here which thread goes on.
 *
 * Owns the threads of a scenario. Invariant: one of them runs, the one that has the baton; the others wait for it, each
 * at the operation that it will do next. An execution is the list of these choices; it is run again and again, depth
 * first, until each list has been taken in which at most N times a thread is left that could have gone on (preemption).
 * A thread in a futex wait can't go on until it is woken; one with a deadline may be chosen, and then has timed out (again
 * only after each that can go on, or sleeps until an earlier time, has taken a step): the clock that the library reads
 * stands still otherwise. If none can go on and not all are done, a wake-up was lost.
 *
 * What it can't see: memory orders (every interleaving is sequentially consistent; the tests under the thread sanitizer
 * and on aarch64 look for the rest), races between plain accesses (as before), and early returns of a futex wait.
 *
 * A loop that waits for another thread (tl__pause() more than a few times, sched_yield(), nanosleep()) hands over to
 * one that can go on, and does not come back before each of those has taken a step: that is no preemption.
 */
#ifndef EXPLORE_H
#define EXPLORE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXPLORE_THREADS 4

struct explore_scenario {
	const char *name;
	const char *what;		/* what must hold, in a few words */
	int threads;
	int bound;			/* preemptions; 0: EXPLORE_BOUND */
	void (*setup)(void);		/* before each execution, alone */
	void (*begin)(int me);		/* each thread in turn, without choices */
	void (*body)(int me);		/* the threads of which the order is explored */
	void (*finish)(int me);		/* each thread in turn, without choices */
	void (*check)(void);		/* alone */
	/* How many executions are known to exist at its bound; 0: nobody has counted. */
	unsigned long wanted;
};

#define EXPLORE_BOUND 3

/* Defined by each file of scenarios; a name of NULL ends the list. */
extern const struct explore_scenario explore_self[], explore_core[], explore_chan[], explore_sync[], explore_gil[],
	explore_preload[];

/* A bug: says what, and the schedule that leads to it, and ends the process. */
void explore_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

#define explore_assert(cond)						\
	do {								\
		if (!(cond))						\
			explore_fail("%s:%d: %s", __FILE__, __LINE__, #cond); \
	} while (0)

/* Memory that is gone: whoever does an atomic operation there from now on has a bug. */
void explore_gone(const void *memory, size_t size, const char *name);

/* What yield.h puts in place of the real ones. @address is what the operation is about to touch. */
void explore_point(const volatile void *address, const char *what, const char *file, int line);
void explore_futex_wait(_Atomic uint32_t *word, uint32_t value, uint64_t deadline_ns, const char *file, int line);
/* The same with an answer: 0, -EAGAIN or -ETIMEDOUT. */
int explore_futex_wait_by(_Atomic uint32_t *word, uint32_t value, uint64_t deadline_ns, const char *file, int line);
void explore_futex_wake(_Atomic uint32_t *word, int count, const char *file, int line);
void explore_pause(const char *file, int line);
int explore_yield(const char *file, int line);
void explore_mutex_lock(pthread_mutex_t *mutex, const char *file, int line);
void explore_mutex_unlock(pthread_mutex_t *mutex);
uint64_t explore_now(void);

/* A point of the scenario's own, between two of its plain accesses. */
#define explore_here() explore_point(NULL, "here", __FILE__, __LINE__)

#endif
