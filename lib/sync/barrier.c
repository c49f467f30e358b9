/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Barriers. Owns all of struct tl_barrier, under its lock, but for the parties and
 * the action, which never change.
 *
 *	FILLING	parties arrive; `count` of them are queued
 *	ACTION	all are there, the last one runs the action; who comes now is
 *		queued outside, and comes again when it is over
 *	BROKEN	nobody is queued
 *
 * Invariant: `count` is the length of the queue, and in FILLING less than the
 * parties. `round` tells an action whether its round was reset meanwhile.
 * The release of the lock is each call's last access, before it wakes anybody.
 */
#include <tasklet/barrier.h>

#include <errno.h>

#include "sync/wait.h"

enum { FILLING, ACTION, BROKEN };

/* The wait of one outside ends like this: it has still to arrive. */
#define AGAIN	INT32_MAX

static void lock(struct tl_barrier *b)
{
	tl__lock(tl__lock_of(&b->tl__lock));
}

static void unlock(struct tl_barrier *b)
{
	tl__unlock(tl__lock_of(&b->tl__lock));
}

int tl_barrier_init(struct tl_barrier *barrier, uint32_t parties,
		    int (*action)(void *arg), void *arg)
{
	if (!parties || parties > INT32_MAX)
		return -EINVAL;
	*barrier = (struct tl_barrier)TL_BARRIER_INIT(parties);
	barrier->tl__action = action;
	barrier->tl__arg = arg;
	return 0;
}

/* All that wait, inside and outside. */
struct everybody {
	struct tl__claimed inside, outside;
};

/* Under the lock. */
static struct everybody claim_all(struct tl_barrier *b, uint32_t state)
{
	struct everybody all = { { 0 }, { 0 } };

	tl__claim_first(&all.inside, &b->tl__queue, UINT32_MAX);
	tl__claim_first(&all.outside, &b->tl__outside, UINT32_MAX);
	b->tl__count = 0;
	b->tl__state = state;
	return all;
}

static bool is_inside(const struct tl_task *t)
{
	return t->waiter.value;
}

static bool abandon(struct tl_task *t, int result)
{
	struct everybody all = { { 0 }, { 0 } };
	struct tl_barrier *b = t->wait_object;
	bool queued;

	lock(b);
	queued = tl__queue_has(&t->waiter);
	if (queued && is_inside(t)) {
		/* Committed; unless the action itself can never end. */
		if (b->tl__state == ACTION &&
		    (result != -EDEADLK || t->sched->head)) {
			unlock(b);
			return false;
		}
		tl__queue_remove(&b->tl__queue, &t->waiter);
		b->tl__count--;
		if (result == -ETIMEDOUT)
			all = claim_all(b, BROKEN);
	} else if (queued) {
		tl__queue_remove(&b->tl__outside, &t->waiter);
	}
	unlock(b);
	queued = tl__wait_abandoned(t, queued, result);
	tl__wake_claimed(&all.inside, -EPIPE);
	tl__wake_claimed(&all.outside, -EPIPE);
	return queued;
}

static const struct tl__wait_ops ops = {
	.verb = "waits at barrier",
	.abandon = abandon,
};

/* The lock is held; gives it up. All are there: lets them go on. */
static int release(struct tl_barrier *b)
{
	struct everybody all = claim_all(b, FILLING);
	int last = (int)b->tl__parties - 1, i = 0;
	struct tl__waiter *w, *next;

	unlock(b);
	for (w = all.inside.first; w; w = next) {
		next = w->prev;
		tl__wake_any(w->task, i++);
	}
	tl__wake_claimed(&all.outside, AGAIN);
	return last;
}

/* A kill that the action finds must not unwind us, who have to end the round. */
static int run_action(struct tl_task *me, const struct tl_barrier *b)
{
	uint32_t hold = tl__unwind_hold(me);
	int r = b->tl__action(b->tl__arg);

	tl__unwind_unhold(me, hold);
	return r;
}

/* The lock is held; gives it up. The caller is the last to arrive. */
static int complete(struct tl_task *me, struct tl_barrier *b)
{
	struct everybody all;
	uint64_t round;
	int r;

	if (!b->tl__action)
		return release(b);
	b->tl__state = ACTION;
	round = ++b->tl__round;
	unlock(b);
	r = run_action(me, b);
	lock(b);
	if (b->tl__state != ACTION || b->tl__round != round) {
		unlock(b);
		return r < 0 ? r : -EPIPE;
	}
	if (r >= 0)
		return release(b);
	all = claim_all(b, BROKEN);
	unlock(b);
	tl__wake_claimed(&all.inside, -EPIPE);
	tl__wake_claimed(&all.outside, -EPIPE);
	return r;
}

/* Returns, with the lock held, whether the caller has to wait. */
static bool has_to_wait(struct tl_barrier *b)
{
	lock(b);
	return b->tl__state == ACTION ||
	       (b->tl__state == FILLING && b->tl__count + 1 < b->tl__parties);
}

/* The lock is held, and the caller has not to wait; gives it up. */
static int arrive_last(struct tl_task *me, struct tl_barrier *b)
{
	if (b->tl__state == FILLING)
		return complete(me, b);
	unlock(b);
	return -EPIPE;
}

static int arrive(struct tl_sched *s, struct tl_task *me, struct tl_barrier *b,
		  uint64_t deadline_ns)
{
	int r;

	if (has_to_wait(b)) {
		unlock(b);
		r = tl__wait_begin(s, me, deadline_ns);
		if (unlikely(r))
			return r;
		if (has_to_wait(b)) {
			bool inside = b->tl__state == FILLING;

			me->waiter.value = inside ? b : NULL;
			tl__queue_add(inside ? &b->tl__queue : &b->tl__outside,
				      &me->waiter, false);
			b->tl__count += inside;
			unlock(b);
			return tl__park(s, me, &ops, b);
		}
		tl__deadline_disarm(s, me);
	}
	return arrive_last(me, b);
}

int tl_barrier_wait_until(struct tl_barrier *barrier, uint64_t deadline_ns)
{
	struct tl_sched *s = tl__sched();
	int r;

	if (unlikely(!s))
		return tl__sched_error();
	r = tl__raise_check(tl__me(s));
	if (unlikely(r))
		return r;
	do
		r = arrive(s, tl__me(s), barrier, deadline_ns);
	while (r == AGAIN);
	return tl__wait_end(r);
}

int tl_barrier_wait(struct tl_barrier *barrier)
{
	return tl_barrier_wait_until(barrier, TL_FOREVER);
}

int tl_barrier_try_wait(struct tl_barrier *barrier)
{
	struct tl_sched *s = tl__sched();

	if (unlikely(!s))
		return tl__sched_error();
	if (has_to_wait(barrier)) {
		unlock(barrier);
		return -EAGAIN;
	}
	return tl__wait_end(arrive_last(tl__me(s), barrier));
}

void tl_barrier_reset(struct tl_barrier *barrier)
{
	struct everybody all;

	lock(barrier);
	barrier->tl__round++;
	all = claim_all(barrier, FILLING);
	unlock(barrier);
	tl__wake_claimed(&all.inside, -EPIPE);
	tl__wake_claimed(&all.outside, AGAIN);
}

void tl_barrier_abort(struct tl_barrier *barrier)
{
	struct everybody all;

	lock(barrier);
	all = claim_all(barrier, BROKEN);
	unlock(barrier);
	tl__wake_claimed(&all.inside, -EPIPE);
	tl__wake_claimed(&all.outside, -EPIPE);
}

uint32_t tl_barrier_parties(const struct tl_barrier *barrier)
{
	return barrier->tl__parties;
}

uint32_t tl_barrier_waiting(struct tl_barrier *barrier)
{
	uint32_t count;

	lock(barrier);
	count = barrier->tl__state == FILLING ? barrier->tl__count : 0;
	unlock(barrier);
	return count;
}

bool tl_barrier_is_broken(struct tl_barrier *barrier)
{
	bool broken;

	lock(barrier);
	broken = barrier->tl__state == BROKEN;
	unlock(barrier);
	return broken;
}
