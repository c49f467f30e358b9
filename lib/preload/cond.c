/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * pthread's conditions on top of the futex condition or the emulated one.
 *
 * A mutex that stays with the C library (robust, ...) can't be given up by lib/wake.
 * A wait with one goes through a `proxy`, a futex mutex that stands in for it: it is
 * locked, the waiter is queued, and then both are given up. Whoever signals does so
 * after that or had not had the mutex. The proxies are static, one for all mutexes of
 * a hash, because those that a broadcast wakes go on from one to the next by way of
 * theirs. Lock order: the mutex, then its proxy, which nobody holds for long.
 *
 * A wait can be cancelled in its sleep: that is left at any instruction, and
 * cancelled() or emulated_cancelled() sees to the rest before the program's own
 * handlers run.
 */
#include "preload/objects.h"

#include <errno.h>

#define PROXIES 64

static struct tl__wake_mutex proxies[PROXIES];

/* Set for good with the first wait by proxy: this condition is a futex one. */
#define BY_PROXY 1u

static unsigned int *flags_of(pthread_cond_t *c)
{
	return &c->__data.__g_signals[1];
}

static bool is_emulated(pthread_cond_t *c)
{
	return tl__cond_kind() == TL__COND_EMULATED &&
	       /* relaxed: it is set by who waits, with the mutex held */
	       !(__atomic_load_n(flags_of(c), __ATOMIC_RELAXED) & BY_PROXY);
}

static struct tl__wake_mutex *proxy_of(const pthread_mutex_t *m)
{
	return &proxies[((uintptr_t)m / 64) % PROXIES];
}

/* --- a wait ---------------------------------------------------------------------- */

struct wait {
	struct tl__wake_cond *c;
	struct tl__wake_node n;
	pthread_mutex_t *m;
	struct tl__wake_mutex *proxy;	/* NULL: the mutex is ours */
	unsigned int count;		/* of a recursive mutex */
	int clock;
	uint64_t deadline;
};

/* The wait is over, its own mutex is held; the program's is taken again. */
static int take_again(struct wait *w)
{
	if (!w->proxy) {
		w->m->__data.__count = w->count;
		return 0;
	}
	tl__wake_mutex_unlock(w->proxy);
	return tl__next_pthread_mutex_lock(w->m);
}

static void cancelled(void *arg)
{
	struct wait *w = arg;

	tl__wake_cond_abandon(w->c, &w->n);
	take_again(w);
}

static int sleep_until_woken(struct wait *w)
{
	int type, r;

	pthread_cleanup_push(cancelled, w);
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &type);
	do
		r = tl__wake_cond_sleep(&w->n, w->clock, w->deadline);
	while (r == -EINTR);
	pthread_setcanceltype(type, NULL);
	pthread_cleanup_pop(0);
	return r;
}

/* Gives the mutex up, in the queue; 0, or why it could not be given up. */
static int enter(struct wait *w)
{
	int r;

	if (!w->proxy) {
		w->count = w->m->__data.__count;
		w->m->__data.__count = 0;
		tl__wake_cond_enter(w->c, tl__wake_mutex_of(w->m), &w->n);
		return 0;
	}
	tl__wake_mutex_lock(w->proxy);
	tl__wake_cond_enter(w->c, w->proxy, &w->n);
	r = tl__next_pthread_mutex_unlock(w->m);
	if (r) {
		tl__wake_cond_abandon(w->c, &w->n);
		tl__wake_mutex_unlock(w->proxy);
	}
	return r;
}

static int wait_futex(struct wait *w)
{
	int r = enter(w), again;

	if (r)
		return r;
	sleep_until_woken(w);
	r = tl__wake_cond_leave(w->c, &w->n);
	again = take_again(w);
	return again ? again : -r;
}

static int leave_emulated(struct wait *w, int slept)
{
	int r = tl__wake_emulated_leave((struct tl__wake_emulated *)w->c,
					tl__wake_mutex_of(w->m), slept);

	w->m->__data.__count = w->count;
	return r;
}

static void emulated_cancelled(void *w)
{
	leave_emulated(w, -ECANCELED);
}

static int wait_emulated(struct wait *w)
{
	struct tl__wake_emulated *c = (struct tl__wake_emulated *)w->c;
	int r;

	pthread_testcancel();
	w->count = w->m->__data.__count;
	w->m->__data.__count = 0;
	if (tl__wake_emulated_enter(c, tl__wake_mutex_of(w->m), w->clock,
				    w->deadline, &r)) {
		pthread_cleanup_push(emulated_cancelled, w);
		do
			r = tl__base_sem_sleep(&c->sem, w->clock, w->deadline);
		while (r == -EINTR);
		pthread_cleanup_pop(0);
		r = leave_emulated(w, r);
	}
	w->m->__data.__count = w->count;
	/* A signal must not be lost to one who ends. */
	if (r == -ETIMEDOUT)
		pthread_testcancel();
	return -r;
}

static bool must_be_mine(const pthread_mutex_t *m)
{
	int type = m->__data.__kind & TL__KIND_TYPE;

	return type == PTHREAD_MUTEX_ERRORCHECK_NP ||
	       type == PTHREAD_MUTEX_RECURSIVE_NP;
}

int tl__base_cond_wait(pthread_cond_t *c, pthread_mutex_t *m, clockid_t clock,
		       const struct timespec *until)
{
	struct wait w = { .m = m, .clock = clock, .deadline = TL_FOREVER,
			  .c = tl__wake_cond_of(c) };

	if (until && (!tl__time_ok(until) || !tl__wake_clock_ok(clock)))
		return EINVAL;
	if (until)
		w.deadline = tl__time_ns(until);
	if (tl__mutex_delegated(m)) {
		w.proxy = proxy_of(m);
		/* relaxed: see is_emulated() */
		if (tl__cond_kind() == TL__COND_EMULATED && is_emulated(c))
			__atomic_store_n(flags_of(c), BY_PROXY,
					 __ATOMIC_RELAXED);
	} else if (must_be_mine(m) &&
		   !tl__wake_mutex_is_mine(tl__wake_mutex_of(m))) {
		return EPERM;
	}
	return is_emulated(c) ? wait_emulated(&w) : wait_futex(&w);
}

/* --- the others --------------------------------------------------------------------- */

int tl__base_cond_signal(pthread_cond_t *c)
{
	if (tl__cond_not_ours(c))
		return tl__next_pthread_cond_signal(c);
	if (is_emulated(c))
		tl__wake_emulated_signal(tl__wake_emulated_of(c));
	else
		tl__wake_cond_signal(tl__wake_cond_of(c));
	return 0;
}

int tl__base_cond_broadcast(pthread_cond_t *c)
{
	if (tl__cond_not_ours(c))
		return tl__next_pthread_cond_broadcast(c);
	if (is_emulated(c))
		tl__wake_emulated_broadcast(tl__wake_emulated_of(c));
	else
		tl__wake_cond_broadcast(tl__wake_cond_of(c));
	return 0;
}

int tl__base_cond_destroy(pthread_cond_t *c)
{
	if (tl__cond_not_ours(c))
		return tl__next_pthread_cond_destroy(c);
	/* Nothing to free; those that a broadcast woke come back to this one alone. */
	if (is_emulated(c))
		tl__wake_emulated_settle(tl__wake_emulated_of(c));
	return 0;
}
