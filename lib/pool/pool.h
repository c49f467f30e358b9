/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What a pool, its threads and its jobs are made of; see include/tasklet/pool.h.
 *
 * A job is one object with its future. It is in one of these places:
 *
 *	queued		in a worker's queue, under the worker's lock
 *	taken		whoever has taken it out of there has it alone: a
 *			worker to begin it, or somebody to drop it
 *	begun		a tasklet of its worker, whose keeper (core/extra.h) it
 *			is; in the worker's list `begun`, under its lock
 *	dropped		its tasklet has ended without a step; its worker is to
 *			say so. In the worker's list `dropped`, its thread's own
 *	over		only its future's handles are left
 *
 * and counts in pool->jobs until it is over.
 *
 * How a worker waits. Its main tasklet begins jobs, one each time its turn comes
 * in the ring, and when there is none it blocks. Its `state`:
 *
 *	BUSY	main runs or is runnable, or its wake-up is under way: it will
 *		look at the queues, without anybody's doing
 *	WAITING	main is blocked, others of the thread run
 *	IDLE	and nothing of the thread can run: it sleeps, or is about to
 *
 * Whoever turns WAITING or IDLE into BUSY has to wake main, once. No wake-up is
 * lost, and no thread idle while there is something to steal: a worker says
 * WAITING, or IDLE, first and looks at the queues afterwards; who queues a job
 * does that first, and looks at the states afterwards. At least one of the two
 * sees the other (Dekker). A job that only its owner may begin needs the owner
 * alone; for any other that its owner does not begin at once, one idle worker
 * is woken, never more: so there is no herd. One that is woken in vain, for another
 * was faster, sleeps again.
 *
 * (The pool of lib/io, of calls that block, is another thing: its threads have no
 * tasklets.)
 *
 * Locks: that of the pool, of a worker, of a job's future: no two at once.
 */
#ifndef TL_POOL_POOL_H
#define TL_POOL_POOL_H

#include <tasklet/pool.h>

#include "base/list.h"
#include "core/extra.h"
#include "core/future.h"
#include "os/lock.h"

struct tl__tpool_job {
	struct tl_future future;
	struct tl__list link;
	struct tl_pool *pool;		/* with a reference */
	struct tl__tpool_worker *worker; /* whose queue it was put in */
	struct tl__tpool_worker *runner; /* who has begun it */
	tl_task_fn *fn;
	void *arg;
	void (*on_dropped)(void *arg);
	struct tl_task_attr attr;	/* the name is ours */
	uint64_t order;			/* among those put to the worker */
	bool is_bound;			/* to that worker: not to be stolen */
	bool is_queued;			/* under the worker's lock */
	unsigned int round;		/* of kills, under the runner's lock */
	/* Of the runner's thread. */
	bool has_run;			/* its function was called */
	struct tl_task *tasklet;	/* while it is begun */
	/* The same, for a cancel. Under the future's lock; alive, or NULL. */
	struct tl_task *task;
};

enum { TL__TPOOL_BUSY, TL__TPOOL_WAITING, TL__TPOOL_IDLE };

/* A thread. */
struct tl__tpool_worker {
	struct tl__lock lock;
	int index;
	struct tl_pool *pool;
	_Atomic uint32_t state;
	struct tl_task *main;		/* written before the first WAITING */
	/* Under the lock. */
	struct tl__list queue, bound;	/* jobs, oldest first */
	struct tl__list begun;
	uint64_t order;			/* of the job queued last */
	unsigned int round;		/* of the last kill; 0: none */
	/* Changed under the lock; relaxed: a guess for those who look without. */
	_Atomic unsigned int queued, running;
	/* relaxed, all: they are only counted */
	_Atomic uint64_t nstarted, nstolen, nended, ndropped, nerrors;
	/* The thread's own. */
	struct tl__list dropped;
} __attribute__((aligned(64)));

struct tl_pool {
	struct tl__lock lock;
	_Atomic uint32_t refs;		/* handles, jobs, threads, waiters */
	/* Jobs that may be stolen, in all queues. Changes with their locks. */
	_Atomic unsigned int stealable;
	_Atomic unsigned int next;	/* of the round robin */
	int nworkers;
	enum tl_pool_placement placement;
	uint64_t flags;
	tl_error_fn *error_fn;
	void *error_arg;
	unsigned int generation;	/* of the process: forks */
	char name[12];
	struct tl__tpool_worker *workers;
	/* Under the lock. */
	uint32_t handles;
	uint64_t jobs;			/* that are not over */
	unsigned int threads;		/* that have not ended */
	unsigned int round;		/* of kills */
	bool is_closed;
	struct tl__list waiters;
	/* Of the start. */
	_Atomic uint32_t starting;
	_Atomic int start_error;
};

/* Counts forks: a pool of another process is of no use. */
extern unsigned int tl__tpool_generation;

static inline bool tl__tpool_is_forked(const struct tl_pool *pool)
{
	return unlikely(pool->generation != tl__tpool_generation);
}

/* --- pool.c ------------------------------------------------------------------ */

void tl__tpool_hold(struct tl_pool *pool);
void tl__tpool_let_go_of(struct tl_pool *pool);

/* -EPIPE, or one more job is counted. */
int tl__tpool_job_enters(struct tl_pool *pool);
/* One less. */
void tl__tpool_job_leaves(struct tl_pool *pool);
/* Whether its threads have nothing to do any more. */
bool tl__tpool_is_over(struct tl_pool *pool);
/* A thread has ended; its reference goes. */
void tl__tpool_thread_ended(struct tl_pool *pool);

/* --- job.c ------------------------------------------------------------------- */

/* The oldest that @w may begin, out of its own queue; or out of another's. */
struct tl__tpool_job *tl__tpool_take(struct tl__tpool_worker *w);
struct tl__tpool_job *tl__tpool_steal(struct tl__tpool_worker *w);

/* Into the queue of @w. False: the pool was killed meanwhile. */
bool tl__tpool_put(struct tl__tpool_worker *w, struct tl__tpool_job *job);

/* The future was cancelled: drops its job, or kills the tasklet. */
void tl__tpool_cancelled(struct tl_future *f);

/* On the thread of @w: makes a tasklet of what it has taken. */
void tl__tpool_begin(struct tl__tpool_worker *w, struct tl__tpool_job *job);

/* It was taken, and will never begin. Runs foreign code. */
void tl__tpool_drop(struct tl__tpool_job *job);

/* On the thread of @w: deals with those that ended without a step. */
void tl__tpool_drop_dropped(struct tl__tpool_worker *w);

/*
 * Drops what is queued with @w, and kills what it has begun, but @spared. Returns 0
 * or what a kill failed with.
 */
int tl__tpool_kill_all_of(struct tl__tpool_worker *w, unsigned int round,
			  const struct tl_task *spared);

/* Whether @t, a tasklet of this thread, is a job of @pool. */
bool tl__tpool_has(const struct tl_pool *pool, const struct tl_task *t);

/* Says that nobody has caught @error, which is freed, and counts it. */
void tl__tpool_uncaught(struct tl__tpool_worker *w, struct tl_error *error);

/* --- worker.c ---------------------------------------------------------------- */

/*
 * Starts the threads, all or as many as can be. Returns when these are ready, or
 * have ended again: 0 or -errno.
 */
int tl__tpool_start(struct tl_pool *pool);

/* The worker whose thread calls; NULL. */
struct tl__tpool_worker *tl__tpool_self(void);

/* Has @w look at the queues if it waits. Any thread. */
void tl__tpool_call(struct tl__tpool_worker *w);
void tl__tpool_call_all(struct tl_pool *pool);

/* After a job was put to @w: sees to it that somebody comes for it. */
void tl__tpool_call_for_job(struct tl__tpool_worker *w, bool bound);

#endif
