/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A connection of the HTTP server: its buffers, and IO that looks as if it
 * blocked. It lies on the stack of the tasklet, or thread, that serves it.
 *
 * Invariants: the head being parsed lies in one piece at in[head]; bytes before
 * in[pos] have been parsed; what is in out[] goes out before the tasklet waits
 * for anything else, and is otherwise held back so that the answers to requests
 * that came together leave together.
 *
 * No call here arms a timer. A connection only notes in which phase it is and
 * since which tick of the server's clock; the server's reaper looks at that
 * once a tick and makes the call that a late one is in fail with -ETIMEDOUT
 * (server.c).
 */
#ifndef TL_HTTP_CONN_H
#define TL_HTTP_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "base/list.h"
#include "request.h"

struct server;
struct work;
struct tl_task;

enum conn_phase {
	CONN_IDLE,	/* between requests */
	CONN_HEAD,	/* a head has begun to come in */
	CONN_BODY,
	CONN_WORK,	/* in a handler: no limit */
	CONN_SEND,
	CONN_LINGER,	/* waiting for the peer to have read the last answer */
	CONN_PHASES,
};

/* Answers of a few hundred bytes; a page holds them and the head's begin. */
#define CONN_OUT_SIZE 2048

struct conn;

/*
 * What a connection waits with; all return what tl_recv() and its kin return.
 * send() takes all of it, or fails.
 */
struct conn_io {
	ssize_t (*recv)(struct conn *c, void *buf, size_t size);
	ssize_t (*send)(struct conn *c, const void *buf, size_t size);
	ssize_t (*sendmsg)(struct conn *c, const struct msghdr *msg);
	int (*shutdown)(struct conn *c, int how);
	int (*sleep)(struct conn *c, uint64_t ns);
	void (*compute)(struct conn *c);	/* for each request; or NULL */
};

struct conn {
	struct http_request request;
	struct server *server;
	const struct conn_io *io;
	struct tl_task *task;	/* NULL: a thread, */
	struct work *work;	/* and what that computes */
	struct tl__list link;	/* in server->conns */
	int fd;
	uint32_t since;		/* the tick at which the phase began */
	enum conn_phase phase;
	bool late;		/* the reaper has seen to it */
	uint32_t head, pos, len;
	uint32_t out_len;
	char out[CONN_OUT_SIZE];
	char in[HTTP_HEAD_MAX];
};

void conn_set_phase(struct conn *c, enum conn_phase phase);

/*
 * The next request's head, and its body if that came along. Returns 0, and then
 * request.status is not 0 if it is one to be refused; 1 if the peer has closed
 * its side; or -errno.
 */
int conn_next_request(struct conn *c);

/* The rest of the request: its body. Returns as conn_next_request(). */
int conn_read_body(struct conn *c);

/*
 * Puts bytes out, or sends them if there is no room. @data may be reused at
 * once. Returns 0 or -errno.
 */
int conn_put(struct conn *c, const void *data, size_t len);
int conn_printf(struct conn *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Sends what is held back. Returns 0 or -errno. */
int conn_flush(struct conn *c);

/*
 * After an answer that the peer may not expect yet: says that it was the last
 * one and takes in what still comes. To close right away would make the peer's
 * kernel throw the answer away (RFC 9112, 9.6).
 */
void conn_linger(struct conn *c);

#endif
