/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The rwlock: names for what word.c does.
 */
#include <tasklet/rwlock.h>

#include <errno.h>

#include "sync/word.h"

static int lock(struct tl_rwlock *l, const struct tl__taking *how,
		uint64_t deadline_ns)
{
	struct tl_mutex *m = &l->tl__mutex;
	const struct tl_sched *s = tl__sched_self;

	if (unlikely(s && (tl__me(s)->flags & TL__ENTRY_FLAGS)) ||
	    unlikely(!tl__word_try(m, how->busy, how->add, 0)))
		return tl__word_lock(m, how, deadline_ns);
	if (how == &tl__taking_write)
		tl__word_set_owner(m, tl__self_id());
	return 0;
}

int tl_rwlock_rdlock_until(struct tl_rwlock *rwlock, uint64_t deadline_ns)
{
	return lock(rwlock, &tl__taking_read, deadline_ns);
}

int tl_rwlock_rdlock(struct tl_rwlock *rwlock)
{
	return lock(rwlock, &tl__taking_read, TL_FOREVER);
}

int tl_rwlock_wrlock_until(struct tl_rwlock *rwlock, uint64_t deadline_ns)
{
	return lock(rwlock, &tl__taking_write, deadline_ns);
}

int tl_rwlock_wrlock(struct tl_rwlock *rwlock)
{
	return lock(rwlock, &tl__taking_write, TL_FOREVER);
}

static int try(struct tl_rwlock *l, const struct tl__taking *how)
{
	return tl__word_try(&l->tl__mutex, how->busy, how->add, 0) ? 0 :
								     -EAGAIN;
}

int tl_rwlock_try_rdlock(struct tl_rwlock *rwlock)
{
	return try(rwlock, &tl__taking_read);
}

int tl_rwlock_try_wrlock(struct tl_rwlock *rwlock)
{
	int r = try(rwlock, &tl__taking_write);

	if (!r)
		tl__word_set_owner(&rwlock->tl__mutex, tl__self_id());
	return r;
}

int tl_rwlock_rdunlock(struct tl_rwlock *rwlock)
{
	struct tl_mutex *m = &rwlock->tl__mutex;

	/* relaxed: a reader, who may call this, sees itself */
	if (unlikely(!(__atomic_load_n(&m->tl__word, __ATOMIC_RELAXED) &
		       TL__READERS)))
		return -EPERM;
	tl__word_unlock(m, &tl__taking_read);
	return 0;
}

int tl_rwlock_wrunlock(struct tl_rwlock *rwlock)
{
	struct tl_mutex *m = &rwlock->tl__mutex;

	if (unlikely(!tl_mutex_is_owned(m)))
		return -EPERM;
	tl__word_set_owner(m, 0);
	tl__word_unlock(m, &tl__taking_write);
	return 0;
}
