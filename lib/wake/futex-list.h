/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Rings of waiters' nodes, and how one is woken: what the futex mutex and the
 * futex condition have in common. A ring is guarded by what guards the pointer
 * to its first node: NULL where it is empty.
 */
#ifndef TL_WAKE_FUTEX_LIST_H
#define TL_WAKE_FUTEX_LIST_H

#include "base/probe.h"
#include "os/futex.h"
#include "os/lock.h"
#include "wake/futex.h"

/* Appends the ring that begins with @more. */
static inline void tl__wake_append(struct tl__wake_node **first,
				   struct tl__wake_node *more)
{
	struct tl__wake_node *head = *first, *last = more->prev;

	if (!head) {
		*first = more;
		return;
	}
	more->prev = head->prev;
	head->prev->next = more;
	last->next = head;
	head->prev = last;
}

static inline void tl__wake_unlink(struct tl__wake_node **first,
				   struct tl__wake_node *n)
{
	if (*first == n)
		*first = n->next == n ? NULL : n->next;
	n->prev->next = n->next;
	n->next->prev = n->prev;
	n->next = n;
	n->prev = n;
}

/* The holder's look at the hand-over list: what a fork left there is dropped. */
static inline struct tl__wake_node *tl__wake_list_of(struct tl__wake_mutex *m)
{
	if (unlikely(m->forks != tl__wake_forks)) {
		m->first = NULL;
		m->flags = 0;
		m->forks = tl__wake_forks;
	}
	return m->first;
}

/*
 * Wakes who sleep on @word; by its address: it may be gone. Keeps errno. @kind:
 * what it is a word of, for the probe.
 */
static inline void tl__wake_word(unsigned int kind, _Atomic uint32_t *word,
				 int count)
{
	int saved = errno;

	tl__probe_wake(kind, word, count);
	tl__futex_wake(word, count);
	errno = saved;
}

/* The claimed @n goes on; after the store the node may be gone. */
static inline void tl__wake_done(struct tl__wake_node *n, uint32_t how)
{
	/*
	 * release: pairs with tl__wake_cond_sleep() and _leave(): the chain,
	 * and that we don't touch the node any more
	 */
	atomic_store_explicit(&n->state, TL__WAKE_DONE | how,
			      memory_order_release);
	tl__wake_word(TL_PROBE_WAKE_FUTEX_COND, &n->state, 1);
}

/* The static lock that guards a condition, and those of its queues that are not empty. */
struct tl__wake_lock {
	struct tl__lock lock;
	struct tl__wake_node *queues;	/* the first of each */
} __attribute__((aligned(64)));		/* a cache line */

/* That of a condition which is at @address. */
struct tl__wake_lock *tl__wake_lock_of(const void *address);
/* In the child of a fork: one of those that are gone may have had them. */
void tl__wake_locks_reset(void);

#endif
