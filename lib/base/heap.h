/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The timer heap: least key first, and first come first served among equals.
 *
 * Owns struct tl__heap, a 4-ary heap in one array. The key is kept in the
 * array, next to the pointer, so that comparing entries touches no node; 4
 * children halve the depth of a binary heap, and are 96 bytes side by side.
 *
 * The invariants: no entry comes before its parent in the order of (key, seq),
 * where seq numbers the insertions; entry[node->pos - 1].node == node for each
 * node in the heap; pos is 0 for each other node; len <= cap and
 * reserved <= cap.
 *
 * No locks: whoever owns the heap guards it, and its nodes' pos. Nothing here
 * may be called in a signal handler that can interrupt a call on that heap.
 */
#ifndef TL_BASE_HEAP_H
#define TL_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Embedded by the user; all zero bytes: in no heap. */
struct tl__heap_node {
	uint32_t pos;
};

struct tl__heap_entry {
	uint64_t key;
	uint64_t seq;
	struct tl__heap_node *node;
};

/* All zero bytes: an empty heap without memory. */
struct tl__heap {
	struct tl__heap_entry *entry;
	uint32_t len;
	uint32_t cap;
	uint32_t reserved;
	uint64_t seq;
};

/* trim leaves room for less than this many entries that nobody asked for. */
#define TL__HEAP_SLACK 16

void tl__heap_init(struct tl__heap *h);

/* Frees the array. Nodes that are still in the heap are out of it then. */
void tl__heap_fini(struct tl__heap *h);

/*
 * Guarantees room for n nodes in all, until the next call: as long as there
 * are no more than that, insert cannot fail. A lower n takes the guarantee
 * back but frees nothing; that is trim's. Returns 0, or -ENOMEM (all is as it
 * was, the former guarantee included).
 */
int tl__heap_reserve(struct tl__heap *h, uint32_t n);

/*
 * Puts node, which is in no heap, behind all with the same key. Amortised
 * O(log n). Returns 0, or -ENOMEM (there was no room and no memory for
 * more; all is as it was).
 */
int tl__heap_insert(struct tl__heap *h, struct tl__heap_node *node,
		    uint64_t key);

/*
 * Takes node out of the heap in which it is. O(log n); never allocates or
 * frees, so that one insert after it cannot fail.
 */
void tl__heap_remove(struct tl__heap *h, struct tl__heap_node *node);

/* The first node, or NULL; its key goes to *key if key is not NULL. */
struct tl__heap_node *tl__heap_peek(const struct tl__heap *h, uint64_t *key);

/* The same, and takes it out. */
struct tl__heap_node *tl__heap_pop(struct tl__heap *h, uint64_t *key);

/*
 * Gives memory back: what is left has room for the nodes that are in, or for
 * those reserved if these are more, and for less than TL__HEAP_SLACK others.
 * Returns how many bytes were freed; 0 also if the allocator refused to shrink.
 */
size_t tl__heap_trim(struct tl__heap *h);

static inline bool tl__heap_has(const struct tl__heap_node *node)
{
	return node->pos != 0;
}

#endif
