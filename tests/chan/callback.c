/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The channel callback (sections 2 and 3.5): it sees each send and receive before it happens, in whatever form, and is
 * told whether it will block; channel calls inside it fail with -ELOOP and other switches with -EPERM; what it changes
 * otherwise is seen by the operation that it precedes.
 */
#include <tasklet/tasklet.h>

#include "../core/one-chan.h"

static struct tl_chan *other;

static const char *name_chan(const struct tl_chan *c)
{
	return c == chan ? "" : c == other ? "o" : "?";
}

static void note(struct tl_chan *c, struct tl_task *t, bool sending, bool will_block, void *arg)
{
	say("%s%s%c%s%s%s", (const char *)arg, name_of(t), sending ? '>' : '<', name_chan(c), will_block ? "!" : "",
	    t == tl_current() ? "" : "?");
}

static void other_callback(UNUSED struct tl_chan *c, UNUSED struct tl_task *t, UNUSED bool sending,
			   UNUSED bool will_block, UNUSED void *arg)
{
}

static int three(void *arg, void *value)
{
	int *n = arg;
	long v = *n;

	memcpy(value, &v, sizeof(v));
	return (*n)++ < 3;
}

static void test_sees(void)
{
	tl_channel_fn *old = other_callback;
	void *old_arg = NULL;
	struct tl_select_case c[2];
	static const long values[] = { 1, 2 };
	long v = 1;
	int n = 0;

	tl_chan_new(&chan, sizeof(long), 0);
	tl_chan_new(&other, sizeof(long), 4);
	tap_is(tl_set_channel_callback(other_callback, &chan, &old, &old_arg), 0, "3.5: a channel callback is set");
	tap_ok(!old && !old_arg, "3.5: there was none before");
	tap_is(tl_set_channel_callback(note, "", &old, &old_arg), 0, "3.5: another one");
	tap_ok(old == other_callback && old_arg == &chan, "3.5: the former one and its argument are returned");

	go("R", fn_recv, NULL);
	tl_schedule();
	tap_str(said(), "R<!", "2: it sees a receive that will block");
	tl_chan_send(chan, &v);
	tap_str(said(), "M> R0:1", "2: a send that finds a receiver");
	go("S", fn_send, (void *)2L);
	tl_schedule();
	tap_str(said(), "S>!", "2: a send that will block");
	tl_chan_recv(chan, &v);
	tl_run();
	tap_str(said(), "M< S0", "2: a receive that finds a sender");
	tl_chan_send(other, &v);
	tl_chan_try_send(other, &v);
	tl_chan_recv(other, &v);
	tl_chan_try_recv(other, &v);
	tap_str(said(), "M>o M>o M<o M<o", "2: those of a buffer, and those that try");
	tl_chan_send_array(other, values, 2);
	tl_chan_send_until(other, &v, 1);
	tl_chan_send_error(other, mk_error(EIO, "x"));
	tap_str(said(), "M>o M>o M>o M>o", "2: arrays, deadlines and errors");
	tl_chan_next(other, &v);
	tl_chan_recv_until(other, &v, 1);
	tl_chan_recv(other, &v);
	tl_chan_recv(other, &v);
	caught();
	tl_chan_send_sequence(other, three, &n);
	tap_str(said(), "M<o M<o M<o M<o M>o M>o M>o", "2: next and sequences");
	tap_is(tl_chan_recv_until(chan, &v, 1), -ETIMEDOUT, "2: a receive that will block, and time out");
	tap_str(said(), "M<!", "2: is seen once");

	/* Select: the case that happens; or, where none can happen now, each of them. */
	c[0] = (struct tl_select_case)TL_CASE_RECV(chan, &v);
	c[1] = (struct tl_select_case)TL_CASE_SEND(other, &v);
	tl_select(c, 2);
	tap_str(said(), "M>o", "2: of a select the case that happens");
	c[1] = (struct tl_select_case)TL_CASE_SEND(chan, &v);
	tl_select_until(c, 2, 1);
	tap_str(said(), "M<! M>!", "2: of one that blocks each case");
	tl_try_select(c, 2);
	said();

	/* What fails at once does not block. */
	tl_chan_try_recv(chan, &v);
	tl_chan_try_send(chan, &v);
	tl_chan_close(chan);
	tl_chan_recv(chan, &v);
	tl_chan_send(chan, &v);
	tl_chan_open(chan);
	tap_str(said(), "M< M> M< M>", "channel.h: one that fails at once is seen, and will not block");

	/* Not seen: one that can't even begin, and leaving a queue. */
	tl_task_kill(tl_current());
	tl_chan_recv(chan, &v);
	caught();
	tap_str(said(), "", "2: it does not see the calls of one that was killed");
	go("R", fn_recv, NULL);
	tl_schedule();
	said();
	tl_task_kill(tl_chan_queue(chan));
	tap_str(said(), "R-125:0", "2: nor how a kill takes one off a channel");
	go("R", fn_recv, NULL);
	tl_schedule();
	said();
	tl_chan_close(chan);
	tl_run();
	tap_str(said(), "R-32:0", "2: nor how a close does");
	tl_chan_open(chan);

	tap_is(tl_set_channel_callback(NULL, NULL, &old, NULL), 0, "3.5: it is taken away");
	tap_ok(old == note, "3.5: and was there");
	tl_chan_try_recv(other, &v);
	tap_str(said(), "", "3.5: it sees nothing more");
	tl_chan_unref(chan);
	tl_chan_unref(other);
	all_gone("sees");
}

/* --- inside ------------------------------------------------------------------------------------------------------- */

static struct tl_task *paused, *blocked, *runnable;

static void inside(struct tl_chan *c, struct tl_task *t, bool sending, bool will_block, UNUSED void *arg)
{
	struct tl_select_case k[1] = { TL_CASE_RECV(other, NULL) };
	struct tl_error *e = mk_error(EIO, "x");
	struct tl_task *n = NULL;
	long v;

	k[0].value = &v;
	say("%s%s:", will_block ? "!" : "", sending ? ">" : "<");
	say("%d%d%d%d%d%d", tl_chan_send(other, &v), tl_chan_recv(other, &v), tl_chan_try_send(other, &v),
	    tl_chan_try_recv(other, &v), tl_chan_send_until(other, &v, 1), tl_chan_recv_until(c, &v, 1));
	say("%d%d%d%d%d%d", tl_chan_next(other, &v), (int)tl_chan_send_array(other, &v, 1), tl_chan_send_error(other, e),
	    tl_select(k, 1), tl_select_until(k, 1, 1), tl_try_select(k, 1));
	say("%d%d%d%d%d%d%d%d%d%d", tl_schedule(), tl_schedule_remove(), tl_task_run(runnable), tl_task_run(paused),
	    tl_task_switch(paused), tl_task_kill(blocked), tl_task_kill(runnable), tl_run(), tl_sleep(1),
	    tl_spawn_run(&n, fn_nop, NULL));
	say("%d", t == tl_current());
	tl_error_free(e);
}

static int fn_recv_other(UNUSED void *arg)
{
	long v;

	say("%s%d", me(), tl_chan_recv(other, &v));
	return 0;
}

static int fn_pause(UNUSED void *arg)
{
	say("%s%d", me(), tl_schedule_remove());
	return 0;
}

static void test_inside(void)
{
	static const char all[] = "-40-40-40-40-40-40 -40-40-40-40-40-40 -1-1-1-1-1-1-1-1-1-1 1";
	char want[200];
	struct tl_select_case c[1];
	struct picture before;
	long v = 1;

	tl_chan_new(&chan, sizeof(long), 1);
	tl_chan_new(&other, sizeof(long), 0);
	blocked = mk("B", fn_recv_other, NULL);
	paused = mk("P", fn_pause, NULL);
	tl_schedule();
	runnable = mk("R", fn_yield, (void *)0L);
	before = picture();
	tl_set_channel_callback(inside, NULL, NULL, NULL);
	tap_is(tl_chan_send(chan, &v), 0, "3.5: a send with a callback that tries everything");
	snprintf(want, sizeof(want), ">: %s", all);
	tap_str(said(), want, "3.5: channel calls give -ELOOP, other switches -EPERM");
	tap_is(tl_chan_recv(chan, &v), 0, "3.5: a receive");
	snprintf(want, sizeof(want), "<: %s", all);
	tap_str(said(), want, "3.5: the same");
	c[0] = (struct tl_select_case)TL_CASE_SEND(chan, &v);
	tap_is(tl_select(c, 1), 0, "3.5: a select");
	snprintf(want, sizeof(want), ">: %s", all);
	tap_str(said(), want, "3.5: the same");
	tl_set_channel_callback(NULL, NULL, NULL, NULL);
	tap_ok(same_picture(&before) && tl_chan_balance(other) == -1 && tl_chan_queue(other) == blocked,
	       "3.5: nothing has changed by all that");
	tap_is(tl_schedule(), 0, "3.5: and afterwards switching works again");
	tap_str(said(), "R.", "3.5: (it does)");
	tl_task_kill(blocked);
	tl_task_kill(paused);
	tl_task_unref(blocked);
	tl_task_unref(paused);
	tl_task_unref(runnable);
	tl_chan_unref(chan);
	tl_chan_unref(other);
	all_gone("inside");
}

/* What does not switch: it can spawn, and even change who waits; the operation goes by what it finds then. */
static struct tl_task *victim;
static bool done;

static void kills_partner(UNUSED struct tl_chan *c, UNUSED struct tl_task *t, UNUSED bool sending,
			  bool will_block, UNUSED void *arg)
{
	if (!done)
		say("%d%d", tl_task_kill_later(victim), will_block);
	done = true;
}

static void closes(struct tl_chan *c, UNUSED struct tl_task *t, UNUSED bool sending, UNUSED bool will_block,
		   UNUSED void *arg)
{
	if (!done)
		tl_chan_close(c);
	done = true;
}

static void drops(struct tl_chan *c, UNUSED struct tl_task *t, UNUSED bool sending, UNUSED bool will_block,
		  UNUSED void *arg)
{
	if (!done)
		tl_chan_unref(c);
	done = true;
}

static void spawns(UNUSED struct tl_chan *c, UNUSED struct tl_task *t, UNUSED bool sending, UNUSED bool will_block,
		   UNUSED void *arg)
{
	go("N", fn_yield, (void *)0L);
}

/* The calls, each with a partner T that waits. */
static int with_partner(int i, long *v)
{
	struct tl_select_case c[2] = { TL_CASE_SEND(chan, v), TL_CASE_RECV(other, v) };
	struct tl_select_case k[2] = { TL_CASE_RECV(chan, v), TL_CASE_RECV(other, v) };

	switch (i) {
	case 0: return tl_chan_send(chan, v);
	case 1: return tl_chan_recv(chan, v);
	case 2: return tl_select(c, 2);
	case 3: return tl_select(k, 2);
	}
	return 1;
}

static void test_changes(void)
{
	long v = 3;
	int i, r;

	tl_chan_new(&chan, sizeof(long), 0);
	tl_chan_new(&other, sizeof(long), 0);
	for (i = 0; i < 4; i++) {
		victim = mk("T", i % 2 ? fn_send : fn_recv, (void *)5L);
		tl_schedule();
		done = false;
		tl_set_channel_callback(kills_partner, NULL, NULL, NULL);
		r = with_partner(i, &v);
		tl_set_channel_callback(NULL, NULL, NULL, NULL);
		tap_is(r, -EDEADLK,
		       "3.5: a callback that kills the partner: the operation finds nobody, and would block");
		tap_ok(!tl_chan_balance(chan) && !tl_chan_balance(other), "3.5: nobody waits");
		tl_run();
		tap_str(said(), i % 2 ? "00 T-125" : "00 T-125:0", "3.5: it was killed");
		tl_task_unref(victim);
	}
	for (i = 0; i < 4; i++) {
		/* Nobody waits: it would block, but for the close. */
		done = false;
		tl_set_channel_callback(closes, NULL, NULL, NULL);
		r = with_partner(i, &v);
		tl_set_channel_callback(NULL, NULL, NULL, NULL);
		tap_is(r, i < 2 ? -EPIPE : 0, "3.5: a callback that closes the channel: the operation sees that");
		tl_chan_open(chan);
	}
	for (i = 0; i < 4; i++) {
		done = false;
		tl_set_channel_callback(drops, NULL, NULL, NULL);
		r = with_partner(i, &v);
		tl_set_channel_callback(NULL, NULL, NULL, NULL);
		tap_is(r, -EPIPE, "3.5: a callback that gives up the last handle: the channel is gone, the call fails");
		tl_chan_new(&chan, sizeof(long), 0);
	}
	victim = mk("T", fn_recv, NULL);
	tl_schedule();
	tl_set_channel_callback(spawns, NULL, NULL, NULL);
	v = 4;
	tap_is(tl_chan_send(chan, &v), 0, "3.5: a callback may spawn");
	tl_set_channel_callback(NULL, NULL, NULL, NULL);
	tap_str(said(), "T0:4 N.", "3.5: the new one comes after the partner, at the end of the ring");
	tl_task_unref(victim);
	tl_chan_unref(chan);
	tl_chan_unref(other);
	all_gone("changes");
}

static struct tl_error *unsent;

static void kills(UNUSED struct tl_chan *c, struct tl_task *t, UNUSED bool sending, UNUSED bool will_block,
		  UNUSED void *arg)
{
	tl_task_kill(t);
}

static int fn_send_error(UNUSED void *arg)
{
	return tl_chan_send_error(chan, unsent);
}

/* The send does not return, and whoever has the stack next sends a value. */
static void test_unwinds(void)
{
	struct tl_task_attr attr = { .size = sizeof(attr), .flags = TL_UNWIND };
	long v = 0;
	int r;

	tl_chan_new(&chan, sizeof(long), 0);
	if (tl_error_new(&unsent, EIO, "not sent"))
		tap_bail("no error");
	tl_set_channel_callback(kills, NULL, NULL, NULL);
	r = tl_spawn_attr(NULL, &attr, fn_send_error, NULL);
	tl_run();
	tl_set_channel_callback(NULL, NULL, NULL, NULL);
	tl_error_free(unsent);
	tl_spawn(NULL, fn_send, (void *)8L);
	tl_schedule();
	tap_is(tl_chan_recv(chan, &v), 0, "3.5: killed by the callback, unwound out of sending an error (%d)", r);
	tap_is(v, 8, "2: what comes next from there is a value");
	tl_run();
	said();
	tl_chan_unref(chan);
	all_gone("unwinds");
}

int main(void)
{
	tap_plan(60);
	test_sees();
	test_inside();
	test_changes();
	test_unwinds();
	tap_is(tl_sched_end(), 0, "sched.h: nothing is left");
	return tap_exit();
}
