/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Pools where memory or a thread can't be had: each allocation, mapping and thread fails in turn.
 */
#include "pool.h"

#include "base/alloc.h"

static int fn_seven(UNUSED void *arg)
{
	return 7;
}

static _Atomic int dropped;

static void on_dropped(UNUSED void *arg)
{
	atomic_fetch_add(&dropped, 1);
}

/* To make one, and to use it if it could be made. */
static int new_and_end(void)
{
	struct tl_pool_options o = { .size = sizeof(o), .threads = 3 };
	struct tl_pool *pool;
	int r = tl_pool_new(&pool, &o);

	tl__fault_arm(0, false);
	if (r)
		return r;
	if (result_of(put(pool, fn_seven, NULL)) != 7)
		return 1;
	return end_pool(pool);
}

static void test_new(bool sticky)
{
	unsigned long nth, failed = 0, again = 0;
	int r;

	for (nth = 1; nth < 60; nth++) {
		tl__fault_arm(nth, sticky);
		r = new_and_end();
		if (r && r != -ENOMEM && r != -EAGAIN)
			break;
		failed += r == -ENOMEM;
		again += r == -EAGAIN;
		if (!r && tl__fault_count() < nth)
			break;
	}
	tap_ok(!r && failed >= 2 && again >= 1,
	       "tl_pool_new%s: -ENOMEM (%lu) or -EAGAIN (%lu), and no thread is left", sticky ? ", all fail" : "", failed,
	       again);
}

static void test_spawn(void)
{
	struct tl_task_attr task = { .size = sizeof(task), .name = "name" };
	struct tl_pool_attr attr = { .size = sizeof(attr), .task = &task, .on_dropped = on_dropped };
	struct tl_pool *pool = new_pool(1, TL_POOL_ROUND_ROBIN, 0);
	unsigned long nth, refused = 0, failed = 0;
	struct tl_future *f;
	_Atomic int go;
	int r = 0;

	for (nth = 1; nth < 20; nth++) {
		struct tl_future *b;

		atomic_store(&go, 0);
		b = put(pool, fn_busy, &go);
		await(atomic_load(&busy) == 1);
		tl__fault_arm(nth, false);
		r = tl_pool_spawn_attr(pool, &f, &attr, fn_seven, NULL);
		atomic_store(&go, 1);
		if (r) {
			refused++;
		} else {
			tl_future_wait(f);
			r = tl_future_result(f, NULL);
			failed += r == -ENOMEM;
			tl_future_unref(f);
		}
		tl__fault_arm(0, false);
		result_of(b);
		if (r != -ENOMEM)
			break;
	}
	tap_ok(!r && refused == 2 && failed >= 1,
	       "tl_pool_spawn: -ENOMEM, from the call (%lu) or by the future (%lu)", refused, failed);
	tap_is(dropped, failed, "... and then the job is dropped");
	tap_is(stats_of(pool, 0).dropped, failed, "... which is counted");
	tap_is(end_pool(pool), 0, "... and the pool goes on");
}

int main(void)
{
	tap_plan(7);
	tl_current();
	test_new(false);
	test_new(true);
	test_spawn();
	tap_is(tl_sched_end(), 0, "sched.h: nothing is left");
	return tap_exit();
}
