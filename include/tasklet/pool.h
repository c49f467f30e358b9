/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Pools: threads with schedulers, to which tasklets are spread.
 *
 * What is spawned into a pool is a job: a function that waits in the queue of one
 * of the threads, and becomes a tasklet of the thread that begins it. A thread
 * begins one job each time it has gone round its ring, so a job waits as long as
 * the others keep its thread busy; and as long as it waits, a thread that has
 * nothing queued may steal it, oldest first. A tasklet, once begun, never
 * leaves its thread.
 *
 * Whoever spawns a job may have a future for it: to wait for its end, and to
 * cancel it, which drops it while it waits and kills it once it has begun. What it
 * comes to is what tl_async() says.
 *
 * A pool lives as long as it has handles, jobs or threads. Its threads block all
 * signals but those of their own faults, and the one by which tl_dump() and the
 * stall detector ask. A forked child has none of the threads: there, all calls
 * that take a pool fail with -ESRCH, and a handle is given up to no effect.
 *
 * Contexts, unless said otherwise: tasklets and plain threads, any thread; not
 * signal handlers. What was done before a job was spawned is visible to it; what
 * it did, to whoever has waited for it, or for the pool.
 */
#ifndef TASKLET_POOL_H
#define TASKLET_POOL_H

#include <tasklet/base.h>
#include <tasklet/sched.h>
#include <tasklet/task.h>

TL_BEGIN_DECLS

struct tl_pool;
struct tl_future;

#define TL_POOL_THREADS_MAX 1024

/* Which thread's queue a job goes to. */
enum tl_pool_placement {
	TL_POOL_ROUND_ROBIN = 0,	/* each in turn */
	TL_POOL_LEAST_LOADED = 1,	/* where the fewest wait or are alive */
};

/* Flags of struct tl_pool_options. */
#define TL_POOL_NO_STEAL (UINT64_C(1) << 0) /* jobs stay where they were put */
#define TL_POOL_PIN (UINT64_C(1) << 1)	/* one processor a thread, in turn */

/*
 * struct tl_pool_options - what kind of pool
 *
 * @size is sizeof(struct tl_pool_options): fields that a later version appends
 * count as zero. @threads: 0 means TL_THREADS of the environment; where that is
 * not set, or is no number from 1 to TL_POOL_THREADS_MAX (which is said on
 * stderr), as many as the process may use processors. @name is copied; thread N is
 * called "tl-<name>-N", cut to 15 characters; NULL means "pool".
 *
 * @error_fn is the error handler of all threads: see tl_set_error_handler(). An
 * uncaught error that it doesn't deal with is the job's future's, if that has
 * a handle; else it is logged on stderr, and counted.
 */
struct tl_pool_options {
	size_t size;
	unsigned int threads;
	enum tl_pool_placement placement;
	const char *name;
	uint64_t flags;
	tl_error_fn *error_fn;
	void *error_arg;
};

/*
 * tl_pool_new - start a pool
 *
 * @options may be NULL. Returns when all threads are there, without switching.
 *
 * Returns 0; -EINVAL (no @out, a bad option); -E2BIG (an option that this version
 * does not know); -ENOMEM; -EAGAIN (a thread could not be started); -ENOTSUP (see
 * tl_features()). Unless it is 0, no thread is left.
 */
TL_API int tl_pool_new(struct tl_pool **out,
		       const struct tl_pool_options *options);

/* tl_pool_ref - one more handle. Returns @pool. */
TL_API struct tl_pool *tl_pool_ref(struct tl_pool *pool);

/*
 * tl_pool_unref - give a handle up. NULL is allowed
 *
 * The last one closes the pool and does not wait: all jobs are done still, and
 * then its threads end.
 */
TL_API void tl_pool_unref(struct tl_pool *pool);

/*
 * struct tl_pool_attr - how to run a job
 *
 * @size is sizeof(struct tl_pool_attr): fields that a later version appends count
 * as zero. @task (may be NULL) is for the tasklet, and is copied. @on_dropped (may
 * be NULL) is called once with the job's argument if its function will never be
 * called: by whoever cancels the job or kills the pool, or on one of the
 * pool's threads. It must not block or end the tasklet.
 */
struct tl_pool_attr {
	size_t size;
	const struct tl_task_attr *task;
	void (*on_dropped)(void *arg);
};

/*
 * tl_pool_spawn - have fn(arg) run by one of the pool's threads
 *
 * @out may be NULL. A thread that sleeps is woken. Allocates; does not switch.
 *
 * Returns 0; -EINVAL (@fn is NULL); -ENOMEM; -EPIPE (the pool is closed, and
 * the caller is not one of its threads with jobs left; or it was killed); -ESRCH.
 */
TL_API int tl_pool_spawn(struct tl_pool *pool, struct tl_future **out,
			 tl_task_fn *fn, void *arg);

/* tl_pool_spawn_attr - with attributes; also fails as tl_spawn_attr() */
TL_API int tl_pool_spawn_attr(struct tl_pool *pool, struct tl_future **out,
			      const struct tl_pool_attr *attr, tl_task_fn *fn,
			      void *arg);

/*
 * tl_pool_spawn_on - on thread number @thread, from 0, and on no other
 *
 * @attr may be NULL. -EINVAL: there is no such thread.
 */
TL_API int tl_pool_spawn_on(struct tl_pool *pool, int thread,
			    struct tl_future **out,
			    const struct tl_pool_attr *attr, tl_task_fn *fn,
			    void *arg);

/* How many threads it has. Also in a forked child. */
TL_API int tl_pool_threads(const struct tl_pool *pool);

/*
 * tl_pool_current, tl_pool_index - the pool whose thread calls, and its number
 *
 * NULL (borrowed otherwise) and -1 on any other thread, and in a forked child.
 */
TL_API struct tl_pool *tl_pool_current(void);
TL_API int tl_pool_index(void);

/*
 * struct tl_pool_stats - counters of a thread of a pool, or of all
 *
 * @size is set by the caller to sizeof(struct tl_pool_stats).
 */
struct tl_pool_stats {
	size_t size;
	uint64_t started;	/* jobs that the thread has begun */
	uint64_t stolen;	/* those of them that were queued elsewhere */
	uint64_t ended;		/* begun and ended */
	uint64_t dropped;	/* never begun: cancelled, killed, no memory */
	uint64_t errors;	/* that nobody took: they were logged */
	uint64_t running;	/* alive now */
	uint64_t queued;	/* wait for their turn now */
};

/*
 * tl_pool_stats - of thread number @thread, or, -1, the sums
 *
 * Returns 0, -EINVAL (no such thread, size too small) or -ESRCH.
 */
TL_API int tl_pool_stats(struct tl_pool *pool, int thread,
			 struct tl_pool_stats *out);

/*
 * tl_pool_wait - wait until no job is left, waiting or alive
 *
 * If the pool is closed by then: and until its threads have ended. Tasklets that
 * jobs made by tl_spawn() are the thread's, not the pool's: nobody waits for them,
 * see tl_pool_close().
 *
 * Returns 0; -EDEADLK (the caller is a job of the pool; or none that is left can
 * ever run again); -ETIMEDOUT (_until); -EPERM (a trap forbids to block); -ENOMEM;
 * -ESRCH; -ECANCELED, or what was thrown at the caller.
 */
TL_API int tl_pool_wait(struct tl_pool *pool);
TL_API int tl_pool_wait_until(struct tl_pool *pool, uint64_t deadline_ns);

/*
 * tl_pool_close - no more jobs but those that the pool's own threads spawn
 *
 * When all jobs have ended the threads do. Each lets its other tasklets run as
 * long as they can, as by tl_run(), and kills them then, as by tl_sched_end(). Does
 * not wait. Returns 0 or -ESRCH.
 */
TL_API int tl_pool_close(struct tl_pool *pool);

/*
 * tl_pool_kill - drop the jobs that wait, kill those that have begun
 *
 * No more jobs from anybody, for ever. Each that has begun is killed as by
 * tl_task_kill_later(), a caller who is one of them last; nobody is waited for.
 * When they have ended the threads do, killing their other tasklets. Killing again
 * kills once more those that have swallowed it.
 *
 * Returns 0; -ESRCH; -ECANCELED if the caller is a job of the pool and has no
 * shield.
 */
TL_API int tl_pool_kill(struct tl_pool *pool);

TL_END_DECLS

#endif
