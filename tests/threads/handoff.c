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

static void *answers(UNUSED void *arg)
{
	long v;

	while (!tl_chan_recv(ping, &v))
		if (tl_chan_send(pong, &v))
			break;
	return NULL;
}

static int ping_pong(void)
{
	pthread_t t;
	long i, v = -1;

	ping = new_chan(sizeof(long), 0);
	pong = new_chan(sizeof(long), 0);
	t = start(answers, NULL);
	for (i = 0; i < ROUNDS; i++)
		if (tl_chan_send(ping, &i) || tl_chan_recv(pong, &v) || v != i)
			return 3;
	tl_chan_close(ping);
	pthread_join(t, NULL);
	tl_chan_unref(ping);
	tl_chan_unref(pong);
	return tl_sched_end() ? 4 : 0;
}

/* Some are woken while they spin, or have not slept yet. */
static int by_device(void)
{
	int r = ping_pong();

	if (r)
		return r;
	if (fake_waits < 2 || !fake_wakes || fake_refused)
		return 5;
	return fake_wakes > fake_waits ? 6 : 0;
}

static int by_futex(void)
{
	fake.error = ENOENT;
	return ping_pong() || fake_waits ? 7 : 0;
}

/* A tasklet's deadline ends the thread's sleep. */
static int by_time(void)
{
	uint64_t before = tl_now();
	long v;
	int r;

	ping = new_chan(sizeof(long), 0);
	r = tl_chan_recv_until(ping, &v, before + 20 * MS);
	if (r != -ETIMEDOUT || tl_now() - before < 20 * MS)
		return 8;
	tl_chan_unref(ping);
	return fake_waits ? 0 : 9;
}

/* --- what goes wrong ------------------------------------------------------------------------------------------------ */

/* No slot for this thread, or no descriptor: it does without. */
static int by_faults(void)
{
	unsigned long n;

	for (n = 1; n <= 3; n++) {
		tl__fault_arm(n, true);
		(void)tl__handoff_seat();
		tl__fault_arm(0, false);
	}
	return ping_pong();
}

/* As in a child that was made behind the C library's back: each call is refused. It is slow, and gets on. */
static int by_refusals(void)
{
	int r;

	if (is_there())
		return 10;
	fake.owner = -1;
	r = ping_pong();
	return r ? r : fake_refused ? 0 : 11;
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
	int parents = fake.fd;

	fake_refused = 0;
	return by_device() ? 13 : fake.fd == parents && fake.owner != getpid() ? 14 : 0;
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
		{ by_faults, "faults at its start: threads do without" },
		{ by_refusals, "refused calls: slow, but nothing is lost" },
		{ after_fork, "a forked child has one of its own, its parent goes on" },
	};
	const char *why = no_threads_in_child();
	size_t i;

	tap_plan(ARRAY_LEN(t));
	for (i = 0; i < ARRAY_LEN(t); i++)
		if (t[i].fn == after_fork && why)
			tap_skip("%s: not by %s", t[i].words, why);
		else
			tap_is(in_child(t[i].fn), 0, "%s", t[i].words);
	return tap_exit();
}
