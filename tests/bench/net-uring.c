/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A floor: an HTTP server as a plain io_uring loop. A one-shot receive into the
 * connection's buffer, then a send, everything of a round submitted in the call
 * that waits for the next one: the operations that a tasklet asks for, without
 * tasklets.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <liburing.h>

#include "net.h"

#define ENTRIES 1024
#define COMPLETIONS 8192

struct conn {
	int fd;
	bool sending;
	size_t sent_size;
	struct net_http http;
};

static struct io_uring ring;

static struct io_uring_sqe *get_sqe(void)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	if (!sqe) {
		io_uring_submit(&ring);
		sqe = io_uring_get_sqe(&ring);
	}
	if (!sqe)
		abort();
	return sqe;
}

static void ask_accept(int listener)
{
	struct io_uring_sqe *sqe = get_sqe();

	io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC);
	io_uring_sqe_set_data(sqe, NULL);
}

static void ask_recv(struct conn *conn)
{
	struct io_uring_sqe *sqe = get_sqe();
	struct net_http *http = &conn->http;

	conn->sending = false;
	io_uring_prep_recv(sqe, conn->fd, http->buf + http->len,
			   sizeof(http->buf) - http->len, 0);
	io_uring_sqe_set_data(sqe, conn);
}

static void ask_send(struct conn *conn, const char *data, size_t size)
{
	struct io_uring_sqe *sqe = get_sqe();

	conn->sending = true;
	conn->sent_size = size;
	io_uring_prep_send(sqe, conn->fd, data, size, MSG_NOSIGNAL);
	io_uring_sqe_set_data(sqe, conn);
}

static void end(struct conn *conn)
{
	close(conn->fd);
	free(conn);
}

static void accepted(int listener, const struct io_uring_cqe *cqe)
{
	struct conn *conn;

	if (!(cqe->flags & IORING_CQE_F_MORE))
		ask_accept(listener);
	if (cqe->res < 0)
		return;
	conn = malloc(sizeof(*conn));
	if (!conn)
		abort();
	conn->fd = cqe->res;
	net_http_init(&conn->http);
	ask_recv(conn);
}

static void received(struct conn *conn, int result)
{
	const char *answer;
	size_t size;
	int r;

	if (result <= 0) {
		end(conn);
		return;
	}
	r = net_http_feed(&conn->http, (size_t)result, &answer, &size);
	if (r > 0)
		ask_send(conn, answer, size);
	else if (!r)
		ask_recv(conn);
	else
		end(conn);
}

static void done(struct conn *conn, int result)
{
	if (!conn->sending)
		received(conn, result);
	else if (result == (int)conn->sent_size && conn->http.keep_alive)
		ask_recv(conn);
	else
		end(conn);
}

void net_uring_http(int listener)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_DEFER_TASKRUN |
			 IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_SUBMIT_ALL |
			 IORING_SETUP_CQSIZE,
		.cq_entries = COMPLETIONS,
	};
	struct io_uring_cqe *cqe;
	unsigned int head, seen;
	int r = io_uring_queue_init_params(ENTRIES, &ring, &params);

	if (r) {
		fprintf(stderr, "bench: io_uring: %s\n", strerror(-r));
		_exit(1);
	}
	net_http_setup();
	ask_accept(listener);
	for (;;) {
		r = io_uring_submit_and_wait(&ring, 1);
		if (r < 0 && r != -EINTR)
			abort();
		seen = 0;
		io_uring_for_each_cqe(&ring, head, cqe) {
			if (io_uring_cqe_get_data(cqe))
				done(io_uring_cqe_get_data(cqe), cqe->res);
			else
				accepted(listener, cqe);
			seen++;
		}
		io_uring_cq_advance(&ring, seen);
	}
}
