/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The emulated condition, and its table; the rest of the table is futex.c's.
 *
 * Owns the counters of struct tl__wake_emulated, under one of the static locks of
 * futex-cond.c, which is a leaf: in a child of a fork it can be made anew. The
 * invariant: as many sleep on the semaphore, or are about to or have just been
 * woken, as `waiting` and `tokens` say together; all of the tokens are there, have
 * been taken by one who has not said so yet, or are about to be posted.
 *
 * Nobody joins them while `tokens` is not 0: he could take the token of one who
 * was there when it was sent. So a newcomer sleeps until they are all taken, and
 * then returns for no reason: he could not have been told of signals meanwhile.
 *
 * Whoever times out is taken for one that was not signalled as long as there is
 * such a one: enough others are left for the tokens. Else each that is left has
 * a token, and so has he: he takes it and was signalled.
 *
 * A waiter takes his token, and says so, after a broadcast has returned: the memory
 * is in use until all waits have returned, or tl__wake_emulated_settle() has.
 */
#include "wake/emulated.h"

#include <time.h>

#include "wake/checked.h"
#include "wake/futex-list.h"
#include "wake/impl.h"

#define SETTLE_NS 20000

/* relaxed, both: the lock orders it; newcomers look without it for a change only */
static uint32_t get_tokens(struct tl__wake_emulated *c)
{
	return atomic_load_explicit(&c->tokens, memory_order_relaxed);
}

static void set_tokens(struct tl__wake_emulated *c, uint32_t tokens)
{
	atomic_store_explicit(&c->tokens, tokens, memory_order_relaxed);
}

static struct tl__lock *lock(struct tl__wake_emulated *c)
{
	struct tl__lock *l = &tl__wake_lock_of(c)->lock;

	tl__lock(l);
	if (unlikely(c->forks != tl__wake_forks)) {
		/* Those that waited in the parent are not here. */
		c->forks = tl__wake_forks;
		c->waiting = 0;
		c->newcomers = 0;
		set_tokens(c, 0);
		/* relaxed: as in set_tokens() */
		atomic_store_explicit(&c->sem.value, 0, memory_order_relaxed);
	}
	return l;
}

/* One that has his token says so. */
static void taken(struct tl__wake_emulated *c)
{
	struct tl__lock *l = lock(c);
	bool last;

	set_tokens(c, get_tokens(c) - 1);
	last = !get_tokens(c) && c->newcomers;
	tl__unlock(l);
	if (last)
		tl__wake_word(TL_PROBE_WAKE_OTHER, &c->tokens, INT32_MAX);
}

/*
 * There are tokens: with the lock, and without it when it returns. Stays counted
 * until it is awake: when it goes to sleep, all tokens may have been taken, and as
 * many others sent.
 */
static int come_later(struct tl__wake_emulated *c, struct tl__lock *l,
		      struct tl__wake_mutex *m, int clock, uint64_t deadline_ns)
{
	uint32_t tokens = get_tokens(c);
	int r;

	c->newcomers++;
	tl__unlock(l);
	tl__wake_mutex_unlock(m);
	r = tl__futex_wait_by(&c->tokens, tokens, clock, deadline_ns);
	l = lock(c);
	c->newcomers--;
	tl__unlock(l);
	tl__wake_mutex_lock(m);
	return r == -ETIMEDOUT ? r : 0;
}

static int timed_out(struct tl__wake_emulated *c)
{
	struct tl__lock *l = lock(c);
	bool signalled = !c->waiting;

	if (!signalled)
		c->waiting--;
	tl__unlock(l);
	if (!signalled)
		return -ETIMEDOUT;
	/* It is there, or about to be. */
	tl__wake_sem_wait(&c->sem, CLOCK_MONOTONIC, TL_FOREVER, false);
	taken(c);
	return 0;
}

bool tl__wake_emulated_enter(struct tl__wake_emulated *c,
			     struct tl__wake_mutex *m, int clock,
			     uint64_t deadline_ns, int *result)
{
	struct tl__lock *l;

	if (unlikely(!tl__wake_clock_ok(clock))) {
		*result = -EINVAL;
		return false;
	}
	l = lock(c);
	if (get_tokens(c)) {
		*result = come_later(c, l, m, clock, deadline_ns);
		return false;
	}
	tl__wake_checked_mutex(c, m, c->waiting ? c->mutex : m);
	c->mutex = m;
	c->waiting++;
	tl__unlock(l);
	tl__wake_mutex_unlock(m);
	return true;
}

int tl__wake_emulated_leave(struct tl__wake_emulated *c,
			    struct tl__wake_mutex *m, int slept)
{
	int r = 0;

	if (slept)
		r = timed_out(c);
	else
		taken(c);
	tl__wake_mutex_lock(m);
	return r;
}

int tl__wake_emulated_wait(struct tl__wake_emulated *c,
			   struct tl__wake_mutex *m, int clock,
			   uint64_t deadline_ns)
{
	int r;

	if (!tl__wake_emulated_enter(c, m, clock, deadline_ns, &r))
		return r;
	r = tl__wake_sem_wait(&c->sem, clock, deadline_ns, false);
	return tl__wake_emulated_leave(c, m, r);
}

static void send(struct tl__wake_emulated *c, uint32_t most)
{
	struct tl__lock *l = lock(c);
	uint32_t n = c->waiting < most ? c->waiting : most;

	c->waiting -= n;
	set_tokens(c, get_tokens(c) + n);
	tl__unlock(l);
	if (n)
		tl__wake_sem_post(&c->sem, n);
}

void tl__wake_emulated_signal(struct tl__wake_emulated *c)
{
	send(c, 1);
}

void tl__wake_emulated_broadcast(struct tl__wake_emulated *c)
{
	send(c, UINT32_MAX);
}

void tl__wake_emulated_settle(struct tl__wake_emulated *c)
{
	struct timespec pause = { .tv_nsec = SETTLE_NS };
	struct tl__lock *l;
	bool busy;

	for (;;) {
		l = lock(c);
		busy = get_tokens(c) || c->newcomers;
		tl__unlock(l);
		if (!busy)
			return;
		/* They run already, or are about to. */
		nanosleep(&pause, NULL);
	}
}

/* --- the table --------------------------------------------------------------- */

static struct tl__wake_emulated *cond_of(struct tl_wake_cond *cond)
{
	return (struct tl__wake_emulated *)cond;
}

static int wait(struct tl_wake_cond *cond, struct tl_wake_mutex *mutex,
		int clock, uint64_t deadline_ns)
{
	return tl__wake_emulated_wait(cond_of(cond),
				      (struct tl__wake_mutex *)mutex, clock,
				      deadline_ns);
}

static void send_one(struct tl_wake_cond *cond)
{
	tl__wake_emulated_signal(cond_of(cond));
}

static void send_all(struct tl_wake_cond *cond)
{
	tl__wake_emulated_broadcast(cond_of(cond));
}

static void settle(struct tl_wake_cond *cond)
{
	tl__wake_emulated_settle(cond_of(cond));
}

const struct tl_wake tl__wake_emulated = {
	.name = "emulated",
	.mutex_lock = tl__wake_table_lock,
	.mutex_try_lock = tl__wake_table_try_lock,
	.mutex_unlock = tl__wake_table_unlock,
	.cond_wait = wait,
	.cond_signal = send_one,
	.cond_broadcast = send_all,
	.cond_destroy = settle,
	.sem_wait = tl__wake_table_sem_wait,
	.sem_try_wait = tl__wake_table_sem_try_wait,
	.sem_post = tl__wake_table_sem_post,
};
