/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* See processors.h. */
#include "os/processors.h"

#include <stdatomic.h>
#include <unistd.h>

bool tl__several_processors(void)
{
	static _Atomic int several;	/* 0: not asked; 1: no; 2: yes */
	/* relaxed, both: whoever asks gets the same answer */
	int now = atomic_load_explicit(&several, memory_order_relaxed);

	if (!now) {
		now = sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 2 : 1;
		atomic_store_explicit(&several, now, memory_order_relaxed);
	}
	return now == 2;
}
