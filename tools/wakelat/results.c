/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Keeps the series of all settings, merges them, and relates their rounds.
 */
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "results.h"
#include "stats.h"

const char *const work_names[WORKS] = { "pingpong", "queue1", "queue64" };
const char *const pin_names[PINS] = { "1", "2" };
const char *const burner_names[BURNERS] = { "none", "first", "second" };

void setting_words(unsigned int s, char *text, size_t size)
{
	static const char *const works[WORKS] = {
		"ping-pong", "queue of 1", "queue of 64"
	};
	static const char *const pins[PINS] = { "one processor",
						"two processors" };
	static const char *const burners[BURNERS] = {
		"no burner", "burner on the first", "burner on the second"
	};

	snprintf(text, size, "%s, %s, %s", works[setting_work(s)],
		 pins[setting_pin(s)], burners[setting_burner(s)]);
}

void results_drop(struct results *r, unsigned int s, unsigned int primitive)
{
	struct series *series = r->series[s][primitive];

	r->series[s][primitive] = NULL;
	if (series)
		tl__free(series->rounds);
	tl__free(series);
}

void results_free(struct results *r)
{
	unsigned int s, p;

	for (s = 0; s < SETTINGS; s++)
		for (p = 0; p < PRIMITIVES; p++)
			results_drop(r, s, p);
}

int results_add(struct results *r, unsigned int s, unsigned int primitive,
		const struct round *round, const struct tl_hist *hist)
{
	struct series *series = r->series[s][primitive];
	struct round *rounds;
	bool fresh = !series;
	size_t count;
	int i;

	count = fresh ? 0 : series->count;
	if (count == ROUNDS_MAX)
		return -EOVERFLOW;
	if (fresh)
		series = tl__calloc(1, sizeof(*series));
	if (!series)
		return -ENOMEM;
	rounds = tl__realloc(series->rounds, (count + 1) * sizeof(*rounds));
	if (!rounds) {
		if (fresh)
			tl__free(series);
		return -ENOMEM;
	}
	rounds[count] = *round;
	series->rounds = rounds;
	series->count = count + 1;
	for (i = 0; hist && i < HISTS; i++)
		tl_hist_merge(&series->hist[i], &hist[i]);
	r->series[s][primitive] = series;
	if (r->rounds <= round->number)
		r->rounds = round->number + 1;
	return 0;
}

static int merge_series(struct results *r, unsigned int s, unsigned int p,
			const struct series *from, uint64_t first)
{
	size_t i;
	int h, err;

	for (i = 0; i < from->count; i++) {
		struct round round = from->rounds[i];

		round.number += first;
		err = results_add(r, s, p, &round, NULL);
		if (err)
			return err;
	}
	for (h = 0; h < HISTS; h++)
		tl_hist_merge(&r->series[s][p]->hist[h], &from->hist[h]);
	return 0;
}

int results_merge(struct results *r, const struct results *from)
{
	uint64_t first = r->rounds;
	unsigned int s, p;
	int err;

	for (s = 0; s < SETTINGS; s++) {
		for (p = 0; p < PRIMITIVES; p++) {
			if (!from->series[s][p])
				continue;
			err = merge_series(r, s, p, from->series[s][p], first);
			if (err)
				return err;
		}
	}
	return 0;
}

bool results_have(const struct results *r, unsigned int s)
{
	unsigned int p;

	for (p = 0; p < PRIMITIVES; p++)
		if (r->series[s][p])
			return true;
	return false;
}

bool results_empty(const struct results *r)
{
	unsigned int s;

	for (s = 0; s < SETTINGS; s++)
		if (results_have(r, s))
			return false;
	return true;
}

void series_hist(const struct series *series, struct tl_hist *out)
{
	int i;

	memset(out, 0, sizeof(*out));
	for (i = 0; i < WAYS; i++)
		tl_hist_merge(out, &series->hist[i]);
}

struct round series_total(const struct series *series)
{
	struct round sum = { 0 };
	size_t i;

	for (i = 0; i < series->count; i++) {
		const struct round *r = &series->rounds[i];

		sum.count += r->count;
		sum.elapsed_ns += r->elapsed_ns;
		sum.lost += r->lost;
		sum.backwards += r->backwards;
		sum.burner_ns += r->burner_ns;
	}
	return sum;
}

double round_value(const struct round *round, enum by by)
{
	if (by == BY_P50)
		return (double)round->p50_ns;
	return round->count ?
	       (double)round->elapsed_ns / (double)round->count : 0;
}

static const struct round *same_round(const struct series *series,
				      uint64_t number, size_t *from)
{
	/* The numbers ascend in both. */
	while (*from < series->count && series->rounds[*from].number < number)
		++*from;
	if (*from < series->count && series->rounds[*from].number == number)
		return &series->rounds[*from];
	return NULL;
}

size_t series_values(const struct series *series, const struct series *base,
		     enum by by, double *out)
{
	size_t i, n = 0, from = 0;

	for (i = 0; i < series->count; i++) {
		const struct round *round = &series->rounds[i], *other;
		double divisor = 1;

		if (base) {
			other = same_round(base, round->number, &from);
			divisor = other ? round_value(other, by) : 0;
		}
		if (divisor > 0)
			out[n++] = round_value(round, by) / divisor;
	}
	return n;
}

struct ratio series_ratio(const struct series *series,
			  const struct series *base, enum by by)
{
	struct ratio ratio = { 0, 0, 0 };
	double *values;
	size_t n;

	if (!base)
		return ratio;
	values = tl__calloc(series->count, sizeof(*values));
	if (!values)
		return ratio;
	n = series_values(series, base, by, values);
	if (n) {
		stats_sort(values, n);
		ratio.median = stats_median(values, n);
		ratio.min = values[0];
		ratio.max = values[n - 1];
	}
	tl__free(values);
	return ratio;
}
