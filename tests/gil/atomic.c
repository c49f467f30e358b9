/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * tl_atomic() holds off the yield at ticks, so that what is done under it is done at once for tasklets of all threads
 * that share the lock; blocking inside is allowed and gives the lock away for that time. stacklesslib's lock, made of a
 * channel, an owner and atomic, is right with it, between tasklets of two threads. With that part of atomic switched
 * off, the same checks fail: they are run that way too.
 */
#include "gil.h"
#include "core/gil-hooks.h"

#define TICKS_INSIDE 500

static struct tl_gil *the_gil;
static _Atomic int entered;

static void *comes(UNUSED void *arg)
{
	reach(1);
	come_in(the_gil);
	atomic_store(&entered, 1);
	tl_gil_detach();
	return NULL;
}

/* Holds it, atomic, while another thread wants it. Returns whether that got in at one of our ticks. */
static bool let_in(struct tl_gil *gil, bool patient)
{
	pthread_t thread;
	bool was, in;
	int i;

	the_gil = gil;
	reach(0);
	atomic_store(&entered, 0);
	come_in(gil);
	was = tl_atomic(true);
	thread = start(comes, NULL);
	await_step(1);
	for (i = 0; i < TICKS_INSIDE || (patient && !atomic_load(&entered)); i++) {
		if (i % 50 == 0)
			nap();	/* it comes to wait meanwhile, if it didn't yet */
		tl_tick();
	}
	in = atomic_load(&entered);
	tl_atomic(was);
	while (!atomic_load(&entered))
		tl_tick();
	tl_gil_block_begin();
	pthread_join(thread, NULL);
	tl_gil_detach();
	return in;
}

static void test_yield(struct tl_gil *gil)
{
	tap_ok(!let_in(gil, false), "%s: nobody gets in at a tick of one that is atomic", tl_gil_name(gil));
	tl__gil_ignores_atomic = true;
	tap_ok(let_in(gil, true), "%s: somebody does where atomic holds nothing off", tl_gil_name(gil));
	tl__gil_ignores_atomic = false;
}

/* --- stacklesslib's lock ---------------------------------------------------------------------------------------------- */

/* Without a lock of its own: all is done under atomic. Bytecodes are ticks. */
static struct {
	struct tl_chan *wakes;
	struct tl_task *owner;
	int waiting;
} lock;

/* False: killed, by the end of its thread. */
static bool lock_acquire(void)
{
	bool was = tl_atomic(true);

	while (lock.owner) {
		tl_tick();
		lock.waiting++;
		tl_tick();
		if (tl_chan_recv(lock.wakes, NULL))
			return false;
		tl_tick();
	}
	tl_tick();
	lock.owner = tl_current();
	tl_tick();
	tl_atomic(was);
	return true;
}

static bool lock_release(void)
{
	bool was = tl_atomic(true);

	tl_tick();
	lock.owner = NULL;
	tl_tick();
	if (lock.waiting) {
		tl_tick();
		lock.waiting--;
		tl_tick();
		if (tl_chan_send(lock.wakes, NULL))
			return false;
	}
	tl_atomic(was);
	return true;
}

#define TASKLETS 4
#ifdef __SANITIZE_THREAD__
#define ROUNDS 100
#else
#define ROUNDS 1000
#endif

static _Atomic int inside, violations, left, turns;
static _Atomic bool once_is_enough;

static int uses_lock(UNUSED void *arg)
{
	int i;

	for (i = 0; i < ROUNDS && !(atomic_load(&once_is_enough) && atomic_load(&violations)); i++) {
		if (!lock_acquire())
			return 1;
		if (atomic_fetch_add(&inside, 1))
			atomic_fetch_add(&violations, 1);
		tl_tick();
		if (i % 7 == 0)
			tl_schedule();
		tl_tick();
		atomic_fetch_sub(&inside, 1);
		atomic_fetch_add(&turns, 1);
		if (!lock_release())
			return 1;
		tl_tick();
	}
	atomic_fetch_sub(&left, 1);
	return 0;
}

/* Until they are done; or nothing has moved for long, where the lock may be broken. */
static void run_them(void)
{
	struct tl_stats s = { .size = sizeof(s) };
	int before = -1, idle = 0;

	while (!tl_stats(&s) && s.alive > 1 + s.paused && idle < 1000) {
		if (s.runnable > 1) {
			tl_schedule();
			continue;
		}
		tl_sleep(20000);
		if (atomic_load(&once_is_enough) && atomic_load(&turns) == before)
			idle++;
		else
			idle = 0;
		before = atomic_load(&turns);
	}
}

static void *half(UNUSED void *arg)
{
	int i;

	come_in(the_gil);
	for (i = 0; i < TASKLETS / 2; i++)
		tl_task_unref(spawn(uses_lock, NULL));
	run_them();
	tl_gil_detach();
	tl_sched_end();
	return NULL;
}

/* Two threads, half of the tasklets each. Returns whether the lock did what a lock does. */
static bool lock_holds(struct tl_gil *gil)
{
	pthread_t threads[2];
	int i;

	the_gil = gil;
	lock.wakes = new_chan(0, 0);
	lock.owner = NULL;
	lock.waiting = 0;
	atomic_store(&violations, 0);
	atomic_store(&inside, 0);
	atomic_store(&left, TASKLETS);
	for (i = 0; i < 2; i++)
		threads[i] = start(half, NULL);
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	tl_chan_unref(lock.wakes);
	return !atomic_load(&violations) && !atomic_load(&left);
}

static void test_lock(struct tl_gil *gil)
{
	tap_ok(lock_holds(gil), "%s: the lock of a channel and atomic, between tasklets of two threads", tl_gil_name(gil));
}

/* Two tasklets inside at once, or all of them waiting for ever: those are killed, by the thread's end. */
static void test_lock_breaks(void)
{
	struct tl_gil *gil = new_gil("ticks:futex,ticks=1");
	bool broken = false;

	tl__gil_ignores_atomic = true;
	atomic_store(&once_is_enough, true);
	while (!broken)
		broken = !lock_holds(gil);
	tl__gil_ignores_atomic = false;
	atomic_store(&once_is_enough, false);
	tap_ok(broken, "the same lock breaks where atomic holds nothing off");
	tap_ok(lock_holds(gil), "and is right again where it does");
	tl_gil_free(gil);
}

int main(void)
{
	tap_plan(3 * count_gils() + 2);
	each_gil(test_yield);
	each_gil(test_lock);
	test_lock_breaks();
	return tap_exit();
}
