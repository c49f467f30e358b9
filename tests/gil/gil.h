/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * gil.h: what the tests of the global interpreter lock share: all policies on all locks, threads that are let in, and
 * a value that only the holder may touch.
 */
#ifndef TESTS_GIL_H
#define TESTS_GIL_H

#include "../threads/threads.h"

/* Calls @fn for each policy on each lock. */
static UNUSED void each_gil(void (*fn)(struct tl_gil *gil))
{
	struct tl_gil *gil;
	char spec[64];
	unsigned int i, j;

	for (i = 0; tl_gil_policy_at(i); i++)
		for (j = 0; tl_wake_at(j); j++) {
			snprintf(spec, sizeof(spec), "%s:%s", tl_gil_policy_at(i), tl_wake_at(j)->name);
			if (tl_gil_new(&gil, spec, NULL))
				tap_bail("no lock %s", spec);
			fn(gil);
			if (tl_gil_free(gil))
				tap_bail("%s is busy in the end", spec);
		}
}

static UNUSED unsigned int count_gils(void)
{
	unsigned int i, j;

	for (i = 0; tl_gil_policy_at(i); i++)
		;
	for (j = 0; tl_wake_at(j); j++)
		;
	return i * j;
}

static UNUSED struct tl_gil *new_gil(const char *spec)
{
	struct tl_gil *gil;

	if (tl_gil_new(&gil, spec, NULL))
		tap_bail("no lock %s", spec);
	return gil;
}

static UNUSED void come_in(struct tl_gil *gil)
{
	if (tl_gil_attach(gil))
		tap_bail("can't attach");
}

static UNUSED bool stats__first(const struct tl_gil_stats *stats, void *arg)
{
	*(struct tl_gil_stats *)arg = *stats;
	return false;
}

static UNUSED struct tl_gil_stats stats_of(struct tl_gil *gil)
{
	struct tl_gil_stats stats = { 0 };

	tl_gil_stats(gil, stats__first, &stats);
	return stats;
}

#endif
