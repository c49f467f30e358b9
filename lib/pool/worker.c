/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The threads of a pool: what each does, and how they are called and wait. See
 * pool.h for the states of a worker, and why no wake-up is lost.
 *
 * A job is begun each time the main tasklet's turn comes in the ring, so one in
 * each round. To begin all that is queued would be no faster, for the thread has
 * one processor; but it would take from the other threads what they could steal,
 * and memory for stacks that are not needed yet. To begin fewer would let
 * jobs that block, as most do, hold up those behind them.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/probe.h"
#include "core/ask.h"
#include "core/park.h"
#include "core/remote.h"
#include "os/futex.h"
#include "os/log.h"
#include "os/signals.h"
#include "pool/pool.h"

static __thread struct tl__tpool_worker *self;

struct tl__tpool_worker *tl__tpool_self(void)
{
	return self;
}

/* --- states --------------------------------------------------------------------- */

/* Whether @w waited, as @state, and it is up to the caller to wake it. */
static bool claim(struct tl__tpool_worker *w, uint32_t state)
{
	/*
	 * acquire: pairs with wait_for_job(): w->main; and all that the worker
	 * did. seq_cst, both: see pool.h
	 */
	return atomic_load_explicit(&w->state, memory_order_seq_cst) == state &&
	       atomic_compare_exchange_strong_explicit(&w->state, &state,
						       TL__TPOOL_BUSY,
						       memory_order_seq_cst,
						       memory_order_seq_cst);
}

/* In whatever state it waited. */
static bool claim_any(struct tl__tpool_worker *w, uint32_t *state)
{
	*state = atomic_load_explicit(&w->state, memory_order_seq_cst);
	while (*state != TL__TPOOL_BUSY)
		if (atomic_compare_exchange_weak_explicit(&w->state, state,
							  TL__TPOOL_BUSY,
							  memory_order_seq_cst,
							  memory_order_seq_cst))
			return true;
	return false;
}

void tl__tpool_call(struct tl__tpool_worker *w)
{
	uint32_t state;

	if (claim_any(w, &state))
		tl__wake_any(w->main, 0);
}

void tl__tpool_call_all(struct tl_pool *pool)
{
	int i;

	for (i = 0; i < pool->nworkers; i++)
		tl__tpool_call(&pool->workers[i]);
}

/* Calls one that waits in this state, but @but. */
static bool call_one(struct tl_pool *pool, const struct tl__tpool_worker *but,
		     uint32_t state)
{
	int i;

	for (i = 1; i < pool->nworkers; i++) {
		struct tl__tpool_worker *w =
			&pool->workers[(but->index + i) % pool->nworkers];

		if (claim(w, state)) {
			tl__wake_any(w->main, 0);
			return true;
		}
	}
	return false;
}

void tl__tpool_call_for_job(struct tl__tpool_worker *w, bool bound)
{
	uint32_t state;
	bool called = claim_any(w, &state);

	if (called)
		tl__wake_any(w->main, 0);
	/* An idle one begins it at once; but is there anybody quicker? */
	if (bound || (called && state == TL__TPOOL_IDLE))
		return;
	if (!call_one(w->pool, w, TL__TPOOL_IDLE) && !called)
		call_one(w->pool, w, TL__TPOOL_WAITING);
}

/* --- waiting -------------------------------------------------------------------- */

static bool wait_abandon(struct tl_task *t, int result)
{
	uint32_t state;

	if (!claim_any(t->wait_object, &state))
		return tl__wake_awaited(t);
	tl__wake(t->sched, t, result);
	return true;
}

static int wait_describe(const struct tl_task *t, char *text, size_t size)
{
	const struct tl__tpool_worker *w = t->wait_object;

	return snprintf(text, size, "waits for jobs of pool %s", w->pool->name);
}

static const struct tl__wait_ops job_wait_ops = {
	.verb = "waits for jobs of pool",
	.abandon = wait_abandon,
	.describe = wait_describe,
};

/* The thread's hook: nothing can run on it, or something can again. */
static bool idle(struct tl_sched *s, bool begins)
{
	struct tl__tpool_worker *w = self;
	uint32_t state = begins ? TL__TPOOL_WAITING : TL__TPOOL_IDLE;
	bool waits;

	/* seq_cst: see pool.h. It may be IDLE already, and look again. */
	waits = atomic_compare_exchange_strong_explicit(
			&w->state, &state,
			begins ? TL__TPOOL_IDLE : TL__TPOOL_WAITING,
			memory_order_seq_cst, memory_order_seq_cst) ||
		state == TL__TPOOL_IDLE;
	if (!begins)
		return false;
	if (waits &&
	    (atomic_load_explicit(&w->pool->stealable, memory_order_seq_cst) ||
	     tl__tpool_is_forked(w->pool)) &&
	    claim(w, TL__TPOOL_IDLE)) {
		tl__wake(s, w->main, 0);
		return true;
	}
	/* Nobody but main is blocked. relaxed: see task.h */
	atomic_store_explicit(&s->bystander,
			      waits && s->alive - s->paused == 1,
			      memory_order_relaxed);
	return false;
}

static bool newest_blocked(struct tl_task *t, void *arg)
{
	struct tl_task **newest = arg;

	if (tl__state(t) == TL__BLOCKED && !(t->flags & TL__MAIN) &&
	    (!*newest || (*newest)->id < t->id))
		*newest = t;
	return true;
}

/*
 * All threads wait for each other. It was this one's main tasklet that was told,
 * which has no part in it: one that has, the youngest, gets it instead.
 */
static void pass_deadlock_on(struct tl_sched *s)
{
	struct tl_task *t = NULL;

	tl__stack_each(s, newest_blocked, &t);
	if (t)
		t->wait_ops->abandon(t, -EDEADLK);
}

/* Whether main has something to do on its own account. */
static bool has_work(struct tl__tpool_worker *w)
{
	bool has;

	tl__lock(&w->lock);
	has = !tl__list_empty(&w->queue) || !tl__list_empty(&w->bound);
	tl__unlock(&w->lock);
	/* seq_cst: see pool.h */
	return has || atomic_load_explicit(&w->pool->stealable,
					   memory_order_seq_cst);
}

/* False: there will never be one. */
static bool wait_for_job(struct tl_sched *s, struct tl__tpool_worker *w)
{
	bool is_over;

	/* release: w->main; seq_cst: see pool.h */
	atomic_store_explicit(&w->state, TL__TPOOL_WAITING,
			      memory_order_seq_cst);
	is_over = tl__tpool_is_over(w->pool);
	if ((is_over || has_work(w)) && claim(w, TL__TPOOL_WAITING))
		return !is_over;
	/* If somebody else has claimed us, our wake-up is under way. */
	if (tl__park(s, s->main, &job_wait_ops, w) == -EDEADLK)
		pass_deadlock_on(s);
	return true;
}

/* --- the thread ------------------------------------------------------------------ */

/* Errors of tasklets that are not jobs come here. */
static void tell_errors(struct tl__tpool_worker *w)
{
	struct tl_error *error;

	while ((error = tl_catch()))
		if (tl__error_is_static(error))
			tl_error_free(error);	/* somebody kills us: no */
		else
			tl__tpool_uncaught(w, error);
}

static void work(struct tl_sched *s, struct tl__tpool_worker *w)
{
	struct tl__tpool_job *job;

	while (!tl__tpool_is_forked(w->pool)) {
		tell_errors(w);
		tl__tpool_drop_dropped(w);
		job = tl__tpool_take(w);
		if (!job)
			job = tl__tpool_steal(w);
		if (job) {
			tl__tpool_begin(w, job);
			tl_schedule();
		} else if (!wait_for_job(s, w)) {
			break;
		}
	}
}

/* Others of the thread that can run, do: unless the pool was killed. */
static void finish(struct tl_sched *s, struct tl__tpool_worker *w)
{
	bool killed = false;

	if (!tl__tpool_is_forked(w->pool)) {
		tl__lock(&w->lock);
		killed = w->round;
		tl__unlock(&w->lock);
	}
	while (!killed && tl_run() < 0) {
		struct tl_error *error = tl_catch();

		if (!error)
			break;
		tl__tpool_uncaught(w, error);
	}
	s->idle_fn = NULL;
	/* relaxed: see task.h */
	atomic_store_explicit(&s->bystander, false, memory_order_relaxed);
	(void)tl_sched_end();	/* says itself who could not be killed */
}

/* A stall of one of these threads is of interest, though signals are not theirs. */
static void let_questions_in(void)
{
	sigset_t set;
	int sig;

	tl__ask_lock();
	sig = tl__ask_signal();
	tl__ask_unlock();
	if (!sig)
		return;
	sigemptyset(&set);
	sigaddset(&set, sig);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* To the processor whose turn it is, of those that the process may use. */
static void pin(const struct tl__tpool_worker *w)
{
	cpu_set_t may, one;
	int cpu, nth;

	if (sched_getaffinity(0, sizeof(may), &may) || !CPU_COUNT(&may))
		return;
	nth = w->index % CPU_COUNT(&may);
	for (cpu = 0; !CPU_ISSET(cpu, &may) || nth--; cpu++)
		;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	if (sched_setaffinity(0, sizeof(one), &one))
		tl__log_once("pool %s: its threads can't be pinned",
			     w->pool->name);
}

static void name_thread(const struct tl__tpool_worker *w)
{
	char name[16], number[8];
	int n = snprintf(number, sizeof(number), "-%d", w->index);

	snprintf(name, sizeof(name), "tl-%.*s%s", 12 - n, w->pool->name,
		 number);
	pthread_setname_np(pthread_self(), name);
	tl_task_set_name(tl__sched_self->main, name); /* does without it */
}

/* Ready, or not: tl__tpool_start() may go on when all have said so. */
static void started(struct tl_pool *pool, int error)
{
	int none = 0;

	/* relaxed: published by the next operation */
	if (error)
		atomic_compare_exchange_strong_explicit(&pool->start_error,
							&none, error,
							memory_order_relaxed,
							memory_order_relaxed);
	/* release: pairs with tl__tpool_start() */
	if (atomic_fetch_sub_explicit(&pool->starting, 1,
				      memory_order_release) == 1) {
		tl__probe_wake(TL_PROBE_WAKE_OTHER, &pool->starting, 1);
		tl__futex_wake(&pool->starting, 1);
	}
}

static void *thread_main(void *arg)
{
	struct tl__tpool_worker *w = arg;
	struct tl_pool *pool = w->pool;
	struct tl_sched *s;

	if (pool->flags & TL_POOL_PIN)
		pin(w);
	s = tl__sched();
	if (!s) {
		started(pool, tl__sched_error());
		tl__tpool_thread_ended(pool);
		return NULL;
	}
	name_thread(w);
	let_questions_in();
	self = w;
	w->main = s->main;
	s->idle_fn = idle;
	s->error_fn = pool->error_fn;
	s->error_arg = pool->error_arg;
	started(pool, 0);
	work(s, w);
	finish(s, w);
	self = NULL;
	if (!tl__tpool_is_forked(pool))
		tl__tpool_thread_ended(pool);
	return NULL;
}

static int start_thread(struct tl__tpool_worker *w)
{
	pthread_attr_t attr;
	pthread_t id;
	int r;

	if (tl__fault() || pthread_attr_init(&attr))
		return EAGAIN;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	r = pthread_create(&id, &attr, thread_main, w);
	pthread_attr_destroy(&attr);
	return r;
}

int tl__tpool_start(struct tl_pool *pool)
{
	uint32_t left, n = (uint32_t)pool->nworkers;
	int i, r = 0, saved = errno;
	sigset_t old;

	/* relaxed: published by the threads' start */
	atomic_store_explicit(&pool->starting, n, memory_order_relaxed);
	tl__signals_block(&old);
	for (i = 0; i < pool->nworkers && !r; i++)
		r = start_thread(&pool->workers[i]);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	for (i -= !!r; i < pool->nworkers; i++) {
		started(pool, r == ENOMEM ? -ENOMEM : -EAGAIN);
		tl__tpool_thread_ended(pool);
	}
	/* acquire: pairs with started() */
	while ((left = atomic_load_explicit(&pool->starting,
					    memory_order_acquire)))
		tl__futex_wait(&pool->starting, left, TL_FOREVER);
	errno = saved;
	/* relaxed: ordered by the load above */
	return atomic_load_explicit(&pool->start_error, memory_order_relaxed);
}
