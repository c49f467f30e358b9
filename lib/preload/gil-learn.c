/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Which GILs are known. Owns the table: an entry is free if its mutex is NULL;
 * entries are added and freed under `table`, inside the GIL's own mutex or in the
 * child of a fork; the count never falls.
 */
#include "preload/gil.h"

#include <stddef.h>

#include "os/clock.h"
#include "os/lock.h"
#include "preload/slice.h"

struct tl__gil tl__gils[TL__GILS_MAX];
_Atomic unsigned int tl__gil_count;

static struct tl__lock table = TL__LOCK_INIT;

static void set_up(struct tl__gil *g, pthread_cond_t *c, pthread_mutex_t *m)
{
	tl__list_init(&g->io);
	tl__list_init(&g->cpu);
	tl__list_init(&g->leaving);
	g->cpu_waiters = 0;
	g->heir = g->holder = g->turn_of = NULL;
	/* Somebody holds it, or nobody would wait; it is taken for a CPU thread. */
	g->held = true;
	g->taken_ns = g->stamp_ns = tl__now();
	g->burst_ns = TL__IO_BURST_NS;
	g->forced = g->cpu_phase = g->heir_is_io = false;
	g->coming = NULL;
	g->turn_ns = g->interval_ns = 0;
	g->owed_ns = 0;
	/* relaxed: published by the count, or to those who know the objects */
	atomic_store_explicit(&g->switched, NULL, memory_order_relaxed);
	atomic_store_explicit(&g->cond, c, memory_order_relaxed);
	atomic_store_explicit(&g->mutex, m, memory_order_relaxed);
}

struct tl__gil *tl__gil_learn(pthread_cond_t *c, pthread_mutex_t *m,
			      const struct timespec *until)
{
	struct tl__gil *g = NULL;
	unsigned int n, i;

	(void)until;
	tl__lock(&table);
	/* relaxed: it only changes under the lock */
	n = atomic_load_explicit(&tl__gil_count, memory_order_relaxed);
	for (i = 0; i < n && !g; i++)
		if (!tl__gils[i].mutex)
			g = &tl__gils[i];
	if (!g && n < TL__GILS_MAX)
		g = &tl__gils[n++];
	if (g) {
		set_up(g, c, m);
		tl__gil_stat(gils_learnt);
		/* release: pairs with tl__gil_of_mutex(): the entry is set up */
		atomic_store_explicit(&tl__gil_count, n, memory_order_release);
	}
	tl__unlock(&table);
	return g;
}

void tl__gil_forget(const pthread_cond_t *c)
{
	struct tl__gil *g = tl__gil_of_cond(c);

	if (!g)
		return;
	tl__lock(&table);
	tl__gil_stat(gils_forgotten);
	/* relaxed: nobody uses the objects any more */
	atomic_store_explicit(&g->mutex, NULL, memory_order_relaxed);
	atomic_store_explicit(&g->cond, NULL, memory_order_relaxed);
	atomic_store_explicit(&g->switched, NULL, memory_order_relaxed);
	tl__unlock(&table);
}

void tl__gil_forget_all(void)
{
	unsigned int i;

	table.word = 0;
	for (i = 0; i < TL__GILS_MAX; i++) {
		tl__gils[i].mutex = NULL;
		tl__gils[i].cond = NULL;
		tl__gils[i].switched = NULL;
	}
	tl__gil_me.in = tl__gil_me.has = NULL;
	tl__gil_me.wake = NULL;
	tl__slice_short(false);
}
