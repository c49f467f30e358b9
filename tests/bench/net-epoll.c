/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Floors: an echo and an HTTP server as plain level-triggered epoll loops, with
 * one recv and one send a request and nothing else in between. This is the
 * fastest of the simple forms: edge-triggered needs a second recv to see
 * EAGAIN, and re-arming needs a third system call.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net.h"

#define EVENTS 512
#define BUFFER 4096

struct conn {
	int fd;
	struct net_http http;
};

/* Returns false when the connection is over. */
typedef bool talk_fn(struct conn *conn);

/* The answers are far smaller than a socket's buffer: short means broken. */
static bool send_all(int fd, const char *data, size_t size)
{
	return send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL) ==
	       (ssize_t)size;
}

static bool talk_echo(struct conn *conn)
{
	char buf[BUFFER];
	ssize_t n = recv(conn->fd, buf, sizeof(buf), MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN;
	return n > 0 && send_all(conn->fd, buf, (size_t)n);
}

static bool talk_http(struct conn *conn)
{
	struct net_http *http = &conn->http;
	const char *answer;
	size_t size;
	ssize_t n = recv(conn->fd, http->buf + http->len,
			 sizeof(http->buf) - http->len, MSG_DONTWAIT);
	int r;

	if (n < 0)
		return errno == EAGAIN;
	if (!n)
		return false;
	r = net_http_feed(http, (size_t)n, &answer, &size);
	if (r <= 0)
		return r == 0;
	return send_all(conn->fd, answer, size) && http->keep_alive;
}

/* One at a time: a second accept to see EAGAIN costs more than another round. */
static void accept_one(int epoll, int listener)
{
	struct epoll_event event = { .events = EPOLLIN };
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct conn *conn;

	if (fd < 0)
		return;
	conn = malloc(sizeof(*conn));
	if (!conn)
		abort();
	conn->fd = fd;
	net_http_init(&conn->http);
	event.data.ptr = conn;
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
		abort();
}

static void serve(int listener, talk_fn *talk)
{
	struct epoll_event events[EVENTS];
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };
	int epoll = epoll_create1(EPOLL_CLOEXEC), n, i;
	struct conn *conn;

	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event))
		abort();
	for (;;) {
		n = epoll_wait(epoll, events, EVENTS, -1);
		for (i = 0; i < n; i++) {
			conn = events[i].data.ptr;
			if (!conn) {
				accept_one(epoll, listener);
			} else if (!talk(conn)) {
				close(conn->fd);
				free(conn);
			}
		}
	}
}

void net_epoll_echo(int listener)
{
	serve(listener, talk_echo);
}

void net_epoll_http(int listener)
{
	net_http_setup();
	serve(listener, talk_http);
}
