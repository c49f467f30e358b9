/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * tl-trace iopri: loads bpf/iopri.bpf.c, attaches it to the target's lock, and reads
 * and shows its rows, of which there is one for each process.
 *
 * Owns what was read last: what comes between two reads is their difference.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "bpf/gil.h"
#include "iopri.skel.h"
#include "iopri_raw.skel.h"
#include "iopri_usdt.skel.h"
#include "lock.h"
#include "plot/gnuplot.h"
#include "reads.h"
#include "text/time.h"
#include "tracer.h"
#include "values.h"

static struct lock_tracer lock = {
	.source = {
		.name = "iopri",
		.typed = iopri_bpf__elf_bytes,
		.raw = iopri_raw_bpf__elf_bytes,
	},
	.usdt_source = {
		.name = "iopri_usdt",
		.typed = iopri_usdt_bpf__elf_bytes,
	},
};
static struct reads last;

static int open_all(const struct request *request, const struct target *target)
{
	(void)target;
	return lock_open(&lock, request);
}

static int attach_to(const struct request *request, pid_t pid)
{
	(void)request;
	return lock_attach(&lock, pid);
}

static int begin(const struct request *request, pid_t pid)
{
	return lock_begin(&lock, request, pid);
}

/* --- what is shown of a process ------------------------------------------------------- */

struct entry {
	uint32_t pid;
	char comm[16];
	struct tl_hist queue[GIL_CLASSES];
	uint64_t served[GIL_CLASSES], overtaken, inverted, inverted_ns;
};

static void entry_between(struct entry *e, const struct reads *now, size_t i,
			  const struct reads *before)
{
	static const struct iopri_row none;
	const struct iopri_row *a = reads_value(now, i);
	const struct iopri_row *b = reads_find(before, reads_key(now, i));
	int c;

	if (!b)
		b = &none;
	memcpy(&e->pid, reads_key(now, i), sizeof(e->pid));
	values_comm(e->comm, a->comm);
	for (c = 0; c < GIL_CLASSES; c++) {
		values_between(&e->queue[c], &a->queue[c], &b->queue[c]);
		e->served[c] = a->served[c] - b->served[c];
	}
	e->overtaken = a->overtaken - b->overtaken;
	e->inverted = a->inverted - b->inverted;
	e->inverted_ns = a->inverted_ns - b->inverted_ns;
}

static void show_entry(const struct entry *e, bool final, FILE *f)
{
	char buf[TIME_TEXT], io[VALUES_COUNT], cpu[VALUES_COUNT], count[VALUES_COUNT];

	fprintf(f, "%-7u %-9.9s %7s %7s %7s", e->pid, e->comm,
		values_count(io, e->served[GIL_IO]),
		values_count(cpu, e->served[GIL_CPU]),
		values_count(count, e->overtaken));
	values_time(&e->queue[GIL_IO], 50, f);
	values_time(&e->queue[GIL_IO], 99, f);
	fprintf(f, " %7s %7s\n", values_count(count, e->inverted),
		time_text(buf, (double)e->inverted_ns));
	if (!final || !tl_hist_count(&e->queue[GIL_IO]))
		return;
	fprintf(f, "\n%u %s: how long the next owner, an IO thread, was in a run "
		"queue\n", e->pid, e->comm);
	tl_hist_write_bars(&e->queue[GIL_IO], 12, 80, f);
}

static void json_entry(const struct entry *e, bool final, uint64_t lost, FILE *f)
{
	const struct tl_hist *io = &e->queue[GIL_IO], *cpu = &e->queue[GIL_CPU];

	fprintf(f, "{\"tracer\":\"iopri\",\"row\":true,\"final\":%s,\"pid\":%u"
		",\"comm\":", final ? "true" : "false", e->pid);
	tl__json_write_str(f, e->comm);
	fprintf(f, ",\"lost\":%" PRIu64 ",\"io_served\":%" PRIu64
		",\"cpu_served\":%" PRIu64 ",\"overtaken\":%" PRIu64
		",\"inverted\":%" PRIu64 ",\"inverted_ns\":%" PRIu64, lost,
		e->served[GIL_IO], e->served[GIL_CPU], e->overtaken, e->inverted,
		e->inverted_ns);
	fprintf(f, ",\"io_queue_count\":%" PRIu64 ",\"io_queue_p50_ns\":%" PRIu64
		",\"io_queue_p99_ns\":%" PRIu64 ",\"io_queue_max_ns\":%" PRIu64,
		tl_hist_count(io), tl_hist_percentile(io, 50),
		tl_hist_percentile(io, 99), tl_hist_max(io));
	fprintf(f, ",\"cpu_queue_count\":%" PRIu64 ",\"cpu_queue_p50_ns\":%" PRIu64
		",\"cpu_queue_p99_ns\":%" PRIu64 ",\"cpu_queue_max_ns\":%" PRIu64
		"}\n", tl_hist_count(cpu), tl_hist_percentile(cpu, 50),
		tl_hist_percentile(cpu, 99), tl_hist_max(cpu));
}

static uint64_t counted(void)
{
	return lock_counted(&lock);
}

static uint64_t lost(void)
{
	return lock_lost(&lock);
}

static void show_head(bool final, FILE *f)
{
	char clock[VALUES_CLOCK];

	values_clock(clock);
	fprintf(f, "\n%s\n%-7s %-9s %7s %7s %7s %7s %7s %7s %7s\n",
		final ? "IO threads and the global lock, all of the time" : clock,
		"PID", "COMM", "IO", "CPU", "OVERTAK", "QUEUE50", "QUEUE99",
		"INVERT", "FOR");
}

static int show(const struct request *request, bool final, FILE *f)
{
	static const struct reads none;
	static struct entry e;
	struct reads now;
	size_t i;
	int error = reads_take(&now, object_map(&lock.object, "iopri_rows"),
			       sizeof(uint32_t), sizeof(struct iopri_row));

	if (error)
		return error;
	if (!request->json)
		show_head(final, f);
	for (i = 0; i < now.count; i++) {
		entry_between(&e, &now, i, final ? &none : &last);
		if (request->json)
			json_entry(&e, final, lock_lost(&lock), f);
		else
			show_entry(&e, final, f);
	}
	reads_free(&last);
	last = now;
	return 0;
}

/* --- the picture ------------------------------------------------------------------------ */

struct entries {
	struct entry *all;
	size_t count;
};

static void script(FILE *f, const void *arg)
{
	const struct entries *entries = arg;
	size_t i;

	fputs("set terminal svg size 900,560 noenhanced background rgb 'white'\n"
	      "set title 'In a run queue when the global lock was theirs'\n"
	      "set logscale x\nset xlabel 'ns'\nset ylabel 'share'\n"
	      "set yrange [0:1]\nset grid\nset key outside below\nplot ", f);
	for (i = 0; i < entries->count; i++) {
		const struct entry *e = &entries->all[i];
		char name[VALUES_QUOTED];

		values_quoted(name, e->comm);
		fprintf(f, "%s'-' with steps linewidth 2 title '%u %s: IO threads', "
			"'-' with steps dashtype 2 title '%u %s: CPU threads'",
			i ? ", " : "", e->pid, name, e->pid, name);
	}
	fputc('\n', f);
	for (i = 0; i < entries->count; i++) {
		values_curve(&entries->all[i].queue[GIL_IO], f);
		values_curve(&entries->all[i].queue[GIL_CPU], f);
	}
}

/* Of all processes. */
static int draw(int fd)
{
	static const struct reads none;
	struct entries entries = { NULL, last.count };
	size_t i;
	int r;

	if (!last.count)
		return -ENODATA;
	entries.all = calloc(last.count, sizeof(*entries.all));
	if (!entries.all)
		return -ENOMEM;
	for (i = 0; i < last.count; i++)
		entry_between(&entries.all[i], &last, i, &none);
	r = gnuplot_draw(script, &entries, fd);
	free(entries.all);
	return r;
}

static struct object_cost cost(void)
{
	return lock_cost(&lock);
}

static void close_all(void)
{
	lock_close(&lock);
	reads_free(&last);
}

const struct tracer tracer_iopri = {
	.name = "iopri",
	.what = LOCK_WHAT,
	.open = open_all,
	.attach_to = attach_to,
	.begin = begin,
	.show = show,
	.draw = draw,
	.counted = counted,
	.lost = lost,
	.cost = cost,
	.close = close_all,
};
