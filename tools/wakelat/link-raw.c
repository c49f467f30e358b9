/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The floor: a ring between one putter and one getter, and a futex word for
 * each, on which it says that it sleeps. A wake-up costs one system call, and
 * none where nobody sleeps.
 *
 * Invariant: who sleeps has set his word to 1 and then seen that there is
 * nothing for him; who makes something first counts it and then looks at the
 * word. Both in one total order, so that one of the two sees the other.
 */
#include "link.h"
#include "os/futex.h"

static int raw_open(struct link *link)
{
	(void)link;
	return 0;
}

static void raw_close(struct link *link)
{
	(void)link;
}

/* Sleeps until @counter is not @seen. */
static void sleep_while(_Atomic uint32_t *counter, uint32_t seen,
			_Atomic uint32_t *sleeps)
{
	/* acquire: pairs with count(): the slots that it tells of */
	while (atomic_load_explicit(counter, memory_order_acquire) == seen) {
		/* seq_cst: before the next load, as count() has it mirrored */
		atomic_store_explicit(sleeps, 1, memory_order_seq_cst);
		/* seq_cst: after that store */
		if (atomic_load_explicit(counter, memory_order_seq_cst) == seen)
			tl__futex_wait(sleeps, 1, TL_FOREVER);
	}
}

static void count(_Atomic uint32_t *counter, _Atomic uint32_t *sleeps)
{
	/* seq_cst: releases the slot to sleep_while(), before the next load */
	atomic_fetch_add_explicit(counter, 1, memory_order_seq_cst);
	/*
	 * seq_cst: after the count. The word may still say so from a time when
	 * its owner did not have to sleep after all; then nobody is woken.
	 */
	if (atomic_load_explicit(sleeps, memory_order_seq_cst)) {
		/* relaxed: the futex call looks at it again, nothing hangs on it */
		atomic_store_explicit(sleeps, 0, memory_order_relaxed);
		tl__futex_wake(sleeps, 1);
	}
}

static int raw_put(struct link *link, uint64_t value)
{
	if (link->capacity)
		sleep_while(&link->u.raw.got, link->slots.put - link->capacity,
			    &link->u.raw.putter_sleeps);
	link_push(&link->slots, value);
	count(&link->u.raw.put, &link->u.raw.getter_sleeps);
	return 0;
}

static int raw_get(struct link *link, uint64_t *value)
{
	sleep_while(&link->u.raw.put, link->slots.got,
		    &link->u.raw.getter_sleeps);
	*value = link_pop(&link->slots);
	if (link->capacity)
		count(&link->u.raw.got, &link->u.raw.putter_sleeps);
	return 0;
}

const struct primitive link_raw = {
	.name = "futex",
	.what = "bare futex words: the floor, what ratios are against",
	.open = raw_open,
	.close = raw_close,
	.put = raw_put,
	.get = raw_get,
};
