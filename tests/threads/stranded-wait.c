/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A thread that ends with a tasklet in a wait that no kill ends: it takes a condition's lock again, or has arrived at a
 * barrier whose action runs. It is in no queue any more: what should have woken it finds nobody.
 */
#include "threads.h"

#if defined(__SANITIZE_ADDRESS__)
/* What the kernel might still write to is left behind on purpose. */
__attribute__((visibility("default"))) int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return 1;
}
#endif

static struct tl_mutex m = TL_MUTEX_INIT;
static struct tl_cond c = TL_COND_INIT;
static struct tl_barrier b;
static pthread_t thread;

static int fn_cond(UNUSED void *arg)
{
	tl_mutex_lock(&m);
	tl_cond_wait(&c, &m);
	tl_mutex_unlock(&m);
	return 0;
}

static int fn_barrier(UNUSED void *arg)
{
	tl_barrier_wait(&b);
	return 0;
}

static void *waits(void *arg)
{
	if (tl_spawn(NULL, arg ? fn_barrier : fn_cond, NULL))
		tap_bail("no tasklet");
	tl_schedule();
	reach(1);
	await_step(2);
	tl_schedule();
	return NULL;
}

static void test_cond(void)
{
	thread = start(waits, NULL);
	await_step(1);
	tl_mutex_lock(&m);
	tap_is(tl_cond_notify(&c, 1), 1, "cond.h: it is notified, and waits for the lock");
	reach(2);
	pthread_join(thread, NULL);
	tap_is(tl_mutex_unlock(&m), 0, "9: its thread is gone; the unlock wakes nobody");
	tap_ok(!tl_mutex_lock(&m) && !tl_mutex_unlock(&m) && !m.tl__word && !m.tl__queue, "mutex.h: nothing is left in it");
}

static int act(UNUSED void *arg)
{
	reach(2);
	pthread_join(thread, NULL);
	return 0;
}

static void test_barrier(void)
{
	reach(0);
	tl_barrier_init(&b, 2, act, NULL);
	thread = start(waits, &b);
	await_step(1);
	await(tl_barrier_waiting(&b));
	tap_is(tl_barrier_wait(&b), 1, "9: its thread is gone when the action ends");
	tap_ok(!tl_barrier_waiting(&b) && !tl_barrier_is_broken(&b), "barrier.h: the round is over");
}

int main(void)
{
	tap_plan(5);
	test_cond();
	test_barrier();
	return tap_exit();
}
