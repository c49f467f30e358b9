/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The word that each tick looks at: why it should not just go on.
 *
 * Each thread has one, tl__tick_word, whose address its scheduler keeps as
 * s->tick_word; so it may be written as long as the scheduler is there.
 *
 *	bit		set by			cleared by	missed?
 *	COUNT		the owner, while a	the owner	no
 *			budget of ticks is in
 *			force
 *	TIMEOUT		the monitor's thread	the owner	no; without need:
 *							yes, the slice
 *							may be a new one
 *	INTERRUPT	the owner: one that	the owner, at	no
 *			was held off is due	the tick or a
 *						switch
 *	POLL		any thread		the owner,	no; without need:
 *						before it looks	yes
 *	GIL		who wants the lock	the owner, when	no; without need:
 *			that the owner holds;	it lets go or	yes, it may have
 *			the owner, if each	finds nobody	let go already
 *			tick counts (lib/gil)
 *	FAVOUR		the owner, while the	the owner, when	no; without need:
 *			kernel favours it for	that ends	yes, it may be
 *			what its lock says			away
 *			(lib/gil/favour.h)
 */
#ifndef TL_CORE_TICK_H
#define TL_CORE_TICK_H

#include <tasklet/watchdog.h>

#include "core/task.h"

#define TL__TICK_COUNT		(1u << 0)
#define TL__TICK_TIMEOUT	(1u << 1)
#define TL__TICK_INTERRUPT	(1u << 2)
#define TL__TICK_POLL		(1u << 3)
#define TL__TICK_GIL		(1u << 4)
#define TL__TICK_FAVOUR		(1u << 5)

/* Those of a lock, for which no scheduler is needed. */
#define TL__TICK_OF_GIL		(TL__TICK_GIL | TL__TICK_FAVOUR)

/* The owner's accesses; relaxed: what others set has an order of its own. */
static inline unsigned int tl__tick_bits(void)
{
	return __atomic_load_n(&tl__tick_word, __ATOMIC_RELAXED);
}

static inline void tl__tick_set(unsigned int bits)
{
	__atomic_fetch_or(&tl__tick_word, bits, __ATOMIC_RELAXED);
}

static inline void tl__tick_clear(unsigned int bits)
{
	if (tl__tick_bits() & bits)
		__atomic_fetch_and(&tl__tick_word, ~bits, __ATOMIC_RELAXED);
}

/*
 * Makes the thread of @s look at its inbox at its next tick, if the tasklet that
 * runs there has ticks. For a message: after tl__inbox_push(), by somebody who
 * knows that the scheduler outlives this call too (he holds the lock of
 * threads.c, or a message is still owed to him). Any thread.
 */
void tl__tick_request(struct tl_sched *s);

#endif
