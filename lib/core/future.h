/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Futures, as those who bring the result see them.
 */
#ifndef TL_CORE_FUTURE_H
#define TL_CORE_FUTURE_H

#include <stdatomic.h>

#include <tasklet/future.h>

#include "base/list.h"
#include "core/task.h"
#include "os/lock.h"

/* What is behind a future. Called without its lock; any thread. */
struct tl__future_ops {
	void (*cancelled)(struct tl_future *f);
	void (*destroy)(struct tl_future *f);	/* gives its memory back */
};

struct tl_future {
	struct tl__lock lock;
	_Atomic uint32_t refs;		/* handles, and who brings the result */
	/* Under the lock. */
	uint32_t handles;
	uint8_t state;			/* enum tl_future_state */
	bool is_settled;		/* its tasklet's error is there already */
	long result;
	struct tl_error *error;
	uint64_t order;			/* among all that are done */
	struct tl__list waiters;
	/* Set at the beginning. */
	const struct tl__future_ops *ops;
	bool by_pool;			/* it comes from the pool */
};

/* With one handle, and one reference for who brings the result. */
void tl__future_init(struct tl_future *f, const struct tl__future_ops *ops);

/* The reference of who brings the result. Frees nothing of users. */
void tl__future_let_go(struct tl_future *f);

/*
 * Completes @f with @error if it is not NULL, else with @result. False: nobody
 * wants it, and the error is the caller's still.
 */
bool tl__future_finish(struct tl_future *f, long result,
		       struct tl_error *error);

/*
 * The tasklet that brings the result ends with @error, which nobody caught: it is
 * @f's from now on, and nobody else completes that. Returns @error if @f has no
 * handle. What comes to one that is done already is freed.
 */
struct tl_error *tl__future_settle(struct tl_future *f, struct tl_error *error);

/*
 * That tasklet has ended: completes @f, if nobody has, with that error if there was
 * one, else with @result.
 */
void tl__future_end(struct tl_future *f, long result);

/*
 * Waits, without asking what might forbid it, until one of @futures is done.
 * Returns its index or -errno. Never unwinds.
 */
int tl__future_wait(struct tl_sched *s, struct tl_task *me,
		    struct tl_future *const *futures, int count,
		    uint64_t deadline_ns);

/* The error of @f, which is done and the caller's alone. */
struct tl_error *tl__future_take_error(struct tl_future *f);

#endif
