/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* See reads.h. A key comes first in its record, then its value. */
#include "reads.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define GROW 16

static size_t record_size(const struct reads *r)
{
	/* Both are made of 8 byte words, or of 4 byte ones that are padded. */
	return ((r->key_size + 7) & ~(size_t)7) + r->value_size;
}

void *reads_key(const struct reads *r, size_t i)
{
	return r->all + i * record_size(r);
}

void *reads_value(const struct reads *r, size_t i)
{
	return r->all + (i + 1) * record_size(r) - r->value_size;
}

static size_t compared;	/* bytes; qsort() has no argument of ours */

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, compared);
}

void reads_free(struct reads *r)
{
	free(r->all);
	r->all = NULL;
	r->count = 0;
}

/* Room for one more. */
static int grow(struct reads *r)
{
	char *more;

	if (r->count % GROW)
		return 0;
	more = realloc(r->all, (r->count + GROW) * record_size(r));
	if (!more)
		return -ENOMEM;
	r->all = more;
	return 0;
}

int reads_take(struct reads *r, int map, size_t key_size, size_t value_size)
{
	uint64_t key[8], *previous = NULL;
	int error;

	*r = (struct reads){ NULL, 0, key_size, value_size };
	if (key_size > sizeof(key))
		return -E2BIG;
	while (!bpf_map_get_next_key(map, previous, key)) {
		error = grow(r);
		if (error) {
			reads_free(r);
			return error;
		}
		memset(reads_key(r, r->count), 0, record_size(r) - value_size);
		memcpy(reads_key(r, r->count), key, key_size);
		if (!bpf_map_lookup_elem(map, key, reads_value(r, r->count)))
			r->count++;
		previous = key;
	}
	if (errno != ENOENT) {
		error = -errno;
		reads_free(r);
		return error;
	}
	compared = key_size;
	if (r->count)
		qsort(r->all, r->count, record_size(r), compare);
	return 0;
}

const void *reads_find(const struct reads *r, const void *key)
{
	size_t low = 0, high = r->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = memcmp(key, reads_key(r, middle), r->key_size);

		if (!order)
			return reads_value(r, middle);
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}
