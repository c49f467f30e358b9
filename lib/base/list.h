/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Intrusive circular doubly linked lists.
 *
 * Owns struct tl__list, which is head and link at once. The invariant: a head
 * or a link that is in a list has x->next->prev == x and x->prev->next == x;
 * an empty head and a link after tl__list_del_init() point to themselves.
 * Nothing allocates or fails, all but the loop is O(1), and there are no locks:
 * a list is guarded by whatever guards its head.
 */
#ifndef TL_BASE_LIST_H
#define TL_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct tl__list {
	struct tl__list *next, *prev;
};

/* The structure of type that has *ptr as its member. */
#define tl__container_of(ptr, type, member)                                    \
	((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* For statics: struct tl__list head = TL__LIST_INIT(head); */
#define TL__LIST_INIT(name) { &(name), &(name) }

static inline void tl__list_init(struct tl__list *l)
{
	l->next = l;
	l->prev = l;
}

/* For a head: has it no links? For a link that was set up: is it in no list? */
static inline bool tl__list_empty(const struct tl__list *l)
{
	return l->next == l;
}

static inline void tl__list_insert(struct tl__list *l, struct tl__list *prev,
				   struct tl__list *next)
{
	l->prev = prev;
	l->next = next;
	prev->next = l;
	next->prev = l;
}

static inline void tl__list_add_head(struct tl__list *head, struct tl__list *l)
{
	tl__list_insert(l, head, head->next);
}

static inline void tl__list_add_tail(struct tl__list *head, struct tl__list *l)
{
	tl__list_insert(l, head->prev, head);
}

/* The link is left with NULLs: to use it again without adding it crashes. */
static inline void tl__list_del(struct tl__list *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
	l->next = NULL;
	l->prev = NULL;
}

/* The link is left as an empty list: it may be deleted again, to no effect. */
static inline void tl__list_del_init(struct tl__list *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
	tl__list_init(l);
}

/* The first link, or NULL. */
static inline struct tl__list *tl__list_first(const struct tl__list *head)
{
	return head->next != head ? head->next : NULL;
}

/* The loop may delete pos from the list, or free it; nothing else. */
#define tl__list_for_each_safe(pos, tmp, head)                                 \
	for ((pos) = (head)->next, (tmp) = (pos)->next; (pos) != (head);       \
	     (pos) = (tmp), (tmp) = (pos)->next)

#endif
