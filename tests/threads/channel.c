/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Channels between threads (sections 0, 2 and 3.6): a partner of another thread becomes runnable in its own thread, and
 * the caller goes on whatever the channel prefers; plain threads use them like tasklets do; errors, buffers, close,
 * time-outs and kills work as within a thread; the channel goes with its last handle, whoever has that.
 */
#include "threads.h"
#include "base/alloc.h"

static struct tl_chan *c, *back;
static pthread_t home;
static _Atomic int result;

static long recv_long(struct tl_chan *chan)
{
	long v = -1;
	int r = tl_chan_recv(chan, &v);

	return r ? r : v;
}

static int send_long(struct tl_chan *chan, long v)
{
	return tl_chan_send(chan, &v);
}

/* --- a plain thread and a tasklet --------------------------------------------------------------------------------- */

static void *plain_sends(UNUSED void *arg)
{
	long i;

	for (i = 1; i <= 3; i++)
		if (send_long(c, i))
			return NULL;
	atomic_store(&result, 1);
	return NULL;
}

static void *plain_receives(UNUSED void *arg)
{
	long i, sum = 0;

	for (i = 1; i <= 3; i++)
		sum = sum * 10 + recv_long(c);
	atomic_store(&result, (int)sum);
	return NULL;
}

static void test_plain(void)
{
	pthread_t t;
	bool ok;

	c = new_chan(sizeof(long), 0);
	t = start(plain_sends, NULL);
	ok = recv_long(c) == 1 && recv_long(c) == 2 && recv_long(c) == 3;
	pthread_join(t, NULL);
	tap_ok(ok && result == 1, "3.6: what a plain thread sends arrives in order");
	t = start(plain_receives, NULL);
	ok = !send_long(c, 1) && !send_long(c, 2) && !send_long(c, 3);
	pthread_join(t, NULL);
	tap_is(result, 123, "3.6: and the other way round");
	tap_ok(ok, "3.6: each send has ended with 0");
	tl_chan_unref(c);
}

/* --- where the partner runs --------------------------------------------------------------------------------------- */

static int fn_recv(UNUSED void *arg)
{
	long v = recv_long(c);

	atomic_store(&result, pthread_equal(pthread_self(), home) ? (int)v : -1);
	return 0;
}

static int fn_other(void *arg)
{
	*(bool *)arg = true;
	return 0;
}

static void *sends_one(void *arg)
{
	bool ran = false;
	int r;

	tl_spawn(NULL, fn_other, &ran);
	r = send_long(c, (long)arg);
	atomic_store(&step, r || ran ? 1000 : 2);
	tl_run();
	return NULL;
}

static void test_where(void)
{
	static const struct { int preference; bool all; const char *name; } s[] = {
		{ -1, false, "the receiver is preferred" }, { 0, false, "nobody is preferred" },
		{ +1, false, "the sender is preferred" }, { 0, true, "schedule_all" },
	};
	struct tl_task *t;
	pthread_t p;
	size_t i;

	home = pthread_self();
	for (i = 0; i < ARRAY_LEN(s); i++) {
		c = new_chan(sizeof(long), 0);
		tl_chan_set_preference(c, s[i].preference);
		tl_chan_set_schedule_all(c, s[i].all);
		atomic_store(&step, 0);
		atomic_store(&result, 0);
		t = spawn(fn_recv, NULL);
		tl_schedule();
		p = start(sends_one, (void *)7L);
		await_step(2);
		tap_ok(step == 2 && result == 0 && tl_task_is_blocked(t),
		       "2: %s: the sender goes on at once, the receiver waits for its own thread", s[i].name);
		run_all();
		tap_is(result, 7, "0: it runs there");
		pthread_join(p, NULL);
		tl_task_unref(t);
		tl_chan_unref(c);
	}
}

/* --- errors, buffers, close --------------------------------------------------------------------------------------- */

static int destroyed;

static void destroy(void *payload)
{
	destroyed += *(int *)payload;
}

static void *sends_error(UNUSED void *arg)
{
	static int one = 1;
	struct tl_error *e;

	if (tl_error_new(&e, EIO, "from %s", "afar"))
		tap_bail("no error");
	tl_error_set_payload(e, &one, destroy);
	tl_task_set_name(tl_current(), "afar");
	atomic_store(&result, tl_chan_send_error(c, e));
	return NULL;
}

static void test_error(void)
{
	struct tl_error *e;
	pthread_t t;
	long v = 5;

	c = new_chan(sizeof(long), 0);
	t = start(sends_error, NULL);
	tap_is(tl_chan_recv(c, &v), -EIO, "2: an error from another thread is received");
	pthread_join(t, NULL);
	e = tl_catch();
	tap_ok(e && !strcmp(tl_error_message(e), "from afar") && strstr(tl_error_origin(e), "(afar)"),
	       "error.h: with its message, and it says where it is from");
	tap_ok(v == 5 && !destroyed && result == 0, "channel.h: nothing was written, and the sender has given it away");
	tl_error_free(e);
	tap_is(destroyed, 1, "error.h: it is freed once");
	tl_chan_unref(c);
}

static void *fills(UNUSED void *arg)
{
	long i;

	for (i = 0; i < 3; i++)
		send_long(c, i);
	reach(1);
	atomic_store(&result, send_long(c, 3));
	atomic_store(&result, send_long(c, 4) + 100);
	return NULL;
}

static void test_buffer(void)
{
	pthread_t t;
	long v;

	atomic_store(&step, 0);
	c = new_chan(sizeof(long), 3);
	t = start(fills, NULL);
	await_step(1);
	await(tl_chan_balance(c) == 4);
	tap_is(recv_long(c), 0, "6.3: a buffer is filled by another thread, whose fourth value waits outside");
	await(tl_chan_balance(c) == 4);
	tap_is(result, 0, "6.3: the first place that was free went to it");
	tap_is(tl_chan_close(c), 0, "2: the channel is closed");
	pthread_join(t, NULL);
	tap_is(result, -EPIPE + 100, "channel.h: the sender that waits has its value back");
	for (v = 1; v <= 3; v++)
		if (recv_long(c) != v)
			break;
	tap_is(v, 4, "2: what is inside can be received");
	tap_is(recv_long(c), -EPIPE, "2: and then it is at its end");
	tap_ok(tl_chan_is_closed(c), "2: as it says");
	tl_chan_unref(c);
}

static void *receives(UNUSED void *arg)
{
	atomic_store(&result, (int)recv_long(c));
	return NULL;
}

static void *closes(UNUSED void *arg)
{
	await(tl_chan_balance(c) == -2);
	tl_chan_close(c);
	return NULL;
}

static int fn_recv_result(void *arg)
{
	*(long *)arg = recv_long(c);
	return 0;
}

static void test_close(void)
{
	long r[2] = { 0, 0 };
	pthread_t t;

	c = new_chan(sizeof(long), 0);
	tl_spawn(NULL, fn_recv_result, &r[0]);
	tl_spawn(NULL, fn_recv_result, &r[1]);
	t = start(closes, NULL);
	run_all();
	pthread_join(t, NULL);
	tap_ok(r[0] == -EPIPE && r[1] == -EPIPE, "DESIGN: a close by another thread wakes all who wait");
	tap_is(tl_chan_open(c), 0, "2: and it can be opened again");
	atomic_store(&result, 0);
	t = start(receives, NULL);
	await(tl_chan_balance(c) == -1);
	tl_chan_close(c);
	pthread_join(t, NULL);
	tap_is(result, -EPIPE, "DESIGN: a plain thread is woken as well");
	tl_chan_unref(c);
}

/* --- try, deadlines, kills ---------------------------------------------------------------------------------------- */

static void *tries(UNUSED void *arg)
{
	long v = 0;
	int r = tl_chan_try_recv(c, &v);

	atomic_store(&result, r == -EAGAIN && tl_chan_try_send(c, &v) == -EAGAIN &&
		     tl_chan_recv_until(c, &v, tl_now() + MS) == -ETIMEDOUT &&
		     tl_chan_send_until(c, &v, 0) == -ETIMEDOUT);
	return NULL;
}

static void *try_meets(UNUSED void *arg)
{
	long v = 9;

	await(tl_chan_balance(c) == -1);
	atomic_store(&result, tl_chan_try_send(c, &v));
	return NULL;
}

static void *kills(void *arg)
{
	await(tl_chan_balance(c) == -1);
	atomic_store(&result, tl_task_kill(arg));
	return NULL;
}

static void test_limits(void)
{
	long r = 0;
	pthread_t t;
	struct tl_task *task;

	c = new_chan(sizeof(long), 0);
	in_thread(tries, NULL);
	tap_is(result, 1, "channel.h: try and deadlines on another thread's channel");
	tap_is(tl_chan_balance(c), 0, "channel.h: leave nobody in it");
	t = start(try_meets, NULL);
	tap_is(recv_long(c), 9, "channel.h: a try that finds a receiver succeeds");
	pthread_join(t, NULL);
	tap_is(result, 0, "channel.h: and says so");
	task = spawn(fn_recv_result, &r);
	t = start(kills, task);
	run_all();
	pthread_join(t, NULL);
	tap_ok(r == -ECANCELED && result == 0 && tl_chan_balance(c) == 0,
	       "1.5: a receiver that another thread kills is off the channel");
	tl_task_unref(task);
	tl_chan_unref(c);
}

/* A value that was handed over before the kill is not lost: DESIGN, "the claim". */
static int fn_recv_twice(void *arg)
{
	long *r = arg;

	r[0] = recv_long(c);
	r[1] = recv_long(c);
	return 0;
}

static void *sends_then_kills(void *arg)
{
	await(tl_chan_balance(c) == -1);
	send_long(c, 11);
	tl_task_kill(arg);
	reach(1);
	return NULL;
}

static void test_claim(void)
{
	long r[2] = { 0, 0 };
	struct tl_task *task;
	pthread_t t;

	c = new_chan(sizeof(long), 0);
	atomic_store(&step, 0);
	task = spawn(fn_recv_twice, r);
	tl_schedule();
	t = start(sends_then_kills, task);
	await_step(1);
	/* Both messages are in the inbox before we look. */
	run_all();
	tap_ok(r[0] == 11 && r[1] == -ECANCELED, "1.5: a value that was delivered before the kill is not lost");
	pthread_join(t, NULL);
	tl_task_unref(task);
	tl_chan_unref(c);
}

/* --- handles ------------------------------------------------------------------------------------------------------ */

static void *drops_last(UNUSED void *arg)
{
	await(tl_chan_balance(c) == -1);
	tl_chan_unref(c);
	return NULL;
}

static void test_handles(void)
{
	pthread_t t;
	long v;

	c = new_chan(sizeof(long), 0);
	t = start(drops_last, NULL);
	tap_is(tl_chan_recv(c, &v), -EPIPE, "channel.h: the last handle, given up by another thread, ends a receive");
	pthread_join(t, NULL);
	c = new_chan(sizeof(long), 0);
	t = start(drops_last, NULL);
	tap_is(tl_chan_recv_until(c, &v, tl_now() + 3600000 * MS), -EPIPE, "channel.h: one with a deadline too");
	pthread_join(t, NULL);
}

static void *makes(UNUSED void *arg)
{
	long v = 1;

	c = new_chan(sizeof(long), 2);
	send_long(c, v);
	back = new_chan(sizeof(long), 0);
	return NULL;
}

static void test_outlives(void)
{
	in_thread(makes, NULL);
	tap_is(recv_long(c), 1, "3.6: a channel outlives the thread that made it, with what is inside");
	tap_ok(!send_long(c, 2) && recv_long(c) == 2, "3.6: and is used on");
	tl_chan_unref(c);
	tl_chan_unref(back);
	in_thread(makes, NULL);
	tl_chan_unref(c);
	tl_chan_unref(back);
	tap_ok(true, "3.6: or just given up");
}

/* --- every call on another thread's channel ----------------------------------------------------------------------- */

static int next_long(void *arg, void *value)
{
	long *n = arg;

	if (*n == 3)
		return 0;
	memcpy(value, n, sizeof(*n));
	++*n;
	return 1;
}

static void *uses_all(UNUSED void *arg)
{
	struct tl_error *e;
	long v = 0, n = 0, a[2] = { 8, 9 };
	bool ok;

	if (tl_error_new(&e, EIO, "e"))
		tap_bail("no error");
	ok = tl_chan_elem_size(c) == sizeof(long) && tl_chan_capacity(c) == 8 && !tl_chan_is_closing(c) &&
	     tl_chan_preference(c) == -1 && tl_chan_set_preference(c, 5) == -1 && tl_chan_preference(c) == 1 &&
	     !tl_chan_schedule_all(c) && !tl_chan_set_schedule_all(c, true) && tl_chan_schedule_all(c) &&
	     tl_chan_ref(c) == c && tl_chan_send_sequence(c, next_long, &n) == 3 && tl_chan_send_array(c, a, 2) == 2 &&
	     tl_chan_balance(c) == 5 && !tl_chan_queue(c) && tl_chan_next(c, &v) == 1 && v == 0 &&
	     !tl_chan_try_send_error(c, e);
	tl_chan_unref(c);
	atomic_store(&result, ok);
	return NULL;
}

static void test_all_calls(void)
{
	long v, sum = 0;

	c = new_chan(sizeof(long), 8);
	in_thread(uses_all, NULL);
	tap_is(result, 1, "channel.h: each call works on another thread's channel");
	while (!tl_chan_try_recv(c, &v))
		sum = sum * 10 + v;
	tap_is(sum, 1289, "channel.h: with the same effect");
	tl_error_free(tl_catch());
	tl_chan_unref(c);
}

/* --- waiters that were there before the second thread came -------------------------------------------------------- */

static int fn_send_local(void *arg)
{
	return send_long(c, (long)arg);
}

static void *receives_three(UNUSED void *arg)
{
	long a = recv_long(c), b = recv_long(c), d = recv_long(c);

	atomic_store(&result, (int)(a * 100 + b * 10 + d));
	return NULL;
}

static void test_handed_over(void)
{
	pthread_t t;

	c = new_chan(sizeof(long), 0);
	tl_spawn(NULL, fn_send_local, (void *)1L);
	tl_spawn(NULL, fn_send_local, (void *)2L);
	tl_spawn(NULL, fn_send_local, (void *)3L);
	tl_schedule();
	t = start(receives_three, NULL);
	run_all();
	pthread_join(t, NULL);
	tap_is(result, 123, "2: those who waited when the second thread came are served first come, first served");
	tl_chan_unref(c);
}

/* --- the last handle, where there is no memory for a scheduler -------------------------------------------------------- */

static void *plain_unrefs(UNUSED void *arg)
{
	tl__fault_arm(1, true);
	tl_chan_unref(c);
	atomic_store(&result, (int)tl__fault_count());
	tl__fault_arm(0, false);
	return NULL;
}

static int fn_waits(UNUSED void *arg)
{
	return (int)recv_long(c) == -EPIPE ? 0 : -EIO;
}

static void test_unref(void)
{
	struct tl_task *t;

	c = new_chan(sizeof(long), 0);
	t = spawn(fn_waits, NULL);
	tl_schedule();
	in_thread(plain_unrefs, NULL);
	tap_is(result, 0, "channel.h: a plain thread needs no memory to give the last handle up");
	run_all();
	tap_ok(!tl_task_is_alive(t) && !tl_catch(), "channel.h: who waits gets -EPIPE");
	tl_task_unref(t);
}

int main(void)
{
	tap_plan(42);
	test_plain();
	test_where();
	test_error();
	test_buffer();
	test_close();
	test_limits();
	test_claim();
	test_handles();
	test_outlives();
	test_all_calls();
	test_handed_over();
	test_unref();
	tap_is(tl_sched_end(), 0, "sched.h: nothing is left");
	return tap_exit();
}
