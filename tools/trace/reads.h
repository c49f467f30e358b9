/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What a map in the kernel holds at a moment, sorted by key: two of them tell what
 * came in between.
 */
#ifndef TRACE_READS_H
#define TRACE_READS_H

#include <stddef.h>

struct reads {
	char *all;
	size_t count, key_size, value_size;
};

/* Reads all that is in @map. 0 or -errno; on failure @r is empty. */
int reads_take(struct reads *r, int map, size_t key_size, size_t value_size);

void *reads_key(const struct reads *r, size_t i);
void *reads_value(const struct reads *r, size_t i);

/* The value of @key; NULL: it is not there. */
const void *reads_find(const struct reads *r, const void *key);

void reads_free(struct reads *r);

#endif
