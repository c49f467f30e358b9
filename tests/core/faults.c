/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * No memory, at each point where memory can be missing: a scenario runs again and again, and each time another
 * allocation or mapping fails (base/alloc.h), alone or with all that come after it. Each call then either succeeds or
 * returns -ENOMEM, having changed nothing, and succeeds when it is made again. Under AddressSanitizer and valgrind this
 * also proves that nothing leaks on the way.
 */
#include <pthread.h>

#include <tasklet/time.h>
#include <tasklet/tasklet.h>

#include "base/alloc.h"
#include "check.h"

/* One scenario: steps that each allocate. */
static unsigned long nth;
static bool sticky;

static int refusals, calls;	/* in one pass */
static long all_refusals, all_calls;

/* What must be as before when a call was refused. Without a scheduler, nothing must be there. */
static struct picture before;

static void picture_of_this(struct picture *p)
{
	tl__fault_arm(0, false);
	*p = picture();
}

/*
 * call(expression): it is made with the fault armed; if it fails it must have changed nothing; then it is made again
 * without. The faults that are left go on counting in the next one.
 */
static unsigned long passed;

static bool refused(int r)
{
	unsigned long count = tl__fault_count();

	tl__fault_arm(0, false);
	passed += count;
	calls++;
	if (r == -ENOMEM) {
		refusals++;
		if (!same_picture(&before))
			tap_bail("fault %lu%s: call %d returned -ENOMEM and has changed something", nth,
				 sticky ? " and all after it" : "", calls);
		return true;
	}
	if (r)
		tap_bail("fault %lu%s: call %d returned %d", nth, sticky ? " and all after it" : "", calls, r);
	return false;
}

static void arm(void)
{
	picture_of_this(&before);
	/* nth counts over all calls of the scenario. */
	if (nth > passed)
		tl__fault_arm(nth - passed, sticky);
	else if (sticky && nth)
		tl__fault_arm(1, true);
	else
		tl__fault_arm((unsigned long)-1, false);	/* only count */
}

#define call(expression)								\
	do {										\
		arm();									\
		if (refused(expression)) {						\
			int again__ = (expression);					\
			if (again__)							\
				tap_bail("fault %lu: call %d made again returned %d", nth, calls, again__); \
		}									\
	} while (0)

static struct tl_chan *chan, *buffered;

static void defer_nop(UNUSED void *arg)
{
}

static int fn_inside(UNUSED void *arg)
{
	char big[1000];
	struct tl_error *e;
	long v;

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	call(tl_defer(defer_nop, big));
	call(tl_defer(defer_nop, NULL));
	if (tl_undefer(defer_nop, NULL))
		tap_bail("no handler");
	call(tl_error_new(&e, EIO, "%s", big));
	if (strcmp(tl_error_message(e), big))
		tap_bail("another message");
	tl_error_free(e);
	call(tl_task_set_name(tl_current(), big));
	call(tl_chan_recv_until(chan, &v, 1) == -ETIMEDOUT ? 0 : -ENOMEM);
	call(tl_sleep(1));
	return 0;
}

static int fn_sleep(UNUSED void *arg)
{
	tl_sleep(3600ull * 1000000000);
	return 0;
}

static int next_value(void *arg, void *value)
{
	int *left = arg;

	memset(value, 7, 4096);
	return (*left)-- > 0;
}

static int send_sequence(struct tl_chan *c)
{
	int left = 2;
	long r = tl_chan_send_sequence(c, next_value, &left);

	return r == 2 ? 0 : (int)r;
}

/*
 * Returns with all freed again; passes some twenty points. While a call is armed no other tasklet makes one, for the
 * points are counted from one call to the next.
 */
static void scenario(void)
{
	struct tl_task_attr attr = { .size = sizeof(attr), .name = "a name that is copied", .stack_size = 1 << 17 };
	struct tl_task *t[5] = { NULL }, *sleeper[16];
	struct tl_chan *big;
	struct tl_stats s;
	char page[4096];
	long v = 1;
	size_t i;

	call(tl_chan_new(&chan, sizeof(long), 0));
	call(tl_spawn(&t[0], fn_inside, NULL));
	if (tl_run())
		tap_bail("run() failed");
	call(tl_spawn_attr(&t[1], &attr, fn_nop, NULL));
	if (strcmp(tl_task_name(t[1]), attr.name))
		tap_bail("fault %lu: the name is %s", nth, tl_task_name(t[1]));
	attr.stack_size = 1 << 22;
	call(tl_spawn_attr(&t[2], &attr, fn_nop, NULL));
	call(tl_task_new(&t[3], NULL));
	call(tl_task_set_name(t[3], "three"));
	call(tl_task_set_name(t[3], "trois"));
	if (strcmp(tl_task_name(t[3]), "trois"))
		tap_bail("the name is %s", tl_task_name(t[3]));
	call(tl_spawn_run(&t[4], fn_nop, NULL));
	call(tl_chan_new(&buffered, sizeof(long), 100));
	call(tl_chan_send(buffered, &v));
	call(tl_chan_new(&big, 4096, 4));
	call(send_sequence(big));
	tl_chan_try_recv(big, page);
	/* As many deadlines as there is room for: the next one needs more. */
	for (i = 0; i < ARRAY_LEN(sleeper); i++)
		if (tl_spawn(&sleeper[i], fn_sleep, NULL))
			tap_bail("no sleeper");
	tl_schedule();
	call(tl_chan_recv_until(chan, &v, 1) == -ETIMEDOUT ? 0 : -ENOMEM);
	call(tl_sleep(1));
	for (i = 0; i < ARRAY_LEN(sleeper); i++) {
		tl_task_kill(sleeper[i]);
		tl_task_unref(sleeper[i]);
	}
	for (i = 0; i < ARRAY_LEN(t); i++) {
		tl_task_kill(t[i]);
		tl_task_unref(t[i]);
	}
	said();
	tl_chan_unref(big);
	tl_chan_unref(chan);
	tl_chan_unref(buffered);
	tl_trim();
	s = stats();
	if (s.alive != 1 || s.timers || s.stacks || s.stacks_unguarded || s.stack_bytes)
		tap_bail("fault %lu: something is left", nth);
}

/* --- a thread of its own for each pass, so that the scheduler is made too ----------------------------------------- */

static void *thread_scenario(UNUSED void *arg)
{
	int r;

	/* The first call makes the scheduler: where that fails there is none to take a picture of. */
	tl__fault_arm(nth ? nth : (unsigned long)-1, sticky && nth);
	passed = 0;
	r = tl_schedule();
	passed = tl__fault_count();
	tl__fault_arm(0, false);
	calls = 1;
	refusals = r == -ENOMEM;
	if (r && r != -ENOMEM)
		tap_bail("fault %lu: the first call returned %d", nth, r);
	if (r == -ENOMEM && tl_schedule())
		tap_bail("fault %lu: the first call failed twice", nth);
	scenario();
	tl__fault_arm(0, false);
	r = tl_sched_end();
	if (r)
		tap_bail("fault %lu: tl_sched_end: %d", nth, r);
	return NULL;
}

static unsigned long pass(unsigned long n, bool all_after)
{
	pthread_t t;

	nth = n;
	sticky = all_after;
	if (pthread_create(&t, NULL, thread_scenario, NULL))
		tap_bail("no thread");
	pthread_join(t, NULL);
	all_refusals += refusals;
	all_calls += calls;
	return passed;
}

/* A call that has failed is made again without a fault, so later points move: go on until a pass meets none. */
static long walk(bool all_after)
{
	unsigned long n = 0, points;

	do {
		n++;
		points = pass(n, all_after);
		if (n > 10000)
			tap_bail("no end of faults");
	} while (points >= n);
	return (long)n - 1;
}

/* --- each entry as a thread's very first call --------------------------------------------------------------------- */

static int first_call(int i)
{
	struct tl_stats s = { .size = sizeof(s) };
	struct tl_chan *c = NULL;
	struct tl_task *t = NULL;
	long v = 0;
	struct tl_select_case k[1] = { TL_CASE_RECV(NULL, &v) };
	int r;

	switch (i) {
	case 0: return tl_spawn(NULL, fn_nop, NULL);
	case 1: return tl_spawn_attr(NULL, NULL, fn_nop, NULL);
	case 2: return tl_spawn_run(NULL, fn_nop, NULL);
	case 3:
		r = tl_task_new(&t, NULL);
		tl_task_unref(t);
		return r;
	case 4:
		r = tl_chan_new(&c, 8, 2);
		tl_chan_unref(c);
		return r;
	case 5: return tl_schedule();
	case 6: return tl_run();
	case 7: return tl_sleep(1);
	case 8: return tl_stats(&s);
	case 9: return tl_switch_trap(0);
	case 10: return tl_set_schedule_callback(NULL, NULL, NULL, NULL);
	case 11: return tl_set_channel_callback(NULL, NULL, NULL, NULL);
	case 12: return tl_set_error_handler(NULL, NULL, NULL, NULL);
	case 13: return tl_runcount() == 1 ? 0 : tl_runcount();
	case 14: return tl_current() ? 0 : -ENOMEM;
	case 15: return tl_main() ? 0 : -ENOMEM;
	case 16: return tl_try_select(k, 1) == -EAGAIN ? 0 : -ENOMEM;
	case 17: return tl_schedule_remove();
	}
	return 1;
}

#define FIRST_CALLS 18

static int which, first_result[2];

static void *thread_first(UNUSED void *arg)
{
	tl__fault_arm(1, true);
	first_result[0] = first_call(which);
	tl__fault_arm(0, false);
	first_result[1] = first_call(which);
	return NULL;
}

static void test_first(void)
{
	bool refused_all = true, again_all = true;
	pthread_t t;

	for (which = 0; which < FIRST_CALLS; which++) {
		if (pthread_create(&t, NULL, thread_first, NULL))
			tap_bail("no thread");
		pthread_join(t, NULL);
		if (first_result[0] != -ENOMEM || first_result[1])
			tap_diag("first call %d gave %d, then %d", which, first_result[0], first_result[1]);
		refused_all &= first_result[0] == -ENOMEM;
		again_all &= !first_result[1];
	}
	tap_ok(refused_all,
	       "3.1: each of %d calls, being a thread's first, returns -ENOMEM if there is no memory", FIRST_CALLS);
	tap_ok(again_all, "3.1: and works when there is");
}

/* --- what must not need memory ------------------------------------------------------------------------------------ */

static int fn_wait(UNUSED void *arg)
{
	long v;

	say("%d", tl_chan_recv(chan, &v));
	return 0;
}

static int fn_fail(UNUSED void *arg)
{
	return -EIO;
}

/* Ending things, killing, blocking without a deadline and selecting go on without any memory. */
static void test_without(void)
{
	struct tl_task *a, *b, *c;
	long v = 3;
	struct tl_select_case k[2];
	int r;

	if (tl_chan_new(&chan, sizeof(long), 0) || tl_chan_new(&buffered, sizeof(long), 1))
		tap_bail("no channels");
	a = mk("A", fn_wait, NULL);
	b = mk("B", fn_wait, NULL);
	c = mk("C", fn_wait, NULL);
	tl__fault_arm(1, true);
	tl_schedule();
	tl_chan_send(chan, &v);
	tl_task_kill(b);
	k[0] = (struct tl_select_case)TL_CASE_SEND(chan, &v);
	k[1] = (struct tl_select_case)TL_CASE_SEND(buffered, &v);
	tl_select(k, 2);
	tl_select(k, 2);
	tl_chan_close(chan);
	r = tl_run();
	tap_is((long long)tl__fault_count(), 0, "9: blocking, sending, selecting, killing and closing need no memory");
	tl__fault_arm(0, false);
	tap_ok(!r && stats().alive == 1, "9: and work without");
	said();
	tl_task_unref(a);
	tl_task_unref(b);
	tl_task_unref(c);
	tl_chan_unref(chan);
	tl_chan_unref(buffered);

	/* An error that there is no memory for is not passed off as success. */
	a = mk("A", fn_fail, NULL);
	tl__fault_arm(1, true);
	r = tl_run();
	tl__fault_arm(0, false);
	tap_is(r, -ENOMEM, "1.6: an uncaught error comes to run() even where there is no memory for it");
	tap_is(caught(), ENOMEM, "1.6: as an error that says so");
	tl_task_unref(a);
	all_gone("without memory");
}

int main(void)
{
	long alone, with_all;

	tap_plan(13);
	test_first();
	alone = pass(0, false);
	tap_ok(alone > 15, "without a fault the scenario passes %ld points", alone);
	tap_is(refusals, 0, "and no call is refused");
	alone = walk(false);
	tap_ok(alone > 15,
	       "with the nth point failing, n = 1 to %ld, each call succeeds or is refused and works again", alone);
	with_all = walk(true);
	tap_ok(with_all > 15, "with the nth and all that come after it failing, n = 1 to %ld, the same", with_all);
	tap_ok(all_refusals > alone && all_calls > all_refusals,
	       "%ld of %ld calls were refused", all_refusals, all_calls);
	test_without();
	tap_is(tl_sched_end(), 0, "sched.h: nothing is left");
	return tap_exit();
}
