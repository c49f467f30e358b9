/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Reads the environment; see settings.h. What isn't understood is named once on
 * stderr, with what would have been, and left out: the program is not ours to end.
 */
#include "preload/settings.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <tasklet/base.h>

#include "base/num.h"
#include "os/out.h"
#include "preload/gil.h"

struct tl__settings tl__settings;

static void complain(const char *name, const char *value, const char *valid)
{
	struct tl__out out;

	tl__out_init(&out, 2);
	tl__out_str(&out, "libtasklet-preload: ");
	tl__out_str(&out, name);
	tl__out_str(&out, "='");
	tl__out_name(&out, value);
	tl__out_str(&out, "' is not one of: ");
	tl__out_str(&out, valid);
	tl__out_str(&out, "; left out\n");
	tl__out_flush(&out);
}

/* The index of the value in @words, which end with NULL; @unset if there is none. */
static int word_of(const char *name, const char *const *words, int unset,
		   const char *valid)
{
	const char *value = getenv(name);
	int i;

	if (!value || !*value)
		return unset;
	for (i = 0; words[i]; i++)
		if (!strcmp(value, words[i]))
			return i;
	complain(name, value, valid);
	return unset;
}

static void read_floor(void)
{
	const char *value = getenv("TL_PRELOAD_CPU_FLOOR");
	uint64_t n;

	if (!value || !*value)
		return;
	if (tl__parse_u64(value, 0, TL__FLOOR_MAX, &n))
		complain("TL_PRELOAD_CPU_FLOOR", value, "0 to 90 (percent)");
	else
		tl__cpu_floor = (unsigned int)n;
}

tl__cold int tl__settings_read(void)
{
	static const char *const conds[] = { "pthread", "futex", "emulated",
					     NULL };
	static const char *const gils[] = { "off", "priority", NULL };
	static const char *const flags[] = { "0", "1", NULL };
	static _Atomic bool reading;
	int cond;

	/*
	 * Another thread reads it, or we are called by what is called here: that
	 * one finds the C library's. relaxed: nothing comes with it
	 */
	if (atomic_exchange_explicit(&reading, true, memory_order_relaxed)) {
		cond = atomic_load_explicit(&tl__settings.cond,
					    memory_order_acquire);
		return cond ? cond : TL__COND_PTHREAD;
	}
	cond = word_of("TL_PRELOAD_COND", conds, 0,
		       "futex, emulated, pthread") + TL__COND_PTHREAD;
	tl__settings.gil_priority = word_of("TL_PRELOAD_GIL", gils, 0,
					    "priority, off");
	tl__settings.stats = word_of("TL_PRELOAD_STATS", flags, 0, "1, 0");
	read_floor();
	/* release: pairs with tl__cond_kind(): the rest is set */
	atomic_store_explicit(&tl__settings.cond, cond, memory_order_release);
	return cond;
}
