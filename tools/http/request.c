/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * HTTP/1 requests; request.h says what comes out.
 *
 * The parser calls back for each piece that it has seen. Pieces of one token
 * are neighbours in memory, because the head stays in one piece, so that they
 * are joined by adding up lengths. Debian builds the parser in its lenient
 * mode, and hence what a proxy in front might read another way is checked here:
 * blanks in field names, folded lines, fields that must come once.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "request.h"

/* Of a callback: makes the parser stop. */
#define STOP 1

static int refuse(struct http_request *r, unsigned int status)
{
	if (!r->status)
		r->status = (uint16_t)status;
	return STOP;
}

static struct http_request *request_of(struct http_parser *p)
{
	return (struct http_request *)p->data;
}

static bool span_is(const struct http_request *r, struct http_span s,
		    const char *word, uint32_t len)
{
	return s.len == len && !strncasecmp(r->base + s.at, word, len);
}

/* Bits of the characters that a host and port may consist of. */
static bool is_host_char(unsigned char c)
{
	static const uint32_t ok[4] = {
		0,
		0x2fff7ff2,	/* !$%&'()*+,-. 0-9 : ; = */
		0xaffffffe,	/* A-Z [ ] _ */
		0x47fffffe,	/* a-z ~ */
	};

	return c < 128 && ok[c >> 5] >> (c & 31) & 1;
}

static int host_field(struct http_request *r)
{
	const char *s = r->base + r->value.at;
	uint32_t i;

	if (r->hosts++)
		return refuse(r, HTTP_STATUS_BAD_REQUEST);
	for (i = 0; i < r->value.len; i++)
		if (!is_host_char((unsigned char)s[i]))
			return refuse(r, HTTP_STATUS_BAD_REQUEST);
	return 0;
}

/* A header field is complete: looks at those that matter. */
static int end_of_field(struct http_request *r)
{
	if (!r->name.len)
		return 0;
	if (memchr(r->base + r->name.at, ' ', r->name.len))
		return refuse(r, HTTP_STATUS_BAD_REQUEST);
	while (r->value.len &&
	       strchr(" \t", r->base[r->value.at + r->value.len - 1]))
		r->value.len--;
	switch (r->name.len) {
	case 4:
		if (span_is(r, r->name, "host", 4))
			return host_field(r);
		break;
	case 6:
		if (!span_is(r, r->name, "expect", 6))
			break;
		if (!span_is(r, r->value, "100-continue", 12))
			return refuse(r, HTTP_STATUS_EXPECTATION_FAILED);
		r->expects = true;
		break;
	case 17:
		if (span_is(r, r->name, "transfer-encoding", 17) &&
		    !span_is(r, r->value, "chunked", 7))
			return refuse(r, HTTP_STATUS_NOT_IMPLEMENTED);
		break;
	}
	return 0;
}

static int on_url(struct http_parser *p, const char *at, size_t len)
{
	struct http_request *r = request_of(p);

	if (!r->target.len)
		r->target.at = (uint32_t)(at - r->base);
	r->target.len += (uint32_t)len;
	return 0;
}

static int on_header_field(struct http_parser *p, const char *at, size_t len)
{
	struct http_request *r = request_of(p);

	if (r->stage != HTTP_IN_HEAD)
		return 0;	/* a trailer */
	if (r->in_value || !r->name.len) {
		if (end_of_field(r))
			return STOP;
		r->name.at = (uint32_t)(at - r->base);
		r->name.len = 0;
		r->value.len = 0;
		r->in_value = false;
	}
	r->name.len += (uint32_t)len;
	return 0;
}

static int on_header_value(struct http_parser *p, const char *at, size_t len)
{
	struct http_request *r = request_of(p);
	uint32_t off = (uint32_t)(at - r->base);

	if (r->stage != HTTP_IN_HEAD)
		return 0;
	if (!r->in_value) {
		r->value.at = off;
		r->in_value = true;
	} else if (off != r->value.at + r->value.len) {
		/* Continued on a new line, which is obsolete since 2014. */
		return refuse(r, HTTP_STATUS_BAD_REQUEST);
	}
	r->value.len += (uint32_t)len;
	return 0;
}

/* http://host/path?query, of which the host was said in a field as well. */
static int split_absolute(struct http_request *r)
{
	const char *s = r->base + r->target.at;
	struct http_parser_url u;

	http_parser_url_init(&u);
	if (http_parser_parse_url(s, r->target.len, 0, &u) ||
	    !(u.field_set & 1 << UF_SCHEMA) || u.field_set & 1 << UF_USERINFO ||
	    strncasecmp(s, "http", 4) != 0)
		return refuse(r, HTTP_STATUS_BAD_REQUEST);
	r->path.at = r->target.at + u.field_data[UF_PATH].off;
	r->path.len = u.field_data[UF_PATH].len;
	r->query.at = r->target.at + u.field_data[UF_QUERY].off;
	r->query.len = u.field_data[UF_QUERY].len;
	return 0;
}

static int split_target(struct http_request *r)
{
	const char *s = r->base + r->target.at, *mark;

	if (!r->target.len || memchr(s, '#', r->target.len))
		return refuse(r, HTTP_STATUS_BAD_REQUEST);
	/* "*" asks about the server as a whole. */
	if (*s == '*' &&
	    (r->target.len > 1 || r->parser.method != HTTP_OPTIONS))
		return refuse(r, HTTP_STATUS_BAD_REQUEST);
	if (*s != '/' && *s != '*')
		return split_absolute(r);
	r->path = r->target;
	mark = memchr(s, '?', r->target.len);
	if (mark) {
		r->path.len = (uint32_t)(mark - s);
		r->query.at = r->path.at + r->path.len + 1;
		r->query.len = r->target.len - r->path.len - 1;
	}
	return 0;
}

static int on_headers_complete(struct http_parser *p)
{
	struct http_request *r = request_of(p);
	bool is_1_0;

	if (p->http_major != 1)
		return refuse(r, HTTP_STATUS_HTTP_VERSION_NOT_SUPPORTED);
	if (end_of_field(r))
		return STOP;
	is_1_0 = p->http_minor == 0;
	r->chunked = p->flags & F_CHUNKED;
	/* With 1.0, coded bodies and 100 Continue did not exist. */
	if ((!r->hosts && !is_1_0) || (is_1_0 && p->uses_transfer_encoding))
		return refuse(r, HTTP_STATUS_BAD_REQUEST);
	r->expects &= !is_1_0;
	if (p->method == HTTP_CONNECT)
		return refuse(r, HTTP_STATUS_NOT_IMPLEMENTED);
	if (split_target(r))
		return STOP;
	r->keep_alive = http_should_keep_alive(p);
	/* An offer of another protocol, which may be ignored. */
	p->upgrade = 0;
	if (r->chunked ||
	    (p->content_length && p->content_length != UINT64_MAX)) {
		r->stage = HTTP_AT_BODY;
		http_parser_pause(p, 1);
	}
	return 0;
}

static int make_room(struct http_request *r, size_t len)
{
	/* The parser has counted this piece as taken already. */
	uint64_t want = http_request_body_size(r) + (r->chunked ? 0 : len);
	size_t room = r->body_room ? 2 * (size_t)r->body_room : 4096;
	char *body;

	if (want <= HTTP_BODY_MAX)
		room = want;
	while (room < r->body_len + len)
		room *= 2;
	body = realloc(r->body, room);
	if (!body)
		return refuse(r, HTTP_STATUS_SERVICE_UNAVAILABLE);
	r->body = body;
	r->body_room = (uint32_t)room;
	return 0;
}

static int on_body(struct http_parser *p, const char *at, size_t len)
{
	struct http_request *r = request_of(p);

	if (len > HTTP_BODY_MAX - r->body_len)
		return refuse(r, HTTP_STATUS_PAYLOAD_TOO_LARGE);
	if (r->keep_body) {
		if (r->body_len + len > r->body_room && make_room(r, len))
			return STOP;
		memcpy(r->body + r->body_len, at, len);
	}
	r->body_len += (uint32_t)len;
	return 0;
}

/* Before its bytes have come. */
static int on_chunk_header(struct http_parser *p)
{
	struct http_request *r = request_of(p);

	if (p->content_length > HTTP_BODY_MAX - r->body_len)
		return refuse(r, HTTP_STATUS_PAYLOAD_TOO_LARGE);
	return 0;
}

static int on_message_complete(struct http_parser *p)
{
	request_of(p)->stage = HTTP_COMPLETE;
	http_parser_pause(p, 1);
	return 0;
}

static const struct http_parser_settings callbacks = {
	.on_url = on_url,
	.on_header_field = on_header_field,
	.on_header_value = on_header_value,
	.on_headers_complete = on_headers_complete,
	.on_body = on_body,
	.on_message_complete = on_message_complete,
	.on_chunk_header = on_chunk_header,
};

void http_request_setup(void)
{
	/* Heads are bounded by our buffer; this one is for trailers. */
	http_parser_set_max_header_size(2 * HTTP_HEAD_MAX);
}

void http_request_init(struct http_request *r)
{
	memset(r, 0, sizeof(*r));
	http_parser_init(&r->parser, HTTP_REQUEST);
	r->parser.data = r;
}

void http_request_next(struct http_request *r)
{
	r->target.len = 0;
	r->path.len = 0;
	r->query.len = 0;
	r->name.len = 0;
	r->value.len = 0;
	r->stage = HTTP_IN_HEAD;
	r->hosts = 0;
	r->in_value = false;
	r->expects = false;
	r->keep_body = false;
	r->body_len = 0;
	/* The parser keeps that of the last request until it sees another. */
	r->parser.http_major = 1;
}

/*
 * Whether the request line begins with a method of the right form, which means
 * that the client speaks HTTP and only asks for more than there is.
 */
static bool method_is_token(const char *s, const char *end)
{
	static const char none_of[] = "\"(),/:;<=>?@[\\]{}";
	const char *p = s;

	while (p < end && *p > ' ' && *p < 127 && !strchr(none_of, *p))
		p++;
	return p > s && (p == end || *p == ' ');
}

static void parse_error(struct http_request *r, enum http_errno err,
			const char *end)
{
	unsigned int status = HTTP_STATUS_BAD_REQUEST;

	if (err == HPE_INVALID_METHOD && r->stage == HTTP_IN_HEAD &&
	    method_is_token(r->base, end))
		status = HTTP_STATUS_NOT_IMPLEMENTED;
	else if (err == HPE_HEADER_OVERFLOW)
		status = HTTP_STATUS_REQUEST_HEADER_FIELDS_TOO_LARGE;
	refuse(r, status);
}

uint32_t http_request_parse(struct http_request *r, const char *base,
			    uint32_t from, uint32_t to)
{
	enum http_errno err;
	size_t n;

	r->base = base;
	http_parser_pause(&r->parser, 0);
	n = http_parser_execute(&r->parser, &callbacks, base + from, to - from);
	err = HTTP_PARSER_ERRNO(&r->parser);
	if (err != HPE_OK && err != HPE_PAUSED)
		parse_error(r, err, base + to);
	else if (r->parser.http_major == 0)
		/* A 0.9 client sends one line and waits. */
		refuse(r, HTTP_STATUS_HTTP_VERSION_NOT_SUPPORTED);
	if (r->status)
		r->keep_alive = false;
	return from + (uint32_t)n;
}

void http_request_too_large(struct http_request *r)
{
	r->keep_alive = false;
	refuse(r, r->name.len ? HTTP_STATUS_REQUEST_HEADER_FIELDS_TOO_LARGE :
				HTTP_STATUS_URI_TOO_LONG);
}

uint64_t http_request_body_size(const struct http_request *r)
{
	if (r->chunked)
		return UINT64_MAX;
	/* The parser counts down as the body comes in. */
	return r->body_len + r->parser.content_length;
}

void http_request_drop_body(struct http_request *r)
{
	free(r->body);
	r->body = NULL;
	r->body_room = 0;
}
