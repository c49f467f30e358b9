/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * One HTTP/1 request as it comes in: libhttp-parser, and the rules of RFC 9110
 * and 9112 that it leaves to its caller. Does no IO and keeps no copy of the
 * head: what it finds are offsets from the head's first byte, which the caller
 * keeps in one piece and may move between two calls.
 *
 * Invariant: once status is not 0 nothing more is parsed, and the connection
 * can't be used for another request, for nobody knows where that would begin.
 */
#ifndef TL_HTTP_REQUEST_H
#define TL_HTTP_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include <http_parser.h>

/* Request line and header fields together; more is refused. */
#define HTTP_HEAD_MAX 8192

/* The largest body that is taken. */
#define HTTP_BODY_MAX (1024 * 1024)

enum http_stage {
	HTTP_IN_HEAD,	/* the head is not complete */
	HTTP_AT_BODY,	/* the head is, and a body follows */
	HTTP_COMPLETE,	/* all of the request is there */
};

/* A part of the head. */
struct http_span {
	uint32_t at, len;
};

struct http_request {
	struct http_parser parser;
	const char *base;	/* the head's first byte, during a call */
	struct http_span target, path, query;
	struct http_span name, value;	/* the header field being parsed */
	enum http_stage stage;
	uint16_t status;	/* the response that an error asks for; 0 */
	uint8_t hosts;		/* how many Host fields there were, up to 2 */
	bool in_value;
	bool keep_alive;	/* another request may follow this one */
	bool expects;		/* waits for 100 Continue before the body */
	bool keep_body;		/* collect the body rather than drop it */
	bool chunked;
	char *body;		/* malloc()ed, or NULL */
	uint32_t body_len;	/* that came in, collected or not */
	uint32_t body_room;
};

/* To be called once in the process, before any request. */
void http_request_setup(void);

/* For a new connection. Owns nothing until http_request_free() is due. */
void http_request_init(struct http_request *r);

/* Gets ready for the next request on the same connection. */
void http_request_next(struct http_request *r);

/*
 * Parses the bytes from @from to @to, offsets from @base, where the request's
 * head begins (or began: when it is complete, its bytes are not looked at any
 * more). Stops at the end of the head, if a body follows, and at the end of the
 * request; r->stage and r->status tell. Returns the offset where it stopped.
 */
uint32_t http_request_parse(struct http_request *r, const char *base,
			    uint32_t from, uint32_t to);

/* The head does not fit into HTTP_HEAD_MAX: sets the status. */
void http_request_too_large(struct http_request *r);

/* How long the body is going to be, or UINT64_MAX if it does not say. */
uint64_t http_request_body_size(const struct http_request *r);

/* Gives up the body. */
void http_request_drop_body(struct http_request *r);

#endif
