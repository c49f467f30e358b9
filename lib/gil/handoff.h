/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The state of the handoff policy; see handoff.c for how it goes.
 *
 * The word is the holder's address and three bits, or 0: it is free.
 *
 *	bit	set by			cleared by		missed?
 *	KEPT	the holder, which has	the holder; whoever	no
 *		let go of it but may	takes it
 *		take it back
 *	WAITERS	who begins to wait,	who takes the last one	no
 *		with the lock		out, with the lock
 *	URGENT	a waiter that is to	whoever hands it on,	no; without
 *		have it soon, with	with the lock		need: yes, one
 *		the lock					that kept is away
 */
#ifndef TL_GIL_HANDOFF_H
#define TL_GIL_HANDOFF_H

#include <stdatomic.h>
#include <stdint.h>

#include <tasklet/wake.h>

#include "base/list.h"
#include "gil/sites.h"
#include "os/handoff.h"

struct tl__gil_handoff {
	_Atomic uintptr_t word;
	/* With the lock: */
	struct tl__list waiting[2];	/* by class, in the order of their turns */
	uint64_t slice_until_ns;	/* the holder is not to be asked before */
	/* How many spin. relaxed: a hint, whether a wake-up would cost much. */
	_Atomic unsigned int spinning;
	struct tl__gil_sites sites;
};

/* What a thread has for it. */
struct tl__gil_waiter {
	struct tl__list link;		/* of waiting[] */
	_Atomic uint32_t state;		/* enum in handoff-wait.c */
	struct tl_wake_sem wakes;
	struct tl__seat seat;		/* of this wait: where it sleeps instead */
	struct tl__seat partner;	/* is woken as soon as it sleeps itself */
	uint64_t since_ns;		/* it waits */
	uint64_t next_ns;		/* it looks by itself */
	/* For one that computes: what it had of its turn, and since when less. */
	uint64_t turn_ns, owed_ns, owed_since_ns;
	bool spins;			/* it may well come soon, from elsewhere */
	bool hog;			/* it held it for long before it blocked */
	bool watched;			/* somebody waited when it let go */
	_Atomic int cpu;		/* where it ran when it got it; a hint */
	uint32_t spin_ns, spin_failures, spin_again;
};

#endif
