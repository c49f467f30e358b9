/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The end of a tasklet, section 1.6: who runs next, what becomes of a result, of an error that nobody caught and of
 * what the tasklet holds; deferred handlers, tl_exit() from any depth, the error handler; and that none of the foreign
 * code that runs then (handlers, destructors) can leave anything behind or get between others.
 */
#include <signal.h>

#include <tasklet/tasklet.h>

#include "child.h"
#include "one-chan.h"

static int freed;

static int fn_return(void *arg)
{
	return (int)(long)arg;
}

/* --- results ------------------------------------------------------------------------------------------------------ */

static int fn_catch_return(UNUSED void *arg)
{
	tl_schedule();
	caught();
	return -ECANCELED;
}

static int fn_catch_rethrow(UNUSED void *arg)
{
	tl_schedule();
	tl_exit_error(tl_catch());
}

static int fn_pass_on(UNUSED void *arg)
{
	return tl_schedule();
}

static int fn_other(UNUSED void *arg)
{
	tl_schedule();
	return -ENOSPC;
}

static void test_results(void)
{
	struct tl_error *e;
	struct tl_task *t;
	char want[64];

	go("A", fn_return, (void *)0L);
	go("B", fn_return, (void *)17L);
	go("C", fn_return, (void *)(long)INT32_MAX);
	tap_is(tl_run(), TL_RUN_FINISHED, "1.6: 0 and positive results end a tasklet quietly");
	tap_ok(!tl_catch(), "1.6: and are delivered to nobody");

	t = mk("A", fn_return, (void *)(long)-ENOSPC);
	tap_is(tl_run(), -ENOSPC, "1.6: a negative one is an error that comes to run()");
	e = tl_catch();
	tap_ok(e && tl_error_code(e) == ENOSPC, "1.6: catch hands it over");
	snprintf(want, sizeof(want), "tasklet %llu (A)", (unsigned long long)tl_task_id(t));
	tap_str(e ? tl_error_origin(e) : "", want, "error.h: it says whose it was");
	tl_error_free(e);
	tl_task_unref(t);

	go("A", fn_return, (void *)(long)-ECANCELED);
	tap_is(tl_run(), -ECANCELED, "task.h: -ECANCELED is an error in a tasklet that was not killed");
	tap_is(caught(), ECANCELED, "task.h: as any other");
	go("A", fn_return, (void *)-4095L);
	tap_is(tl_run(), -4095, "1.6: the least errno value");
	tap_is(caught(), 4095, "1.6: caught");
	go("A", fn_return, (void *)-4096L);
	tap_is(tl_run(), -EINVAL, "1.6: what is no errno value becomes -EINVAL");
	tap_is(caught(), EINVAL, "1.6: caught");

	t = mk("A", fn_pass_on, NULL);
	tl_schedule();
	tl_task_kill(t);
	tap_is(tl_run(), TL_RUN_FINISHED, "1.6: a kill ends quietly when it is passed on");
	tl_task_setup(t, NULL);
	tl_schedule();
	freed = 0;
	tl_task_throw_later(t, mk_counted(EXDEV, "thrown", &freed));
	tap_is(tl_run(), -EXDEV, "1.6: another error that is passed on comes to run()");
	e = tl_catch();
	tap_ok(e && !strcmp(tl_error_message(e), "thrown") && !freed, "1.6: it is the very error that was thrown");
	tl_error_free(e);
	tap_is(freed, 1, "1.6: and was not freed before");
	tl_task_unref(t);

	t = mk("A", fn_catch_return, NULL);
	tl_schedule();
	tl_task_kill(t);
	tap_is(tl_run(), TL_RUN_FINISHED, "task.h: -ECANCELED is quiet in one that was killed, though it caught that");
	tl_task_unref(t);
	t = mk("A", fn_catch_rethrow, NULL);
	tl_schedule();
	tl_task_kill(t);
	tap_is(tl_run(), TL_RUN_FINISHED, "1.6: so is ending with the kill that was caught");
	tl_task_unref(t);

	t = mk("A", fn_other, NULL);
	tl_schedule();
	tl_task_kill(t);
	tap_is(caught(), ENOSPC, "1.6: a killed one that ends with another error has failed");
	tl_task_unref(t);
	all_gone("results");
}

/* --- who runs next ------------------------------------------------------------------------------------------------ */

static int fn_end(UNUSED void *arg)
{
	say("[%s]", ring());
	return 0;
}

static void test_next(void)
{
	go("A", fn_end, NULL);
	go("B", fn_end, NULL);
	go("C", fn_end, NULL);
	tl_schedule();
	tap_str(said(), "[A B C M] [B C M] [C M]", "1.6: the one behind it in the ring runs next");
	tap_str(ring(), "M", "1.6: and it is gone");
	all_gone("next");
}

static int fn_pause_main(UNUSED void *arg)
{
	tl_task_remove(tl_main());
	return 0;
}

static void test_empty_ring(void)
{
	struct picture before;
	struct tl_task *w;
	long v;

	go("A", fn_pause_main, NULL);
	tap_is(tl_schedule(), 0, "1.6: main, which is paused, is woken when the ring is empty");

	w = mk("W", fn_recv, NULL);
	tl_schedule();
	before = picture();
	go("A", fn_end, NULL);
	tap_is(tl_chan_recv(chan, &v), -EDEADLK, "1.6: main, which is blocked, gets -EDEADLK when the ring is empty");
	tap_ok(same_picture(&before) && tl_chan_balance(chan) == -1 && tl_chan_queue(chan) == w,
	       "1.6: and has left the channel, where another one still waits");
	tap_is(tl_chan_recv(chan, &v), -EDEADLK, "3.4: it is no state: the next call is another try");
	tap_ok(same_picture(&before) && tl_chan_balance(chan) == -1, "3.4: undone as well");
	tap_str(said(), "[A]", "1.6: A was the last one");
	tl_task_kill(w);
	tl_task_unref(w);
	said();
	all_gone("empty ring");
}

/* --- errors that nobody caught ------------------------------------------------------------------------------------ */

static int fn_fail(void *arg)
{
	say("%s!", me());
	return -(int)(long)arg;
}

static int fn_run_inner(UNUSED void *arg)
{
	int r = tl_run();

	say("%s:%d,%d", me(), r, caught());
	return 0;
}

static int fn_insert_main(UNUSED void *arg)
{
	tl_task_insert(tl_main());
	return -EIO;
}

static void test_uncaught(void)
{
	struct tl_task *t;
	long v = 1;

	/* Main in run(), others runnable. */
	go("A", fn_yield, (void *)1L);
	go("X", fn_fail, (void *)(long)EIO);
	go("B", fn_yield, (void *)1L);
	tap_is(tl_run(), -EIO, "1.6: an error that nobody caught comes to run() at once");
	tap_str(ring(), "M B A", "1.6: the others stay in the ring");
	tap_is(caught(), EIO, "1.6: catch hands it over");
	tap_is(tl_run(), 0, "1.6: run() again goes on with them");
	tap_str(said(), "A1 X! B1 A. B.", "1.6: in order");

	/* The innermost run() gets it. */
	go("R", fn_run_inner, NULL);
	go("X", fn_fail, (void *)(long)EIO);
	go("B", fn_yield, (void *)1L);
	tap_is(tl_run(), 0, "1.6: the innermost run() gets it, not main's");
	tap_str(said(), "X! R:-5,5 B1 B.", "1.6: which goes on at once");

	/* A run() whose tasklet was made runnable is still the innermost. */
	go("A", fn_yield, (void *)1L);
	go("X", fn_insert_main, NULL);
	go("B", fn_yield, (void *)1L);
	tap_is(tl_run(), -EIO, "1.6: run() gets it although its tasklet was inserted meanwhile");
	tap_str(ring(), "M B A", "1.6: it is linked once");
	caught();
	tl_run();
	said();

	/* No run(): main, whatever it does. */
	go("A", fn_yield, (void *)1L);
	go("X", fn_fail, (void *)(long)EIO);
	go("B", fn_yield, (void *)1L);
	tap_is(tl_schedule(), -EIO, "1.6: without a run() main gets it: runnable, its schedule fails");
	tap_str(ring(), "M A B", "1.6: main keeps its place and runs at once, the others stay where they are");
	tap_is(tl_schedule(), 0, "1.6: it is reported once, it does not stick");
	tap_is(caught(), EIO, "1.6: and can be caught even then");
	tl_run();
	said();

	go("A", fn_yield, (void *)1L);
	go("X", fn_fail, (void *)(long)EIO);
	go("B", fn_yield, (void *)1L);
	tap_is(tl_chan_recv(chan, &v), -EIO, "1.6: blocked, its call fails");
	tap_is(tl_chan_balance(chan), 0, "1.6: and it is pulled out of the channel");
	tap_str(ring(), "M B A", "1.6: main runs at once");
	tap_is(caught(), EIO, "1.6: caught");
	tl_run();
	said();

	go("X", fn_fail, (void *)(long)EIO);
	tap_is(tl_schedule_remove(), -EIO, "1.6: paused, its schedule_remove fails");
	tap_is(caught(), EIO, "1.6: caught");

	t = mk_paused("X", fn_fail, (void *)(long)EIO);
	tap_is(tl_task_run(t), -EIO, "1.6: main's tl_task_run() fails");
	tap_is(caught(), EIO, "1.6: caught");
	tl_task_bind_arg(t, NULL, (void *)(long)EIO);
	tap_is(tl_task_switch(t), -EIO, "1.6: and tl_task_switch()");
	tap_is(caught(), EIO, "1.6: caught");
	tl_task_unref(t);
	said();
	all_gone("uncaught");
}

static int fn_recv_fail(UNUSED void *arg)
{
	long v;

	tl_chan_recv(chan, &v);
	say("%ld", v);
	return -EIO;
}

static int fn_recv_exit_error(UNUSED void *arg)
{
	long v;

	tl_chan_recv(chan, &v);
	tl_exit_error(mk_counted(EIO, "older", &freed));
}

static int fn_exit_error(UNUSED void *arg)
{
	tl_exit_error(mk_counted(EDOM, "younger", &freed));
}

/* Main has done what it asked for when the error comes: that call succeeds, and the next one tells. */
static void test_uncaught_settled(void)
{
	struct tl_task *t;
	long v = 4;

	go("X", fn_recv_fail, NULL);
	tl_schedule();
	tap_is(tl_chan_send(chan, &v), 0, "1.6: a send that succeeded is not undone by an error of the receiver");
	tap_str(said(), "4", "1.6: who had the value");
	tap_is(tl_schedule(), -EIO, "1.6: the next call that might block reports it");
	tap_is(tl_schedule(), 0, "1.6: once");
	tap_is(caught(), EIO, "1.6: and it can be caught");

	go("X", fn_recv_fail, NULL);
	tl_schedule();
	tl_chan_send(chan, &v);
	tap_is(tl_chan_try_recv(chan, &v), -EAGAIN, "1.6: calls that never block do not report it");
	tap_is(tl_chan_recv(chan, &v), -EIO, "1.6: the next one that might does");
	caught();

	go("X", fn_recv_fail, NULL);
	tl_schedule();
	tl_chan_send(chan, &v);
	tap_is(caught(), EIO, "1.6: catch finds it without any report");
	tap_is(tl_schedule(), 0, "1.6: and then there is none");
	said();

	/* Two in a row: the younger hides the older, which is freed all the same. */
	freed = 0;
	go("X", fn_recv_exit_error, NULL);
	t = mk_paused("Y", fn_exit_error, NULL);
	tl_schedule();
	tl_chan_send(chan, &v);
	/* Neither of these two reports anything: the receiver is served, and T is killed, as it should. */
	tl_task_throw(t, mk_counted(EDOM, "younger", &freed));
	tap_is(tl_schedule(), -EDOM, "1.6: of two errors the younger is reported");
	tl_task_unref(t);
	tap_is(tl_schedule(), 0, "1.6: once");
	tap_is(freed, 1, "1.6: the older one was freed");
	tap_is(caught(), EDOM, "1.6: the younger can be caught");
	tap_ok(!tl_catch() && freed == 2, "1.6: and then there is none");
	said();
	all_gone("settled");
}

/* --- an error that was received, and passed on -------------------------------------------------------------------- */

static int fn_recv_pass_on(UNUSED void *arg)
{
	long v;

	return tl_chan_recv(chan, &v);
}

static void test_pass_on(void)
{
	struct tl_error *e;

	freed = 0;
	go("X", fn_recv_pass_on, NULL);
	tl_schedule();
	tap_is(tl_chan_send_error(chan, mk_counted(ERANGE, "sent", &freed)), 0, "2: an error is sent");
	tap_is(tl_schedule(), -ERANGE, "1.6: and returned by the receiver's function");
	e = tl_catch();
	tap_ok(e && !strcmp(tl_error_message(e), "sent") && !freed, "1.6: it is the very error that was sent");
	tl_error_free(e);
	tap_is(freed, 1, "1.6: and was not freed before");
	all_gone("passed on");
}

/* --- deferred handlers -------------------------------------------------------------------------------------------- */

static void defer_say(void *arg)
{
	say("%s", (const char *)arg);
}

static void defer_current(UNUSED void *arg)
{
	say("%s", me());
}

static void defer_blocks(UNUSED void *arg)
{
	long v = 0;
	int r = tl_chan_recv(chan, &v);

	say("d%d:%ld", r, v);
}

static void defer_defers(UNUSED void *arg)
{
	say("x");
	tl_defer(defer_say, "y");
}

static int fn_defer(void *arg)
{
	int how = (int)(long)arg;
	long v;

	tl_defer(defer_say, "1");
	tl_defer(defer_current, NULL);
	tl_defer(defer_defers, NULL);
	tl_defer(defer_say, "4");
	switch (how) {
	case 1:
		tl_exit(0);
	case 2:
		return -EIO;
	case 3:
		return tl_chan_recv(chan, &v);
	case 4:
		tl_exit_error(mk_error(EIO, "exit"));
	}
	return 0;
}

static int fn_defer_undefer(UNUSED void *arg)
{
	tl_defer(defer_say, "a");
	tl_defer(defer_say, "b");
	tl_defer(defer_say, "a");
	say("%d", tl_undefer(defer_say, "c"));
	say("%d", tl_undefer(defer_say, "a") || tl_undefer(defer_say, "b"));
	tl_defer(defer_say, "d");
	return 0;
}

static int fn_defer_blocks(UNUSED void *arg)
{
	long v;

	tl_defer(defer_blocks, NULL);
	say("%d", tl_chan_recv(chan, &v));
	return 0;
}

static void defer_yields(UNUSED void *arg)
{
	say("%d", tl_schedule());
}

static int fn_defer_yields(UNUSED void *arg)
{
	tl_defer(defer_yields, NULL);
	tl_defer(defer_yields, NULL);
	tl_defer(defer_yields, NULL);
	return 0;
}

static int fn_defer_errors(UNUSED void *arg)
{
	say("%d", tl_defer(NULL, NULL));
	return 0;
}

static void test_defer(void)
{
	static const char *const how[] = { "returns", "exits", "fails", "is killed", "exits with an error" };
	struct tl_task *t;
	int i;

	for (i = 0; i < 5; i++) {
		t = mk("T", fn_defer, (void *)(long)i);
		tl_schedule();
		caught();
		if (i == 3)
			tl_task_kill(t);
		tap_str(said(), "4 x y T 1", "sched.h: handlers run last in, first out, when a tasklet %s", how[i]);
		tl_task_unref(t);
	}
	/* A kill that comes while the handlers run waits for nobody and ends nothing. */
	t = mk("T", fn_defer_yields, NULL);
	tl_schedule();
	tap_is(tl_task_kill(t), 0, "sched.h: kills are held off while handlers run");
	tl_run();
	tap_str(said(), "0 0 0", "sched.h: whose calls work");
	tl_task_unref(t);
	go("T", fn_defer_undefer, NULL);
	tl_schedule();
	tap_str(said(), "-2 0 d a", "sched.h: undefer takes the youngest that fits, and only that");
	tap_is(tl_undefer(defer_say, "a"), -ENOENT, "sched.h: main has none to take");
	go("T", fn_defer_errors, NULL);
	tl_schedule();
	tap_str(said(), "-22", "sched.h: defer of nothing is refused");
	tap_is(tl_defer(defer_say, "m"), -EINVAL, "sched.h: and on main, which does not end");

	t = mk("T", fn_defer_blocks, NULL);
	tl_schedule();
	tl_task_kill(t);
	tap_str(said(), "-125", "sched.h: killed, it runs its handlers, and one of them blocks");
	tap_ok(tl_task_is_blocked(t) && tl_chan_queue(chan) == t, "sched.h: which it can, though it was killed");
	tl_task_kill(t);
	tap_ok(tl_task_is_blocked(t), "sched.h: a second kill does not disturb it");
	tl_chan_send(chan, &(long){ 9 });
	tap_str(said(), "d0:9", "sched.h: it gets its value");
	tap_ok(!tl_task_is_alive(t), "sched.h: and then the tasklet ends");
	tl_task_unref(t);

	t = mk("T", fn_defer, NULL);
	tl_task_kill(t);
	tap_str(said(), "", "1.5: one that never began has no handlers");
	tl_task_unref(t);
	all_gone("defer");
}

/* --- exit --------------------------------------------------------------------------------------------------------- */

static __attribute__((noinline)) void deep(int depth, int result)
{
	char pad[200];

	memset(pad, depth, sizeof(pad));
	if (depth)
		deep(depth - 1, result);
	else if (result == 1000)
		tl_exit_error(mk_counted(EDOM, "deep", &freed));
	else if (result <= 0)
		tl_exit(result);
	__asm__ volatile("" : : "r"(pad) : "memory");
	say("not reached");
}

static int fn_deep(void *arg)
{
	tl_defer(defer_say, "deferred");
	deep(100, (int)(long)arg);
	return 0;
}

static void child_exit_main(void)
{
	tl_exit(0);
}

static void defer_exits(UNUSED void *arg)
{
	tl_exit(0);
}

static int fn_defer_exits(UNUSED void *arg)
{
	tl_defer(defer_exits, NULL);
	return 0;
}

static void child_exit_defer(void)
{
	go("T", fn_defer_exits, NULL);
	tl_run();
}

/* Whether a child that runs fn dies by the signal, saying these words on stderr. */
static void (*dying)(void);

static void dies_there(void)
{
	signal(SIGABRT, SIG_DFL);	/* a sanitizer would want to say something */
	dying();
}

/* Whether the process dies of an abort() in fn, with these words. */
static bool aborts(void (*fn)(void), const char *words)
{
	int status;

	dying = fn;
	status = in_child(dies_there);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT && strstr(child_said, words))
		return true;
	tap_diag("status %#x, stderr: %s", (unsigned int)status, child_said);
	return false;
}

static void test_exit(void)
{
	struct tl_error *e;

	go("T", fn_deep, (void *)0L);
	tap_is(tl_run(), 0, "sched.h: tl_exit(0) from depth");
	tap_str(said(), "deferred", "sched.h: runs the handlers and does not come back");
	go("T", fn_deep, (void *)(long)-EIO);
	tap_is(tl_run(), -EIO, "sched.h: tl_exit() with an error is as returning it");
	tap_is(caught(), EIO, "sched.h: caught");
	freed = 0;
	go("T", fn_deep, (void *)1000L);
	tap_is(tl_run(), -EDOM, "sched.h: tl_exit_error() from depth");
	e = tl_catch();
	tap_ok(e && !strcmp(tl_error_message(e), "deep") && !freed, "sched.h: the error itself comes to run()");
	tl_error_free(e);
	tap_is(freed, 1, "sched.h: once");
	said();
	tap_ok(aborts(child_exit_main, "tl_exit() on the main tasklet"),
	       "sched.h: on the main tasklet it stops the process with a message");
	tap_ok(aborts(child_exit_defer, "tl_exit() in a deferred handler"),
	       "sched.h: and in a deferred handler, where it makes no sense");
	all_gone("exit");
}

/* --- the error handler -------------------------------------------------------------------------------------------- */

static char *handler_stack;

static bool handler(struct tl_task *task, const struct tl_error *error, void *arg)
{
	char here;

	handler_stack = &here;
	say("h%d:%s%s:%s", tl_error_code(error), name_of(task), task == tl_current() ? "" : "?", tl_error_message(error));
	return arg != NULL;
}

static bool other_handler(UNUSED struct tl_task *task, UNUSED const struct tl_error *error, UNUSED void *arg)
{
	return true;
}

/* Leaves a handler behind, and an error: of the tasklet that is about to be no more. */
static bool busy_handler(UNUSED struct tl_task *task, UNUSED const struct tl_error *error, void *arg)
{
	tl_defer(defer_say, "late");
	say("h%d", tl_schedule());
	return arg != NULL;
}

static char *fail_stack;

static int fn_fail_thrown(UNUSED void *arg)
{
	char here;

	fail_stack = &here;
	tl_exit_error(mk_counted(EIO, "boom", &freed));
}

static int fn_throw_at(void *arg)
{
	say("%s:%d", me(), tl_task_throw_later(arg, mk_counted(EDOM, "late", &freed)));
	return 0;
}

static void test_handler(void)
{
	tl_error_fn *old = other_handler;
	void *old_arg = &freed;
	struct tl_task *t;
	int i;

	tap_is(tl_set_error_handler(handler, &freed, &old, &old_arg), 0, "3.5: an error handler is set");
	tap_ok(!old && !old_arg, "3.5: there was none before");
	freed = 0;
	go("T", fn_fail_thrown, NULL);
	tap_is(tl_run(), 0, "1.6: an error that the handler deals with goes no further");
	tap_str(said(), "h5:T:boom", "1.6: it was called with tasklet and error, in the dying tasklet");
	tap_ok(handler_stack < fail_stack && fail_stack - handler_stack < 65536, "1.6: on its stack");
	tap_is(freed, 1, "1.6: the error was freed, once");

	go("T", fn_defer, (void *)4L);
	tl_run();
	tap_str(said(), "4 x y T 1 h5:T:exit", "1.6: deferred handlers run first, it is asked last");

	t = mk("T", fn_recv, NULL);
	tl_schedule();
	tl_task_kill(t);
	tl_task_unref(t);
	tap_str(said(), "T-125:0", "1.6: a kill is no error and does not reach it");

	tap_is(tl_set_error_handler(handler, NULL, &old, &old_arg), 0, "3.5: another one");
	tap_ok(old == handler && old_arg == &freed, "3.5: the former one and its argument are returned");
	freed = 0;
	go("T", fn_fail_thrown, NULL);
	tap_is(tl_run(), -EIO, "1.6: an error that the handler does not deal with comes to run()");
	tap_is(caught(), EIO, "1.6: caught");
	tap_is(freed, 1, "1.6: freed once");
	said();

	/* The handler defers, switches, and meanwhile somebody throws at the dying tasklet. */
	for (i = 0; i < 2; i++) {
		freed = 0;
		tl_set_error_handler(busy_handler, i ? &freed : NULL, NULL, NULL);
		t = mk("T", fn_fail_thrown, NULL);
		go("A", fn_throw_at, t);
		tap_is(tl_run(), i ? 0 : -EIO, "1.6: a handler that defers and switches");
		tap_is(caught(), i ? 0 : EIO, "1.6: caught");
		tap_str(said(), "A:0 h0 late", "1.6: what it deferred runs before the end");
		tap_is(freed, 2, "1.6: and no error is left");
		tl_task_unref(t);
	}
	tl_set_error_handler(NULL, NULL, &old, NULL);
	tap_ok(old == busy_handler, "3.5: off again");
	/* The next tasklets stand on the same stacks. */
	go("A", fn_return, NULL);
	go("B", fn_return, NULL);
	tap_is(tl_run(), 0, "1.6: nothing was left for the next tasklet on that stack");
	tap_str(said(), "", "1.6: no handler either");
	all_gone("error handler");
}

/* --- destructors -------------------------------------------------------------------------------------------------- */

/* Of an error that the tasklet never caught: runs at its end, on its stack, while it is current. */
static void destroy_busy(void *payload)
{
	struct tl_task *t;

	say("%s", me());
	tl_defer(defer_say, "later");
	tl_schedule();
	t = mk("N", fn_end, NULL);
	tl_task_unref(t);
	++*(int *)payload;
}

static int fn_recv_drop(UNUSED void *arg)
{
	long v;

	say("%d", tl_chan_recv(chan, &v));
	return 0;
}

static void test_destructor(void)
{
	struct tl_error *e = mk_error(EIO, "dropped");
	long v = 0;
	int n = 0;

	tl_error_set_payload(e, &n, destroy_busy);
	go("T", fn_recv_drop, NULL);
	tl_schedule();
	/* T dies of it, while a value is on its way to main. */
	tl_chan_set_preference(chan, 0);
	tl_chan_send_error(chan, e);
	tl_chan_set_preference(chan, -1);
	go("R", fn_recv, NULL);
	tl_schedule();
	tap_str(said(), "-5 T", "0: what it did not catch is destroyed on its stack, while it is current");
	tap_is(tl_chan_send(chan, &(long){ 3 }), 0, "0: others go on while the destructor has given way");
	tl_run();
	tap_str(said(), "R0:3 later [N]",
		"0: the value was not disturbed, what was deferred there runs, and what it started");
	tap_ok(n == 1 && !v, "0: destroyed once");
	all_gone("destructor");
}

/* Errors that are hidden by younger ones: the kill's, which is shared, hides them as well as any other. */
static int fn_many_errors(UNUSED void *arg)
{
	long v;
	int i;

	for (i = 0; i < 3; i++)
		say("%d", tl_chan_recv(chan, &v));
	say("c%d", caught());
	return 0;
}

static void test_hidden(void)
{
	struct tl_error *killed;

	tl_task_kill(tl_current());
	killed = tl_catch();
	freed = 0;
	go("T", fn_many_errors, NULL);
	tl_schedule();
	tl_chan_send_error(chan, mk_counted(EIO, "1", &freed));
	tl_chan_send_error(chan, killed);
	tl_chan_send_error(chan, mk_counted(EDOM, "3", &freed));
	tap_str(said(), "-5 -125 -33 c33", "error.h: the youngest error is the one that is caught");
	tap_is(freed, 2, "error.h: the others are freed, those behind a kill's too");
	all_gone("hidden");
}

int main(void)
{
	tap_plan(135);
	if (tl_chan_new(&chan, sizeof(long), 0))
		tap_bail("no channel");
	test_results();
	test_next();
	test_empty_ring();
	test_uncaught();
	test_uncaught_settled();
	test_pass_on();
	test_defer();
	test_exit();
	test_handler();
	test_destructor();
	test_hidden();
	tl_chan_unref(chan);
	tap_is(tl_sched_end(), 0, "sched.h: nothing is left");
	return tap_exit();
}
