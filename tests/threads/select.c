/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Select over channels of several threads: a case that another thread makes possible, two selects that meet, a select
 * that waited on local channels when one of them became shared, channels that occur twice, close, deadlines, kills; and
 * none of its waiters stays behind in any of its channels.
 */
#include "threads.h"

static struct tl_chan *a, *b, *local;
static _Atomic int result;
static _Atomic long value;

static int send_long(struct tl_chan *chan, long v)
{
	return tl_chan_send(chan, &v);
}

static void *sends_b(UNUSED void *arg)
{
	await(tl_chan_balance(b) == -1);
	atomic_store(&result, send_long(b, 5));
	return NULL;
}

static bool nobody_waits(void)
{
	return !tl_chan_balance(a) && !tl_chan_balance(b) && !tl_chan_balance(local);
}

static void make(void)
{
	a = new_chan(sizeof(long), 0);
	b = new_chan(sizeof(long), 0);
	local = new_chan(sizeof(long), 0);
}

static void drop(void)
{
	tl_chan_unref(a);
	tl_chan_unref(b);
	tl_chan_unref(local);
}

/* --- main selects, another thread sends --------------------------------------------------------------------------- */

static void *asks(UNUSED void *arg)
{
	/* Makes a shared channel of b before anybody waits on it. */
	tl_chan_balance(b);
	return NULL;
}

static void test_receive(bool shared_before)
{
	long v[3] = { 0 };
	pthread_t t;
	int r;

	make();
	if (shared_before)
		in_thread(asks, NULL);
	struct tl_select_case cases[] = {
		TL_CASE_RECV(a, &v[0]), TL_CASE_RECV(local, &v[1]), TL_CASE_RECV(b, &v[2]),
	};
	t = start(sends_b, NULL);
	r = tl_select(cases, 3);
	pthread_join(t, NULL);
	tap_ok(r == 2 && v[2] == 5 && cases[2].result == 0 && result == 0,
	       "select.h: a case of a channel that %s", shared_before ? "was shared" : "becomes shared meanwhile");
	tap_ok(nobody_waits(), "select.h: none of its waiters stays behind");
	drop();
}

static void *receives_b(UNUSED void *arg)
{
	long v = 0;

	await(tl_chan_balance(b) == 1);
	tl_chan_recv(b, &v);
	atomic_store(&value, v);
	return NULL;
}

static void test_send(void)
{
	long in = 0, out = 6;
	pthread_t t;
	int r;

	make();
	struct tl_select_case cases[] = { TL_CASE_RECV(a, &in), TL_CASE_SEND(b, &out), TL_CASE_RECV(local, &in) };
	t = start(receives_b, NULL);
	r = tl_select(cases, 3);
	pthread_join(t, NULL);
	tap_ok(r == 1 && value == 6 && nobody_waits(), "select.h: a send case");
	drop();
}

/* --- a ready case, try, deadline, close --------------------------------------------------------------------------- */

static void *sends_a(UNUSED void *arg)
{
	send_long(a, 3);
	return NULL;
}

static void *closes_b(UNUSED void *arg)
{
	await(tl_chan_balance(b) == -1);
	tl_chan_close(b);
	return NULL;
}

static int fn_select(UNUSED void *arg)
{
	long v;
	struct tl_select_case cases[] = { TL_CASE_RECV(a, &v), TL_CASE_RECV(b, &v) };

	atomic_store(&result, tl_select(cases, 2));
	return 0;
}

static void *kills(void *arg)
{
	await(tl_chan_balance(b) == -1);
	tl_task_kill(arg);
	return NULL;
}

static void test_others(void)
{
	struct tl_task *task;
	long v = 0;
	pthread_t t;

	make();
	struct tl_select_case cases[] = { TL_CASE_RECV(a, &v), TL_CASE_RECV(b, &v), TL_CASE_RECV(a, &v) };
	t = start(sends_a, NULL);
	await(tl_chan_balance(a) == 1);
	tap_is(tl_try_select(cases, 2), 0, "select.h: a sender of another thread waits already");
	pthread_join(t, NULL);
	tap_is(v, 3, "select.h: its value is there");
	tap_is(tl_try_select(cases, 3), -EAGAIN, "select.h: try finds nobody, the same channel twice");
	tap_is(tl_select_until(cases, 3, tl_now() + MS), -ETIMEDOUT, "select.h: a deadline");
	tap_ok(nobody_waits(), "select.h: nobody stays behind");
	t = start(closes_b, NULL);
	tap_is(tl_select(cases, 3), 1, "select.h: another thread closes a channel");
	pthread_join(t, NULL);
	tap_ok(cases[1].result == -EPIPE && nobody_waits(), "select.h: the case says so");
	tl_chan_open(b);
	task = spawn(fn_select, NULL);
	t = start(kills, task);
	run_all();
	pthread_join(t, NULL);
	tap_ok(result == -ECANCELED && nobody_waits(), "1.5: a select that another thread kills");
	tl_task_unref(task);
	drop();
}

/* --- a whole web of local selects becomes shared ------------------------------------------------------------------ */

#define WEB 5

static struct tl_chan *web[WEB];

static int fn_web(void *arg)
{
	long i = (long)arg, v = 0;
	struct tl_select_case cases[] = { TL_CASE_RECV(web[i], &v), TL_CASE_RECV(web[(i + 1) % WEB], &v) };
	int r = tl_select(cases, 2);

	atomic_fetch_add(&value, v);
	return r < 0 ? r : 0;
}

static void *feeds_web(UNUSED void *arg)
{
	long i, v;

	for (i = 0; i < WEB; i++) {
		v = 1 << i;
		tl_chan_send(web[i], &v);
	}
	return NULL;
}

static void test_web(void)
{
	bool empty = true;
	pthread_t t;
	long i;

	atomic_store(&value, 0);
	for (i = 0; i < WEB; i++)
		web[i] = new_chan(sizeof(long), 0);
	for (i = 0; i < WEB; i++)
		tl_spawn(NULL, fn_web, (void *)i);
	tl_schedule();
	t = start(feeds_web, NULL);
	run_all();
	pthread_join(t, NULL);
	for (i = 0; i < WEB; i++) {
		empty &= !tl_chan_balance(web[i]);
		tl_chan_unref(web[i]);
	}
	tap_is(value, (1 << WEB) - 1, "select.h: selects that hang together all become shared, and each gets one value");
	tap_ok(empty, "select.h: nobody stays behind");
}

/* --- two selects meet --------------------------------------------------------------------------------------------- */

#define MEETINGS 3000

static void *other_side(UNUSED void *arg)
{
	long got = 0, v, i;

	for (i = 0; i < MEETINGS; i++) {
		long out = i;
		struct tl_select_case cases[] = { TL_CASE_SEND(b, &out), TL_CASE_RECV(a, &v) };
		int r = tl_select(cases, 2);

		if (r < 0)
			break;
		got += r;
	}
	atomic_store(&value, i);
	return NULL;
}

static void test_meet(void)
{
	long v, i;
	pthread_t t;

	make();
	t = start(other_side, NULL);
	for (i = 0; i < MEETINGS; i++) {
		long out = i;
		/* In the other order: their locks are not taken in the order of the cases. */
		struct tl_select_case cases[] = { TL_CASE_RECV(b, &v), TL_CASE_SEND(a, &out) };

		if (tl_select(cases, 2) < 0)
			break;
	}
	pthread_join(t, NULL);
	tap_ok(i == MEETINGS && value == MEETINGS, "select.h: %d times two selects meet, and neither is missed", MEETINGS);
	tap_ok(nobody_waits(), "select.h: nobody stays behind");
	drop();
}

int main(void)
{
	tap_plan(18);
	test_receive(false);
	test_receive(true);
	test_send();
	test_others();
	test_web();
	test_meet();
	tap_is(tl_sched_end(), 0, "sched.h: nothing is left");
	return tap_exit();
}
