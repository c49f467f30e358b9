/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Medians and the rank sum test.
 */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "stats.h"

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

void stats_sort(double *values, size_t n)
{
	qsort(values, n, sizeof(*values), compare);
}

double stats_median(const double *sorted, size_t n)
{
	return n % 2 ? sorted[n / 2] :
		       (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

struct ranked {
	double value;
	bool is_a;
	unsigned int twice_rank;	/* ties share the mean of their ranks */
};

static int compare_ranked(const void *a, const void *b)
{
	return compare(&((const struct ranked *)a)->value,
		       &((const struct ranked *)b)->value);
}

/* Sorts, gives ranks, and returns twice the sum of those of a. */
static unsigned long rank(struct ranked *all, size_t total)
{
	size_t i, j, k;
	unsigned long sum = 0;

	qsort(all, total, sizeof(*all), compare_ranked);
	for (i = 0; i < total; i = j) {
		for (j = i; j < total && all[j].value == all[i].value; j++)
			;
		/* ranks i + 1 to j */
		for (k = i; k < j; k++) {
			all[k].twice_rank = (unsigned int)(i + 1 + j);
			if (all[k].is_a)
				sum += all[k].twice_rank;
		}
	}
	return sum;
}

/*
 * Counts the ways to choose n of all the ranks, by their sum, and adds up the
 * share of those at least as far from the middle as @sum.
 */
static double exact(const struct ranked *all, size_t total, size_t n,
		    unsigned long sum)
{
	unsigned long most = (unsigned long)total * (total + 1);
	unsigned long middle = (unsigned long)n * (total + 1), s;
	unsigned long off = sum > middle ? sum - middle : middle - sum;
	double *ways = tl__calloc((n + 1) * (most + 1), sizeof(*ways));
	double sure = 0, far = 0;
	size_t i, k;

	if (!ways)
		return -1;
	ways[0] = 1;
	for (i = 0; i < total; i++)
		for (k = i + 1 < n ? i + 1 : n; k > 0; k--)
			for (s = all[i].twice_rank; s <= most; s++)
				ways[k * (most + 1) + s] +=
					ways[(k - 1) * (most + 1) + s -
					     all[i].twice_rank];
	for (s = 0; s <= most; s++) {
		double w = ways[n * (most + 1) + s];

		sure += w;
		if ((s > middle ? s - middle : middle - s) >= off)
			far += w;
	}
	tl__free(ways);
	return far / sure;
}

/* With the variance that ties leave. */
static double approximate(const struct ranked *all, size_t total, size_t n,
			  unsigned long sum)
{
	double mean = (double)n * (double)(total + 1), squares = 0, variance;
	size_t i;

	for (i = 0; i < total; i++) {
		double d = (double)all[i].twice_rank - (double)(total + 1);

		squares += d * d;
	}
	variance = (double)n * (double)(total - n) /
		   ((double)total * (double)(total - 1)) * squares;
	if (variance <= 0)
		return 1;
	return erfc(fabs((double)sum - mean) / sqrt(2 * variance));
}

double stats_rank_test(const double *a, size_t n, const double *b, size_t m)
{
	struct ranked *all;
	unsigned long sum;
	size_t i;
	double p;

	if (!n || !m)
		return 1;
	all = tl__calloc(n + m, sizeof(*all));
	if (!all)
		return -1;
	for (i = 0; i < n + m; i++) {
		all[i].is_a = i < n;
		all[i].value = i < n ? a[i] : b[i - n];
	}
	sum = rank(all, n + m);
	p = n + m <= STATS_EXACT ? exact(all, n + m, n, sum) :
				   approximate(all, n + m, n, sum);
	tl__free(all);
	return p;
}

double stats_rank_test_least(size_t n, size_t m)
{
	double ways = 1;
	size_t i;

	for (i = 1; i <= m; i++)
		ways = ways * (double)(n + i) / (double)i;
	return ways < 2 ? 1 : 2 / ways;
}
