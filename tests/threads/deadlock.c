/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Deadlock (section 3.4 and its defects in 9): seen when all threads that the library knows sleep with nothing under way
 * that could wake them, told to each of them and not only to the last; never seen while another thread could still
 * act: one that runs, one that has not called the library yet, a timer, a declared external waker.
 */
#include "threads.h"

static struct tl_chan *never;
static _Atomic int told, results[4];

static int recv_never(void)
{
	long v;

	return tl_chan_recv(never, &v);
}

static bool reported[4];

static void *waits(void *arg)
{
	tl_task_set_name(tl_current(), "waiter");
	results[(long)arg] = recv_never();
	reported[(long)arg] = strstr(tl_deadlock_report(), "(waiter)") && strstr(tl_deadlock_report(), "receives from");
	atomic_fetch_add(&told, 1);
	return NULL;
}

static void test_all_threads(void)
{
	pthread_t t[3];
	long i, right = 0;
	int r;

	atomic_store(&told, 0);
	for (i = 0; i < 3; i++)
		t[i] = start(waits, (void *)i);
	r = recv_never();
	for (i = 0; i < 3; i++) {
		pthread_join(t[i], NULL);
		right += results[i] == -EDEADLK;
		told += reported[i];
	}
	tap_is(r, -EDEADLK, "3.4: four threads wait for each other: a deadlock");
	tap_is(right, 3, "9: told to each of them, not only to the last");
	tap_is(told, 6, "9: with a report of who waits for what");
	tap_is(tl_chan_balance(never), 0, "3.4: their calls had no effect");
}

static void *waits_then_sends(UNUSED void *arg)
{
	long v = 1;

	if (recv_never() == -EDEADLK)
		tl_chan_send(never, &v);
	return NULL;
}

static void test_goes_on(void)
{
	int r, n = 0;
	pthread_t t;

	t = start(waits_then_sends, NULL);
	while ((r = recv_never()) == -EDEADLK)
		n++;
	pthread_join(t, NULL);
	tap_ok(!r && n <= 1, "3.4: one who is told may do something about it");
}

/* --- who could still act ------------------------------------------------------------------------------------------ */

static void *comes_late(UNUSED void *arg)
{
	long v = 1;
	int i;

	for (i = 0; i < 2000; i++)	/* 100 ms or so of not calling the library */
		nap();
	tl_chan_send(never, &v);
	return NULL;
}

static void test_unknown(void)
{
	pthread_t t = start(comes_late, NULL);

	tap_is(recv_never(), 0, "9: a thread that has not called the library yet may still do so");
	pthread_join(t, NULL);
}

static void *comes_never(UNUSED void *arg)
{
	await_step(1);
	return NULL;
}

static void *lets_it_go(UNUSED void *arg)
{
	nap();
	reach(1);
	return NULL;
}

static void *ends_at_last(void *arg)
{
	int i;

	await_blocked(arg);
	for (i = 0; i < 200; i++)	/* so that it sleeps, but if not the check holds as well */
		nap();
	return NULL;
}

static void test_known_ends(void)
{
	struct tl_task *me = tl_task_ref(tl_current());
	pthread_t t = start(ends_at_last, me);

	tap_is(recv_never(), -EDEADLK, "3.4: the last thread that could have acted ends instead");
	pthread_join(t, NULL);
	tl_task_unref(me);
}

static void test_unknown_ends(void)
{
	pthread_t t, u;

	atomic_store(&step, 0);
	t = start(comes_never, NULL);
	u = start(lets_it_go, NULL);
	tap_is(recv_never(), -EDEADLK, "9: when it ends without a word, that is found out");
	pthread_join(t, NULL);
	pthread_join(u, NULL);
}

static void *has_timer(UNUSED void *arg)
{
	long v = 1;

	tl_sleep(20 * MS);
	tl_chan_send(never, &v);
	return NULL;
}

static void *spins(UNUSED void *arg)
{
	long v = 1;

	tl_current();
	await_step(1);
	await(tl_chan_balance(never) == -1);
	tl_chan_send(never, &v);
	return NULL;
}

static void test_others(void)
{
	pthread_t t = start(has_timer, NULL);

	tap_is(recv_never(), 0, "9: another thread's timer");
	pthread_join(t, NULL);
	atomic_store(&step, 1);
	t = start(spins, NULL);
	tap_is(recv_never(), 0, "3.4: another thread that runs");
	pthread_join(t, NULL);
}

static int fn_lets_go(UNUSED void *arg)
{
	tl_sleep(5 * MS);
	atomic_store(&told, tl_external(-1));
	return 0;
}

static _Atomic(struct tl_task *) waiter;
static _Atomic bool given_up;

/* Who waits is asleep, as far as that can be seen, or thinks that it is in vain. */
static long when_asleep(void)
{
	int i;

	await(atomic_load(&given_up) || tl_task_is_blocked(atomic_load(&waiter)));
	for (i = 0; i < 200 && !atomic_load(&given_up); i++)
		nap();
	return 0;
}

static long call_sets(void *arg, UNUSED struct tl_error **error)
{
	return when_asleep() + tl_future_set(arg, 1);
}

static long call_releases(void *arg, UNUSED struct tl_error **error)
{
	return when_asleep() + tl_sem_release(arg, 1);
}

static long call_nothing(UNUSED void *arg, UNUSED struct tl_error **error)
{
	return when_asleep();
}

static void call(tl_call_fn *fn, void *arg)
{
	atomic_store(&given_up, false);
	if (tl_call_async(NULL, fn, arg, NULL))
		tap_bail("tl_call_async");
}

/* A function on the pool that nobody waits for may end a wait all the same. */
static void test_call(void)
{
	struct tl_sem sem = TL_SEM_INIT(0);
	struct tl_future *f;
	int r;

	if (tl_future_new(&f))
		tap_bail("no future");
	atomic_store(&waiter, tl_current());
	call(call_sets, f);
	r = tl_future_wait(f);
	atomic_store(&given_up, true);
	tap_is(r, 0, "3.4: a call under way completes a future: no deadlock");
	await(tl_future_state(f) == TL_FUTURE_FINISHED);
	tl_future_unref(f);
	call(call_releases, &sem);
	r = tl_sem_acquire(&sem);
	atomic_store(&given_up, true);
	tap_is(r, 0, "3.4: or releases a semaphore");
	await(!r || tl_sem_value(&sem));
	call(call_nothing, NULL);
	tap_is(recv_never(), -EDEADLK, "3.4: it ends without that: a deadlock after all");
}

static void test_external(void)
{
	tap_is(tl_external(+1), 0, "sched.h: an external waker is declared");
	tap_is(tl_external(-2), -ERANGE, "sched.h: there can't be less than none");
	tl_spawn(NULL, fn_lets_go, NULL);
	tap_is(recv_never(), -EDEADLK, "9: while it is there, no deadlock; then it is one");
	tap_is(told, 1, "sched.h: it was given up before");
}

/* --- run() -------------------------------------------------------------------------------------------------------- */

static int fn_wait(UNUSED void *arg)
{
	return recv_never() == -ECANCELED ? -ECANCELED : 0;
}

static void *runs(UNUSED void *arg)
{
	struct tl_task *t = spawn(fn_wait, NULL);

	results[0] = run_threadblock();
	results[1] = tl_task_is_blocked(t);
	tl_task_kill(t);
	tl_task_unref(t);
	return NULL;
}

static void test_run(void)
{
	pthread_t t;
	int r;

	results[0] = results[1] = -1;
	t = start(runs, NULL);
	r = recv_never();
	pthread_join(t, NULL);
	tap_ok(r == -EDEADLK && results[0] == TL_RUN_DEADLOCK && results[1] == 1,
	       "3.3: a run() that sleeps for other threads ends with the verdict (%d, %d, %d)", r, results[0], results[1]);
}

static void *runs_short(UNUSED void *arg)
{
	tl_task_unref(spawn(fn_wait, NULL));
	results[0] = tl_run();
	return NULL;
}

static void test_run_returns(void)
{
	in_thread(runs_short, NULL);
	tap_is(results[0], TL_RUN_DEADLOCK, "3.4: run() without THREADBLOCK returns when nothing of its own can run");
}

int main(void)
{
	tap_plan(20);
	never = new_chan(sizeof(long), 0);
	test_all_threads();
	test_goes_on();
	test_unknown();
	test_unknown_ends();
	test_known_ends();
	test_others();
	test_call();
	test_external();
	test_run();
	test_run_returns();
	tl_chan_unref(never);
	tap_is(tl_sched_end(), 0, "sched.h: nothing is left");
	return tap_exit();
}
