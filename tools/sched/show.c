/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* See show.h. */
#include "show.h"

#include <inttypes.h>

#include "base/json.h"

static const struct column {
	const char *title, *key;
} columns[] = {
	/* In the order of struct gilsched_stats. */
	{ "IO", "io" }, { "GIL", "gil" }, { "OWNER", "owner" }, { "CPU", "cpu" },
	{ "STARVED", "starved" }, { "KICKS", "kicks" }, { "SPARED", "spared" },
	{ "USED UP", "used_up" }, { "ASKED", "asked" }, { "LEFT", "left" },
};

#define COLUMNS (sizeof(columns) / sizeof(columns[0]))
_Static_assert(sizeof(struct gilsched_stats) == COLUMNS * sizeof(__u64),
	       "each number has a column");

static uint64_t value(const struct gilsched_stats *now,
		      const struct gilsched_stats *before, size_t i)
{
	return ((const __u64 *)now)[i] - (before ? ((const __u64 *)before)[i] : 0);
}

static void json(const struct gilsched_stats *now,
		 const struct gilsched_stats *before, uint64_t ns, FILE *f)
{
	size_t i;

	fprintf(f, "{\"tool\":\"sched\",\"stats\":true,\"final\":%s",
		before ? "false" : "true");
	for (i = 0; i < COLUMNS; i++)
		fprintf(f, ",\"%s\":%" PRIu64, columns[i].key,
			value(now, before, i));
	fprintf(f, ",\"elapsed_ns\":%" PRIu64 "}\n", ns);
}

void show_stats(const struct request *request, const struct gilsched_stats *now,
		const struct gilsched_stats *before, uint64_t ns, FILE *f)
{
	static unsigned int lines;
	size_t i;

	if (request->json) {
		json(now, before, ns, f);
		return;
	}
	if (!before)
		fprintf(f, "\nIn all, in %.1f s\n", (double)ns / 1e9);
	for (i = 0; (lines % 20 == 0 || !before) && i < COLUMNS; i++)
		fprintf(f, "%s%7s", i ? " " : "", columns[i].title);
	if (lines % 20 == 0 || !before)
		fputc('\n', f);
	for (i = 0; i < COLUMNS; i++)
		fprintf(f, "%s%7" PRIu64, i ? " " : "", value(now, before, i));
	fputc('\n', f);
	lines++;
}

void show_exit(const struct request *request, const struct gilsched_exit *e,
	       FILE *f)
{
	if (!request->json) {
		fprintf(f, "The scheduler has ended: %s", e->reason);
		if (*e->message)
			fprintf(f, ": %s", e->message);
		fputc('\n', f);
		return;
	}
	fprintf(f, "{\"tool\":\"sched\",\"exit\":true,\"kind\":%d,\"code\":%lld,"
		"\"error\":%s,\"reason\":", e->kind, (long long)e->code,
		e->kind >= GILSCHED_EXIT_ERROR ? "true" : "false");
	tl__json_write_str(f, e->reason);
	fputs(",\"message\":", f);
	tl__json_write_str(f, e->message);
	fputs("}\n", f);
}
