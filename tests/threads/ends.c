/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Ends where several threads are (sections 1.6, 3.6): an error that nobody catches goes to the innermost run() or to the
 * main tasklet of its own thread, which is pulled out of a shared channel; a main tasklet that waits for another thread
 * is no deadlock; a thread that ends takes its tasklets off other threads' channels.
 */
#include "threads.h"

#include "../core/check.h"

static struct tl_chan *chan, *ready;
static struct tl_task *_Atomic task;
static _Atomic int got, wrong;
static _Atomic int freed;

static void count_free(UNUSED void *payload)
{
	atomic_fetch_add(&freed, 1);
}

static struct tl_error *error(const char *text)
{
	struct tl_error *e = mk_error(EIO, text);

	tl_error_set_payload(e, &freed, count_free);
	return e;
}

static int fn_hand_on(UNUSED void *arg)
{
	long v;

	return tl_chan_recv(chan, &v);
}

/* --- whose an error is --------------------------------------------------------------------------------------------- */

static void check_caught(const char *text)
{
	struct tl_error *e = tl_catch();

	if (!e || strcmp(tl_error_message(e), text))
		atomic_fetch_add(&wrong, 1);
	tl_error_free(e);
}

static void *runs(UNUSED void *arg)
{
	struct tl_run_options o = { .size = sizeof(o), .flags = TL_RUN_THREADBLOCK };

	atomic_store(&task, spawn(fn_hand_on, NULL));
	atomic_store(&got, tl_run_with(&o, NULL));
	check_caught("to the run");
	return NULL;
}

static void test_run(void)
{
	pthread_t t = start(runs, NULL);

	await(tl_chan_balance(chan) == -1);
	tap_is(tl_task_throw(task, error("to the run")), 0, "1.5: an error is thrown at another thread's tasklet");
	pthread_join(t, NULL);
	tap_ok(got == -EIO && !wrong, "1.6: which does not catch it: the run() of its own thread returns that very error");
	tap_ok(freed == 1 && !tl_catch(), "1.6: and nobody else has it");
	tl_task_unref(task);
}

static int fn_nested(UNUSED void *arg)
{
	struct tl_run_options o = { .size = sizeof(o), .flags = TL_RUN_THREADBLOCK };
	int r;

	atomic_store(&task, spawn(fn_hand_on, NULL));
	r = tl_run_with(&o, NULL);
	atomic_store(&got, r);
	check_caught("to the inner one");
	return 0;
}

static void *runs_nested(UNUSED void *arg)
{
	int r;

	tl_spawn(NULL, fn_nested, NULL);
	r = tl_run();
	if (r != TL_RUN_FINISHED)
		atomic_fetch_add(&wrong, 1);
	return NULL;
}

static void test_nested(void)
{
	pthread_t t = start(runs_nested, NULL);

	await(tl_chan_balance(chan) == -1);
	tl_task_throw(task, error("to the inner one"));
	pthread_join(t, NULL);
	tap_ok(got == -EIO && !wrong && freed == 2, "1.6: of nested runs the innermost gets it, the outer one sees none");
	tl_task_unref(task);
}

/* Main is blocked on a channel that several threads use. */
static void *waits_in_main(UNUSED void *arg)
{
	long v;

	atomic_store(&task, spawn(fn_hand_on, NULL));
	tl_schedule();
	atomic_store(&got, tl_chan_recv(ready, &v));
	check_caught("to main");
	return NULL;
}

static void test_main(void)
{
	pthread_t t = start(waits_in_main, NULL);
	long v = 1;

	await(tl_chan_balance(chan) == -1 && tl_chan_balance(ready) == -1);
	tl_task_throw(task, error("to main"));
	pthread_join(t, NULL);
	tap_ok(got == -EIO && !wrong && freed == 3, "1.6: without a run() main gets it, though it is blocked");
	tap_is(tl_chan_balance(ready), 0, "1.6: and is pulled out of the channel");
	tap_is(tl_chan_try_send(ready, &v), -EAGAIN, "1.6: nobody is there any more");
	tl_task_unref(task);
}

/* --- the last one ends, and main waits ------------------------------------------------------------------------------ */

static int fn_last(UNUSED void *arg)
{
	reach(1);
	return 0;
}

static void *ends_alone(UNUSED void *arg)
{
	long v = 0;

	tl_task_unref(spawn(fn_last, NULL));
	atomic_store(&got, tl_chan_recv(chan, &v));	/* the other one runs meanwhile, and ends */
	atomic_fetch_add(&wrong, v != 9);
	return NULL;
}

static void test_last(void)
{
	pthread_t t;
	long v = 9;

	atomic_store(&step, 0);
	t = start(ends_alone, NULL);
	await_step(1);
	await(tl_chan_balance(chan) == -1);
	tap_is(tl_chan_send(chan, &v), 0, "1.6: the last tasklet has ended, main waits for another thread");
	pthread_join(t, NULL);
	tap_ok(!got && !wrong, "1.6: which is no deadlock: it gets its value");
}

/* --- a thread ends -------------------------------------------------------------------------------------------------- */

static void *_Atomic where;	/* the thread that runs a handler */

static void handler(UNUSED void *arg)
{
	atomic_store(&where, (void *)pthread_self());
}

static int fn_recv(UNUSED void *arg)
{
	long v;
	int r;

	tl_defer(handler, NULL);
	r = tl_chan_recv(chan, &v);
	atomic_store(&got, r);
	return r;
}

static int fn_send(UNUSED void *arg)
{
	long v = 5;

	return tl_chan_send(ready, &v);
}

static int fn_select(UNUSED void *arg)
{
	long v = 6;
	struct tl_select_case c[] = { TL_CASE_RECV(chan, &v), TL_CASE_SEND(ready, &v) };

	return tl_select(c, 2);
}

static void *ends(UNUSED void *arg)
{
	atomic_store(&task, spawn(fn_recv, NULL));
	tl_task_unref(spawn(fn_send, NULL));
	tl_task_unref(spawn(fn_select, NULL));
	tl_schedule();
	reach(1);
	await_step(2);
	return NULL;
}

static void test_thread_ends(void)
{
	struct tl_error *e = error("late");
	pthread_t t;
	long v = 1;
	int bad = 0;

	atomic_store(&step, 0);
	atomic_store(&freed, 0);
	t = start(ends, NULL);
	await_step(1);
	tap_ok(tl_chan_balance(chan) == -2 && tl_chan_balance(ready) == 2, "3.6: a thread's tasklets wait on shared channels");
	reach(2);
	pthread_join(t, NULL);
	tap_ok(tl_chan_balance(chan) == 0 && tl_chan_balance(ready) == 0 && !tl_chan_queue(chan) && !tl_chan_queue(ready),
	       "3.6: when it has ended they wait no more");
	tap_ok(tl_chan_try_send(chan, &v) == -EAGAIN && tl_chan_try_recv(ready, &v) == -EAGAIN,
	       "3.6: and nobody sends to them in vain");
	tap_ok(got == -ECANCELED && where == (void *)t, "3.6: they were killed by their own thread, with their handlers");
	bad += tl_task_is_alive(task) || tl_task_is_blocked(task) || tl_task_is_scheduled(task) || tl_task_is_paused(task) ||
	       tl_task_is_current(task);
	bad += tl_task_insert(task) != -ESRCH || tl_task_run(task) != -ESRCH || tl_task_switch(task) >= 0;
	bad += tl_task_throw(task, e) != -ESRCH || tl_task_throw_later(task, e) != -ESRCH;
	bad += tl_task_kill(task) || tl_task_kill_later(task);
	bad += tl_task_bind(task, fn_recv) != -EXDEV || tl_task_setup(task, NULL) != -EXDEV;
	tap_is(bad, 0, "1.5, 3.6: its tasklet is dead: a kill is done already, anything else is refused");
	tap_is(freed, 0, "1.5: the error stayed the caller's");
	tl_error_free(e);
	tl_task_unref(task);
}

int main(void)
{
	tap_plan(16);
	chan = new_chan(sizeof(long), 0);
	ready = new_chan(sizeof(long), 0);
	test_run();
	test_nested();
	test_main();
	test_last();
	test_thread_ends();
	tl_chan_unref(chan);
	tl_chan_unref(ready);
	tap_is(tl_sched_end(), 0, "sched.h: nothing is left");
	return tap_exit();
}
