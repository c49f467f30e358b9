/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * tasklet_memory_model(7) between threads: what one thread has written, plainly, before each call that orders memory
 * is read, plainly, behind the call that is ordered after it. Under ThreadSanitizer an edge that is missing is a report;
 * without it these are exchanges that must come out right.
 */
#include "threads.h"

#include "../core/check.h"

#if CHECK_TSAN || CHECK_ASAN || defined(__aarch64__)
#define TURNS 200
#else
#define TURNS 5000
#endif

static struct tl_chan *chan, *back;
static struct tl_task *_Atomic task;
static long data[8], seen;	/* no atomic operation orders these */

/* --- channels ------------------------------------------------------------------------------------------------------- */

static long there[TURNS], back_there[TURNS];	/* of each turn */

/* What it gets is a pointer to what was written; writes back before it receives again. */
static void *reads(UNUSED void *arg)
{
	long *p, i;

	for (i = 0; i < TURNS; i++) {
		back_there[i] = i;
		if (tl_chan_recv(chan, &p))
			return NULL;
		seen += *p;
		*p = -1;
	}
	return NULL;
}

static void test_rendezvous(void)
{
	long *p, i, wrong = 0;
	pthread_t t;

	chan = new_chan(sizeof(p), 0);
	seen = 0;
	t = start(reads, NULL);
	for (i = 0; i < TURNS; i++) {
		there[i] = i;
		p = &there[i];
		if (tl_chan_send(chan, &p))
			wrong++;
		/* What was before the receive, that is what followed the one before, too. */
		wrong += back_there[i] != i || (i && there[i - 1] != -1);
	}
	pthread_join(t, NULL);
	tap_ok(!wrong && seen == (long)TURNS * (TURNS - 1) / 2, "2: a send before the receive, a receive before the send's end");
	tl_chan_unref(chan);
}

/* A channel of two places as a pool of two buffers: room is given back by the receive. */
static void *drains(UNUSED void *arg)
{
	long place, i;

	for (i = 0; i < TURNS; i++) {
		if (tl_chan_recv(chan, &place))
			return NULL;
		seen += data[place];
		data[place] = 0;
		if (tl_chan_send(back, &place))
			return NULL;
	}
	return NULL;
}

static void test_buffered(void)
{
	long place, i, wrong = 0;
	pthread_t t;

	chan = new_chan(sizeof(long), 2);
	back = new_chan(sizeof(long), 2);
	for (place = 2; place < 4; place++)
		tl_chan_send(back, &place);
	seen = 0;
	t = start(drains, NULL);
	for (i = 0; i < TURNS; i++) {
		wrong += tl_chan_recv(back, &place) != 0;
		wrong += i > 2 && data[place];
		data[place] = i;
		wrong += tl_chan_send(chan, &place) != 0;
	}
	pthread_join(t, NULL);
	tap_ok(!wrong && seen == (long)TURNS * (TURNS - 1) / 2, "2: through a buffer, both ways");
	tl_chan_unref(back);
	tl_chan_unref(chan);
}

/* The room itself: the third send returns when the first receive has made room, and sees what was before that. */
static void *makes_room(UNUSED void *arg)
{
	long v;

	await(tl_chan_balance(chan) == 3);
	data[4] = 44;
	tl_chan_recv(chan, &v);
	return NULL;
}

static void *closes(UNUSED void *arg)
{
	await(tl_chan_balance(back) == -1);
	data[5] = 55;
	tl_chan_close(back);
	return NULL;
}

static void *gives_up(UNUSED void *arg)
{
	await(tl_chan_balance(back) == -1);
	data[6] = 66;
	tl_chan_unref(back);
	return NULL;
}

static void test_room_and_close(void)
{
	pthread_t t;
	long v = 0;

	chan = new_chan(sizeof(long), 2);
	back = new_chan(sizeof(long), 0);
	t = start(makes_room, NULL);
	tl_chan_send(chan, &v);
	tl_chan_send(chan, &v);
	tap_ok(!tl_chan_send(chan, &v) && data[4] == 44, "2: a receive before the end of the send that it makes room for");
	pthread_join(t, NULL);
	t = start(closes, NULL);
	tap_ok(tl_chan_recv(back, &v) == -EPIPE && data[5] == 55, "2: a close before an -EPIPE");
	pthread_join(t, NULL);
	tl_chan_open(back);
	t = start(gives_up, NULL);
	tap_ok(tl_chan_recv(back, &v) == -EPIPE && data[6] == 66, "2: the last handle before an -EPIPE");
	pthread_join(t, NULL);
	tl_chan_unref(chan);
}

static void *selects(UNUSED void *arg)
{
	long v;
	struct tl_select_case c[] = { TL_CASE_RECV(chan, &v), TL_CASE_RECV(back, &v) };
	int i;

	for (i = 0; i < TURNS; i++) {
		if (tl_select(c, 2) < 0)
			return NULL;
		seen += data[v];
	}
	return NULL;
}

static void test_select(void)
{
	pthread_t t;
	long v, i;

	chan = new_chan(sizeof(long), 0);
	back = new_chan(sizeof(long), 0);
	seen = 0;
	t = start(selects, NULL);
	for (i = 0; i < TURNS; i++) {
		v = i & 1;
		data[v] = i;
		/* When it is back, the select before has done with the other one. */
		tl_chan_send(v ? back : chan, &v);
	}
	pthread_join(t, NULL);
	tap_is(seen, (long)TURNS * (TURNS - 1) / 2, "2: by the case of a select");
	tl_chan_unref(chan);
	tl_chan_unref(back);
}

/* --- requests ------------------------------------------------------------------------------------------------------- */

static int fn_pause(UNUSED void *arg)
{
	long i;

	for (i = 0; i < TURNS; i++) {
		int r = tl_schedule_remove();

		seen += r ? 0 : data[0];
		reach(1);
		if (r)
			return 0;
	}
	return 0;
}

static int fn_new(UNUSED void *arg)
{
	seen = data[0];
	return 0;
}

static int fn_killed(UNUSED void *arg)
{
	long v;

	if (tl_chan_recv(chan, &v) == -ECANCELED)
		seen = data[0];
	return 0;
}

static void defer_see(UNUSED void *arg)
{
	seen = data[0];
}

static int fn_ticks(UNUSED void *arg)
{
	tl_defer(defer_see, NULL);
	reach(1);
	while (!tl_tick())
		;
	return -ECANCELED;
}

static int fn_dropped(UNUSED void *arg)
{
	tl_defer(defer_see, NULL);
	tl_schedule_remove();
	return 0;
}

static void *home(void *arg)
{
	tl_task_fn *fn = (tl_task_fn *)arg;
	long v;

	if (fn == fn_new) {
		struct tl_task *t;

		if (tl_task_new(&t, NULL) || tl_task_bind_arg(t, fn, NULL))
			tap_bail("no tasklet");
		atomic_store(&task, t);
	} else {
		atomic_store(&task, spawn(fn, NULL));
	}
	tl_chan_recv(back, &v);		/* the others run meanwhile */
	return NULL;
}

static pthread_t begin(tl_task_fn *fn)
{
	atomic_store(&task, NULL);
	atomic_store(&step, 0);
	seen = -1;
	return start(home, (void *)fn);
}

static void finish(pthread_t t)
{
	long v = 0;

	tl_chan_send(back, &v);
	pthread_join(t, NULL);
}

static void test_requests(void)
{
	pthread_t t;
	long i;

	chan = new_chan(sizeof(long), 0);
	back = new_chan(sizeof(long), 0);

	t = begin(fn_pause);
	await(task && tl_task_is_paused(task));
	seen = 0;
	for (i = 0; i < TURNS; i++) {
		data[0] = i;
		atomic_store(&step, 0);
		tl_task_insert(task);
		await_step(1);
		await(i == TURNS - 1 || tl_task_is_paused(task));
	}
	finish(t);
	tl_task_unref(task);
	tap_is(seen, (long)TURNS * (TURNS - 1) / 2, "1.3: an insert before the tasklet goes on");

	t = begin(fn_new);
	await(task);
	data[0] = 17;
	tl_task_run(task);
	await(!tl_task_is_alive(task));
	finish(t);
	tl_task_unref(task);
	tap_is(seen, 17, "1.4: a run before it begins");

	t = begin(fn_killed);
	await(task && tl_task_is_blocked(task));
	data[0] = 18;
	tl_task_kill(task);
	await(!tl_task_is_alive(task));
	finish(t);
	tl_task_unref(task);
	tap_is(seen, 18, "1.5: a kill before the end of its call");

	t = begin(fn_ticks);
	await_step(1);
	data[0] = 19;
	tl_task_kill(task);
	await(!tl_task_is_alive(task));
	finish(t);
	tl_task_unref(task);
	tap_is(seen, 19, "1.5: a kill before the tick that tells");

	t = begin(fn_dropped);
	await(task && tl_task_is_paused(task));
	data[0] = 20;
	tl_task_unref(task);
	finish(t);
	tap_is(seen, 20, "task.h: the last handle before the kill that it means");
	tl_chan_unref(chan);
	tl_chan_unref(back);
}

/* --- errors --------------------------------------------------------------------------------------------------------- */

static long freed_with;

static void destroy(void *payload)
{
	freed_with = *(long *)payload;
}

static void *catches(UNUSED void *arg)
{
	struct tl_error *e;
	long v;

	tl_chan_recv(chan, &v);
	e = tl_catch();
	seen = *(long *)tl_error_payload(e);
	tl_error_free(e);
	return NULL;
}

static void test_error(void)
{
	struct tl_error *e = mk_error(EIO, "x");
	pthread_t t;

	chan = new_chan(sizeof(long), 0);
	tl_error_set_payload(e, &data[7], destroy);
	t = start(catches, NULL);
	await(tl_chan_balance(chan) == -1);
	data[7] = 77;
	tl_chan_send_error(chan, e);
	pthread_join(t, NULL);
	tap_ok(seen == 77 && freed_with == 77, "error.h: all that was done with an error before whoever is handed it");
	tl_chan_unref(chan);
}

int main(void)
{
	tap_plan(13);
	test_rendezvous();
	test_buffered();
	test_room_and_close();
	test_select();
	test_requests();
	test_error();
	tap_is(tl_sched_end(), 0, "sched.h: nothing is left");
	return tap_exit();
}
