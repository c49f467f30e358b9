/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What measuring itself costs: means of many calls in a row.
 */
#include "measure.h"
#include "os/clock.h"

#define COST_LOOPS 20000

uint64_t measure_clock_ns(void)
{
	uint64_t start = tl__now();
	int i;

	for (i = 0; i < COST_LOOPS; i++)
		tl__now();
	return (tl__now() - start) / COST_LOOPS;
}

uint64_t measure_record_ns(void)
{
	static struct tl_hist hist;
	uint64_t start = tl__now();
	int i;

	for (i = 0; i < COST_LOOPS; i++)
		tl_hist_record(&hist, (uint64_t)i);
	return (tl__now() - start) / COST_LOOPS;
}
