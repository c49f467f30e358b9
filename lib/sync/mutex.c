/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Mutex and rlock. All that waits is in word.c; the rlock's depth belongs to the
 * owner of its mutex and is read and written by it alone.
 */
#include <errno.h>

#include "sync/word.h"

int tl_mutex_lock_until(struct tl_mutex *mutex, uint64_t deadline_ns)
{
	const struct tl_sched *s = tl__sched_self;

	if (likely(!s || !(tl__me(s)->flags & TL__ENTRY_FLAGS)) &&
	    likely(tl__word_take_free(mutex))) {
		tl__word_set_owner(mutex, tl__self_id());
		return 0;
	}
	return tl__word_lock(mutex, &tl__taking_mutex, deadline_ns);
}

int tl_mutex_lock(struct tl_mutex *mutex)
{
	return tl_mutex_lock_until(mutex, TL_FOREVER);
}

int tl_mutex_try_lock(struct tl_mutex *mutex)
{
	if (!tl__word_try(mutex, TL__LOCKED | TL__KEEP_OFF, TL__LOCKED, 0))
		return -EAGAIN;
	tl__word_set_owner(mutex, tl__self_id());
	return 0;
}

int tl_mutex_unlock(struct tl_mutex *mutex)
{
	if (unlikely(!tl_mutex_is_owned(mutex)))
		return -EPERM;
	tl__word_give(mutex);
	return 0;
}

bool tl_mutex_is_owned(const struct tl_mutex *mutex)
{
	return tl__word_owner(mutex) == tl__self_id();
}

static int once_more(struct tl_rlock *rlock)
{
	if (unlikely(rlock->tl__depth == UINT32_MAX))
		return -EOVERFLOW;
	rlock->tl__depth++;
	return 0;
}

int tl_rlock_lock_until(struct tl_rlock *rlock, uint64_t deadline_ns)
{
	int r;

	if (tl_mutex_is_owned(&rlock->tl__mutex)) {
		r = tl__thrown();
		return r ? r : once_more(rlock);
	}
	r = tl_mutex_lock_until(&rlock->tl__mutex, deadline_ns);
	if (!r)
		rlock->tl__depth = 1;
	return r;
}

int tl_rlock_lock(struct tl_rlock *rlock)
{
	return tl_rlock_lock_until(rlock, TL_FOREVER);
}

int tl_rlock_try_lock(struct tl_rlock *rlock)
{
	int r;

	if (tl_mutex_is_owned(&rlock->tl__mutex))
		return once_more(rlock);
	r = tl_mutex_try_lock(&rlock->tl__mutex);
	if (!r)
		rlock->tl__depth = 1;
	return r;
}

int tl_rlock_unlock(struct tl_rlock *rlock)
{
	if (unlikely(!tl_mutex_is_owned(&rlock->tl__mutex)))
		return -EPERM;
	if (!--rlock->tl__depth)
		tl__word_give(&rlock->tl__mutex);
	return 0;
}

uint32_t tl_rlock_depth(const struct tl_rlock *rlock)
{
	return tl_mutex_is_owned(&rlock->tl__mutex) ? rlock->tl__depth : 0;
}
