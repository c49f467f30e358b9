/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * actors.h: threads that do what they are told, one call at a time, so that the main thread, which is not attached to any
 * lock, says in which order all happens; and what it sees inside of the lock. No time decides.
 */
#ifndef TESTS_GIL_ACTORS_H
#define TESTS_GIL_ACTORS_H

#include "gil.h"

#include "gil/gil.h"

enum order { NOTHING, ATTACH, DETACH, TICK, TICKS, YIELD, BEGIN, BEGIN_THERE, END, QUIT };

#define ACTORS 5
#define MANY_TICKS 500

static struct actor {
	pthread_t thread;
	struct tl__gil_thread *t;	/* from ATTACH on */
	_Atomic enum order order;	/* NOTHING: it is done */
	bool gave;			/* what the last YIELD said */
} a, b, c, d, e;

static struct tl_gil *the_gil;

/* Two places that block. */
static __attribute__((noinline, noclone)) void begin_here(void)
{
	tl_gil_block_begin();
	__asm__ volatile("");	/* not a jump */
}

static __attribute__((noinline, noclone)) void begin_there(void)
{
	tl_gil_block_begin();
	__asm__ volatile("" : : : "memory");
}

static void obey(struct actor *me, enum order order)
{
	int i;

	switch (order) {
	case ATTACH: come_in(the_gil); break;
	case DETACH: tl_gil_detach(); me->t = NULL; break;
	case TICKS:
		for (i = 0; i < MANY_TICKS; i++)
			tl_tick();
		break;
	case TICK: tl_tick(); break;
	case YIELD: me->gave = tl_gil_yield(); break;
	case BEGIN: begin_here(); break;
	case BEGIN_THERE: begin_there(); break;
	case END: tl_gil_block_end(); break;
	default: break;
	}
}

static void *acts(void *arg)
{
	struct actor *me = arg;
	enum order order;

	do {
		await(atomic_load(&me->order));
		order = atomic_load(&me->order);
		obey(me, order);
		atomic_store(&me->order, NOTHING);
	} while (order != QUIT);
	return NULL;
}

static bool is_done(struct actor *actor)
{
	return !atomic_load(&actor->order);
}

static void done(struct actor *actor)
{
	await(is_done(actor));
}

static void tell(struct actor *actor, enum order order)
{
	done(actor);
	atomic_store(&actor->order, order);
}

/* And waits until it has. */
static void let(struct actor *actor, enum order order)
{
	tell(actor, order);
	done(actor);
}

/* --- what is inside ------------------------------------------------------------------------------------------------- */

static struct tl__gil_thread *newest(void)
{
	struct tl__gil_thread *t;

	tl__lock(&the_gil->lock);
	t = tl__container_of(the_gil->threads.prev, struct tl__gil_thread, link);
	tl__unlock(&the_gil->lock);
	return t;
}

/* Begins to attach: it may have to wait. */
static void comes_new(struct actor *actor)
{
	uint64_t before, now;

	tl__lock(&the_gil->lock);
	before = the_gil->numbers;
	tl__unlock(&the_gil->lock);
	tell(actor, ATTACH);
	do {
		nap();
		tl__lock(&the_gil->lock);
		now = the_gil->numbers;
		tl__unlock(&the_gil->lock);
	} while (now == before);
	actor->t = newest();
}

static bool has_it(const struct actor *actor)
{
	return atomic_load(&actor->t->holds);
}

/* Whether it is being asked. */
static UNUSED bool is_asked(const struct actor *actor)
{
	return __atomic_load_n(actor->t->tick_word, __ATOMIC_RELAXED) & TL__TICK_GIL;
}

/* The place of @actor in the handoff policy's queue of that class, from 1 on; 0: it is not there. */
static UNUSED int place(const struct actor *actor, enum tl_gil_class class)
{
	struct tl__list *queue = &the_gil->handoff.waiting[class], *link;
	int n = 0, found = 0;

	tl__lock(&the_gil->lock);
	for (link = queue->next; link != queue; link = link->next) {
		n++;
		if (link == &actor->t->waiter.link)
			found = n;
	}
	tl__unlock(&the_gil->lock);
	return found;
}

/* --- scenes ----------------------------------------------------------------------------------------------------------- */

static struct actor *const actors[ACTORS] = { &a, &b, &c, &d, &e };

static void cast(void)
{
	int i;

	for (i = 0; i < ACTORS; i++)
		actors[i]->thread = start(acts, actors[i]);
}

static void dismiss(void)
{
	int i;

	for (i = 0; i < ACTORS; i++) {
		tell(actors[i], QUIT);
		pthread_join(actors[i]->thread, NULL);
	}
}

static void open_scene(const char *spec)
{
	the_gil = new_gil(spec);
}

static bool someone_is_busy(void)
{
	int i;

	for (i = 0; i < ACTORS; i++)
		if (!is_done(actors[i]))
			return true;
	return false;
}

/* Whoever is free leaves; by that the others get it, and are free. */
static void close_scene(void)
{
	bool busy;
	int i;

	do {
		busy = someone_is_busy();
		for (i = 0; i < ACTORS; i++) {
			if (!is_done(actors[i]) || !actors[i]->t)
				continue;
			let(actors[i], DETACH);
			busy = true;
		}
		nap();
	} while (busy);
	if (tl_gil_free(the_gil))
		tap_bail("somebody is attached still");
}

#endif
