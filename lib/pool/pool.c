/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Pools: options, handles, how many jobs and threads there are, and waiting for
 * that to be none; see include/tasklet/pool.h and pool.h here.
 *
 * Invariants, under the pool's lock: once it is closed and without jobs, no job
 * enters any more; whoever waits is in `waiters`, and who takes it off wakes it,
 * without the lock. `refs` counts handles, jobs (until their futures are gone),
 * threads, and those that wait; `handles` the first of these alone.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/num.h"
#include "core/park.h"
#include "core/remote.h"
#include "core/unwind.h"
#include "os/log.h"
#include "pool/pool.h"

unsigned int tl__tpool_generation;

/* A tl_pool_wait() under way; lies in its frame. */
struct wait {
	struct tl__list link;	/* in pool->waiters, while is_queued */
	struct tl_pool *pool;
	struct tl_task *task;
	bool is_queued;		/* false: claimed */
};

/* --- handles and counts ----------------------------------------------------------- */

void tl__tpool_hold(struct tl_pool *pool)
{
	/* relaxed: the caller has one, or is a thread of the pool */
	atomic_fetch_add_explicit(&pool->refs, 1, memory_order_relaxed);
}

void tl__tpool_let_go_of(struct tl_pool *pool)
{
	/* release: what we did with it; acquire: what the others did */
	if (atomic_fetch_sub_explicit(&pool->refs, 1, memory_order_acq_rel) > 1)
		return;
	free(pool->workers);
	tl__free(pool);
}

/* With the lock. Whether there is nothing to wait for. */
static bool is_done(const struct tl_pool *pool)
{
	return !pool->jobs && (!pool->is_closed || !pool->threads);
}

/* With the lock, after something has come to an end. */
static void claim_waiters(struct tl_pool *pool, struct tl__list *claimed)
{
	struct tl__list *link;

	tl__list_init(claimed);
	while (is_done(pool) && (link = tl__list_first(&pool->waiters))) {
		tl__container_of(link, struct wait, link)->is_queued = false;
		tl__list_del(link);
		tl__list_add_tail(claimed, link);
	}
}

static void wake_waiters(struct tl__list *claimed)
{
	struct tl__list *link;

	while ((link = tl__list_first(claimed))) {
		tl__list_del(link);
		tl__wake_any(tl__container_of(link, struct wait, link)->task,
			     0);
	}
}

int tl__tpool_job_enters(struct tl_pool *pool)
{
	bool inside = tl_pool_current() == pool;
	int r = 0;

	tl__lock(&pool->lock);
	if (pool->round || (pool->is_closed && !(inside && pool->jobs)))
		r = -EPIPE;
	else
		pool->jobs++;
	tl__unlock(&pool->lock);
	return r;
}

void tl__tpool_job_leaves(struct tl_pool *pool)
{
	struct tl__list claimed;
	bool is_over;

	tl__lock(&pool->lock);
	pool->jobs--;
	is_over = pool->is_closed && !pool->jobs;
	claim_waiters(pool, &claimed);
	tl__unlock(&pool->lock);
	wake_waiters(&claimed);
	if (is_over)
		tl__tpool_call_all(pool);
}

bool tl__tpool_is_over(struct tl_pool *pool)
{
	bool is_over;

	tl__lock(&pool->lock);
	is_over = pool->is_closed && !pool->jobs;
	tl__unlock(&pool->lock);
	return is_over;
}

void tl__tpool_thread_ended(struct tl_pool *pool)
{
	struct tl__list claimed;

	tl__lock(&pool->lock);
	pool->threads--;
	claim_waiters(pool, &claimed);
	tl__unlock(&pool->lock);
	wake_waiters(&claimed);
	tl__tpool_let_go_of(pool);
}

struct tl_pool *tl_pool_ref(struct tl_pool *pool)
{
	tl__tpool_hold(pool);
	if (tl__tpool_is_forked(pool))
		return pool;
	tl__lock(&pool->lock);
	pool->handles++;
	tl__unlock(&pool->lock);
	return pool;
}

void tl_pool_unref(struct tl_pool *pool)
{
	bool is_last;

	if (!pool || tl__tpool_is_forked(pool))
		return;
	tl__lock(&pool->lock);
	is_last = !--pool->handles;
	tl__unlock(&pool->lock);
	if (is_last)
		tl_pool_close(pool);
	tl__tpool_let_go_of(pool);
}

/* --- the start -------------------------------------------------------------------- */

static void in_forked_child(void)
{
	tl__tpool_generation++;
}

static void register_fork_handler(void)
{
	if (pthread_atfork(NULL, NULL, in_forked_child))
		tl__log_once("forked children will believe in the threads of "
			     "pools: no memory for a fork handler");
}

static unsigned int processors(void)
{
	cpu_set_t set;
	long n = sched_getaffinity(0, sizeof(set), &set) ?
		sysconf(_SC_NPROCESSORS_ONLN) /* more than a set can hold */ :
		CPU_COUNT(&set);

	return n < 1 ? 1 :
	       n > TL_POOL_THREADS_MAX ? TL_POOL_THREADS_MAX : (unsigned int)n;
}

/* What the user says, or else the machine. */
static unsigned int default_threads(void)
{
	const char *wish = getenv("TL_THREADS");
	uint64_t n;

	if (!wish)
		return processors();
	if (tl__parse_u64(wish, 1, TL_POOL_THREADS_MAX, &n) == 0)
		return (unsigned int)n;
	n = processors();
	tl__log("TL_THREADS=%.40s is no number from 1 to %d: ignored, a pool "
		"has %d threads", wish, TL_POOL_THREADS_MAX, (int)n);
	return (unsigned int)n;
}

static int options_check(const struct tl_pool_options *o)
{
	const char *byte, *end;

	if (!o)
		return 0;
	if (o->size < sizeof(*o) || o->size > 4096 ||
	    o->threads > TL_POOL_THREADS_MAX ||
	    (unsigned int)o->placement > TL_POOL_LEAST_LOADED ||
	    (o->flags & ~(TL_POOL_NO_STEAL | TL_POOL_PIN)))
		return -EINVAL;
	byte = (const char *)(o + 1);
	end = (const char *)o + o->size;
	while (byte < end)
		if (*byte++)
			return -E2BIG;
	return 0;
}

static void workers_init(struct tl_pool *pool)
{
	int i;

	memset(pool->workers, 0,
	       (size_t)pool->nworkers * sizeof(*pool->workers));
	for (i = 0; i < pool->nworkers; i++) {
		struct tl__tpool_worker *w = &pool->workers[i];

		w->index = i;
		w->pool = pool;
		tl__list_init(&w->queue);
		tl__list_init(&w->bound);
		tl__list_init(&w->begun);
		tl__list_init(&w->dropped);
	}
}

static struct tl__tpool_worker *workers_alloc(unsigned int n)
{
	struct tl__tpool_worker *workers;

	return tl__fault() ? NULL :
		aligned_alloc(_Alignof(struct tl__tpool_worker),
			      n * sizeof(*workers));
}

static struct tl_pool *pool_alloc(const struct tl_pool_options *o,
				  unsigned int n)
{
	struct tl_pool *pool = tl__calloc(1, sizeof(*pool));

	if (!pool)
		return NULL;
	pool->workers = workers_alloc(n);
	if (!pool->workers) {
		tl__free(pool);
		return NULL;
	}
	pool->nworkers = (int)n;
	workers_init(pool);
	pool->placement = o->placement;
	pool->flags = o->flags;
	pool->error_fn = o->error_fn;
	pool->error_arg = o->error_arg;
	strncpy(pool->name, o->name ? o->name : "pool", sizeof(pool->name) - 1);
	pool->generation = tl__tpool_generation;
	tl__list_init(&pool->waiters);
	pool->handles = 1;
	pool->threads = n;
	/* relaxed: nobody else knows it; the handle, and each thread */
	atomic_store_explicit(&pool->refs, 1 + n, memory_order_relaxed);
	return pool;
}

/* Some have not started: the others end, which does not take long. */
static void undo(struct tl_pool *pool)
{
	static const struct timespec pause = { .tv_nsec = 50000 };
	bool any;

	tl_pool_close(pool);
	for (;;) {
		tl__lock(&pool->lock);
		any = pool->threads;
		tl__unlock(&pool->lock);
		if (!any)
			break;
		nanosleep(&pause, NULL);
	}
	tl_pool_unref(pool);
}

int tl_pool_new(struct tl_pool **out, const struct tl_pool_options *options)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	static const struct tl_pool_options none;
	struct tl_pool *pool;
	unsigned int n;
	int r = out ? options_check(options) : -EINVAL;

	if (r)
		return r;
	pthread_once(&once, register_fork_handler);
	if (!options)
		options = &none;
	n = options->threads ? options->threads : default_threads();
	pool = pool_alloc(options, n);
	if (!pool)
		return -ENOMEM;
	r = tl__tpool_start(pool);
	if (r)
		undo(pool);
	else
		*out = pool;
	return r;
}

/* --- questions -------------------------------------------------------------------- */

int tl_pool_threads(const struct tl_pool *pool)
{
	return pool->nworkers;
}

struct tl_pool *tl_pool_current(void)
{
	const struct tl__tpool_worker *w = tl__tpool_self();

	return w && !tl__tpool_is_forked(w->pool) ? w->pool : NULL;
}

int tl_pool_index(void)
{
	return tl_pool_current() ? tl__tpool_self()->index : -1;
}

/* relaxed, all: see pool.h */
static uint64_t value(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static void stats_add(struct tl__tpool_worker *w, struct tl_pool_stats *sum)
{
	sum->started += value(&w->nstarted);
	sum->stolen += value(&w->nstolen);
	sum->ended += value(&w->nended);
	sum->dropped += value(&w->ndropped);
	sum->errors += value(&w->nerrors);
	sum->running += atomic_load_explicit(&w->running, memory_order_relaxed);
	sum->queued += atomic_load_explicit(&w->queued, memory_order_relaxed);
}

int tl_pool_stats(struct tl_pool *pool, int thread, struct tl_pool_stats *out)
{
	struct tl_pool_stats sum = { .size = sizeof(sum) };
	int i;

	if (tl__tpool_is_forked(pool))
		return -ESRCH;
	if (thread < -1 || thread >= pool->nworkers ||
	    out->size < sizeof(sum) || out->size > 4096)
		return -EINVAL;
	for (i = 0; i < pool->nworkers; i++)
		if (thread < 0 || i == thread)
			stats_add(&pool->workers[i], &sum);
	sum.size = out->size;
	memset(out, 0, out->size);
	memcpy(out, &sum, sizeof(sum));
	return 0;
}

/* --- waiting ---------------------------------------------------------------------- */

static bool wait_abandon(struct tl_task *t, int result)
{
	struct wait *w = t->wait_object;
	struct tl_pool *pool = w->pool;
	bool was_queued;

	tl__lock(&pool->lock);
	was_queued = w->is_queued;
	if (was_queued) {
		w->is_queued = false;
		tl__list_del(&w->link);
	}
	tl__unlock(&pool->lock);
	if (!was_queued)
		return tl__wake_awaited(t);
	tl__wake(t->sched, t, result);
	return true;
}

static int wait_describe(const struct tl_task *t, char *text, size_t size)
{
	const struct wait *w = t->wait_object;

	return snprintf(text, size, "waits for pool %s", w->pool->name);
}

static const struct tl__wait_ops pool_ops = {
	.verb = "waits for pool",
	.abandon = wait_abandon,
	.describe = wait_describe,
};

/* Returns whether there is something to wait for. */
static bool enqueue(struct tl_pool *pool, struct wait *w)
{
	bool queued;

	tl__lock(&pool->lock);
	queued = w->is_queued = !is_done(pool);
	if (queued)
		tl__list_add_tail(&pool->waiters, &w->link);
	tl__unlock(&pool->lock);
	return queued;	/* not w: it may be claimed by now */
}

static bool is_done_now(struct tl_pool *pool)
{
	bool done;

	tl__lock(&pool->lock);
	done = is_done(pool);
	tl__unlock(&pool->lock);
	return done;
}

int tl_pool_wait_until(struct tl_pool *pool, uint64_t deadline_ns)
{
	struct wait w = { .pool = pool };
	struct tl_sched *s;
	struct tl_task *me;
	int r;

	if (tl__tpool_is_forked(pool))
		return -ESRCH;
	s = tl__sched();
	if (!s)
		return tl__sched_error();
	me = tl__me(s);
	if (tl__tpool_has(pool, me))
		return -EDEADLK;
	r = tl__block_check(s, me, !is_done_now(pool));
	if (!r)
		r = tl__deadline_arm(s, me, deadline_ns);
	if (r)
		return r;
	w.task = me;
	tl__tpool_hold(pool);	/* others may give handles up meanwhile */
	if (enqueue(pool, &w)) {
		tl__poll_soon(s);
		r = tl__park(s, me, &pool_ops, &w);
	} else {
		tl__deadline_disarm(s, me);
	}
	tl__tpool_let_go_of(pool);
	return tl__unwind_return(me, r);
}

int tl_pool_wait(struct tl_pool *pool)
{
	return tl_pool_wait_until(pool, TL_FOREVER);
}

/* --- the end ---------------------------------------------------------------------- */

/* Says that no more jobs come from outside; with @kill, from nowhere. */
static unsigned int shut(struct tl_pool *pool, bool kill)
{
	struct tl__list claimed;
	unsigned int round;
	bool is_over;

	tl__lock(&pool->lock);
	pool->is_closed = true;
	pool->round += kill;
	round = pool->round;
	is_over = !pool->jobs;
	claim_waiters(pool, &claimed);
	tl__unlock(&pool->lock);
	wake_waiters(&claimed);
	if (is_over)
		tl__tpool_call_all(pool);
	return round;
}

int tl_pool_close(struct tl_pool *pool)
{
	if (tl__tpool_is_forked(pool))
		return -ESRCH;
	shut(pool, false);
	return 0;
}

int tl_pool_kill(struct tl_pool *pool)
{
	struct tl_sched *s;
	struct tl_task *me;
	unsigned int round;
	int i, r, result = 0;

	if (tl__tpool_is_forked(pool))
		return -ESRCH;
	s = tl__sched();
	if (!s)
		return tl__sched_error();
	me = tl__me(s);
	tl__tpool_hold(pool);	/* what is called may give handles up */
	round = shut(pool, true);
	for (i = 0; i < pool->nworkers; i++) {
		r = tl__tpool_kill_all_of(&pool->workers[i], round, me);
		if (r)
			result = r;
	}
	r = tl__tpool_has(pool, me);
	tl__tpool_let_go_of(pool);
	return r ? tl_task_kill(me) : result;
}
