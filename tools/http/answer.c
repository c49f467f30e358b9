/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the HTTP server answers: its routes and their handlers, which are plain
 * functions that read, wait and write as if they blocked.
 *
 * Invariants: each request gets exactly one answer, which says whether another
 * request may follow; the most frequent one, hello's, is copied from where it
 * lies ready.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/compiler.h"
#include "base/num.h"
#include "server.h"

#define SLEEP_MAX_MS 60000
#define BYTES_MAX (UINT64_C(1) << 30)
#define BLOCK_SIZE 65536
#define CHUNK_SIZE 16384

#define BIT(method) (UINT64_C(1) << (method))
#define READ_METHODS (BIT(HTTP_GET) | BIT(HTTP_HEAD))

/* Those of RFC 9110 (and PATCH): known, even where they are not allowed. */
#define KNOWN_METHODS                                                          \
	(READ_METHODS | BIT(HTTP_POST) | BIT(HTTP_PUT) | BIT(HTTP_DELETE) |    \
	 BIT(HTTP_OPTIONS) | BIT(HTTP_TRACE) | BIT(HTTP_PATCH))

struct route {
	const char *path;
	uint64_t methods;
	const char *allow;	/* the same in words */
	const char *key;	/* of the number in the query, or NULL */
	uint64_t number_max;
	bool keep_body;
	int (*handle)(struct conn *c, uint64_t number);
};

static const char *const connection_line[REPLY_KINDS] = {
	[REPLY_PLAIN] = "",
	[REPLY_KEEP_ALIVE] = "Connection: keep-alive\r\n",
	[REPLY_CLOSE] = "Connection: close\r\n",
};

#define HEAD_FORMAT                                                            \
	"HTTP/1.1 %u %s\r\nServer: tl-testserver\r\nDate: %s\r\n"              \
	"Content-Type: %s\r\n%s%s"

static char block[BLOCK_SIZE];	/* what /bytes is made of */

static enum reply_kind reply_kind(const struct conn *c)
{
	if (!c->request.keep_alive)
		return REPLY_CLOSE;
	return c->request.parser.http_minor ? REPLY_PLAIN : REPLY_KEEP_ALIVE;
}

static bool is_head(const struct conn *c)
{
	/* Without a target the method is that of an earlier request. */
	return c->request.parser.method == HTTP_HEAD && c->request.target.len;
}

/* @fields are further lines, each with its end. */
static int put_head(struct conn *c, unsigned int status, const char *type,
		    const char *fields)
{
	c->server->counters.requests++;
	return conn_printf(c, HEAD_FORMAT "\r\n", status,
			   http_status_str((enum http_status)status),
			   c->server->date, type,
			   connection_line[reply_kind(c)], fields);
}

/* A whole answer of @len bytes. */
static int put_answer(struct conn *c, unsigned int status, const char *type,
		      const char *allow, const void *body, size_t len)
{
	char fields[128];
	int r;

	snprintf(fields, sizeof(fields), "Content-Length: %zu\r\n%s%s%s", len,
		 allow ? "Allow: " : "", allow ? allow : "",
		 allow ? "\r\n" : "");
	r = put_head(c, status, type, fields);
	return r || is_head(c) || !len ? r : conn_put(c, body, len);
}

static int refuse(struct conn *c, unsigned int status, const char *allow)
{
	char text[64];
	int len;

	if (c->request.stage != HTTP_COMPLETE)
		c->request.keep_alive = false;
	c->server->counters.status[status]++;
	len = snprintf(text, sizeof(text), "%u %s\n", status,
		       http_status_str((enum http_status)status));
	return put_answer(c, status, "text/plain", allow, text, (size_t)len);
}

int http_refuse(struct conn *c, unsigned int status)
{
	return refuse(c, status, NULL);
}

/* --- handlers ------------------------------------------------------------- */

static int hello(struct conn *c, uint64_t number)
{
	const struct reply *reply = &c->server->hello[reply_kind(c)];
	int r;

	(void)number;
	c->server->counters.requests++;
	if (unlikely(is_head(c)))
		return conn_put(c, reply->text, reply->head_len);
	if (likely(reply->len < CONN_OUT_SIZE / 2))
		return conn_put(c, reply->text, reply->len);
	/* The head is copied, for its date may change while it is sent. */
	r = conn_put(c, reply->text, reply->head_len);
	return r ? r : conn_put(c, reply->text + reply->head_len,
				reply->len - reply->head_len);
}

static int sleep_ms(struct conn *c, uint64_t ms)
{
	char text[32];
	int len, r = conn_flush(c);

	if (r)
		return r;
	conn_set_phase(c, CONN_WORK);
	r = c->io->sleep(c, ms * TL__NS_PER_MS);
	if (r)
		return r;
	len = snprintf(text, sizeof(text), "slept %" PRIu64 " ms\n", ms);
	return put_answer(c, HTTP_STATUS_OK, "text/plain", NULL, text,
			  (size_t)len);
}

static int bytes(struct conn *c, uint64_t n)
{
	char fields[64];
	uint64_t part;
	int r;

	snprintf(fields, sizeof(fields), "Content-Length: %" PRIu64 "\r\n", n);
	r = put_head(c, HTTP_STATUS_OK, "text/plain", fields);
	if (is_head(c))
		return r;
	for (; !r && n; n -= part) {
		part = n < BLOCK_SIZE ? n : BLOCK_SIZE;
		r = conn_put(c, block, part);
	}
	return r;
}

static int put_chunks(struct conn *c, const char *data, size_t len)
{
	size_t part;
	int r = 0;

	for (; !r && len; len -= part, data += part) {
		part = len < CHUNK_SIZE ? len : CHUNK_SIZE;
		r = conn_printf(c, "%zx\r\n", part);
		if (!r)
			r = conn_put(c, data, part);
		if (!r)
			r = conn_put(c, "\r\n", 2);
	}
	return r ? r : conn_put(c, "0\r\n\r\n", 5);
}

/* Sends the body back, framed as it came. */
static int echo(struct conn *c, uint64_t number)
{
	struct http_request *q = &c->request;
	const char *type = "application/octet-stream";
	int r;

	(void)number;
	if (q->chunked) {
		r = put_head(c, HTTP_STATUS_OK, type,
			     "Transfer-Encoding: chunked\r\n");
		if (!r)
			r = put_chunks(c, q->body, q->body_len);
	} else {
		r = put_answer(c, HTTP_STATUS_OK, type, NULL, q->body,
			       q->body_len);
	}
	http_request_drop_body(q);
	return r;
}

static int stats(struct conn *c, uint64_t number)
{
	char text[SERVER_STATS_MAX];
	int len = server_write_stats(c->server, text, sizeof(text));

	(void)number;
	if (!len)
		return refuse(c, HTTP_STATUS_SERVICE_UNAVAILABLE, NULL);
	return put_answer(c, HTTP_STATUS_OK, "application/json", NULL, text,
			  (size_t)len);
}

static int options(struct conn *c, uint64_t number)
{
	(void)number;
	return put_answer(c, HTTP_STATUS_OK, "text/plain",
			  "GET, HEAD, POST, OPTIONS", "", 0);
}

/* --- routes --------------------------------------------------------------- */

static const struct route routes[] = {
	{ "/", READ_METHODS, "GET, HEAD", .handle = hello },
	{ "/hello", READ_METHODS, "GET, HEAD", .handle = hello },
	{ "/sleep", READ_METHODS, "GET, HEAD", "ms", SLEEP_MAX_MS,
	  .handle = sleep_ms },
	{ "/bytes", READ_METHODS, "GET, HEAD", "n", BYTES_MAX,
	  .handle = bytes },
	{ "/echo", BIT(HTTP_POST), "POST", .keep_body = true, .handle = echo },
	{ "/stats", READ_METHODS, "GET, HEAD", .handle = stats },
	{ "*", BIT(HTTP_OPTIONS), "OPTIONS", .handle = options },
};

static const struct route *find_route(const char *path, uint32_t len)
{
	size_t i;

	/* An absolute target may have none. */
	if (!len)
		return &routes[0];
	for (i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
		if (!strncmp(routes[i].path, path, len) &&
		    !routes[i].path[len])
			return &routes[i];
	return NULL;
}

/* The number behind "key=" in the query, which is name=value pairs. */
static bool query_number(const char *s, uint32_t len, const char *key,
			 uint64_t max, uint64_t *out)
{
	const char *end = s + len, *p;
	size_t key_len = strlen(key);
	char text[24];

	for (; s < end; s = p + 1) {
		p = memchr(s, '&', (size_t)(end - s));
		if (!p)
			p = end;
		if ((size_t)(p - s) <= key_len || s[key_len] != '=' ||
		    memcmp(s, key, key_len) != 0)
			continue;
		s += key_len + 1;
		if ((size_t)(p - s) >= sizeof(text))
			return false;
		memcpy(text, s, (size_t)(p - s));
		text[p - s] = '\0';
		return !tl__parse_u64(text, 0, max, out);
	}
	return false;
}

/* Reads the body; says first that it may come, if the client waits for that. */
static int take_body(struct conn *c, bool keep)
{
	struct http_request *q = &c->request;
	uint64_t size = http_request_body_size(q);
	int r = 0;

	if (size != UINT64_MAX && size > HTTP_BODY_MAX) {
		q->status = HTTP_STATUS_PAYLOAD_TOO_LARGE;
		q->keep_alive = false;
		return 0;
	}
	q->keep_body = keep;
	/* The parser stands before the head's last byte. */
	if (q->expects && c->len - c->pos <= 1)
		r = conn_put(c, "HTTP/1.1 100 Continue\r\n\r\n", 25);
	return r ? r : conn_read_body(c);
}

int http_answer(struct conn *c)
{
	struct http_request *q = &c->request;
	const char *head = c->in + c->head;
	const struct route *route;
	uint64_t method = BIT(q->parser.method), number = 0;
	int r;

	if (unlikely(!(method & KNOWN_METHODS)))
		return refuse(c, HTTP_STATUS_NOT_IMPLEMENTED, NULL);
	route = find_route(head + q->path.at, q->path.len);
	if (unlikely(!route))
		return refuse(c, HTTP_STATUS_NOT_FOUND, NULL);
	if (unlikely(!(method & route->methods)))
		return refuse(c, HTTP_STATUS_METHOD_NOT_ALLOWED, route->allow);
	if (route->key && !query_number(head + q->query.at, q->query.len,
					route->key, route->number_max, &number))
		return refuse(c, HTTP_STATUS_BAD_REQUEST, NULL);
	if (unlikely(q->stage == HTTP_AT_BODY)) {
		/* From here on the head is gone. */
		r = take_body(c, route->keep_body);
		if (r || q->status)
			return r;
	}
	return route->handle(c, number);
}

/* --- answers that are ready ----------------------------------------------- */

void http_set_date(struct server *s)
{
	time_t now = time(NULL);
	struct tm tm;
	int i;

	gmtime_r(&now, &tm);
	strftime(s->date, sizeof(s->date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
	for (i = 0; i < REPLY_KINDS; i++)
		memcpy(s->hello[i].date, s->date, HTTP_DATE_LEN);
}

static int make_reply(struct server *s, enum reply_kind kind)
{
	struct reply *reply = &s->hello[kind];
	static const char hello_text[] = "Hello, world!";
	size_t len = s->config.body_size, i;
	char fields[64];
	int n;

	snprintf(fields, sizeof(fields), "Content-Length: %zu\r\n\r\n", len);
	n = asprintf(&reply->text, HEAD_FORMAT "%*s", 200u, "OK", s->date,
		     "text/plain", connection_line[kind], fields, (int)len, "");
	if (n < 0) {
		reply->text = NULL;
		return -ENOMEM;
	}
	reply->len = (size_t)n;
	reply->head_len = (size_t)n - len;
	reply->date = strstr(reply->text, "Date: ") + 6;
	for (i = 0; i < len; i++)
		reply->text[reply->head_len + i] =
			hello_text[i % (sizeof(hello_text) - 1)];
	return 0;
}

int http_make_replies(struct server *s)
{
	int i, r = 0;

	for (i = 0; i < BLOCK_SIZE; i++)
		block[i] = i % 64 == 63 ? '\n' : (char)('!' + i % 64);
	memset(s->date, '-', HTTP_DATE_LEN);
	for (i = 0; !r && i < REPLY_KINDS; i++)
		r = make_reply(s, (enum reply_kind)i);
	if (!r)
		http_set_date(s);
	return r;
}

void http_free_replies(struct server *s)
{
	int i;

	for (i = 0; i < REPLY_KINDS; i++)
		free(s->hello[i].text);
}
