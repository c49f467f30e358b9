/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The timer heap against an array that is searched from end to end, and what
 * it leaves behind when memory runs out.
 */
#include "base/alloc.h"
#include "base/heap.h"
#include "../harness/tap.h"

#define N 600

struct item {
	uint64_t key;
	uint64_t seq;
	struct tl__heap_node node;
};

static struct item items[N];
static struct tl__heap h;
static uint64_t rnd, seq;

/* The invariants that heap.h gives, with all that is in the model. */
static bool sound(void)
{
	uint32_t i, in = 0;

	for (i = 0; i < h.len; i++) {
		const struct tl__heap_entry *e = &h.entry[i];
		const struct tl__heap_entry *p = &h.entry[i ? (i - 1) / 4 : 0];

		if (e->node->pos != i + 1)
			return false;
		if (i && (e->key < p->key ||
			  (e->key == p->key && e->seq < p->seq)))
			return false;
	}
	for (i = 0; i < N; i++)
		in += tl__heap_has(&items[i].node);
	return in == h.len && h.len <= h.cap && h.reserved <= h.cap;
}

/* The item that has to come first, or NULL. */
static struct item *model_first(void)
{
	struct item *first = NULL;
	unsigned i;

	for (i = 0; i < N; i++) {
		struct item *t = &items[i];

		if (!tl__heap_has(&t->node))
			continue;
		if (!first || t->key < first->key ||
		    (t->key == first->key && t->seq < first->seq))
			first = t;
	}
	return first;
}

static int insert(struct item *t, uint64_t key)
{
	int rc = tl__heap_insert(&h, &t->node, key);

	if (!rc) {
		t->key = key;
		t->seq = seq++;
	}
	return rc;
}

/* One random step; false if heap and model differ. */
static bool step(unsigned keys, unsigned fill)
{
	struct item *t = &items[tap_random(&rnd) % N], *first = model_first();
	struct tl__heap_node *got;
	uint64_t key = 0;

	got = tl__heap_peek(&h, &key);
	if (got != (first ? &first->node : NULL) || (first && key != first->key))
		return false;
	if (tap_random(&rnd) % 100 < fill) {
		if (!tl__heap_has(&t->node) &&
		    insert(t, tap_random(&rnd) % keys))
			return false;
	} else if (tap_random(&rnd) % 2) {
		key = 0;
		got = tl__heap_pop(&h, &key);
		if (got != (first ? &first->node : NULL) ||
		    (first && (key != first->key || got->pos)))
			return false;
	} else if (tl__heap_has(&t->node)) {
		tl__heap_remove(&h, &t->node);
		if (t->node.pos)
			return false;
	}
	if (!(tap_random(&rnd) % 200))
		tl__heap_trim(&h);
	return true;
}

static void test_model(void)
{
	static const unsigned keys[] = { 1, 4, 50, 1u << 30 };
	unsigned bad = 0, unsound = 0, round, i;

	for (round = 0; round < 16; round++) {
		for (i = 0; i < 3000; i++) {
			/* Grow for half of the time, then shrink. */
			bad += !step(keys[round % 4], i < 1500 ? 75 : 25);
			unsound += !sound();
		}
	}
	tap_is(bad, 0, "the least comes first, and of equals the first");
	tap_is(unsound, 0, "order and positions hold after every step");
	for (bad = 0; h.len;)
		bad += !step(50, 0);
	tap_is(bad, 0, "down to the last one");
	tap_ok(!tl__heap_peek(&h, NULL) && !tl__heap_pop(&h, NULL),
	       "an empty one has no first");
}

static void test_fifo(void)
{
	unsigned i, bad = 0;

	for (i = 0; i < N; i++)
		bad += !!insert(&items[i], i % 3);
	for (i = 0; i < N; i++) {
		uint64_t key;
		struct tl__heap_node *n = tl__heap_pop(&h, &key);

		bad += n != &items[i % (N / 3) * 3 + i / (N / 3)].node ||
		       key != i / (N / 3);
	}
	tap_is(bad, 0, "equal keys leave in the order of their coming");
	insert(&items[0], UINT64_MAX);
	insert(&items[1], 0);
	tap_ok(tl__heap_pop(&h, NULL) == &items[1].node &&
		       tl__heap_pop(&h, NULL) == &items[0].node,
	       "the least and the greatest key are keys as any");
}

/* Each node's removal from each size of heap. */
static void test_remove(void)
{
	unsigned n, victim, i, bad = 0;

	for (n = 1; n <= 90; n++) {
		for (victim = 0; victim < n; victim++) {
			for (i = 0; i < n; i++)
				insert(&items[i], tap_random(&rnd) % 60);
			tl__heap_remove(&h, &items[victim].node);
			bad += !sound();
			while (h.len) {
				struct item *first = model_first();

				bad += tl__heap_pop(&h, NULL) != &first->node;
			}
		}
	}
	tap_is(bad, 0, "any one can be removed from heaps of 1 to 90");
}

static void test_memory(void)
{
	unsigned i, failed = 0;
	size_t freed;

	tl__heap_fini(&h);
	tap_ok(!h.entry && !h.cap, "fini frees all");
	tap_ok(!tl__heap_trim(&h), "and leaves nothing to trim");
	tl__heap_reserve(&h, 100);
	tap_ok(!tl__heap_trim(&h) && h.cap == 100, "a reservation is kept");
	tl__fault_arm(1, true);
	for (i = 0; i < 100; i++)
		failed += !!insert(&items[i], i);
	tap_is(failed, 0, "what was reserved needs no memory");
	tl__heap_remove(&h, &items[50].node);
	failed += !!insert(&items[50], 1000);
	tap_is(failed, 0, "neither does putting back one that was taken out");
	tap_is(insert(&items[100], 0), -ENOMEM, "but one more does");
	tap_ok(!items[100].node.pos && sound() && h.len == 100,
	       "and is not in");
	tap_ok(tl__heap_reserve(&h, 500) == -ENOMEM && h.reserved == 100 &&
		       sound(),
	       "a reservation that fails leaves the former one");
	i = (unsigned)tl__fault_count();
	tap_ok(tl__heap_reserve(&h, UINT32_MAX) == -ENOMEM &&
		       tl__fault_count() == i,
	       "more than positions can count is not even tried");
	tl__fault_arm(0, false);

	for (i = 100; i < N; i++)
		insert(&items[i], i);
	while (h.len > 120)
		tl__heap_pop(&h, NULL);
	tl__fault_arm(1, false);
	tap_ok(!tl__heap_trim(&h) && sound(), "a trim that fails frees nothing");
	tl__fault_arm(0, false);
	i = h.cap;
	freed = tl__heap_trim(&h);
	tap_ok(freed == (i - h.cap) * sizeof(*h.entry) && freed &&
		       h.cap < 120 + TL__HEAP_SLACK && sound(),
	       "a trim leaves less than its slack");
	tl__heap_reserve(&h, 0);
	while (tl__heap_pop(&h, NULL))
		;
	tap_ok(tl__heap_trim(&h) && !h.entry && !h.cap,
	       "an empty heap is trimmed to nothing");
	insert(&items[0], 1);
	tl__heap_fini(&h);
	tap_ok(!items[0].node.pos, "fini takes out what is in");
}

static struct tl__heap_entry kept[N];
static uint32_t kept_len;

static void keep(void)
{
	kept_len = h.len;
	if (h.len)
		memcpy(kept, h.entry, h.len * sizeof(*kept));
}

static bool as_kept(void)
{
	return sound() && h.len == kept_len &&
	       (!h.len || !memcmp(kept, h.entry, h.len * sizeof(*kept)));
}

/*
 * All that allocates. What fails has to leave everything as it was, and to
 * succeed when it is tried again.
 */
static bool run(void)
{
	unsigned i;

	for (i = 0; i < N; i++) {
		keep();
		if (i % 100 == 50 && tl__heap_reserve(&h, i * 2) &&
		    (!as_kept() || tl__heap_reserve(&h, i * 2)))
			return false;
		if (insert(&items[i], i * 7 % 64) &&
		    (!as_kept() || items[i].node.pos || insert(&items[i], 1)))
			return false;
		if (i % 150 == 149)
			tl__heap_trim(&h);
	}
	return h.len == N && sound();
}

static void test_failures(void)
{
	unsigned long nth, passed;
	unsigned bad = 0;

	tl__heap_init(&h);
	for (nth = 1;; nth++) {
		tl__fault_arm(nth, false);
		bad += !run();
		passed = tl__fault_count();
		tl__fault_arm(0, false);
		tl__heap_fini(&h);
		if (passed < nth)
			break;
	}
	tap_is(bad, 0, "each allocation may fail and the next one go on");
	tap_ok(nth > 5, "there were %lu", nth - 1);
}

int main(void)
{
	tap_plan(22);
	rnd = tap_seed();
	test_model();
	test_fifo();
	test_remove();
	test_memory();
	test_failures();
	return tap_exit();
}
