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

#include "base/list.h"
#include "core/task.h"

#define TL__EXTRA_FLAGS (TL__UNWIND | TL__KEPT)

/* What a keeper wants to know; any may be NULL but `ended`. */
struct tl__keeper_ops {
	/*
	 * @task ends with @error, which nobody caught. Returns it if it is not
	 * taken. May run foreign code.
	 */
	struct tl_error *(*take)(struct tl_task *task, struct tl_error *error);
	/*
	 * @task has ended, its last switch aside, with what its function
	 * returned or with an error; or, @killed, because of a kill. On its own
	 * stack if it ever ran. Must not run foreign code.
	 */
	void (*ended)(struct tl_task *task, int result, bool killed);
	/* @task, the current one, has taken its kill with tl_catch(). */
	void (*swallowed)(struct tl_task *task);
};

/*
 * Who looks after a tasklet's end: a group, or a future. It has a handle of the
 * tasklet until `ended` has returned.
 */
struct tl__keeper {
	const struct tl__keeper_ops *ops;
	void *object;
	/* The object's own. */
	struct tl_task *task;
	struct tl__list link;
	unsigned int round;
	bool has_swallowed;
};

struct tl__extra {
	struct _Unwind_Exception exception;
	struct tl_error *error;		/* of tl_exit_error() */
	int result;			/* what the tasklet ends with */
	struct tl__cxx cxx;
	struct tl__keeper keeper;
};

/* The same for one that is alive no more, and that its keeper lets go of. */
void tl__keeper_ended(struct tl_task *task, int result, bool killed);

/*
 * As tl_spawn_attr(), in two steps: a tasklet whose keeper the caller fills in,
 * and its start. What was not started, ends with tl__stack_release().
 */
int tl__task_make_kept(struct tl_sched *s, struct tl_task **out,
		       const struct tl_task_attr *attr, tl_task_fn *fn);
void tl__task_start(struct tl_sched *s, struct tl_task *t, void *arg);

/* What tl_spawn_attr() would say of @attr: 0 or -errno. */
int tl__task_attr_check(const struct tl_task_attr *attr);

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
