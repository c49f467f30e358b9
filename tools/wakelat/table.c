/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Results as text: a table and bars for each setting.
 *
 * Invariant: no line is wider than COLUMNS.
 */
#include <math.h>
#include <string.h>

#include "show.h"
#include "text/time.h"

#define BAR_LABEL 16		/* the column of names */
#define BAR_ROOM (COLUMNS - BAR_LABEL - 2)

/* "243k": a rate in three digits. */
static const char *rate_text(char *buf, double rate)
{
	static const char *const names[] = { "", "k", "M", "G" };
	int i = 0;

	while (i < 3 && rate >= 999.5) {
		rate /= 1000;
		i++;
	}
	snprintf(buf, TIME_TEXT, "%.*f%s", i && rate < 9.995 ? 2 :
		 i && rate < 99.95 ? 1 : 0, fmin(rate, 99999), names[i]);
	return buf;
}

static const char *ratio_text(char *buf, struct ratio ratio)
{
	double x = ratio.median;

	if (x <= 0)
		return "-";
	snprintf(buf, TIME_TEXT, "%.*f", x < 9.995 ? 2 : x < 99.95 ? 1 : 0,
		 fmin(x, 99999));
	return buf;
}

/* --- a table ------------------------------------------------------------------------ */

static void show_row(const char *name, const struct series *series,
		     const struct series *base, FILE *f)
{
	static const double percentiles[] = { 50, 90, 99, 99.9, 100 };
	static struct tl_hist hist;
	struct round total = series_total(series);
	char buf[TIME_TEXT];
	size_t i;

	series_hist(series, &hist);
	fprintf(f, "%-15s", name);
	for (i = 0; i < sizeof(percentiles) / sizeof(percentiles[0]); i++)
		fprintf(f, " %7s",
			time_text(buf, (double)tl_hist_percentile(&hist,
							percentiles[i])));
	fprintf(f, " %7s", time_text(buf, tl_hist_mean(&hist)));
	fprintf(f, " %6s", rate_text(buf, total.elapsed_ns ?
		(double)total.count * 1e9 / (double)total.elapsed_ns : 0));
	fprintf(f, " %4s", ratio_text(buf, series_ratio(series, base, BY_P50)));
	fprintf(f, " %4s\n", ratio_text(buf, series_ratio(series, base, BY_TIME)));
}

static void show_table(const struct results *r, unsigned int s, FILE *f)
{
	const struct series *base = r->series[s][PRIMITIVE_BASE];
	unsigned int p;

	fprintf(f, "%-15s %7s %7s %7s %7s %7s %7s %6s %4s %4s\n", "primitive",
		"p50", "p90", "p99", "p99.9", "max", "mean", "per s", "xp50",
		"xt");
	for (p = 0; p < PRIMITIVES; p++)
		if (r->series[s][p])
			show_row(primitives[p]->name, r->series[s][p], base, f);
}

/* What makes the figures above worth less, or wrong. */
static void show_faults(const struct results *r, unsigned int s, FILE *f)
{
	unsigned int p;

	for (p = 0; p < PRIMITIVES; p++) {
		struct round total;

		if (!r->series[s][p])
			continue;
		total = series_total(r->series[s][p]);
		if (total.lost)
			fprintf(f, "%s: %ju values lost or seen twice\n",
				primitives[p]->name, (uintmax_t)total.lost);
		if (total.backwards)
			fprintf(f, "%s: %ju values came before they were sent; "
				"the clock differs\n", primitives[p]->name,
				(uintmax_t)total.backwards);
	}
}

/* --- bars --------------------------------------------------------------------------- */

struct scale {
	double low, high;	/* log10 of ns */
};

static int column_of(const struct scale *scale, double ns)
{
	double x = (log10(fmax(ns, 1)) - scale->low) /
		   (scale->high - scale->low) * BAR_ROOM;

	return x < 0 ? 0 : x > BAR_ROOM ? BAR_ROOM : (int)(x + 0.5);
}

/* From a whole 1, 2 or 5 of a decade below the least p50 to the greatest p99.9. */
static struct scale scale_of(const struct results *r, unsigned int s)
{
	static struct tl_hist hist;
	double low = INFINITY, high = 1;
	struct scale scale;
	unsigned int p;

	for (p = 0; p < PRIMITIVES; p++) {
		if (!r->series[s][p])
			continue;
		series_hist(r->series[s][p], &hist);
		low = fmin(low, (double)tl_hist_percentile(&hist, 50));
		high = fmax(high, (double)tl_hist_percentile(&hist, 99.9));
	}
	scale.low = floor(log10(fmax(low / 1.3, 1)) * 3) / 3;
	scale.high = fmax(log10(high), scale.low + 1);
	return scale;
}

static void show_bar(const char *name, const struct tl_hist *hist,
		     const struct scale *scale, FILE *f)
{
	static const struct {
		double percentile;
		char mark;
	} parts[] = { { 50, '#' }, { 90, '=' }, { 99, '-' }, { 99.9, '.' } };
	char bar[BAR_ROOM + 1];
	size_t i;
	int from = 0;

	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		int to = column_of(scale, (double)tl_hist_percentile(hist,
						parts[i].percentile));

		/* Each p50 is to be seen. */
		if (!i && !to)
			to = 1;
		while (from < to)
			bar[from++] = parts[i].mark;
	}
	bar[from] = '\0';
	fprintf(f, "%-*s |%s\n", BAR_LABEL - 1, name, bar);
}

/* "20us": a round number of ns. */
static void tick_text(char *buf, size_t size, double ns)
{
	const struct time_unit *unit = time_unit(ns);

	snprintf(buf, size, "'%d%s", (int)fmin(round(ns / unit->ns), 999),
		 unit->name);
}

/* Ticks at 1, 2 and 5 of each decade, as far as their words have room. */
static void show_axis(const struct scale *scale, FILE *f)
{
	static const int steps[] = { 1, 2, 5 };
	char line[BAR_ROOM + 1] = "", tick[16];
	int decade, i, used = 0;

	for (decade = (int)floor(scale->low); decade <= scale->high; decade++) {
		for (i = 0; i < 3; i++) {
			double ns = pow(10, decade) * steps[i];
			int at = column_of(scale, ns), len;

			if (log10(ns) < scale->low - 1e-9)
				continue;
			tick_text(tick, sizeof(tick), ns);
			len = (int)strlen(tick);
			if ((used && at <= used) || at + len > BAR_ROOM)
				continue;
			used += snprintf(line + used, sizeof(line) - (size_t)used,
					 "%*s%s", at - used, "", tick);
		}
	}
	fprintf(f, "%*s%s\n", BAR_LABEL + 1, "", line);
}

static void show_bars(const struct results *r, unsigned int s, FILE *f)
{
	struct scale scale = scale_of(r, s);
	static struct tl_hist hist;
	unsigned int p;

	for (p = 0; p < PRIMITIVES; p++) {
		if (!r->series[s][p])
			continue;
		series_hist(r->series[s][p], &hist);
		show_bar(primitives[p]->name, &hist, &scale, f);
	}
	show_axis(&scale, f);
}

void show_wrapped(const char *text, FILE *f)
{
	/* Somebody may have put two or three letters before it. */
	const size_t room = COLUMNS - 4;

	while (strlen(text) > room) {
		size_t n = room;

		while (n > 0 && text[n] != ' ')
			n--;
		if (!n)
			n = room;
		fprintf(f, "%.*s\n", (int)n, text);
		text += n + (text[n] == ' ');
	}
	fprintf(f, "%s\n", text);
}

void show_text(const struct results *r, FILE *f)
{
	char words[80];
	unsigned int s;

	show_wrapped(r->setup, f);
	for (s = 0; s < SETTINGS; s++) {
		if (!results_have(r, s))
			continue;
		setting_words(s, words, sizeof(words));
		fprintf(f, "\n%s\n", words);
		show_table(r, s, f);
		show_faults(r, s, f);
		fputc('\n', f);
		show_bars(r, s, f);
	}
	fputs("\nOne-way latencies. xp50, xt: ratios to futex, medians of the "
	      "rounds': of p50 (in\nping-pong of the round trips'), and of the "
	      "time that a value takes (1 / per s).\nBars: # up to p50, = p90, "
	      "- p99, . p99.9; the scale is logarithmic.\n", f);
}
