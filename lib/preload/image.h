/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What is known of the program and libraries that are loaded, asked without the
 * loader's lock: the caller may hold a mutex that a constructor waits for.
 */
#ifndef TL_PRELOAD_IMAGE_H
#define TL_PRELOAD_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tl__image {
	uintptr_t begin, end;	/* where it is mapped */
	const void *dynamic;	/* its dynamic section */
	uintptr_t base;		/* what its addresses are relative to */
};

/* The image with @address; false: none, or the C library can't say it so. */
bool tl__image_of(const void *address, struct tl__image *image);

/* A symbol that @image exports: its address, and its size; NULL if none. */
const void *tl__image_symbol(const struct tl__image *image, const char *name,
			     size_t *size);

static inline bool tl__image_has(const struct tl__image *image,
				 uintptr_t address)
{
	return address >= image->begin && address < image->end;
}

#endif
