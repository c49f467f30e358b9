/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Which GILs are known. Owns the table: an entry is free if its mutex is NULL;
 * entries are added and freed under `table`, inside the GIL's own mutex or in the
 * child of a fork; the count never falls. An entry that was freed is used again when
 * nobody waits in it.
 *
 * A condition may be destroyed while other threads still use the entry: one that was
 * woken by its last signal has not looked at its waiter yet, and one that has the mutex
 * will unlock it. Even where they wait: CPython that begins anew destroys the GIL that
 * daemon threads of its first life wait for (init_interp_create_gil()). So
 *
 * - who waits holds the entry, and finds its own queue to leave;
 * - who is in a section knows the mutex of it, and ends it for good at the unlock, with
 *   those woken whom it has taken out of queues;
 * - who forgets looks up the entry under the lock: of two threads that destroy a GIL's
 *   two conditions, the second must not free what a third has put there.
 *
 * What is left: a thread is just unlocking a GIL that it took, and within these few
 * instructions another one destroys the condition and a third learns a GIL into the
 * entry. It would be taken for that one's holder. CPython destroys no GIL that others
 * can take.
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

/* Under the lock. */
static bool is_free(struct tl__gil *g)
{
	/*
	 * relaxed: the lock. seq_cst: pairs with tl__gil_hold(): a wait that does
	 * not find the entry forgotten is seen here; and with tl__gil_let_go().
	 */
	return !atomic_load_explicit(&g->mutex, memory_order_relaxed) &&
	       !atomic_load_explicit(&g->waits, memory_order_seq_cst);
}

bool tl__gil_hold(struct tl__gil *g, const pthread_cond_t *c,
		  const pthread_mutex_t *m)
{
	/* seq_cst throughout: pairs with tl__gil_forget(), then is_free() */
	atomic_fetch_add_explicit(&g->waits, 1, memory_order_seq_cst);
	if (c ? atomic_load_explicit(&g->cond, memory_order_seq_cst) == c ||
		atomic_load_explicit(&g->switched, memory_order_seq_cst) == c :
		atomic_load_explicit(&g->mutex, memory_order_seq_cst) == m)
		return true;
	tl__gil_let_go(g);
	return false;
}

void tl__gil_let_go(struct tl__gil *g)
{
	/* release: pairs with is_free(): what was done with the entry */
	atomic_fetch_sub_explicit(&g->waits, 1, memory_order_release);
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
		if (is_free(&tl__gils[i]))
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

/* Under the lock, or in the child of a fork. */
static void clear(struct tl__gil *g)
{
	/* seq_cst: pairs with tl__gil_hold() */
	atomic_store_explicit(&g->mutex, NULL, memory_order_seq_cst);
	atomic_store_explicit(&g->cond, NULL, memory_order_seq_cst);
	atomic_store_explicit(&g->switched, NULL, memory_order_seq_cst);
}

/* Who may still use the entry is told at the top. */
void tl__gil_forget(const pthread_cond_t *c)
{
	struct tl__gil *g;

	if (likely(!tl__gil_of_cond(c)))
		return;
	tl__lock(&table);
	g = tl__gil_of_cond(c);
	if (g) {
		tl__gil_stat(gils_forgotten);
		clear(g);
	}
	tl__unlock(&table);
}

void tl__gil_signals_other(struct tl__gil *g, pthread_cond_t *c)
{
	/* relaxed: others look it up when they use the object itself */
	if (atomic_load_explicit(&g->switched, memory_order_relaxed))
		return;
	tl__lock(&table);
	/* relaxed: the lock. It may be forgotten, or another one by now. */
	if (tl__gil_was_mine(atomic_load_explicit(&g->mutex,
						  memory_order_relaxed)) &&
	    !atomic_load_explicit(&g->switched, memory_order_relaxed))
		atomic_store_explicit(&g->switched, c, memory_order_relaxed);
	tl__unlock(&table);
}

/*
 * CPython makes its GIL anew in the child, which forgets it. But not before the thread
 * that forked has let go of the mutex; the lock may be another thread's that is not
 * there; and waiters are on stacks that are used again.
 */
void tl__gil_forget_all(void)
{
	unsigned int i;

	table.word = 0;
	for (i = 0; i < TL__GILS_MAX; i++) {
		clear(&tl__gils[i]);
		tl__gils[i].waits = 0;
	}
	tl__gil_me.in = tl__gil_me.has = NULL;
	tl__gil_me.mutex = NULL;
	tl__gil_me.wake = NULL;
	tl__slice_short(false);
}
