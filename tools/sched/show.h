/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the scheduler did, as lines of a table or of JSON.
 */
#ifndef SCHED_SHOW_H
#define SCHED_SHOW_H

#include <stdio.h>

#include "bpf/gilsched.h"
#include "trace/request.h"

/* What came between @before (NULL: the beginning) and @now, in @ns. */
void show_stats(const struct request *request, const struct gilsched_stats *now,
		const struct gilsched_stats *before, uint64_t ns, FILE *f);

/* How it ended. */
void show_exit(const struct request *request, const struct gilsched_exit *e,
	       FILE *f);

#endif
