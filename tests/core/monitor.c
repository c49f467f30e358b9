/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The monitor: alarms go off once their time has come and not after they were disarmed; its thread is known by its
 * number, takes no signals, ends when it has nothing to do, and is there again in the child of a fork.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <tasklet/tasklet.h>

#include "base/alloc.h"
#include "check.h"
#include "core/monitor.h"
#include "emulated.h"

#define MS UINT64_C(1000000)
#define LIMIT (30000 * MS)

struct count {
	struct tl__alarm alarm;
	_Atomic int n, tid, order;
	_Atomic bool signals_blocked, hold, inside;
	uint64_t again;		/* that often at once */
	bool disarm;
};

static _Atomic int last_order;

static uint64_t go_off(struct tl__alarm *alarm)
{
	struct count *c = tl__container_of(alarm, struct count, alarm);
	sigset_t set;
	int sig;
	bool all = true;

	c->inside = true;
	c->tid = (int)syscall(SYS_gettid);
	c->order = ++last_order;
	pthread_sigmask(SIG_SETMASK, NULL, &set);
	for (sig = 1; sig < 32; sig++)
		if (sig != SIGKILL && sig != SIGSTOP && !sigismember(&set, sig))
			all = false;
	c->signals_blocked = all;
	while (c->hold)
		sched_yield();
	c->n++;
	c->inside = false;
	if (c->disarm)
		tl__monitor_disarm(alarm);
	return c->again && c->again-- ? tl_now() : TL_FOREVER;
}

#define COUNT { .alarm = { .go_off = go_off } }

/* Whether it comes to that in a time that is never too short. */
static bool reaches(_Atomic int *n, int want)
{
	uint64_t end = tl_after(LIMIT);

	while (*n < want && tl_now() < end)
		sched_yield();
	return *n == want;
}

static int threads_before;	/* without the monitor */

static void test_start(void)
{
	static struct count c = COUNT;

	tl__fault_arm(1, false);
	tap_is(tl__monitor_arm(&c.alarm, tl_now()), -EAGAIN, "no thread can be started: it is told");
	tl__fault_arm(0, false);
	tap_ok(!c.alarm.armed, "and the alarm is not armed");
	tl__monitor_disarm(&c.alarm);
	tap_ok(!tl__monitor_owns_tid((int)syscall(SYS_gettid)), "our own thread is not the monitor's");
}

static void test_alarms(void)
{
	static struct count a = COUNT, b = COUNT, d = COUNT, e = COUNT;
	uint64_t start = tl_now();

	/* So far off that the second one is armed by then. */
	tap_is(tl__monitor_arm(&a.alarm, start + 300 * MS), 0, "armed");
	tl__monitor_arm(&d.alarm, start + 3600 * 1000 * MS);
	tl__monitor_arm(&b.alarm, start + 5 * MS);
	tap_ok(reaches(&b.n, 1) && tl_now() >= start + 5 * MS, "an earlier one that comes later goes off");
	tap_ok(reaches(&a.n, 1) && tl_now() >= start + 300 * MS, "so does the other");
	tap_ok(b.order < a.order, "in the order of their times");
	tap_ok(tl__monitor_owns_tid(a.tid) && a.tid == b.tid, "on the monitor's thread");
	tap_ok(a.signals_blocked, "which takes no signals");
	tl__monitor_arm(&d.alarm, tl_now());
	tap_ok(reaches(&d.n, 1), "one that is armed may be moved");
	tl__monitor_arm(&a.alarm, tl_after(2 * MS));
	tl__monitor_disarm(&a.alarm);
	tl__monitor_arm(&b.alarm, tl_after(2 * MS));
	tl__monitor_arm(&b.alarm, TL_FOREVER);
	tl__monitor_arm(&d.alarm, tl_after(5 * MS));
	tap_ok(reaches(&d.n, 2) && a.n == 1 && b.n == 1, "one that was disarmed does not go off");
	e.again = 3;
	tl__monitor_arm(&e.alarm, tl_now());
	tap_ok(reaches(&e.n, 4), "it goes off again when it says so");
	tl__monitor_disarm(&e.alarm);	/* it is done */
	e.again = 3;
	e.disarm = true;
	tl__monitor_arm(&e.alarm, tl_now());
	tl__monitor_arm(&d.alarm, tl_after(MS));
	tap_ok(reaches(&d.n, 3) && e.n == 5 && !e.alarm.armed, "but not if it has disarmed itself");
}

static void *let_go(void *arg)
{
	struct count *c = arg;

	while (!c->inside)
		sched_yield();
	c->hold = false;
	return NULL;
}

static void test_disarm_waits(void)
{
	static struct count c = COUNT;
	pthread_t thread;
	int i, bad = 0;

	for (i = 0; i < 20; i++) {
		c.hold = true;
		tl__monitor_arm(&c.alarm, tl_now());
		while (!c.inside)
			sched_yield();
		if (pthread_create(&thread, NULL, let_go, &c))
			tap_bail("no thread");
		tl__monitor_disarm(&c.alarm);
		bad += c.inside || c.n != i + 1;
		pthread_join(thread, NULL);
	}
	tap_is(bad, 0, "disarm returns when what goes off is done");
}

static void test_fork(void)
{
	static struct count mine = COUNT, other = COUNT, after = COUNT;
	int status = -1, n = mine.n;
	pid_t pid;

	mine.alarm.thread = tl__monitor_here();
	tl__monitor_arm(&mine.alarm, tl_after(LIMIT));
	tl__monitor_arm(&other.alarm, tl_after(LIMIT));
	pid = fork();
	if (!pid) {
		bool ok = mine.n == n + 1 && mine.tid == (int)syscall(SYS_gettid) && !other.n &&
			  !mine.alarm.armed && !other.alarm.armed && !tl__monitor_owns_tid(mine.tid);

		if (ok && !no_threads_in_child())
			ok = !tl__monitor_arm(&after.alarm, tl_now()) && reaches(&after.n, 1);
		_exit(ok ? 0 : 1);
	}
	tap_ok(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0,
	       "in a forked child the forker's alarms go off, no others, and the monitor starts anew");
	tap_ok(mine.n == n && mine.alarm.armed, "in the parent all is as it was");
	tl__monitor_disarm(&mine.alarm);
	tl__monitor_disarm(&other.alarm);
}

static void test_end(void)
{
	static struct count c = COUNT;
	uint64_t end = tl_after(LIMIT);

	while (threads() > threads_before && tl_now() < end)
		sched_yield();
	tap_is(threads(), threads_before, "without alarms its thread ends after a while");
	tl__monitor_arm(&c.alarm, tl_now());
	tap_ok(reaches(&c.n, 1) && tl__monitor_owns_tid(c.tid), "and is started anew by the next one");
}

int main(void)
{
	tap_plan(18);
	threads_before = threads_at_rest();
	test_start();
	test_alarms();
	test_disarm_waits();
	test_fork();
	test_end();
	return tap_exit();
}
