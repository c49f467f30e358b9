/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Error objects. An error owns copies of its texts and, through its destructor,
 * its payload; it refers to nothing else, so it can outlive whoever raised it
 * and be freed by any thread.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"

struct tl_error {
	int code;
	bool is_static;
	struct tl_error *older;
	void *payload;
	void (*destroy)(void *payload);
	char origin[64];
	const char *message;
	char text[];
};

struct tl_error tl__error_killed = {
	.code = ECANCELED,
	.is_static = true,
	.message = "killed",
};

struct tl_error tl__error_no_memory = {
	.code = ENOMEM,
	.is_static = true,
	.message = "there was no memory for the error itself",
};

bool tl__error_is_static(const struct tl_error *error)
{
	return error->is_static;
}

int tl_error_new(struct tl_error **out, int code, const char *fmt, ...)
{
	struct tl_error *error;
	va_list args;
	int len;

	if (!out || code < 1 || code > 4095 || !fmt)
		return -EINVAL;

	va_start(args, fmt);
	len = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (len < 0)
		return -EINVAL;

	error = tl__calloc(1, sizeof(*error) + (size_t)len + 1);
	if (!error)
		return -ENOMEM;
	error->code = code;
	error->message = error->text;
	va_start(args, fmt);
	vsnprintf(error->text, (size_t)len + 1, fmt, args);
	va_end(args);
	*out = error;
	return 0;
}

static void drop_payload(struct tl_error *error)
{
	void *payload = error->payload;
	void (*destroy)(void *) = error->destroy;

	error->payload = NULL;
	error->destroy = NULL;
	if (destroy)
		destroy(payload);
}

void tl_error_set_payload(struct tl_error *error, void *payload,
			  void (*destroy)(void *payload))
{
	if (error->is_static) {
		/* A kill is everybody's: it can't keep anything. */
		if (destroy)
			destroy(payload);
		return;
	}
	drop_payload(error);
	error->payload = payload;
	error->destroy = destroy;
}

int tl_error_code(const struct tl_error *error)
{
	return error->code;
}

const char *tl_error_message(const struct tl_error *error)
{
	return error->message;
}

const char *tl_error_origin(const struct tl_error *error)
{
	return error->origin;
}

void *tl_error_payload(const struct tl_error *error)
{
	return error->payload;
}

void tl__error_set_origin(struct tl_error *error, const char *origin)
{
	if (error->is_static || error->origin[0])
		return;
	snprintf(error->origin, sizeof(error->origin), "%s", origin);
}

void tl_error_free(struct tl_error *error)
{
	if (!error || error->is_static)
		return;
	drop_payload(error);
	tl__free(error);
}

void tl__error_link(struct tl_error *error, struct tl_error *older)
{
	if (!error->is_static)
		error->older = older;
}

struct tl_error *tl__error_unlink(struct tl_error *error)
{
	struct tl_error *older = error->older;

	if (!error->is_static)
		error->older = NULL;
	return older;
}

void tl__error_free_all(struct tl_error *error)
{
	while (error) {
		struct tl_error *older = tl__error_unlink(error);

		tl_error_free(error);
		error = older;
	}
}
