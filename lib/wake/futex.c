/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The table of `futex`: the functions of futex.h on the memory of
 * <tasklet/wake.h>.
 */
#include "wake/futex.h"

#include "wake/impl.h"

static struct tl__wake_mutex *mutex_of(struct tl_wake_mutex *mutex)
{
	return (struct tl__wake_mutex *)mutex;
}

static struct tl__wake_cond *cond_of(struct tl_wake_cond *cond)
{
	return (struct tl__wake_cond *)cond;
}

static struct tl__wake_sem *sem_of(struct tl_wake_sem *sem)
{
	return (struct tl__wake_sem *)sem;
}

_Static_assert(sizeof(struct tl__wake_mutex) <= sizeof(struct tl_wake_mutex) &&
	       sizeof(struct tl__wake_cond) <= sizeof(struct tl_wake_cond) &&
	       sizeof(struct tl__wake_sem) <= sizeof(struct tl_wake_sem),
	       "they have room");

void tl__wake_table_lock(struct tl_wake_mutex *mutex)
{
	tl__wake_mutex_lock(mutex_of(mutex));
}

int tl__wake_table_try_lock(struct tl_wake_mutex *mutex)
{
	return tl__wake_mutex_try_lock(mutex_of(mutex));
}

void tl__wake_table_unlock(struct tl_wake_mutex *mutex)
{
	tl__wake_mutex_unlock(mutex_of(mutex));
}

static int wait(struct tl_wake_cond *cond, struct tl_wake_mutex *mutex,
		int clock, uint64_t deadline_ns)
{
	return tl__wake_cond_wait(cond_of(cond), mutex_of(mutex), clock,
				  deadline_ns);
}

static void send_one(struct tl_wake_cond *cond)
{
	tl__wake_cond_signal(cond_of(cond));
}

static void send_all(struct tl_wake_cond *cond)
{
	tl__wake_cond_broadcast(cond_of(cond));
}

void tl__wake_table_cond_done(struct tl_wake_cond *cond)
{
	(void)cond;
}

int tl__wake_table_sem_wait(struct tl_wake_sem *sem, int clock,
			    uint64_t deadline_ns)
{
	if (unlikely(!tl__wake_clock_ok(clock)))
		return -EINVAL;
	return tl__wake_sem_wait(sem_of(sem), clock, deadline_ns, false);
}

int tl__wake_table_sem_try_wait(struct tl_wake_sem *sem)
{
	return tl__wake_sem_try_wait(sem_of(sem));
}

int tl__wake_table_sem_post(struct tl_wake_sem *sem)
{
	return tl__wake_sem_post(sem_of(sem), 1);
}

const struct tl_wake tl__wake_futex = {
	.name = "futex",
	.mutex_lock = tl__wake_table_lock,
	.mutex_try_lock = tl__wake_table_try_lock,
	.mutex_unlock = tl__wake_table_unlock,
	.cond_wait = wait,
	.cond_signal = send_one,
	.cond_broadcast = send_all,
	.cond_destroy = tl__wake_table_cond_done,
	.sem_wait = tl__wake_table_sem_wait,
	.sem_try_wait = tl__wake_table_sem_try_wait,
	.sem_post = tl__wake_table_sem_post,
};
