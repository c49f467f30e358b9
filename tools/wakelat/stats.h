/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The little statistics that a comparison of rounds needs.
 */
#ifndef WAKELAT_STATS_H
#define WAKELAT_STATS_H

#include <stddef.h>

/* Ascending. */
void stats_sort(double *values, size_t n);

/* Of @n > 0 values in ascending order. */
double stats_median(const double *sorted, size_t n);

/*
 * The rank sum test of Wilcoxon, Mann and Whitney, two-sided: the probability
 * that samples of one and the same origin lie at least as far apart as these.
 * Exact, ties included, for up to STATS_EXACT values in all; above that by the
 * normal distribution. 1 if one of the two is empty; -1: no memory.
 */
#define STATS_EXACT 60
double stats_rank_test(const double *a, size_t n, const double *b, size_t m);

/* The least that it could be with so many values: too few can't tell. */
double stats_rank_test_least(size_t n, size_t m);

#endif
