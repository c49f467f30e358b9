/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The C library's own functions, for which the preload library stands in.
 *
 * Owns one pointer a function. It is looked up at the first call, with the version
 * that programs are linked with: pthread_cond_*() of x86-64 exists twice, and the
 * old one (GLIBC_2.2.5) keeps a pointer in the object. A program may call us before
 * any constructor has run; so nothing here needs one.
 */
#ifndef TL_PRELOAD_NEXT_H
#define TL_PRELOAD_NEXT_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <threads.h>
#include <time.h>

#include "base/compiler.h"

#define TL__TIME const struct timespec *

/*
 * With which version to ask first, so that the C libraries of these days answer
 * at once: an error makes dlvsym() allocate, and who allocates may call us.
 */
#if defined(__x86_64__)
#define TL__V_FIRST "GLIBC_2.2.5"
#define TL__V_COND "GLIBC_2.3.2"
#else
#define TL__V_FIRST "GLIBC_2.17"
#define TL__V_COND "GLIBC_2.17"
#endif
#define TL__V_MOVED "GLIBC_2.34"	/* when libpthread became part of libc */

/* name, parameters, arguments, version */
#define TL__NEXT_LIST(X)						\
	X(pthread_cond_init, (pthread_cond_t *o, const pthread_condattr_t *a), \
	  (o, a), TL__V_COND) \
	X(pthread_cond_destroy, (pthread_cond_t *o), \
	  (o), TL__V_COND) \
	X(pthread_cond_wait, (pthread_cond_t *o, pthread_mutex_t *m), \
	  (o, m), TL__V_COND) \
	X(pthread_cond_timedwait, (pthread_cond_t *o, pthread_mutex_t *m, TL__TIME t), \
	  (o, m, t), TL__V_COND) \
	X(pthread_cond_clockwait, (pthread_cond_t *o, pthread_mutex_t *m, clockid_t k, TL__TIME t), \
	  (o, m, k, t), TL__V_MOVED) \
	X(pthread_cond_signal, (pthread_cond_t *o), \
	  (o), TL__V_COND) \
	X(pthread_cond_broadcast, (pthread_cond_t *o), \
	  (o), TL__V_COND) \
	X(pthread_mutex_init, (pthread_mutex_t *o, const pthread_mutexattr_t *a), \
	  (o, a), TL__V_FIRST) \
	X(pthread_mutex_destroy, (pthread_mutex_t *o), \
	  (o), TL__V_FIRST) \
	X(pthread_mutex_lock, (pthread_mutex_t *o), \
	  (o), TL__V_FIRST) \
	X(pthread_mutex_trylock, (pthread_mutex_t *o), \
	  (o), TL__V_MOVED) \
	X(pthread_mutex_timedlock, (pthread_mutex_t *o, TL__TIME t), \
	  (o, t), TL__V_MOVED) \
	X(pthread_mutex_clocklock, (pthread_mutex_t *o, clockid_t k, TL__TIME t), \
	  (o, k, t), TL__V_MOVED) \
	X(pthread_mutex_unlock, (pthread_mutex_t *o), \
	  (o), TL__V_FIRST) \
	X(sem_init, (sem_t *o, int p, unsigned int v), \
	  (o, p, v), TL__V_MOVED) \
	X(sem_destroy, (sem_t *o), \
	  (o), TL__V_MOVED) \
	X(sem_wait, (sem_t *o), \
	  (o), TL__V_MOVED) \
	X(sem_timedwait, (sem_t *o, TL__TIME t), \
	  (o, t), TL__V_MOVED) \
	X(sem_clockwait, (sem_t *o, clockid_t k, TL__TIME t), \
	  (o, k, t), TL__V_MOVED) \
	X(sem_trywait, (sem_t *o), \
	  (o), TL__V_MOVED) \
	X(sem_post, (sem_t *o), \
	  (o), TL__V_MOVED) \
	X(cnd_wait, (cnd_t *o, mtx_t *m), \
	  (o, m), TL__V_MOVED) \
	X(cnd_timedwait, (cnd_t *o, mtx_t *m, TL__TIME t), \
	  (o, m, t), TL__V_MOVED)

struct tl__next {
#define X(NAME, PARAMS, ARGS, VERSION) _Atomic(void *) NAME;
	TL__NEXT_LIST(X)
#undef X
};

extern struct tl__next tl__next;

/* Looks NAME up and keeps it; ends the program if the C library has none. */
void *tl__next_find(_Atomic(void *) *where, const char *name,
		    const char *version);

/* tl__next_NAME(): calls the C library's. */
#define X(NAME, PARAMS, ARGS, VERSION)						\
	static inline int tl__next_##NAME PARAMS			\
	{								\
		/* relaxed: what it points to was there before us */	\
		void *fn = atomic_load_explicit(&tl__next.NAME,	\
						memory_order_relaxed);	\
									\
		if (unlikely(!fn))					\
			fn = tl__next_find(&tl__next.NAME, #NAME, VERSION);	\
		return ((int (*) PARAMS)fn)ARGS;			\
	}
TL__NEXT_LIST(X)
#undef X

#endif
