/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Tasklets that end by forced unwinding (TL_UNWIND).
 *
 * A kill may unwind only frames that have nothing left to undo but what their
 * own compiler knows of, and this library's frames are no such ones: they are
 * plain C. So it happens at three places, and none of them holds anything:
 *
 *	- where a blocking call begins (tl__block_check(), tl__raise_check()),
 *	  "while it can still fail without a trace". A function that calls
 *	  another blocking one while it holds something says tl__unwind_hold().
 *	- where a wait ends whose ops say `unwinds`: the call has nothing left
 *	  to do but to return the error.
 *	- where another blocking call says, last of all, tl__unwind_check().
 *
 * A blocking call without any of these returns -ECANCELED, and the next one
 * unwinds.
 */
#ifndef TL_CORE_UNWIND_H
#define TL_CORE_UNWIND_H

#include "core/task.h"

/* 0, or -ENOTSUP: the process has no unwinder. */
int tl__unwind_available(void);

/* @me has TL_UNWIND: it begins to run; is left; is back; has ended. */
void tl__unwind_start(struct tl_task *me);
void tl__unwind_leave(struct tl_task *me);
void tl__unwind_enter(struct tl_task *me);
void tl__unwind_end(struct tl_task *me);

/* Unwinds all frames of @me, then ends it as if its function had returned. */
void tl__unwind(struct tl_task *me, int result, struct tl_error *error)
	__attribute__((noreturn));

void tl__unwind_killed(struct tl_task *me);

/* Does not return if @me was killed and is one to be unwound. */
static inline void tl__unwind_check(struct tl_task *me)
{
	if (unlikely((me->flags & (TL__UNWIND | TL__RAISED | TL__SHIELDED |
				   TL__HOLD)) == (TL__UNWIND | TL__RAISED)))
		tl__unwind_killed(me);
}

/* The same at the end of a call that returns @result. */
static inline int tl__unwind_return(struct tl_task *me, int result)
{
	if (unlikely(result < 0))
		tl__unwind_check(me);
	return result;
}

/*
 * From here to tl__unwind_unhold() our frames hold something. Sections nest: the
 * outermost one counts, which is why the former's result goes to the latter.
 */
static inline uint32_t tl__unwind_hold(struct tl_task *me)
{
	uint32_t hold = ~me->flags & TL__HOLD;

	me->flags |= hold;
	return hold;
}

static inline void tl__unwind_unhold(struct tl_task *me, uint32_t hold)
{
	me->flags &= ~hold;
}

#endif
