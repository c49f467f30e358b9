/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Favours of the kernel; see favour.h.
 *
 * A thread is favoured from when it comes back from blocking, before it waits for the
 * lock, through its next calls that block (who sleeps is to be woken soon), until it
 * is made to let go, or has computed for LONG_NS at a stretch. The latter is seen at
 * its ticks, and is what keeps a real-time thread that begins to compute while nobody
 * wants the lock from taking a processor for good. It counts what it had of a processor,
 * not what others took from it, and only what comes after the first LONG_NS: so those
 * who come back sooner need not ask. Two system calls at each change, one each LONG_NS
 * in between.
 *
 * What it makes meanwhile, threads or processes, the kernel does not favour
 * (TL__SCHED_RESET_ON_FORK). And what somebody else has changed meanwhile stays: we
 * change only what we have left there.
 */
#include "gil/favour.h"

#include <errno.h>

#include "core/tick.h"
#include "gil/gil.h"

#define LONG_NS 1000000u
/* A call that took so long has blocked. */
#define BLOCKED_NS 50000u
#define TICKS_A_LOOK 32

/* --- changes ------------------------------------------------------------------ */

/* Whether it is as we have left it; otherwise we don't touch it any more. */
static bool is_untouched(struct tl__gil_favour *f)
{
	struct tl__sched now;

	if (tl__sched_get(&now) ||
	    tl__sched_is(&now, f->has ? &f->favoured : &f->usual))
		return true;
	f->may_have = f->is_ours = false;
	return false;
}

static void have(struct tl__gil_favour *f, bool has)
{
	if (f->has == has || !is_untouched(f))
		return;
	if (tl__sched_set(has ? &f->favoured : &f->usual))
		f->may_have = false;	/* it was allowed to, and is not any more */
	else
		f->has = has;
}

static void favour(struct tl__gil_favour *f, uint64_t now)
{
	f->back_ns = now;
	f->computed_ns = 0;
	have(f, true);
	if (f->has)
		tl__tick_set(TL__TICK_FAVOUR);
}

static void end_favour(struct tl__gil_favour *f)
{
	tl__tick_clear(TL__TICK_FAVOUR);
	have(f, false);
}

void tl__gil_favour_follow_slow(struct tl__gil_favour *f, enum tl_gil_class class,
				uint64_t now)
{
	if (class == TL_GIL_IO)
		favour(f, now);
	else
		end_favour(f);
}

void tl__gil_favour_kept_slow(struct tl__gil_favour *f)
{
	uint64_t now = tl__now();

	if (now - f->left_ns >= BLOCKED_NS)
		favour(f, now);
}

/* Whether it has computed for too long, or it is looked at again after LONG_NS. */
static bool has_computed(struct tl__gil_favour *f, uint64_t now)
{
	uint64_t computed = tl__computed();

	f->back_ns = now;
	if (!f->computed_ns) {
		f->computed_ns = computed;
		return false;
	}
	return computed - f->computed_ns >= LONG_NS;
}

void tl__gil_favour_tick(struct tl__gil_favour *f, uint64_t held_since_ns)
{
	/* If it came back before that, it has waited. */
	uint64_t since = f->back_ns > held_since_ns ? f->back_ns : held_since_ns;
	uint64_t now;

	if (f->ticks_left) {
		f->ticks_left--;
		return;
	}
	f->ticks_left = TICKS_A_LOOK;
	now = tl__now();
	if (now - since >= LONG_NS && has_computed(f, now))
		end_favour(f);
}

/* --- threads come and go -------------------------------------------------------- */

static int pin(struct tl__gil_favour *f, int pinned)
{
	int r = pinned ? tl__sched_pin(pinned - 1, &f->processors) : 0;

	f->pinned = r ? 0 : pinned;
	return r;
}

/* As the thread is usually, with what the settings ask for. */
static struct tl__sched favoured(const struct tl__gil_settings *s,
				 const struct tl__sched *usual)
{
	struct tl__sched to = *usual;

	if (s->sched == TL__GIL_FIFO) {
		to.policy = SCHED_FIFO;
		to.priority = 1;
		to.nice = 0;
		to.slice_ns = 0;
	} else {
		if (s->nice && to.nice > -(int)s->nice)
			to.nice = -(int)s->nice;
		if (s->cpuslice_ns)
			to.slice_ns = s->cpuslice_ns;
	}
	if (!tl__sched_is(&to, usual))
		to.flags |= TL__SCHED_RESET_ON_FORK;
	return to;
}

/* No effect, and no error, where the kernel does not know it. */
static void ask_for_ext(struct tl__gil_favour *f)
{
	f->usual.policy = TL__SCHED_EXT;
	f->is_ours = !tl__sched_set(&f->usual);
	if (!f->is_ours)
		f->usual.policy = f->before.policy;
}

/* Whether it can have what it is to have later on. */
static int try(struct tl__gil_favour *f)
{
	struct tl__sched now;
	int r = tl__sched_set(&f->favoured);

	if (r)
		return r;
	f->has = f->is_ours = true;
	r = tl__sched_get(&now);
	if (!r && !tl__sched_is(&now, &f->favoured)) {
		f->favoured = now;	/* that is to be undone */
		r = -EOPNOTSUPP;
	}
	if (!r)
		have(f, false);
	return r;
}

static int ask(struct tl__gil_favour *f, const struct tl__gil_settings *s)
{
	int r;

	if (s->sched == TL__GIL_NORMAL && !s->nice && !s->cpuslice_ns)
		return 0;
	r = tl__sched_get(&f->before);
	if (r)
		return s->sched == TL__GIL_EXT ? 0 : r;
	if (f->before.policy != SCHED_OTHER && f->before.policy != TL__SCHED_EXT)
		return 0;	/* somebody has chosen that */
	f->usual = f->before;
	if (s->sched == TL__GIL_EXT && f->before.policy == SCHED_OTHER)
		ask_for_ext(f);
	f->favoured = favoured(s, &f->usual);
	if (tl__sched_is(&f->favoured, &f->usual))
		return 0;
	r = try(f);
	f->may_have = !r;
	return r;
}

int tl__gil_favour_enter(struct tl__gil_favour *f,
			 const struct tl__gil_settings *settings)
{
	int r = pin(f, (int)settings->pin);

	if (!r)
		r = ask(f, settings);
	if (r)
		tl__gil_favour_leave(f);
	return r;
}

void tl__gil_favour_leave(struct tl__gil_favour *f)
{
	tl__tick_clear(TL__TICK_FAVOUR);
	if (f->is_ours && is_untouched(f))
		(void)tl__sched_set(&f->before);
	if (f->pinned)
		tl__sched_unpin(f->pinned - 1, &f->processors);
	f->may_have = f->has = f->is_ours = false;
	f->pinned = 0;
}

void tl__gil_favour_forked(struct tl__gil_favour *f)
{
	/* Then the kernel has changed it. */
	if (f->has && f->is_ours) {
		(void)tl__sched_set(&f->before);
		f->is_ours = false;
	}
	tl__gil_favour_leave(f);
}
