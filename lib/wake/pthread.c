/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the C library has, as a table: to compare with. Relies on what its
 * initializers are made of: bytes that are zero. Mutexes and semaphores are not
 * destroyed, which on Linux would give nothing back. Its waits are cancellation
 * points, which ours are not: it is switched off meanwhile.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <time.h>

#include "core/annotate.h"
#include "os/clock.h"
#include "wake/futex.h"
#include "wake/impl.h"

_Static_assert(sizeof(pthread_mutex_t) <= sizeof(struct tl_wake_mutex) &&
	       sizeof(pthread_cond_t) <= sizeof(struct tl_wake_cond) &&
	       sizeof(sem_t) <= sizeof(struct tl_wake_sem),
	       "they have room");

static pthread_mutex_t *mutex_of(struct tl_wake_mutex *mutex)
{
	return (pthread_mutex_t *)mutex;
}

static pthread_cond_t *cond_of(struct tl_wake_cond *cond)
{
	return (pthread_cond_t *)cond;
}

static sem_t *sem_of(struct tl_wake_sem *sem)
{
	return (sem_t *)sem;
}

static void lock(struct tl_wake_mutex *mutex)
{
	pthread_mutex_lock(mutex_of(mutex));
}

static int try_lock(struct tl_wake_mutex *mutex)
{
	return pthread_mutex_trylock(mutex_of(mutex)) ? -EAGAIN : 0;
}

static void unlock(struct tl_wake_mutex *mutex)
{
	pthread_mutex_unlock(mutex_of(mutex));
}

static int wait(struct tl_wake_cond *cond, struct tl_wake_mutex *mutex,
		int clock, uint64_t deadline_ns)
{
	struct timespec ts = tl__timespec(deadline_ns);
	int r, state;

	if (!tl__wake_clock_ok(clock))
		return -EINVAL;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	if (deadline_ns == TL_FOREVER)
		r = pthread_cond_wait(cond_of(cond), mutex_of(mutex));
	else
		r = pthread_cond_clockwait(cond_of(cond), mutex_of(mutex),
					   clock, &ts);
	pthread_setcancelstate(state, &state);
	return -r;
}

static void send_one(struct tl_wake_cond *cond)
{
	pthread_cond_signal(cond_of(cond));
}

static void send_all(struct tl_wake_cond *cond)
{
	pthread_cond_broadcast(cond_of(cond));
}

static void destroy(struct tl_wake_cond *cond)
{
	pthread_cond_destroy(cond_of(cond));
}

static int wait_for_token(struct tl_wake_sem *sem, int clock,
			  uint64_t deadline_ns)
{
	struct timespec ts = tl__timespec(deadline_ns);
	int saved = errno, r, state;

	if (!tl__wake_clock_ok(clock))
		return -EINVAL;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	do
		r = deadline_ns == TL_FOREVER ?
		    sem_wait(sem_of(sem)) :
		    sem_clockwait(sem_of(sem), clock, &ts);
	while (r && errno == EINTR);
	r = r ? -errno : 0;
#ifdef TL__TSAN
	/* It knows sem_post(), and not sem_clockwait(). */
	if (!r)
		__tsan_acquire(sem);
#endif
	pthread_setcancelstate(state, &state);
	errno = saved;
	return r;
}

static int try_token(struct tl_wake_sem *sem)
{
	int saved = errno, r = sem_trywait(sem_of(sem)) ? -EAGAIN : 0;

	errno = saved;
	return r;
}

static int post(struct tl_wake_sem *sem)
{
	int saved = errno, r = sem_post(sem_of(sem)) ? -errno : 0;

	errno = saved;
	return r;
}

const struct tl_wake tl__wake_pthread = {
	.name = "pthread",
	.mutex_lock = lock,
	.mutex_try_lock = try_lock,
	.mutex_unlock = unlock,
	.cond_wait = wait,
	.cond_signal = send_one,
	.cond_broadcast = send_all,
	.cond_destroy = destroy,
	.sem_wait = wait_for_token,
	.sem_try_wait = try_token,
	.sem_post = post,
};
