/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Who has arrived at a barrier whose action runs is committed (barrier.h), also on a thread that has nothing else to do:
 * neither its deadline nor a kill ends its wait. And a kill that an action finds does not unwind the wait that runs it,
 * which has to end the round first.
 */
#include <pthread.h>
#include <sys/socket.h>

#include "../core/check.h"

static struct tl_barrier b;
static struct tl_task *task;
static _Atomic(uint64_t) deadline;
static _Atomic int got;
static bool has_run;

static int fn_wait(UNUSED void *arg)
{
	got = tl_barrier_wait_until(&b, deadline);
	return 0;
}

static void *thread(UNUSED void *arg)
{
	if (tl_spawn(&task, fn_wait, NULL))
		tap_bail("no tasklet");
	tl_run();	/* idle, with a timer, if it has one */
	while (tl_task_is_alive(task))
		tl_sleep(1000000);
	tl_task_unref(task);
	return NULL;
}

/* The thread of the one that waits is idle, so it looks at once. */
static int act_late(UNUSED void *arg)
{
	has_run = true;
	tl_sleep_until(deadline + 20000000);
	return 0;
}

static int act_kill(UNUSED void *arg)
{
	int r = tl_task_kill(task);

	has_run = true;
	tl_sleep(20000000);
	return r;
}

static int meet(int (*act)(void *arg), uint64_t until)
{
	pthread_t t;
	int r;

	got = 1000;
	deadline = until;
	tl_barrier_init(&b, 2, act, NULL);
	if (pthread_create(&t, NULL, thread, NULL))
		tap_bail("no thread");
	while (!tl_barrier_waiting(&b) && !tl_barrier_is_broken(&b))
		tl_sleep(100000);
	r = tl_barrier_wait(&b);
	pthread_join(t, NULL);
	return r;
}

static void test_idle(int (*act)(void *arg), uint64_t ns, const char *what)
{
	int r;

	/* On a slow machine the deadline may pass before all are there. */
	do {
		r = meet(act, tl_after(ns));
		ns *= 2;
	} while (!has_run);
	tap_ok(r == 1 && got == 0 && !tl_barrier_is_broken(&b), "barrier.h: a %s ends no wait while the action runs: %d %d",
	       what, r, got);
}

static int act_block(UNUSED void *arg)
{
	int r = tl_sleep(1000000000);

	say("(%d)", r);
	return r;
}

static int fn_says(UNUSED void *arg)
{
	say("%s%d", name_of(tl_current()), tl_barrier_wait(&b));
	return 0;
}

static void test_unwinding(void)
{
	struct tl_task *a, *u;

	tl_barrier_init(&b, 2, act_block, NULL);
	a = mk("A", fn_says, NULL);
	tl_schedule();
	u = mk_flags("U", TL_UNWIND, fn_says, NULL);
	tl_schedule();
	tl_task_kill(u);
	tl_run();
	tap_str(said(), "(-125) A-32", "barrier.h: a kill in the action fails that, and the round is over before it unwinds");
	tap_ok(!tl_task_is_alive(u) && tl_barrier_is_broken(&b), "barrier.h: what the action returned has broken it");
	tl_task_unref(a);
	tl_task_unref(u);
}

/* What the action calls may hold off unwinding for itself; the wait that runs the action goes on doing so. */

static struct tl_listener *listener;

static int act_accepts(UNUSED void *arg)
{
	int r = tl_listener_accept_until(listener, tl_after(1000000));

	say("(%d)", r);
	return act_block(NULL);
}

static void test_accepting(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct tl_task *a, *u;

	if (fd < 0 || bind(fd, &(struct sockaddr){ .sa_family = AF_UNIX }, sizeof(sa_family_t)) || listen(fd, 1) ||
	    tl_listener_new(&listener, fd, SOCK_CLOEXEC))
		tap_bail("no listener: %s", strerror(errno));
	tl_barrier_init(&b, 2, act_accepts, NULL);
	a = mk("A", fn_says, NULL);
	tl_schedule();
	u = mk_flags("U", TL_UNWIND, fn_says, NULL);
	while (!tl_task_is_blocked(u) || !strstr(check__journal, "(-110)"))
		tl_sleep(100000);
	tl_task_kill(u);
	tl_run();
	tap_str(said(), "(-110) (-125) A-32", "barrier.h: the same where the action has accepted connections before");
	tap_ok(!tl_task_is_alive(a) && !tl_task_is_alive(u), "barrier.h: and all are back");
	tl_task_unref(a);
	tl_task_unref(u);
	tl_listener_free(listener);
	tl_close(fd);
}

int main(void)
{
	tap_plan(7);
	test_unwinding();
	test_accepting();
	test_idle(act_late, 50000000, "deadline");
	has_run = false;
	test_idle(act_kill, 100000000000, "kill");
	tap_is(tl_sched_end(), 0, "nothing is left");
	return tap_exit();
}
