/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Connections: buffers and IO; conn.h says what holds of them.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "conn.h"
#include "server.h"

void conn_set_phase(struct conn *c, enum conn_phase phase)
{
	c->phase = phase;
	c->since = c->server->tick;
}

/* Of the bytes in @iov @done are gone. Returns how many iovecs are left. */
static int advance(struct iovec *iov, int count, size_t done)
{
	int i;

	for (i = 0; i < count && done >= iov[i].iov_len; i++)
		done -= iov[i].iov_len;
	if (i < count) {
		iov[i].iov_base = (char *)iov[i].iov_base + done;
		iov[i].iov_len -= done;
	}
	memmove(iov, iov + i, (size_t)(count - i) * sizeof(*iov));
	return count - i;
}

/* Sends out[] and @data in one call, if the kernel takes all of it. */
static int send_both(struct conn *c, const void *data, size_t len)
{
	struct iovec iov[2] = {
		{ c->out, c->out_len }, { (void *)data, len },
	};
	struct msghdr msg = { .msg_iov = iov };
	int count = advance(iov, 2, 0);
	ssize_t r;

	c->out_len = 0;
	while (count) {
		/* Each piece that the peer takes is a sign of life. */
		conn_set_phase(c, CONN_SEND);
		msg.msg_iovlen = (size_t)count;
		r = c->io->sendmsg(c, &msg);
		if (r < 0)
			return (int)r;
		count = advance(iov, count, (size_t)r);
	}
	return 0;
}

int conn_flush(struct conn *c)
{
	uint32_t len = c->out_len;
	ssize_t r;

	if (!len)
		return 0;
	conn_set_phase(c, CONN_SEND);
	c->out_len = 0;
	r = c->io->send(c, c->out, len);
	if (likely(r == (ssize_t)len))
		return 0;
	/* It was cut short by an error, which the next call would tell. */
	return r < 0 ? (int)r : -ECONNRESET;
}

int conn_put(struct conn *c, const void *data, size_t len)
{
	if (unlikely(len > sizeof(c->out) - c->out_len)) {
		int r;

		if (len >= sizeof(c->out) / 2)
			return send_both(c, data, len);
		r = conn_flush(c);
		if (r)
			return r;
	}
	memcpy(c->out + c->out_len, data, len);
	c->out_len += (uint32_t)len;
	return 0;
}

int conn_printf(struct conn *c, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return n < (int)sizeof(text) ? conn_put(c, text, (size_t)n) : -E2BIG;
}

/* Moves the head being parsed to the front, if there is no room behind it. */
static bool room_for_more(struct conn *c)
{
	if (c->len < sizeof(c->in))
		return true;
	if (!c->head)
		return false;
	memmove(c->in, c->in + c->head, c->len - c->head);
	c->len -= c->head;
	c->pos -= c->head;
	c->head = 0;
	return true;
}

/* Receives more. Returns 0, 1 at the end, or -errno. */
static int fill(struct conn *c)
{
	ssize_t r = c->io->recv(c, c->in + c->len, sizeof(c->in) - c->len);

	if (unlikely(r <= 0))
		return r ? (int)r : 1;
	c->len += (uint32_t)r;
	return 0;
}

/* Empty lines between requests, which old clients send, are no request. */
static void skip_empty_lines(struct conn *c)
{
	while (c->pos < c->len &&
	       (c->in[c->pos] == '\r' || c->in[c->pos] == '\n'))
		c->pos++;
	c->head = c->pos;
	if (c->head == c->len)
		c->head = c->pos = c->len = 0;
}

int conn_next_request(struct conn *c)
{
	struct http_request *q = &c->request;
	enum conn_phase phase;
	int r;

	http_request_next(q);
	c->head = c->pos;
	for (;;) {
		if (c->head == c->pos)
			skip_empty_lines(c);
		if (c->pos < c->len)
			c->pos = http_request_parse(q, c->in + c->head,
						    c->pos - c->head,
						    c->len - c->head) +
				 c->head;
		if (q->stage != HTTP_IN_HEAD || q->status)
			return 0;
		if (!room_for_more(c)) {
			http_request_too_large(q);
			return 0;
		}
		r = conn_flush(c);
		if (unlikely(r))
			return r;
		/* Not set anew for each byte: a head has so long as a whole. */
		phase = c->len > c->head ? CONN_HEAD : CONN_IDLE;
		if (c->phase != phase)
			conn_set_phase(c, phase);
		r = fill(c);
		if (unlikely(r))
			return r;
	}
}

int conn_read_body(struct conn *c)
{
	struct http_request *q = &c->request;
	int r;

	while (q->stage != HTTP_COMPLETE && !q->status) {
		if (c->pos == c->len) {
			r = conn_flush(c);
			if (r)
				return r;
			if (c->phase != CONN_BODY)
				conn_set_phase(c, CONN_BODY);
			c->head = c->pos = c->len = 0;
			r = fill(c);
			if (r)
				return r;
		}
		c->pos = http_request_parse(q, c->in, c->pos, c->len);
	}
	return 0;
}

void conn_linger(struct conn *c)
{
	if (c->io->shutdown(c, SHUT_WR))
		return;
	conn_set_phase(c, CONN_LINGER);
	do {
		c->len = 0;
	} while (!fill(c));
}
