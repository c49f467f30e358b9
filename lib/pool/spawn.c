/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Spawning: a job is made, counted and put into the queue of the thread that the
 * pool's placement says. See pool.h. Takes the locks that job.c and pool.c take,
 * one after the other.
 */
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "pool/pool.h"

static struct tl__tpool_job *job_of_future(struct tl_future *f)
{
	return tl__container_of(f, struct tl__tpool_job, future);
}

static void destroy(struct tl_future *f)
{
	struct tl__tpool_job *job = job_of_future(f);
	struct tl_pool *pool = job->pool;

	tl__free((char *)job->attr.name);
	tl__free(job);
	tl__tpool_let_go_of(pool);
}

static const struct tl__future_ops job_ops = {
	.cancelled = tl__tpool_cancelled,
	.destroy = destroy,
};

/* What of @attr, which was checked, there is to remember. */
static int copy_attr(struct tl__tpool_job *job, const struct tl_task_attr *attr)
{
	size_t len;
	char *name;

	job->attr.size = sizeof(job->attr);
	if (!attr)
		return 0;
	job->attr.stack_size = attr->stack_size;
	if (attr->size > offsetof(struct tl_task_attr, flags))
		job->attr.flags = attr->flags;
	if (!attr->name)
		return 0;
	len = strlen(attr->name) + 1;
	name = tl__malloc(len);
	if (!name)
		return -ENOMEM;
	job->attr.name = memcpy(name, attr->name, len);
	return 0;
}

static int attr_check(const struct tl_pool_attr *attr)
{
	const char *byte, *end;

	if (!attr)
		return 0;
	if (attr->size < sizeof(*attr) || attr->size > 4096)
		return -EINVAL;
	byte = (const char *)(attr + 1);
	end = (const char *)attr + attr->size;
	while (byte < end)
		if (*byte++)
			return -E2BIG;
	return attr->task ? tl__task_attr_check(attr->task) : 0;
}

static int job_new(struct tl_pool *pool, struct tl__tpool_job **out,
		   const struct tl_pool_attr *attr)
{
	struct tl__tpool_job *job;
	int r = attr_check(attr);

	if (r)
		return r;
	job = tl__calloc(1, sizeof(*job));
	if (!job)
		return -ENOMEM;
	r = copy_attr(job, attr ? attr->task : NULL);
	if (r) {
		tl__free(job);
		return r;
	}
	if (attr)
		job->on_dropped = attr->on_dropped;
	tl__future_init(&job->future, &job_ops);
	job->pool = pool;
	tl__tpool_hold(pool);
	*out = job;
	return 0;
}

/* How much there is to do for @w. relaxed: a guess. */
static unsigned int load(const struct tl__tpool_worker *w)
{
	return atomic_load_explicit(&w->queued, memory_order_relaxed) +
	       atomic_load_explicit(&w->running, memory_order_relaxed);
}

static struct tl__tpool_worker *place(struct tl_pool *pool)
{
	unsigned int i, n = (unsigned int)pool->nworkers;
	/* relaxed: each gets a number, in whatever order */
	unsigned int next = atomic_fetch_add_explicit(&pool->next, 1,
						      memory_order_relaxed);
	struct tl__tpool_worker *best = &pool->workers[next % n];
	unsigned int least = load(best);

	if (pool->placement == TL_POOL_ROUND_ROBIN)
		return best;
	for (i = 1; i < n && least; i++) {
		struct tl__tpool_worker *w = &pool->workers[(next + i) % n];

		if (load(w) < least) {
			best = w;
			least = load(w);
		}
	}
	return best;
}

static int spawn(struct tl_pool *pool, struct tl__tpool_worker *w,
		 struct tl_future **out, const struct tl_pool_attr *attr,
		 tl_task_fn *fn, void *arg)
{
	struct tl__tpool_job *job;
	bool bound = w || (pool->flags & TL_POOL_NO_STEAL);
	int r = fn ? job_new(pool, &job, attr) : -EINVAL;

	if (r)
		return r;
	job->fn = fn;
	job->arg = arg;
	job->is_bound = bound;
	if (!out) {
		job->future.handles = 0;
		tl__future_let_go(&job->future);
	}
	r = tl__tpool_job_enters(pool);
	if (!r) {
		if (!w)
			w = place(pool);
		if (tl__tpool_put(w, job)) {
			tl__tpool_call_for_job(w, bound);
			if (out)
				*out = &job->future;
			return 0;
		}
		tl__tpool_job_leaves(pool);
		r = -EPIPE;
	}
	if (out)
		tl__future_let_go(&job->future);
	tl__future_let_go(&job->future);
	return r;
}

int tl_pool_spawn(struct tl_pool *pool, struct tl_future **out, tl_task_fn *fn,
		  void *arg)
{
	return tl_pool_spawn_attr(pool, out, NULL, fn, arg);
}

int tl_pool_spawn_attr(struct tl_pool *pool, struct tl_future **out,
		       const struct tl_pool_attr *attr, tl_task_fn *fn,
		       void *arg)
{
	if (tl__tpool_is_forked(pool))
		return -ESRCH;
	return spawn(pool, NULL, out, attr, fn, arg);
}

int tl_pool_spawn_on(struct tl_pool *pool, int thread, struct tl_future **out,
		     const struct tl_pool_attr *attr, tl_task_fn *fn, void *arg)
{
	if (tl__tpool_is_forked(pool))
		return -ESRCH;
	if (thread < 0 || thread >= pool->nworkers)
		return -EINVAL;
	return spawn(pool, &pool->workers[thread], out, attr, fn, arg);
}
