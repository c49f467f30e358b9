/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * iotest.h: what the tests of IO share: tasklets made and waited for, pairs of connected descriptors made with plain
 * system calls, and the check that ends each scenario: nothing of it is left, neither tasklets nor operations nor
 * descriptors.
 */
#ifndef IOTEST_H
#define IOTEST_H

#include <tasklet/tasklet.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include "tap.h"

#if defined(__SANITIZE_ADDRESS__)
#define IOTEST_ASAN 1
#else
#define IOTEST_ASAN 0
#endif
#if defined(__SANITIZE_THREAD__)
#define IOTEST_TSAN 1
#else
#define IOTEST_TSAN 0
#endif

#define UNUSED __attribute__((unused))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MS UINT64_C(1000000)

/* What must work for there to be a test. */
#define must(x) ((x) ? (void)0 : tap_bail("%s:%d: %s: %s", __FILE__, __LINE__, #x, strerror(errno)))

static UNUSED struct tl_stats stats(void)
{
	struct tl_stats s = { .size = sizeof(s) };

	if (tl_stats(&s))
		tap_bail("tl_stats");
	return s;
}

static UNUSED const char *backend(void)
{
	struct tl_features f = { .size = sizeof(f) };

	return tl_features(&f) ? "none" : f.io;
}

static UNUSED bool on_epoll(void)
{
	return !strcmp(backend(), "epoll");
}

static UNUSED struct tl_task *mk(tl_task_fn *fn, void *arg)
{
	struct tl_task *t;

	if (tl_spawn(&t, fn, arg))
		tap_bail("tl_spawn");
	return t;
}

static UNUSED void go(tl_task_fn *fn, void *arg)
{
	if (tl_spawn(NULL, fn, arg))
		tap_bail("tl_spawn");
}

/* Lets the others run until each of them waits for something. */
static UNUSED void settle(void)
{
	int i;

	for (i = 0; i < 3 || tl_runcount() > 1; i++)
		tl_schedule();
}

static UNUSED int count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = -1;	/* its own */

	must(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static UNUSED int count_threads(void)
{
	DIR *d = opendir("/proc/self/task");
	struct dirent *entry;
	int n = 0;

	must(d);
	while ((entry = readdir(d)))
		n += entry->d_name[0] != '.';
	closedir(d);
	return n;
}

/* End of a scenario. */
#define all_gone(what)									\
	do {										\
		int run__ = tl_run();							\
		struct tl_stats s__ = stats();						\
		if (!tap_ok(run__ == TL_RUN_FINISHED && s__.alive == 1 && !s__.io_pending && !s__.timers,	\
			    "%s: nothing is left", what))				\
			tap_diag("run %d, alive %d, io %d, timers %d", run__, (int)s__.alive,	\
				 (int)s__.io_pending, (int)s__.timers);			\
	} while (0)

/*
 * The frame of a program: iotest_begin() says which backend it has, and iotest_end() is its last two results. The
 * scheduler is ended, so that a leak checker sees what is left.
 */
static UNUSED int iotest_fds;

static UNUSED void iotest_begin(long plan)
{
	tap_plan(plan + 2);
	iotest_fds = count_fds();
	tap_diag("IO: %s", backend());
}

static UNUSED int iotest_end(void)
{
	tap_is(tl_sched_end(), 0, "the scheduler ends");
	tap_is(count_fds(), iotest_fds, "no descriptor is left");
	return tap_exit();
}

/* --- descriptors --- */

static UNUSED void mkpipe(int p[2])
{
	must(!pipe2(p, O_CLOEXEC));
}

static UNUSED void unix_pair(int p[2], int type)
{
	must(!socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, p));
}

/* A listening TCP socket on the loopback, and where it is. */
static UNUSED int tcp_listen(struct sockaddr_in *addr, int backlog)
{
	socklen_t len = sizeof(*addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	must(fd >= 0);
	memset(addr, 0, sizeof(*addr));
	addr->sin_family = AF_INET;
	addr->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	must(!bind(fd, (struct sockaddr *)addr, sizeof(*addr)));
	must(!listen(fd, backlog));
	must(!getsockname(fd, (struct sockaddr *)addr, &len));
	return fd;
}

static UNUSED int tcp_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	must(fd >= 0);
	return fd;
}

static UNUSED void tcp_pair(int p[2])
{
	struct sockaddr_in addr;
	int fd = tcp_listen(&addr, 1);

	p[0] = tcp_socket();
	must(!connect(p[0], (struct sockaddr *)&addr, sizeof(addr)));
	p[1] = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	must(p[1] >= 0);
	close(fd);
}

static UNUSED void close_both(int p[2])
{
	close(p[0]);
	close(p[1]);
}

static UNUSED void nonblocking(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	must(!fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK));
}

/* --- one call in a tasklet of its own --- */

enum call_kind { READ, WRITE, RECV, SEND, ACCEPT, CONNECT, POLL, CLOSE };

struct call {
	enum call_kind kind;
	int fd;
	void *buf;
	size_t size;
	int flags;
	uint64_t deadline;	/* 0: none */
	ssize_t result;
	bool done;
	int order;		/* which one it was to be done */
};

static UNUSED int calls_done;

static UNUSED int fn_call(void *arg)
{
	struct call *c = arg;
	uint64_t until = c->deadline ? c->deadline : TL_FOREVER;

	switch (c->kind) {
	case READ:
		c->result = tl_read_until(c->fd, c->buf, c->size, until);
		break;
	case WRITE:
		c->result = tl_write_until(c->fd, c->buf, c->size, until);
		break;
	case RECV:
		c->result = tl_recv_until(c->fd, c->buf, c->size, c->flags, until);
		break;
	case SEND:
		c->result = tl_send_until(c->fd, c->buf, c->size, c->flags, until);
		break;
	case ACCEPT:
		c->result = tl_accept_until(c->fd, NULL, NULL, c->flags, until);
		break;
	case CONNECT:
		c->result = tl_connect_until(c->fd, c->buf, (socklen_t)c->size, until);
		break;
	case POLL:
		c->result = tl_poll_until(c->fd, (short)c->flags, until);
		break;
	case CLOSE:
		c->result = tl_close(c->fd);
		break;
	}
	c->done = true;
	c->order = ++calls_done;
	return 0;
}

/*
 * Sends until nothing more is taken; returns how many bytes that were. TCP frees what the other side acknowledges, which
 * may take its time for that (40 ms): it is full when that is over.
 */
static UNUSED long fill_socket(int fd, const void *data, size_t size)
{
	long total = 0;
	int in_vain = 0;
	ssize_t n;

	while (in_vain < 20) {
		n = send(fd, data, size, MSG_DONTWAIT);
		if (n > 0) {
			total += n;
			in_vain = 0;
		} else {
			in_vain++;
			nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
		}
	}
	return total;
}

/* Lets time pass until it is done, at most 20 s. */
static UNUSED bool wait_done(const bool *done)
{
	uint64_t until = tl_after(20000 * MS);

	while (!*(const volatile bool *)done && tl_now() < until)
		tl_sleep(MS / 5);
	return *done;
}

/* Bytes that differ from place to place. */
static UNUSED void fill(void *buf, size_t size, uint64_t seed)
{
	unsigned char *p = buf;
	size_t i;

	for (i = 0; i < size; i++)
		p[i] = (unsigned char)((i + seed) * 2654435761u >> 13);
}

static UNUSED bool filled(const void *buf, size_t size, uint64_t seed)
{
	const unsigned char *p = buf;
	size_t i;

	for (i = 0; i < size; i++)
		if (p[i] != (unsigned char)((i + seed) * 2654435761u >> 13))
			return false;
	return true;
}

#endif
