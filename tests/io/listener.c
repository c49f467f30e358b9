/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Listeners: each connection reaches one tasklet, first come first served; a shortage of descriptors is waited out;
 * nothing is left when a listener is freed, whatever waits at either side of it.
 */
#include "iochild.h"

#include <sys/resource.h>

struct waiter {
	struct tl_listener *l;
	uint64_t deadline;
	int result;
	int order;
	bool done;
};

static int served;

static int fn_accept(void *arg)
{
	struct waiter *w = arg;

	w->result = tl_listener_accept_until(w->l, w->deadline ? w->deadline : TL_FOREVER);
	w->done = true;
	w->order = ++served;
	return 0;
}

static struct tl_listener *new_listener(int fd)
{
	struct tl_listener *l;

	must(!tl_listener_new(&l, fd, SOCK_CLOEXEC));
	return l;
}

static int dial(const struct sockaddr_in *addr)
{
	int fd = tcp_socket();

	must(!connect(fd, (const struct sockaddr *)addr, sizeof(*addr)));
	return fd;
}

static void test_new(void)
{
	struct sockaddr_in addr;
	struct tl_listener *l;
	int fd = tcp_listen(&addr, 5), p[2];

	tap_is(tl_listener_new(&l, -1, 0), -EBADF, "no descriptor");
	mkpipe(p);
	tap_is(tl_listener_new(&l, p[0], 0), -ENOTSOCK, "no socket");
	close_both(p);
	tcp_pair(p);
	tap_is(tl_listener_new(&l, p[0], 0), -EINVAL, "a socket that does not listen");
	close_both(p);
	tap_is(tl_listener_new(&l, fd, O_APPEND), -EINVAL, "flags that are none");
	tap_is(tl_listener_new(NULL, fd, 0), -EINVAL, "nowhere to put it");
	tl_listener_free(NULL);
	l = new_listener(fd);
	tl_listener_free(l);
	tap_ok(true, "one that was never used is freed");
	close(fd);
	all_gone("new");
}

/* Clients that connect with the library, a thousand of them. */
static struct sockaddr_in server;
static int clients_ok;

static int fn_client(void *arg)
{
	uint32_t number = (uint32_t)(uintptr_t)arg, back = 0;
	int fd = tcp_socket();

	if (!tl_connect(fd, (struct sockaddr *)&server, sizeof(server)) &&
	    tl_send(fd, &number, 4, 0) == 4 && tl_recv(fd, &back, 4, MSG_WAITALL) == 4)
		clients_ok += back == ~number;
	tl_close(fd);
	return 0;
}

static int fn_serve(void *arg)
{
	int fd = (int)(intptr_t)arg;
	uint32_t number;

	if (tl_recv(fd, &number, 4, MSG_WAITALL) == 4) {
		number = ~number;
		tl_send(fd, &number, 4, 0);
	}
	tl_close(fd);
	return 0;
}

static int accepted;

static int fn_acceptor(void *arg)
{
	int fd;

	while ((fd = tl_listener_accept(arg)) >= 0) {
		accepted++;
		go(fn_serve, (void *)(intptr_t)fd);
	}
	return fd == -EPIPE ? 0 : 1;
}

static void test_thousand(void)
{
	struct tl_listener *l;
	uintptr_t i;
	/* Room for all: a kernel that runs out of it may leave one end behind. */
	int fd = tcp_listen(&server, 1000), k;

	l = new_listener(fd);
	for (k = 0; k < 4; k++)
		go(fn_acceptor, l);
	for (i = 0; i < 1000; i++) {
		go(fn_client, (void *)(i + 1));
		if (i % 50 == 49)
			tl_schedule();
	}
	while (stats().alive > 5)
		tl_sleep(MS);
	tap_is(accepted, 1000, "1000 connections are accepted");
	tap_is(clients_ok, 1000, "and each gets its answer");
	tl_listener_free(l);
	close(fd);
	all_gone("thousand");
}

/* --- the line --- */

static void test_order(void)
{
	struct sockaddr_in addr;
	struct waiter w[6];
	struct tl_listener *l;
	struct tl_task *t[6];
	int fd = tcp_listen(&addr, 10), c[4], i;
	bool ok = true;

	l = new_listener(fd);
	served = 0;
	for (i = 0; i < 6; i++) {
		w[i] = (struct waiter){ .l = l, .deadline = i == 2 ? tl_after(5 * MS) : 0 };
		t[i] = mk(fn_accept, &w[i]);
	}
	settle();
	tl_sleep(10 * MS);
	tap_ok(w[2].done && w[2].result == -ETIMEDOUT, "one in line gives up at its deadline");
	tl_task_kill(t[4]);
	tap_ok(wait_done(&w[4].done) && w[4].result == -ECANCELED, "and one is killed");
	for (i = 0; i < 4; i++)
		c[i] = dial(&addr);
	wait_done(&w[5].done);
	for (i = 0; i < 6; i++)
		ok &= w[i].done && (i == 2 || i == 4 || w[i].result >= 0);
	tap_ok(ok && w[0].order < w[1].order && w[1].order < w[3].order && w[3].order < w[5].order,
	       "the others are served in turn");
	for (i = 0; i < 6; i++) {
		tl_task_unref(t[i]);
		if (w[i].result >= 0)
			close(w[i].result);
	}
	for (i = 0; i < 4; i++)
		close(c[i]);
	tl_listener_free(l);
	close(fd);
	all_gone("order");
}

/* The first in line goes; the second must not be forgotten. */
static void test_first_leaves(void)
{
	struct sockaddr_in addr;
	struct waiter w[2];
	struct tl_listener *l;
	struct tl_task *t;
	int fd = tcp_listen(&addr, 10), c, i;
	bool ok = true;

	l = new_listener(fd);
	for (i = 0; i < 50; i++) {
		w[0] = w[1] = (struct waiter){ .l = l };
		t = mk(fn_accept, &w[0]);
		go(fn_accept, &w[1]);
		tl_schedule();
		if (i & 1)
			tl_sleep(MS / 10);
		tl_task_kill_later(t);
		if (i & 2)
			tl_schedule();
		c = dial(&addr);
		ok &= wait_done(&w[0].done) && wait_done(&w[1].done) && w[0].result == -ECANCELED && w[1].result >= 0;
		close(w[1].result);
		close(c);
		tl_task_unref(t);
	}
	tap_ok(ok, "the first in line leaves, the next one is served");
	tl_listener_free(l);
	close(fd);
	all_gone("first leaves");
}

/* Nobody in line is no reason to go on waiting, for run() neither. */
static void test_idle(void)
{
	struct sockaddr_in addr;
	struct waiter w = { 0 };
	int fd = tcp_listen(&addr, 10), c;

	w.l = new_listener(fd);
	go(fn_accept, &w);
	settle();
	c = dial(&addr);
	tap_ok(wait_done(&w.done) && w.result >= 0, "a listener has served");
	tap_is(tl_run(), TL_RUN_FINISHED, "and lets run() end, although it goes on accepting");
	tap_is((int)stats().io_pending, 0, "which is not counted");
	close(w.result);
	close(c);
	c = dial(&addr);
	tap_ok((w.result = tl_listener_accept_until(w.l, tl_after(2000 * MS))) >= 0, "the next one is served too");
	close(w.result);
	close(c);
	tl_listener_free(w.l);
	c = tcp_socket();
	must(!close(fd));
	tap_ok(connect(c, (struct sockaddr *)&addr, sizeof(addr)) < 0 && errno == ECONNREFUSED,
	       "freed and closed, it holds nothing back");
	close(c);
	all_gone("idle");
}

/* --- the end of it --- */

static void test_free(void)
{
	struct sockaddr_in addr;
	struct waiter w[3];
	struct tl_listener *l;
	int fd = tcp_listen(&addr, 300), fds = count_fds(), c[250], i, first;
	bool ok = true;
	char b;

	l = new_listener(fd);
	for (i = 0; i < 3; i++) {
		w[i] = (struct waiter){ .l = l };
		go(fn_accept, &w[i]);
	}
	settle();
	tl_listener_free(l);
	for (i = 0; i < 3; i++)
		ok &= wait_done(&w[i].done) && w[i].result == -EPIPE;
	tap_ok(ok, "those in line are told that the listener is gone");

	/* With connections that nobody has taken. */
	l = new_listener(fd);
	for (i = 0; i < (int)ARRAY_LEN(c); i++)
		c[i] = dial(&addr);
	first = tl_listener_accept(l);
	tap_ok(first >= 0, "one of 250 is taken");
	close(first);
	tl_sleep(5 * MS);
	tl_listener_free(l);
	close(fd);
	for (i = 0; i < (int)ARRAY_LEN(c); i++) {
		ok &= tl_recv_until(c[i], &b, 1, 0, tl_after(5000 * MS)) <= 0;
		close(c[i]);
	}
	tap_ok(ok, "the others see the end");
	tap_is(count_fds(), fds - 1, "no descriptor is left");
	all_gone("free");

	fd = tcp_listen(&addr, 10);
	l = new_listener(fd);
	w[0] = (struct waiter){ .l = l };
	go(fn_accept, &w[0]);
	settle();
	c[0] = dial(&addr);
	tl_listener_free(l);	/* which the kernel has given a connection to, perhaps */
	ok = wait_done(&w[0].done) && (w[0].result == -EPIPE || w[0].result >= 0);
	tap_ok(ok, "a connection crosses with the end");
	if (w[0].result >= 0)
		close(w[0].result);
	close(c[0]);
	close(fd);
	tl_sleep(MS);
	tap_is(count_fds(), fds - 1, "no descriptor is left");
	all_gone("crosses");
}

/* More than a listener keeps: the rest stay with the kernel until there is room. */
static void test_pause(void)
{
	struct sockaddr_in addr;
	struct tl_listener *l;
	struct rlimit limit;
	int n = 1500, fds = count_fds(), fd, i, r, *c;
	bool ok = true;

	must(!getrlimit(RLIMIT_NOFILE, &limit));
	if (limit.rlim_max < 4000) {
		tap_skip("only %d descriptors are allowed", (int)limit.rlim_max);
		tap_skip("so nothing is kept");
		return;
	}
	limit.rlim_cur = 4000;
	must(!setrlimit(RLIMIT_NOFILE, &limit));
	c = malloc((size_t)n * sizeof(*c));
	must(c);
	fd = tcp_listen(&addr, 4000);
	l = new_listener(fd);
	c[0] = dial(&addr);
	must((r = tl_listener_accept(l)) >= 0);
	close(r);
	for (i = 1; i < n; i++) {
		c[i] = dial(&addr);
		if (i % 20 == 0)
			tl_schedule();
	}
	tl_sleep(5 * MS);
	tap_diag("%d of %d are kept", count_fds() - fds - n - 1, n);
	for (i = 1; i < n && ok; i++) {
		r = tl_listener_accept_until(l, tl_after(5000 * MS));
		ok &= r >= 0;
		close(r);
	}
	tap_ok(ok, "%d connections that nobody took for a while are served", n);
	for (i = 0; i < n; i++)
		close(c[i]);
	free(c);
	tl_listener_free(l);
	close(fd);
	tap_is(count_fds(), fds, "no descriptor is left");
	all_gone("pause");
}

/* --- no descriptor to be had --- */

static void test_shortage(void)
{
	struct waiter w[3];
	struct sockaddr_in addr;
	struct rlimit limit, old;
	struct tl_listener *l;
	uint64_t cpu, since;
	int fd = tcp_listen(&addr, 10), c[3], i, r, spare[256], spares = 0;
	bool ok = true;

	/* The limit first: the kernel keeps to that of the moment when an accept begins. */
	must(!getrlimit(RLIMIT_NOFILE, &old));
	l = new_listener(fd);
	for (i = 0; i < 3; i++)
		c[i] = tcp_socket();
	limit = old;
	limit.rlim_cur = (rlim_t)c[2] + 1;
	must(!setrlimit(RLIMIT_NOFILE, &limit));
	while ((spare[spares] = dup(0)) >= 0)	/* those below that may be free */
		spares++;
	for (i = 0; i < 3; i++) {
		w[i] = (struct waiter){ .l = l, .deadline = i == 1 ? tl_after(30 * MS) : 0 };
		go(fn_accept, &w[i]);
	}
	settle();
	for (i = 0; i < 3; i++)
		must(!connect(c[i], (struct sockaddr *)&addr, sizeof(addr)));
	since = tl_now();
	cpu = (uint64_t)clock();
	tl_sleep(250 * MS);
	cpu = (uint64_t)clock() - cpu;
	tap_ok(!w[0].done && !w[2].done, "without descriptors they wait");
	tap_ok(w[1].done && w[1].result == -ETIMEDOUT, "up to their deadlines");
	tap_ok(cpu * 4 < (tl_now() - since) / 1000, "and do not spin (%u us of %u)", (unsigned int)cpu,
	       (unsigned int)((tl_now() - since) / 1000));
	must(!setrlimit(RLIMIT_NOFILE, &old));
	ok &= wait_done(&w[0].done) && w[0].result >= 0;
	ok &= wait_done(&w[2].done) && w[2].result >= 0;
	tap_ok(ok, "and are served when there are some again");
	r = tl_listener_accept_until(l, tl_after(2000 * MS));
	tap_ok(r >= 0, "as is the one whose taker had gone");
	tl_listener_free(l);
	while (spares)
		close(spare[--spares]);
	for (i = 0; i < 3; i++)
		close(c[i]);
	close(r);
	close(w[0].result);
	close(w[2].result);
	close(fd);
	all_gone("shortage");
}

/* The first in line sleeps for the next try; when it is killed the next one takes that over. */
static int shortage_and_kill(UNUSED void *arg)
{
	struct waiter w[3];
	struct sockaddr_in addr;
	struct rlimit limit, old;
	struct tl_listener *l;
	struct tl_task *t;
	int fd = tcp_listen(&addr, 10), c, i;

	child_check(backend()[0], "no backend");
	must(!getrlimit(RLIMIT_NOFILE, &old));
	l = new_listener(fd);
	c = tcp_socket();
	limit = old;
	limit.rlim_cur = (rlim_t)c + 1;
	must(!setrlimit(RLIMIT_NOFILE, &limit));
	while (dup(0) >= 0)
		;
	must(!connect(c, (struct sockaddr *)&addr, sizeof(addr)));
	for (i = 0; i < 3; i++)
		w[i] = (struct waiter){ .l = l };
	t = mk(fn_accept, &w[0]);
	go(fn_accept, &w[1]);
	go(fn_accept, &w[2]);
	tl_sleep(45 * MS);
	tl_task_kill(t);
	tl_sleep(5 * MS);
	child_check(w[0].done && w[0].result == -ECANCELED, "%d", w[0].result);
	must(!setrlimit(RLIMIT_NOFILE, &old));
	child_check(wait_done(&w[1].done) && w[1].result >= 0, "%d", w[1].result);
	child_check(!w[2].done, "%d", w[2].result);
	tl_listener_free(l);
	child_check(wait_done(&w[2].done) && w[2].result == -EPIPE, "%d", w[2].result);
	tl_task_unref(t);
	tl_run();
	child_check(!tl_sched_end(), "end");
	return 0;
}

/* Somebody forgets to free it before the thread ends. */
static int forgotten(UNUSED void *arg)
{
	struct sockaddr_in addr;
	struct waiter w = { 0 };
	int fd = tcp_listen(&addr, 10), c = dial(&addr), c2 = dial(&addr);

	w.l = new_listener(fd);
	child_check((w.result = tl_listener_accept(w.l)) >= 0, "%d", w.result);
	tl_sleep(MS);
	child_check(!tl_sched_end(), "end");
	/* It is idle then; another scheduler may use it. */
	child_check(tl_listener_accept_until(w.l, tl_after(2000 * MS)) >= 0, "again");
	child_check(!tl_sched_end(), "end");
	tl_listener_free(w.l);
	close(c);
	close(c2);
	return 0;
}

int main(void)
{
	tap_plan(2 + 7 + 3 + 4 + 2 + 6 + 5 + 3 + 3 + 6);
	tap_is(in_child(shortage_and_kill, NULL), 0, "the first of those that wait for a descriptor is killed");
	tap_is(in_child(forgotten, NULL), 0, "a listener that outlives its scheduler");
	test_new();
	test_thousand();
	test_order();
	test_first_leaves();
	test_idle();
	test_free();
	test_pause();
	test_shortage();
	tl_sched_end();
	return tap_exit();
}
