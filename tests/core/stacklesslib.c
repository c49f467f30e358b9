/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What stacklesslib's base and main loop promise (sections 6.1 and 6.4), by the names that it has here.
 */
#include <pthread.h>

#include "check.h"

#define MS UINT64_C(1000000)

static struct tl_chan *chan;

/* --- 6.1: states that are saved and restored ------------------------------------------------------------------------------ */

static void test_states(void)
{
	bool outer = tl_atomic(true), inner = tl_atomic(true);
	long v = 0;

	tap_ok(!outer && inner, "6.1: atomic() says what it was");
	tl_atomic(inner);
	tap_ok(tl_atomic(outer), "6.1: an inner atomic() does not end the outer one");
	tap_ok(!tl_atomic(false), "6.1: the outer one does");

	outer = tl_task_set_block_trap(tl_current(), true);
	tap_is(tl_chan_send(chan, &v), -EPERM, "6.1: block_trap() refuses to block");
	tap_is(tl_schedule(), 0, "6.1: and allows to give way");
	tap_ok(tl_task_set_block_trap(tl_current(), outer) && !tl_task_block_trap(tl_current()),
	       "6.1: block_trap() is restored");

	outer = tl_set_ignore_nesting(true);
	inner = tl_set_ignore_nesting(outer);
	tap_ok(!outer && inner, "6.1: ignore_nesting() is saved and restored");

	tap_is(tl_switch_trap(1), 0, "6.1: switch_trap(): free before");
	go("A", fn_nop, NULL);
	tap_ok(tl_schedule() == -EPERM && tl_run() < 0, "6.1: switch_trap() refuses to switch");
	tap_is(tl_switch_trap(-1), 1, "6.1: switch_trap() is restored");
	all_gone("states");
}

/* --- 6.1: the signal channel: a try to send, with preference for the sender ----------------------------------------------- */

static int fn_receive(UNUSED void *arg)
{
	long v = -1;
	int r = tl_chan_recv(chan, &v);

	say("%s%d:%ld", me(), r, v);
	return 0;
}

static int fn_receive_twice(void *arg)
{
	return fn_receive(arg) || fn_receive(arg);
}

/* To as many as wait at entry: those that come back for more are not among them. */
static long signal_all(long v)
{
	long waiting = -tl_chan_balance(chan), sent = 0;

	while (sent < waiting && !tl_chan_try_send(chan, &v))
		sent++;
	return sent;
}

static void test_signal(void)
{
	long v = 7;

	tl_chan_set_preference(chan, 1);
	tap_is(tl_chan_try_send(chan, &v), -EAGAIN, "6.1: signal() to nobody does not block");
	go("A", fn_receive, NULL);
	go("B", fn_receive, NULL);
	tl_schedule();
	tap_is(tl_chan_try_send(chan, &v), 0, "6.1: signal() to the first that waits");
	tap_str(said(), "", "6.1: and the sender goes on");
	tl_schedule();
	tap_str(said(), "A0:7", "6.1: it is made runnable");
	go("C", fn_receive_twice, NULL);
	tl_schedule();
	tap_is(signal_all(8), 2, "6.1: signal_all() to those that wait at entry");
	tl_schedule();
	tap_str(said(), "B0:8 C0:8", "6.1: in order; one that waits again has to wait for the next");
	tap_is(signal_all(9), 1, "6.1: which comes");
	tl_run();
	tap_str(said(), "C0:9", "6.1: to it");
	tap_is(signal_all(9), 0, "6.1: and then there is nobody");
	all_gone("signal");
}

/* --- 6.4: the event queue, and the loop ------------------------------------------------------------------------------------ */

static int fn_at(void *arg)
{
	int r = tl_sleep_until((uint64_t)(uintptr_t)arg);

	say("%s%d", me(), r);
	return 0;
}

static int fn_soon(UNUSED void *arg)
{
	int r = tl_sleep(0);

	say("%s%d", me(), r);
	return 0;
}

/* An event that makes one which is due at once. */
static int fn_makes(UNUSED void *arg)
{
	tl_sleep(0);
	say("%s", me());
	go("C", fn_soon, NULL);
	return 0;
}

static int fn_repeats(void *arg)
{
	uint64_t due = tl_now();
	long i, n = (long)arg;

	for (i = 0; i < n; i++) {
		due += MS / 10;
		if (tl_sleep_until(due))
			return 0;
		say("%s", me());
	}
	return 0;
}

static int fn_fails(UNUSED void *arg)
{
	tl_sleep(0);
	return -EIO;
}

static bool note_error(UNUSED struct tl_task *task, const struct tl_error *error, UNUSED void *arg)
{
	say("!%d", tl_error_code(error));
	return true;
}

static void test_events(void)
{
	uint64_t at = tl_after(300 * MS);	/* far enough for what comes before */
	struct tl_task *cancelled;

	go("A", fn_at, (void *)(uintptr_t)at);
	go("B", fn_at, (void *)(uintptr_t)at);
	go("D", fn_at, (void *)(uintptr_t)(at - MS));
	cancelled = mk("X", fn_at, (void *)(uintptr_t)at);
	tl_schedule();
	tap_is((long long)stats().timers, 4, "6.4: four events");
	tl_task_kill(cancelled);
	tap_str(said(), "X-125", "6.4: cancel()");
	tap_is((long long)stats().timers, 3, "6.4: takes the event out of the queue");
	tl_run();
	tap_str(said(), "D0 A0 B0", "6.4: in order of time, first in, first out for the same");
	tap_ok(tl_now() >= at, "6.4: none early: the loop waits for the next that is due");
	tl_task_unref(cancelled);

	go("A", fn_makes, NULL);
	go("B", fn_soon, NULL);
	tl_run();
	tap_str(said(), "A B0 C0", "6.4: an event that a callback makes waits for the next pump");

	go("R", fn_repeats, (void *)3L);
	tl_run();
	tap_str(said(), "R R R", "6.4: call_repeatedly()");

	tl_set_error_handler(note_error, NULL, NULL, NULL);
	go("E", fn_fails, NULL);
	go("B", fn_soon, NULL);
	tap_is(tl_run(), TL_RUN_FINISHED, "6.4: one that fails does not end the loop");
	tap_str(said(), "!5 B0", "6.4: it is told, and the others go on");
	tl_set_error_handler(NULL, NULL, NULL, NULL);
	all_gone("events");
}

static void *interrupt(void *arg)
{
	tl_task_kill(arg);
	return NULL;
}

static void test_interrupted(void)
{
	struct tl_task *t = mk("A", fn_at, (void *)(uintptr_t)tl_after(3600 * 1000 * MS));
	pthread_t thread;

	tl_schedule();
	if (pthread_create(&thread, NULL, interrupt, t))
		tap_bail("no thread");
	tap_is(tl_run(), TL_RUN_FINISHED, "6.4: another thread ends the loop's wait");
	tap_str(said(), "A-125", "6.4: not at the next time that is due");
	pthread_join(thread, NULL);
	tl_task_unref(t);
	all_gone("interrupted");
}

int main(void)
{
	tap_plan(35);
	if (tl_chan_new(&chan, sizeof(long), 0))
		tap_bail("no channel");
	test_states();
	test_signal();
	test_events();
	test_interrupted();
	tl_chan_unref(chan);
	tap_is(tl_sched_end(), 0, "nothing is left");
	return tap_exit();
}
