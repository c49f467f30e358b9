/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * gilhandoff's rows as tables with bars, as lines of JSON, and as a picture.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/json.h"
#include "gil.h"
#include "plot/gnuplot.h"
#include "text/time.h"

const char *const gil_class_names[GIL_CLASSES] = { "CPU", "IO" };
const char *const gil_part_names[GIL_PARTS] = {
	"release", "wake", "queue", "take"
};

static double per_second(uint64_t n, uint64_t ns)
{
	return ns ? (double)n * 1e9 / (double)ns : 0;
}

/* The share of waits from one to two intervals long. */
static double convoy_score(const struct gil_entry *e)
{
	uint64_t waits = tl_hist_count(&e->wait);

	return waits ? (double)e->convoy / (double)waits : 0;
}

/* --- tables --------------------------------------------------------------------------- */

static uint32_t id_of(const struct gil_entry *e)
{
	return e->key.tid ? e->key.tid : e->key.tgid;
}

static void show_row(const struct gil_results *r, const struct gil_entry *e,
		     FILE *f)
{
	char count[VALUES_COUNT];

	fprintf(f, "%-7u %-9.9s %-3s %7s", id_of(e), e->comm,
		gil_class_names[e->key.class],
		values_count(count, tl_hist_count(&e->wait)));
	values_time(&e->wait, 50, f);
	values_time(&e->wait, 99, f);
	values_time(&e->hold, 50, f);
	values_time(&e->hold, 99, f);
	fprintf(f, " %8.1f %5.1f%%\n", per_second(e->forced, r->elapsed_ns),
		100 * convoy_score(e));
}

static void show_handoffs(const struct gil_results *r, FILE *f)
{
	char count[VALUES_COUNT];
	size_t i;
	int p;

	fprintf(f, "\nHandoffs to a waiter that slept, p50: from the release to its "
		"having the lock\n%-7s %-9s %-3s %7s %7s %7s %7s %7s %7s\n",
		"ID", "COMM", "FOR", "COUNT", "ALL", "RELEASE", "WAKE", "QUEUE",
		"TAKE");
	for (i = 0; i < r->count; i++) {
		const struct gil_entry *e = &r->entries[i];

		fprintf(f, "%-7u %-9.9s %-3s %7s", id_of(e), e->comm,
			gil_class_names[e->key.class],
			values_count(count, tl_hist_count(&e->handoff)));
		values_time(&e->handoff, 50, f);
		for (p = 0; p < GIL_PARTS; p++)
			values_time(&e->part[p], 50, f);
		fputc('\n', f);
	}
}

static void show_holders(const struct gil_results *r, FILE *f)
{
	char buf[TIME_TEXT], count[VALUES_COUNT];
	size_t i;

	if (!r->holders_count)
		return;
	fprintf(f, "\nWho held the lock while an IO thread waited, and where it then "
		"gave it up\n%7s %7s %-7s %-9s %s\n", "TIME", "TIMES", "TID",
		"COMM", "STACK");
	for (i = 0; i < r->holders_count; i++) {
		const struct gil_holder *h = &r->holders[i];

		fprintf(f, "%7s %7s %-7u %-9.9s %.45s\n",
			time_text(buf, (double)h->value.ns),
			values_count(count, h->value.count), h->key.tid,
			h->value.comm, h->where);
	}
}

void gil_table(const struct gil_results *r, const struct request *request,
	       bool final, FILE *f)
{
	char clock[VALUES_CLOCK];
	size_t i;

	values_clock(clock);
	fprintf(f, "\n%s\n", final ? "The global lock, all of the time" : clock);
	fprintf(f, "%-7s %-9s %-3s %7s %7s %7s %7s %7s %8s %6s\n",
		request->threads ? "TID" : "PID", "COMM", "AS", "COUNT", "WAIT50",
		"WAIT99", "HOLD50", "HOLD99", "FORCED/s", "CONVOY");
	for (i = 0; i < r->count; i++)
		show_row(r, &r->entries[i], f);
	if (!final)
		return;
	show_handoffs(r, f);
	show_holders(r, f);
	for (i = 0; i < r->count; i++) {
		if (!tl_hist_count(&r->entries[i].wait))
			continue;
		fprintf(f, "\n%u %s as %s: waits\n", id_of(&r->entries[i]),
			r->entries[i].comm,
			gil_class_names[r->entries[i].key.class]);
		tl_hist_write_bars(&r->entries[i].wait, 12, 80, f);
	}
}

/* --- JSON ------------------------------------------------------------------------------ */

static void add(const char *name, const struct tl_hist *h, FILE *f)
{
	fprintf(f, ",\"%s_count\":%" PRIu64 ",\"%s_p50_ns\":%" PRIu64
		",\"%s_p90_ns\":%" PRIu64 ",\"%s_p99_ns\":%" PRIu64
		",\"%s_max_ns\":%" PRIu64, name, tl_hist_count(h), name,
		tl_hist_percentile(h, 50), name, tl_hist_percentile(h, 90), name,
		tl_hist_percentile(h, 99), name, tl_hist_max(h));
}

static void begin(const char *what, bool final, __u32 pid, FILE *f)
{
	fprintf(f, "{\"tracer\":\"gil\",\"%s\":true,\"final\":%s,\"pid\":%u", what,
		final ? "true" : "false", pid);
}

static void json_entry(const struct gil_results *r, const struct gil_entry *e,
		       bool final, FILE *f)
{
	char name[24];
	int p;

	begin("row", final, e->key.tgid, f);
	fputs(",\"tid\":", f);
	if (e->key.tid)
		fprintf(f, "%u", e->key.tid);
	else
		fputs("null", f);
	fputs(",\"comm\":", f);
	tl__json_write_str(f, e->comm);
	fprintf(f, ",\"class\":\"%s\",\"lost\":%" PRIu64,
		gil_class_names[e->key.class], r->lost);
	add("wait", &e->wait, f);
	add("hold", &e->hold, f);
	add("handoff", &e->handoff, f);
	for (p = 0; p < GIL_PARTS; p++) {
		snprintf(name, sizeof(name), "handoff_%s", gil_part_names[p]);
		add(name, &e->part[p], f);
	}
	fprintf(f, ",\"forced\":%" PRIu64 ",\"forced_per_s\":%.1f,\"convoy\":%"
		PRIu64 ",\"convoy_score\":%.4f,\"elapsed_ns\":%" PRIu64 "}\n",
		e->forced, per_second(e->forced, r->elapsed_ns), e->convoy,
		convoy_score(e), r->elapsed_ns);
}

void gil_json(const struct gil_results *r, bool final, FILE *f)
{
	size_t i;

	for (i = 0; i < r->count; i++)
		json_entry(r, &r->entries[i], final, f);
	for (i = 0; i < r->holders_count; i++) {
		const struct gil_holder *h = &r->holders[i];

		begin("holder", final, h->key.tgid, f);
		fprintf(f, ",\"tid\":%u,\"held_ns\":%llu,\"count\":%llu,\"comm\":",
			h->key.tid, (unsigned long long)h->value.ns,
			(unsigned long long)h->value.count);
		tl__json_write_str(f, h->value.comm);
		fputs(",\"stack\":", f);
		tl__json_write_str(f, h->where);
		fputs("}\n", f);
	}
}

/* --- the picture -------------------------------------------------------------------------- */

static void script(FILE *f, const void *arg)
{
	const struct gil_results *r = arg;
	size_t i;

	fputs("set terminal svg size 900,560 noenhanced background rgb 'white'\n"
	      "set title 'The global lock: waits and holds'\n"
	      "set logscale x\nset xlabel 'ns'\nset ylabel 'share'\n"
	      "set yrange [0:1]\nset grid\nset key outside below\nplot ", f);
	for (i = 0; i < r->count; i++)
		fprintf(f, "%s'-' with steps linewidth 2 title '%u as %s: waits', "
			"'-' with steps dashtype 2 title '%u as %s: holds'",
			i ? ", " : "", id_of(&r->entries[i]),
			gil_class_names[r->entries[i].key.class],
			id_of(&r->entries[i]),
			gil_class_names[r->entries[i].key.class]);
	fputc('\n', f);
	for (i = 0; i < r->count; i++) {
		values_curve(&r->entries[i].wait, f);
		values_curve(&r->entries[i].hold, f);
	}
}

int gil_draw(const struct gil_results *r, int fd)
{
	return r->count ? gnuplot_draw(script, r, fd) : -ENODATA;
}
