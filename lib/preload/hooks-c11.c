/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What programs find here instead of the C library's functions of C11: its mtx_t and
 * cnd_t are pthread's objects in other clothes, and its functions call pthread's by
 * names of their own, which nobody can stand in for.
 */
#include <errno.h>
#include <threads.h>

#include "preload/hooks.h"
#include "preload/objects.h"

static pthread_mutex_t *mutex_of(mtx_t *m)
{
	return (pthread_mutex_t *)(void *)m;
}

static pthread_cond_t *cond_of(cnd_t *c)
{
	return (pthread_cond_t *)(void *)c;
}

_Static_assert(sizeof(mtx_t) == sizeof(pthread_mutex_t) &&
	       sizeof(cnd_t) == sizeof(pthread_cond_t), "they are the same");

static int result(int error)
{
	switch (error) {
	case 0:
		return thrd_success;
	case EBUSY:
		return thrd_busy;
	case ETIMEDOUT:
		return thrd_timedout;
	case ENOMEM:
		return thrd_nomem;
	default:
		return thrd_error;
	}
}

TL__HOOK int mtx_lock(mtx_t *m)
{
	return result(tl__base_mutex_lock(mutex_of(m)));
}

TL__HOOK int mtx_trylock(mtx_t *m)
{
	return result(tl__base_mutex_trylock(mutex_of(m)));
}

TL__HOOK int mtx_timedlock(mtx_t *m, const struct timespec *until)
{
	return result(tl__base_mutex_clocklock(mutex_of(m), CLOCK_REALTIME, until));
}

TL__HOOK int mtx_unlock(mtx_t *m)
{
	return result(tl__base_mutex_unlock(mutex_of(m)));
}

TL__HOOK int cnd_wait(cnd_t *c, mtx_t *m)
{
	pthread_cond_t *cond = cond_of(c);

	if (tl__cond_not_ours(cond))
		return tl__next_cnd_wait(c, m);
	return result(tl__base_cond_wait(cond, mutex_of(m), CLOCK_MONOTONIC, NULL));
}

TL__HOOK int cnd_timedwait(cnd_t *c, mtx_t *m, const struct timespec *until)
{
	pthread_cond_t *cond = cond_of(c);

	if (tl__cond_not_ours(cond))
		return tl__next_cnd_timedwait(c, m, until);
	return result(tl__base_cond_wait(cond, mutex_of(m), CLOCK_REALTIME, until));
}

TL__HOOK int cnd_signal(cnd_t *c)
{
	return result(tl__base_cond_signal(cond_of(c)));
}

TL__HOOK int cnd_broadcast(cnd_t *c)
{
	return result(tl__base_cond_broadcast(cond_of(c)));
}
