/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Callbacks where several threads use a channel (sections 2, 3.5): each thread's channel callback sees its own thread's
 * operations, before they happen, and nothing of the others'; channel calls inside it fail; the schedule callback and
 * the error handler are called in their own thread and for its tasklets alone.
 */
#include "threads.h"

#include "../core/check.h"

static struct tl_chan *chan, *other;
static _Atomic int got, foreign;
static pthread_t home;

static char theirs[256];	/* what the other thread's callback says */

static void note(struct tl_chan *c, struct tl_task *t, bool sending, bool will_block, void *arg)
{
	char word[32];

	snprintf(word, sizeof(word), "%s%c%ld%s ", c == chan ? "" : "o", sending ? '>' : '<', tl_task_id(t) ==
		 tl_task_id(tl_current()) ? 0L : 1L, will_block ? "!" : "");
	if (arg) {
		strcat(theirs, word);
		atomic_fetch_add(&foreign, pthread_equal(pthread_self(), home) != 0);
	} else {
		say("%s", word);
		atomic_fetch_add(&foreign, pthread_equal(pthread_self(), home) == 0);
	}
}

/* --- each its own ------------------------------------------------------------------------------------------------- */

static void *receives(UNUSED void *arg)
{
	long v = -1;
	int r;

	tl_set_channel_callback(note, theirs, NULL, NULL);
	r = tl_chan_recv(chan, &v);
	atomic_store(&got, r ? r : (int)v);
	v = 8;
	r = tl_chan_send(chan, &v);
	atomic_store(&got, r ? r : got);
	return NULL;
}

static long balance_inside;

/* A callback of a send to one who waits: it has not happened yet. */
static void looks(struct tl_chan *c, UNUSED struct tl_task *t, UNUSED bool sending, bool will_block, UNUSED void *arg)
{
	struct tl_select_case k[1] = { TL_CASE_RECV(other, NULL) };
	long v = 0;

	k[0].value = &v;
	say("%d", will_block);
	/* Asking is no operation. */
	balance_inside = tl_chan_balance(c);
	say("%d%d%d%d", tl_chan_send(c, &v), tl_chan_try_recv(other, &v), tl_select(k, 1), tl_chan_recv_until(c, &v, 1));
}

static void test_own(void)
{
	pthread_t t = start(receives, NULL);
	long v = 6;

	await(tl_chan_balance(chan) == -1);
	tl_set_channel_callback(looks, NULL, NULL, NULL);
	tap_is(tl_chan_send(chan, &v), 0, "3.5: a send to another thread's tasklet, with a callback that tries channels");
	tap_str(said(), "0 -40-40-40-40", "3.5: they are refused, as in one thread; the send will not block");
	tap_is(balance_inside, -1, "2: the callback comes before the send, though the partner is another thread's");
	tl_set_channel_callback(note, NULL, NULL, NULL);
	await(tl_chan_balance(chan) == 1);
	tap_str(said(), "", "3.5: what the other thread does this one's callback does not see");
	tap_is(tl_chan_recv(chan, &v), 0, "3.5: a receive from another thread's tasklet");
	pthread_join(t, NULL);
	tap_str(said(), "<0 ", "3.5: is seen once");
	tap_ok(got == 6 && v == 8, "2: both values have come");
	if (!tap_ok(!strcmp(theirs, "<0! >0! "), "3.5: the other thread's sees that thread's operations, and that they block"))
		tap_diag("it has seen \"%s\"", theirs);
	tap_is(foreign, 0, "3.5: each is called in its own thread");
	tl_set_channel_callback(NULL, NULL, NULL, NULL);
}

/* --- what comes from elsewhere is no operation ------------------------------------------------------------------- */

static struct tl_task *task;

static void *kills(UNUSED void *arg)
{
	tl_task_kill(task);
	return NULL;
}

static void *closes(UNUSED void *arg)
{
	tl_chan_close(chan);
	return NULL;
}

static int fn_recv(UNUSED void *arg)
{
	long v;

	say("R%d", tl_chan_recv(chan, &v));
	return 0;
}

static void test_ends(void)
{
	tl_set_channel_callback(note, NULL, NULL, NULL);
	task = mk("R", fn_recv, NULL);
	tl_schedule();
	tap_str(said(), "<0! ", "2: it sees a receive that blocks");
	in_thread(kills, NULL);
	tl_run();
	tap_str(said(), "R-125", "2: not its end by another thread's kill");
	tl_task_unref(task);
	task = mk("R", fn_recv, NULL);
	tl_schedule();
	said();
	in_thread(closes, NULL);
	tl_run();
	tap_str(said(), "R-32", "2: nor by another thread's close");
	tl_task_unref(task);
	tl_chan_open(chan);
	tl_set_channel_callback(NULL, NULL, NULL, NULL);
}

/* --- the schedule callback and the error handler ------------------------------------------------------------------- */

static void scheduled(struct tl_task *prev, struct tl_task *next, UNUSED void *arg)
{
	atomic_fetch_add(&foreign, pthread_equal(pthread_self(), home) == 0);
	say("%s-%s", name_of(prev), name_of(next));
}

static void *sends_and_switches(UNUSED void *arg)
{
	long v = 1;

	/* Switches of its own, which are nobody's business here. */
	tl_spawn(NULL, fn_nop, NULL);
	tl_schedule();
	await(tl_chan_balance(chan) == -2);
	tl_chan_send(chan, &v);
	tl_chan_send(chan, &v);
	return NULL;
}

static void test_schedule(void)
{
	pthread_t t;
	long v;

	atomic_store(&foreign, 0);
	task = mk("R", fn_recv, NULL);
	tl_schedule();
	tl_set_schedule_callback(scheduled, NULL, NULL, NULL);
	t = start(sends_and_switches, NULL);
	/* The thread sleeps; R, then main, are woken. */
	tl_chan_recv(chan, &v);
	tl_run();
	pthread_join(t, NULL);
	tl_set_schedule_callback(NULL, NULL, NULL, NULL);
	tap_str(said(), "M-R R0 R-M", "3.5: the callback sees the switches that another thread's sends bring about");
	tap_is(foreign, 0, "3.5: in its own thread only, and none of that one's");
	tl_task_unref(task);
}

static bool handled(struct tl_task *t, const struct tl_error *error, void *arg)
{
	atomic_fetch_add(&foreign, !pthread_equal(pthread_self(), *(pthread_t *)arg) || t != tl_current());
	atomic_fetch_add(&got, tl_error_code(error));
	return true;
}

static int fn_fail(UNUSED void *arg)
{
	return -EIO;
}

static void *fails(UNUSED void *arg)
{
	pthread_t self = pthread_self();

	tl_set_error_handler(handled, &self, NULL, NULL);
	tl_spawn(NULL, fn_fail, NULL);
	if (tl_run())
		atomic_fetch_add(&foreign, 1);
	return NULL;
}

static void test_handler(void)
{
	atomic_store(&got, 0);
	atomic_store(&foreign, 0);
	in_thread(fails, NULL);
	tap_ok(got == EIO && !foreign, "1.6: an error handler is its thread's, and called there");
	tl_spawn(NULL, fn_fail, NULL);
	tap_is(tl_run(), -EIO, "1.6: here there is none: the error comes to run()");
	tap_ok(caught() == EIO && got == EIO, "1.6: and not to the other thread's handler");
}

int main(void)
{
	tap_plan(18);
	home = pthread_self();
	chan = new_chan(sizeof(long), 0);
	other = new_chan(sizeof(long), 0);
	test_own();
	test_ends();
	test_schedule();
	test_handler();
	tl_chan_unref(chan);
	tl_chan_unref(other);
	tap_is(tl_sched_end(), 0, "sched.h: nothing is left");
	return tap_exit();
}
