/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Barriers within one thread (section 6.2: the states of Python 3.2's).
 */
#include "../core/check.h"

static struct tl_barrier b;
static struct tl_chan *gate;
static int action_result;

static int fn_wait(void *arg)
{
	int r = tl_barrier_wait_until(&b, arg ? (uint64_t)(uintptr_t)arg : TL_FOREVER);

	say("%s%d", me(), r);
	return 0;
}

static int fn_twice(UNUSED void *arg)
{
	say("%s%d", me(), tl_barrier_wait(&b));
	say("%s%d", me(), tl_barrier_wait(&b));
	return 0;
}

static int act(void *arg)
{
	say("%s%s", me(), (const char *)arg);
	return action_result;
}

/* An action that blocks until it is told what to return. */
static int act_blocking(UNUSED void *arg)
{
	long v = 0;

	say("%s(", me());
	tl_chan_recv(gate, &v);
	say(")");
	return (int)v;
}

static void test_basics(void)
{
	struct tl_barrier one = TL_BARRIER_INIT(1);

	tap_ok(tl_barrier_init(&b, 0, NULL, NULL) == -EINVAL && tl_barrier_init(&b, 1u << 31, NULL, NULL) == -EINVAL,
	       "barrier.h: the number of parties");
	tap_ok(!tl_barrier_wait(&one) && !tl_barrier_wait(&one), "6.2: one party need not wait");
	tap_is(tl_barrier_init(&b, 3, act, (void *)"!"), 0, "6.2: parties, action");
	tap_is(tl_barrier_parties(&b), 3, "6.2: parties");
	go("A", fn_twice, NULL);
	go("B", fn_twice, NULL);
	tl_schedule();
	tap_is(tl_barrier_waiting(&b), 2, "6.2: n_waiting");
	go("C", fn_twice, NULL);
	tl_schedule();
	tap_is(tl_barrier_waiting(&b), 1, "6.2: the next round is filling already");
	tl_run();
	tap_str(said(), "C! C2 A0 B1 B! B2 C0 A1",
		"6.2: the index of arrival; the last one runs the action before it releases the others");
	tap_ok(!tl_barrier_is_broken(&b) && !tl_barrier_waiting(&b), "6.2: not broken");
	tap_is(tl_barrier_wait(&b), -EDEADLK, "6.2: nobody else could ever come");
	tap_ok(!tl_barrier_is_broken(&b) && !tl_barrier_waiting(&b), "barrier.h: the arrival is taken back");
	all_gone("basics");
}

static void test_broken(void)
{
	struct tl_task *a;

	tl_barrier_init(&b, 3, NULL, NULL);
	go("A", fn_wait, NULL);
	go("T", fn_wait, (void *)1L);
	a_few_turns();
	tap_str(said(), "T-110 A-32", "6.2: a timeout breaks it for all");
	tap_ok(tl_barrier_is_broken(&b), "6.2: broken");
	tap_is(tl_barrier_wait(&b), -EPIPE, "6.2: for who comes later too");
	tl_barrier_reset(&b);
	tap_ok(!tl_barrier_is_broken(&b), "6.2: reset mends it");
	go("A", fn_wait, NULL);
	tl_schedule();
	tl_barrier_reset(&b);
	tl_schedule();
	tap_str(said(), "A-32", "6.2: reset with waiters");
	tap_ok(!tl_barrier_is_broken(&b) && !tl_barrier_waiting(&b), "6.2: it is as new");
	go("A", fn_wait, NULL);
	tl_schedule();
	tl_barrier_abort(&b);
	tl_schedule();
	tap_str(said(), "A-32", "6.2: abort");
	tap_ok(tl_barrier_is_broken(&b), "6.2: broken");
	tl_barrier_reset(&b);

	a = mk("A", fn_wait, NULL);
	go("B", fn_wait, NULL);
	tl_schedule();
	tl_task_kill(a);
	tap_is(tl_barrier_waiting(&b), 1, "barrier.h: a kill takes the arrival back");
	go("C", fn_wait, NULL);
	tl_schedule();
	tap_str(said(), "A-125", "barrier.h: two are not enough then");
	go("D", fn_wait, NULL);
	tl_run();
	tap_str(said(), "D2 B0 C1", "barrier.h: the third; each index once");
	tl_task_unref(a);
	all_gone("broken");
}

static void test_action(void)
{
	struct tl_task *a;
	long v = 0;

	tl_barrier_init(&b, 2, act, (void *)"!");
	action_result = -EIO;
	go("A", fn_wait, NULL);
	go("B", fn_wait, NULL);
	tl_run();
	tap_str(said(), "B! B-5 A-32", "6.2: an action that fails: its own result to the one, broken to the others");
	tap_ok(tl_barrier_is_broken(&b), "6.2: broken");
	action_result = 0;

	if (tl_chan_new(&gate, sizeof(long), 0))
		tap_bail("no channel");
	tl_chan_set_preference(gate, 0);
	tl_barrier_init(&b, 2, act_blocking, NULL);
	a = mk("A", fn_wait, (void *)(uintptr_t)tl_after(1000));
	go("B", fn_wait, NULL);
	tl_schedule();
	go("C", fn_wait, NULL);
	go("T", fn_wait, (void *)1L);
	while (tl_now() % 1000000 > 500000)
		;
	a_few_turns();
	tap_str(said(), "B( T-110", "barrier.h: while the action blocks the others are committed; one outside isn't");
	tap_ok(!tl_barrier_is_broken(&b) && !tl_barrier_waiting(&b), "6.2: not broken; n_waiting only when it fills");
	tl_task_kill(a);
	tl_chan_send(gate, &v);
	tl_schedule();
	tl_schedule();
	tap_str(said(), ") B1 A0", "barrier.h: nor does a kill end a wait that is committed");
	tap_is(tl_barrier_waiting(&b), 1, "6.2: who came meanwhile is the first of the next round");
	tl_task_unref(a);

	/* Reset and abort while the action runs; C waits inside. */
	go("D", fn_wait, NULL);
	go("E", fn_wait, NULL);
	tl_schedule();
	tl_barrier_reset(&b);
	tl_schedule();
	tap_str(said(), "D( C-32", "barrier.h: reset while the action runs");
	tl_chan_send(gate, &v);
	tl_schedule();
	tap_str(said(), ") D-32", "barrier.h: its own wait too");
	go("F", fn_wait, NULL);
	tl_schedule();
	tap_str(said(), "F(", "barrier.h: E outside was the first of the new round");
	tl_barrier_abort(&b);
	v = 3;
	tl_chan_send(gate, &v);
	tl_run();
	tap_str(said(), "E-32 ) F-32", "barrier.h: abort while it runs");
	tap_ok(tl_barrier_is_broken(&b), "6.2: broken");

	/* A new round is in its action when that of the old one ends. */
	tl_barrier_reset(&b);
	go("A", fn_wait, NULL);
	go("B", fn_wait, NULL);
	tl_schedule();
	tl_barrier_reset(&b);
	go("C", fn_wait, NULL);
	go("D", fn_wait, NULL);
	tl_schedule();
	tap_str(said(), "B( A-32 D(", "(two actions)");
	v = 0;
	tl_chan_send(gate, &v);
	tl_schedule();
	tap_str(said(), ") B-32", "barrier.h: that of an old round releases nobody of the new one");
	tl_chan_send(gate, &v);
	tl_run();
	tap_str(said(), ") D1 C0", "barrier.h: and the new one goes on");
	tl_chan_unref(gate);
	all_gone("action");
}

static void test_try(void)
{
	struct tl_barrier one = TL_BARRIER_INIT(1);
	long v = 0;

	tap_ok(!tl_barrier_try_wait(&one) && !tl_barrier_try_wait(&one), "6.2: one party is always the last");
	tl_barrier_init(&b, 2, act, (void *)"!");
	tap_ok(tl_barrier_try_wait(&b) == -EAGAIN && !tl_barrier_waiting(&b),
	       "barrier.h: a try that is not the last has not arrived");
	go("A", fn_wait, NULL);
	tl_schedule();
	tap_is(tl_barrier_try_wait(&b), 1, "barrier.h: a try that is the last completes the round");
	tl_schedule();
	tap_str(said(), "M! A0", "barrier.h: and has run the action");
	action_result = -EIO;
	go("B", fn_wait, NULL);
	tl_schedule();
	tap_is(tl_barrier_try_wait(&b), -EIO, "barrier.h: an action that fails is its result");
	tap_is(tl_barrier_try_wait(&b), -EPIPE, "barrier.h: broken for tries too");
	tl_run();
	tap_str(said(), "M! B-32", "barrier.h: and for those that waited");
	action_result = 0;

	if (tl_chan_new(&gate, sizeof(long), 0))
		tap_bail("no channel");
	tl_barrier_init(&b, 1, act_blocking, NULL);
	go("C", fn_wait, NULL);
	tl_schedule();
	tap_is(tl_barrier_try_wait(&b), -EAGAIN, "barrier.h: a try does not wait for an action to end");
	tl_chan_send(gate, &v);
	tl_run();
	tap_str(said(), "C( ) C0", "barrier.h: which goes on");
	tl_chan_unref(gate);
	all_gone("try");
}

int main(void)
{
	tap_plan(49);
	test_basics();
	test_broken();
	test_action();
	test_try();
	tap_is(tl_sched_end(), 0, "nothing is left");
	return tap_exit();
}
