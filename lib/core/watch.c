/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What one may ask of a thread's scheduler, what watches it (callbacks) and
 * what holds it (traps).
 *
 * Whatever needs a second look at each switch has a bit in s->slow; the
 * functions here keep the bits true.
 */
#include <errno.h>

#include "core/kill.h"
#include "core/park.h"

static void slow_set(struct tl_sched *s, unsigned int bit, bool on)
{
	if (on)
		s->slow |= bit;
	else
		s->slow &= ~bit;
}

/* Puts @value to @place; what was there comes back in @old, if anybody asks. */
#define replace(place, value, old)	\
	do {				\
		if (old)		\
			*(old) = place;	\
		place = value;		\
	} while (0)

/* What @level is to become by @delta; -ERANGE: it can't. */
static int level_after(int level, int delta)
{
	long sum = (long)level + delta;

	return sum < 0 || sum > 1 << 30 ? -ERANGE : (int)sum;
}

struct tl_task *tl_current(void)
{
	struct tl_sched *s = tl__sched();

	return s ? tl__me(s) : NULL;
}

struct tl_task *tl_main(void)
{
	struct tl_sched *s = tl__sched();

	return s ? s->main : NULL;
}

int tl_runcount(void)
{
	struct tl_sched *s = tl__sched();

	return s ? (int)s->runcount : tl__sched_error();
}

int tl_set_schedule_callback(tl_schedule_fn *fn, void *arg,
			     tl_schedule_fn **old, void **old_arg)
{
	bool had_scheduler = tl__sched_self != NULL;
	struct tl_sched *s = tl__sched();

	if (!s)
		return tl__sched_error();
	replace(s->schedule_fn, fn, old);
	replace(s->schedule_arg, arg, old_arg);
	slow_set(s, TL__SLOW_CALLBACK, fn);
	if (fn && !had_scheduler)
		fn(NULL, s->main, arg);
	return 0;
}

int tl_set_channel_callback(tl_channel_fn *fn, void *arg, tl_channel_fn **old,
			    void **old_arg)
{
	struct tl_sched *s = tl__sched();

	if (!s)
		return tl__sched_error();
	replace(s->channel_fn, fn, old);
	replace(s->channel_arg, arg, old_arg);
	slow_set(s, TL__SLOW_CHANNEL, fn);
	return 0;
}

int tl_set_error_handler(tl_error_fn *fn, void *arg, tl_error_fn **old,
			 void **old_arg)
{
	struct tl_sched *s = tl__sched();

	if (!s)
		return tl__sched_error();
	replace(s->error_fn, fn, old);
	replace(s->error_arg, arg, old_arg);
	return 0;
}

int tl_switch_trap(int delta)
{
	struct tl_sched *s = tl__sched();
	int old, level;

	if (!s)
		return tl__sched_error();
	old = s->trap_level;
	level = level_after(old, delta);
	if (level < 0)
		return level;
	s->trap_level = level;
	slow_set(s, TL__SLOW_TRAP, level);
	return old;
}

int tl_external(int delta)
{
	struct tl_sched *s = tl__sched();
	int old, level;

	if (!s)
		return tl__sched_error();
	old = (int)s->externals;
	level = level_after(old, delta);
	if (level < 0)
		return level;
	s->externals = (unsigned int)level;
	return old;
}

bool tl_fpenv_private(bool on)
{
	struct tl_sched *s = tl__sched();
	struct tl_task *me;
	bool was;

	if (!s)
		return false;
	me = tl__me(s);
	was = me->flags & TL__FPENV;
	if (on == was)
		return was;
	if (on) {
		tl__fpenv_save(&s->fpenv);
		me->flags |= TL__FPENV;
	} else {
		tl__fpenv_load(&s->fpenv);
		me->flags &= ~TL__FPENV;
	}
	slow_set(s, TL__SLOW_FPENV, on);
	return was;
}

size_t tl_trim(void)
{
	struct tl_sched *s = tl__sched_self;

	if (!s)
		return 0;
	return tl__stack_trim(s, 0) + tl__heap_trim(&s->timers);
}

int tl_stats(struct tl_stats *out)
{
	struct tl_sched *s = tl__sched();
	size_t size = out->size;

	if (!s)
		return tl__sched_error();
	if (size < sizeof(*out))
		return -EINVAL;
	*out = (struct tl_stats){
		.size = size,
		.alive = s->alive,
		.runnable = s->runcount,
		.paused = s->paused,
		.blocked = s->alive - s->runcount - s->paused,
		.stacks = s->stacks.nstacks,
		.stacks_cached = s->stacks.nfree,
		.stacks_unguarded = s->stacks.unguarded,
		.stack_bytes = s->stacks.bytes,
		.timers = s->timers.len,
		.io_pending = s->io_pending,
	};
	return 0;
}

const char *tl_version(void)
{
#define STRING_(x) #x
#define STRING(x) STRING_(x)
	return STRING(TL_VERSION_MAJOR) "." STRING(TL_VERSION_MINOR) "."
	       STRING(TL_VERSION_PATCH);
}
