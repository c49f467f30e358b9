/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The ring of runnable tasklets: a circular list whose head runs. "The end" is
 * the place before the head. These functions keep the links, the count and the
 * state together; nothing else writes them.
 */
#ifndef TL_CORE_RING_H
#define TL_CORE_RING_H

#include "core/task.h"

/* Links @t at the end. It was in no list. */
static inline void tl__ring_append(struct tl_sched *s, struct tl_task *t)
{
	struct tl_task *head = s->head;

	tl__state_set(t, TL__RUNNABLE);
	s->runcount++;
	if (unlikely(!head)) {
		t->next = t->prev = t;
		s->head = t;
		return;
	}
	t->next = head;
	t->prev = head->prev;
	head->prev->next = t;
	head->prev = t;
}

/* Links @t just behind @place, which is in the ring. */
static inline void tl__ring_insert_after(struct tl_sched *s,
					 struct tl_task *place,
					 struct tl_task *t)
{
	tl__state_set(t, TL__RUNNABLE);
	s->runcount++;
	t->prev = place;
	t->next = place->next;
	place->next->prev = t;
	place->next = t;
}

/* Links @t as the new head, in front of the old one. */
static inline void tl__ring_push_front(struct tl_sched *s, struct tl_task *t)
{
	tl__ring_append(s, t);
	s->head = t;
}

/*
 * Takes @t out. If it was the head, the next one is; the ring may be empty
 * afterwards. The caller gives @t its new state.
 */
static inline void tl__ring_remove(struct tl_sched *s, struct tl_task *t)
{
	struct tl_task *next = t->next;

	s->runcount--;
	next->prev = t->prev;
	t->prev->next = next;
	if (s->head == t)
		s->head = next != t ? next : NULL;
}

#endif
