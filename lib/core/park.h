/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Park: the one way in which a tasklet blocks, and what wakes it.
 *
 * A blocking call, in this order:
 *	1. asks tl__block_check(), while it can still fail without a trace;
 *	2. arms its deadline, if it has one (tl__deadline_arm());
 *	3. publishes itself where a partner will find it;
 *	4. calls tl__park(), which returns what the waker left.
 *
 * Whoever ends the wait (a partner, the deadline, a kill, a close, the kernel)
 * takes the tasklet off all queues and calls tl__wake() once, with the result:
 * a value that was handed over and a wait that was given up exclude each other.
 */
#ifndef TL_CORE_PARK_H
#define TL_CORE_PARK_H

#include <errno.h>

#include "base/probe.h"
#include "core/checked.h"
#include "core/kill.h"
#include "core/ring.h"

/* The slow halves; see park.c. */
int tl__switch_slow(struct tl_sched *s, struct tl_task *from,
		    struct tl_task *to);
int tl__park_slow(struct tl_sched *s, struct tl_task *me);

/*
 * Tells the schedule callback that @from is left for @to, the head. @linked:
 * @from is in the ring still.
 */
void tl__schedule_callback(struct tl_sched *s, struct tl_task *from,
			   struct tl_task *to, bool linked);
int tl__raise_unwinding(struct tl_task *me);
int tl__block_check_slow(struct tl_sched *s, struct tl_task *me, bool block);

/*
 * Whether @me may make a call that might block: 0, what was thrown at it, or
 * -EPERM where a trap is set and @block (it is known that it will block). May not
 * return, see core/unwind.h: whoever calls it, and those above, hold nothing.
 */
static inline int tl__block_check(struct tl_sched *s, struct tl_task *me,
				  bool block)
{
	if (likely(!((me->flags & TL__ENTRY_FLAGS) | s->slow)))
		return 0;
	return tl__block_check_slow(s, me, block);
}

/* -EPERM if a trap forbids to switch now. */
static inline int tl__switch_check(const struct tl_sched *s)
{
	return unlikely(s->slow & (TL__SLOW_TRAP | TL__SLOW_IN_CALLBACK)) ?
		-EPERM : 0;
}

/*
 * Leaves @from, the running tasklet, for @to, which is the head already. Returns
 * from->result, as it is when @from runs again.
 */
static inline int tl__switch_to(struct tl_sched *s, struct tl_task *from,
				struct tl_task *to)
{
	if (unlikely(s->slow | tl__probe_wanted_of_switch()))
		return tl__switch_slow(s, from, to);
#ifdef TL__ANNOTATES
	tl__annotate_leave(&from->annotation, &to->annotation, false);
	(void)tl__switch(from, to);
	tl__annotate_enter(&from->annotation);
	return from->result;
#else
	return tl__switch(from, to);
#endif
}

/* Looks at the inbox, the reactor and the timers once, without sleeping. */
void tl__poll(struct tl_sched *s);

int tl__switch_polled(struct tl_sched *s, struct tl_task *from,
		      struct tl_task *to);

/*
 * Every switch but that of a tasklet which blocks (tl__park()) comes by here.
 * The rare cases are whole functions to end with, so that the frequent one
 * needs no frame to keep things in.
 */
static inline int tl__switch_counted(struct tl_sched *s, struct tl_task *from,
				     struct tl_task *to)
{
	tl__checked_leave(from, "yields");
	if (unlikely(--s->round_left < 0))
		return tl__switch_polled(s, from, to);
	return tl__switch_to(s, from, to);
}

/* The mark of a tasklet that is not blocked but let others run. */
extern const struct tl__wait_ops tl__yield_ops;

/*
 * Leaves @me, which has not blocked, for @to. Returns 0, or what was thrown at
 * it meanwhile: see tl__yield_raise().
 */
static inline int tl__yield_to(struct tl_sched *s, struct tl_task *me,
			       struct tl_task *to)
{
	me->result = 0;
	me->wait_ops = &tl__yield_ops;
	return tl__switch_counted(s, me, to);
}

/* The same for a call whose success is settled, whatever is thrown. */
static inline int tl__settled_to(struct tl_sched *s, struct tl_task *me,
				 struct tl_task *to)
{
	me->result = 0;
	me->wait_ops = NULL;
	return tl__switch_counted(s, me, to);
}

/*
 * The same for one that lets others run in turn. All but a directed hand-over, for
 * which tl__settled_to() is: a soft interrupt may come between.
 */
extern const struct tl__wait_ops tl__turn_ops;

static inline int tl__turned_to(struct tl_sched *s, struct tl_task *me,
				struct tl_task *to)
{
	me->result = 0;
	me->wait_ops = &tl__turn_ops;
	return tl__switch_counted(s, me, to);
}

/* Something was thrown at @t: if it has let others run, it finds out by that. */
static inline void tl__yield_raise(struct tl_task *t)
{
	if (t->wait_ops == &tl__yield_ops && tl__state(t) != TL__BLOCKED)
		t->result = tl__raise(t);
}

/* Blocks @me, the running tasklet, which has published itself. */
static inline int tl__park(struct tl_sched *s, struct tl_task *me,
			   const struct tl__wait_ops *ops, void *object)
{
	struct tl_task *next = me->next;

	tl__checked_leave(me, ops->verb);
	me->wait_ops = ops;
	me->wait_object = object;
	tl__state_set(me, TL__BLOCKED);
	if (unlikely(next == me || tl__probe_wanted(park) ||
		     --s->round_left < 0))
		return tl__park_slow(s, me);
	s->runcount--;
	next->prev = me->prev;
	me->prev->next = next;
	s->head = next;
	return tl__switch_to(s, me, next);
}

void tl__deadline_disarm_slow(struct tl_sched *s, struct tl_task *t);

/* Ends @t's wait; the caller links it in the ring. */
static inline void tl__wake_unlinked(struct tl_sched *s, struct tl_task *t,
				     int result)
{
	t->result = result;
	if (unlikely(tl__heap_has(&t->timer)))
		tl__deadline_disarm_slow(s, t);
}

/* Ends @t's wait: its call will return @result when its turn comes. */
static inline void tl__wake(struct tl_sched *s, struct tl_task *t, int result)
{
	tl__wake_unlinked(s, t, result);
	tl__ring_append(s, t);
}

/*
 * Arms the deadline of the call that @me is about to block in. TL_FOREVER arms
 * nothing. Returns 0 or -ENOMEM. Ends with the wait, or by disarm.
 */
int tl__deadline_arm(struct tl_sched *s, struct tl_task *me,
		     uint64_t deadline_ns);

static inline void tl__deadline_disarm(struct tl_sched *s, struct tl_task *me)
{
	if (unlikely(tl__heap_has(&me->timer)))
		tl__deadline_disarm_slow(s, me);
}

/* Something outside is under way: polls begin, once a round. */
static inline void tl__poll_soon(struct tl_sched *s)
{
	if (s->round_left > (int)s->runcount)
		s->round_left = (int)s->runcount;
}

/*
 * The tasklet that runs next, after the running one has left the ring; sleeps
 * until there is one. NULL: nothing can ever run again (deadlock).
 */
struct tl_task *tl__next_runnable(struct tl_sched *s);

/*
 * Whether something is under way that will make one of ours runnable. What other
 * threads may do is not: see tl__run_innermost_threadblock() and tl__threads_doze().
 */
bool tl__outside_wakers(const struct tl_sched *s);

/* What was thrown at @me, or 0: for calls that might switch but not block. */
static inline int tl__raise_check(struct tl_task *me)
{
	if (likely(!(me->flags & (TL__RAISED | TL__DELIVERED | TL__STALE))))
		return 0;
	return tl__raise_unwinding(me);
}

#endif
