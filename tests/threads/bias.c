/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A channel belongs to one thread until a second one comes (lib/core/local.h), seen from inside: it stays local while
 * only its thread uses it, becomes shared with the first call of another, for ever, and with it those that a select
 * hangs on; a thread whose channels mostly become shared makes them so from the beginning; and where the kernel has no
 * membarrier all are. No wake-up call is made for a thread that is awake.
 */
#include <sys/wait.h>

#include "chan/channel.h"
#include "os/membarrier.h"

#include "threads.h"

static struct tl_chan *c;

static bool is_shared(struct tl_chan *chan)
{
	return atomic_load(&chan->owner) == TL__SHARED;
}

static int fn_echo(void *arg)
{
	long v;

	while (!tl_chan_recv(arg, &v))
		;
	return 0;
}

static void *looks(UNUSED void *arg)
{
	tl_chan_balance(c);
	return NULL;
}

static void *refs(UNUSED void *arg)
{
	tl_chan_unref(tl_chan_ref(c));
	return NULL;
}

static int fn_select(void *arg)
{
	struct tl_chan **chan = arg;
	long v;
	struct tl_select_case cases[] = { TL_CASE_RECV(chan[0], &v), TL_CASE_RECV(chan[1], &v) };

	tl_select(cases, 2);
	return 0;
}

static void test_one(void)
{
	struct tl_chan *pair[2];
	long i;

	if (!tl__membarrier_works()) {
		tap_skip("no membarrier: every channel is shared");
		tap_skip("no membarrier: every channel is shared");
		tap_skip("no membarrier: every channel is shared");
		tap_skip("no membarrier: every channel is shared");
		return;
	}
	c = new_chan(sizeof(long), 0);
	tl_spawn(NULL, fn_echo, c);
	for (i = 0; i < 100; i++)
		tl_chan_send(c, &i);
	in_thread(refs, NULL);
	tap_ok(!is_shared(c), "1: while one thread uses a channel it stays local; handles elsewhere are no use of it");
	in_thread(looks, NULL);
	tap_ok(is_shared(c), "1: the first call of another thread makes it a shared one");
	tl_chan_send(c, &i);
	tap_ok(is_shared(c), "1: for good");
	tl_chan_unref(c);

	pair[0] = c = new_chan(sizeof(long), 0);
	pair[1] = new_chan(sizeof(long), 0);
	tl_spawn(NULL, fn_select, pair);
	tl_schedule();
	in_thread(looks, NULL);
	tap_ok(is_shared(pair[0]) && is_shared(pair[1]), "1: and the other channels of a select that waits on it");
	tl_chan_unref(pair[0]);
	tl_chan_unref(pair[1]);
	run_all();
}

static void test_many(void)
{
	int i;

	for (i = 0; i < 100; i++) {
		c = new_chan(sizeof(long), 0);
		if (is_shared(c))
			break;
		in_thread(looks, NULL);
		tl_chan_unref(c);
	}
	tap_ok(i < 100, "1: a thread whose channels mostly become shared makes them so at once (after %d)", i);
	if (i < 100)
		tl_chan_unref(c);
}

/* As on a kernel without membarrier: in a process that has not asked yet. */
static void test_refused(void)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		long v = 1;
		bool ok;

		tl__membarrier_test_refused = true;
		c = new_chan(sizeof(long), 1);
		ok = is_shared(c) && !tl_chan_send(c, &v) && !tl_chan_recv(c, &v);
		tl_chan_unref(c);
		_exit(ok ? 0 : 1);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		tap_bail("fork");
	tap_is(status, 0, "1: without membarrier they are all shared, and work");
}

/* --- wake-up calls ------------------------------------------------------------------------------------------------ */

static void *sends(UNUSED void *arg)
{
	long v = 1;

	tl_chan_send(c, &v);
	tl_chan_send(c, &v);
	reach(1);
	return NULL;
}

static void test_no_call(void)
{
	struct tl_sched *s;
	pthread_t t;
	long v;

	atomic_store(&step, 0);
	c = new_chan(sizeof(long), 2);
	tl_spawn(NULL, fn_echo, c);
	tl_schedule();
	s = tl__sched();
	atomic_store(&s->inbox.waker_cpu, -7);	/* whoever makes a call leaves its processor here */
	t = start(sends, NULL);
	await_step(1);		/* we are awake all the time */
	tap_is(atomic_load(&s->inbox.waker_cpu), -7, "1: no wake-up call for a thread that is awake");
	pthread_join(t, NULL);
	tl_run();
	v = tl_chan_balance(c);
	tl_chan_close(c);
	run_all();
	tap_is(v, -1, "1: it finds what came when it looks");
	tl_chan_unref(c);
}

int main(void)
{
	tap_plan(9);
	test_refused();		/* before the question is asked */
	test_one();
	test_many();
	test_no_call();
	tap_is(tl_sched_end(), 0, "sched.h: nothing is left");
	return tap_exit();
}
