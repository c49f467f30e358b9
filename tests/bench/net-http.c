/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The request handler of the plain loops: the same parser, the same decisions
 * and the same bytes as the test server's, so that a row compares what is
 * around the handler and nothing else.
 */
#include <string.h>

#include "net.h"

#define HEAD(status, connection)                                               \
	"HTTP/1.1 " status "\r\nContent-Type: text/plain\r\n"                  \
	"Content-Length: 13\r\nConnection: " connection "\r\n\r\n"

static const char kept[] = HEAD("200 OK", "keep-alive") NET_BODY;
static const char closed[] = HEAD("200 OK", "close") NET_BODY;
static const char missing[] = HEAD("404 Not Found", "close") "Not found...\n";

static int on_url(http_parser *parser, const char *at, size_t size)
{
	struct net_http *http = parser->data;

	/* A path may come in pieces. */
	if (http->matched + size > sizeof(NET_PATH) - 1 ||
	    memcmp(NET_PATH + http->matched, at, size) != 0)
		http->wrong_path = true;
	else
		http->matched += (unsigned int)size;
	return 0;
}

static int on_message_complete(http_parser *parser)
{
	struct net_http *http = parser->data;

	http->complete++;
	http->keep_alive = http_should_keep_alive(parser);
	return 0;
}

static const http_parser_settings settings = {
	.on_url = on_url,
	.on_message_complete = on_message_complete,
};

static void next_request(struct net_http *http)
{
	http->complete = 0;
	http->matched = 0;
	http->wrong_path = false;
}

void net_http_init(struct net_http *http)
{
	http_parser_init(&http->parser, HTTP_REQUEST);
	http->parser.data = http;
	next_request(http);
}

int net_http_feed(struct net_http *http, const char *data, size_t size,
		  const char **answer, size_t *answer_size)
{
	if (http_parser_execute(&http->parser, &settings, data, size) != size)
		return -1;
	if (!http->complete)
		return 0;
	/* The benchmark's client never sends before it has its answer. */
	if (http->complete > 1)
		return -1;
	if (http->wrong_path || http->matched != sizeof(NET_PATH) - 1) {
		http->keep_alive = false;
		*answer = missing;
		*answer_size = sizeof(missing) - 1;
	} else if (http->keep_alive) {
		*answer = kept;
		*answer_size = sizeof(kept) - 1;
	} else {
		*answer = closed;
		*answer_size = sizeof(closed) - 1;
	}
	next_request(http);
	return 1;
}
