/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The offload pool: threads of the whole process that run calls which block.
 *
 * A submission wakes the thread that went idle last, or starts one if none is
 * idle, up to THREADS_MAX; so those that a load does not need get old, and end.
 * Each looks at the queue before it goes idle. Invariant, under the lock: while
 * jobs are queued, as many threads as there are jobs are on their way to look,
 * or all THREADS_MAX (or as many as can be started, but one) are.
 *
 * A job is its submitter's until it is queued and again when it was taken back;
 * `state` says who may end it: QUEUED (under the lock) the submitter, RUNNING
 * whoever replaces that word first. A scheduler does not end before it has got
 * the message of each job that it has not taken back or let go (inbox.awaited):
 * a job that is done refers to a living one until its message is linked.
 *
 * A job runs functions of the program, which may end anybody's wait: from its
 * submission to its end it counts as an unknown thread does (os/tids.h).
 *
 * Lock order: the one lock here is innermost but for what pthread_create()
 * takes. fork() holds it, so that the child finds the queue in one piece; the
 * child has none of the threads and drops the jobs, which are the parent's.
 */
#include <errno.h>
#include <pthread.h>

#include "base/alloc.h"
#include "base/probe.h"
#include "io/io.h"
#include "os/clock.h"
#include "os/futex.h"
#include "os/signals.h"
#include "os/tids.h"

#define THREADS_MAX 64
/* getaddrinfo() has name service modules run on it. */
#define STACK_SIZE ((size_t)256 << 10)

enum state { QUEUED, RUNNING, DONE, LET_GO };

struct worker {
	_Atomic uint32_t called;
	struct tl__list link;	/* in pool.idle, or empty */
};

static struct {
	pthread_mutex_t lock;
	struct tl__list queue;	/* of jobs, oldest first */
	struct tl__list idle;	/* of workers, newest first */
	unsigned int threads;
	/* Not under the lock: only a forked child, alone, writes it. */
	unsigned int generation;
} pool = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.queue = TL__LIST_INIT(pool.queue),
	.idle = TL__LIST_INIT(pool.idle),
};

_Atomic uint64_t tl__pool_idle_ns = 10 * TL__NS_PER_SEC;

/* Waits, with the lock, until there may be work. False: it was too long. */
static bool idle(struct worker *me)
{
	/* relaxed: a setting */
	uint64_t until = tl__now() + atomic_load_explicit(&tl__pool_idle_ns,
							  memory_order_relaxed);

	/* relaxed: those who write it have the lock */
	atomic_store_explicit(&me->called, 0, memory_order_relaxed);
	tl__list_add_head(&pool.idle, &me->link);
	pthread_mutex_unlock(&pool.lock);
	/* relaxed: what there is to see, we see with the lock */
	while (!atomic_load_explicit(&me->called, memory_order_relaxed) &&
	       tl__now() < until)
		tl__futex_wait(&me->called, 0, until);
	pthread_mutex_lock(&pool.lock);
	if (tl__list_empty(&me->link))
		return true;	/* whoever called has taken us off the list */
	tl__list_del_init(&me->link);
	return false;
}

/* With the lock. NULL: nothing to do for too long. */
static struct tl__job *next_job(struct worker *me)
{
	struct tl__list *link;
	struct tl__job *job;

	while (!(link = tl__list_first(&pool.queue)))
		if (!idle(me))
			return NULL;
	tl__list_del_init(link);
	job = tl__container_of(link, struct tl__job, link);
	/* relaxed: the lock orders it against tl__pool_cancel() */
	atomic_store_explicit(&job->state, RUNNING, memory_order_relaxed);
	return job;
}

static void run(struct tl__job *job)
{
	int state = RUNNING;

	if (!job->sched) {
		job->run(job);	/* the job is gone */
		return;
	}
	job->run(job);
	/*
	 * acquire: pairs with tl__pool_let_go(), whose caller has written to
	 * the job before. What we have written is published by the message.
	 */
	if (atomic_compare_exchange_strong_explicit(&job->state, &state, DONE,
						    memory_order_acquire,
						    memory_order_acquire))
		tl__inbox_push(job->sched, &job->message);
	else
		job->discard(job);
}

static void *worker_main(void *arg)
{
	struct worker me;
	struct tl__job *job;

	(void)arg;
	pthread_setname_np(pthread_self(), "tl-pool");
	tl__tids_enter();
	tl__list_init(&me.link);

	pthread_mutex_lock(&pool.lock);
	while ((job = next_job(&me))) {
		pthread_mutex_unlock(&pool.lock);
		run(job);
		tl__tids_work_ends();
		pthread_mutex_lock(&pool.lock);
	}
	pool.threads--;
	pthread_mutex_unlock(&pool.lock);
	tl__tids_leave();
	return NULL;
}

static int start_thread(void)
{
	pthread_attr_t attr;
	int saved = errno;
	sigset_t old;
	pthread_t id;
	int r;

	if (tl__fault() || pthread_attr_init(&attr))
		return EAGAIN;
	tl__signals_block(&old);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	r = pthread_create(&id, &attr, worker_main, NULL);
	if (r == EINVAL) {
		/* The program's thread-local variables do not fit. */
		pthread_attr_destroy(&attr);
		pthread_attr_init(&attr);
		pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
		r = pthread_create(&id, &attr, worker_main, NULL);
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	errno = saved;
	return r;
}

/*
 * With the lock: sees to it that a thread comes for the job that was just
 * queued. If it sleeps, it is @out, to be woken without the lock. The lock is
 * held while one starts, which is rare, so that nobody relies on a thread that
 * then can't be had. False: nobody will ever come.
 */
static bool call_worker(struct worker **out)
{
	struct tl__list *link = tl__list_first(&pool.idle);

	*out = NULL;
	if (link) {
		*out = tl__container_of(link, struct worker, link);
		tl__list_del_init(link);
		/* relaxed: goes with the lock */
		atomic_store_explicit(&(*out)->called, 1, memory_order_relaxed);
	} else if (pool.threads < THREADS_MAX && !start_thread()) {
		pool.threads++;
	}
	return pool.threads;
}

/*
 * Without the lock, which the thread needs first of all. It may be up already,
 * and even be gone: the kernel then finds nobody at that address, or somebody
 * who has to be ready to be woken for nothing, as all who sleep on futexes.
 */
static void wake_worker(struct worker *worker)
{
	int saved = errno;

	if (worker) {
		tl__probe_wake(TL_PROBE_WAKE_OTHER, &worker->called, 1);
		tl__futex_wake(&worker->called, 1);
	}
	errno = saved;
}

static void count(struct tl__job *job)
{
	job->sched->io_pending++;
	job->sched->inbox.awaited++;
}

static void count_off(struct tl__job *job)
{
	job->sched->io_pending--;
	job->sched->inbox.awaited--;
}

static void deliver(struct tl_sched *s, struct tl__message *message)
{
	struct tl__job *job = tl__container_of(message, struct tl__job,
					       message);

	(void)s;
	count_off(job);
	job->done(job);
}

/* False: nobody will ever come for it. */
static bool enqueue(struct tl__job *job)
{
	struct worker *worker;
	bool taken;

	tl__io_watch_forks();
	job->generation = pool.generation;
	/* relaxed: published by the lock */
	atomic_store_explicit(&job->state, QUEUED, memory_order_relaxed);
	tl__tids_work_begins();
	pthread_mutex_lock(&pool.lock);
	tl__list_add_tail(&pool.queue, &job->link);
	taken = call_worker(&worker);
	if (!taken)
		tl__list_del_init(&job->link);
	pthread_mutex_unlock(&pool.lock);
	wake_worker(worker);
	if (!taken)
		tl__tids_work_ends();
	return taken;
}

int tl__pool_submit(struct tl_sched *s, struct tl__job *job)
{
	job->sched = s;
	job->message.deliver = deliver;
	count(job);
	if (enqueue(job))
		return 0;
	count_off(job);
	return -EAGAIN;
}

int tl__pool_submit_alone(struct tl__job *job)
{
	job->sched = NULL;
	return enqueue(job) ? 0 : -EAGAIN;
}

bool tl__pool_take_back(struct tl__job *job)
{
	bool queued;

	if (job->generation != pool.generation)
		return true;	/* the parent's threads have it */
	pthread_mutex_lock(&pool.lock);
	/* relaxed: who takes it off the queue holds the lock */
	queued = atomic_load_explicit(&job->state, memory_order_relaxed) ==
		 QUEUED;
	if (queued)
		tl__list_del_init(&job->link);
	pthread_mutex_unlock(&pool.lock);
	if (queued)
		tl__tids_work_ends();
	return queued;
}

bool tl__pool_cancel(struct tl__job *job)
{
	bool forked = job->generation != pool.generation;
	bool queued = tl__pool_take_back(job);

	if (queued && !forked)	/* the fork has counted it off */
		count_off(job);
	return queued;
}

bool tl__pool_let_go(struct tl__job *job)
{
	int state = RUNNING;

	/* release: pairs with run():acquire, what we have written to the job */
	if (!atomic_compare_exchange_strong_explicit(&job->state, &state,
						     LET_GO,
						     memory_order_release,
						     memory_order_relaxed))
		return false;
	/* Not through the job: it may be gone. */
	tl__sched_self->io_pending--;
	tl__sched_self->inbox.awaited--;
	return true;
}

void tl__pool_before_fork(void)
{
	pthread_mutex_lock(&pool.lock);
}

void tl__pool_after_fork_in_parent(void)
{
	pthread_mutex_unlock(&pool.lock);
}

void tl__pool_after_fork_in_child(void)
{
	tl__list_init(&pool.queue);
	tl__list_init(&pool.idle);
	pool.threads = 0;
	pool.generation++;
	tl__tids_work_after_fork();
	pthread_mutex_unlock(&pool.lock);
}
