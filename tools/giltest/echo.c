/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The echo measurement, on the side of the measured program; echo.h says what it
 * is for, echo-client.c has the other side.
 */
#include "echo.h"

#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "echo-client.h"

/* A UDP socket on loopback, and its address. */
static int make_socket(struct sockaddr_in *addr)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), r;
	socklen_t len = sizeof(*addr);

	if (fd < 0)
		return -errno;
	memset(addr, 0, sizeof(*addr));
	addr->sin_family = AF_INET;
	addr->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (!bind(fd, (struct sockaddr *)addr, sizeof(*addr)) &&
	    !getsockname(fd, (struct sockaddr *)addr, &len))
		return fd;
	r = -errno;
	close(fd);
	return r;
}

/* Two sockets that hear each other and nobody else. */
static int make_sockets(int fd[2])
{
	struct sockaddr_in addr[2];
	int i, r;

	for (i = 0; i < 2; i++) {
		fd[i] = make_socket(&addr[i]);
		if (fd[i] < 0) {
			r = fd[i];
			if (i)
				close(fd[0]);
			return r;
		}
	}
	if (!connect(fd[0], (struct sockaddr *)&addr[1], sizeof(addr[1])) &&
	    !connect(fd[1], (struct sockaddr *)&addr[0], sizeof(addr[0])))
		return 0;
	r = -errno;
	close(fd[0]);
	close(fd[1]);
	return r;
}

static int start_client(struct echo *e, int client_socket)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	e->client = fork();
	if (!e->client) {
		close(pair[0]);
		close(e->server);
		echo_client(client_socket, pair[1], e->shared);
	}
	close(pair[1]);
	if (e->client > 0) {
		e->control = pair[0];
		return 0;
	}
	close(pair[0]);
	return -errno;
}

int echo_open(struct echo *e)
{
	int fd[2], r;

	memset(e, 0, sizeof(*e));
	e->shared = mmap(NULL, sizeof(*e->shared), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (e->shared == MAP_FAILED)
		return -errno;
	r = make_sockets(fd);
	if (!r) {
		e->server = fd[0];
		r = start_client(e, fd[1]);
		close(fd[1]);
		if (r)
			close(fd[0]);
	}
	if (r)
		munmap(e->shared, sizeof(*e->shared));
	return r;
}

void echo_close(struct echo *e)
{
	/* The end of this is the end of the client. */
	close(e->control);
	close(e->server);
	while (waitpid(e->client, NULL, 0) < 0 && errno == EINTR)
		;
	munmap(e->shared, sizeof(*e->shared));
}

int echo_pin(struct echo *e, const void *set, size_t size)
{
	return sched_setaffinity(e->client, size, set) ? -errno : 0;
}

void echo_prepare(struct echo *e)
{
	e->run++;
}

int echo_begin(struct echo *e, const struct echo_order *order)
{
	struct echo_order o = *order;

	o.run = e->run;
	return send(e->control, &o, sizeof(o), MSG_NOSIGNAL) == sizeof(o) ?
		       0 : -EPIPE;
}

void echo_hurry(struct echo *e)
{
	/* relaxed: a number, and nothing behind it */
	atomic_store_explicit(&e->shared->hurry, e->run, memory_order_relaxed);
}

int echo_end(struct echo *e, struct echo_report *report,
	     struct tl_hist *latency)
{
	ssize_t n;

	do {
		n = recv(e->control, report, sizeof(*report), 0);
	} while (n < 0 && errno == EINTR);
	if (n != sizeof(*report))
		return -EPIPE;
	return report->error ? report->error :
			       tl_hist_merge(latency, &e->shared->latency);
}

int echo_receive(int fd, uint32_t run, char request[ECHO_SIZE])
{
	struct echo_packet p;
	ssize_t n;

	do {
		n = recv(fd, request, ECHO_SIZE, 0);
		if (n < 0 && errno != EINTR && errno != ECONNREFUSED)
			return -errno;
		if (!n)
			return 0;	/* echo_break() */
		memcpy(&p, request, sizeof(p));
	} while (n != sizeof(p) || p.run != run);
	if (p.seq != ECHO_BYE)
		return (int)n;
	/* So that it need not say it again; it does if this is lost. */
	(void)echo_answer(fd, request, (int)n);
	return 0;
}

int echo_answer(int fd, const char *request, int len)
{
	ssize_t n = send(fd, request, (size_t)len, MSG_NOSIGNAL);

	return n == len ? 0 : n < 0 ? -errno : -EIO;
}

void echo_break(struct echo *e)
{
	shutdown(e->server, SHUT_RDWR);
}
