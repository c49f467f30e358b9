/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The load: a closed loop over a number of connections, a given number of
 * requests, every answer checked. A connection that has its answer asks again
 * at once, so the order of events is the server's doing and not the client's.
 *
 * What an answer must be is learned from the first one, which is taken apart;
 * those after it must have its length, a good status line and the body.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"
#include "net.h"

#define EVENTS 512
#define PATIENCE_MS 5000
#define ANSWER_MAX 1024
#define BODY_SIZE (sizeof(NET_BODY) - 1)

static const char get[] = "GET " NET_PATH " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
static const char get_close[] = "GET " NET_PATH " HTTP/1.1\r\n"
				"Host: 127.0.0.1\r\nConnection: close\r\n\r\n";

struct conn {
	int fd;
	size_t got;
	uint64_t asked[NET_ECHO_SIZE / sizeof(uint64_t)];
	char answer[ANSWER_MAX];
};

struct net_client {
	enum net_kind kind;
	uint16_t port;
	int epoll;
	unsigned int count;
	unsigned long asked, answered, goal;
	size_t answer_size;	/* 0: not known yet */
	struct conn conns[];
};

static int ask(struct net_client *client, struct conn *conn)
{
	const void *data = client->kind == NET_HTTP ? get : get_close;
	size_t size = client->kind == NET_HTTP ? sizeof(get) - 1 :
						 sizeof(get_close) - 1;
	size_t i;

	client->asked++;
	conn->got = 0;
	if (client->kind == NET_ECHO) {
		data = conn->asked;
		size = sizeof(conn->asked);
		for (i = 0; i < size / sizeof(uint64_t); i++)
			conn->asked[i] = client->asked * 8 + i;
	}
	if (send(conn->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL) !=
	    (ssize_t)size)
		return (int)bench_skip("sending a request: %s",
				       strerror(errno));
	return 0;
}

static int connect_one(struct net_client *client, struct conn *conn)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons(client->port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = conn };
	int one = 1;

	conn->got = 0;
	conn->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (conn->fd < 0)
		return (int)bench_skip("socket: %s", strerror(errno));
	setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	/* On the loopback it is through when the call returns: no waiting. */
	if (connect(conn->fd, (struct sockaddr *)&to, sizeof(to)))
		return (int)bench_skip("connect: %s", strerror(errno));
	if (epoll_ctl(client->epoll, EPOLL_CTL_ADD, conn->fd, &event))
		return (int)bench_skip("epoll_ctl: %s", strerror(errno));
	return 0;
}

/* Takes the first answer apart. Returns its size, 0 if it is not complete. */
static size_t learn(const struct conn *conn)
{
	static const char field[] = "\r\nContent-Length: ";
	const char *end = memmem(conn->answer, conn->got, "\r\n\r\n", 4);
	const char *length;

	if (!end)
		return 0;
	length = memmem(conn->answer, (size_t)(end - conn->answer), field,
			sizeof(field) - 1);
	if (!length || strtoul(length + sizeof(field) - 1, NULL, 10) !=
			       BODY_SIZE)
		return 0;
	return (size_t)(end + 4 - conn->answer) + BODY_SIZE;
}

/* Returns 1 if the answer is complete, 0 if more is to come, or -1. */
static int check(struct net_client *client, const struct conn *conn)
{
	static const char status[] = "HTTP/1.1 200 ";

	if (client->kind == NET_ECHO) {
		if (conn->got < sizeof(conn->asked))
			return 0;
		return conn->got == sizeof(conn->asked) &&
		       !memcmp(conn->asked, conn->answer, conn->got) ? 1 : -1;
	}
	if (!client->answer_size)
		client->answer_size = learn(conn);
	if (!client->answer_size || conn->got < client->answer_size)
		return 0;
	return conn->got == client->answer_size &&
	       !memcmp(conn->answer, status, sizeof(status) - 1) &&
	       !memcmp(conn->answer + conn->got - BODY_SIZE, NET_BODY,
		       BODY_SIZE) ? 1 : -1;
}

static int bad_answer(struct conn *conn)
{
	conn->answer[conn->got < ANSWER_MAX ? conn->got : ANSWER_MAX - 1] = 0;
	return (int)bench_skip("wrong answer from the server: %.80s",
			       conn->answer);
}

static int answered(struct net_client *client, struct conn *conn)
{
	client->answered++;
	if (client->kind == NET_HTTP_CLOSE) {
		close(conn->fd);
		conn->fd = -1;
		if (client->asked == client->goal)
			return 0;
		if (connect_one(client, conn))
			return -1;
	}
	return client->asked < client->goal ? ask(client, conn) : 0;
}

static int readable(struct net_client *client, struct conn *conn)
{
	ssize_t n = recv(conn->fd, conn->answer + conn->got,
			 sizeof(conn->answer) - conn->got, MSG_DONTWAIT);
	int r;

	if (n < 0)
		return errno == EAGAIN ? 0 : (int)bench_skip("recv: %s",
							     strerror(errno));
	conn->got += (size_t)n;
	r = check(client, conn);
	if (r < 0)
		return bad_answer(conn);
	/* Without keep-alive the server's close is part of the answer. */
	if (client->kind == NET_HTTP_CLOSE ? !n && r : n && r)
		return answered(client, conn);
	return n ? 0 : (int)bench_skip("the server closed a connection");
}

struct net_client *net_client_open(enum net_kind kind, unsigned int connections,
				   uint16_t port)
{
	struct net_client *client;
	unsigned int i;

	client = calloc(1, sizeof(*client) +
				   connections * sizeof(struct conn));
	if (!client) {
		bench_skip("out of memory");
		return NULL;
	}
	client->kind = kind;
	client->port = port;
	client->count = connections;
	client->epoll = epoll_create1(EPOLL_CLOEXEC);
	for (i = 0; i < connections; i++)
		client->conns[i].fd = -1;
	for (i = 0; i < connections && kind != NET_HTTP_CLOSE; i++)
		if (connect_one(client, &client->conns[i])) {
			net_client_close(client);
			return NULL;
		}
	return client;
}

void net_client_close(struct net_client *client)
{
	unsigned int i;

	if (!client)
		return;
	for (i = 0; i < client->count; i++)
		if (client->conns[i].fd >= 0)
			close(client->conns[i].fd);
	close(client->epoll);
	free(client);
}

int net_client_run(struct net_client *client, unsigned long requests)
{
	struct epoll_event events[EVENTS];
	unsigned int i;
	int n;

	client->asked = client->answered = 0;
	client->goal = requests;
	for (i = 0; i < client->count && client->asked < requests; i++) {
		if (client->kind == NET_HTTP_CLOSE &&
		    connect_one(client, &client->conns[i]))
			return -1;
		if (ask(client, &client->conns[i]))
			return -1;
	}
	while (client->answered < requests) {
		n = epoll_wait(client->epoll, events, EVENTS, PATIENCE_MS);
		if (!n)
			return (int)bench_skip("no answer for %d s",
					       PATIENCE_MS / 1000);
		while (n-- > 0)
			if (readable(client, events[n].data.ptr))
				return -1;
	}
	return 0;
}
