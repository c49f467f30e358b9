/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the threads of a global interpreter lock came to. Each thread counts for
 * itself; others read that as it goes on. A thread is looked up with the lock and
 * told about without it.
 */
#include "gil/checked.h"
#include "gil/gil.h"

/* relaxed: numbers, each for itself */
static uint64_t get(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static void add_times(struct tl_gil_times *to, const struct tl__gil_times *from)
{
	uint64_t max = get(&from->max_ns);

	to->count += get(&from->count);
	to->sum_ns += get(&from->sum_ns);
	if (max > to->max_ns)
		to->max_ns = max;
}

static void add(struct tl_gil_stats *to, const struct tl__gil_thread *t)
{
	const struct tl__gil_counters *c = &t->counters;
	int class;

	for (class = 0; class < 2; class++) {
		add_times(&to->waits[class], &c->waits[class]);
		add_times(&to->holds_as[class], &c->holds[class]);
	}
	to->forced += get(&c->forced);
	to->kept += get(&c->kept);
	to->stolen += get(&c->stolen);
	/* relaxed: as it is just now */
	to->holds |= atomic_load_explicit(&t->holds, memory_order_relaxed);
}

void tl__gil_stats_keep(struct tl__gil_thread *me)
{
	add(&me->gil->gone, me);
	me->gil->gone.holds = false;
}

static struct tl__gil_thread *thread_of(struct tl__list *link)
{
	return tl__container_of(link, struct tl__gil_thread, link);
}

/* Returns the number of the last thread there is now. */
static uint64_t sum(struct tl_gil *gil, struct tl_gil_stats *stats)
{
	struct tl__list *link;
	uint64_t last;

	tl__lock(&gil->lock);
	*stats = gil->gone;
	for (link = gil->threads.next; link != &gil->threads; link = link->next)
		add(stats, thread_of(link));
	last = gil->numbers;
	tl__unlock(&gil->lock);
	stats->size = sizeof(*stats);
	stats->tid = 0;
	return last;
}

/* The first thread whose number is beyond @after. Returns that, or 0. */
static uint64_t next_thread(struct tl_gil *gil, uint64_t after,
			    struct tl_gil_stats *stats)
{
	struct tl__gil_thread *t;
	struct tl__list *link;
	uint64_t number = 0;

	*stats = (struct tl_gil_stats){ .size = sizeof(*stats) };
	tl__lock(&gil->lock);
	for (link = gil->threads.next; link != &gil->threads && !number;
	     link = link->next) {
		t = thread_of(link);
		if (t->number <= after)
			continue;
		number = t->number;
		stats->tid = t->tid;
		add(stats, t);
	}
	tl__unlock(&gil->lock);
	return number;
}

void tl_gil_stats(struct tl_gil *gil,
		  bool (*fn)(const struct tl_gil_stats *stats, void *arg),
		  void *arg)
{
	struct tl_gil_stats stats;
	uint64_t number = 0, last;

	if (tl__gil_is_gone(gil))
		return;
	last = sum(gil, &stats);
	while (fn(&stats, arg)) {
		number = next_thread(gil, number, &stats);
		/* Those that come meanwhile are not waited for. */
		if (!number || number > last)
			break;
	}
}
