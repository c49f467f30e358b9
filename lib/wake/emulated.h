/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A condition made of a semaphore and counters, greedily: a signal is a token for
 * whoever of those that waited takes it first. It goes with the mutex of futex.h,
 * and fits into pthread's condition, 32 bytes of 48. All bytes zero: nobody waits.
 * What a fork's child finds is as futex.h says.
 */
#ifndef TL_WAKE_EMULATED_H
#define TL_WAKE_EMULATED_H

#include "wake/futex.h"

struct tl__wake_emulated {
	struct tl__wake_sem sem;
	uint32_t waiting;		/* wait, and were not signalled */
	_Atomic uint32_t tokens;	/* signalled, and have not taken it yet */
	uint32_t newcomers;		/* sleep until there are no tokens */
	uint32_t forks;			/* of the process that they are in */
	const void *mutex;		/* theirs; for the checked build */
} __attribute__((may_alias));

_Static_assert(sizeof(struct tl__wake_emulated) <= 40, "it fits into pthread's");

int tl__wake_emulated_wait(struct tl__wake_emulated *c,
			   struct tl__wake_mutex *m, int clock,
			   uint64_t deadline_ns);
/*
 * The parts of a wait, for who has a sleep of his own. tl__wake_emulated_enter() gives
 * @m up, then he waits for @c->sem, then tl__wake_emulated_leave() is told with what
 * result, and takes @m again: if that is not 0 his time is up, or he was cancelled,
 * and takes no signal from others. False: the wait is over, with *@result.
 */
bool tl__wake_emulated_enter(struct tl__wake_emulated *c,
			     struct tl__wake_mutex *m, int clock,
			     uint64_t deadline_ns, int *result);
int tl__wake_emulated_leave(struct tl__wake_emulated *c,
			    struct tl__wake_mutex *m, int slept);

/* Returns when those that were woken don't come back to @c any more. */
void tl__wake_emulated_settle(struct tl__wake_emulated *c);

void tl__wake_emulated_signal(struct tl__wake_emulated *c);
void tl__wake_emulated_broadcast(struct tl__wake_emulated *c);

#endif
