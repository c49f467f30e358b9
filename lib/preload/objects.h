/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * pthread's objects, made of lib/wake's.
 *
 * An object is set up by the C library, which writes what kind it is where it always
 * does: __kind of a mutex, __wrefs of a condition (bit 0: for several processes,
 * bit 1: its time-outs are of CLOCK_MONOTONIC), __private of a semaphore. So static
 * initialisers are right, and whoever finds the C library's functions by another way
 * finds at least the kind. lib/wake uses other parts of the objects. A robust mutex,
 * one with a protocol against priority inversion, and whatever is for several
 * processes stays with the C library altogether.
 */
#ifndef TL_PRELOAD_OBJECTS_H
#define TL_PRELOAD_OBJECTS_H

#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>

#include <tasklet/base.h>

#include "os/clock.h"
#include "preload/next.h"
#include "preload/settings.h"
#include "wake/emulated.h"
#include "wake/futex.h"

/*
 * Bits of __kind (glibc's nptl): type; robust, PI, PP, for several processes. A
 * robust one has the last one too.
 */
#define TL__KIND_TYPE 3
#define TL__KIND_DELEGATED 0xf0

/* Of __wrefs. */
#define TL__WREFS_SHARED 1u
#define TL__WREFS_MONOTONIC 2u

static inline bool tl__mutex_delegated(const pthread_mutex_t *m)
{
	return m->__data.__kind & TL__KIND_DELEGATED;
}

static inline bool tl__cond_delegated(const pthread_cond_t *c)
{
	return c->__data.__wrefs & TL__WREFS_SHARED;
}

/* glibc: the tokens are 8 bytes, then an int that is not 0 for several processes. */
static inline bool tl__sem_delegated(const sem_t *s)
{
	return ((const int *)(const void *)s)[2];
}

static inline struct tl__wake_mutex *tl__wake_mutex_of(pthread_mutex_t *m)
{
	return (struct tl__wake_mutex *)(void *)m;
}

static inline struct tl__wake_cond *tl__wake_cond_of(pthread_cond_t *c)
{
	return (struct tl__wake_cond *)(void *)c;
}

static inline struct tl__wake_emulated *tl__wake_emulated_of(pthread_cond_t *c)
{
	return (struct tl__wake_emulated *)(void *)c;
}

static inline struct tl__wake_sem *tl__wake_sem_of(sem_t *s)
{
	return (struct tl__wake_sem *)(void *)s;
}

_Static_assert(sizeof(pthread_mutex_t) >= sizeof(struct tl__wake_mutex) &&
	       offsetof(pthread_mutex_t, __data.__kind) >= 4 &&
	       offsetof(pthread_mutex_t, __data.__kind) <= 20 &&
	       offsetof(pthread_mutex_t, __data.__count) == 4,
	       "a mutex has room between the word and the list");
_Static_assert(offsetof(pthread_cond_t, __data.__wrefs) >=
	       sizeof(struct tl__wake_emulated) &&
	       offsetof(pthread_cond_t, __data.__wrefs) >=
	       sizeof(struct tl__wake_cond), "a condition has room");

static inline bool tl__time_ok(const struct timespec *t)
{
	return t->tv_nsec >= 0 && t->tv_nsec < 1000000000;
}

/* In ns; what is before the clock began is over, what is in 500 years never comes. */
static inline uint64_t tl__time_ns(const struct timespec *t)
{
	if (t->tv_sec < 0)
		return 0;
	if ((uint64_t)t->tv_sec >= TL_FOREVER / TL__NS_PER_SEC)
		return TL_FOREVER;
	return (uint64_t)t->tv_sec * TL__NS_PER_SEC + (uint64_t)t->tv_nsec;
}

/*
 * As pthread's, for an object of any kind: what the setting or the object says is
 * called. The result is 0 or a positive error.
 */
int tl__base_mutex_lock(pthread_mutex_t *m);
int tl__base_mutex_trylock(pthread_mutex_t *m);
int tl__base_mutex_clocklock(pthread_mutex_t *m, clockid_t clock,
			     const struct timespec *until);
int tl__base_mutex_unlock(pthread_mutex_t *m);
int tl__base_mutex_destroy(pthread_mutex_t *m);

/* @until NULL: no time-out. Cancellation points. */
int tl__base_cond_wait(pthread_cond_t *c, pthread_mutex_t *m, clockid_t clock,
		       const struct timespec *until);
int tl__base_cond_signal(pthread_cond_t *c);
int tl__base_cond_broadcast(pthread_cond_t *c);
int tl__base_cond_destroy(pthread_cond_t *c);

static inline bool tl__cond_not_ours(const pthread_cond_t *c)
{
	return tl__cond_kind() == TL__COND_PTHREAD || tl__cond_delegated(c);
}

static inline clockid_t tl__cond_clock(const pthread_cond_t *c)
{
	return c->__data.__wrefs & TL__WREFS_MONOTONIC ? CLOCK_MONOTONIC :
							 CLOCK_REALTIME;
}

/*
 * Waits for a token, in a sleep that can be cancelled: 0, -ETIMEDOUT or -EINTR. Who is
 * cancelled has taken none.
 */
int tl__base_sem_sleep(struct tl__wake_sem *s, clockid_t clock,
		       uint64_t deadline_ns);

/* As sem_wait() and its like, for one that isn't delegated: 0 or -1 and errno. */
int tl__base_sem_wait(sem_t *s, clockid_t clock, const struct timespec *until);

#endif
