/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * How a thread waits for the lock to be handed to it, and is woken: see
 * handoff-wait.c.
 */
#ifndef TL_GIL_HANDOFF_WAIT_H
#define TL_GIL_HANDOFF_WAIT_H

#include <stdbool.h>

#include <tasklet/wake.h>

#include "gil/handoff.h"

/* Before others can find it. @seat: where it sleeps, if it is one. */
void tl__gil_waiter_begin(struct tl__gil_waiter *waiter, struct tl__seat seat);

/* Waits until it is handed over, or until waiter->next_ns: then false. */
bool tl__gil_waiter_wait(struct tl__gil_handoff *handoff,
			 const struct tl_wake *wake,
			 struct tl__gil_waiter *waiter);

/* It is handed over. The waiter may be gone when it returns. Once only. */
void tl__gil_waiter_wake(const struct tl_wake *wake,
			 struct tl__gil_waiter *waiter);

/*
 * The same by @me, which waits next: if it can it has both done in one call, and does
 * not return from tl__gil_waiter_wait() before.
 */
void tl__gil_waiter_pass(const struct tl_wake *wake, struct tl__gil_waiter *me,
			 struct tl__gil_waiter *waiter);

#endif
