/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * See select-order.h. The cases are sorted as a list through their waiters,
 * which are in no queue yet, by merging: no memory, and n log n.
 *
 * A channel may be in several cases. The one that locks it leaves the select's
 * mark in it; the one that finds that mark when they are unlocked takes it away
 * and unlocks.
 */
#include "chan/select-order.h"

static struct tl_chan *chan_of(struct tl__waiter *w)
{
	return tl__container_of((void **)(void *)w, struct tl_select_case,
				tl__private[0])->chan;
}

static struct tl__waiter *merge(struct tl__waiter *a, struct tl__waiter *b)
{
	struct tl__waiter *sorted = NULL, **end = &sorted;

	while (a && b) {
		struct tl__waiter **least = chan_of(a) <= chan_of(b) ? &a : &b;

		*end = *least;
		end = &(*least)->next;
		*least = *end;
	}
	*end = a ? a : b;
	return sorted;
}

/* The waiters of cases @first to @last - 1 that have a channel. */
static struct tl__waiter *sort(struct tl__select *select, int first, int last)
{
	int middle = first + (last - first) / 2;

	if (last - first > 1)
		return merge(sort(select, first, middle),
			     sort(select, middle, last));
	if (first == last || !select->cases[first].chan)
		return NULL;
	tl__case_waiter(&select->cases[first])->next = NULL;
	return tl__case_waiter(&select->cases[first]);
}

void tl__select_lock_all(struct tl__select *select)
{
	struct tl__waiter *w = sort(select, 0, select->count), *next;
	const struct tl_chan *last = NULL;

	for (; w; w = next) {
		struct tl_chan *c = chan_of(w);

		next = w->next;
		w->next = w->prev = NULL;	/* not queued */
		if (c == last)
			continue;
		tl__lock(&c->lock);
		/*
		 * relaxed: only we look for our own mark, which is there from
		 * here to the unlock
		 */
		__atomic_store_n(&c->locked_by, select, __ATOMIC_RELAXED);
		last = c;
	}
}

void tl__select_unlock_all(struct tl__select *select)
{
	int i;

	for (i = 0; i < select->count; i++) {
		struct tl_chan *c = select->cases[i].chan;

		/* relaxed: as above; after our unlock it is another's mark */
		if (!c || __atomic_load_n(&c->locked_by, __ATOMIC_RELAXED) !=
				  select)
			continue;
		__atomic_store_n(&c->locked_by, NULL, __ATOMIC_RELAXED);
		tl__unlock(&c->lock);
	}
}
