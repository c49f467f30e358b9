/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The emulated condition from the inside: one whose time is up before a signal is sent, but who says so after that, takes
 * nothing of it; newcomers don't; and when nobody waits any more, nothing is left over.
 */
#include "waketest.h"

#include "wake/emulated.h"
#include "wake/futex-list.h"

static struct room room;

static struct tl__wake_emulated *cond(void)
{
	return (struct tl__wake_emulated *)&room.c;
}

static bool nothing_left(void)
{
	struct tl__wake_emulated *c = cond();

	return !c->waiting && !atomic_load(&c->tokens) && !c->newcomers && !tl__wake_sem_value(&c->sem) &&
	       !atomic_load(&c->sem.value);
}

static void *fn_signal(void *arg)
{
	room.w->cond_signal(&room.c);
	return arg;
}

/*
 * The counters' lock is held while A's time is up and the signal is sent: when it is let go of, either may be first. Then
 * B is woken, if A was not.
 */
static void test_crossing(void)
{
	struct tl__lock *lock = &tl__wake_lock_of(&room.c)->lock;
	int round, lost = 0, left = 0, timed_out = 0;

	for (round = 0; round < turns(60) && !lost && !left; round++) {
		struct guest g[2];
		pthread_t signaller;

		memset(&room, 0, sizeof(room));
		room.w = tl_wake_find("emulated");
		let_in(&room, &g[0], 0, in_ns(MS));
		let_in(&room, &g[1], 1, TL_FOREVER);
		tl__lock(lock);
		if (round % 2)
			nap(2 * MS);
		signaller = start(fn_signal, NULL);
		nap(3 * MS);
		tl__unlock(lock);
		pthread_join(signaller, NULL);
		pthread_join(g[0].thread, NULL);
		timed_out += g[0].result != 0;
		lost += !reaches(&room.woken, 1);
		if (!g[0].result)
			room.w->cond_signal(&room.c);
		if (!lost)
			pthread_join(g[1].thread, NULL);
		left += !nothing_left();
	}
	tap_is(lost, 0, "a signal that crosses a deadline wakes one");
	tap_is(left, 0, "and leaves nothing over");
	tap_diag("%d rounds, %d timed out", round, timed_out);
}

/*
 * Alone, signalled, and his time is up before the token comes: the signal was his, and he takes the token with him.
 */
static void test_told_late(void)
{
	struct tl__wake_emulated *c = cond();
	int round, told = 0, left = 0;

	for (round = 0; round < 1000 && !told; round++) {
		struct tl__lock *lock = &tl__wake_lock_of(&room.c)->lock;
		struct guest g;
		bool waits;

		memset(&room, 0, sizeof(room));
		room.w = tl_wake_find("emulated");
		let_in(&room, &g, 0, in_ns(20 * MS));
		/* What a signal does, but for the token: it is about to be there. */
		tl__lock(lock);
		waits = c->waiting;
		if (waits) {
			c->waiting--;
			atomic_store(&c->tokens, 1);
		}
		tl__unlock(lock);
		nap(40 * MS);
		if (waits)
			tl__wake_sem_post(&c->sem, 1);
		pthread_join(g.thread, NULL);
		told += waits && g.result == 0;
		left += !nothing_left();
	}
	tap_ok(told > 0, "who is signalled when his time is over, and has not said so, is told 0");
	tap_is(left, 0, "and takes his token with him");
}

/* While a token is on its way to one that waits, others come: the counters say so, and the token is not there yet. */
static void test_newcomers(void)
{
	struct tl__wake_emulated *c = cond();
	struct guest g[4];
	int i;

	memset(&room, 0, sizeof(room));
	room.w = tl_wake_find("emulated");
	let_in(&room, &g[0], 0, TL_FOREVER);
	c->waiting--;
	atomic_store(&c->tokens, 1);
	for (i = 1; i < 3; i++)
		let_in(&room, &g[i], i, TL_FOREVER);
	let_in(&room, &g[3], 3, in_ns(MS));
	pthread_join(g[3].thread, NULL);
	tap_is(g[3].result, -ETIMEDOUT, "a newcomer's time may be up before the tokens are taken");
	nap(2 * MS);
	tap_ok(c->newcomers == 2 && !c->waiting && !atomic_load(&room.woken), "others sleep, and are not counted as waiting");
	tl__wake_sem_post(&c->sem, 1);
	tap_ok(reaches(&room.woken, 3), "when the token is taken they return, for no reason");
	see_out(g, 3);
	tap_ok(nothing_left(), "and nothing is left over");
}

int main(void)
{
	tap_plan(2 + 2 + 4);
	tap_seed();
	test_crossing();
	test_told_late();
	test_newcomers();
	return tap_exit();
}
