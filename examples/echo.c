/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A TCP echo server and its clients in one process, on one thread. It shows a
 * listener, one tasklet a connection, and code that reads as if each of them had
 * a thread of its own.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <tasklet/tasklet.h>

#define CLIENTS 50
#define ROUNDS 20

static int served, answered;

/* Echoes one connection until its peer has said all. */
static int session(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char buf[256];
	ssize_t r;

	while ((r = tl_recv(fd, buf, sizeof(buf), 0)) > 0) {
		r = tl_send(fd, buf, (size_t)r, 0);
		if (r < 0)
			break;
	}
	tl_close(fd);
	served++;
	return (int)r;
}

static int server(void *arg)
{
	struct tl_listener *listener = arg;
	int fd, r;

	while ((fd = tl_listener_accept(listener)) >= 0) {
		r = tl_spawn(NULL, session, (void *)(intptr_t)fd);
		if (r) {
			tl_close(fd);
			return r;
		}
	}
	return fd == -EPIPE ? 0 : fd;	/* the listener was freed */
}

static int converse(int fd, const struct sockaddr_in *addr)
{
	char line[64], answer[64];
	int i, len, r;
	ssize_t n;

	r = tl_connect(fd, (const struct sockaddr *)addr, sizeof(*addr));
	for (i = 0; i < ROUNDS && !r; i++) {
		len = snprintf(line, sizeof(line), "client %d, line %d\n", fd,
			       i);
		n = tl_send(fd, line, (size_t)len, 0);
		if (n == len)
			n = tl_read_full(fd, answer, (size_t)len, NULL);
		if (n < 0)
			r = (int)n;
		else if (n != len || memcmp(line, answer, (size_t)len) != 0)
			r = -EPROTO;
	}
	return r;
}

static int client(void *arg)
{
	int fd, r;

	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	r = converse(fd, arg);
	tl_close(fd);
	answered += r == 0;
	return r;
}

int main(void)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	socklen_t len = sizeof(addr);
	struct tl_listener *listener;
	int fd, i, r;

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) ||
	    listen(fd, CLIENTS) ||
	    getsockname(fd, (struct sockaddr *)&addr, &len) ||
	    tl_listener_new(&listener, fd, SOCK_CLOEXEC) ||
	    tl_spawn(NULL, server, listener))
		return 1;
	for (i = 0; i < CLIENTS; i++)
		if (tl_spawn(NULL, client, &addr))
			return 1;

	while (served < CLIENTS && tl_sleep(UINT64_C(1000000)) == 0)
		;
	tl_listener_free(listener);
	r = tl_run();
	tl_close(fd);
	printf("%d connections served, %d answered rightly\n", served,
	       answered);
	return r || served != CLIENTS || answered != CLIENTS || tl_sched_end();
}
