/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The HTTP server: what all of its connections share.
 *
 * All of it belongs to one thread, or to whoever holds the GIL of its threads
 * (threads.h); nothing else is locked.
 */
#ifndef TL_HTTP_SERVER_H
#define TL_HTTP_SERVER_H

#include <stddef.h>
#include <stdint.h>

#include "conn.h"

struct tl_chan;
struct tl_listener;
struct pool;

/* What can go wrong on a connection, besides what a status says. */
enum server_fault {
	FAULT_RESET,		/* a send or receive failed */
	FAULT_TRUNCATED,	/* the peer closed in the middle of a request */
	FAULT_SLOW_READER,	/* did not take its answer */
	FAULT_ACCEPT,
	FAULT_SPAWN,
	FAULT_KINDS,
};

#define HTTP_STATUSES 600

struct server_counters {
	uint64_t requests;	/* answered, well or not */
	uint64_t connections;	/* accepted */
	uint64_t open, open_max;
	uint64_t idle_closed;
	uint64_t killed;	/* closed because the server stopped */
	uint64_t faults[FAULT_KINDS];
	uint64_t status[HTTP_STATUSES];	/* of those that are errors */
};

/* A response that is ready to be sent, of each way to say what comes next. */
enum reply_kind {
	REPLY_PLAIN,		/* HTTP/1.1: the connection goes on */
	REPLY_KEEP_ALIVE,	/* HTTP/1.0: it goes on, as was asked for */
	REPLY_CLOSE,
	REPLY_KINDS,
};

struct reply {
	char *text;		/* head and body */
	size_t head_len, len;
	char *date;		/* in text */
};

struct server_config {
	const char *address;
	uint16_t port;
	uint64_t max_connections;
	uint64_t idle_ns, header_ns;
	size_t body_size;	/* of the hello response */
};

#define HTTP_DATE_LEN 29	/* Sun, 06 Nov 1994 08:49:37 GMT */

struct server {
	struct server_config config;
	int fd;			/* that listens */
	struct pool *pool;	/* of threads; NULL: tasklets */
	struct tl_listener *listener;
	struct tl_task *acceptor;
	struct tl_task *reaper;
	struct tl_chan *room;	/* tells the acceptor that a connection ended */
	bool full;		/* it waits for that */
	bool stopping;
	int error;		/* -errno if it stopped by itself */
	struct tl__list conns;

	/* A clock that goes on once a tick; it stands without connections. */
	uint32_t tick;
	uint64_t tick_ns;
	uint32_t limit[CONN_PHASES];	/* in ticks; 0: none */
	uint32_t body_bytes_per_tick;
	char date[HTTP_DATE_LEN + 1];

	struct reply hello[REPLY_KINDS];
	struct server_counters counters;
};

/*
 * Opens the listening socket. Returns 0, or -errno with @why saying what
 * failed; server_free() is due in either case.
 */
int server_open(struct server *s, const struct server_config *config,
		const char **why);

/* What it listens on, as "127.0.0.1:8080" or "[::1]:8080". */
int server_name(const struct server *s, char *name, size_t size,
		uint16_t *port);

/* For tasklets: spawns the acceptor. Returns 0 or -errno. */
int server_start(struct server *s);

/*
 * The life of a connection whose @fd, task and io are set: its first moment, its
 * requests up to the last one's answer, and its end, but for the descriptor.
 */
void conn_begin(struct conn *c, struct server *s);
void conn_serve(struct conn *c);
void conn_end(struct conn *c);

/*
 * One tick of the clock. Calls @throw_late for each connection whose time is up;
 * that is to set its `late`, and to make the call that it is in fail.
 */
void server_tick(struct server *s, void (*throw_late)(struct conn *c));

/* Whether accepting may go on after this error, which was one connection's. */
bool server_accepts_after(int error);

/*
 * For tasklets: stops accepting and kills every connection's tasklet, which closes its socket
 * when its turn comes. Does not switch. Idempotent.
 */
void server_stop(struct server *s);

void server_free(struct server *s);

/*
 * The counters and what the process used, as one line of JSON. Returns its
 * length; 0 if there was no memory, or no room (SERVER_STATS_MAX is enough).
 */
#define SERVER_STATS_MAX 3072
int server_write_stats(const struct server *s, char *out, size_t size);

/*
 * Answers the request whose head is there, reading its body if it has one.
 * Returns 0, or 1 or -errno as conn_next_request().
 */
int http_answer(struct conn *c);

/*
 * Answers with an error. The connection ends with it if the request has an end
 * that nobody has seen.
 */
int http_refuse(struct conn *c, unsigned int status);

/* The responses that are ready, and the time in them. */
int http_make_replies(struct server *s);
void http_set_date(struct server *s);
void http_free_replies(struct server *s);

#endif
