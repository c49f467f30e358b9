/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The other forms of send and receive: those that try, those with a deadline (0, in the past, to come, never), sequences
 * and arrays, tl_chan_next() with everything that can look like the end of a channel and is not, and what a kill in the
 * middle leaves.
 */
#include <tasklet/time.h>
#include <tasklet/tasklet.h>

#include "../core/one-chan.h"

#define HOUR (3600ull * 1000000000)

static int fn_say(UNUSED void *arg)
{
	say("%s", me());
	return 0;
}

/* --- try ---------------------------------------------------------------------------------------------------------- */

static void test_try(void)
{
	struct tl_task *t;
	long v = 1;

	new_chan(sizeof(long), 0);
	go("A", fn_say, NULL);
	tap_is(tl_chan_try_send(chan, &v), -EAGAIN, "channel.h: try_send without a receiver");
	tap_is(tl_chan_try_recv(chan, &v), -EAGAIN, "channel.h: try_recv without a sender");
	tap_ok(v == 1 && !tl_chan_balance(chan), "channel.h: nothing has changed");
	tap_str(said(), "", "channel.h: and nobody has run");
	tl_run();
	said();
	t = mk("R", fn_recv, NULL);
	tl_schedule();
	/* A try does not block, so neither a kill nor a trap is in its way. */
	tl_task_kill(tl_current());
	tl_switch_trap(1);
	tl_task_set_block_trap(tl_current(), true);
	tap_is(tl_chan_try_send(chan, &v), 0, "channel.h: try_send to one who waits, killed and trapped");
	tl_task_set_block_trap(tl_current(), false);
	tl_switch_trap(-1);
	tap_is(caught(), ECANCELED, "channel.h: the kill is still there");
	tl_run();
	tap_str(said(), "R0:1", "channel.h: the value has arrived");
	tl_task_unref(t);
	tl_chan_unref(chan);
	all_gone("try");
}

/* --- deadlines ---------------------------------------------------------------------------------------------------- */

static int fn_recv_until(void *arg)
{
	long v = 9;
	int r = tl_chan_recv_until(chan, &v, (uint64_t)(uintptr_t)arg);

	say("%s%d:%ld", me(), r, v);
	return 0;
}

static void test_until(void)
{
	uint64_t deadline;
	long v = 1;
	int i;

	new_chan(sizeof(long), 0);
	tap_is(tl_chan_recv_until(chan, &v, 0), -ETIMEDOUT, "channel.h: deadline 0, alone");
	tap_is(tl_chan_send_until(chan, &v, 0), -ETIMEDOUT, "channel.h: send");
	tap_is(tl_chan_recv_until(chan, &v, 1), -ETIMEDOUT, "channel.h: deadline 1, long ago");
	tap_is(tl_chan_recv_until(chan, &v, tl_now()), -ETIMEDOUT, "channel.h: deadline now");
	deadline = tl_after(2000000);
	tap_is(tl_chan_recv_until(chan, &v, deadline), -ETIMEDOUT, "channel.h: a deadline to come");
	tap_ok(tl_now() >= deadline, "channel.h: is not cut short");
	tap_is(tl_chan_recv_until(chan, &v, TL_FOREVER), -EDEADLK, "channel.h: for ever is no deadline");
	tap_ok(v == 1 && !tl_chan_balance(chan) && !tl_chan_queue(chan) && !stats().timers,
	       "channel.h: nothing is left");

	/* What is there is had, whatever the deadline. */
	go("S", fn_send, (void *)5L);
	tl_schedule();
	tap_ok(tl_chan_recv_until(chan, &v, 0) == 0 && v == 5,
	       "channel.h: who waits is served though the deadline has passed");
	tl_run();
	said();
	go("R", fn_recv, NULL);
	tl_schedule();
	v = 6;
	tap_is(tl_chan_send_until(chan, &v, 0), 0, "channel.h: in both directions");
	tap_str(said(), "R0:6", "2: and switches as it should");

	/* The partner comes in time, and the timer goes. */
	go("R", fn_recv_until, (void *)(uintptr_t)(tl_now() + HOUR));
	tl_schedule();
	tap_is((long long)stats().timers, 1, "channel.h: a deadline is pending");
	tl_chan_send(chan, &v);
	tap_str(said(), "R0:6", "channel.h: the partner comes in time");
	tap_is((long long)stats().timers, 0, "channel.h: and the timer is gone");
	go("R", fn_recv_until, (void *)(uintptr_t)(tl_now() + HOUR));
	tl_schedule();
	tl_chan_try_send(chan, &v);
	tap_is((long long)stats().timers, 0, "channel.h: as soon as it is served");
	tl_run();
	said();

	/* Some of a queue time out: the others keep their order. */
	go("A", fn_recv, NULL);
	go("B", fn_recv_until, (void *)2L);
	go("C", fn_recv, NULL);
	go("D", fn_recv_until, (void *)1L);
	go("E", fn_recv, NULL);
	tl_schedule();
	for (i = 0; i < 1000 && stats().timers; i++)
		tl_schedule();
	tap_is(tl_chan_balance(chan), -3, "channel.h: those whose time is up leave the queue");
	for (v = 1; v <= 3; v++)
		tl_chan_send(chan, &v);
	tl_run();
	tap_str(said(), "D-110:9 B-110:9 A0:1 C0:2 E0:3", "channel.h: the others keep their order");
	tl_chan_unref(chan);
	all_gone("deadlines");
}

/* --- arrays and sequences ----------------------------------------------------------------------------------------- */

static int fn_collect(void *arg)
{
	long v, n = (long)arg;

	while (n-- > 0 && !tl_chan_recv(chan, &v))
		say("%ld", v);
	say(".");
	return 0;
}

static int three(void *arg, void *value)
{
	int *n = arg;
	long v = *n * 10;

	memcpy(value, &v, sizeof(v));
	return (*n)++ < 3;
}

static int fails_at_two(void *arg, void *value)
{
	int r = three(arg, value);

	return *(int *)arg == 3 ? -ENODATA : r;
}

static void test_array(void)
{
	static const long values[] = { 1, 2, 3, 4 };
	struct tl_task *t;

	new_chan(sizeof(long), 0);
	tap_is(tl_chan_send_array(chan, values, 0), 0, "2: an array of nothing");
	t = mk("R", fn_collect, (void *)4L);
	tap_is(tl_chan_send_array(chan, values, 4), 4, "2: send_array returns how many were sent");
	tl_run();
	tap_str(said(), "1 2 3 4 .", "2: in order");
	tl_task_unref(t);
	/* The receiver leaves in the middle. */
	go("R", fn_collect, (void *)2L);
	tap_is(tl_chan_send_array(chan, values, 4), -EDEADLK, "2: nobody receives any more: the failure is returned");
	tl_run();
	tap_str(said(), "1 2 .", "2: those sent before stay sent");
	tap_is(tl_chan_balance(chan), 0, "2: nothing waits");
	tl_chan_unref(chan);

	/* The next element is behind the one before, whatever the size. */
	new_chan(3, 4);
	tap_is(tl_chan_send_array(chan, "abcdefghijkl", 4), 4, "2: elements of three bytes");
	{
		char three_bytes[4] = "";

		while (!tl_chan_try_recv(chan, three_bytes))
			say("%s", three_bytes);
	}
	tap_str(said(), "abc def ghi jkl", "2: each of them");
	tl_chan_unref(chan);
	all_gone("arrays");
}

static int big_value(void *arg, void *value)
{
	int *n = arg;

	memset(value, *n, 4096);
	return (*n)++ < 2;
}

static int aligned_value(void *arg, void *value)
{
	int *n = arg;

	if ((uintptr_t)value % _Alignof(max_align_t))
		say("misaligned");
	return (*n)++ < 1;
}

static int fn_sequence(UNUSED void *arg)
{
	int n = 0;

	say("%s%ld", me(), tl_chan_send_sequence(chan, three, &n));
	return 0;
}

static void test_sequence(void)
{
	struct tl_task *t;
	unsigned char big[4096];
	size_t size;
	int n = 0, i;

	new_chan(sizeof(long), 0);
	go("R", fn_collect, (void *)3L);
	tap_is(tl_chan_send_sequence(chan, three, &n), 3, "2: send_sequence returns how many were sent");
	tl_run();
	tap_str(said(), "0 10 20 .", "2: in order");
	n = 3;
	tap_is(tl_chan_send_sequence(chan, three, &n), 0, "2: an empty one");
	n = 0;
	go("R", fn_collect, (void *)2L);
	tap_is(tl_chan_send_sequence(chan, fails_at_two, &n), -ENODATA, "2: what the generator returns aborts it");
	tl_run();
	tap_str(said(), "0 10 .", "2: those sent before stay sent");
	t = mk("S", fn_sequence, NULL);
	go("R", fn_collect, (void *)1L);
	tl_schedule();
	tl_task_kill(t);
	tap_str(said(), "0 . S-125", "2: a kill aborts it");
	tl_task_unref(t);
	tl_chan_close(chan);
	n = 0;
	tap_is(tl_chan_send_sequence(chan, three, &n), -EPIPE, "2: as does a closed channel");
	tl_chan_unref(chan);

	new_chan(4096, 2);
	n = 0;
	tap_is(tl_chan_send_sequence(chan, big_value, &n), 2, "2: a sequence of large elements");
	for (i = 0; i < 2; i++)
		say("%d", tl_chan_recv(chan, big) || big[0] != i || big[4095] != i);
	tap_str(said(), "0 0", "2: each of them whole");
	tl_chan_unref(chan);
	for (size = 1; size < 1000; size *= 3) {
		new_chan(size, 1);
		n = 0;
		tl_chan_send_sequence(chan, aligned_value, &n);
		tl_chan_unref(chan);
	}
	tap_str(said(), "", "channel.h: the generator's memory is aligned");
	all_gone("sequences");
}

/* --- next --------------------------------------------------------------------------------------------------------- */

static int fn_next(UNUSED void *arg)
{
	long v;
	int r;

	while ((r = tl_chan_next(chan, &v)) > 0)
		say("%ld", v);
	say("%s%d/%d", me(), r, caught());
	return 0;
}

static int fn_ends_with(void *arg)
{
	long v;

	tl_chan_recv(chan, &v);
	return -(int)(long)arg;
}

static void test_next(void)
{
	struct tl_task *t;
	long v;

	new_chan(sizeof(long), 0);
	go("N", fn_next, NULL);
	tl_schedule();
	for (v = 1; v <= 3; v++)
		tl_chan_send(chan, &v);
	tl_chan_close(chan);
	tl_run();
	tap_str(said(), "1 2 3 N0/0", "2: next returns 1 with each value, and 0 when the channel is closed");
	tl_chan_unref(chan);

	new_chan(sizeof(long), 3);
	for (v = 1; v <= 3; v++)
		tl_chan_send(chan, &v);
	tl_chan_close(chan);
	go("N", fn_next, NULL);
	tl_run();
	tap_str(said(), "1 2 3 N0/0", "2: values that are left inside come first");
	tl_chan_unref(chan);

	/* What looks like the end. */
	new_chan(sizeof(long), 0);
	go("N", fn_next, NULL);
	tl_schedule();
	tl_chan_send_error(chan, mk_error(EPIPE, "sent"));
	tl_run();
	tap_str(said(), "N-32/32", "channel.h: an -EPIPE that was sent is an error, not the end");
	go("N", fn_next, NULL);
	tl_schedule();
	tl_chan_try_send_error(chan, mk_error(EIO, "other"));
	tl_run();
	tap_str(said(), "N-5/5", "channel.h: as is any other error");
	t = mk("N", fn_next, NULL);
	tl_schedule();
	tl_task_throw(t, mk_error(EPIPE, "thrown"));
	tap_str(said(), "N-32/32", "channel.h: an -EPIPE that was thrown while it waits is an error");
	tl_task_unref(t);
	tl_task_throw(tl_current(), mk_error(EPIPE, "thrown"));
	tap_is(tl_chan_next(chan, &v), -EPIPE, "channel.h: or that was thrown before");
	tap_is(caught(), EPIPE, "channel.h: (caught)");
	tl_chan_close(chan);
	tl_task_throw(tl_current(), mk_error(EPIPE, "thrown"));
	tap_is(tl_chan_next(chan, &v), -EPIPE, "channel.h: even where the channel is closed as well");
	tap_is(caught(), EPIPE, "channel.h: (caught)");
	tap_is(tl_chan_next(chan, &v), 0, "channel.h: then it is the end");
	tl_chan_open(chan);

	/* One that nobody caught comes to main, which has a call that succeeded behind it. */
	go("X", fn_ends_with, (void *)(long)EPIPE);
	tl_schedule();
	tl_chan_send(chan, &v);
	tap_is(tl_chan_next(chan, &v), -EPIPE, "channel.h: an -EPIPE that nobody caught is an error");
	tap_is(caught(), EPIPE, "channel.h: (caught)");
	go("X", fn_ends_with, (void *)(long)EPIPE);
	tl_schedule();
	go("S", fn_send, (void *)1L);
	tap_is(tl_chan_next(chan, &v), -EPIPE, "channel.h: and while main waits");
	tap_is(caught(), EPIPE, "channel.h: (caught)");
	tl_run();
	said();
	/* An old error that is still there does not turn the end into one. */
	go("N", fn_next, NULL);
	tl_chan_close(chan);
	tl_task_throw(tl_current(), mk_error(EPIPE, "old"));
	tl_shield(true);
	tap_is(tl_chan_next(chan, &v), 0, "channel.h: one that is held off by a shield is no reason");
	tl_shield(false);
	tap_is(caught(), EPIPE, "channel.h: (caught)");
	tl_run();
	tap_str(said(), "N0/0", "channel.h: the end for the other one too");
	/* The end was there first: a kill that comes then fails the next call. */
	tl_chan_open(chan);
	t = mk("N", fn_next, NULL);
	tl_schedule();
	tl_chan_close(chan);
	tl_task_kill_later(t);
	tl_run();
	tap_str(said(), "N0/125", "9: a kill does not hide an end that was reached before it");
	tl_task_unref(t);
	tl_chan_unref(chan);
	all_gone("next");
}

int main(void)
{
	tap_plan(66);
	test_try();
	test_until();
	test_array();
	test_sequence();
	test_next();
	tap_is(tl_sched_end(), 0, "sched.h: nothing is left");
	return tap_exit();
}
