/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Errors that travel: through a channel (tl_chan_send_error), into another
 * tasklet (tl_task_throw), or out of a tasklet to the innermost tl_run().
 *
 * An error has one owner at a time and holds nothing of the stack that raised
 * it. Whoever is handed one frees it or hands it on; a function that takes
 * ownership says so, and takes it only when it succeeds.
 *
 * Contexts, unless said otherwise: any thread, but an error is not safe for
 * use by two threads at once. Whoever is handed one, by whatever thread, sees all
 * that was done with it before. None of these functions switches.
 */
#ifndef TASKLET_ERROR_H
#define TASKLET_ERROR_H

#include <tasklet/base.h>

TL_BEGIN_DECLS

struct tl_error;

/*
 * tl_error_new - make an error
 *
 * @code is a positive errno value; the call that the error reaches returns
 * -code. The message is formatted and copied. Allocates.
 *
 * Returns 0, -EINVAL (@code is not in 1..4095, or @fmt is NULL) or -ENOMEM.
 */
TL_API int tl_error_new(struct tl_error **out, int code, const char *fmt, ...)
	TL_PRINTF(3, 4);

/*
 * tl_error_set_payload - hang user data on an error
 *
 * @destroy (may be NULL) is called with @payload when the error is freed, on the
 * thread that frees it: that may be another one than the caller's, for an error
 * that was sent or thrown. An earlier payload is destroyed first.
 */
TL_API void tl_error_set_payload(struct tl_error *error, void *payload,
				 void (*destroy)(void *payload));

/* The positive errno value. */
TL_API int tl_error_code(const struct tl_error *error);

/* The message; valid as long as the error. */
TL_API const char *tl_error_message(const struct tl_error *error);

/* Where it was raised, e.g. "tasklet 12 (reader)"; "" if it never was. */
TL_API const char *tl_error_origin(const struct tl_error *error);

TL_API void *tl_error_payload(const struct tl_error *error);

/*
 * tl_error_free - give an error up
 *
 * Destroys the payload. NULL is allowed.
 */
TL_API void tl_error_free(struct tl_error *error);

TL_END_DECLS

#endif
