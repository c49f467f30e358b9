/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Locks under the GIL; lock.h says what holds of them.
 */
#include "lock.h"

#include <time.h>

#include <tasklet/gil.h>

void lock_acquire(struct lock *l)
{
	if (!l->wake->sem_try_wait(&l->sem))
		return;
	tl_gil_block_begin();
	l->wake->sem_wait(&l->sem, CLOCK_MONOTONIC, TL_FOREVER);
	tl_gil_block_end();
}

void lock_release(struct lock *l)
{
	l->wake->sem_post(&l->sem);
}

void cond_acquire(struct cond *c)
{
	if (!c->wake->mutex_try_lock(&c->mutex))
		return;
	tl_gil_block_begin();
	c->wake->mutex_lock(&c->mutex);
	tl_gil_block_end();
}

void cond_release(struct cond *c)
{
	c->wake->mutex_unlock(&c->mutex);
}

void cond_await(struct cond *c)
{
	tl_gil_block_begin();
	c->wake->cond_wait(&c->cond, &c->mutex, CLOCK_MONOTONIC, TL_FOREVER);
	tl_gil_block_end();
}

void cond_notify(struct cond *c)
{
	c->wake->cond_signal(&c->cond);
}

void cond_notify_all(struct cond *c)
{
	c->wake->mutex_lock(&c->mutex);
	c->wake->cond_broadcast(&c->cond);
	c->wake->mutex_unlock(&c->mutex);
}
