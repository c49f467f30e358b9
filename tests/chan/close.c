/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Closing, opening and freeing channels (section 2 and channel.h; other than in Stackless, close wakes those that are
 * blocked): who is woken in which order and with what, what a closed channel still does, and that a channel without
 * handles can be freed while tasklets wait on it, or while one of them is on its way back from it.
 */
#include <tasklet/tasklet.h>

#include "../core/check.h"

static struct tl_chan *chan;

static void new_chan(void)
{
	if (tl_chan_new(&chan, sizeof(long), 0))
		tap_bail("no channel");
}

static int fn_recv(UNUSED void *arg)
{
	long v = 7;
	int r = tl_chan_recv(chan, &v);

	say("%s%d:%ld", me(), r, v);
	return 0;
}

static int fn_recv_until(UNUSED void *arg)
{
	long v;

	say("%s%d", me(), tl_chan_recv_until(chan, &v, tl_after(3600ull * 1000000000)));
	return 0;
}

static int fn_send(void *arg)
{
	say("%s%d", me(), tl_chan_send(chan, &arg));
	return 0;
}

static int fn_send_error(void *arg)
{
	struct tl_error *e = mk_counted(EIO, "unsent", arg);

	say("%s%d", me(), tl_chan_send_error(chan, e));
	say("%d", *(int *)arg);
	tl_error_free(e);
	return 0;
}

static int fn_say(UNUSED void *arg)
{
	say("%s", me());
	return 0;
}

static void test_close(void)
{
	long v = 1;
	int freed = 0;

	new_chan();
	tap_is(tl_chan_close(chan), 0, "2: close");
	tap_is(tl_chan_close(chan), 0, "2: it is idempotent");
	tap_ok(tl_chan_is_closing(chan) && tl_chan_is_closed(chan), "2: closing, and with nothing inside closed");
	tap_is(tl_chan_recv(chan, &v), -EPIPE, "2: a receive that would block");
	tap_is(tl_chan_send(chan, &v), -EPIPE, "2: a send");
	tap_is(tl_chan_try_recv(chan, &v), -EPIPE, "2: those that try say the same");
	tap_is(tl_chan_try_send(chan, &v), -EPIPE, "2: in both directions");
	tap_is(tl_chan_recv_until(chan, &v, 1), -EPIPE, "2: those with a deadline too");
	tap_is(tl_chan_send_until(chan, &v, TL_FOREVER - 1), -EPIPE, "2: in both directions");
	tap_ok(v == 1 && !stats().timers && !tl_chan_balance(chan), "2: nothing has changed");
	tap_is(tl_chan_open(chan), 0, "2: open");
	tap_is(tl_chan_open(chan), 0, "2: it is idempotent too");
	tap_ok(!tl_chan_is_closing(chan) && !tl_chan_is_closed(chan), "2: open");
	tap_is(tl_chan_try_recv(chan, &v), -EAGAIN, "2: it works again");

	go("A", fn_recv, NULL);
	go("B", fn_recv_until, NULL);
	go("C", fn_recv, NULL);
	tl_schedule();
	go("D", fn_say, NULL);
	tl_chan_close(chan);
	tap_str(ring(), "M D A B C",
		"channel.h: close wakes those that are blocked, first come first served, and goes on");
	tap_ok(!tl_chan_balance(chan) && !tl_chan_queue(chan) && !stats().timers, "channel.h: nobody waits any more");
	tl_chan_open(chan);
	tl_run();
	tap_str(said(), "D A-32:7 B-32 C-32:7", "channel.h: they get -EPIPE, though it was opened again meanwhile");

	go("A", fn_send, (void *)1L);
	go("E", fn_send_error, &freed);
	tl_schedule();
	tl_chan_close(chan);
	tl_run();
	tap_str(said(), "A-32 E-32 0", "channel.h: senders as well, and errors stay theirs");
	tap_is(freed, 1, "channel.h: (and were freed by them)");
	tl_chan_unref(chan);
	all_gone("close");
}

/* --- a close while a value is on its way -------------------------------------------------------------------------- */

static void test_close_delivered(void)
{
	long v = 3;

	new_chan();
	tl_chan_set_preference(chan, 0);
	go("A", fn_recv, NULL);
	go("B", fn_recv, NULL);
	tl_schedule();
	tl_chan_send(chan, &v);
	tl_chan_close(chan);
	tl_run();
	tap_str(said(), "A0:3 B-32:7", "9: who had its value already keeps it");
	tl_chan_unref(chan);
	all_gone("delivered");
}

/* --- the last handle ---------------------------------------------------------------------------------------------- */

static int fn_recv_twice(UNUSED void *arg)
{
	struct tl_chan *mine = chan;
	long v = 0;
	int r = tl_chan_recv(mine, &v);

	say("%s%d", me(), r);
	return 0;
}

static void test_unref(void)
{
	struct tl_task *a;

	new_chan();
	a = mk("A", fn_recv_twice, NULL);
	go("B", fn_recv_until, NULL);
	tl_schedule();
	tl_chan_unref(chan);
	tap_str(ring(), "M A B", "2: with the last handle all that wait are woken");
	tap_ok(!tl_task_channel(a) && !tl_task_direction(a) && !stats().timers, "2: on no channel any more");
	tl_run();
	tap_str(said(), "A-32 B-32", "2: with -EPIPE");
	tl_task_unref(a);

	new_chan();
	go("A", fn_send, (void *)1L);
	go("B", fn_send, (void *)1L);
	tl_schedule();
	tl_chan_unref(chan);
	tl_run();
	tap_str(said(), "A-32 B-32", "2: senders as well");
	all_gone("unref");
}

/* The partner drops the last handle while the caller's call has not come back. */
static int fn_recv_unref(UNUSED void *arg)
{
	long v = 0;
	int r = tl_chan_recv(chan, &v);

	say("%s%d:%ld", me(), r, v);
	tl_chan_unref(chan);
	return 0;
}

static int fn_send_unref(UNUSED void *arg)
{
	say("%s%d", me(), tl_chan_send(chan, &(long){ 4 }));
	tl_chan_unref(chan);
	return 0;
}

static int endless(UNUSED void *arg, void *value)
{
	long v = 7;

	memcpy(value, &v, sizeof(v));
	return 1;
}

static void test_unref_by_partner(void)
{
	static const long two[] = { 1, 2 };
	struct tl_select_case c[1];
	long v = 9;

	new_chan();
	go("A", fn_recv_unref, NULL);
	tl_schedule();
	tap_is(tl_chan_send(chan, &v), 0, "2: a channel may go while the switch that it caused is under way (send)");
	new_chan();
	tl_chan_set_preference(chan, 1);
	go("A", fn_send_unref, NULL);
	tl_schedule();
	tap_is(tl_chan_recv(chan, &v), 0, "2: (receive)");
	tap_is(v, 4, "2: with the value");
	new_chan();
	go("A", fn_recv_unref, NULL);
	tl_schedule();
	c[0] = (struct tl_select_case)TL_CASE_SEND(chan, &v);
	tap_ok(tl_select(c, 1) == 0 && c[0].result == 0, "2: (select)");
	new_chan();
	go("A", fn_recv_unref, NULL);
	tl_schedule();
	tap_is(tl_chan_send_error(chan, mk_error(EIO, "last")), 0, "2: (an error)");
	new_chan();
	go("A", fn_recv_unref, NULL);
	tl_schedule();
	tap_is(tl_chan_send_array(chan, two, 2), -EPIPE, "2: (an array, of which the second finds it closed)");
	new_chan();
	go("A", fn_recv_unref, NULL);
	tl_schedule();
	tap_is(tl_chan_send_sequence(chan, endless, NULL), -EPIPE, "2: (a sequence)");
	tap_str(said(), "A0:9 A0 A0:4 A-5:0 A0:1 A0:7", "2: each was served");
	all_gone("unref by the partner");
}

/* An error inside whose destructor reaches for whatever is left. */
static void destroy_busy(void *payload)
{
	int *n = payload;

	++*n;
	go("D", fn_say, NULL);
	say("d%d", tl_schedule());
}

static void test_unref_destructor(void)
{
	struct tl_error *e;
	int i, n = 0;

	if (tl_chan_new(&chan, 24, 3))
		tap_bail("no channel");
	for (i = 0; i < 3; i++) {
		e = mk_error(EIO, "inside");
		tl_error_set_payload(e, &n, destroy_busy);
		tl_chan_send_error(chan, e);
	}
	tl_chan_unref(chan);
	tap_is(n, 3, "0: errors inside a channel that goes are destroyed, by destructors that spawn and switch");
	tap_str(said(), "D d0 D d0 D d0", "0: which they can");
	all_gone("destructors");
}

/* The same while a sequence is being sent through the channel that goes. */
static int fn_sequence(UNUSED void *arg)
{
	say("%ld", tl_chan_send_sequence(chan, endless, NULL));
	return 0;
}

static void test_unref_destructor_held(void)
{
	struct tl_error *e;
	int i, n = 0;

	if (tl_chan_new(&chan, sizeof(long), 2))
		tap_bail("no channel");
	for (i = 0; i < 2; i++) {
		e = mk_error(EIO, "inside");
		tl_error_set_payload(e, &n, destroy_busy);
		tl_chan_send_error(chan, e);
	}
	go("S", fn_sequence, NULL);
	tl_schedule();
	tap_is(tl_chan_balance(chan), 3, "2: a sequence waits for room");
	tl_chan_unref(chan);
	tl_run();
	tap_is(n, 2, "0: the channel goes, and the errors inside");
	tap_str(said(), "-32 D d0 D d0", "0: while the sequence comes to its end");
	all_gone("destructors and a sequence");
}

/* A tasklet that ends gives its handles up: many channels, many waiters. */
static int fn_owner(void *arg)
{
	struct tl_chan **c = arg;
	long v;
	int r = tl_chan_recv(c[0], &v);

	say("%d", r);
	tl_chan_unref(c[1]);
	return 0;
}

static void test_chain(void)
{
	static struct tl_chan *c[6];
	int i;

	for (i = 0; i < 6; i++)
		if (tl_chan_new(&c[i], sizeof(long), 0))
			tap_bail("no channel");
	for (i = 0; i < 5; i++)
		go("O", fn_owner, &c[i]);
	tl_schedule();
	tl_chan_unref(c[0]);
	tl_run();
	tap_str(said(), "-32 -32 -32 -32 -32", "2: a chain of channels and waiters comes down from one end");
	all_gone("chain");
}

int main(void)
{
	tap_plan(46);
	test_close();
	test_close_delivered();
	test_unref();
	test_unref_by_partner();
	test_unref_destructor();
	test_unref_destructor_held();
	test_chain();
	tap_is(tl_sched_end(), 0, "sched.h: nothing is left");
	return tap_exit();
}
