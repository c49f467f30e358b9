/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Traps where several threads are (sections 2, 3.5): a switch trap forbids nothing that goes to another thread's tasklets,
 * for that does not switch; a block trap forbids what would block on a shared channel, is looked at before closing is, and
 * leaves everything as it was; both hold for their thread or tasklet alone.
 */
#include "threads.h"

#include "../core/check.h"

static struct tl_chan *chan, *closed;
static struct tl_task *task;
static _Atomic int got;

static void *receives(UNUSED void *arg)
{
	long v = -1;
	int r = tl_chan_recv(chan, &v);

	atomic_store(&got, r ? r : (int)v);
	return NULL;
}

static void *sends(UNUSED void *arg)
{
	long v = 7;

	atomic_store(&got, tl_chan_send(chan, &v));
	return NULL;
}

/* Another thread waits on the channel. */
static pthread_t partner(void *(*fn)(void *), long balance)
{
	pthread_t t = start(fn, NULL);

	await(tl_chan_balance(chan) == balance);
	return t;
}

enum form { PLAIN, UNTIL, SELECT, FORMS };

static int use(bool send, enum form form, long *v)
{
	struct tl_select_case c[] = { TL_CASE_RECV(chan, v) };
	int r;

	if (send)
		c[0].op = TL_SELECT_SEND;
	switch (form) {
	case PLAIN:
		return send ? tl_chan_send(chan, v) : tl_chan_recv(chan, v);
	case UNTIL:
		return send ? tl_chan_send_until(chan, v, tl_now() + 3600000 * MS) :
			      tl_chan_recv_until(chan, v, tl_now() + 3600000 * MS);
	default:
		r = tl_select(c, 1);
		return r ? r : c[0].result;
	}
}

/* --- a switch trap -------------------------------------------------------------------------------------------------- */

static int fn_recv(UNUSED void *arg)
{
	long v = -1;
	int r = tl_chan_recv(chan, &v);

	say("%s%d:%ld", name_of(tl_current()), r, v);
	return 0;
}

static void test_partner(void)
{
	static const int preference[] = { -1, 0, 1 };
	int i, form, wrong = 0;

	for (i = 0; i < 8; i++)
		for (form = PLAIN; form < FORMS; form++) {
			bool send = i & 1;
			long v = 3;
			pthread_t t;

			tl_chan_set_preference(chan, i < 6 ? preference[i / 2] : 0);
			tl_chan_set_schedule_all(chan, i >= 6);
			t = partner(send ? receives : sends, send ? -1 : 1);
			tl_switch_trap(1);
			wrong += use(send, (enum form)form, &v) != 0 || v != (send ? 3 : 7);
			tl_switch_trap(-1);
			pthread_join(t, NULL);
			wrong += got != (send ? 3 : 0);
		}
	tap_is(wrong, 0, "3.5: under a switch trap an exchange with another thread's tasklet works, whatever the settings");
	tl_chan_set_preference(chan, -1);
	tl_chan_set_schedule_all(chan, false);
}

/* Two wait: one of another thread and one of ours. */
static void test_order(void)
{
	struct picture before;
	pthread_t t;
	long v = 4;

	t = partner(receives, -1);
	go("L", fn_recv, NULL);
	tl_schedule();
	before = picture();
	tl_switch_trap(1);
	tap_is(tl_chan_send(chan, &v), 0, "3.5: the first that waits is another thread's: no switch");
	tap_ok(same_picture(&before) && tl_chan_balance(chan) == -1, "2: the caller goes on, whatever the preference");
	tap_is(tl_chan_send(chan, &v), -EPERM, "3.5: then it is one of ours, and the preference would switch");
	tap_ok(same_picture(&before) && tl_chan_balance(chan) == -1, "3.5: nothing has changed");
	tl_chan_set_preference(chan, 1);
	tap_is(tl_chan_send(chan, &v), 0, "2: with the other preference it would not");
	tl_chan_set_preference(chan, -1);
	tl_switch_trap(-1);
	pthread_join(t, NULL);
	tap_is(got, 4, "2: the other thread has its value");
	tl_run();
	tap_str(said(), "L0:4", "2: and ours");
}

static void *asks(UNUSED void *arg)
{
	struct tl_error *e = mk_error(EIO, "x");

	got = tl_switch_trap(1) != 0;
	/* Killed itself, too: what goes to others is no call that might block. */
	tl_task_kill(tl_current());
	got += tl_task_insert(task) || tl_task_run(task) || tl_task_throw_later(task, e) || tl_task_kill(task);
	got += caught() != ECANCELED;
	tl_switch_trap(-1);
	return NULL;
}

static int fn_pause(UNUSED void *arg)
{
	int r = tl_schedule_remove();

	say("%s%d", name_of(tl_current()), r);
	return 0;
}

static void test_requests(void)
{
	task = mk("P", fn_pause, NULL);
	tl_schedule();
	in_thread(asks, NULL);
	tap_is(got, 0, "3.5: nor insert, run, throw and kill of another thread's, not even of a caller that was killed");
	tl_run();
	tap_ok(!tl_task_is_alive(task) && !strncmp(said(), "P-", 2), "1.5: it was killed");
	tl_task_unref(task);
}

/* The level is one thread's. */
static void *schedules(UNUSED void *arg)
{
	task = tl_current();
	tl_spawn(NULL, fn_nop, NULL);
	got = tl_schedule() | (tl_runcount() != 1) | tl_switch_trap(0);
	return NULL;
}

static void test_own(void)
{
	tl_switch_trap(1);
	tl_task_set_block_trap(tl_current(), true);
	in_thread(schedules, NULL);
	tl_task_set_block_trap(tl_current(), false);
	tl_switch_trap(-1);
	tap_is(got, 0, "3.5: a trap is its thread's alone");
}

/* --- a block trap --------------------------------------------------------------------------------------------------- */

static void *touches(UNUSED void *arg)
{
	return (void *)(tl_chan_balance(chan) + tl_chan_balance(closed));
}

static void test_block(void)
{
	struct tl_select_case c[2] = { TL_CASE_RECV(chan, NULL), TL_CASE_SEND(closed, NULL) };
	struct picture before;
	int form, wrong = 0;
	pthread_t t;
	long v = 5;

	in_thread(touches, NULL);	/* both channels are shared ones now */
	before = picture();
	tl_task_set_block_trap(tl_current(), true);
	for (form = PLAIN; form < FORMS; form++)
		wrong += use(true, (enum form)form, &v) != -EPERM || use(false, (enum form)form, &v) != -EPERM;
	tap_is(wrong, 0, "2: with a block trap each call that would block on a shared channel returns -EPERM");
	tap_ok(same_picture(&before) && !tl_chan_balance(chan), "3.5: nothing has changed");
	tap_is(tl_chan_try_recv(chan, &v), -EAGAIN, "2: a try never blocks");

	tl_chan_send(closed, &v);	/* it has room for one */
	tl_chan_close(closed);
	tap_is(tl_chan_send(closed, &v), -EPERM, "2: the trap is looked at before closing is");
	tap_is(tl_chan_try_send(closed, &v), -EPIPE, "2: a try of a closed one");
	tap_is(tl_chan_recv(closed, &v), 0, "2: a receive that does not block works, trap and close or not");
	tap_is(tl_chan_recv(closed, &v), -EPERM, "2: the next one would block: the trap first");
	tl_chan_open(closed);
	c[0].value = c[1].value = &v;
	tap_is(tl_select(c, 2), 1, "2: so does a select that finds room");
	tl_chan_try_recv(closed, &v);

	t = partner(receives, -1);
	tap_is(tl_chan_send(chan, &v), 0, "2: a send to another thread's tasklet that waits does not block");
	pthread_join(t, NULL);
	tap_is(got, 5, "2: its value is there");
	tl_task_set_block_trap(tl_current(), false);
	tl_chan_close(closed);
	tap_is(tl_chan_send(closed, &v), -EPIPE, "2: without the trap it is the close");
}

int main(void)
{
	tap_plan(23);
	chan = new_chan(sizeof(long), 0);
	closed = new_chan(sizeof(long), 1);
	test_partner();
	test_order();
	test_requests();
	test_own();
	test_block();
	tl_chan_unref(chan);
	tl_chan_unref(closed);
	tap_is(tl_sched_end(), 0, "sched.h: nothing is left");
	return tap_exit();
}
