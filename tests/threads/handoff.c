/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Threads that sleep in the kernel module's device, one in user space here: what is said of it, what makes the library
 * do without, that each wake-up goes through it, and forks. Each in a process of its own, for the choice is made once.
 */
#include <sys/wait.h>

#include "threads.h"

#include "base/alloc.h"
#include "emulated.h"
#include "fake-device.h"
#include "os/handoff.h"

#define ROUNDS 300

/* --- the choice --------------------------------------------------------------------------------------------------- */

static int is_said(const char *handoff, const char *reason)
{
	struct tl_features f = { .size = sizeof(f) };

	if (tl_features(&f))
		return 1;
	if (strcmp(f.handoff, handoff) || strcmp(f.handoff_reason, reason)) {
		tap_diag("it says %s, '%s'", f.handoff, f.handoff_reason);
		return 2;
	}
	return 0;
}

static int is_there(void)
{
	return is_said("module", "");
}

static int is_switched_off(void)
{
	setenv("TL_HANDOFF", "off", 1);
	return is_said("futex", "TL_HANDOFF=off");
}

static int is_on_or_nonsense(void)
{
	setenv("TL_HANDOFF", "perhaps", 1);
	return is_said("module", "");
}

static int is_missing(void)
{
	fake.error = ENOENT;
	return is_said("futex", "no /dev/tasklet");
}

static int is_forbidden(void)
{
	fake.error = EACCES;
	return is_said("futex", "no permission for /dev/tasklet");
}

static int is_out_of_descriptors(void)
{
	fake.error = EMFILE;
	return is_said("futex", "/dev/tasklet can't be opened");
}

/* --- threads wake each other ---------------------------------------------------------------------------------------- */

static struct tl_chan *ping, *pong;

/* In the middle, when nobody sleeps. */
static void (*in_between)(void);

static void *answers(UNUSED void *arg)
{
	long v;

	while (!tl_chan_recv(ping, &v)) {
		if (tl_chan_send(pong, &v))
			break;
		if (v == ROUNDS / 2)
			await_step(1);
	}
	return NULL;
}

static int ping_pong(void)
{
	pthread_t t;
	long i, v = -1;

	reach(0);

	ping = new_chan(sizeof(long), 0);
	pong = new_chan(sizeof(long), 0);
	t = start(answers, NULL);
	for (i = 0; i < ROUNDS; i++)
		if (tl_chan_send(ping, &i) || tl_chan_recv(pong, &v) || v != i) {
			return 3;
		} else if (i == ROUNDS / 2) {
			if (in_between)
				in_between();
			reach(1);
		}
	tl_chan_close(ping);
	pthread_join(t, NULL);
	tl_chan_unref(ping);
	tl_chan_unref(pong);
	return tl_sched_end() ? 4 : 0;
}

/* They may spin a while, and not sleep. */
static int by_device(void)
{
	int r = 0, i;

	for (i = 0; i < 100 && !r && (fake_waits < 2 || !fake_wakes); i++)
		r = ping_pong();
	return r ? r : fake_waits < 2 || !fake_wakes || fake_refused ? 5 : 0;
}

static int by_futex(void)
{
	fake.error = ENOENT;
	return ping_pong() || fake_waits ? 7 : 0;
}

/* A tasklet's deadline ends the thread's sleep. */
static int sleep_once(void)
{
	uint64_t before = tl_now();
	long v;
	int r;

	ping = new_chan(sizeof(long), 0);
	r = tl_chan_recv_until(ping, &v, before + 20 * MS);
	tl_chan_unref(ping);
	return r != -ETIMEDOUT || tl_now() - before < 20 * MS ? 8 : 0;
}

static int by_time(void)
{
	int r = 0, i;

	/* One that is late finds its time over, and does not sleep. */
	for (i = 0; i < 100 && !r && !fake_waits; i++)
		r = sleep_once();
	return r ? r : fake_waits ? 0 : 9;
}

/* --- what goes wrong ------------------------------------------------------------------------------------------------ */

/* No descriptor, no fork handler, no slot: it does without. */
static int by_fault(unsigned long nth)
{
	unsigned long passed;

	tl__fault_arm(nth, true);
	(void)tl__handoff_seat();
	passed = tl__fault_count();
	tl__fault_arm(0, false);
	if (passed < nth || fake_waits)
		return 10;
	return ping_pong() || fake_waits ? 11 : 0;
}

static int by_first_fault(void)
{
	return by_fault(1);
}

static int by_second_fault(void)
{
	return by_fault(2);
}

static int by_third_fault(void)
{
	return by_fault(3);
}

static int by_old_kernel(void)
{
	fake.no_features = TL_HANDOFF_F_HERE;
	return is_said("futex", "this kernel can't place who is woken") || ping_pong() || fake_waits;
}

static int by_interrupts(void)
{
	fake.interrupts = 2;
	return by_device();
}

static void refuse(void)
{
	fake.owner = -1;
}

/* As in a child that was made behind the C library's back, or if the program closes what isn't its own. */
static int by_refusals(void)
{
	int r, i;

	in_between = refuse;
	r = ping_pong();
	/* They may have spun all the time; or be late, as above. */
	for (i = 0; i < 100 && !r && !fake_refused; i++)
		r = sleep_once();
	if (r || !fake_refused)
		return r ? r : 12;
	return is_said("futex", "/dev/tasklet is out of order");
}

/* --- cancelled, forked ------------------------------------------------------------------------------------------------ */

static void *ends_at_once(UNUSED void *arg)
{
	pthread_cancel(pthread_self());
	(void)tl__handoff_seat();
	reach(7);
	pthread_testcancel();
	return NULL;
}

/* Not in here, where nobody is ready for it. */
static int cancelled(void)
{
	in_thread(ends_at_once, NULL);
	return step != 7 ? 14 : by_device();
}

static void *opens(UNUSED void *arg)
{
	(void)tl__handoff_seat();
	return NULL;
}

/* A child that is forked while another thread opens the device for the first time. */
static int forked_at_first(void)
{
	pthread_t t;
	int status;
	pid_t pid;

	fake.pause = true;
	t = start(opens, NULL);
	await(fake.paused);
	pid = fork();
	fake.pause = false;
	if (!pid)
		_exit(by_device());
	pthread_join(t, NULL);
	waitpid(pid, &status, 0);
	return !WIFEXITED(status) || WEXITSTATUS(status) ? 15 : by_device();
}

/* Only one wake-up, after which a thread mostly sleeps, is for this processor. */
static int fans_out(void)
{
	struct tl__seat me = tl__handoff_seat();
	int round, i;

	for (round = 0; round < 10; round++) {
		for (i = 0; i < 8; i++)
			tl__handoff_wake(me);
		me = tl__handoff_seat();
		tl__handoff_wait(me, (struct tl__seat){ 0 }, 1);
	}
	if (fake_here)
		return 16;
	for (round = 0; round < 10; round++) {
		tl__handoff_wake(me);
		tl__handoff_wait(tl__handoff_seat(), (struct tl__seat){ 0 }, 1);
	}
	return fake_here ? 0 : 17;
}

static int child_after(int (*before)(void), int (*in_child)(void))
{
	int status, r = before();
	pid_t pid;

	if (r)
		return r;
	pid = fork();
	if (!pid)
		_exit(in_child());
	waitpid(pid, &status, 0);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		return 12;
	return ping_pong();
}

static int forks(void)
{
	fake_refused = fake_waits = fake_wakes = 0;
	return by_device() ? 13 : fake.owner != getpid() ? 14 : 0;
}

static int after_fork(void)
{
	return child_after(ping_pong, forks);
}

/* --- all of them ----------------------------------------------------------------------------------------------------- */

static int in_child(int (*fn)(void))
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		alarm(60);
		_exit(fn());
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		tap_bail("fork");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

int main(void)
{
	static const struct { int (*fn)(void); const char *words; } t[] = {
		{ is_there, "the device is there: it is used" },
		{ is_switched_off, "TL_HANDOFF=off: it isn't" },
		{ is_on_or_nonsense, "other values are ignored" },
		{ is_missing, "there is none" },
		{ is_forbidden, "there is one for others" },
		{ is_out_of_descriptors, "it can't be opened" },
		{ by_device, "threads wake each other by it" },
		{ by_futex, "or by futexes" },
		{ by_time, "a deadline ends a sleep there" },
		{ by_first_fault, "no fork handler: threads do without" },
		{ by_second_fault, "no descriptor: the same" },
		{ by_third_fault, "no slot: the same" },
		{ by_old_kernel, "a kernel that can't place them: the same" },
		{ by_interrupts, "each second wait is interrupted" },
		{ by_refusals, "calls are refused from some time on: by futexes from then on" },
		{ cancelled, "the device is no point of cancellation" },
		{ forked_at_first, "a fork while it is opened" },
		{ fans_out, "one who wakes several has them run where they like" },
		{ after_fork, "a forked child has one of its own, its parent goes on" },
	};
	const char *why = no_threads_in_child();
	size_t i;

	tap_plan(ARRAY_LEN(t));
	for (i = 0; i < ARRAY_LEN(t); i++)
		if ((t[i].fn == after_fork || t[i].fn == forked_at_first) && why)
			tap_skip("%s: not by %s", t[i].words, why);
		else
			tap_is(in_child(t[i].fn), 0, "%s", t[i].words);
	return tap_exit();
}
