/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * wakelat's rows as a table with bars, as lines of JSON, and as a picture.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/json.h"
#include "plot/gnuplot.h"
#include "text/time.h"
#include "wakelat.h"

const char *const wakelat_names[WAKELAT_PRIMITIVES] = {
	[WAKELAT_OTHER] = "other",
	[WAKELAT_FUTEX] = "futex",
	[WAKELAT_SEMAPHORE] = "semaphore",
	[WAKELAT_PTHREAD_COND] = "pthread cond",
	[WAKELAT_TL_COND] = "tl cond",
	[WAKELAT_TL_MUTEX] = "tl mutex",
	[WAKELAT_TL_SEMAPHORE] = "tl semaphore",
	[WAKELAT_TASKLET] = "tasklet",
	[WAKELAT_EVENTFD] = "eventfd",
	[WAKELAT_PIPE] = "pipe",
	[WAKELAT_SOCKET] = "socket",
	[WAKELAT_IO_URING] = "io_uring",
	[WAKELAT_EPOLL] = "epoll",
	[WAKELAT_POLL] = "poll",
	[WAKELAT_SLEEP] = "sleep",
};

static const char *name_of(const struct wakelat_entry *e)
{
	return e->key.primitive < WAKELAT_PRIMITIVES ?
	       wakelat_names[e->key.primitive] : "unknown";
}

static uint32_t id_of(const struct wakelat_entry *e)
{
	return e->key.tid ? e->key.tid : e->key.tgid;
}

/* --- the table ---------------------------------------------------------------------- */

/* What it is of, and how many there are in @h. */
static void show_key(const struct wakelat_entry *e, const struct tl_hist *h,
		     FILE *f)
{
	char count[VALUES_COUNT];

	fprintf(f, "%-7u %-9.9s %-12s %-5s %-3s %7s", id_of(e), e->comm,
		name_of(e), e->key.cross ? "cross" : "same",
		e->key.preempted ? "yes" : "no",
		values_count(count, tl_hist_count(h)));
}

static void show_row(const struct wakelat_entry *e, FILE *f)
{
	show_key(e, &e->total, f);
	values_time(&e->total, 50, f);
	values_time(&e->total, 99, f);
	values_time(&e->issue, 50, f);
	values_time(&e->queue, 50, f);
	fputc('\n', f);
}

static void show_bars(const struct wakelat_entry *e, const char *what,
		      const struct tl_hist *h, FILE *f)
{
	fprintf(f, "\n%u %s, %s, %s processor%s%s\n", id_of(e), e->comm, name_of(e),
		e->key.cross ? "cross" : "same",
		e->key.preempted ? ", preempting" : "", what);
	tl_hist_write_bars(h, 12, 80, f);
}

static void show_calls(const struct rows *rows, FILE *f)
{
	bool any = false;
	size_t i;

	for (i = 0; i < rows->count; i++) {
		const struct wakelat_entry *e = &rows->entries[i];
		char buf[TIME_TEXT];

		if (!tl_hist_count(&e->call))
			continue;
		if (!any)
			fprintf(f, "\nFrom the call that wakes to the return of the "
				"one that was woken\n%-7s %-9s %-12s %-5s %-3s %7s "
				"%7s %7s %7s %7s\n", "ID", "COMM", "WAITED IN",
				"CPU", "PRE", "COUNT", "P50", "P99", "MAX", "MEAN");
		any = true;
		show_key(e, &e->call, f);
		values_time(&e->call, 50, f);
		values_time(&e->call, 99, f);
		values_time(&e->call, 100, f);
		fprintf(f, " %7s\n", time_text(buf, e->call_mean_ns));
	}
}

void wakelat_table(const struct rows *rows, const struct request *request,
		   bool final, FILE *f)
{
	char clock[VALUES_CLOCK];
	size_t i;

	values_clock(clock);
	fprintf(f, "\n%s\n%-7s %-9s %-12s %-5s %-3s %7s %7s %7s %7s %7s\n",
		final ? "Wake-up latency, all of the time" : clock,
		request->threads ? "TID" : "PID", "COMM", "WAITED IN", "CPU",
		"PRE", "COUNT", "P50", "P99", "ISSUE", "QUEUE");
	for (i = 0; i < rows->count; i++)
		show_row(&rows->entries[i], f);
	if (!final)
		return;
	show_calls(rows, f);
	for (i = 0; i < rows->count; i++) {
		const struct wakelat_entry *e = &rows->entries[i];

		show_bars(e, "", &e->total, f);
		if (tl_hist_count(&e->call))
			show_bars(e, ": from call to return", &e->call, f);
	}
}

/* --- JSON ----------------------------------------------------------------------------- */

static void add_part(const char *name, const struct tl_hist *h, double mean_ns,
		     FILE *f)
{
	fprintf(f, ",\"%s_count\":%" PRIu64 ",\"%s_p50_ns\":%" PRIu64 ",\"%s_p99_ns\":%" PRIu64
		",\"%s_mean_ns\":%.1f", name,
		tl_hist_count(h), name, tl_hist_percentile(h, 50), name,
		tl_hist_percentile(h, 99), name, mean_ns);
}

void wakelat_json(const struct rows *rows, bool final, uint64_t lost, FILE *f)
{
	size_t i;

	for (i = 0; i < rows->count; i++) {
		const struct wakelat_entry *e = &rows->entries[i];
		const struct tl_hist *h = &e->total;

		fprintf(f, "{\"tracer\":\"wakelat\",\"row\":true,\"final\":%s,\"pid\":%u"
			",\"tid\":", final ? "true" : "false", e->key.tgid);
		if (e->key.tid)
			fprintf(f, "%u", e->key.tid);
		else
			fputs("null", f);
		fputs(",\"comm\":", f);
		tl__json_write_str(f, e->comm);
		fprintf(f, ",\"primitive\":\"%s\",\"processor\":\"%s\""
			",\"preempting\":%s,\"count\":%" PRIu64
			",\"lost\":%" PRIu64, name_of(e),
			e->key.cross ? "cross" : "same",
			e->key.preempted ? "true" : "false", tl_hist_count(h),
			lost);
		fprintf(f, ",\"p50_ns\":%" PRIu64 ",\"p90_ns\":%" PRIu64
			",\"p99_ns\":%" PRIu64 ",\"p999_ns\":%" PRIu64
			",\"max_ns\":%" PRIu64 ",\"mean_ns\":%.1f",
			tl_hist_percentile(h, 50), tl_hist_percentile(h, 90),
			tl_hist_percentile(h, 99), tl_hist_percentile(h, 99.9),
			tl_hist_max(h), e->mean_ns);
		add_part("issue", &e->issue, e->issue_mean_ns, f);
		add_part("queue", &e->queue, e->queue_mean_ns, f);
		add_part("call", &e->call, e->call_mean_ns, f);
		fputs("}\n", f);
	}
}

/* --- the picture ------------------------------------------------------------------------ */

static void script(FILE *f, const void *arg)
{
	const struct rows *rows = arg;
	size_t i;

	fputs("set terminal svg size 900,560 noenhanced background rgb 'white'\n"
	      "set title 'Wake-up latency by what was waited in'\n"
	      "set logscale x\nset xlabel 'waking to running, ns'\n"
	      "set ylabel 'share of all wake-ups'\nset yrange [0:1]\n"
	      "set grid\nset key outside below maxcols 2\nplot ", f);
	for (i = 0; i < rows->count; i++) {
		const struct wakelat_entry *e = &rows->entries[i];
		char name[VALUES_QUOTED];

		fprintf(f, "%s'-' with steps linewidth 2 title '%u %s, %s, %s "
			"processor%s: %" PRIu64 "'", i ? ", " : "", id_of(e),
			values_quoted(name, e->comm), name_of(e),
			e->key.cross ? "cross" : "same",
			e->key.preempted ? ", preempting" : "",
			tl_hist_count(&e->total));
	}
	fputc('\n', f);
	for (i = 0; i < rows->count; i++)
		values_curve(&rows->entries[i].total, f);
}

int wakelat_draw(const struct rows *rows, int fd)
{
	return rows->count ? gnuplot_draw(script, rows, fd) : -ENODATA;
}
