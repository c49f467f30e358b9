/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * threads.h: what the tests of several threads share.
 *
 * A thread of a test begins as a plain one: it gets a scheduler with its first call. Steps of two threads are put in
 * order by words that one sets and the other waits for (reach(), await()), never by time.
 */
#ifndef THREADS_H
#define THREADS_H

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include <tasklet/tasklet.h>

#include "tap.h"

#define UNUSED __attribute__((unused))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MS UINT64_C(1000000)

static UNUSED void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 50000 }, NULL);
}

/* Waits until cond holds; a test that hangs here has failed, and the runner says where. */
#define await(cond) do { while (!(cond)) nap(); } while (0)

static _Atomic int step;

static UNUSED void reach(int n)
{
	atomic_store(&step, n);
}

static UNUSED void await_step(int n)
{
	await(atomic_load(&step) >= n);
}

static UNUSED pthread_t start(void *(*fn)(void *), void *arg)
{
	pthread_t t;

	if (pthread_create(&t, NULL, fn, arg))
		tap_bail("no thread");
	return t;
}

static UNUSED void in_thread(void *(*fn)(void *), void *arg)
{
	pthread_join(start(fn, arg), NULL);
}

static UNUSED struct tl_chan *new_chan(size_t size, size_t capacity)
{
	struct tl_chan *c;

	if (tl_chan_new(&c, size, capacity))
		tap_bail("no channel");
	return c;
}

static UNUSED struct tl_task *spawn(tl_task_fn *fn, void *arg)
{
	struct tl_task *t;

	if (tl_spawn(&t, fn, arg))
		tap_bail("no tasklet");
	return t;
}

/* A blocked tasklet of another thread is seen as such. */
static UNUSED void await_blocked(const struct tl_task *t)
{
	await(tl_task_is_blocked(t));
}

/* Runs the others of this thread until none but paused ones are left; meanwhile other threads wake them. */
static UNUSED void run_all(void)
{
	struct tl_stats s = { .size = sizeof(s) };

	while (!tl_stats(&s) && s.alive > 1 + s.paused) {
		if (s.runnable > 1)
			tl_schedule();
		else
			tl_sleep(20000);
	}
}

/* The same by one run(), which returns when all threads wait for each other. */
static UNUSED int run_threadblock(void)
{
	struct tl_run_options o = { .size = sizeof(o), .flags = TL_RUN_THREADBLOCK };

	return tl_run_with(&o, NULL);
}

#endif
