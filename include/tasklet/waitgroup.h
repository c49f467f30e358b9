/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Wait groups: a count of things under way, and waiting until there are none.
 *
 * tl_waitgroup_add() before a thing begins, tl_waitgroup_done() as its last act.
 * The done that ends the last wakes all that wait; they get 0 even if others
 * have been added before they run.
 *
 * Who uses it, contexts and errors: as tasklet/mutex.h has it. Memory: may be
 * used again as soon as all waits have returned, while the last done is on its
 * way out: so a wait group may lie on its only waiter's stack. Memory ordering:
 * what was done before each done is visible after the wait.
 */
#ifndef TASKLET_WAITGROUP_H
#define TASKLET_WAITGROUP_H

#include <tasklet/base.h>

TL_BEGIN_DECLS

struct tl__waiter;

struct tl_waitgroup {
	uint64_t tl__word;
	uint32_t tl__lock;
	struct tl__waiter *tl__queue;
};

#define TL_WAITGROUP_INIT { 0, 0, 0 }

/*
 * tl_waitgroup_add - @count more are under way
 *
 * Never blocks or switches. Returns 0, or -EOVERFLOW: more than 2^32 - 1.
 */
TL_API int tl_waitgroup_add(struct tl_waitgroup *group, uint32_t count);

/*
 * tl_waitgroup_done - one less
 *
 * Never blocks or switches. Returns 0, or -EOVERFLOW: there was none.
 */
TL_API int tl_waitgroup_done(struct tl_waitgroup *group);

/* tl_waitgroup_wait - until there are none. Returns 0 or see above. */
TL_API int tl_waitgroup_wait(struct tl_waitgroup *group);
TL_API int tl_waitgroup_wait_until(struct tl_waitgroup *group,
				   uint64_t deadline_ns);

/* tl_waitgroup_try_wait - Returns 0, or -EAGAIN: there are some. Never blocks. */
TL_API int tl_waitgroup_try_wait(const struct tl_waitgroup *group);

/* How many are under way. */
TL_API uint32_t tl_waitgroup_count(const struct tl_waitgroup *group);

TL_END_DECLS

#endif
