/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * When memory may be used for something else: a condition right after a broadcast and its end, also while some time out,
 * and if they do so later or earlier than that; a mutex right after its last unlock; a semaphore right after its last wait.
 * Each is on a page of its own, which is given back at once: who still looks at it dies.
 */
#include <stdlib.h>

#include "waketest.h"

#define SLEEPERS 6

/* --- the condition ------------------------------------------------------------------------------------------------------ */

struct hall {
	const struct tl_wake *w;
	struct tl_wake_mutex m;
	struct tl_wake_cond *c;
	uint64_t deadline_ns;
	_Atomic int entered;
};

static void *sleeper(void *arg)
{
	struct hall *h = arg;

	h->w->mutex_lock(&h->m);
	atomic_fetch_add(&h->entered, 1);
	h->w->cond_wait(h->c, &h->m, CLOCK_MONOTONIC, h->deadline_ns);
	h->w->mutex_unlock(&h->m);
	return NULL;
}

/*
 * With the mutex held over all of it, those that were woken have all not returned when the page goes. @timed: they have a
 * deadline, which may pass before, while or after they are woken.
 */
static void test_cond(const struct tl_wake *w, bool locked, bool timed)
{
	uint64_t seed = tap_seed();
	int round, i;

	for (round = 0; round < turns(300); round++) {
		struct hall h = { .w = w, .c = map_page(), .deadline_ns = TL_FOREVER };
		pthread_t threads[SLEEPERS];

		if (timed)
			h.deadline_ns = in_ns(MS);
		for (i = 0; i < SLEEPERS; i++)
			threads[i] = start(sleeper, &h);
		if (!reaches(&h.entered, SLEEPERS))
			tap_bail("they do not come");
		while (timed && now_by(CLOCK_MONOTONIC) + tap_random(&seed) % 100000 < h.deadline_ns)
			;
		w->mutex_lock(&h.m);
		if (!locked)
			w->mutex_unlock(&h.m);
		w->cond_broadcast(h.c);
		w->cond_destroy(h.c);
		unmap_page(h.c);
		if (timed && locked)
			nap(tap_random(&seed) % 2 * MS);
		if (locked)
			w->mutex_unlock(&h.m);
		for (i = 0; i < SLEEPERS; i++)
			pthread_join(threads[i], NULL);
	}
	tap_ok(true, "%s: a condition is gone right after its broadcast, %s the mutex%s", w->name,
	       locked ? "with" : "without", timed ? ", while waits time out" : "");
}

/*
 * Those that waited have all timed out, and nothing else than the broadcast, which finds nobody, orders what they did before
 * the end: not the mutex, which is theirs. That is for the thread sanitizer to say.
 */
static void test_left(const struct tl_wake *w)
{
	int round, i;

#if defined(__SANITIZE_THREAD__)
	if (is(w, "pthread")) {
		tap_skip("pthread: the sanitizer takes the end of a condition for a write that nothing orders");
		return;
	}
#endif
	for (round = 0; round < turns(20); round++) {
		struct hall h = { .w = w, .c = map_page(), .deadline_ns = in_ns(MS) };
		pthread_t threads[SLEEPERS];

		for (i = 0; i < SLEEPERS; i++)
			threads[i] = start(sleeper, &h);
		if (!reaches(&h.entered, SLEEPERS))
			tap_bail("they do not come");
		nap(5 * MS);
		w->cond_broadcast(h.c);
		w->cond_destroy(h.c);
		unmap_page(h.c);
		for (i = 0; i < SLEEPERS; i++)
			pthread_join(threads[i], NULL);
	}
	tap_ok(true, "%s: a condition is gone after a broadcast that finds that all have timed out", w->name);
}

/* --- the mutex ---------------------------------------------------------------------------------------------------------- */

struct shared {
	struct tl_wake_mutex m;
	struct tl_wake_cond c;
	int references;
};

struct shares {
	const struct tl_wake *w;
	struct shared *shared;
};

/* Whoever is the last gives the memory back, though the one before may still be in its unlock. */
static void *owner(void *arg)
{
	struct shares *s = arg;
	struct shared *shared = s->shared;
	bool last;

	s->w->mutex_lock(&shared->m);
	last = !--shared->references;
	s->w->mutex_unlock(&shared->m);
	if (last)
		unmap_page(shared);
	return NULL;
}

static void test_mutex(const struct tl_wake *w)
{
	int round, i;

	for (round = 0; round < turns(1000); round++) {
		struct shares s = { w, map_page() };
		pthread_t threads[3];

		s.shared->references = 3;
		w->mutex_lock(&s.shared->m);
		for (i = 0; i < 3; i++)
			threads[i] = start(owner, &s);
		if (round & 1)
			sched_yield();
		w->mutex_unlock(&s.shared->m);
		for (i = 0; i < 3; i++)
			pthread_join(threads[i], NULL);
	}
	tap_ok(true, "%s: a mutex is gone right after its last unlock", w->name);
}

/* The one that is woken unlocks for the last time: the memory of both goes while the signaller is in its unlock. */
static void *last_one(void *arg)
{
	struct shares *s = arg;
	struct shared *shared = s->shared;

	s->w->mutex_lock(&shared->m);
	shared->references++;
	while (shared->references < 2)
		s->w->cond_wait(&shared->c, &shared->m, CLOCK_MONOTONIC, TL_FOREVER);
	s->w->mutex_unlock(&shared->m);
	unmap_page(shared);
	return NULL;
}

static void test_both(const struct tl_wake *w)
{
	int round;

	for (round = 0; round < turns(2000); round++) {
		struct shares s = { w, map_page() };
		struct shared *shared = s.shared;
		pthread_t thread = start(last_one, &s);
		bool there = false;

		while (!there) {
			w->mutex_lock(&shared->m);
			there = shared->references == 1;
			if (there) {
				shared->references = 2;
				if (round & 1)
					w->cond_signal(&shared->c);
				else
					w->cond_broadcast(&shared->c);
			}
			w->mutex_unlock(&shared->m);
			if (!there)
				sched_yield();
		}
		pthread_join(thread, NULL);
	}
	tap_ok(true, "%s: the one that is woken may free condition and mutex, while the unlock that woke it is under way",
	       w->name);
}

/* --- the semaphore ------------------------------------------------------------------------------------------------------ */

struct post {
	const struct tl_wake *w;
	struct tl_wake_sem *s;
};

static void *poster(void *arg)
{
	struct post *p = arg;

	p->w->sem_post(p->s);
	return NULL;
}

static void test_sem(const struct tl_wake *w)
{
	int round;

	for (round = 0; round < turns(2000); round++) {
		struct post p = { w, map_page() };
		pthread_t thread = start(poster, &p);

		w->sem_wait(p.s, CLOCK_MONOTONIC, TL_FOREVER);
		unmap_page(p.s);
		pthread_join(thread, NULL);
	}
	tap_ok(true, "%s: a semaphore is gone right after its last wait", w->name);
}

int main(void)
{
	const struct tl_wake *w;

	tap_plan(4 * 8);
	FOR_EACH_WAKE(w) {
		test_cond(w, true, false);
		test_cond(w, false, false);
		test_cond(w, true, true);
		test_cond(w, false, true);
		test_left(w);
		test_both(w);
		test_mutex(w);
		test_sem(w);
	}
	return tap_exit();
}
