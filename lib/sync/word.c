/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The lock word's slow paths; see word.h for its bits and its invariants.
 */
#include "sync/word.h"

#include <errno.h>
#include <stdio.h>

#include "os/pause.h"
#include "os/processors.h"

/* As long as a critical section that is worth to be waited for: 1 to 3 us. */
#ifndef TL__WORD_SPINS
#define TL__WORD_SPINS 60
#endif
/* That often in a row a spin is left out at most after some that were in vain. */
#define SPIN_SKIP_MAX 255u

static uint32_t load(const struct tl_mutex *m)
{
	/* relaxed: a guess; whoever relies on it checks it with an exchange */
	return __atomic_load_n(&m->tl__word, __ATOMIC_RELAXED);
}

static bool exchange(struct tl_mutex *m, uint32_t *old, uint32_t new)
{
	/* relaxed: changes bits about waiters, whom the queue's lock orders */
	return __atomic_compare_exchange_n(&m->tl__word, old, new, false,
					   __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

/* --- the queue; under its lock ---------------------------------------------- */

static bool is_reader(const struct tl__waiter *w)
{
	return w->value == &tl__taking_read;
}

static struct tl_rwlock *rwlock_of(struct tl_mutex *m)
{
	return tl__container_of(m, struct tl_rwlock, tl__mutex);
}

/* The bits that are to go now that waiters have left the queue. */
static uint32_t gone(struct tl_mutex *m, const struct tl__taking *how)
{
	if (how->rw && !rwlock_of(m)->tl__writers)
		return m->tl__queue ? TL__WRITERS : TL__WRITERS | TL__WAITERS;
	return m->tl__queue ? 0 : TL__WAITERS;
}

static void count_writer(struct tl_mutex *m, const struct tl__waiter *w,
			 uint32_t by)
{
	const struct tl__taking *how = w->value;

	if (how->rw && !is_reader(w))
		rwlock_of(m)->tl__writers += by;
}

static void change(struct tl_mutex *m, uint32_t clear, uint32_t set)
{
	uint32_t old = load(m);

	while (!exchange(m, &old, (old & ~clear) | set))
		;
}

static void claim_one(struct tl_mutex *m, struct tl__claimed *claimed)
{
	count_writer(m, m->tl__queue, -1u);
	tl__claim(claimed, &m->tl__queue, m->tl__queue);
}

/*
 * Claims those that can have the lock once @release is taken off the word: the
 * first; of readers, those behind it too, up to a writer. Clears @clear, which
 * the caller has set. Returns false if it has to be tried again.
 */
static bool claim(struct tl_mutex *m, const struct tl__taking *how,
		  struct tl__claimed *claimed, uint32_t release, uint32_t clear)
{
	uint32_t old = load(m);

	if (!m->tl__queue) {
		change(m, clear | gone(m, how), 0);
		return true;
	}
	if (is_reader(m->tl__queue)) {
		while (m->tl__queue && is_reader(m->tl__queue))
			claim_one(m, claimed);
	} else if ((old - release) & (TL__LOCKED | TL__READERS)) {
		/* Whoever has it will look; if it still has it. */
		return exchange(m, &old, old & ~clear);
	} else {
		claim_one(m, claimed);
	}
	change(m, clear | gone(m, how), TL__WOKEN);
	return true;
}

/*
 * One that was woken, or that had kept others off, does not take the lock:
 * clears its bits and passes the wake-up on, if the lock is free. Of an rwlock,
 * also to readers that may join those that hold it, now that a writer before
 * them is gone; that somebody else is on his way is no help to these.
 */
static void settle(struct tl_mutex *m, const struct tl__taking *how,
		   uint32_t clear)
{
	struct tl__claimed claimed = { 0 };
	uint32_t old = load(m);
	bool done = false;

	while (!done) {
		if (!(old & TL__WAITERS) || (old & TL__LOCKED) ||
		    (!how->rw && (old & TL__WOKEN & ~clear))) {
			done = exchange(m, &old, old & ~clear);
			continue;
		}
		tl__lock(tl__lock_of(&m->tl__lock));
		done = claim(m, how, &claimed, 0, clear);
		tl__unlock(tl__lock_of(&m->tl__lock));
		old = load(m);
	}
	tl__wake_claimed(&claimed, 0);
}

void tl__word_unlock(struct tl_mutex *m, const struct tl__taking *how)
{
	struct tl__claimed claimed = { 0 };
	uint32_t old = load(m);

	for (;;) {
		uint32_t left = old - how->add;

		if (!(old & TL__WAITERS) || (old & TL__WOKEN) ||
		    (left & TL__READERS)) {
			/* release: pairs with tl__word_try() */
			if (__atomic_compare_exchange_n(
				    &m->tl__word, &old, left, true,
				    __ATOMIC_RELEASE, __ATOMIC_RELAXED))
				break;
			continue;
		}
		tl__lock(tl__lock_of(&m->tl__lock));
		claim(m, how, &claimed, how->add, 0);
		tl__unlock(tl__lock_of(&m->tl__lock));
		old = load(m);
	}
	tl__wake_claimed(&claimed, 0);
}

/*
 * Queues @me, unless it can have the lock by now. Clears @clear, sets @set.
 * Returns whether it is queued.
 */
static bool enqueue(struct tl_mutex *m, const struct tl__taking *how,
		    struct tl_task *me, uint32_t busy, uint32_t clear,
		    uint32_t set, bool first)
{
	uint32_t old;
	bool queued;

	tl__lock(tl__lock_of(&m->tl__lock));
	old = load(m);
	do
		queued = old & busy;
	while (queued &&
	       !exchange(m, &old, (old & ~clear) | how->waiting | set));
	if (queued) {
		me->waiter.value = (void *)how;
		count_writer(m, &me->waiter, 1);
		tl__queue_add(&m->tl__queue, &me->waiter, first);
	}
	tl__unlock(tl__lock_of(&m->tl__lock));
	return queued;
}

/* --- waits ------------------------------------------------------------------ */

static bool abandon(struct tl_task *t, int result)
{
	struct tl_mutex *m = t->wait_object;
	const struct tl__taking *how = t->waiter.value;
	bool queued;

	tl__lock(tl__lock_of(&m->tl__lock));
	queued = tl__queue_has(&t->waiter);
	if (queued) {
		count_writer(m, &t->waiter, -1u);
		tl__queue_remove(&m->tl__queue, &t->waiter);
		change(m, gone(m, how), 0);
	}
	tl__unlock(tl__lock_of(&m->tl__lock));
	return tl__wait_abandoned(t, queued, result);
}

/* Nothing ends this wait but the lock, or that the thread is deadlocked. */
static bool abandon_hard(struct tl_task *t, int result)
{
	return t->sched->head ? false : abandon(t, result);
}

static int describe(const struct tl_task *t, char *text, size_t size)
{
	const struct tl_mutex *m = t->wait_object;
	uint64_t owner = tl__word_owner(m);

	if (!owner)
		return snprintf(text, size, "a lock that readers hold, or "
				"that is about to be taken");
	if (owner & TL__MAIN_ID)
		return snprintf(text, size, "a lock held by a thread's main "
				"tasklet");
	return snprintf(text, size, "a lock held by tasklet %llu",
			(unsigned long long)owner);
}

static const struct tl__wait_ops mutex_ops = {
	.verb = "waits to lock",
	.abandon = abandon,
	.describe = describe,
};

static const struct tl__wait_ops write_ops = {
	.verb = "waits to write-lock",
	.abandon = abandon,
	.describe = describe,
};

static const struct tl__wait_ops read_ops = {
	.verb = "waits to read-lock",
	.abandon = abandon,
	.describe = describe,
};

static const struct tl__wait_ops hard_ops = {
	.verb = "waits to lock again",
	.abandon = abandon_hard,
	.describe = describe,
};

const struct tl__taking tl__taking_mutex = {
	.busy = TL__LOCKED | TL__KEEP_OFF,
	.taken = TL__LOCKED,
	.add = TL__LOCKED,
	.waiting = TL__WAITERS,
	.ops = &mutex_ops,
};

const struct tl__taking tl__taking_again = {
	.busy = TL__LOCKED | TL__KEEP_OFF,
	.taken = TL__LOCKED,
	.add = TL__LOCKED,
	.waiting = TL__WAITERS,
	.hard = true,
	.ops = &hard_ops,
};

const struct tl__taking tl__taking_write = {
	.busy = TL__LOCKED | TL__READERS | TL__KEEP_OFF,
	.taken = TL__LOCKED | TL__READERS,
	.add = TL__LOCKED,
	.waiting = TL__WAITERS | TL__WRITERS,
	.rw = true,
	.ops = &write_ops,
};

const struct tl__taking tl__taking_read = {
	.busy = TL__LOCKED | TL__WRITERS | TL__KEEP_OFF,
	.taken = TL__LOCKED,
	.add = TL__READER,
	.waiting = TL__WAITERS,
	.rw = true,
	.ops = &read_ops,
};

/*
 * Looks for a short while whether its holder, on another processor, gives the lock
 * up; then takes it, as tl__word_try() does. Where this is in vain it becomes rare:
 * the holder may be on this processor, or a tasklet of this thread that waits.
 */
static bool spin(struct tl_sched *s, struct tl_mutex *m, uint32_t busy,
		 uint32_t add, uint32_t clear)
{
	int i;

	/* Another tasklet can run meanwhile. */
	if (s->runcount > 1 || !tl__several_processors())
		return false;
	if (s->lock_spin_skip) {
		s->lock_spin_skip--;
		return false;
	}
	for (i = 0; i < TL__WORD_SPINS; i++) {
		tl__pause();
		if (tl__word_try(m, busy, add, clear)) {
			s->lock_spin_failures = 0;
			return true;
		}
	}
	if (s->lock_spin_failures < SPIN_SKIP_MAX)
		s->lock_spin_failures = 2 * s->lock_spin_failures + 1;
	s->lock_spin_skip = s->lock_spin_failures;
	return false;
}

/* Waits its turn once. Returns 0 when it is time to try (again). */
static int wait_once(struct tl_sched *s, struct tl_task *me, struct tl_mutex *m,
		     const struct tl__taking *how, uint64_t deadline_ns,
		     int losses, uint32_t *clear)
{
	bool woken = losses >= 0;
	uint32_t set = losses >= TL__LOSSES ? TL__KEEP_OFF : 0;
	int r;

	if (!how->hard) {
		r = tl__wait_begin(s, me, deadline_ns);
		if (r)
			return r;
	}
	if (!enqueue(m, how, me, woken ? how->taken : how->busy,
		     *clear & TL__WOKEN, set, woken)) {
		tl__deadline_disarm(s, me);
		return 0;
	}
	*clear = (*clear & ~TL__WOKEN) | set;
	r = tl__park(s, me, how->ops, m);
	if (!r)
		*clear |= TL__WOKEN;
	return r;
}

/* The caller is not to be unwound. */
static int take(struct tl_sched *s, struct tl_task *me, struct tl_mutex *m,
		const struct tl__taking *how, uint64_t deadline_ns)
{
	uint32_t clear = 0;	/* bits that we have set, or that mean us */
	int losses = -1;	/* before the first wait we are a newcomer */
	int r;

	while (!tl__word_try(m, losses < 0 ? how->busy : how->taken, how->add,
			     clear) &&
	       !spin(s, m, losses < 0 ? how->busy : how->taken, how->add,
		     clear)) {
		r = wait_once(s, me, m, how, deadline_ns, losses, &clear);
		if (clear & TL__WOKEN)
			losses++;
		if (likely(!r))
			continue;
		if (r == -ETIMEDOUT &&
		    tl__word_try(m, losses < 0 ? how->busy : how->taken,
				 how->add, clear))
			break;
		settle(m, how, clear);
		return r;
	}
	if (how != &tl__taking_read)
		tl__word_set_owner(m, tl__self_id());
	else if (unlikely(clear & TL__KEEP_OFF))
		settle(m, how, 0);	/* other readers, whom it kept off */
	return 0;
}

int tl__word_lock(struct tl_mutex *m, const struct tl__taking *how,
		  uint64_t deadline_ns)
{
	struct tl_sched *s = tl__sched();
	struct tl_task *me;
	uint32_t hold;
	int r;

	if (unlikely(!s))
		return tl__sched_error();
	me = tl__me(s);
	r = how->hard ? 0 : tl__raise_check(me);
	if (r)
		return r;
	if (tl__word_owner(m) == tl__self_id())
		return -EDEADLK;
	hold = tl__unwind_hold(me);
	r = take(s, me, m, how, deadline_ns);
	tl__unwind_unhold(me, hold);
	return tl__unwind_return(me, r);
}
