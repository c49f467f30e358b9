/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * How a thread that sleeps in its ring is woken: by a message from another ring, by a futex that its ring waits for, by
 * an eventfd; each forced once, in a process of its own, over many sleeps. Every wake-up must arrive, with IO under way
 * and none complete.
 *
 * And why the futex is a shared one: a private one that is armed by a process with one thread and woken by its second
 * thread is lost on some kernels. What this kernel does is printed; the shared one has to arrive on all.
 */
#include <poll.h>
#include <sys/wait.h>

#include "threads.h"

#ifdef TL_NO_URING
int main(void)
{
	tap_skip_all("the library was built without io_uring");
}
#else

#include <linux/futex.h>
#include <sys/syscall.h>

#include "io/uring-bell.h"
#include "os/futex.h"

#define ROUNDS 300

static struct tl_chan *ping, *pong;
static int never[2];	/* a pipe that nobody writes to */

static int fn_read(UNUSED void *arg)
{
	char c;

	tl_read(never[0], &c, 1);
	return 0;
}

/* IO under way: so the thread sleeps in its ring. */
static struct tl_task *with_io(void)
{
	struct tl_task *t = spawn(fn_read, NULL);

	tl_schedule();
	return t;
}

static void *answers(void *arg)
{
	struct tl_task *t = arg ? with_io() : NULL;
	long v;

	while (!tl_chan_recv(ping, &v))
		if (tl_chan_send(pong, &v))
			break;
	if (t) {
		tl_task_kill(t);
		tl_task_unref(t);
	}
	return NULL;
}

/* Both threads, or only this one, sleep in rings. */
static int ping_pong(bool both)
{
	struct tl_task *t;
	pthread_t p;
	long i, v;

	if (pipe(never))
		return 1;
	ping = new_chan(sizeof(long), 0);
	pong = new_chan(sizeof(long), 0);
	p = start(answers, both ? &v : NULL);
	t = with_io();
	for (i = 0; i < ROUNDS; i++)
		if (tl_chan_send(ping, &i) || tl_chan_recv(pong, &v) || v != i)
			return 2;
	tl_chan_close(ping);
	pthread_join(p, NULL);
	tl_task_kill(t);
	tl_task_unref(t);
	tl_chan_unref(ping);
	tl_chan_unref(pong);
	return tl_sched_end() ? 3 : 0;
}

static const char *doorbell(bool *messages)
{
	struct tl_features f = { .size = sizeof(f) };

	if (tl_features(&f))
		return "";
	*messages = f.ring_messages;
	return f.doorbell ? f.doorbell : "";
}

/* In a child: sets up, plays, says how it ended. 77: this machine has no such thing. */
static int in_child(bool no_message, bool no_futex, const char *bell)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		bool messages = false;
		const char *has;

		alarm(60);
		tl__bell_test_no_message = no_message;
		tl__bell_test_no_futex = no_futex;
		has = doorbell(&messages);
		if (strcmp(has, bell) || messages == no_message)
			_exit(77);
		_exit(ping_pong(true) ? 1 : ping_pong(false) ? 2 : 0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		tap_bail("fork");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void test_ways(void)
{
	static const struct { bool no_message, no_futex; const char *bell, *name; } w[] = {
		{ false, false, "futex", "messages between rings" },
		{ true, false, "futex", "a futex in the ring" },
		{ true, true, "eventfd", "an eventfd" },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(w); i++) {
		int r = in_child(w[i].no_message, w[i].no_futex, w[i].bell);

		if (r == 77)
			tap_skip("woken by %s: this kernel has none, or no io_uring", w[i].name);
		else
			tap_is(r, 0, "1: %d round trips of threads with IO under way, woken by %s", 2 * ROUNDS,
			       w[i].name);
	}
}

/* --- the futex that gets lost ------------------------------------------------------------------------------------- */

#define FUTEX2_PRIVATE_BIT 128

static _Atomic uint32_t word;

static void *rings(void *arg)
{
	await_step(1);
	atomic_store(&word, 1);
	syscall(SYS_futex, &word, arg ? FUTEX_WAKE_PRIVATE : FUTEX_WAKE, 1, NULL, NULL, 0);
	return NULL;
}

/* 0: it arrived; 1: it was lost; 77: no such operation. */
static int armed_alone(bool private)
{
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	struct __kernel_timespec limit = { .tv_sec = 2 };
	struct tl__uring u;
	const char *why;
	pthread_t t;
	int r;

	if (tl__uring_open(&u, &why) || !u.futex_wait)
		return 77;
	sqe = tl__uring_sqe(&u);
	tl__uring_prep_futex_wait(sqe, &word, 0);
	if (private)
		sqe->fd |= FUTEX2_PRIVATE_BIT;
	tl__uring_submit(&u, false);
	t = start(rings, private ? &t : NULL);
	reach(1);
	r = io_uring_wait_cqe_timeout(&u.ring, &cqe, &limit);
	pthread_join(t, NULL);
	return r ? 1 : 0;
}

static int alone_in_child(bool private)
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(armed_alone(private));
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		tap_bail("fork");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void test_lost(void)
{
	int private = alone_in_child(true), shared = alone_in_child(false);
	struct io_uring_sqe sqe;

	tl__uring_prep_futex_wait(&sqe, &word, 0);
	tap_ok(!(sqe.fd & FUTEX2_PRIVATE_BIT), "1: what a ring waits for is never a private futex");
	if (shared == 77) {
		tap_skip("no futexes in io_uring here");
		return;
	}
	tap_diag("a private futex that was armed before the second thread came: its wake-up %s on this kernel",
		 private ? "is LOST" : "arrives");
	tap_is(shared, 0, "1: a shared one arrives");
}

int main(void)
{
	if (getenv("TL_IO") && !strcmp(getenv("TL_IO"), "epoll"))
		tap_skip_all("this is about io_uring");
#if defined(__SANITIZE_THREAD__)
	tap_skip_all("threads after a fork are too much for the thread sanitizer");
#endif
	tap_plan(5);
	test_ways();
	test_lost();
	return tap_exit();
}
#endif
