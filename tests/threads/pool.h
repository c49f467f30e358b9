/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * pool.h: what the tests of pools share.
 */
#ifndef POOL_H
#define POOL_H

#include "threads.h"

#define AT_ONCE UINT64_C(1)

static UNUSED struct tl_pool *new_pool(unsigned int threads, enum tl_pool_placement placement, uint64_t flags)
{
	struct tl_pool_options o = { .size = sizeof(o), .threads = threads, .placement = placement, .flags = flags,
				     .name = "test" };
	struct tl_pool *pool;

	if (tl_pool_new(&pool, &o))
		tap_bail("no pool");
	return pool;
}

/* Closes it and waits for its threads. */
static UNUSED int end_pool(struct tl_pool *pool)
{
	int r = tl_pool_close(pool);

	if (!r)
		r = tl_pool_wait(pool);
	tl_pool_unref(pool);
	return r;
}

static UNUSED struct tl_pool_stats stats_of(struct tl_pool *pool, int thread)
{
	struct tl_pool_stats s = { .size = sizeof(s) };

	if (tl_pool_stats(pool, thread, &s))
		tap_bail("no statistics");
	return s;
}

static UNUSED struct tl_future *put(struct tl_pool *pool, tl_task_fn *fn, void *arg)
{
	struct tl_future *f;

	if (tl_pool_spawn(pool, &f, fn, arg))
		tap_bail("no job");
	return f;
}

static UNUSED struct tl_future *put_on(struct tl_pool *pool, int thread, tl_task_fn *fn, void *arg)
{
	struct tl_future *f;

	if (tl_pool_spawn_on(pool, thread, &f, NULL, fn, arg))
		tap_bail("no job");
	return f;
}

/* What it came to. */
static UNUSED long result_of(struct tl_future *f)
{
	long result = 0;
	int r = tl_future_wait(f);

	if (!r)
		r = tl_future_result(f, &result);
	tl_future_unref(f);
	return r ? r : result;
}

/* Keeps its thread busy, without a switch, while *arg is 0; counts up to say that it is there. */
static UNUSED _Atomic int busy;

static UNUSED int fn_busy(void *arg)
{
	atomic_fetch_add(&busy, 1);
	await(atomic_load((_Atomic int *)arg));
	atomic_fetch_sub(&busy, 1);
	return 0;
}

/* Where it ran. */
static UNUSED int fn_index(UNUSED void *arg)
{
	return tl_pool_index();
}

#endif
