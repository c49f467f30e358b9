/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Sockets: TCP and Unix streams, datagrams; connecting with all that can go wrong; transfers larger than the buffers,
 * half-closed ones, MSG_WAITALL, descriptors in messages; several that wait on one; close and shutdown under them.
 */
#include "iotest.h"

#include <pthread.h>

/* --- accept and connect --- */

static int fn_echo(void *arg)
{
	int fd = (int)(long)arg;
	char buf[1000];
	ssize_t n;

	while ((n = tl_recv(fd, buf, sizeof(buf), 0)) > 0)
		if (tl_send(fd, buf, (size_t)n, 0) != n)
			break;
	tl_close(fd);
	return 0;
}

static int fn_serve(void *arg)
{
	int fd, listener = (int)(long)arg;

	while ((fd = tl_accept(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		go(fn_echo, (void *)(long)fd);
	return 0;
}

struct client {
	struct sockaddr *addr;
	socklen_t len;
	bool ok;
};

static int fn_client(void *arg)
{
	struct client *c = arg;
	int fd = socket(c->addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), i;
	char out[3000], in[3000];
	size_t got;

	c->ok = tl_connect(fd, c->addr, c->len) == 0;
	for (i = 0; i < 10 && c->ok; i++) {
		fill(out, sizeof(out), (uint64_t)i);
		c->ok = tl_send(fd, out, sizeof(out), 0) == sizeof(out) &&
			tl_read_full(fd, in, sizeof(in), &got) == sizeof(in) && !memcmp(in, out, sizeof(in));
	}
	tl_close(fd);
	return 0;
}

static void echo(const char *what, int listener, struct sockaddr *addr, socklen_t len)
{
	struct tl_task *server = mk(fn_serve, (void *)(long)listener);
	struct client c[30];
	bool ok = true;
	int i;

	for (i = 0; i < 30; i++) {
		c[i] = (struct client){ addr, len, false };
		go(fn_client, &c[i]);
	}
	settle();
	for (i = 0; i < 2000 && stats().alive > 2; i++)
		tl_sleep(10 * MS);
	for (i = 0; i < 30; i++)
		ok &= c[i].ok;
	tap_ok(ok, "%s: 30 clients of an echo", what);
	tap_is(tl_task_kill(server), 0, "%s: the server is killed", what);
	tl_task_unref(server);
	all_gone(what);
	tl_close(listener);
}

static void test_echo(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct sockaddr_in in;
	int fd = tcp_listen(&in, 64);

	echo("tcp", fd, (struct sockaddr *)&in, sizeof(in));

	snprintf(un.sun_path, sizeof(un.sun_path), "/tmp/tl-sockets-%d", (int)getpid());
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(fd >= 0 && !bind(fd, (struct sockaddr *)&un, sizeof(un)) && !listen(fd, 64));
	echo("unix", fd, (struct sockaddr *)&un, sizeof(un));
	unlink(un.sun_path);
}

static void test_accept(void)
{
	struct sockaddr_in addr, peer, self;
	socklen_t len = sizeof(peer), self_len = sizeof(self);
	struct call c = { .kind = ACCEPT, .flags = SOCK_CLOEXEC | SOCK_NONBLOCK };
	struct tl_task *t;
	int listener = tcp_listen(&addr, 8), fd, client = tcp_socket();

	tap_is(tl_accept_until(listener, NULL, NULL, 0, tl_after(2 * MS)), -ETIMEDOUT, "accept: nobody comes in time");
	c.fd = listener;
	t = mk(fn_call, &c);
	settle();
	tap_is(tl_connect(client, (struct sockaddr *)&addr, sizeof(addr)), 0, "connect");
	tap_ok(wait_done(&c.done) && c.result >= 0, "accept");
	tap_ok((fcntl((int)c.result, F_GETFL) & O_NONBLOCK) && fcntl((int)c.result, F_GETFD) == FD_CLOEXEC,
	       "with its flags");
	tap_is(fcntl(client, F_GETFL) & O_NONBLOCK, 0, "the client blocks as before");
	tl_task_unref(t);
	close((int)c.result);
	close(client);

	client = tcp_socket();
	must(!connect(client, (struct sockaddr *)&addr, sizeof(addr)));
	fd = tl_accept(listener, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC);
	must(!getsockname(client, (struct sockaddr *)&self, &self_len));
	tap_ok(fd >= 0 && len == sizeof(peer) && peer.sin_port == self.sin_port, "the address is the client's");
	tap_is(fcntl(fd, F_GETFL) & O_NONBLOCK, 0, "an accepted one blocks unless told otherwise");
	tap_is(tl_accept(client, NULL, NULL, 0), -EINVAL, "accept from what does not listen");
	tap_is(fcntl(client, F_GETFL) & O_NONBLOCK, 0, "which does nothing to it");
	close(fd);
	close(client);

	c.done = false;
	t = mk(fn_call, &c);
	settle();
	tl_task_kill(t);
	tap_ok(wait_done(&c.done) && c.result == -ECANCELED, "accept is killed");
	tl_task_unref(t);
	client = tcp_socket();
	must(!connect(client, (struct sockaddr *)&addr, sizeof(addr)));
	fd = tl_accept_until(listener, NULL, NULL, SOCK_CLOEXEC, tl_after(5000 * MS));
	tap_ok(fd >= 0, "who comes then is the next one's");
	close(fd);
	close(client);
	tl_close(listener);
	all_gone("accept");
}

static void test_connect_errors(void)
{
	struct sockaddr_in addr, nowhere = { .sin_family = AF_INET, .sin_port = htons(9) };
	struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = "/tmp/tl-sockets-none" };
	int fd = tcp_listen(&addr, 1), r;

	close(fd);
	fd = tcp_socket();
	tap_is(tl_connect(fd, (struct sockaddr *)&addr, sizeof(addr)), -ECONNREFUSED, "connect: nobody listens");
	tap_is(fcntl(fd, F_GETFL) & O_NONBLOCK, 0, "the socket blocks as before");
	close(fd);
	fd = tcp_socket();
	nonblocking(fd, true);
	tap_is(tl_connect(fd, (struct sockaddr *)&addr, sizeof(addr)), -ECONNREFUSED, "... with O_NONBLOCK");
	tap_ok(fcntl(fd, F_GETFL) & O_NONBLOCK, "which it keeps");
	close(fd);
	nowhere.sin_addr.s_addr = INADDR_BROADCAST;
	fd = tcp_socket();
	r = tl_connect(fd, (struct sockaddr *)&nowhere, sizeof(nowhere));
	tap_ok(r == -ENETUNREACH || r == -EACCES, "to where no way leads (%d)", r);
	close(fd);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	tap_is(tl_connect(fd, (struct sockaddr *)&un, sizeof(un)), -ENOENT, "to a name that is none");
	tap_is(tl_connect(fd, (struct sockaddr *)&addr, sizeof(addr)), -EINVAL, "to an address of another kind");
	tap_is(tl_connect(fd, (struct sockaddr *)8, sizeof(un)), -EFAULT, "to an address that is not there");
	close(fd);
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	tap_is(tl_connect(fd, (struct sockaddr *)&addr, sizeof(addr)), -ENOTSOCK, "with what is no socket");
	close(fd);
	all_gone("connect errors");
}

/* A TCP listener whose queue is full drops whoever comes. */
static void test_connect_late(void)
{
	struct sockaddr_in addr;
	int listener = tcp_listen(&addr, 0), fd[4], i, r = 0;
	struct call c = { .kind = CONNECT, .buf = &addr, .size = sizeof(addr) };
	struct tl_task *t;

	for (i = 0; i < 4 && !r; i++) {
		fd[i] = tcp_socket();
		r = tl_connect_until(fd[i], (struct sockaddr *)&addr, sizeof(addr), tl_after(100 * MS));
	}
	tap_is(r, -ETIMEDOUT, "connect to a full listener ends by its deadline");
	while (i)
		close(fd[--i]);
	c.fd = tcp_socket();
	for (i = 0; i < 4; i++) {
		fd[i] = tcp_socket();
		tl_connect_until(fd[i], (struct sockaddr *)&addr, sizeof(addr), tl_after(20 * MS));
	}
	t = mk(fn_call, &c);
	settle();
	tl_task_kill(t);
	wait_done(&c.done);
	tap_is(c.result, -ECANCELED, "or by a kill");
	tl_task_unref(t);
	while (i)
		close(fd[--i]);
	close(c.fd);
	close(listener);
	all_gone("connect late");
}

/* The same for a Unix socket, where nothing tells when there is room. */
static void test_connect_unix(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), fd[3], peer, i;
	struct call c = { .kind = CONNECT, .buf = &un, .size = sizeof(un) }, d;
	struct tl_task *t;
	int late = 0;

	snprintf(un.sun_path, sizeof(un.sun_path), "/tmp/tl-sockets-%d", (int)getpid());
	must(listener >= 0 && !bind(listener, (struct sockaddr *)&un, sizeof(un)) && !listen(listener, 0));
	for (i = 0; i < 3; i++)
		fd[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	tap_is(tl_connect(fd[0], (struct sockaddr *)&un, sizeof(un)), 0, "a Unix listener takes one");
	/* Given up on its way to the worker thread that would wait. */
	for (i = 0; i < 20; i++)
		late += tl_connect_until(fd[1], (struct sockaddr *)&un, sizeof(un), tl_now()) == -ETIMEDOUT;
	tap_is(late, 20, "then it is full: a deadline that is over already ends it");
	c.deadline = tl_after(5 * MS);
	c.fd = fd[1];
	go(fn_call, &c);
	d = c;
	d.fd = fd[2];
	d.deadline = 0;
	d.done = false;
	t = mk(fn_call, &d);
	tap_ok(wait_done(&c.done) && c.result == -ETIMEDOUT && !d.done, "they wait, up to a deadline");
	peer = tl_accept(listener, NULL, NULL, SOCK_CLOEXEC);
	tap_ok(wait_done(&d.done) && d.result == 0, "until it accepts");
	tl_task_unref(t);
	close(peer);
	for (i = 0; i < 3; i++)
		close(fd[i]);
	close(listener);
	unlink(un.sun_path);
	all_gone("connect unix");
}

/* --- transfers --- */

struct stream {
	int fd;
	size_t done;
	bool ok, ended;
};

static int fn_drain(void *arg)
{
	struct stream *s = arg;
	char buf[20000];
	ssize_t n;

	s->ok = true;
	while ((n = tl_recv(s->fd, buf, sizeof(buf), 0)) > 0) {
		s->ok &= filled(buf, (size_t)n, s->done);
		s->done += (size_t)n;
		if (s->done % 7 == 0)
			tl_sleep(MS / 4);	/* slow */
	}
	s->ok &= n == 0;
	s->ended = true;
	return 0;
}

static void test_large(bool tcp, bool nonblock)
{
	const char *what = tcp ? nonblock ? "tcp, O_NONBLOCK" : "tcp" : nonblock ? "unix, O_NONBLOCK" : "unix";
	size_t size = 4000000;
	char *data = malloc(size);
	struct stream s = { 0 };
	int p[2];

	must(data);
	fill(data, size, 0);
	if (tcp)
		tcp_pair(p);
	else
		unix_pair(p, SOCK_STREAM);
	nonblocking(p[1], nonblock);
	s.fd = p[0];
	go(fn_drain, &s);
	tap_is(tl_send(p[1], data, size, 0), size, "%s: 4 MB in one send", what);
	tap_is(tl_shutdown(p[1], SHUT_WR), 0, "%s: shutdown", what);
	wait_done(&s.ended);
	tap_ok(s.ok && s.done == size, "%s: a slow reader gets all of it", what);
	/* Half closed: the other way still works. */
	tap_is(tl_send(p[0], "ok", 2, 0), 2, "%s: the other half works on", what);
	tap_is(tl_recv(p[1], data, 10, 0), 2, "%s: both ways", what);
	tap_is(tl_send(p[1], "x", 1, 0), -EPIPE, "%s: but not this one", what);
	tap_is(tl_write(p[1], "x", 1), -EPIPE, "%s: not by write either", what);
	close_both(p);
	free(data);
	all_gone(what);
}

/* A deadline in the middle of a send tells how much has gone out. */
static void test_send_deadline(void)
{
	size_t size = 8000000;
	char *data = malloc(size), *back = malloc(size);
	struct stream s = { 0 };
	ssize_t n;
	int p[2];

	must(data && back);
	fill(data, size, 0);
	unix_pair(p, SOCK_STREAM);
	n = tl_send_until(p[0], data, size, 0, tl_after(2 * MS));
	tap_ok(n > 0 && n < (ssize_t)size, "send up to a deadline");
	tap_is(tl_send_until(p[0], data, 1, 0, tl_after(2 * MS)), -ETIMEDOUT, "nothing by a deadline");
	tap_is(tl_send(p[0], data, 1, MSG_DONTWAIT), -EAGAIN, "MSG_DONTWAIT");
	close(p[0]);
	s.fd = p[1];
	go(fn_drain, &s);
	tl_run();
	tap_ok(s.ok && (ssize_t)s.done == n, "what it said is what has gone out");
	close(p[1]);
	free(data);
	free(back);
	all_gone("send deadline");
}

static void test_recv_flags(void)
{
	struct call c = { .kind = RECV, .flags = MSG_WAITALL };
	char buf[100] = "", late[10];
	struct iovec iov[2] = { { buf, 3 }, { buf + 3, 7 } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	int p[2];

	tcp_pair(p);
	tap_is(tl_recv(p[0], buf, 10, MSG_DONTWAIT), -EAGAIN, "MSG_DONTWAIT does not wait");
	c.fd = p[0];
	c.buf = buf;
	c.size = 10;
	go(fn_call, &c);
	settle();
	tl_send(p[1], "0123", 4, 0);
	tl_sleep(2 * MS);
	tap_ok(!c.done, "MSG_WAITALL waits for the rest");
	tl_send(p[1], "45", 2, 0);
	tl_sleep(2 * MS);
	tl_send(p[1], "6789ab", 6, 0);
	tap_ok(wait_done(&c.done) && c.result == 10 && !memcmp(buf, "0123456789", 10), "and has all");
	tap_ok(tl_recv(p[0], buf, 10, MSG_PEEK) == 2 && !memcmp(buf, "ab", 2), "MSG_PEEK");
	tap_is(tl_recv(p[0], buf, 2, 0), 2, "leaves it");

	memset(buf, 0, sizeof(buf));
	tl_send(p[1], "0123", 4, 0);
	tap_is(tl_recv_until(p[0], buf, 10, MSG_WAITALL, tl_after(3 * MS)), 4, "by its deadline it has a part");
	c.done = false;
	c.size = 5;
	go(fn_call, &c);
	settle();
	tl_send(p[1], "ab", 2, 0);
	tl_sleep(MS);
	c.buf = late;
	tl_shutdown(p[1], SHUT_WR);
	tap_ok(wait_done(&c.done) && c.result == 2, "by the end too");
	tap_is(tl_recv(p[0], buf, 10, MSG_WAITALL), 0, "and then the end");
	tl_send(p[0], "01234", 5, 0);
	c = (struct call){ .kind = SEND, .fd = p[0], .buf = "56789", .size = 5 };
	go(fn_call, &c);
	memset(buf, 0, sizeof(buf));
	tap_ok(tl_recvmsg(p[1], &msg, MSG_WAITALL) == 10 && !memcmp(buf, "0123456789", 10), "recvmsg with MSG_WAITALL");
	tap_is(tl_recv(p[1], buf, 1, MSG_OOB), -EINVAL, "MSG_OOB does not wait");
	close_both(p);
	all_gone("recv flags");
}

static int fd_of(const struct msghdr *msg)
{
	const struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	int fd = -1;

	if (c && c->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

struct receiver {
	int fd, got;
	ssize_t n;
	char buf[10];
};

static int fn_recvmsg(void *arg)
{
	char control[CMSG_SPACE(sizeof(int))];
	struct receiver *r = arg;
	struct iovec iov = { r->buf, sizeof(r->buf) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			      .msg_controllen = sizeof(control) };

	r->n = tl_recvmsg(r->fd, &msg, MSG_CMSG_CLOEXEC);
	r->got = fd_of(&msg);
	return 0;
}

static void test_rights(void)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { .buf = "" };
	struct iovec iov = { "hi", 2 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf,
			      .msg_controllen = sizeof(control.buf) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	struct receiver r;
	int p[2], q[2];

	unix_pair(p, SOCK_STREAM);
	mkpipe(q);
	r.fd = p[1];
	go(fn_recvmsg, &r);
	settle();
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &q[1], sizeof(int));
	tap_is(tl_sendmsg(p[0], &msg, 0), 2, "sendmsg with a descriptor");
	tl_run();
	tap_ok(r.n == 2 && r.got >= 0 && r.got != q[1], "recvmsg has it");
	tap_is(tl_write(r.got, "x", 1), 1, "it works");
	tap_is(tl_read(q[0], r.buf, 10), 1, "it is the pipe");
	iov.iov_base = (void *)8;
	msg.msg_controllen = 0;
	tap_is(tl_sendmsg(p[0], &msg, 0), -EFAULT, "sendmsg of memory that is not there");
	tap_is(tl_recv(p[1], r.buf, 1, MSG_DONTWAIT), -EAGAIN, "nothing is left");
	close(r.got);
	close_both(p);
	close_both(q);
	all_gone("rights");
}

static void test_datagrams(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET }, b, from;
	socklen_t len = sizeof(b);
	char buf[100] = "";
	struct iovec iov = { "0123456789", 10 }, in = { buf, sizeof(buf) };
	struct msghdr msg = { .msg_name = &b, .msg_namelen = sizeof(b), .msg_iov = &iov, .msg_iovlen = 1 };
	struct msghdr got = { .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &in, .msg_iovlen = 1 };
	int x = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), y = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	must(!bind(x, (struct sockaddr *)&a, sizeof(a)) && !bind(y, (struct sockaddr *)&a, sizeof(a)));
	must(!getsockname(y, (struct sockaddr *)&b, &len));
	tap_is(tl_sendmsg(x, &msg, 0), 10, "a datagram");
	tap_ok(tl_recvmsg(y, &got, 0) == 10 && got.msg_namelen == sizeof(from), "arrives, with where it came from");
	msg.msg_name = &from;
	tap_is(tl_sendmsg(y, &msg, 0), 10, "is answered");
	tap_is(tl_recv(x, buf, 4, 0), 4, "and cut to what there is room for");
	tap_is(tl_recv_until(x, buf, 4, 0, tl_after(MS)), -ETIMEDOUT, "the rest of it is lost");
	tap_is(tl_connect(x, (struct sockaddr *)&b, sizeof(b)), 0, "connect of a datagram socket");
	tap_is(tl_send(x, "", 0, 0), 0, "an empty one");
	tap_is(tl_recv_until(y, buf, 4, MSG_WAITALL, tl_after(1000 * MS)), 0, "arrives");
	close(y);
	tl_send(x, "x", 1, 0);
	tap_is(tl_recv_until(x, buf, 1, 0, tl_after(1000 * MS)), -ECONNREFUSED, "nobody is there any more");
	close(x);
	all_gone("datagrams");
}

struct talker {
	int fd;
	const char *name;
	int sent;
	bool done;
};

static int fn_talk(void *arg)
{
	struct talker *t = arg;
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	char buf[100] = "";
	struct iovec iov = { buf, sizeof(buf) };
	struct msghdr msg = { .msg_name = &un, .msg_namelen = sizeof(un), .msg_iov = &iov, .msg_iovlen = 1 };

	strcpy(un.sun_path, t->name);
	for (t->sent = 0; t->sent < 300; t->sent++)
		if (tl_sendmsg(t->fd, &msg, 0) != sizeof(buf))
			break;
	t->done = true;
	return 0;
}

/*
 * Unix datagrams to several places from one socket: it can always send, as poll(2) has it, but the queue of the one
 * where it wants to send to is full. That must neither hold up the others nor burn the processor.
 */
static void test_destinations(void)
{
	char name[2][64], buf[100];
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), to[2], i, n;
	struct talker t[2];
	struct timespec cpu[2];
	double burnt;

	for (i = 0; i < 2; i++) {
		to[i] = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		snprintf(name[i], sizeof(name[i]), "/tmp/tl-sockets-%d-%d", (int)getpid(), i);
		strcpy(un.sun_path, name[i]);
		must(!bind(to[i], (struct sockaddr *)&un, sizeof(un)));
		t[i] = (struct talker){ .fd = fd, .name = name[i] };
		go(fn_talk, &t[i]);
	}
	for (n = 0; n < 300 && tl_recv_until(to[1], buf, sizeof(buf), 0, tl_after(10000 * MS)) == sizeof(buf); n++)
		;
	tap_is(n, 300, "a full destination does not hold up another one");
	wait_done(&t[1].done);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu[0]);
	tl_sleep(200 * MS);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu[1]);
	burnt = (double)(cpu[1].tv_sec - cpu[0].tv_sec) + 1e-9 * (double)(cpu[1].tv_nsec - cpu[0].tv_nsec);
	tap_ok(!t[0].done && (!on_epoll() || burnt < 0.1), "the one that waits for it costs %.3f s of 0.2", burnt);
	for (n = 0; n < 300 && tl_recv_until(to[0], buf, sizeof(buf), 0, tl_after(10000 * MS)) == sizeof(buf); n++)
		;
	tap_is(n, 300, "and sends when there is room");
	all_gone("destinations");
	for (i = 0; i < 2; i++) {
		close(to[i]);
		unlink(name[i]);
	}
	close(fd);
}

struct drain {
	int fd, n;
};

static void *fn_drain_thread(void *arg)
{
	struct drain *d = arg;
	char buf[100];

	usleep(5000);
	while (d->n < 100 && recv(d->fd, buf, sizeof(buf), 0) > 0) {
		d->n++;
		usleep(200);
	}
	return NULL;
}

/* The same with nothing else that would wake the thread. */
static void test_destination_alone(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct drain d = { .fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) };
	char buf[100] = "";
	struct iovec iov = { buf, sizeof(buf) };
	struct msghdr msg = { .msg_name = &un, .msg_namelen = sizeof(un), .msg_iov = &iov, .msg_iovlen = 1 };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), i;
	pthread_t t;

	snprintf(un.sun_path, sizeof(un.sun_path), "/tmp/tl-sockets-%d", (int)getpid());
	must(d.fd >= 0 && fd >= 0 && !bind(d.fd, (struct sockaddr *)&un, sizeof(un)));
	must(!pthread_create(&t, NULL, fn_drain_thread, &d));
	for (i = 0; i < 100; i++)
		if (tl_sendmsg(fd, &msg, 0) != sizeof(buf))
			break;
	tap_is(i, 100, "a full destination that another thread drains");
	if (i < 100)
		shutdown(d.fd, SHUT_RDWR);
	pthread_join(t, NULL);
	close(fd);
	close(d.fd);
	unlink(un.sun_path);
	all_gone("destination alone");
}

/* --- several on one --- */

static void test_several(void)
{
	bool fifo = on_epoll(), ok = true;
	char buf[6][4];
	struct call c[6];
	int p[2], i, n = 0;

	unix_pair(p, SOCK_DGRAM);
	for (i = 0; i < 6; i++) {
		c[i] = (struct call){ .kind = RECV, .fd = p[0], .buf = buf[i], .size = 4 };
		go(fn_call, &c[i]);
	}
	settle();
	for (i = 0; i < 6; i++)
		tl_send(p[1], &"abcdef"[i], 1, 0);
	tl_run();
	for (i = 0; i < 6; i++) {
		ok &= c[i].result == 1 && (!fifo || buf[i][0] == 'a' + i);
		n |= 1 << (buf[i][0] - 'a');
	}
	tap_ok(ok && n == 0x3f, "six readers of one socket get one message each%s", fifo ? ", in turn" : "");
	close_both(p);
	all_gone("several");
}

/* Readers and writers of one socket, both blocked at a time. */
static void test_both_ways(void)
{
	static char data[2][1000000];
	struct stream s[2] = { { 0 } };
	struct call c[2];
	int p[2], i, size = 20000;

	tcp_pair(p);
	for (i = 0; i < 2; i++) {
		must(!setsockopt(p[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)));
		must(!setsockopt(p[i], SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)));
		fill(data[i], sizeof(data[i]), 0);
		s[i].fd = p[i];
		c[i] = (struct call){ .kind = SEND, .fd = p[i], .buf = data[i], .size = sizeof(data[i]) };
		go(fn_call, &c[i]);
	}
	settle();
	tap_ok(!c[0].done && !c[1].done, "both ends send until both buffers are full");
	go(fn_drain, &s[0]);
	go(fn_drain, &s[1]);
	wait_done(&c[0].done);
	wait_done(&c[1].done);
	tl_shutdown(p[0], SHUT_WR);
	tl_shutdown(p[1], SHUT_WR);
	tl_run();
	tap_ok(s[0].ok && s[1].ok && s[0].done == sizeof(data[0]) && s[1].done == sizeof(data[1]),
	       "then both are read, each waiting in both directions at times");
	close_both(p);
	all_gone("both ways");
}

static void test_close_under(void)
{
	char buf[3][10];
	struct call c[3], w = { .kind = POLL, .flags = POLLPRI };
	int p[2], i, fd;
	bool ok = true;

	tcp_pair(p);
	for (i = 0; i < 3; i++) {
		c[i] = (struct call){ .kind = RECV, .fd = p[0], .buf = buf[i], .size = 10 };
		go(fn_call, &c[i]);
	}
	w.fd = p[0];
	go(fn_call, &w);
	settle();
	tap_is(tl_close(p[0]), 0, "close under three readers and a poll");
	tl_run();
	for (i = 0; i < 3; i++)
		ok &= c[i].done && c[i].result == -ECANCELED;
	tap_ok(ok && w.result == -ECANCELED, "they get -ECANCELED");
	tap_is(tl_recv_until(p[1], buf[0], 1, 0, tl_after(5000 * MS)), 0, "the peer sees the end");
	close(p[1]);

	/* What one has got already is not lost by it. */
	tcp_pair(p);
	c[0] = (struct call){ .kind = RECV, .fd = p[0], .buf = buf[0], .size = 10, .flags = MSG_WAITALL };
	go(fn_call, &c[0]);
	tl_send(p[1], "abcd", 4, 0);
	tl_sleep(2 * MS);
	tl_close(p[0]);
	tl_run();
	tap_is(c[0].result, 4, "close under one that has got a part");
	close(p[1]);

	/* shutdown() wakes them too, with the end. */
	tcp_pair(p);
	for (i = 0; i < 3; i++) {
		c[i] = (struct call){ .kind = RECV, .fd = p[0], .buf = buf[i], .size = 10, .result = 77 };
		go(fn_call, &c[i]);
	}
	settle();
	tap_is(tl_shutdown(p[0], SHUT_RDWR), 0, "shutdown under three readers");
	tl_run();
	tap_ok(!c[0].result && !c[1].result && !c[2].result, "they get the end");
	close_both(p);

	/* A reset. */
	tcp_pair(p);
	c[0] = (struct call){ .kind = RECV, .fd = p[0], .buf = buf[0], .size = 10 };
	go(fn_call, &c[0]);
	settle();
	must(!setsockopt(p[1], SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 }, sizeof(struct linger)));
	tap_is(tl_close(p[1]), 0, "close with a reset");
	tl_run();
	tap_is(c[0].result, -ECONNRESET, "the other one reads so");
	close(p[0]);

	/* A peer that lingers for ever. */
	tcp_pair(p);
	must(!setsockopt(p[1], SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 1 }, sizeof(struct linger)));
	c[0] = (struct call){ .kind = CLOSE, .fd = p[1] };
	tl_send(p[1], "x", 1, 0);
	go(fn_call, &c[0]);
	fd = (int)tl_recv(p[0], buf[0], 10, 0);
	tap_ok(fd == 1 && wait_done(&c[0].done), "close of a socket that lingers");
	close(p[0]);
	all_gone("close under");
}

/* The program closes with close(2) and opens again: the number is the same, the socket another. */
static void test_reuse(void)
{
	struct call c = { .kind = RECV };
	int p[2], q[2], i, fd;
	char buf[10];
	bool ok = true;

	for (i = 0; i < 20; i++) {
		unix_pair(p, SOCK_STREAM);
		c = (struct call){ .kind = RECV, .fd = p[0], .buf = buf, .size = 10 };
		go(fn_call, &c);
		settle();
		tl_send(p[1], "x", 1, 0);
		ok &= wait_done(&c.done) && c.result == 1;
		fd = p[0];
		if (i % 2) {	/* somebody else keeps the old one open, and readable */
			q[0] = dup(p[0]);
			q[1] = p[1];
			tl_send(q[1], "x", 1, 0);
			close(p[0]);
			unix_pair(p, SOCK_STREAM);
			ok &= p[0] == fd;
			c.done = false;
			go(fn_call, &c);
			settle();
			ok &= !c.done;
			tl_send(p[1], "yz", 2, 0);
			ok &= wait_done(&c.done) && c.result == 2;
			close_both(q);
		}
		close_both(p);
	}
	tap_ok(ok, "descriptors that are closed by close(2) and used again");
	all_gone("reuse");
}

/* Lines about descriptors in those of all epoll sets. */
static int count_registered(void)
{
	char path[64], line[200];
	int n = 0, fd;
	FILE *f;

	for (fd = 0; fd < 100; fd++) {
		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
		f = fopen(path, "re");
		while (f && fgets(line, sizeof(line), f))
			n += !strncmp(line, "tfd:", 4);
		if (f)
			fclose(f);
	}
	return n;
}

/* A socket that somebody else keeps open leaves the set with its descriptor. */
static void test_registered(void)
{
	struct call c = { .kind = RECV };
	int p[2], before, copy;
	char buf[10];

	unix_pair(p, SOCK_STREAM);
	before = count_registered();
	c = (struct call){ .kind = RECV, .fd = p[0], .buf = buf, .size = 10 };
	go(fn_call, &c);
	settle();
	copy = dup(p[0]);
	tl_close(p[0]);
	tap_is(count_registered(), before, "a closed socket is not waited for");
	close(copy);
	close(p[1]);
	all_gone("registered");
}

static void test_poll(void)
{
	struct call c = { .kind = POLL, .flags = POLLIN }, d = { .kind = POLL, .flags = POLLIN };
	static char data[10000000];
	struct tl_task *t;
	char buf[10];
	int p[2], r;

	unix_pair(p, SOCK_STREAM);
	tap_is(tl_poll(p[0], POLLOUT), POLLOUT, "poll: writable");
	tap_is(tl_poll(p[0], POLLIN | POLLOUT), POLLOUT, "poll: one of two");
	tap_is(tl_poll_until(p[0], POLLIN, tl_after(MS)), -ETIMEDOUT, "poll: not readable");
	c.fd = d.fd = p[0];
	go(fn_call, &c);
	go(fn_call, &d);
	settle();
	tl_send(p[1], "x", 1, 0);
	tl_run();
	tap_ok(c.result == POLLIN && d.result == POLLIN, "poll: two wait, both are told");
	tap_is(tl_poll(p[0], POLLIN), POLLIN, "poll: still readable");
	tap_is(tl_recv(p[0], buf, 10, 0), 1, "nothing was taken");
	c.done = false;
	t = mk(fn_call, &c);
	settle();
	tl_task_kill(t);
	tap_ok(wait_done(&c.done) && c.result == -ECANCELED, "poll: killed");
	tl_task_unref(t);

	tl_send_until(p[0], data, sizeof(data), 0, tl_after(MS));
	c = (struct call){ .kind = POLL, .flags = POLLOUT, .fd = p[0] };
	go(fn_call, &c);
	settle();
	tap_ok(!c.done, "poll: a full socket");
	while (tl_recv(p[1], data, sizeof(data), MSG_DONTWAIT) > 0)
		;
	tap_ok(wait_done(&c.done) && c.result == POLLOUT, "poll: until it is drained");
	close(p[1]);
	r = tl_poll(p[0], POLLIN);
	tap_ok((r & POLLIN) && (r & POLLHUP), "poll: the end (%#x)", (unsigned int)r);
	r = tl_poll(p[0], 0);
	tap_ok(r & POLLHUP, "poll: for nothing, which is enough for the end");
	close(p[0]);
	all_gone("poll");
}

/* What read(2) and write(2) do with sockets. */
static void test_read_write(void)
{
	struct call c = { .kind = READ };
	char buf[10];
	int p[2];

	tcp_pair(p);
	nonblocking(p[0], true);
	c.fd = p[0];
	c.buf = buf;
	c.size = 10;
	go(fn_call, &c);
	settle();
	tap_ok(!c.done, "read of a socket waits, O_NONBLOCK or not");
	tap_is(tl_write(p[1], "abc", 3), 3, "write to a socket");
	tap_ok(wait_done(&c.done) && c.result == 3, "it reads");
	tap_is(tl_pread_until(p[0], buf, 1, 0, tl_after(MS)), -ESPIPE, "not at an offset");
	tap_is(tl_pwrite_until(p[0], buf, 1, 0, tl_after(MS)), -ESPIPE, "nor write");
	close(p[1]);
	tap_is(tl_read(p[0], buf, 1), 0, "the end");
	close(p[0]);
	all_gone("read and write");
}

/* A kill crosses with what arrives: nothing is lost between two readers. */
static void test_kill(void)
{
	uint64_t rnd = tap_seed();
	int p[2], round, lost = 0;
	struct call c;
	struct tl_task *t;
	char buf[10], in;

	unix_pair(p, SOCK_STREAM);
	for (round = 0; round < 300; round++) {
		in = (char)round;
		c = (struct call){ .kind = RECV, .fd = p[0], .buf = buf, .size = 1 };
		t = mk(fn_call, &c);
		if (tap_random(&rnd) % 2)
			settle();
		must(send(p[1], &in, 1, 0) == 1);
		if (tap_random(&rnd) % 2)
			tl_schedule();
		tl_task_kill(t);
		if (tl_task_is_alive(t))
			wait_done(&c.done);
		tl_task_unref(t);
		if (c.result == -ECANCELED || !c.done)	/* never begun */
			lost += tl_recv(p[0], buf, 1, MSG_DONTWAIT) != 1;
		lost += buf[0] != in;
	}
	tap_is(lost, 0, "300 kills that cross with data: none is lost");
	close_both(p);
	all_gone("kill");
}

int main(void)
{
	iotest_begin(147);
	test_echo();
	test_accept();
	test_connect_errors();
	test_connect_late();
	test_connect_unix();
	test_large(true, false);
	test_large(true, true);
	test_large(false, false);
	test_large(false, true);
	test_send_deadline();
	test_recv_flags();
	test_rights();
	test_datagrams();
	test_destinations();
	test_destination_alone();
	test_several();
	test_both_ways();
	test_close_under();
	test_reuse();
	test_registered();
	test_poll();
	test_read_write();
	test_kill();
	return iotest_end();
}
