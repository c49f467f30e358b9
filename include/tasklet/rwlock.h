/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Locks that many readers, or one writer, hold at a time.
 *
 * A writer that waits keeps new readers away, so that it gets its turn; when it
 * unlocks, the first that waits is woken, and where that is a reader, those that
 * follow it up to the next writer too. So a reader must not take the lock a
 * second time: a writer may have come between. One that has lost 30 times keeps
 * all newcomers away.
 *
 * Who uses it, its memory, contexts, errors and memory ordering: as
 * tasklet/mutex.h has it. The writer is known: -EDEADLK where it asks for the
 * lock again, -EPERM where somebody else gives it up. Readers are only counted.
 */
#ifndef TASKLET_RWLOCK_H
#define TASKLET_RWLOCK_H

#include <tasklet/mutex.h>

TL_BEGIN_DECLS

struct tl_rwlock {
	struct tl_mutex tl__mutex;
	uint32_t tl__writers;
};

#define TL_RWLOCK_INIT { TL_MUTEX_INIT, 0 }

/* tl_rwlock_rdlock - be one of its readers. Returns 0 or see above. */
TL_API int tl_rwlock_rdlock(struct tl_rwlock *rwlock);
TL_API int tl_rwlock_rdlock_until(struct tl_rwlock *rwlock,
				  uint64_t deadline_ns);
TL_API int tl_rwlock_try_rdlock(struct tl_rwlock *rwlock);

/* tl_rwlock_rdunlock - a reader less. Returns 0, or -EPERM: there is none. */
TL_API int tl_rwlock_rdunlock(struct tl_rwlock *rwlock);

/* tl_rwlock_wrlock - be its writer. Returns 0 or see above. */
TL_API int tl_rwlock_wrlock(struct tl_rwlock *rwlock);
TL_API int tl_rwlock_wrlock_until(struct tl_rwlock *rwlock,
				  uint64_t deadline_ns);
TL_API int tl_rwlock_try_wrlock(struct tl_rwlock *rwlock);

/* tl_rwlock_wrunlock - Returns 0, or -EPERM: the caller isn't its writer. */
TL_API int tl_rwlock_wrunlock(struct tl_rwlock *rwlock);

TL_END_DECLS

#endif
