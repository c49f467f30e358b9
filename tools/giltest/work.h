/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What a thread of an interpreted language does while it computes: bytecodes, each
 * of some 40 ns, and a tick after each.
 *
 * All of it belongs to one thread, but for `done`, which anybody may read.
 */
#ifndef TL_GILTEST_WORK_H
#define TL_GILTEST_WORK_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>

struct work {
	/* A cache line of its own: it is read while the next one is written. */
	alignas(64) _Atomic uint64_t done;	/* bytecodes, by work_run() */
	uint64_t top;			/* of the stack of one value */
	uint64_t local[4];
	uint32_t pc;
	uint32_t taken;			/* branches */
};

/* Runs @n bytecodes, with the lock, and counts them when all are done. */
void work_run(struct work *w, unsigned int n);

/* How many were run. Any thread. */
static inline uint64_t work_done(const struct work *w)
{
	/* relaxed: a number, and nothing behind it */
	return atomic_load_explicit(&w->done, memory_order_relaxed);
}

#endif
