/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Error objects, as the floors above see them.
 */
#ifndef TL_BASE_ERROR_H
#define TL_BASE_ERROR_H

#include <tasklet/error.h>

/*
 * The error of a kill. It is shared by all victims, so that a kill can't fail
 * for want of memory; tl_error_free() leaves it alone.
 */
extern struct tl_error tl__error_killed;

/* Stands for an error that could not be made. As static as the one above. */
extern struct tl_error tl__error_no_memory;

bool tl__error_is_static(const struct tl_error *error);

/*
 * A list of errors that wait to be freed: @error hides @older. Unlinking returns
 * what @error hid, NULL if nothing.
 */
void tl__error_link(struct tl_error *error, struct tl_error *older);
struct tl_error *tl__error_unlink(struct tl_error *error);

/* Frees @error and all that it hides, the newest first. Runs destructors of users. */
void tl__error_free_all(struct tl_error *error);

/* Says where @error was raised, unless that is known already. */
void tl__error_set_origin(struct tl_error *error, const char *origin);

#endif
