/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Signals of each implementation belong to those who waited when they were sent: not to who comes later, not to nobody
 * because somebody else timed out. With and without the mutex, one by one and in herds; in FIFO order where that is
 * promised. Waits that return for no reason are counted.
 */
#include <signal.h>

#include "waketest.h"

#define HERD 24

static void send(struct room *r, bool locked, bool all)
{
	if (locked)
		r->w->mutex_lock(&r->m);
	if (all)
		r->w->cond_broadcast(&r->c);
	else
		r->w->cond_signal(&r->c);
	if (locked)
		r->w->mutex_unlock(&r->m);
}

/* Ends those that wait still, when a test is over. */
static void clear(struct room *r, int all)
{
	while (atomic_load(&r->over) < all) {
		r->w->mutex_lock(&r->m);
		r->go = true;
		r->w->cond_broadcast(&r->c);
		r->w->mutex_unlock(&r->m);
		nap(MS);
	}
}

/*
 * A times out while B waits and the mutex is held, so that it can't return; then one signal is sent, A leaves, and C
 * comes. The signal must end B's wait (or A's, who then was not timed out), whatever C does.
 */
static void test_stolen(const struct tl_wake *w)
{
	int round, stolen = 0, spurious = 0;

	for (round = 0; round < turns(40) && !stolen; round++) {
		struct room r = { .w = w };
		struct guest g[3];

		let_in(&r, &g[0], 0, in_ns(2 * MS));
		let_in(&r, &g[1], 1, TL_FOREVER);
		w->mutex_lock(&r.m);
		nap(4 * MS);
		w->cond_signal(&r.c);
		w->mutex_unlock(&r.m);
		let_in(&r, &g[2], 2, in_ns(20 * MS));
		see_out(g, 1);
		/* A's result tells whose it was. */
		if (g[0].result)
			stolen += !reaches(&r.woken, 1);
		pthread_join(g[2].thread, NULL);
		if (g[0].result && !g[2].result) {
			spurious++;
			stolen += !reaches(&r.woken, 2);
		}
		clear(&r, 3);
		pthread_join(g[1].thread, NULL);
	}
	tap_is(stolen, 0, "%s: one that timed out leaves the signal to the other, and a newcomer too", w->name);
	if (spurious)
		tap_diag("%s: the newcomer was woken for no reason %d times of %d", w->name, spurious, round);
}

static _Atomic int frozen, thaw;

static void freeze(UNUSED int number)
{
	struct timespec ts = { 0, 200000 };

	atomic_store(&frozen, 1);
	while (!atomic_load(&thaw))
		nanosleep(&ts, NULL);
}

static void *fn_signal(void *arg)
{
	send(arg, false, false);
	return NULL;
}

/*
 * B waits, and is stopped there, by a signal handler. It is signalled, and C comes to wait. When B goes on, the signal is
 * its: C may have returned for no reason, but not in B's place.
 */
static void test_slow(const struct tl_wake *w)
{
	struct sigaction action = { .sa_handler = freeze };
	struct room r = { .w = w };
	struct guest b, c = { .room = &r, .number = 1, .clock = CLOCK_MONOTONIC };
	pthread_t signaller;

	sigaction(SIGUSR1, &action, NULL);
	atomic_store(&frozen, 0);
	atomic_store(&thaw, 0);
	let_in(&r, &b, 0, TL_FOREVER);
	nap(2 * MS);
	pthread_kill(b.thread, SIGUSR1);
	if (!reaches(&frozen, 1))
		tap_bail("the signal handler does not run");
	signaller = start(fn_signal, &r);
	nap(5 * MS);
	c.deadline_ns = in_ns(20 * MS);
	c.thread = start(guest_main, &c);
	reaches(&r.entered, 2);
	nap(5 * MS);
	atomic_store(&thaw, 1);
	pthread_join(c.thread, NULL);
	tap_ok(reaches(&r.woken, c.result ? 1 : 2), "%s: one that is slow to wake is woken, whoever comes meanwhile", w->name);
	clear(&r, 2);
	pthread_join(signaller, NULL);
	pthread_join(b.thread, NULL);
}

/* As many signals as wait without a deadline, at the moment when others time out, and newcomers come. */
static void test_crossing(const struct tl_wake *w, bool locked)
{
	int round, lost = 0, timed = 0;
	uint64_t seed = tap_seed();

	for (round = 0; round < turns(60) && !lost; round++) {
		struct room r = { .w = w };
		struct guest g[12];
		uint64_t deadline;
		int i;

		for (i = 0; i < 4; i++)
			let_in(&r, &g[i], i, TL_FOREVER);
		deadline = in_ns(3 * MS);
		for (i = 4; i < 8; i++)
			let_in(&r, &g[i], i, deadline);
		while (now_by(CLOCK_MONOTONIC) + tap_random(&seed) % 200000 < deadline)
			;
		for (i = 0; i < 4; i++)
			send(&r, locked, false);
		/* They may take none of these; their own time-outs end them. */
		for (i = 8; i < 12; i++)
			let_in(&r, &g[i], i, in_ns(MS));
		for (i = 4; i < 12; i++)
			pthread_join(g[i].thread, NULL);
		for (i = 8; i < 12; i++)
			if (!g[i].result)
				atomic_fetch_sub(&r.woken, 1);
		timed += atomic_load(&r.timed_out);
		lost += !reaches(&r.woken, 4);
		clear(&r, 12);
		for (i = 0; i < 4; i++)
			pthread_join(g[i].thread, NULL);
	}
	tap_is(lost, 0, "%s: signals that cross deadlines end as many waits, %s the mutex", w->name,
	       locked ? "with" : "without");
	tap_diag("%s: %d rounds, %d time-outs", w->name, round, timed);
}

static void test_herd(const struct tl_wake *w, bool locked, bool all)
{
	struct room r = { .w = w };
	struct guest g[HERD];
	int i;

	for (i = 0; i < HERD; i++)
		let_in(&r, &g[i], i, TL_FOREVER);
	for (i = 0; i < (all ? 1 : HERD); i++)
		send(&r, locked, all);
	tap_ok(reaches(&r.woken, HERD), "%s: %s %s the mutex ends all waits", w->name,
	       all ? "a broadcast" : "a signal for each", locked ? "with" : "without");
	clear(&r, HERD);
	see_out(g, HERD);
}

/* One after the other, for a woken one that does not have the mutex yet might be overtaken; or all at once. */
static void test_fifo(const struct tl_wake *w, bool locked)
{
	struct room r = { .w = w };
	struct guest g[HERD];
	int i, wrong = 0;

	for (i = 0; i < HERD; i++)
		let_in(&r, &g[i], i, TL_FOREVER);
	if (locked)
		w->mutex_lock(&r.m);
	for (i = 0; i < HERD; i++) {
		w->cond_signal(&r.c);
		if (!locked && !reaches(&r.over, i + 1))
			break;
	}
	if (locked)
		w->mutex_unlock(&r.m);
	see_out(g, HERD);
	for (i = 0; i < HERD; i++)
		wrong += r.order[i] != i;
	tap_is(wrong, 0, "%s: first come, first served; %s", w->name,
	       locked ? "all signalled at once" : "one after the other, without the mutex");
}

/* A wait that nobody signalled should not return 0: counted, not forbidden. */
static void test_spurious(const struct tl_wake *w)
{
	struct room r = { .w = w, .loop = true };
	struct guest g[4];
	int i;

	for (i = 0; i < 4; i++)
		let_in(&r, &g[i], i, TL_FOREVER);
	nap(5 * MS);
	clear(&r, 4);
	see_out(g, 4);
	tap_diag("%s: %d waits returned for no reason", w->name, atomic_load(&r.spurious));
	tap_ok(r.go && atomic_load(&r.woken) == 4, "%s: a loop around the wait sees what was waited for", w->name);
}

int main(void)
{
	const struct tl_wake *w;

	tap_plan(4 * 9 + 2);
	FOR_EACH_WAKE(w) {
		test_stolen(w);
		test_slow(w);
		test_crossing(w, true);
		test_crossing(w, false);
		test_herd(w, true, true);
		test_herd(w, false, true);
		test_herd(w, true, false);
		test_herd(w, false, false);
		test_spurious(w);
	}
	test_fifo(tl_wake_find("futex"), true);
	test_fifo(tl_wake_find("futex"), false);
	return tap_exit();
}
