/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the kernel does for the threads of a lock, if its settings say so: `pin`, as
 * long as they are attached, and `sched=ext`; and by `nice`, `sched=fifo` and
 * `cpuslice` it favours those that come back from blocking, until they compute.
 */
#ifndef TL_GIL_FAVOUR_H
#define TL_GIL_FAVOUR_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include <tasklet/gil.h>

#include "base/compiler.h"
#include "os/clock.h"
#include "os/sched.h"

struct tl__gil_settings;

enum tl__gil_sched { TL__GIL_NORMAL, TL__GIL_EXT, TL__GIL_FIFO };

/* Of a thread; only itself looks at it. */
struct tl__gil_favour {
	bool may_have;		/* the kernel favours it at times */
	bool has;		/* and does so now */
	bool is_ours;		/* it was scheduled otherwise when it came */
	int pinned;		/* 0, or 1 + the processor */
	struct tl__sched before, usual, favoured;
	cpu_set_t processors;	/* before it was pinned */
	uint64_t left_ns;	/* when it kept the lock to block */
	uint64_t back_ns;	/* when it came back last, or was looked at */
	uint64_t computed_ns;	/* what it had computed then; 0: not looked at yet */
	unsigned int ticks_left;	/* until it looks at the clock */
};

/*
 * Its thread is attached, from now on. Returns 0, or why it can't have what the
 * settings say, and nothing has changed: -EPERM, -ENODEV (no such processor),
 * -EOPNOTSUPP (the kernel has no slices), -ENOSYS.
 */
int tl__gil_favour_enter(struct tl__gil_favour *f,
			 const struct tl__gil_settings *settings);

/* It is not, any more: all is as it was, but for what somebody else has changed. */
void tl__gil_favour_leave(struct tl__gil_favour *f);

/* In the child of a fork: likewise, and until it is attached anew. */
void tl__gil_favour_forked(struct tl__gil_favour *f);

/* TL__TICK_FAVOUR: whether it has computed for too long; it holds the lock since. */
void tl__gil_favour_tick(struct tl__gil_favour *f, uint64_t held_since_ns);

void tl__gil_favour_follow_slow(struct tl__gil_favour *f, enum tl_gil_class class,
				uint64_t now);
void tl__gil_favour_kept_slow(struct tl__gil_favour *f);

/* Its class is a new one, or it comes back once more. */
static inline void tl__gil_favour_follow(struct tl__gil_favour *f,
					 enum tl_gil_class class, uint64_t now)
{
	if (unlikely(f->may_have))
		tl__gil_favour_follow_slow(f, class, now);
}

/* Around a call that may block, for which it keeps the lock. */
static inline void tl__gil_favour_keep(struct tl__gil_favour *f)
{
	if (unlikely(f->may_have))
		f->left_ns = tl__now();
}

static inline void tl__gil_favour_kept(struct tl__gil_favour *f)
{
	if (unlikely(f->may_have))
		tl__gil_favour_kept_slow(f);
}

#endif
