/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What programs find here instead of the C library's functions of POSIX. All names are
 * without a version, so that each version that a program may have been linked with is
 * served by the same function. hooks-c11.c has those of C11.
 *
 * A call goes first to the GIL, if its object belongs to one, then to what is set for
 * all objects.
 */
#include <errno.h>

#include "preload/checked.h"
#include "preload/gil.h"
#include "preload/hooks.h"
#include "preload/objects.h"
#include "preload/recognise.h"

/* --- mutexes --------------------------------------------------------------------- */

TL__HOOK int pthread_mutex_lock(pthread_mutex_t *m)
{
	struct tl__gil *g = tl__gil_of_mutex(m);

	tl__check_mutex(m);
	return unlikely(g) ? tl__gil_lock(g, m) : tl__base_mutex_lock(m);
}

TL__HOOK int pthread_mutex_trylock(pthread_mutex_t *m)
{
	tl__check_mutex(m);
	return tl__base_mutex_trylock(m);
}

TL__HOOK int pthread_mutex_timedlock(pthread_mutex_t *m,
				     const struct timespec *until)
{
	tl__check_mutex(m);
	return tl__base_mutex_clocklock(m, CLOCK_REALTIME, until);
}

TL__HOOK int pthread_mutex_clocklock(pthread_mutex_t *m, clockid_t clock,
				     const struct timespec *until)
{
	tl__check_mutex(m);
	return tl__base_mutex_clocklock(m, clock, until);
}

TL__HOOK int pthread_mutex_unlock(pthread_mutex_t *m)
{
	struct tl__gil *g = tl__gil_of_mutex(m);

	tl__check_mutex(m);
	return unlikely(g || tl__gil_was_mine(m)) ? tl__gil_unlock(g, m) :
						    tl__base_mutex_unlock(m);
}

TL__HOOK int pthread_mutex_destroy(pthread_mutex_t *m)
{
	tl__check_mutex(m);
	return tl__base_mutex_destroy(m);
}

/* --- conditions ------------------------------------------------------------------- */

TL__HOOK int pthread_cond_init(pthread_cond_t *c, const pthread_condattr_t *attr)
{
	tl__gil_forget(c);
	return tl__next_pthread_cond_init(c, attr);
}

TL__HOOK int pthread_cond_destroy(pthread_cond_t *c)
{
	tl__check_cond(c);
	int r;

	tl__gil_forget(c);
	r = tl__base_cond_destroy(c);
	tl__dead_cond(c);
	return r;
}

TL__HOOK int pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m)
{
	struct tl__gil *g = tl__gil_of_cond(c);
	int r;

	tl__check_cond(c);
	if (unlikely(g)) {
		r = tl__gil_wait(g, c, m, CLOCK_MONOTONIC, NULL);
		if (r >= 0)
			return r;
	}
	if (tl__cond_not_ours(c))
		return tl__next_pthread_cond_wait(c, m);
	return tl__base_cond_wait(c, m, CLOCK_MONOTONIC, NULL);
}

/* The GIL of a timed wait that is not known yet. */
static struct tl__gil *learn(pthread_cond_t *c, pthread_mutex_t *m,
			     const struct timespec *until, const void *ret)
{
	if (tl__cond_delegated(c) || tl__mutex_delegated(m) ||
	    !tl__recognise(ret))
		return NULL;
	return tl__gil_learn(c, m, until);
}

TL__HOOK int pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m,
				    const struct timespec *until)
{
	struct tl__gil *g = tl__gil_of_cond(c);
	int r;

	tl__check_cond(c);
	if (tl__settings.gil_priority && !g)
		g = learn(c, m, until, __builtin_return_address(0));
	if (unlikely(g)) {
		r = tl__gil_wait(g, c, m, tl__cond_clock(c), until);
		if (r >= 0)
			return r;
	}
	if (tl__cond_not_ours(c))
		return tl__next_pthread_cond_timedwait(c, m, until);
	return tl__base_cond_wait(c, m, tl__cond_clock(c), until);
}

TL__HOOK int pthread_cond_clockwait(pthread_cond_t *c, pthread_mutex_t *m,
				    clockid_t clock,
				    const struct timespec *until)
{
	tl__check_cond(c);
	if (tl__cond_not_ours(c))
		return tl__next_pthread_cond_clockwait(c, m, clock, until);
	return tl__base_cond_wait(c, m, clock, until);
}

TL__HOOK int pthread_cond_signal(pthread_cond_t *c)
{
	struct tl__gil *g = tl__gil_of_cond(c);

	tl__check_cond(c);
	if (unlikely(tl__gil_me.in && !g))
		tl__gil_signals_other(tl__gil_me.in, c);
	return unlikely(g) ? tl__gil_signal(g, c) : tl__base_cond_signal(c);
}

TL__HOOK int pthread_cond_broadcast(pthread_cond_t *c)
{
	struct tl__gil *g = tl__gil_of_cond(c);

	tl__check_cond(c);
	return unlikely(g) ? tl__gil_signal(g, c) : tl__base_cond_broadcast(c);
}

/* --- semaphores --------------------------------------------------------------------- */

static bool sem_not_ours(const sem_t *s)
{
	return tl__cond_kind() == TL__COND_PTHREAD || tl__sem_delegated(s);
}

TL__HOOK int sem_wait(sem_t *s)
{
	tl__check_sem(s);
	return sem_not_ours(s) ? tl__next_sem_wait(s) :
				 tl__base_sem_wait(s, CLOCK_MONOTONIC, NULL);
}

TL__HOOK int sem_timedwait(sem_t *s, const struct timespec *until)
{
	tl__check_sem(s);
	return sem_not_ours(s) ? tl__next_sem_timedwait(s, until) :
				 tl__base_sem_wait(s, CLOCK_REALTIME, until);
}

TL__HOOK int sem_clockwait(sem_t *s, clockid_t clock, const struct timespec *until)
{
	tl__check_sem(s);
	return sem_not_ours(s) ? tl__next_sem_clockwait(s, clock, until) :
				 tl__base_sem_wait(s, clock, until);
}

TL__HOOK int sem_trywait(sem_t *s)
{
	tl__check_sem(s);
	if (sem_not_ours(s))
		return tl__next_sem_trywait(s);
	if (!tl__wake_sem_try_wait(tl__wake_sem_of(s)))
		return 0;
	errno = EAGAIN;
	return -1;
}

TL__HOOK int sem_post(sem_t *s)
{
	tl__check_sem(s);
	if (sem_not_ours(s))
		return tl__next_sem_post(s);
	if (!tl__wake_sem_post(tl__wake_sem_of(s), 1))
		return 0;
	errno = EOVERFLOW;
	return -1;
}

#ifdef TL_CHECKED

static int *sem_mark(sem_t *s)
{
	return (int *)(void *)s + 3;
}

TL__HOOK int sem_init(sem_t *s, int shared, unsigned int value)
{
	*sem_mark(s) = 0;
	return tl__next_sem_init(s, shared, value);
}

TL__HOOK int sem_destroy(sem_t *s)
{
	int r;

	tl__check_sem(s);
	r = tl__next_sem_destroy(s);
	*sem_mark(s) = TL__DEAD_SEM;
	return r;
}

#endif
