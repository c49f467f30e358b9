/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Jobs: from a queue to a tasklet to the end, or dropped on the way. See pool.h; how
 * they are made, spawn.c.
 *
 * Whoever takes a job out of a queue under the queue's lock has it alone, and
 * sees to its end: so a job is begun or dropped once. A tasklet of a job that
 * was killed before its first step ends where no foreign code may run; the
 * worker's main tasklet then says that the job was dropped.
 */
#include <errno.h>

#include "base/alloc.h"
#include "core/end.h"
#include "core/park.h"
#include "core/remote.h"
#include "os/log.h"
#include "pool/pool.h"

static struct tl__tpool_job *job_of(struct tl__list *link)
{
	return tl__container_of(link, struct tl__tpool_job, link);
}

static struct tl__tpool_job *job_of_future(struct tl_future *f)
{
	return tl__container_of(f, struct tl__tpool_job, future);
}

static void count(_Atomic uint64_t *counter)
{
	/* relaxed: see pool.h */
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static void add(_Atomic unsigned int *counter, int delta)
{
	/* relaxed: see pool.h */
	atomic_fetch_add_explicit(counter, (unsigned int)delta,
				  memory_order_relaxed);
}

/* --- queues ------------------------------------------------------------------- */

/* With the lock of the worker. */
static void enqueue(struct tl__tpool_worker *w, struct tl__tpool_job *job)
{
	job->is_queued = true;
	job->order = ++w->order;
	tl__list_add_tail(job->is_bound ? &w->bound : &w->queue, &job->link);
	add(&w->queued, 1);
	if (!job->is_bound)
		/* seq_cst: pairs with worker.c, who says that it waits */
		atomic_fetch_add_explicit(&w->pool->stealable, 1,
					  memory_order_seq_cst);
}

/* The same. */
static void dequeue(struct tl__tpool_worker *w, struct tl__tpool_job *job)
{
	job->is_queued = false;
	tl__list_del(&job->link);
	add(&w->queued, -1);
	if (!job->is_bound)
		/* relaxed: too many make somebody look in vain */
		atomic_fetch_sub_explicit(&w->pool->stealable, 1,
					  memory_order_relaxed);
}

bool tl__tpool_put(struct tl__tpool_worker *w, struct tl__tpool_job *job)
{
	bool killed;

	job->worker = w;
	tl__lock(&w->lock);
	killed = w->round;
	if (!killed)
		enqueue(w, job);
	tl__unlock(&w->lock);
	return !killed;
}

/* With the lock. The oldest that may be stolen, or with @bound, that there is. */
static struct tl__tpool_job *oldest(const struct tl__tpool_worker *w, bool bound)
{
	struct tl__list *a = tl__list_first(&w->queue);
	struct tl__list *b = bound ? tl__list_first(&w->bound) : NULL;

	if (a && b)
		return job_of(job_of(a)->order < job_of(b)->order ? a : b);
	return a ? job_of(a) : b ? job_of(b) : NULL;
}

static struct tl__tpool_job *take_from(struct tl__tpool_worker *w, bool bound)
{
	struct tl__tpool_job *job;

	tl__lock(&w->lock);
	job = oldest(w, bound);
	if (job)
		dequeue(w, job);
	tl__unlock(&w->lock);
	return job;
}

struct tl__tpool_job *tl__tpool_take(struct tl__tpool_worker *w)
{
	return take_from(w, true);
}

struct tl__tpool_job *tl__tpool_steal(struct tl__tpool_worker *w)
{
	struct tl_pool *pool = w->pool;
	struct tl__tpool_job *job;
	int i;

	/* seq_cst: see enqueue() */
	if (!atomic_load_explicit(&pool->stealable, memory_order_seq_cst))
		return NULL;
	for (i = 1; i < pool->nworkers; i++) {
		struct tl__tpool_worker *victim =
			&pool->workers[(w->index + i) % pool->nworkers];

		/* relaxed: ordered by the load above, if that one counts it */
		if (!atomic_load_explicit(&victim->queued,
					  memory_order_relaxed))
			continue;
		job = take_from(victim, false);
		if (job)
			return job;
	}
	return NULL;
}

/* --- the end ------------------------------------------------------------------- */

/* Whoever has it, has it no more. */
static void over(struct tl__tpool_job *job)
{
	tl__tpool_job_leaves(job->pool);
	tl__future_let_go(&job->future);
}

void tl__tpool_drop(struct tl__tpool_job *job)
{
	if (job->on_dropped)
		job->on_dropped(job->arg);
	count(&job->worker->ndropped);
	tl_future_cancel(&job->future);
	over(job);
}

/* It can't begin: its future, or stderr, says why. */
static void fail(struct tl__tpool_worker *w, struct tl__tpool_job *job, int r)
{
	struct tl_error *error = &tl__error_no_memory;

	if (r != -ENOMEM && tl_error_new(&error, -r, "a job can't begin"))
		error = &tl__error_no_memory;
	if (!tl__future_finish(&job->future, 0, error))
		tl__tpool_uncaught(w, error);
	tl__tpool_drop(job);
}

void tl__tpool_drop_dropped(struct tl__tpool_worker *w)
{
	struct tl__list *link;

	while ((link = tl__list_first(&w->dropped))) {
		tl__list_del(link);
		tl__tpool_drop(job_of(link));
	}
}

void tl__tpool_uncaught(struct tl__tpool_worker *w, struct tl_error *error)
{
	const char *origin = tl_error_origin(error);

	count(&w->nerrors);
	tl__log("pool %s: uncaught error of %s: %s", w->pool->name,
		*origin ? origin : "a job", tl_error_message(error));
	tl_error_free(error);
}

/* As in tl_async(); what the future does not take is the pool's. */
static struct tl_error *take(struct tl_task *t, struct tl_error *error)
{
	struct tl__tpool_job *job = tl__extra(t)->keeper.object;

	if (tl__tpool_is_forked(job->pool))
		return error;
	error = tl__future_settle(&job->future, error);
	if (error)
		tl__tpool_uncaught(job->runner, error);
	return NULL;
}

static void ended(struct tl_task *t, int result, bool killed)
{
	struct tl__tpool_job *job = tl__extra(t)->keeper.object;
	struct tl__tpool_worker *w = job->runner;
	struct tl_future *f = &job->future;

	/* Others may have had the locks when they ceased to be. */
	if (tl__tpool_is_forked(job->pool))
		return;
	tl__lock(&f->lock);
	job->task = NULL;
	tl__unlock(&f->lock);
	tl__lock(&w->lock);
	tl__list_del(&job->link);
	add(&w->running, -1);
	tl__unlock(&w->lock);
	if (!job->has_run) {
		tl__list_add_tail(&w->dropped, &job->link);
		tl__tpool_call(w);
		return;
	}
	count(&w->nended);
	if (killed)
		tl_future_cancel(f);
	else
		tl__future_end(f, result);
	over(job);
}

static const struct tl__keeper_ops keeper_ops = {
	.take = take,
	.ended = ended,
};

bool tl__tpool_has(const struct tl_pool *pool, const struct tl_task *t)
{
	const struct tl__keeper *keeper;
	const struct tl__tpool_job *job;

	if (!(t->flags & TL__KEPT))
		return false;
	keeper = &tl__extra(t)->keeper;
	job = keeper->object;
	return keeper->ops == &keeper_ops && job->pool == pool;
}

/* --- the beginning -------------------------------------------------------------- */

static int job_main(void *arg)
{
	struct tl__tpool_job *job = arg;

	job->has_run = true;
	count(&job->runner->nstarted);
	if (job->runner != job->worker)
		count(&job->runner->nstolen);
	return job->fn(job->arg);
}

/*
 * False: the pool was killed. In the list before it can be found by a kill there;
 * alive before it is in the list.
 */
static bool enlist(struct tl__tpool_worker *w, struct tl__tpool_job *job,
		   struct tl_task *t)
{
	bool killed;

	tl__lock(&w->lock);
	killed = w->round;
	if (!killed) {
		tl__task_start(t->sched, t, job);
		tl__list_add_tail(&w->begun, &job->link);
		add(&w->running, 1);
	}
	tl__unlock(&w->lock);
	return !killed;
}

static void unmake(struct tl_task *t)
{
	t->flags &= ~TL__KEPT;
	tl__refs_set(t, 0);
	tl__stack_release(t->sched, t);
}

/* From here on a cancel kills the tasklet. */
static void make_known(struct tl__tpool_job *job, struct tl_task *t)
{
	struct tl_future *f = &job->future;
	bool is_cancelled;

	tl__lock(&f->lock);
	is_cancelled = f->state == TL_FUTURE_CANCELLED;
	if (!is_cancelled)
		job->task = t;
	tl__unlock(&f->lock);
	if (is_cancelled)
		tl_task_kill_later(t);
}

void tl__tpool_begin(struct tl__tpool_worker *w, struct tl__tpool_job *job)
{
	struct tl__keeper *keeper;
	struct tl_task *t;
	int r;

	if (tl_future_start(&job->future) == -ECANCELED) {
		tl__tpool_drop(job);
		return;
	}
	r = tl__task_make_kept(tl__sched_self, &t, &job->attr, job_main);
	if (r) {
		fail(w, job, r);
		return;
	}
	keeper = &tl__extra(t)->keeper;
	keeper->ops = &keeper_ops;
	keeper->object = job;
	job->runner = w;
	job->tasklet = t;
	if (!enlist(w, job, t)) {
		unmake(t);
		tl__tpool_drop(job);
		return;
	}
	make_known(job, t);
}

void tl__tpool_cancelled(struct tl_future *f)
{
	struct tl__tpool_job *job = job_of_future(f);
	struct tl__tpool_worker *w = job->worker;
	struct tl_task *t;
	bool taken;

	if (tl__tpool_is_forked(job->pool))
		return;
	tl__lock(&w->lock);
	taken = job->is_queued;
	if (taken)
		dequeue(w, job);
	tl__unlock(&w->lock);
	if (taken) {
		tl__tpool_drop(job);
		return;
	}
	tl__lock(&f->lock);
	t = job->task ? tl_task_ref(job->task) : NULL;
	tl__unlock(&f->lock);
	if (!t)
		return;
	tl_task_kill_later(t);
	tl_task_unref(t);
}

/* --- kill ------------------------------------------------------------------------- */

/* Takes all that is queued with @w, and lets it begin nothing any more. */
static void take_all(struct tl__tpool_worker *w, unsigned int round,
		     struct tl__list *taken)
{
	struct tl__tpool_job *job;

	tl__lock(&w->lock);
	if (w->round < round)
		w->round = round;
	while ((job = oldest(w, true))) {
		dequeue(w, job);
		tl__list_add_tail(taken, &job->link);
	}
	tl__unlock(&w->lock);
}

/* As in core/group.c: those that were reached come behind those that were not. */
static struct tl_task *next_victim(struct tl__tpool_worker *w,
				   unsigned int round)
{
	struct tl__list *link;
	struct tl_task *t = NULL;

	tl__lock(&w->lock);
	link = tl__list_first(&w->begun);
	if (link && job_of(link)->round < round) {
		job_of(link)->round = round;
		tl__list_del(link);
		tl__list_add_tail(&w->begun, link);
		t = tl_task_ref(job_of(link)->tasklet);
	}
	tl__unlock(&w->lock);
	return t;
}

int tl__tpool_kill_all_of(struct tl__tpool_worker *w, unsigned int round,
			  const struct tl_task *spared)
{
	struct tl__list taken, *link;
	struct tl_task *t;
	int r, result = 0;

	tl__list_init(&taken);
	take_all(w, round, &taken);
	while ((link = tl__list_first(&taken))) {
		tl__list_del(link);
		tl__tpool_drop(job_of(link));
	}
	while ((t = next_victim(w, round))) {
		if (t != spared) {
			r = tl_task_kill_later(t);
			if (r)
				result = r;
		}
		tl_task_unref(t);
	}
	return result;
}
