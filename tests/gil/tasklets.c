/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Schedulers that share the lock: a thread whose tasklets all wait (for a channel, a time, a pipe, a call on another
 * thread, a lock) does not hold it; while any of its tasklets runs it does. So plain variables are safe between
 * tasklets of several threads, but for ticks and calls that wait. What tl_call_async() runs does not hold it.
 */
#include <fcntl.h>

#include "gil.h"

#define TASKLETS 3
#ifdef __SANITIZE_THREAD__
#define ROUNDS 60
#else
#define ROUNDS 300
#endif

static struct tl_gil *the_gil;
static struct tl_chan *there, *back;
static struct tl_mutex mutex;
static int pipes[2][2];
static long sum;		/* of no lock but the one */
static _Atomic int wrong, left;

static void touch(void)
{
	long before = sum;

	if (!tl_gil_is_held())
		atomic_fetch_add(&wrong, 1);
	sum = before + 1;
}

static long elsewhere(UNUSED void *arg, UNUSED struct tl_error **error)
{
	return tl_gil_is_held() || tl_gil_current();
}

/* All the ways in which a tasklet waits. */
static int works(void *arg)
{
	int side = (int)(long)arg, i, n;
	long held = 1;
	char c = 'x';

	for (i = 0; i < ROUNDS; i++) {
		n = i;
		touch();
		if (side ? tl_chan_recv(there, &n) : tl_chan_send(there, &n))
			atomic_fetch_add(&wrong, 1);
		touch();
		if (i % 10 == 0)
			tl_sleep(1000);
		touch();
		if (i % 5 == 0 && (tl_write(pipes[side][1], &c, 1) != 1 || tl_read(pipes[!side][0], &c, 1) != 1))
			atomic_fetch_add(&wrong, 1);
		touch();
		if (i % 20 == 0 && (tl_call(elsewhere, NULL, NULL, &held) || held))
			atomic_fetch_add(&wrong, 1);
		touch();
		if (tl_mutex_lock(&mutex))
			atomic_fetch_add(&wrong, 1);
		tl_schedule();
		touch();
		tl_mutex_unlock(&mutex);
		tl_tick();
		touch();
	}
	atomic_fetch_sub(&left, 1);
	return 0;
}

static void *scheduler(void *arg)
{
	int i;

	come_in(the_gil);
	for (i = 0; i < TASKLETS; i++)
		tl_task_unref(spawn(works, arg));
	while (atomic_load(&left)) {
		tl_tick();
		tl_sleep(100000);
	}
	if (!tl_gil_is_held())
		atomic_fetch_add(&wrong, 1);
	tl_gil_detach();
	tl_sched_end();
	return NULL;
}

static void test_shared(struct tl_gil *gil)
{
	pthread_t threads[2];
	long i;

	the_gil = gil;
	sum = 0;
	atomic_store(&wrong, 0);
	atomic_store(&left, 2 * TASKLETS);
	there = new_chan(sizeof(int), 0);
	for (i = 0; i < 2; i++) {
		if (pipe2(pipes[i], O_CLOEXEC))
			tap_bail("no pipe");
		threads[i] = start(scheduler, (void *)i);
	}
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	for (i = 0; i < 2; i++) {
		close(pipes[i][0]);
		close(pipes[i][1]);
	}
	tl_chan_unref(there);
	tap_ok(!atomic_load(&wrong) && sum == 2L * TASKLETS * ROUNDS * 7,
	       "%s: tasklets of two threads, waiting in all ways", tl_gil_name(gil));
	if (atomic_load(&wrong) || sum != 2L * TASKLETS * ROUNDS * 7)
		tap_diag("%d wrong, %ld of %ld", atomic_load(&wrong), sum, 2L * TASKLETS * ROUNDS * 7);
}

/* --- who sleeps does not hold it ------------------------------------------------------------------------------------------ */

static int naps(UNUSED void *arg)
{
	reach(1);
	return tl_sleep(3600 * 1000 * MS);
}

static void *sleeper(UNUSED void *arg)
{
	struct tl_task *t;

	come_in(the_gil);
	t = spawn(naps, NULL);
	tl_schedule();
	if (tl_chan_recv(back, NULL))
		tap_bail("no word to end");
	if (!tl_gil_is_held())
		atomic_fetch_add(&wrong, 1);
	tl_task_kill(t);
	tl_task_unref(t);
	tl_gil_detach();
	tl_sched_end();
	return NULL;
}

static void test_sleeper(struct tl_gil *gil)
{
	pthread_t thread;

	the_gil = gil;
	atomic_store(&wrong, 0);
	reach(0);
	back = new_chan(0, 0);
	thread = start(sleeper, NULL);
	await_step(1);
	come_in(gil);	/* hangs if it is not given away */
	tl_chan_send(back, NULL);
	tl_gil_block_begin();
	pthread_join(thread, NULL);
	tl_gil_block_end();
	tl_gil_detach();
	tl_chan_unref(back);
	tap_ok(!atomic_load(&wrong), "%s: a thread that sleeps does not hold it", tl_gil_name(gil));
}

/* A wait inside of a block that the thread has declared itself: it holds nothing before the end. */
static void test_nested(void)
{
	struct tl_gil *gil = new_gil("handoff");

	come_in(gil);
	tl_gil_block_begin();
	tl_sleep(1000);
	tap_ok(!tl_gil_is_held(), "a sleep inside of a declared block");
	tl_gil_block_end();
	tap_ok(tl_gil_is_held(), "and after it");
	tl_gil_detach();
	tl_gil_free(gil);
}

int main(void)
{
	tap_plan(2 * count_gils() + 2);
	each_gil(test_shared);
	each_gil(test_sleeper);
	test_nested();
	tl_sched_end();
	return tap_exit();
}
