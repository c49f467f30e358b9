/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Closing a descriptor that others wait on: they are told, the other side sees the end, and the number can be used
 * again at once.
 */
#include "iotest.h"

static char buf[1 << 20];

static struct tl_task *start(struct call *c)
{
	struct tl_task *t = mk(fn_call, c);

	settle();
	tl_sleep(MS);
	if (c->done)
		tap_diag("did not wait: %d", (int)c->result);
	return t;
}

static void test_recv(void)
{
	struct call c = { .kind = RECV, .buf = buf, .size = 8 };
	int p[2];

	tcp_pair(p);
	c.fd = p[0];
	tl_task_unref(start(&c));
	tap_is(tl_close(p[0]), 0, "a socket is closed while somebody receives");
	tap_is(fcntl(p[0], F_GETFD), -1, "it is gone");
	tap_ok(wait_done(&c.done) && c.result == -ECANCELED, "the receiver is told");
	tap_is(tl_recv_until(p[1], buf, 8, 0, tl_after(2000 * MS)), 0, "the other side sees the end");
	close(p[1]);
	all_gone("recv");
}

static void test_several(void)
{
	struct call c[] = {
		{ .kind = RECV, .buf = buf, .size = 8 },
		{ .kind = READ, .buf = buf + 8, .size = 8 },
		{ .kind = POLL, .flags = POLLIN },
		{ .kind = SEND, .buf = buf, .size = 8 },
		{ .kind = WRITE, .buf = buf, .size = 8 },
	};
	bool ok = true;
	size_t i;
	int p[2];

	tcp_pair(p);
	fill_socket(p[0], buf, sizeof(buf));
	for (i = 0; i < ARRAY_LEN(c); i++) {
		c[i].fd = p[0];
		tl_task_unref(start(&c[i]));
	}
	tap_is(tl_close(p[0]), 0, "a socket is closed on which five wait");
	for (i = 0; i < ARRAY_LEN(c); i++)
		ok &= wait_done(&c[i].done) && c[i].result == -ECANCELED;
	tap_ok(ok, "all are told");
	close(p[1]);
	all_gone("several");
}

/* What has been sent arrives, although a send that waited is given up. */
static void test_half_sent(void)
{
	struct call c = { .kind = SEND, .size = sizeof(buf) };
	ssize_t n, total = 0, queued;
	static char back[65536];
	int p[2];

	tcp_pair(p);
	queued = fill_socket(p[0], buf, 4096);
	c.fd = p[0];
	c.buf = buf;
	tl_task_unref(start(&c));
	/* Room for some of it, or none. */
	for (n = 0; n < 3; n++)
		total += recv(p[1], back, sizeof(back), MSG_DONTWAIT);
	tl_sleep(2 * MS);
	tl_close(p[0]);
	wait_done(&c.done);
	while ((n = tl_recv(p[1], back, sizeof(back), 0)) > 0)
		total += n;
	tap_ok(n == 0 && total == queued + (c.result > 0 ? c.result : 0), "what a send says it has sent arrives");
	close(p[1]);
	all_gone("half sent");
}

static void test_data_crosses(void)
{
	struct call c = { .kind = RECV, .buf = buf, .size = 8 };
	bool ok = true;
	int p[2], i, got = 0;

	for (i = 0; i < 300; i++) {
		unix_pair(p, SOCK_STREAM);
		c.fd = p[0];
		c.done = false;
		go(fn_call, &c);
		tl_schedule();
		if (i & 1)
			tl_schedule();
		must(write(p[1], "12345678", 8) == 8);
		ok &= tl_close(p[0]) == 0 && wait_done(&c.done);
		ok &= c.result == 8 || c.result == -ECANCELED || c.result == -EBADF;
		got += c.result == 8;
		close(p[1]);
	}
	tap_ok(ok, "data that crosses a close is received, or the call says that it was not");
	tap_diag("%d of 300 received", got);
	all_gone("data crosses");
}

/* --- sockets that listen --- */

static bool refused(const struct sockaddr_in *addr)
{
	int fd = tcp_socket();
	bool r = connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0 && errno == ECONNREFUSED;

	close(fd);
	return r;
}

static void test_accept(void)
{
	struct sockaddr_in addr;
	struct call c[3];
	bool ok = true;
	int fd, i;

	fd = tcp_listen(&addr, 5);
	for (i = 0; i < 3; i++) {
		c[i] = (struct call){ .kind = ACCEPT, .fd = fd };
		tl_task_unref(start(&c[i]));
	}
	tap_is(tl_close(fd), 0, "a socket is closed on which three accept");
	for (i = 0; i < 3; i++)
		ok &= wait_done(&c[i].done) && c[i].result == -ECANCELED;
	tap_ok(ok, "all are told");
	tap_ok(refused(&addr), "and nobody listens any more");
	all_gone("accept");
}

struct listening {
	struct tl_listener *l;
	int result;
	bool done;
};

static int fn_listener(void *arg)
{
	struct listening *x = arg;

	x->result = tl_listener_accept(x->l);
	x->done = true;
	return 0;
}

static void test_listener(void)
{
	struct listening x[3];
	struct tl_listener *l;
	struct sockaddr_in addr;
	bool ok = true;
	int fd, i;

	fd = tcp_listen(&addr, 5);
	must(!tl_listener_new(&l, fd, SOCK_CLOEXEC));
	for (i = 0; i < 3; i++) {
		x[i] = (struct listening){ .l = l };
		go(fn_listener, &x[i]);
	}
	settle();
	tl_sleep(MS);
	tap_is(tl_close(fd), 0, "a listener's socket is closed");
	for (i = 0; i < 3; i++)
		ok &= wait_done(&x[i].done) && x[i].result == -ECANCELED;
	tap_ok(ok, "those that accept from it are told");
	tap_is(tl_listener_accept(l), -EBADF, "it can't be used any more");
	tap_ok(refused(&addr), "and nobody listens");
	tl_listener_free(l);
	all_gone("listener");
}

/* --- who closes --- */

static void close_later(void *arg)
{
	struct call *c = arg;

	c->result = tl_close(c->fd);
	c->done = true;
}

static int fn_cleans_up(void *arg)
{
	struct call *c = arg;
	char b[8];

	must(!tl_defer(close_later, c));
	return tl_recv(c->fd, b, sizeof(b), 0) == -ECANCELED ? -ECANCELED : 1;
}

static int fn_closes_itself(void *arg)
{
	struct call *c = arg;
	char b[8];

	if (tl_recv(c->fd, b, sizeof(b), 0) == -ECANCELED)
		close_later(c);
	return 0;
}

static void test_killed(tl_task_fn *fn, const char *what)
{
	struct call other = { .kind = RECV, .buf = buf, .size = 8 }, c = { 0 };
	struct tl_task *t;
	int p[2];

	tcp_pair(p);
	c.fd = other.fd = p[0];
	tl_task_unref(start(&other));
	t = mk(fn, &c);
	settle();
	tl_sleep(MS);
	tl_task_kill(t);
	tap_ok(wait_done(&c.done) && c.result == 0, "%s", what);
	tap_ok(wait_done(&other.done) && other.result == -ECANCELED, "... and somebody else who waited is told");
	tap_is(tl_recv_until(p[1], buf, 8, 0, tl_after(2000 * MS)), 0, "... and the other side sees the end");
	tl_run();
	tl_task_unref(t);
	close(p[1]);
	all_gone(what);
}

/* A call that begins while a close waits, and a second close: the descriptor is as good as gone. */
static void test_late(void)
{
	struct call first = { .kind = RECV, .buf = buf, .size = 8 }, closer = { .kind = CLOSE };
	struct call late = first, closer2 = closer;
	int p[2];

	unix_pair(p, SOCK_STREAM);
	first.fd = late.fd = closer.fd = closer2.fd = p[0];
	tl_task_unref(start(&first));
	go(fn_call, &closer);
	go(fn_call, &late);
	go(fn_call, &closer2);
	tap_ok(wait_done(&closer.done) && closer.result == 0, "one closes");
	tap_ok(wait_done(&closer2.done) && closer2.result == -EBADF, "another one comes too late");
	tap_ok(wait_done(&late.done) && late.result == -EBADF, "so does a call");
	tap_ok(wait_done(&first.done) && first.result == -ECANCELED, "one that waited is told");
	tap_is(tl_close(p[0]), -EBADF, "there is nothing left to close");
	close(p[1]);
	all_gone("late");
}

/* The number is in use again the moment the close returns. */
static void test_reuse(void)
{
	struct call c = { .kind = RECV, .buf = buf, .size = 8 }, d;
	bool ok = true;
	int p[2], q[2], i, same = 0;

	for (i = 0; i < 500; i++) {
		unix_pair(p, SOCK_STREAM);
		c.fd = p[0];
		c.done = false;
		go(fn_call, &c);
		tl_schedule();
		ok &= tl_close(p[0]) == 0;
		unix_pair(q, SOCK_STREAM);
		same += q[0] == p[0];
		d = c;
		d.fd = q[0];
		d.done = false;
		go(fn_call, &d);
		tl_schedule();
		must(write(q[1], "abc", 3) == 3);
		ok &= wait_done(&c.done) && c.result == -ECANCELED && wait_done(&d.done) && d.result == 3;
		close_both(q);
		close(p[1]);
	}
	tap_ok(ok && same == 500, "a number that is used again is its new owner's");
	all_gone("reuse");
}

/*
 * A program that calls close(2) itself while somebody waits leaves that one waiting. With io_uring, it is found under
 * the number by the next one who closes that properly.
 */
static void test_plain_close(void)
{
	struct call c = { .kind = RECV, .buf = buf, .size = 8 }, d = c;
	int p[2], q[2];

	if (on_epoll()) {
		tap_skip("epoll forgets a descriptor that is closed by close(2)");
		tap_skip("so nobody is found there");
		tap_skip("and nothing is left");
		return;
	}
	unix_pair(p, SOCK_STREAM);
	c.fd = p[0];
	tl_task_unref(start(&c));
	close(p[0]);
	unix_pair(q, SOCK_STREAM);
	must(q[0] == p[0]);
	d.fd = q[0];
	tl_task_unref(start(&d));
	tap_is(tl_close(q[0]), 0, "two have waited under one number");
	tap_ok(wait_done(&c.done) && wait_done(&d.done) && c.result == -ECANCELED && d.result == -ECANCELED,
	       "both are told");
	close(p[1]);
	close(q[1]);
	all_gone("close(2)");
}

static void test_wrong(void)
{
	tap_is(tl_close(-1), -EBADF, "-1");
	tap_is(tl_close(1 << 30), -EBADF, "a number that is too large");
	tap_is(tl_read(1 << 30, buf, 1), -EBADF, "... to read from, too");
	tap_is(tl_read(-1, buf, 1), -EBADF, "and -1");
	all_gone("wrong");
}

int main(void)
{
	int fds = count_fds();

	tap_plan(5 + 3 + 2 + 2 + 4 + 5 + 2 * 4 + 6 + 2 + 3 + 5 + 1);
	test_recv();
	test_several();
	test_half_sent();
	test_data_crosses();
	test_accept();
	test_listener();
	test_killed(fn_cleans_up, "a killed tasklet closes in a deferred handler");
	test_killed(fn_closes_itself, "a killed tasklet closes");
	test_late();
	test_reuse();
	test_plain_close();
	test_wrong();
	tl_sched_end();
	tap_is(count_fds(), fds, "no descriptor is left");
	return tap_exit();
}
