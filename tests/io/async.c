/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * tl_call_async() and tl_call(), section 6.3: results and errors reach the caller; whoever leaves before the function is
 * done, by a kill or a deadline, abandons the call: on_abandoned() runs once then, and else never; a call that has not
 * begun is taken back; the pool grows on demand and queues what is more.
 */
#include <pthread.h>

#include "base/alloc.h"
#include "iotest.h"

static _Atomic int begun, done, abandoned_calls;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t opened = PTHREAD_COND_INITIALIZER;
static bool gate;

static void abandoned(UNUSED void *arg)
{
	abandoned_calls++;
}

static void reset(void)
{
	begun = done = abandoned_calls = 0;
	gate = false;
}

static void open_gate(void)
{
	pthread_mutex_lock(&lock);
	gate = true;
	pthread_cond_broadcast(&opened);
	pthread_mutex_unlock(&lock);
}

static long fn_double(void *arg, UNUSED struct tl_error **error)
{
	begun++;
	done++;
	return 2 * (long)arg;
}

static long fn_error(void *arg, struct tl_error **error)
{
	tl_error_new(error, EBADMSG, "from %s", (const char *)arg);
	return 5;
}

/* Waits for the gate, without a clock. */
static long fn_gate(void *arg, UNUSED struct tl_error **error)
{
	begun++;
	pthread_mutex_lock(&lock);
	while (!gate)
		pthread_cond_wait(&opened, &lock);
	pthread_mutex_unlock(&lock);
	done++;
	return (long)arg;
}

static void until(_Atomic int *count, int value)
{
	while (*count < value)
		sched_yield();
}

static void test_results(void)
{
	struct tl_future *f = NULL;
	struct tl_error *e;
	long v = 0;

	reset();
	tap_is(tl_call_async(&f, NULL, NULL, NULL), -EINVAL, "tl_call_async() wants a function");
	tap_is(tl_call_async(&f, fn_double, (void *)21, abandoned), 0, "it runs one");
	tap_is(tl_future_wait(f), 0, "6.3: which is waited for");
	tap_ok(tl_future_result(f, &v) == 0 && v == 42, "6.3: and its result is the caller's");
	tl_future_unref(f);
	tap_is(tl_call(fn_double, (void *)4, abandoned, &v), 0, "tl_call() does both");
	tap_is(v, 8, "6.3: with the result");
	tap_is(tl_call(fn_double, (void *)4, NULL, NULL), 0, "which need not be asked for");
	tap_is(tl_call(fn_error, (void *)"below", abandoned, &v), -EBADMSG, "6.3: an error is the caller's, too");
	e = tl_catch();
	tap_ok(e && !strcmp(tl_error_message(e), "from below"), "with its message");
	tl_error_free(e);
	tap_is(tl_call_async(&f, fn_error, (void *)"there", abandoned), 0, "an asynchronous one");
	tl_future_wait(f);
	tap_is(tl_future_result(f, &v), -EBADMSG, "gives its error to the future");
	tl_future_unref(f);
	tap_is(abandoned_calls, 0, "6.3: nothing was abandoned");
	all_gone("results");
}

static int result_of_call;

static int fn_calls(void *arg)
{
	long v = 0;

	result_of_call = tl_call(fn_gate, arg, abandoned, &v);
	return 0;
}

static void test_abandon(void)
{
	struct tl_future *f;
	struct tl_task *t;
	long v = 7;

	reset();
	tap_is(tl_call_until(fn_gate, NULL, abandoned, &v, tl_now() + MS), -ETIMEDOUT, "6.3: a deadline: the caller leaves");
	tap_ok(done == 0 && v == 7, "before the function is done");
	open_gate();
	until(&abandoned_calls, 1);
	tap_ok(begun == done, "6.3: on_abandoned() runs when the function is over");

	reset();
	t = mk(fn_calls, NULL);
	tl_schedule();
	until(&begun, 1);
	tl_task_kill(t);
	tap_is(result_of_call, -ECANCELED, "6.3: a kill: the caller leaves");
	tap_is(done, 0, "at once");
	open_gate();
	until(&abandoned_calls, 1);
	tl_task_unref(t);

	reset();
	tl_call_async(&f, fn_gate, NULL, abandoned);
	until(&begun, 1);
	tap_is(tl_future_cancel(f), 0, "6.5: cancelled while it runs");
	tap_is(tl_future_state(f), TL_FUTURE_CANCELLED, "6.5: at once");
	tap_is(abandoned_calls, 0, "the function uses its argument still");
	open_gate();
	until(&abandoned_calls, 1);
	tap_is(tl_future_result(f, &v), -ECANCELED, "6.5: its result is ignored");
	tl_future_unref(f);

	reset();
	tl_call_async(&f, fn_gate, NULL, abandoned);
	tl_future_unref(f);
	open_gate();
	until(&abandoned_calls, 1);
	tap_is(done, 1, "without a handle it runs, and nobody takes its result");
	tl_call_async(NULL, fn_gate, NULL, abandoned);
	until(&abandoned_calls, 2);
	tap_is(done, 2, "nor if there never was one");
	tl_call_async(NULL, fn_error, (void *)"", NULL);
	all_gone("abandoned");
}

/* More than the pool has threads: what is more has to queue. */
#define POOL 64
#define MORE 20

static void test_queue(void)
{
	struct tl_future *f[POOL + MORE];
	int i, r;

	reset();
	for (i = 0; i < POOL + MORE; i++)
		if (tl_call_async(&f[i], fn_gate, (void *)(long)i, abandoned))
			tap_bail("tl_call_async");
	until(&begun, POOL);
	tap_is(begun, POOL, "the pool grows up to 64 threads");
	tap_is(tl_future_state(f[0]), TL_FUTURE_RUNNING, "6.5: those run");
	tap_is(tl_future_state(f[POOL]), TL_FUTURE_PENDING, "6.5: what is more, is pending");
	for (i = POOL; i < POOL + MORE; i += 2)
		tl_future_cancel(f[i]);
	tap_is(abandoned_calls, MORE / 2, "cancelled in the queue: on_abandoned() in the function's place");
	/* Calls that wait in the queue are taken back as well. */
	tap_is(tl_call_until(fn_gate, NULL, abandoned, NULL, tl_now() + MS), -ETIMEDOUT, "so is one that waits");
	tap_is(abandoned_calls, MORE / 2 + 1, "and abandoned");
	open_gate();
	tap_is(tl_wait_all(f, POOL + MORE), 0, "all are done");
	for (i = r = 0; i < POOL + MORE; i++) {
		long v = -1;

		r += tl_future_result(f[i], &v) == 0 && v == i;
		tl_future_unref(f[i]);
	}
	tap_is(r, POOL + MORE / 2, "the others with their results");
	tap_is(begun, POOL + MORE / 2, "what was taken back never began");
	tap_is(abandoned_calls, MORE / 2 + 1, "and nothing else was abandoned");
	all_gone("queue");
}

/* Calls whose callers leave just when they are done: each is one or the other. */
static _Atomic int taken, left;
static unsigned long seed;

static int fn_races(void *arg)
{
	uint64_t random = seed + (unsigned long)arg;
	int i, r;

	for (i = 0; i < 50; i++) {
		r = tl_call_until(fn_double, NULL, abandoned, NULL, tl_now() + tap_random(&random) % 100000);
		if (!r)
			taken++;
		else if (r == -ETIMEDOUT)
			left++;
		else
			tap_bail("tl_call_until: %d", r);
	}
	return 0;
}

static void *race_thread(UNUSED void *arg)
{
	long i;

	for (i = 0; i < 4; i++)
		go(fn_races, (void *)i);
	tl_run();
	tl_sched_end();
	return NULL;
}

static void test_race(void)
{
	pthread_t thread;

	reset();
	taken = left = 0;
	seed = tap_seed();
	pthread_create(&thread, NULL, race_thread, NULL);
	race_thread(NULL);
	pthread_join(thread, NULL);
	until(&abandoned_calls, left);
	tap_is(taken + left, 400, "each call came to an end");
	tl_sleep(MS);
	tap_is(abandoned_calls, left, "6.3: on_abandoned() ran once for each whose caller had left, %d of them", left);
	all_gone("race");
}

static long fn_waits_too(void *arg, UNUSED struct tl_error **error)
{
	long v = 0;

	tl_future_wait(arg);
	tl_future_result(arg, &v);
	return v + 1;
}

static void test_chain(void)
{
	struct tl_future *f, *g;
	long v = 0;

	tl_future_new(&f);
	tl_call_async(&g, fn_waits_too, f, NULL);
	tl_future_set(f, 10);
	tl_future_wait(g);
	tl_future_result(g, &v);
	tap_is(v, 11, "a function on the pool may wait for a future itself");
	tl_future_unref(f);
	tl_future_unref(g);
	all_gone("chain");
}

static void test_memory(void)
{
	struct tl_future *f;

	reset();
	tl__fault_arm(1, false);
	tap_is(tl_call_async(&f, fn_double, NULL, abandoned), -ENOMEM, "no memory for a call");
	tl__fault_arm(1, false);
	tap_is(tl_call(fn_double, NULL, abandoned, NULL), -ENOMEM, "nor for one that waits");
	tl__fault_arm(0, false);
	tap_ok(!begun && !abandoned_calls, "nothing has happened");
	all_gone("memory");
}

int main(void)
{
	iotest_begin(45);
	test_results();
	test_abandon();
	test_queue();
	test_race();
	test_chain();
	test_memory();
	return iotest_end();
}
