/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * tl_run() and what happens when nothing can run (sections 3.3 and 3.4): verdicts, nested runs and who of them is woken,
 * deadlock, which is reported to whoever made it and undone exactly; and that what will come (a deadline) is no
 * deadlock.
 */
#include <tasklet/tasklet.h>

#include "one-chan.h"

#define HOUR (3600ull * 1000000000)

static int fn_send_1(UNUSED void *arg)
{
	long v = 1;

	say("%s%d", me(), tl_chan_send(chan, &v));
	return 0;
}

static int fn_pause(UNUSED void *arg)
{
	say("%s%d", me(), tl_schedule_remove());
	return 0;
}

static int fn_run(UNUSED void *arg)
{
	int r = tl_run();

	say("%s%d[%s]", me(), r, ring());
	return 0;
}

/* --- verdicts ----------------------------------------------------------------------------------------------------- */

static void test_verdicts(void)
{
	struct tl_task *a, *b;
	struct picture before = picture();

	tap_is(tl_run(), TL_RUN_FINISHED, "3.3: run() with an empty ring returns at once");
	tap_ok(same_picture(&before), "3.3: and nothing has changed");
	go("A", fn_yield, (void *)2L);
	go("B", fn_yield, (void *)1L);
	tap_is(tl_run(), TL_RUN_FINISHED, "3.3: run() comes back when the ring is empty");
	tap_str(said(), "A1 B1 A2 B. A.", "3.3: all have run to their end, in turn");

	a = mk("A", fn_recv, NULL);
	tap_is(tl_run(), TL_RUN_DEADLOCK, "3.3: one is left that waits for nobody: deadlock");
	before = picture();
	tap_is(tl_run(), TL_RUN_DEADLOCK, "3.3: and again, at once");
	tap_ok(same_picture(&before) && tl_chan_queue(chan) == a, "3.3: it waits on");
	b = mk("B", fn_send_1, NULL);
	tap_is(tl_run(), TL_RUN_FINISHED, "3.3: it is no state: with a partner all end");
	tap_str(said(), "A0:1 B0", "3.3: both");
	tl_task_unref(a);
	tl_task_unref(b);

	a = mk("A", fn_pause, NULL);
	tap_is(tl_run(), TL_RUN_FINISHED, "3.3: paused ones are no deadlock");
	b = mk("B", fn_recv, NULL);
	tap_is(tl_run(), TL_RUN_DEADLOCK, "3.3: but a blocked one next to it is");
	tl_task_kill(a);
	tl_task_kill(b);
	tl_task_unref(a);
	tl_task_unref(b);
	all_gone("verdicts");
}

/* --- nested ------------------------------------------------------------------------------------------------------- */

static int fn_run_verdict(UNUSED void *arg)
{
	say("%s%d", me(), tl_run());
	return 0;
}

static int fn_insert_main(UNUSED void *arg)
{
	tl_task_insert(tl_main());
	say("%s[%s]", me(), ring());
	return 0;
}

static int fn_insert(void *arg)
{
	tl_task_insert(arg);
	say("%s", me());
	return 0;
}

static int fn_run_main(UNUSED void *arg)
{
	say("%s", me());
	say("%s%d", me(), tl_task_run(tl_main()));
	return 0;
}

static void test_nested(void)
{
	struct tl_task *t, *w, *w2;

	/* Each run() sees the ring empty once; the innermost first. */
	go("R", fn_run, NULL);
	go("S", fn_run, NULL);
	go("A", fn_yield, (void *)1L);
	tap_is(tl_run(), TL_RUN_FINISHED, "3.3: runs nest");
	tap_str(said(), "A1 A. S0[S] R0[R]", "3.3: the innermost is woken first, each by an empty ring");

	/* Verdicts of nested ones. */
	go("R", fn_run_verdict, NULL);
	w = mk("W", fn_recv, NULL);
	tap_is(tl_run(), TL_RUN_DEADLOCK, "3.3: the outer one says deadlock, and the inner one");
	tap_str(said(), "R1", "3.3: has said so before");
	tl_task_kill(w);
	tl_task_unref(w);
	said();

	/* The outer one is woken first: by insert. */
	go("R", fn_run, NULL);
	go("S", fn_run, NULL);
	go("I", fn_insert_main, NULL);
	go("A", fn_yield, (void *)2L);
	tap_is(tl_run(), TL_RUN_FINISHED, "3.3: an outer run() whose tasklet was inserted returns");
	tap_str(ring(), "M A S R", "3.3: the inner ones are runnable then, innermost first");
	tl_schedule();
	tap_str(said(), "I[I A M] A1 A2 S0[S R M A] R0[R M A]", "3.3: and their runs return FINISHED");
	tl_run();
	said();

	/* The middle one. */
	t = mk("R", fn_run, NULL);
	go("S", fn_run, NULL);
	go("I", fn_insert, t);
	go("A", fn_yield, (void *)1L);
	tap_is(tl_run(), TL_RUN_FINISHED, "3.3: the middle one of three is inserted");
	tap_str(said(), "I A1 R0[R A S] A. S0[S]",
		"3.3: it returns, and the one inside it too; main's goes on to the end");
	tl_task_unref(t);

	/* By tl_task_run(): switched to at once. */
	go("R", fn_run, NULL);
	go("I", fn_run_main, NULL);
	go("A", fn_yield, (void *)1L);
	tap_is(tl_run(), TL_RUN_FINISHED, "3.3: the same when it is run directly");
	tap_str(ring(), "M I A R", "3.3: the one that ran it is next");
	tl_run();
	tap_str(said(), "I I0 A1 R0[R A] A.", "3.3: and all go on");

	/* A run() inside that ends before anybody else, with verdicts of its own. */
	w = mk("W", fn_recv, NULL);
	w2 = mk("V", fn_pause, NULL);
	tl_schedule();
	go("R", fn_run_verdict, NULL);
	tap_is(tl_run(), TL_RUN_DEADLOCK, "3.3: a tasklet's run() over an empty ring");
	tap_str(said(), "R1", "3.3: returns at once as main's does");
	tl_task_kill(w);
	tl_task_kill(w2);
	tl_task_unref(w);
	tl_task_unref(w2);
	said();
	all_gone("nested");
}

static int fn_fail(UNUSED void *arg)
{
	return -EIO;
}

static int fn_run_caught(UNUSED void *arg)
{
	int r = tl_run(), c = caught();

	say("%s%d/%d", me(), r, c);
	r = tl_run();
	say("%s%d", me(), r);
	return 0;
}

static void test_nested_errors(void)
{
	go("R", fn_run_caught, NULL);
	go("X", fn_fail, NULL);
	go("A", fn_yield, (void *)1L);
	tap_is(tl_run(), TL_RUN_FINISHED, "3.3: the inner run() takes the error, the outer one sees none");
	tap_str(said(), "R-5/5 A1 A. R0", "3.3: the inner one can go on with the others");
	all_gone("nested errors");
}

/* --- thrown at one in run() --------------------------------------------------------------------------------------- */

static int fn_kill(void *arg)
{
	say("k%d", tl_task_kill_later(arg));
	return 0;
}

static void test_killed(void)
{
	struct tl_task *r;

	go("K", fn_kill, tl_main());
	go("A", fn_yield, (void *)1L);
	tap_is(tl_run(), -ECANCELED, "1.5: a tasklet in run() that is killed comes back");
	tap_is(caught(), ECANCELED, "1.5: caught");
	tap_str(ring(), "M A", "1.5: the others are still there");
	tl_run();
	said();
	r = mk("R", fn_run_verdict, NULL);
	go("K", fn_kill, r);
	go("A", fn_yield, (void *)1L);
	tap_is(tl_run(), TL_RUN_FINISHED, "1.5: the same in a nested run()");
	tap_str(said(), "k0 A1 R-125 A.", "1.5: which is left in its turn");
	tl_task_unref(r);
	all_gone("killed");
}

/* --- traps -------------------------------------------------------------------------------------------------------- */

static void test_traps(void)
{
	struct picture before;

	go("A", fn_yield, (void *)0L);
	before = picture();
	tl_switch_trap(1);
	tap_is(tl_run(), -EPERM, "3.5: run() under a switch trap");
	tl_switch_trap(-1);
	tl_task_set_block_trap(tl_current(), true);
	tap_is(tl_run(), -EPERM, "3.5: and with a block trap");
	tl_task_set_block_trap(tl_current(), false);
	tap_ok(same_picture(&before), "3.5: nothing has changed");
	all_gone("traps");
}

/* --- deadlock ----------------------------------------------------------------------------------------------------- */

/* Every way to block, for a tasklet whom nobody can wake. */
static void each_deadlock(const char *who)
{
	struct tl_chan *full, *other;
	struct picture before = picture();
	long v = 0x5a5a;
	struct tl_select_case c[3];

	tl_chan_new(&full, sizeof(long), 1);
	tl_chan_new(&other, sizeof(long), 0);
	tl_chan_send(full, &v);
	tap_ok(tl_chan_recv(other, &v) == -EDEADLK && v == 0x5a5a, "3.4: recv of %s is a deadlock", who);
	tap_is(tl_chan_send(other, &v), -EDEADLK, "3.4: send of %s", who);
	tap_is(tl_chan_send(full, &v), -EDEADLK, "3.4: send to a full channel of %s", who);
	c[0] = (struct tl_select_case)TL_CASE_RECV(other, &v);
	c[1] = (struct tl_select_case)TL_CASE_SEND(full, &v);
	c[2] = (struct tl_select_case)TL_CASE_SEND(other, &v);
	tap_is(tl_select(c, 3), -EDEADLK, "3.4: select of %s", who);
	tap_is(tl_select(NULL, 0), -EDEADLK, "3.4: select of nothing of %s", who);
	tap_is(tl_sleep_until(TL_FOREVER), -EDEADLK, "3.4: sleep for ever of %s", who);
	tap_ok(!tl_chan_balance(other) && !tl_chan_queue(other) && tl_chan_balance(full) == 1 && !tl_chan_queue(full),
	       "3.4: no channel knows of it");
	tap_ok(same_picture(&before), "3.4: nothing has changed");
	tl_chan_unref(full);
	tl_chan_unref(other);
}

static int fn_deadlocks(UNUSED void *arg)
{
	each_deadlock("the last tasklet, main being blocked");
	/* It has a handle, so it might pause; but nobody could insert it. */
	say("%d[%s]", tl_schedule_remove(), ring());
	tap_ok(!tl_task_is_paused(tl_current()) && !stats().paused, "3.4: schedule_remove is undone too");
	say("%d", tl_chan_send(chan, &(long){ 5 }));
	return 0;
}

static void test_deadlock(void)
{
	struct tl_task *t;
	long v = 0;

	each_deadlock("main alone");
	t = mk("T", fn_deadlocks, NULL);
	tap_is(tl_chan_recv(chan, &v), 0, "3.4: main waits while another one can still run");
	tap_is(v, 5, "3.4: and gets its value from it in the end");
	tl_run();
	tap_str(said(), "-35[T] 0", "3.4: schedule_remove of the last one is a deadlock");
	tl_task_unref(t);
	all_gone("deadlock");
}

/* A run() under way: the last one that blocks is no deadlock, for run() comes back. */
static void test_no_deadlock(void)
{
	struct tl_task *t = mk("T", fn_recv, NULL);

	tap_is(tl_run(), TL_RUN_DEADLOCK, "3.4: with a run() under way a tasklet blocks, and run() tells");
	tap_ok(tl_chan_queue(chan) == t && tl_task_is_blocked(t), "3.4: it is blocked");
	tl_chan_close(chan);
	tl_run();
	tap_str(said(), "T-32:0", "3.4: until the channel is closed");
	tl_chan_open(chan);
	tl_task_unref(t);
	/* Main paused: it is woken instead (1.6, 3.4.2). */
	t = mk("T", fn_recv, NULL);
	tap_is(tl_schedule_remove(), 0, "3.4: main paused and the last one blocks: main is woken");
	tap_str(ring(), "M", "3.4: it alone");
	tl_task_kill(t);
	tl_task_unref(t);
	said();
	all_gone("no deadlock");
}

/* --- what will come ----------------------------------------------------------------------------------------------- */

static int fn_sleep(void *arg)
{
	say("%s%d", me(), tl_sleep((uint64_t)(long)arg));
	return 0;
}

static int fn_recv_until(UNUSED void *arg)
{
	long v;

	say("%s%d", me(), tl_chan_recv_until(chan, &v, tl_after(2000000)));
	return 0;
}

static void test_timers(void)
{
	uint64_t start = tl_now();
	const char *words;
	long v;

	go("A", fn_sleep, (void *)3000000L);
	go("B", fn_recv_until, NULL);
	tap_is(tl_run(), TL_RUN_FINISHED, "3.4: run() waits for deadlines: they can fill the ring again");
	words = said();
	tap_ok(strstr(words, "B-110") && strstr(words, "A0"), "3.4: both have come");
	tap_ok(tl_now() - start >= 3000000, "3.4: and not before");
	go("A", fn_sleep, (void *)1000000L);
	tap_is(tl_chan_recv(chan, &v), -EDEADLK, "3.4: main's wait is a deadlock only when the last sleeper has ended");
	tap_str(said(), "A0", "3.4: not before");
	tap_is(tl_chan_recv_until(chan, &v, tl_after(1000000)), -ETIMEDOUT, "3.4: a wait with a deadline is none");
	all_gone("timers");
}

int main(void)
{
	tap_plan(75);
	if (tl_chan_new(&chan, sizeof(long), 0))
		tap_bail("no channel");
	test_verdicts();
	test_nested();
	test_nested_errors();
	test_killed();
	test_traps();
	test_deadlock();
	test_no_deadlock();
	test_timers();
	tl_chan_unref(chan);
	tap_is(tl_sched_end(), 0, "sched.h: nothing is left");
	return tap_exit();
}
