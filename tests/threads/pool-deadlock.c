/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Deadlock with pools about (section 3.4 and its defects in 9): idle threads of a pool neither hide one nor are told of
 * one; jobs that take part in one are told, as others are.
 */
#include "pool.h"

#include <sys/resource.h>

static struct tl_chan *never;
static _Atomic int told, blocked;

static int recv_never(void)
{
	long v;

	return tl_chan_recv(never, &v);
}

static int fn_report(UNUSED void *arg)
{
	return (int)strlen(tl_deadlock_report());
}

static void test_idle(void)
{
	struct tl_pool *pool = new_pool(3, TL_POOL_ROUND_ROBIN, 0);
	long reports = 0;
	int i;

	tap_is(recv_never(), -EDEADLK, "9: idle threads of a pool could not end this wait");
	tap_is(recv_never(), -EDEADLK, "... nor the next one");
	for (i = 0; i < 3; i++)
		reports += result_of(put_on(pool, i, fn_report, NULL));
	tap_is(reports, 0, "... and had nothing to report");
	tap_ok(result_of(put(pool, fn_index, NULL)) >= 0, "... and are there still");
	tap_is(end_pool(pool), 0, "... and end");
}

static int fn_told(UNUSED void *arg)
{
	int r;

	atomic_fetch_add(&blocked, 1);
	r = recv_never();
	if (r == -EDEADLK)
		atomic_fetch_add(&told, 1);
	return r == -EDEADLK ? 42 : 0;
}

static void test_job(void)
{
	struct tl_pool *pool = new_pool(2, TL_POOL_ROUND_ROBIN, 0);
	struct tl_future *f = put(pool, fn_told, NULL);
	int r = tl_future_wait(f);

	tap_ok(r == -EDEADLK || !r, "9: whoever waits for a job that waits for ever: told, or the job was before (%d)", r);
	await(tl_future_state(f) == TL_FUTURE_FINISHED);
	tap_is(result_of(f), 42, "9: the job is told");
	end_pool(pool);
}

static void test_jobs(void)
{
	struct tl_pool *pool = new_pool(2, TL_POOL_ROUND_ROBIN, TL_POOL_NO_STEAL);
	int i, r;

	atomic_store(&told, 0);
	for (i = 0; i < 6; i++)
		tl_pool_spawn(pool, NULL, fn_told, NULL);
	while ((r = tl_pool_wait(pool)) == -EDEADLK)
		;
	tap_is(r, 0, "9: of several, on several threads, one after the other is told");
	tap_is(told, 6, "... until all are");
	end_pool(pool);
}

static int fn_saves(UNUSED void *arg)
{
	long v = 1;
	int i;

	for (i = 0; i < 200; i++)
		nap();
	return tl_chan_send(never, &v);
}

static void test_none(void)
{
	struct tl_pool *pool = new_pool(2, TL_POOL_ROUND_ROBIN, 0);
	struct tl_future *f = put(pool, fn_saves, NULL);

	tap_is(recv_never(), 0, "3.4: a job that runs can act");
	result_of(f);
	f = put(pool, fn_told, NULL);
	await(tl_chan_balance(never) == -1);
	tap_is(result_of(put(pool, fn_saves, NULL)), 0, "3.4: and those that wait are woken");
	tap_is(result_of(f), 0, "... and not told");
	end_pool(pool);
}

/* Nobody is left but idle threads: they sleep, and do not tell each other of it again and again. */
static void *makes_pool(void *arg)
{
	*(struct tl_pool **)arg = new_pool(3, TL_POOL_ROUND_ROBIN, 0);
	return NULL;
}

static void test_quiet(void)
{
	struct rusage before, after;
	struct tl_pool *pool;
	long us;

	tl_sched_end();		/* this thread is unknown from here on */
	in_thread(makes_pool, &pool);
	getrusage(RUSAGE_SELF, &before);
	nanosleep(&(struct timespec){ .tv_nsec = 300000000 }, NULL);
	getrusage(RUSAGE_SELF, &after);
	us = (after.ru_utime.tv_sec - before.ru_utime.tv_sec) * 1000000 + after.ru_utime.tv_usec - before.ru_utime.tv_usec +
	     (after.ru_stime.tv_sec - before.ru_stime.tv_sec) * 1000000 + after.ru_stime.tv_usec - before.ru_stime.tv_usec;
	tap_ok(us < 100000, "idle threads use no processor time (%ld us in 300 ms)", us);
	end_pool(pool);
}

int main(void)
{
	tap_plan(14);
	never = new_chan(sizeof(long), 0);
	test_idle();
	test_job();
	test_jobs();
	test_none();
	test_quiet();
	tl_chan_unref(never);
	tap_is(tl_sched_end(), 0, "sched.h: nothing is left");
	return tap_exit();
}
