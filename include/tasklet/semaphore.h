/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Semaphores: a number of tokens, of which each acquire takes one.
 *
 * A release makes as many runnable as it brings tokens, first come first served,
 * and whoever comes first takes a token. One that has lost 30 times keeps
 * newcomers away. A token is never lost: one that was woken and is killed before
 * it has taken its token wakes the next.
 *
 * Who uses it, its memory, contexts and errors: as tasklet/mutex.h has it; there
 * is no owner. Memory ordering: what was done before a release is visible to
 * whoever takes one of its tokens.
 */
#ifndef TASKLET_SEMAPHORE_H
#define TASKLET_SEMAPHORE_H

#include <tasklet/base.h>

TL_BEGIN_DECLS

struct tl__waiter;

struct tl_sem {
	uint64_t tl__word;
	uint32_t tl__lock;
	uint32_t tl__max;
	struct tl__waiter *tl__queue;
};

/* The most tokens that a semaphore can have. */
#define TL_SEM_MAX UINT32_MAX

/* With that many tokens at first; and never more, if bounded. */
#define TL_SEM_INIT(value) \
	{ (uint64_t)(uint32_t)(value) << 32, 0, TL_SEM_MAX, 0 }
#define TL_SEM_BOUNDED_INIT(value) \
	{ (uint64_t)(uint32_t)(value) << 32, 0, (uint32_t)(value), 0 }

/* tl_sem_init - the same at run time. Returns 0, or -EINVAL: value > max. */
TL_API int tl_sem_init(struct tl_sem *sem, uint32_t value, uint32_t max);

/* tl_sem_acquire - take a token. Returns 0 or see above. */
TL_API int tl_sem_acquire(struct tl_sem *sem);
TL_API int tl_sem_acquire_until(struct tl_sem *sem, uint64_t deadline_ns);

/* tl_sem_try_acquire - Returns 0 or -EAGAIN. */
TL_API int tl_sem_try_acquire(struct tl_sem *sem);

/*
 * tl_sem_release - add @count tokens
 *
 * Never blocks or switches. Returns 0, or -EOVERFLOW: it would have more than it
 * may; nothing has changed.
 */
TL_API int tl_sem_release(struct tl_sem *sem, uint32_t count);

/* The tokens that are left; it may be wrong by the time it is looked at. */
TL_API uint32_t tl_sem_value(const struct tl_sem *sem);

TL_END_DECLS

#endif
