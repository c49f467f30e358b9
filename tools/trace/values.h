/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Histograms from the kernel as those of the library, which can do the rest.
 */
#ifndef TRACE_VALUES_H
#define TRACE_VALUES_H

#include <linux/types.h>
#include <stdint.h>
#include <stdio.h>
#include <tasklet/hist.h>

#include "bpf/hist.h"

/*
 * What came between @before (NULL: nothing) and @now. Each value is taken as the
 * greatest of its bucket: no percentile is too low, or too high by more than 1/16.
 */
void values_between(struct tl_hist *out, const struct tl_bpf_hist *now,
		    const struct tl_bpf_hist *before);

/* The mean of the same, which is exact; 0 if there is nothing. */
double values_mean(const struct tl_bpf_hist *now,
		   const struct tl_bpf_hist *before);

/* A percentile as a column of a table; "-" if there is nothing. */
void values_time(const struct tl_hist *h, double percent, FILE *f);

/* A number in 7 columns: whole, or from 10^7 on as "12.3M", cut off. */
#define VALUES_COUNT 32
const char *values_count(char *buf, uint64_t n);

/* "23:59:59" in local time; @buf has VALUES_CLOCK bytes. */
#define VALUES_CLOCK 12
const char *values_clock(char *buf);

/* The name of a process, which may have any bytes, for a terminal; @to has 16. */
void values_comm(char *to, const char *comm);

/* The same name, by then for a terminal, inside a string in single quotes of gnuplot's. */
#define VALUES_QUOTED 32
const char *values_quoted(char *buf, const char *comm);

/* For gnuplot: what share of all values is not above each; one point at least. */
void values_curve(const struct tl_hist *h, FILE *f);

#endif
