/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The checked build: a lock that was freed, or never made, is told, and not touched.
 */
#ifndef TL_GIL_CHECKED_H
#define TL_GIL_CHECKED_H

#include <stdbool.h>

struct tl_gil;

#ifdef TL_CHECKED
/* Of gil.c: whether it is among those that were made and not freed. */
bool tl__gil_exists(const struct tl_gil *gil);

/* Tells that the caller at @place uses one that isn't; returns whether that is so. */
bool tl__gil_checked_gone(const struct tl_gil *gil, void *place);
#else
static inline bool tl__gil_checked_gone(const struct tl_gil *gil, void *place)
{
	(void)gil, (void)place;
	return false;
}
#endif

/* Whether @gil can't be used, in a function that the program has called. */
#define tl__gil_is_gone(gil) \
	tl__gil_checked_gone((gil), __builtin_return_address(0))

#endif
