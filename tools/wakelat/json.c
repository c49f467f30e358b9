/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Results as lines of JSON.
 */
#include <errno.h>
#include <inttypes.h>

#include "show.h"

static void add_ratio(FILE *f, const char *name, struct ratio ratio)
{
	if (ratio.median > 0)
		fprintf(f, ",\"%s\":%.4f,\"%s_min\":%.4f,\"%s_max\":%.4f", name,
			ratio.median, name, ratio.min, name, ratio.max);
	else
		fprintf(f, ",\"%s\":null,\"%s_min\":null,\"%s_max\":null", name,
			name, name);
}

static void add_way(FILE *f, const char *name, const struct tl_hist *way)
{
	if (tl_hist_count(way))
		fprintf(f, ",\"p50_%s_ns\":%" PRIu64, name,
			tl_hist_percentile(way, 50));
	else
		fprintf(f, ",\"p50_%s_ns\":null", name);
}

static void add_all(FILE *f, const struct series *series,
		    const struct series *base, unsigned int s,
		    const char *primitive)
{
	struct round total = series_total(series);
	double seconds = (double)total.elapsed_ns / 1e9;

	fprintf(f, "\"lost\":%" PRIu64 ",\"backwards\":%" PRIu64, total.lost,
		total.backwards);
	fprintf(f, ",\"primitive\":\"%s\",\"work\":\"%s\",\"pin\":%s"
		",\"burner\":\"%s\"", primitive, work_names[setting_work(s)],
		pin_names[setting_pin(s)], burner_names[setting_burner(s)]);
	fprintf(f, ",\"rounds\":%zu,\"elapsed_ns\":%" PRIu64, series->count,
		total.elapsed_ns);
	fprintf(f, ",\"values_per_s\":%.1f",
		seconds > 0 ? (double)total.count / seconds : 0);
	if (setting_burner(s) == BURN_NONE)
		fputs(",\"burner_cpu_share\":null", f);
	else
		fprintf(f, ",\"burner_cpu_share\":%.4f", seconds > 0 ?
			(double)total.burner_ns / (double)total.elapsed_ns : 0);
	add_way(f, "there", &series->hist[THERE]);
	add_way(f, "back", &series->hist[BACK]);
	add_way(f, "half_trip", &series->hist[TRIP]);
	add_ratio(f, "ratio_p50", series_ratio(series, base, BY_P50));
	add_ratio(f, "ratio_time", series_ratio(series, base, BY_TIME));
}

#define EXTRA_MAX 1024

int show_json(const struct results *r, FILE *f)
{
	static struct tl_hist hist;
	char extra[EXTRA_MAX];
	unsigned int s, p;
	FILE *memory;

	for (s = 0; s < SETTINGS; s++) {
		for (p = 0; p < PRIMITIVES; p++) {
			const struct series *series = r->series[s][p];
			const char *name = primitives[p]->name;

			if (!series)
				continue;
			memory = fmemopen(extra, sizeof(extra), "w");
			if (!memory)
				return -ENOMEM;
			add_all(memory, series, r->series[s][PRIMITIVE_BASE], s,
				name);
			fclose(memory);
			series_hist(series, &hist);
			tl_hist_write_json(&hist, name, extra, f);
		}
	}
	return 0;
}
