/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What few tasklets need: the state of a forced unwinding, and a keeper that
 * wants to know of the end. It lies at the top of such a tasklet's stack, so
 * that all others pay nothing for it.
 *
 * Invariant: it is there from the moment when the stack is prepared until the
 * tasklet is dead, if one of TL__EXTRA_FLAGS was set then.
 */
#ifndef TL_CORE_EXTRA_H
#define TL_CORE_EXTRA_H

#include <unwind.h>

#include "core/task.h"

#define TL__EXTRA_FLAGS (TL__UNWIND | TL__KEPT)

/* Who looks after a tasklet's end: a group, or a future. */
struct tl__keeper {
	/*
	 * @task is about to end; nothing that is its own is left but @error,
	 * which nobody caught; NULL if there is none. On its own stack, if it
	 * has ever run. @result is what its function returned; @killed: it was
	 * killed and did not come to another end.
	 *
	 * Returns the error, if it is not taken. Must not switch.
	 */
	struct tl_error *(*ended)(struct tl_task *task, int result, bool killed,
				  struct tl_error *error);
	void (*swallowed)(struct tl_task *task);  /* its kill; may be NULL */
	void *object;
	struct tl_task *task;
	struct tl__list link;	/* the object's */
	unsigned int round;	/* the object's */
	bool has_swallowed;	/* the object's */
};

struct tl__extra {
	struct _Unwind_Exception exception;
	struct tl_error *error;		/* of tl_exit_error() */
	int result;			/* what the tasklet ends with */
	struct tl__cxx cxx;
	struct tl__keeper keeper;
};

#define TL__EXTRA_SIZE ((sizeof(struct tl__extra) + 15) & ~(size_t)15)

static inline struct tl__extra *tl__extra(const struct tl_task *t)
{
	char *top = tl__stack_top(t);

	return (struct tl__extra *)(void *)(top - TL__EXTRA_SIZE);
}

/* Where a tasklet's first frame begins. */
static inline void *tl__stack_start(const struct tl_task *t)
{
	if (unlikely(t->flags & TL__EXTRA_FLAGS))
		return tl__extra(t);
	return tl__stack_top(t);
}

#endif
