/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the environment says. Read once, by the first call of any of our functions:
 * that may come before constructors, and an object that was locked by one
 * implementation can't be unlocked by another one.
 *
 *	TL_PRELOAD_COND		futex, emulated, or pthread (if unset)
 *	TL_PRELOAD_GIL		priority, or off (if unset)
 *	TL_PRELOAD_CPU_FLOOR	percent, 0 to 90
 *	TL_PRELOAD_STATS	1: what was done is told at the end
 */
#ifndef TL_PRELOAD_SETTINGS_H
#define TL_PRELOAD_SETTINGS_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/compiler.h"

#define TL__FLOOR_MAX 90

enum tl__cond_kind {
	TL__COND_UNKNOWN,	/* not read yet */
	TL__COND_PTHREAD,
	TL__COND_FUTEX,
	TL__COND_EMULATED,
};

struct tl__settings {
	_Atomic int cond;	/* an enum tl__cond_kind; set last */
	bool gil_priority;
	bool stats;
};

extern struct tl__settings tl__settings;

int tl__settings_read(void);

static inline enum tl__cond_kind tl__cond_kind(void)
{
	/* acquire: pairs with tl__settings_read(): the rest is set */
	int kind = atomic_load_explicit(&tl__settings.cond,
					memory_order_acquire);

	return likely(kind) ? kind : tl__settings_read();
}

#endif
