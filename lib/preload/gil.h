/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * An unmodified CPython's GIL, with priority for the threads that wait for IO.
 *
 * CPython's GIL is a flag under a mutex, with a condition: who finds the flag set
 * waits for one interval of 5 ms, and only when that has passed asks the holder to
 * drop it. We stand between CPython and the mutex and condition. A thread that comes
 * back from outside is told at once that its interval is over, so CPython asks at
 * once; who waits is kept in two queues, and IO threads are served first; a floor
 * for the others bounds that. The flag and its invariants remain CPython's: all that
 * we say is "signalled" or "timed out", which it has to bear with at any time.
 *
 * Whatever is here is protected by the GIL's own mutex, which CPython holds at each
 * of the calls, but for the state of a waiter. A waiter is on its thread's stack, in
 * one queue, and leaves it with the mutex held.
 */
#ifndef TL_PRELOAD_GIL_H
#define TL_PRELOAD_GIL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/list.h"

#define TL__GILS_MAX 64		/* more are left alone */

struct tl__gil {
	/* Set once, under the lock of the table; NULL: free. */
	_Atomic(pthread_mutex_t *) mutex;
	_Atomic(pthread_cond_t *) cond;
	/*
	 * Who was made to drop the GIL waits here until another one took it. Set
	 * with the mutex held, by the first thread that signals it.
	 */
	_Atomic(pthread_cond_t *) switched;

	/*
	 * Waits under way. They may outlive the condition, as after its last
	 * signal; until they are over the entry is no other GIL's.
	 */
	_Atomic unsigned int waits;

	struct tl__list io, cpu;	/* waiters: served from the head */
	struct tl__list leaving;	/* those that wait for `switched` */
	unsigned int cpu_waiters;
	const void *heir;	/* the thread that was woken for a free GIL */
	bool heir_is_io;

	/* Who holds it, as far as we know. */
	bool held;
	const void *holder;	/* which thread; only compared */
	int holder_cpu;		/* where it ran when it took it */
	_Atomic int heir_cpu;	/* ... and when it began to wait */
	uint64_t taken_ns;	/* since when */
	uint64_t burst_ns;	/* what it had computed before that */
	bool forced;		/* it was asked to drop it */

	/*
	 * A thread that was made to drop the GIL, and will come back for it: since
	 * when it no longer waits on `switched` (0: it still does). Atomic, because
	 * it is set with the mutex of that.
	 */
	_Atomic(const void *) coming;
	_Atomic uint64_t coming_ns;

	/* A CPU thread's turn among its like is an interval. */
	const void *turn_of;
	uint64_t turn_ns;
	uint64_t interval_ns;

	/* What CPU threads are owed; see gil-floor.c. */
	int64_t owed_ns;
	uint64_t stamp_ns;
	bool cpu_phase;
};

/* What a thread knows of itself. All but the address is its own. */
struct tl__gil_me {
	struct tl__gil *in;	/* whose mutex it holds */
	pthread_mutex_t *mutex;	/* ... and which, for the GIL may be forgotten */
	struct tl__gil *has;	/* which GIL it holds */
	struct tl__waiter *wake;/* whom to wake when the mutex is released */
	uint64_t left_ns;	/* when it gave the GIL up */
	uint64_t burst_ns;	/* GIL time since it last was away */
	bool drops;		/* it is giving the GIL up just now */
	bool asked;		/* it had its early time-out in this take */
	bool preempted;		/* it was made to give the GIL up */
};

extern __thread struct tl__gil_me tl__gil_me
	__attribute__((tls_model("initial-exec")));
extern _Atomic unsigned int tl__gil_count;	/* entries in use; may have holes */
extern struct tl__gil tl__gils[TL__GILS_MAX];

static inline struct tl__gil *tl__gil_of_mutex(const pthread_mutex_t *m)
{
	/* acquire: pairs with learn(): the entries up to there are set up */
	unsigned int n = atomic_load_explicit(&tl__gil_count,
					      memory_order_acquire);

	while (unlikely(n--))
		/* relaxed: of interest to those only who know the object */
		if (atomic_load_explicit(&tl__gils[n].mutex,
					 memory_order_relaxed) == m)
			return &tl__gils[n];
	return NULL;
}

static inline struct tl__gil *tl__gil_of_cond(const pthread_cond_t *c)
{
	/* As in tl__gil_of_mutex(). */
	unsigned int n = atomic_load_explicit(&tl__gil_count,
					      memory_order_acquire);

	while (unlikely(n--))
		if (atomic_load_explicit(&tl__gils[n].cond,
					 memory_order_relaxed) == c ||
		    atomic_load_explicit(&tl__gils[n].switched,
					 memory_order_relaxed) == c)
			return &tl__gils[n];
	return NULL;
}

/* Whether @m is one that this thread locked as a GIL's, though it may be none now. */
static inline bool tl__gil_was_mine(const pthread_mutex_t *m)
{
	return tl__gil_me.mutex == m;
}

/*
 * The calls, for a GIL's objects. _wait and _signal take either of its two conditions;
 * @m is the mutex that goes with it. @g may be forgotten at any time before they hold
 * it: then they are as for any other object, and _wait returns -1 and has done nothing.
 */
int tl__gil_lock(struct tl__gil *g, pthread_mutex_t *m);
int tl__gil_unlock(struct tl__gil *g, pthread_mutex_t *m);
int tl__gil_wait(struct tl__gil *g, pthread_cond_t *c, pthread_mutex_t *m,
		 clockid_t clock, const struct timespec *until);
int tl__gil_signal(struct tl__gil *g, pthread_cond_t *c);

/* A condition signalled by a thread that holds @g's mutex: `switched`, then. */
void tl__gil_signals_other(struct tl__gil *g, pthread_cond_t *c);

/* The GIL of this wait, which is take_gil()'s; NULL: it can't be handled. */
struct tl__gil *tl__gil_learn(pthread_cond_t *c, pthread_mutex_t *m,
			      const struct timespec *until);

/* The entry stays that of @c or @m until it is let go; false: it isn't any more. */
bool tl__gil_hold(struct tl__gil *g, const pthread_cond_t *c,
		  const pthread_mutex_t *m);
void tl__gil_let_go(struct tl__gil *g);

/* The condition is made anew or destroyed. */
void tl__gil_forget(const pthread_cond_t *c);

/* In the child of a fork: there are no other threads, and nothing is known. */
void tl__gil_forget_all(void);

/* --- gil-floor.c --------------------------------------------------------------- */

/* An IO thread is one that computed less than this since it was away. */
#define TL__IO_BURST_NS UINT64_C(1000000)

/* Percent of the time that CPU threads get at least, while there are any. */
extern unsigned int tl__cpu_floor;

/* Counts the time up to @now. To be called before anything of @g changes. */
void tl__gil_account(struct tl__gil *g, uint64_t now);

/* Whether the holder is a CPU thread by now; @now is as accounted. */
bool tl__gil_cpu_holds(const struct tl__gil *g, uint64_t now);

/* When an IO thread may ask again, if CPU threads hold the GIL from @now on. */
uint64_t tl__gil_phase_end(const struct tl__gil *g, uint64_t now);

/* --- statistics --------------------------------------------------------------- */

#define TL__GIL_STATS(X)						\
	X(gils_learnt)		/* GILs that were recognised */		\
	X(gils_forgotten)	/* ... whose condition was destroyed */	\
	X(takes)		/* of a GIL */				\
	X(switches)		/* ... by another thread than before */	\
	X(io_waits)		/* calls by IO threads */		\
	X(cpu_waits)		/* ... by CPU threads */		\
	X(early)		/* time-outs given at once */		\
	X(asked_again)		/* IO threads woken to ask once more */	\
	X(late)			/* ... that asked once more unbidden */	\
	X(turned)		/* IO threads that became CPU threads */ \
	X(forced)		/* drops that were asked for */		\
	X(put_off)		/* IO threads that the floor made wait */ \
	X(held_off)		/* takes that came before one's turn */	\
	X(phases)		/* times when the floor came in */	\
	X(owner_back)		/* CPU threads not woken for nothing */	\
	X(spun)			/* waits that ended without sleep */	\
	X(slept)							\
	X(wanted_ns)		/* time in which CPU threads wanted it */ \
	X(cpu_ns)		/* ... and had it */

struct tl__gil_stats {
#define X(name) _Atomic uint64_t name;
	TL__GIL_STATS(X)
#undef X
};

extern struct tl__gil_stats tl__gil_stats;

static inline void tl__gil_count_up(_Atomic uint64_t *counter, uint64_t n)
{
	/* relaxed: a counter */
	(void)atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

#define tl__gil_stat_add(name, n) tl__gil_count_up(&tl__gil_stats.name, n)
#define tl__gil_stat(name) tl__gil_stat_add(name, 1)

#endif
