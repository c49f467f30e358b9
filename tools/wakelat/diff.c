/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What differs between two results.
 *
 * The verdict is on the rounds' values: p50 for ping-pong and the time that a
 * value takes for queues, each as a ratio to the raw futex of the same round, so
 * that a machine which is slower for everybody changes nothing; for raw futex
 * itself, or where one result has none of it, on the values themselves.
 */
#include <errno.h>

#include "base/alloc.h"
#include "show.h"
#include "text/time.h"
#include "stats.h"

/* What chance may do in one of so many lines. */
#define SURE 0.01

struct row {
	double a, b;		/* medians of the rounds' values, ns */
	double ratio;		/* of the values the verdict is on */
	double chance;
	bool against_base;
	const char *verdict;
};

struct sample {
	double *value;
	size_t n;
};

static int take(struct sample *sample, const struct series *series,
		const struct series *base, enum by by)
{
	sample->value = tl__calloc(series->count, sizeof(*sample->value));
	if (!sample->value)
		return -ENOMEM;
	sample->n = series_values(series, base, by, sample->value);
	stats_sort(sample->value, sample->n);
	return 0;
}

static double median(const struct sample *sample)
{
	return sample->n ? stats_median(sample->value, sample->n) : 0;
}

static int plain_median(const struct series *series, enum by by, double *out)
{
	struct sample sample;
	int r = take(&sample, series, NULL, by);

	if (r)
		return r;
	*out = median(&sample);
	tl__free(sample.value);
	return 0;
}

static void judge(struct row *row, const struct sample *a,
		  const struct sample *b)
{
	double least = stats_rank_test_least(a->n, b->n);

	row->ratio = median(a) > 0 ? median(b) / median(a) : 0;
	row->chance = stats_rank_test(a->value, a->n, b->value, b->n);
	if (least > SURE)
		row->verdict = "too few rounds";
	else if (row->chance > SURE || row->ratio == 1)
		row->verdict = "can't tell";
	else
		row->verdict = row->ratio < 1 ? "faster" : "slower";
}

static int compare(struct row *row, const struct series *a,
		   const struct series *b, const struct series *base_a,
		   const struct series *base_b, enum by by)
{
	struct sample sa, sb;
	int r = plain_median(a, by, &row->a);

	if (!r)
		r = plain_median(b, by, &row->b);
	row->against_base = base_a && base_b && a != base_a;
	if (!row->against_base)
		base_a = base_b = NULL;
	if (!r)
		r = take(&sa, a, base_a, by);
	if (r)
		return r;
	r = take(&sb, b, base_b, by);
	if (!r) {
		judge(row, &sa, &sb);
		r = row->chance < 0 ? -ENOMEM : 0;
		tl__free(sb.value);
	}
	tl__free(sa.value);
	return r;
}

static void print_text(const struct row *row, const char *name, FILE *f)
{
	char a[TIME_TEXT], b[TIME_TEXT];

	fprintf(f, "%-15s %8s %8s %7.3f %8.3f %s %7.4f  %s\n", name,
		time_text(a, row->a), time_text(b, row->b),
		row->a > 0 ? row->b / row->a : 0, row->ratio,
		row->against_base ? "xf" : "  ", row->chance, row->verdict);
}

static void print_json(const struct row *row, unsigned int s, const char *name,
		       enum by by, FILE *f)
{
	fprintf(f, "{\"primitive\":\"%s\",\"work\":\"%s\",\"pin\":%s"
		",\"burner\":\"%s\",\"by\":\"%s\",\"a_ns\":%.1f,\"b_ns\":%.1f",
		name, work_names[setting_work(s)], pin_names[setting_pin(s)],
		burner_names[setting_burner(s)],
		by == BY_P50 ? "p50" : "time", row->a, row->b);
	fprintf(f, ",\"ratio\":%.4f,\"against_futex\":%s,\"chance\":%.6f"
		",\"verdict\":\"%s\"}\n", row->ratio,
		row->against_base ? "true" : "false", row->chance,
		row->verdict);
}

static void print_heading(unsigned int s, enum by by, FILE *f)
{
	char words[80];

	setting_words(s, words, sizeof(words));
	fprintf(f, "\n%s: %s\n", words,
		by == BY_P50 ? "p50" : "time that a value takes");
	fprintf(f, "%-15s %8s %8s %7s %11s %7s  %s\n", "primitive", "A", "B",
		"B/A", "ratio", "chance", "B is");
}

static bool in_common(const struct results *a, const struct results *b)
{
	unsigned int s, p;

	for (s = 0; s < SETTINGS; s++)
		for (p = 0; p < PRIMITIVES; p++)
			if (a->series[s][p] && b->series[s][p])
				return true;
	return false;
}

static long diff_setting(const struct results *a, const struct results *b,
			 unsigned int s, bool json, FILE *f)
{
	enum by by = setting_work(s) == PINGPONG ? BY_P50 : BY_TIME;
	unsigned int p;
	long n = 0;

	for (p = 0; p < PRIMITIVES; p++) {
		struct row row;
		int r;

		if (!a->series[s][p] || !b->series[s][p])
			continue;
		r = compare(&row, a->series[s][p], b->series[s][p],
			    a->series[s][PRIMITIVE_BASE],
			    b->series[s][PRIMITIVE_BASE], by);
		if (r)
			return r;
		if (!n++ && !json)
			print_heading(s, by, f);
		if (json)
			print_json(&row, s, primitives[p]->name, by, f);
		else
			print_text(&row, primitives[p]->name, f);
	}
	return n;
}

long show_diff(const struct results *a, const struct results *b, bool json,
	       FILE *f)
{
	unsigned int s;
	long n = 0;

	if (!in_common(a, b))
		return 0;
	if (!json) {
		fputs("A: ", f);
		show_wrapped(a->setup, f);
		fputs("B: ", f);
		show_wrapped(b->setup, f);
	}
	for (s = 0; s < SETTINGS; s++) {
		long r = diff_setting(a, b, s, json, f);

		if (r < 0)
			return r;
		n += r;
	}
	if (!json)
		fputs("\nratio: B/A; xf: of the ratios to futex in the same round. "
		      "chance: how often\nrounds of one and the same thing lie so "
		      "far apart; the verdict wants 0.01.\n", f);
	return n;
}
