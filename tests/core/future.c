/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Futures, section 6.5: states and who may change them, waiting for one, for any, for all, with deadlines and kills;
 * the order of completion; threads that complete and threads that wait; tl_async(), whose tasklet's result, error or
 * kill is what the future comes to.
 */
#include <pthread.h>

#include "base/alloc.h"
#include "check.h"

static struct tl_future *future(void)
{
	struct tl_future *f;

	if (tl_future_new(&f))
		tap_bail("tl_future_new");
	return f;
}

static int freed;

static void test_states(void)
{
	struct tl_future *f = future();
	struct tl_error *e;
	long v = 7;

	tap_is(tl_future_new(NULL), -EINVAL, "tl_future_new() wants a place for the result");
	tap_is(tl_future_state(f), TL_FUTURE_PENDING, "6.5: it begins pending");
	tap_is(tl_future_result(f, &v), -EAGAIN, "without a result");
	tap_ok(!tl_future_error(f), "and without an error");
	tap_is(tl_future_start(f), 0, "it is started");
	tap_is(tl_future_state(f), TL_FUTURE_RUNNING, "6.5: then it is running");
	tap_is(tl_future_start(f), -EALREADY, "once");
	tap_is(tl_future_set(f, 42), 0, "it is set");
	tap_is(tl_future_state(f), TL_FUTURE_FINISHED, "6.5: then it is finished");
	tap_ok(tl_future_result(f, &v) == 0 && v == 42, "with that result");
	tap_is(tl_future_result(f, NULL), 0, "which need not be asked for");
	tap_is(tl_future_set(f, 43), -EALREADY, "it can't be set again");
	tap_is(tl_future_cancel(f), -EALREADY, "nor cancelled");
	tap_is(tl_future_start(f), -EALREADY, "nor started");
	tl_future_result(f, &v);
	tap_is(v, 42, "and nothing has changed");
	tap_is(tl_future_wait(f), 0, "to wait for it takes no time");
	tl_future_unref(f);

	f = tl_future_ref(future());
	tl_future_unref(f);
	tap_is(tl_future_cancel(f), 0, "6.5: a pending one is cancelled");
	tap_is(tl_future_state(f), TL_FUTURE_CANCELLED, "6.5: at once");
	tap_is(tl_future_result(f, &v), -ECANCELED, "that is what it comes to");
	tap_is(tl_future_set(f, 1), -ECANCELED, "6.5: a result is ignored then");
	e = mk_counted(EIO, "late", &freed);
	tap_is(tl_future_set_error(f, e), -ECANCELED, "and an error");
	tap_is(freed, 0, "which stays the caller's");
	tap_is(tl_future_start(f), -ECANCELED, "there is no need to start");
	tap_is(tl_future_cancel(f), -EALREADY, "or to cancel again");
	tap_is(tl_future_wait(f), 0, "it is done");
	tl_future_unref(f);

	f = future();
	tap_is(tl_future_set_error(f, NULL), -EINVAL, "an error has to be one");
	tap_is(tl_future_set_error(f, e), 0, "6.5: it is set to an error");
	tap_is(tl_future_result(f, &v), -EIO, "which is what it comes to");
	tap_ok(tl_future_error(f) == e, "and can be looked at");
	tl_future_unref(f);
	tap_is(freed, 1, "it is freed with the future");
	tl_future_unref(NULL);
}

/* --- waiting --------------------------------------------------------------------------------------------------------- */

static struct tl_future *one;

static int fn_wait(UNUSED void *arg)
{
	int r = tl_future_wait(one);

	say("%s%d", name_of(tl_current()), r);
	return 0;
}

static int fn_sets(void *arg)
{
	say("set%d", tl_future_set(one, (long)arg));
	return 0;
}

static void test_wait(void)
{
	struct tl_task *t;

	one = future();
	go("A", fn_wait, NULL);
	go("B", fn_wait, NULL);
	t = mk("C", fn_wait, NULL);
	tl_schedule();
	tl_task_kill(t);
	tap_str(said(), "C-125", "a kill ends the wait");
	tl_task_unref(t);
	tap_is(tl_future_wait_until(one, tl_now() + 1000), -ETIMEDOUT, "so does a deadline");
	go("S", fn_sets, (void *)5);
	tap_is(tl_future_wait(one), 0, "whoever waits goes on when it is done");
	tl_run();
	tap_str(said(), "set0 A0 B0", "in the order in which they came");
	tl_future_unref(one);

	one = future();
	t = mk("K", fn_wait, NULL);
	tl_schedule();
	tl_future_set(one, 1);
	tl_task_kill(t);
	tap_str(said(), "K0", "a kill that comes after the result does not take it away");
	tl_task_unref(t);
	tl_future_unref(one);

	one = future();
	tap_is(tl_future_wait(one), -EDEADLK, "nobody can set it: a deadlock");
	tl_task_set_block_trap(tl_current(), true);
	tap_is(tl_future_wait(one), -EPERM, "a trap");
	tl_future_set(one, 1);
	tap_is(tl_future_wait(one), 0, "which does not matter when it is done");
	tl_task_set_block_trap(tl_current(), false);
	tl_future_unref(one);
	all_gone("waiting");
}

#define MANY 20

static struct tl_future *many[MANY];

static int fn_completes(void *arg)
{
	long i, step = (long)arg;

	/* 7 and 20 have no common divisor: each comes once. */
	for (i = 0; i < MANY; i++) {
		tl_future_set(many[i * step % MANY], i * step % MANY);
		if (i % 3 == 0)
			tl_schedule();
	}
	return 0;
}

static int fn_any(UNUSED void *arg)
{
	int r = tl_wait_any(many, MANY);

	say("any%d", r);
	return 0;
}

/* Takes all as they come; whether that is the order of fn_completes(). */
static bool in_order(long step)
{
	bool ordered = true;
	long i;
	int r;

	go("C", fn_completes, (void *)step);
	for (i = 0; i < MANY; i++) {
		r = tl_wait_any(many, MANY);
		if (r < 0)
			return false;
		ordered &= r == i * step % MANY;
		tl_future_unref(many[r]);
		many[r] = NULL;
	}
	return ordered;
}

static void test_many(void)
{
	struct tl_future *none[2] = { NULL, NULL };
	struct tl_task *t;
	int i, r;

	tap_is(tl_future_wait(NULL), -EINVAL, "tl_future_wait() for nobody");
	tap_is(tl_future_wait_until(NULL, tl_now() + 1000), -EINVAL, "with a deadline too");
	tap_is(tl_wait_any(NULL, 0), -EINVAL, "tl_wait_any() of nothing");
	tap_is(tl_wait_any(none, 2), -EINVAL, "or of nobody");
	tap_is(tl_wait_any(none, -1), -EINVAL, "or of less");
	tap_is(tl_wait_all(none, 2), 0, "tl_wait_all() of nobody");
	tap_is(tl_wait_all(none, -1), -EINVAL, "or of less");

	for (i = 0; i < MANY; i++)
		many[i] = future();
	tap_is(tl_wait_any_until(many, MANY, tl_now() + 1000), -ETIMEDOUT, "tl_wait_any(): a deadline");
	tap_is(tl_wait_all_until(many, MANY, tl_now() + 1000), -ETIMEDOUT, "tl_wait_all(): a deadline");
	t = mk("A", fn_any, NULL);
	tl_schedule();
	tl_task_kill(t);
	tap_str(said(), "any-125", "tl_wait_any(): a kill");
	tl_task_unref(t);
	go("A", fn_any, NULL);
	tap_ok(in_order(7), "6.5: tl_wait_any() gives all in the order of completion");
	tl_run();
	tap_str(said(), "any0", "another one who waits gets the first");
	for (i = 0; i < MANY; i++)
		many[i] = future();
	tap_ok(in_order(13), "6.5: whichever that is");
	tl_run();

	for (i = 0; i < MANY; i++)
		many[i] = future();
	go("C", fn_completes, (void *)3);
	tap_is(tl_wait_all(many, MANY), 0, "tl_wait_all() waits for all");
	for (i = r = 0; i < MANY; i++)
		r += tl_future_state(many[i]) == TL_FUTURE_FINISHED;
	tap_is(r, MANY, "... for each of them");
	for (i = 0; i < MANY; i++)
		tl_future_unref(many[i]);
	all_gone("many");
}

/* --- tl_async() --------------------------------------------------------------------------------------------------------- */

static struct tl_chan *chan;

static int fn_value(void *arg)
{
	tl_schedule();
	return (int)(long)arg;
}

static int fn_fails(void *arg)
{
	tl_exit_error(arg);
}

static int fn_recv(UNUSED void *arg)
{
	int r = tl_chan_recv(chan, NULL);

	say("r%d", r);
	return r;
}

static int fn_swallows(UNUSED void *arg)
{
	tl_chan_recv(chan, NULL);
	tl_error_free(tl_catch());
	return 9;
}

static void test_async(void)
{
	struct tl_future *f;
	long v = 0;

	tap_is(tl_async(NULL, fn_value, NULL), -EINVAL, "tl_async() wants a place for the result");
	tap_is(tl_async(&f, NULL, NULL), -EINVAL, "and a function");
	tl_async(&f, fn_value, (void *)12);
	tap_is(tl_future_state(f), TL_FUTURE_RUNNING, "its future is running");
	tap_is(tl_future_wait(f), 0, "until the function returns");
	tap_ok(tl_future_result(f, &v) == 0 && v == 12, "and comes to its result");
	tl_future_unref(f);

	freed = 0;
	tl_async(&f, fn_fails, mk_counted(EBADF, "mine", &freed));
	tap_is(tl_run(), TL_RUN_FINISHED, "an uncaught error does not come out of tl_run()");
	tap_is(tl_future_result(f, &v), -EBADF, "but is the future's");
	tap_ok(tl_future_error(f) && !strcmp(tl_error_message(tl_future_error(f)), "mine"), "as it was");
	tl_future_unref(f);
	tap_is(freed, 1, "and is freed with it");

	tl_async(&f, fn_fails, mk_counted(EDOM, "everybody's", &freed));
	tl_future_unref(f);
	tap_is(tl_run(), -EDOM, "without a handle of the future it is everybody's");
	caught();

	tl_async(&f, fn_recv, NULL);
	tl_schedule();
	tap_is(tl_future_wait(f), -EDEADLK, "a tasklet of this thread that can't go on: a deadlock");
	tap_is(tl_future_cancel(f), 0, "6.5: cancelled while it runs");
	tap_is(tl_future_state(f), TL_FUTURE_CANCELLED, "6.5: at once");
	tl_run();
	tap_str(said(), "r-125", "and the tasklet is killed");
	tl_future_unref(f);

	tl_async(&f, fn_swallows, NULL);
	tl_schedule();
	tl_future_cancel(f);
	tl_run();
	tap_is(tl_future_result(f, &v), -ECANCELED, "6.5: a result after the cancel is ignored");
	tl_future_unref(f);

	tl_async(&f, fn_recv, NULL);
	tap_is(tl_future_cancel(f), 0, "cancelled before it began");
	tl_run();
	tap_str(said(), "", "it never does");
	tl_future_unref(f);

	tl_async(&f, fn_recv, NULL);
	tl_schedule();
	tl_task_kill(tl_chan_queue(chan));
	tap_is(tl_future_result(f, &v), -ECANCELED, "6.3: a tasklet that is killed: cancelled");
	tl_future_unref(f);
	said();
	all_gone("tl_async()");
}

/* --- threads ------------------------------------------------------------------------------------------------------------- */

#define THREADS 3
#define ROUNDS 200

static struct tl_future *shared[ROUNDS];
static _Atomic long sum, cancelled;

/* A plain thread, without any tasklet. */
static void *setter(UNUSED void *arg)
{
	int i;

	for (i = 0; i < ROUNDS; i++) {
		if (i % 8 == 3)
			tl_future_cancel(shared[i]);
		tl_future_set(shared[i], i);
	}
	return NULL;
}

static int fn_waits_for_all(UNUSED void *arg)
{
	int i, any, alone;
	long v;

	for (i = 0; i < ROUNDS; i++) {
		any = tl_wait_any(&shared[i], i + 10 < ROUNDS ? 10 : ROUNDS - i);
		alone = tl_future_wait(shared[i]);
		if (any < 0 || alone)
			tap_bail("wait %d fails: %d, %d", i, any, alone);
		if (tl_future_result(shared[i], &v) == 0)
			sum += v;
		else
			cancelled++;
	}
	return 0;
}

/* A run() would come back while a wake-up of another thread is under way. */
static void let_them_end(void)
{
	while (stats().alive > 1) {
		tl_schedule();
		tl_sleep(20000);
	}
}

static void *waiter(UNUSED void *arg)
{
	int i;

	for (i = 0; i < 3; i++)
		if (tl_spawn(NULL, fn_waits_for_all, NULL))
			tap_bail("spawn");
	fn_waits_for_all(NULL);
	let_them_end();
	tl_sched_end();
	return NULL;
}

/* Gives up again and again, just when results come. */
static int fn_impatient(UNUSED void *arg)
{
	int i;

	for (i = 0; i < ROUNDS; i++)
		while (tl_wait_all_until(shared + i, 1, tl_now() + 20000) == -ETIMEDOUT)
			;
	return 0;
}

static void test_threads(void)
{
	pthread_t threads[THREADS + 2];
	long want = 0, lost = 0;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		shared[i] = future();
		if (i % 8 != 3)
			want += i;
		else
			lost++;
	}
	for (i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, waiter, NULL);
	for (i = 0; i < 2; i++)
		pthread_create(&threads[THREADS + i], NULL, setter, NULL);
	go("I", fn_impatient, NULL);
	fn_waits_for_all(NULL);
	let_them_end();
	for (i = 0; i < THREADS + 2; i++)
		pthread_join(threads[i], NULL);
	/* Two setters: where one cancels, the other may have set before. */
	tap_ok(sum + 0 >= want * (THREADS * 4 + 1), "each who waits gets each result");
	tap_ok(cancelled <= lost * (THREADS * 4 + 1), "or finds it cancelled");
	for (i = 0; i < ROUNDS; i++)
		tl_future_unref(shared[i]);
	all_gone("threads");
}

static struct tl_future *there;
static _Atomic bool is_there;

static void *async_thread(UNUSED void *arg)
{
	struct tl_chan *c;

	tl_chan_new(&c, 0, 0);
	chan = c;
	tl_async(&there, fn_recv, NULL);
	tl_schedule();
	is_there = true;
	tl_future_wait(there);
	/* It is cancelled at once; the kill comes in its own time. */
	while (stats().alive > 1)
		tl_schedule();
	tl_chan_unref(c);
	tl_sched_end();
	return NULL;
}

static void test_cancel_there(void)
{
	struct tl_chan *ours = chan;
	pthread_t thread;

	pthread_create(&thread, NULL, async_thread, NULL);
	while (!is_there)
		sched_yield();
	tap_is(tl_future_cancel(there), 0, "another thread's tasklet is cancelled");
	tap_is(tl_future_wait(there), 0, "and done");
	pthread_join(thread, NULL);
	tap_str(said(), "r-125", "it was killed in its thread");
	tl_future_unref(there);
	chan = ours;
}

static void test_memory(void)
{
	struct tl_future *f[9], *g;
	int i;

	for (i = 0; i < 9; i++)
		f[i] = future();
	tl__fault_arm(1, false);
	tap_is(tl_future_new(&g), -ENOMEM, "no memory for a future");
	tl__fault_arm(1, false);
	tap_is(tl_async(&g, fn_nop, NULL), -ENOMEM, "nor for an asynchronous tasklet");
	tl__fault_arm(1, false);
	tap_is(tl_wait_any(f, 9), -ENOMEM, "nor to wait for nine");
	tl__fault_arm(0, false);
	for (i = 0; i < 9; i++)
		tl_future_unref(f[i]);
	all_gone("memory");
}

int main(void)
{
	tap_plan(85);
	if (tl_chan_new(&chan, 0, 0))
		tap_bail("no channel");
	test_states();
	test_wait();
	test_many();
	test_async();
	test_threads();
	test_cancel_there();
	test_memory();
	tl_chan_unref(chan);
	tap_is(tl_sched_end(), 0, "the scheduler ends");
	return tap_exit();
}
