/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * pthread's mutexes on top of the futex mutex: normal ones (and adaptive ones, which
 * are the same here), recursive ones, and those that check for errors.
 *
 * Owns __count of a mutex: how often its holder has locked a recursive one beyond the
 * first time. Only the holder touches it. Who the holder is, is in the futex mutex.
 */
#include "preload/objects.h"

#include <errno.h>
#include <limits.h>

#define CHECKS_OWNER(type) \
	((type) == PTHREAD_MUTEX_RECURSIVE_NP || \
	 (type) == PTHREAD_MUTEX_ERRORCHECK_NP)

static bool not_ours(pthread_mutex_t *m)
{
	return tl__cond_kind() == TL__COND_PTHREAD || tl__mutex_delegated(m);
}

/* Not a normal one: -1 if it has to be waited for, else the answer. */
static int lock_again(pthread_mutex_t *m, bool try)
{
	int type = m->__data.__kind & TL__KIND_TYPE;

	if (!CHECKS_OWNER(type) || !tl__wake_mutex_is_mine(tl__wake_mutex_of(m)))
		return -1;
	if (type == PTHREAD_MUTEX_ERRORCHECK_NP)
		return try ? EBUSY : EDEADLK;
	if (m->__data.__count == UINT_MAX)
		return EAGAIN;
	m->__data.__count++;
	return 0;
}

int tl__base_mutex_lock(pthread_mutex_t *m)
{
	int r;

	if (not_ours(m))
		return tl__next_pthread_mutex_lock(m);
	if (m->__data.__kind & TL__KIND_TYPE) {
		r = lock_again(m, false);
		if (r >= 0)
			return r;
	}
	tl__wake_mutex_lock(tl__wake_mutex_of(m));
	return 0;
}

int tl__base_mutex_trylock(pthread_mutex_t *m)
{
	int r;

	if (not_ours(m))
		return tl__next_pthread_mutex_trylock(m);
	if (m->__data.__kind & TL__KIND_TYPE) {
		r = lock_again(m, true);
		if (r >= 0)
			return r;
	}
	return tl__wake_mutex_try_lock(tl__wake_mutex_of(m)) ? EBUSY : 0;
}

/* An invalid time is an error only if it has to be waited for. */
int tl__base_mutex_clocklock(pthread_mutex_t *m, clockid_t clock,
			     const struct timespec *until)
{
	int r;

	if (not_ours(m))
		return clock == CLOCK_REALTIME ?
			       tl__next_pthread_mutex_timedlock(m, until) :
			       tl__next_pthread_mutex_clocklock(m, clock, until);
	if (!tl__wake_clock_ok(clock))
		return EINVAL;
	r = lock_again(m, false);
	if (r >= 0)
		return r;
	if (!tl__wake_mutex_try_lock(tl__wake_mutex_of(m)))
		return 0;
	if (!tl__time_ok(until))
		return EINVAL;
	return -tl__wake_mutex_lock_until(tl__wake_mutex_of(m), clock,
					  tl__time_ns(until));
}

int tl__base_mutex_unlock(pthread_mutex_t *m)
{
	int type;

	if (not_ours(m))
		return tl__next_pthread_mutex_unlock(m);
	type = m->__data.__kind & TL__KIND_TYPE;
	if (CHECKS_OWNER(type)) {
		if (!tl__wake_mutex_is_mine(tl__wake_mutex_of(m)))
			return EPERM;
		if (type == PTHREAD_MUTEX_RECURSIVE_NP && m->__data.__count) {
			m->__data.__count--;
			return 0;
		}
	}
	tl__wake_mutex_unlock(tl__wake_mutex_of(m));
	return 0;
}

int tl__base_mutex_destroy(pthread_mutex_t *m)
{
	if (not_ours(m))
		return tl__next_pthread_mutex_destroy(m);
	/* relaxed: the caller says that nobody uses it */
	if (atomic_load_explicit(&tl__wake_mutex_of(m)->word,
				 memory_order_relaxed) & TL__WAKE_OWNER)
		return EBUSY;
	/* The C library's functions refuse this kind, if it is used again. */
	m->__data.__kind = -1;
	return 0;
}
