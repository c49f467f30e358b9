/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What a global interpreter lock wants to be asked: where a thread is about to
 * sleep, where it is back, and at a tick. There is none until somebody makes one
 * (lib/gil, a floor above); then the hooks stay for good. Each looks by itself
 * whether the calling thread is attached to a lock.
 */
#ifndef TL_CORE_GIL_HOOKS_H
#define TL_CORE_GIL_HOOKS_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/compiler.h"

struct tl__gil_hooks {
	/* Around a sleep of the thread: no tasklet runs in between. */
	void (*sleep_begin)(void);
	void (*sleep_end)(void);
	/* TL__TICK_GIL is set, and nothing holds interrupts off. */
	void (*tick)(void);
	/* TL__TICK_FAVOUR is set. */
	void (*favoured_tick)(void);
};

extern const struct tl__gil_hooks *_Atomic tl__gil_hooks;

/* Tests show by this what tl_atomic() is for. */
extern bool tl__gil_ignores_atomic;

/* acquire: pairs with tl_gil_new(): the table, and what its functions use */
static inline const struct tl__gil_hooks *tl__gil_hooks_get(void)
{
	return atomic_load_explicit(&tl__gil_hooks, memory_order_acquire);
}

static inline void tl__gil_sleep_begin(void)
{
	const struct tl__gil_hooks *hooks = tl__gil_hooks_get();

	if (unlikely(hooks))
		hooks->sleep_begin();
}

static inline void tl__gil_sleep_end(void)
{
	const struct tl__gil_hooks *hooks = tl__gil_hooks_get();

	if (unlikely(hooks))
		hooks->sleep_end();
}

#endif
