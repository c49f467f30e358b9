/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * run() with a budget of time (section 3.3): another thread looks at the clock, and a tick, or in the soft mode a
 * switch, notices. Nothing here depends on how fast anything is: what has to be interrupted goes on until it is.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>

#include <tasklet/tasklet.h>

#include "base/alloc.h"
#include "check.h"
#include "core/monitor.h"
#include "core/task.h"
#include "emulated.h"

#define MS UINT64_C(1000000)
#define HOUR (3600 * 1000 * MS)

static struct tl_chan *chan;
static bool stop;

static int run_ns(uint64_t ns, uint64_t flags, struct tl_task **victim)
{
	struct tl_run_options o = { .size = sizeof(o), .ns = ns, .flags = flags };

	return tl_run_with(&o, victim);
}

static void go_on(struct tl_task *t)
{
	tl_task_insert(t);
	tl_task_unref(t);
}

static int fn_spin(UNUSED void *arg)
{
	int r;

	do
		r = tl_tick();
	while (!r && !stop);
	return r;
}

static int fn_yield_on(UNUSED void *arg)
{
	while (!stop)
		if (tl_schedule())
			break;
	return 0;
}

/* Before anything else: the monitor is not there yet. */
static void test_no_monitor(void)
{
	struct tl_task *victim = tl_main();
	struct picture before;

	go("A", fn_nop, NULL);
	before = picture();
	tl__fault_arm(1, false);
	tap_is(run_ns(MS, 0, &victim), -EAGAIN, "watchdog.h: no thread to look at the clock");
	tl__fault_arm(0, false);
	tap_ok(same_picture(&before) && victim == tl_main() && !tl__tick_word && !tl__sched_self->slow,
	       "watchdog.h: nothing has changed");
	all_gone("no monitor");
}

static void test_hard(void)
{
	struct tl_task *victim;
	uint64_t start;
	int i;

	go("A", fn_spin, NULL);
	for (i = 0; i < 3; i++) {
		start = tl_now();
		tap_is(run_ns(2 * MS, 0, &victim), TL_RUN_INTERRUPTED, "3.3: whoever computes on and on is interrupted");
		tap_ok(tl_now() - start >= 2 * MS, "3.3: not before its time is up");
		tap_str(name_of(victim), "A", "3.3: it is the victim");
		go_on(victim);
	}
	tap_is(run_ns(2 * MS, TL_RUN_TOTAL, &victim), TL_RUN_INTERRUPTED, "3.3: the same with a total");
	go_on(victim);
	stop = true;
	tap_is(run_ns(HOUR, 0, &victim), TL_RUN_FINISHED, "3.3: time enough");
	tap_ok(!tl__sched_self->watch.alarm.armed, "watchdog.h: the alarm is off again");
	stop = false;
	go("A", fn_spin, NULL);
	tap_is(tl_run_with(&(struct tl_run_options){ .size = sizeof(struct tl_run_options), .ns = HOUR, .ticks = 10 },
			   &victim),
	       TL_RUN_INTERRUPTED, "watchdog.h: of both budgets the one that ends first");
	tap_is(run_ns(TL_FOREVER, 0, NULL), -EINVAL, "watchdog.h: for ever is a budget too");
	tl_task_kill(victim);
	tl_task_unref(victim);
	all_gone("hard");
}

/* --- slices ------------------------------------------------------------------------------------------------------- */

static uint64_t ends[4];

static int fn_look(UNUSED void *arg)
{
	uint64_t start = tl_now();

	ends[0] = tl__sched_self->watch.end_ns;
	while (tl_now() == start)
		;
	tl_schedule();
	ends[1] = tl__sched_self->watch.end_ns;
	tl_sleep(MS);		/* the others end meanwhile */
	ends[2] = tl__sched_self->watch.end_ns;
	tl_sleep(MS);
	ends[3] = tl__sched_self->watch.end_ns;
	return 0;
}

static void test_slices(void)
{
	struct tl_task *victim;

	go("A", fn_look, NULL);
	go("B", fn_yield, (void *)2L);
	run_ns(HOUR, 0, &victim);
	tap_ok(ends[0] < ends[1], "3.3: each switch starts the budget anew");
	tap_ok(ends[1] < ends[2] && ends[2] + MS <= ends[3], "3.3: so does a sleep of the whole thread");
	said();
	go("A", fn_look, NULL);
	go("B", fn_yield, (void *)2L);
	run_ns(HOUR, TL_RUN_TOTAL, &victim);
	tap_ok(ends[0] == ends[1] && ends[1] == ends[2] && ends[2] == ends[3], "3.3: not so the total");
	said();
	all_gone("slices");
}

/* The alarm of the first slice goes off in the second: nobody is meant, and it is armed anew. */
static int fn_early(UNUSED void *arg)
{
	while (!__atomic_load_n(&tl__tick_word, __ATOMIC_RELAXED))
		;
	tl_schedule();
	say("%d", tl_tick());
	say("%d", tl__sched_self->watch.alarmed);
	return fn_spin(NULL);
}

static void test_early(void)
{
	struct tl_task *victim;
	uint64_t start = tl_now();

	go("A", fn_early, NULL);
	go("B", fn_yield, (void *)1L);
	tap_is(run_ns(50 * MS, 0, &victim), TL_RUN_INTERRUPTED, "3.3: an alarm for a slice that is over is followed by another");
	tap_ok(tl_now() - start >= 100 * MS, "3.3: the second slice was a whole one");
	tap_str(said(), "B1 0 1", "3.3: the tick has armed it");
	stop = true;
	go_on(victim);
	tl_run();
	said();
	stop = false;
	all_gone("early");
}

/* --- held off, and no monitor when it has to be armed again ------------------------------------------------------ */

static int fn_atomic(UNUSED void *arg)
{
	bool was = tl_atomic(true);

	/* Until the interrupt is pending. */
	while (!(tl_current()->flags & TL__INTERRUPTED))
		if (tl_tick())
			return -EIO;
	say("in");
	tl_atomic(was);
	tl_tick();
	say("out");
	return 0;
}

static int fn_trapped(UNUSED void *arg)
{
	tl_switch_trap(1);
	while (!(tl_current()->flags & TL__INTERRUPTED))
		if (tl_tick())
			return -EIO;
	tl_switch_trap(-1);
	say("%d", tl__sched_self->watch.alarmed);
	return fn_spin(NULL);
}

static void test_held_off(void)
{
	struct tl_task *victim;

	go("A", fn_trapped, NULL);
	tap_is(run_ns(MS, 0, &victim), TL_RUN_INTERRUPTED, "3.5: time that is up while a trap is set must be up once more");
	tap_str(said(), "1", "3.5: for which the alarm is armed");
	stop = true;
	go_on(victim);
	tl_run();
	stop = false;

	go("A", fn_atomic, NULL);
	tap_is(run_ns(MS, 0, &victim), TL_RUN_INTERRUPTED, "4: time that is up while atomic");
	tap_str(said(), "in", "4: is taken at the tick after that");
	go_on(victim);
	tl_run();
	all_gone("held off");
}

/* Alone with an alarm that has gone off, when the monitor has ended and can't be started. */
static int threads_before;

static int fn_rearm(UNUSED void *arg)
{
	bool was = tl_atomic(true);

	while (!__atomic_load_n(&tl__tick_word, __ATOMIC_RELAXED) || threads() > threads_before)
		sched_yield();
	tl__fault_arm(1, true);
	say("%d", tl_tick());
	say("%d", !(tl_current()->flags & TL__INTERRUPTED) || !__atomic_load_n(&tl__tick_word, __ATOMIC_RELAXED));
	tl__fault_arm(0, false);
	say("%d", tl_tick());
	tl_atomic(was);
	say("%d", tl_tick());
	return 0;
}

static void test_rearm(void)
{
	struct tl_task *victim;

	go("A", fn_rearm, NULL);
	tap_is(run_ns(MS, 0, &victim), TL_RUN_INTERRUPTED, "watchdog.h: the monitor can't be started again for a while");
	tap_str(said(), "0 0 0", "watchdog.h: meanwhile each tick looks at the clock");
	go_on(victim);
	tl_run();
	said();
	all_gone("rearm");
}

/* --- soft --------------------------------------------------------------------------------------------------------- */

static int fn_wait_yield(UNUSED void *arg)
{
	uint64_t start = tl_now();

	while (tl_now() - start < 2 * MS)
		;
	tl_schedule();
	say("A");
	return 0;
}

static void test_soft(void)
{
	uint64_t start = tl_now();

	go("A", fn_yield_on, NULL);
	go("B", fn_yield_on, NULL);
	tap_is(run_ns(2 * MS, TL_RUN_SOFT | TL_RUN_TOTAL, NULL), TL_RUN_SOFT_INTERRUPTED,
	       "3.3: soft, total: time that is up is noticed at a switch, without ticks");
	tap_ok(tl_now() - start >= 2 * MS, "3.3: soft, total: not before");
	tap_is(tl_runcount(), 3, "3.3: soft: nobody is removed");
	stop = true;
	tl_run();
	stop = false;
	go("A", fn_wait_yield, NULL);
	go("B", fn_yield, (void *)0L);
	tap_is(run_ns(MS, TL_RUN_SOFT, NULL), TL_RUN_SOFT_INTERRUPTED, "3.3: soft: a slice that was too long");
	tap_str(said(), "", "3.3: soft: is noticed when it lets others run");
	tap_str(ring(), "M B A", "3.3: soft: the caller is before the next one");
	tl_run();
	said();
	all_gone("soft");
}

static int fn_sleep(UNUSED void *arg)
{
	say("%d", tl_sleep(HOUR));
	return 0;
}

static void test_idle(void)
{
	struct tl_task *victim, *t = mk("A", fn_sleep, NULL);
	uint64_t start = tl_now();

	tap_is(run_ns(2 * MS, TL_RUN_SOFT | TL_RUN_TOTAL, NULL), TL_RUN_SOFT_INTERRUPTED,
	       "watchdog.h: soft, total: also while nothing can run");
	tap_ok(tl_now() - start >= 2 * MS, "watchdog.h: not before");
	tap_is(run_ns(2 * MS, TL_RUN_TOTAL, &victim), TL_RUN_SOFT_INTERRUPTED, "watchdog.h: the same in the hard mode");
	tap_ok(!victim && tl_task_is_blocked(t), "watchdog.h: the sleeper sleeps on");
	tap_is(run_ns(2 * MS, TL_RUN_TOTAL | TL_RUN_THREADBLOCK, &victim), TL_RUN_SOFT_INTERRUPTED,
	       "watchdog.h: and with threadblock");
	tl_task_kill(t);
	tl_task_unref(t);
	said();
	tap_is(run_ns(2 * MS, TL_RUN_TOTAL | TL_RUN_THREADBLOCK, &victim), TL_RUN_SOFT_INTERRUPTED,
	       "watchdog.h: where nobody but the time can end it, it is no deadlock");
	all_gone("idle");
}

/* --- threads and forks -------------------------------------------------------------------------------------------- */

static void *thread_runs(void *arg)
{
	struct tl_task *t, *victim = NULL;
	int i;

	for (i = 0; i < 3; i++) {
		if (tl_spawn(&t, fn_spin, NULL))
			break;
		if (run_ns(MS, 0, &victim) != TL_RUN_INTERRUPTED || victim != t)
			break;
		tl_task_kill(t);
		tl_task_unref(t);
		tl_task_unref(victim);
	}
	*(int *)arg = i;
	return NULL;
}

static void test_threads(void)
{
	pthread_t thread[3];
	int i, done[3];

	for (i = 0; i < 3; i++)
		if (pthread_create(&thread[i], NULL, thread_runs, &done[i]))
			tap_bail("no thread");
	for (i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	tap_ok(done[0] == 3 && done[1] == 3 && done[2] == 3, "3.1: each thread has a budget of its own");
}

static int fn_fork(void *arg)
{
	*(pid_t *)arg = fork();
	return fn_spin(NULL);
}

static void test_fork(void)
{
	struct tl_task *victim;
	pid_t pid = -1;
	int status = -1, r;

	if (no_threads_in_child()) {
		tap_skip("%s can't start a thread in a forked child", no_threads_in_child());
		return;
	}
	go("A", fn_fork, &pid);
	r = run_ns(20 * MS, 0, &victim);
	if (!pid)
		_exit(r == TL_RUN_INTERRUPTED && victim ? 0 : 1);
	tl_task_kill(victim);
	tl_task_unref(victim);
	tap_ok(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0,
	       "3.3: a budget goes on in the child of a fork, which has no monitor at first");
}

int main(void)
{
	tap_plan(52);
	threads_before = threads_at_rest();
	if (tl_chan_new(&chan, sizeof(long), 0))
		tap_bail("no channel");
	test_no_monitor();
	test_hard();
	test_slices();
	test_early();
	test_held_off();
	test_rearm();
	test_soft();
	test_idle();
	test_threads();
	test_fork();
	tl_chan_unref(chan);
	all_gone("forks");
	tap_is(tl_sched_end(), 0, "sched.h: nothing is left");
	return tap_exit();
}
