/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The request handler of the plain loops: the test server's own parser, with all
 * that it checks, and its own answer, so that a row compares what is around the
 * handler and not the handlers. Where the test server does more than a loop that
 * knows its only answer has to (routes, a copy of the answer, time limits), it
 * is measured with that.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/server.h"
#include "net.h"

static struct server server;

void net_http_setup(void)
{
	server.config.body_size = sizeof(NET_BODY) - 1;
	http_request_setup();
	if (http_make_replies(&server))
		abort();
}

void net_http_init(struct net_http *http)
{
	http_request_init(&http->request);
	http_request_next(&http->request);
	http->len = http->parsed = 0;
}

static enum reply_kind reply_kind(const struct http_request *request)
{
	if (!request->keep_alive)
		return REPLY_CLOSE;
	return request->parser.http_minor ? REPLY_PLAIN : REPLY_KEEP_ALIVE;
}

int net_http_feed(struct net_http *http, size_t size, const char **answer,
		  size_t *answer_size)
{
	struct http_request *request = &http->request;
	const struct reply *reply;

	http->len += (uint32_t)size;
	http->parsed = http_request_parse(request, http->buf, http->parsed,
					  http->len);
	if (request->status)
		return -1;
	if (request->stage == HTTP_IN_HEAD)
		return http->len < sizeof(http->buf) ? 0 : -1;
	/* The benchmark's client sends no body, nor before it has its answer. */
	if (request->stage != HTTP_COMPLETE || http->parsed != http->len ||
	    request->path.len != sizeof(NET_PATH) - 1 ||
	    memcmp(http->buf + request->path.at, NET_PATH,
		   sizeof(NET_PATH) - 1) != 0)
		return -1;
	reply = &server.hello[reply_kind(request)];
	*answer = reply->text;
	*answer_size = reply->len;
	http->keep_alive = request->keep_alive;
	http->len = http->parsed = 0;
	http_request_next(request);
	return 1;
}
