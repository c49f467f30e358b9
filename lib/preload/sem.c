/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Waits for semaphores, as pthread has them: cancellation points that a signal
 * handler cuts short.
 *
 * Owns nothing; the word is lib/wake's, with the tokens in its low half and the
 * number of those that may sleep in its high half. A thread that is cancelled counts
 * itself off, and passes on the wake-up that may have been for it.
 */
#include "preload/objects.h"

#include <errno.h>

#include "base/probe.h"
#include "os/futex.h"

static _Atomic uint32_t *tokens_of(struct tl__wake_sem *s)
{
	return (_Atomic uint32_t *)&s->value +
	       (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
}

/* One that is counted as a sleeper: takes a token, and is counted no more. */
static bool take(struct tl__wake_sem *s)
{
	/* relaxed: a guess that the exchange checks */
	uint64_t old = atomic_load_explicit(&s->value, memory_order_relaxed);

	while ((uint32_t)old)
		/* acquire: pairs with tl__wake_sem_post(): what came before it */
		if (atomic_compare_exchange_weak_explicit(
			    &s->value, &old, old - 1 - TL__WAKE_SEM_WAITER,
			    memory_order_acquire, memory_order_relaxed))
			return true;
	return false;
}

/* It sleeps no more, and takes nothing. Whether others do, and there is a token. */
static void leave(void *arg)
{
	struct tl__wake_sem *s = arg;
	/* relaxed: as in tl__wake_sem_wait_slow() */
	uint64_t old = atomic_fetch_sub_explicit(
		&s->value, TL__WAKE_SEM_WAITER, memory_order_relaxed);

	if ((uint32_t)old && (old >> 32) > 1) {
		tl__probe_wake(TL_PROBE_WAKE_SEM, tokens_of(s), 1);
		tl__futex_wake(tokens_of(s), 1);
	}
}

/* Counted as a sleeper; no more on return, but for a cancellation. */
static int wait_counted(struct tl__wake_sem *s, clockid_t clock,
			uint64_t deadline)
{
	int r, type;

	while (!take(s)) {
		pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &type);
		r = tl__futex_wait_by(tokens_of(s), 0, clock, deadline);
		pthread_setcanceltype(type, NULL);
		if (r != -ETIMEDOUT && r != -EINTR)
			continue;
		if (take(s))
			return 0;
		leave(s);
		return r;
	}
	return 0;
}

int tl__base_sem_sleep(struct tl__wake_sem *s, clockid_t clock,
		       uint64_t deadline)
{
	int r;

	/* relaxed: as in tl__wake_sem_wait_slow() */
	atomic_fetch_add_explicit(&s->value, TL__WAKE_SEM_WAITER,
				  memory_order_relaxed);
	pthread_cleanup_push(leave, s);
	r = wait_counted(s, clock, deadline);
	pthread_cleanup_pop(0);
	return r;
}

int tl__base_sem_wait(sem_t *sem, clockid_t clock, const struct timespec *until)
{
	struct tl__wake_sem *s = tl__wake_sem_of(sem);
	int r = 0;

	pthread_testcancel();
	if (!tl__wake_clock_ok(clock))
		r = -EINVAL;
	else if (!tl__wake_sem_try_wait(s))
		return 0;
	else if (until && !tl__time_ok(until))
		r = -EINVAL;
	else
		r = tl__base_sem_sleep(s, clock, until ? tl__time_ns(until) :
							 TL_FOREVER);
	if (!r)
		return 0;
	errno = -r;
	return -1;
}
