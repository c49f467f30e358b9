/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Ticks, and what a tasklet says of itself that holds interrupts off. See tick.h
 * for the word, watchdog.h for the rules.
 */
#include "core/tick.h"

#include <errno.h>

#include "core/gil-hooks.h"
#include "core/kill.h"
#include "core/unwind.h"
#include "core/watchdog.h"

__thread unsigned int tl__tick_word
	__attribute__((tls_model("initial-exec")));

const struct tl__gil_hooks *_Atomic tl__gil_hooks;
bool tl__gil_ignores_atomic;

/* Others want the lock by which the thread runs, if there is such a thing. */
static void offer_gil(struct tl_sched *s)
{
	if (s && (tl__me(s)->flags & TL__ATOMIC) && !tl__gil_ignores_atomic)
		return;	/* the bit stays for the tick after that */
	tl__gil_hooks_get()->tick();
}

/* What was thrown at @me and is not caught; unlike tl__raise(), changes nothing. */
static int thrown_at(const struct tl_task *me)
{
	if (likely((me->flags & (TL__RAISED | TL__SHIELDED)) != TL__RAISED))
		return 0;
	return -tl_error_code(me->thrown);
}

/* Not in callbacks: what is delivered may end the very tasklet that is left. */
static void poll_inbox(struct tl_sched *s)
{
	int saved = errno;

	if (s->slow & TL__SLOW_IN_CALLBACK)
		return;
	/* acquire: pairs with tl__tick_request(): the message is linked */
	__atomic_fetch_and(&tl__tick_word, ~TL__TICK_POLL, __ATOMIC_ACQUIRE);
	s->polled_idle = false;	/* somebody runs: what is to run next comes behind */
	tl__inbox_drain(s);
	if (tl__inbox_has_mail(&s->inbox))
		tl__tick_set(TL__TICK_POLL);	/* at the next one */
	errno = saved;
}

int tl__tick_slow(void)
{
	struct tl_sched *s = tl__sched_self;
	struct tl_task *me;
	int r = 0;

	if (tl__tick_bits() & TL__TICK_FAVOUR)
		tl__gil_hooks_get()->favoured_tick();
	if (tl__tick_bits() & TL__TICK_GIL)
		offer_gil(s);
	if (!s) {	/* it has ended; nobody writes to these any more */
		tl__tick_clear(~TL__TICK_OF_GIL);
		return 0;
	}
	/* Most ticks of a run with a budget of ticks. */
	if (likely(tl__tick_bits() == TL__TICK_COUNT && s->watch.ticks_left > 1)) {
		s->watch.ticks_left--;
		return 0;
	}
	me = tl__me(s);
	if (tl__tick_bits() & TL__TICK_POLL)
		poll_inbox(s);
	if (s->watch.run)
		r = tl__watch_tick(s, me);
	if (!r)
		r = thrown_at(me);
	/* A callback's frames are not the tasklet's to unwind. */
	return s->slow & TL__SLOW_IN_CALLBACK ? r : tl__unwind_return(me, r);
}

/* For those who have no use for the header's. */
int tl_tick(void)
{
	return unlikely(tl__tick_bits()) ? tl__tick_slow() : 0;
}

void tl__tick_request(struct tl_sched *s)
{
	/* release: pairs with poll_inbox(): the message is linked */
	__atomic_fetch_or(__atomic_load_n(&s->tick_word, __ATOMIC_RELAXED),
			  TL__TICK_POLL, __ATOMIC_RELEASE);
}

static bool change_flag(uint32_t flag, bool on)
{
	struct tl_sched *s = tl__sched();
	struct tl_task *me;
	bool was;

	if (unlikely(!s))
		return false;
	me = tl__me(s);
	was = me->flags & flag;
	if (on)
		me->flags |= flag;
	else
		me->flags &= ~flag;
	tl__watch_recheck(s, me);
	return was;
}

bool tl_atomic(bool on)
{
	return change_flag(TL__ATOMIC, on);
}

bool tl_set_ignore_nesting(bool on)
{
	return change_flag(TL__IGNORE_NESTING, on);
}

bool tl_task_is_atomic(const struct tl_task *task)
{
	return task->flags & TL__ATOMIC;
}

int tl_nesting(int delta)
{
	struct tl_sched *s = tl__sched();
	struct tl_task *me;
	long level;
	int old;

	if (!s)
		return tl__sched_error();
	me = tl__me(s);
	old = (int)(me->flags >> TL__NESTING_SHIFT);
	level = (long)old + delta;
	if (level < 0 || level > TL__NESTING_MAX)
		return -ERANGE;
	me->flags &= (1u << TL__NESTING_SHIFT) - 1;
	me->flags |= (uint32_t)level << TL__NESTING_SHIFT;
	tl__watch_recheck(s, me);
	return old;
}
