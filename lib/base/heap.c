/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The 4-ary timer heap; heap.h says what holds between calls.
 *
 * Owns the array and the positions in the nodes. Inside a call there is a hole:
 * an index whose entry is out of date and to which one entry, held aside, will
 * be written. Entries move into the hole one at a time, and place() writes
 * entry and position together, so that the two can't part.
 */
#include <errno.h>
#include <stddef.h>

#include "base/alloc.h"
#include "base/heap.h"

#define ARITY 4

/* Positions are one more than an index and have to fit. */
#define LEN_MAX (UINT32_MAX - 1)

void tl__heap_init(struct tl__heap *h)
{
	*h = (struct tl__heap){ 0 };
}

void tl__heap_fini(struct tl__heap *h)
{
	uint32_t i;

	for (i = 0; i < h->len; i++)
		h->entry[i].node->pos = 0;
	tl__free(h->entry);
	tl__heap_init(h);
}

static int set_cap(struct tl__heap *h, uint32_t cap)
{
	struct tl__heap_entry *entry;

	/* 2^32 entries are no overflow: the library is for 64 bits only. */
	entry = tl__realloc(h->entry, cap * sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	h->entry = entry;
	h->cap = cap;
	return 0;
}

int tl__heap_reserve(struct tl__heap *h, uint32_t n)
{
	int rc = 0;

	if (n > LEN_MAX)
		return -ENOMEM;
	if (n > h->cap)
		rc = set_cap(h, n);
	if (!rc)
		h->reserved = n;
	return rc;
}

static bool before(const struct tl__heap_entry *a,
		   const struct tl__heap_entry *b)
{
	return a->key < b->key || (a->key == b->key && a->seq < b->seq);
}

static void place(struct tl__heap *h, uint32_t i, struct tl__heap_entry e)
{
	h->entry[i] = e;
	e.node->pos = i + 1;
}

/* Moves the hole at i up to where e may be, and puts e there. */
static void sift_up(struct tl__heap *h, uint32_t i, struct tl__heap_entry e)
{
	while (i) {
		uint32_t parent = (i - 1) / ARITY;

		if (!before(&e, &h->entry[parent]))
			break;
		place(h, i, h->entry[parent]);
		i = parent;
	}
	place(h, i, e);
}

/* The same downwards. */
static void sift_down(struct tl__heap *h, uint32_t i, struct tl__heap_entry e)
{
	/* Whoever is behind this has no children; also avoids an overflow. */
	while (h->len > 1 && i <= (h->len - 2) / ARITY) {
		uint32_t least = i * ARITY + 1;
		uint32_t left = h->len - least, child;

		if (left > ARITY)
			left = ARITY;
		for (child = least + 1; child - (i * ARITY + 1) < left; child++)
			if (before(&h->entry[child], &h->entry[least]))
				least = child;
		if (!before(&h->entry[least], &e))
			break;
		place(h, i, h->entry[least]);
		i = least;
	}
	place(h, i, e);
}

int tl__heap_insert(struct tl__heap *h, struct tl__heap_node *node,
		    uint64_t key)
{
	struct tl__heap_entry e = { .key = key, .seq = h->seq, .node = node };

	if (h->len == h->cap) {
		uint32_t cap = h->cap < TL__HEAP_SLACK ? TL__HEAP_SLACK :
			       h->cap < LEN_MAX / 2    ? h->cap * 2 :
							 LEN_MAX;

		if (h->len == LEN_MAX || set_cap(h, cap))
			return -ENOMEM;
	}
	h->seq++;
	sift_up(h, h->len++, e);
	return 0;
}

void tl__heap_remove(struct tl__heap *h, struct tl__heap_node *node)
{
	uint32_t i = node->pos - 1;
	struct tl__heap_entry last = h->entry[--h->len];

	node->pos = 0;
	if (i == h->len)
		return;
	/* The last one fills the hole: from another branch it may go up. */
	if (i && before(&last, &h->entry[(i - 1) / ARITY]))
		sift_up(h, i, last);
	else
		sift_down(h, i, last);
}

struct tl__heap_node *tl__heap_peek(const struct tl__heap *h, uint64_t *key)
{
	if (!h->len)
		return NULL;
	if (key)
		*key = h->entry[0].key;
	return h->entry[0].node;
}

struct tl__heap_node *tl__heap_pop(struct tl__heap *h, uint64_t *key)
{
	struct tl__heap_node *node = tl__heap_peek(h, key);

	if (node)
		tl__heap_remove(h, node);
	return node;
}

size_t tl__heap_trim(struct tl__heap *h)
{
	uint32_t want = h->len > h->reserved ? h->len : h->reserved;
	uint32_t old = h->cap;

	if (!want) {
		tl__free(h->entry);
		h->entry = NULL;
		h->cap = 0;
	} else {
		/* Steps of the slack: trim then insert does not always grow. */
		if (want <= LEN_MAX - TL__HEAP_SLACK)
			want = (want + TL__HEAP_SLACK - 1) / TL__HEAP_SLACK *
			       TL__HEAP_SLACK;
		if (want >= old || set_cap(h, want))
			return 0;
	}
	return (size_t)(old - h->cap) * sizeof(*h->entry);
}
