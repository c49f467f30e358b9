/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the HTTP server has counted, and what the process used for it, as JSON.
 *
 * Invariant: the output is one line of valid JSON, or nothing.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include <tasklet/features.h>

#include "base/json.h"
#include "base/num.h"
#include "server.h"
#include "threads.h"

static uint64_t ns_of(struct timeval t)
{
	return (uint64_t)t.tv_sec * TL__NS_PER_S +
	       (uint64_t)t.tv_usec * TL__NS_PER_US;
}

/*
 * The most memory that was resident, in KiB. Not getrusage()'s, which begins
 * with that of the shell from which this program was started.
 */
static uint64_t rss_peak_kib(void)
{
	unsigned long kib = 0;
	char line[128];
	FILE *f = fopen("/proc/self/status", "re");

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "VmHWM: %lu kB", &kib) == 1)
			break;
	fclose(f);
	return kib;
}

static void write_errors(FILE *f, const struct server_counters *n)
{
	static const char *const faults[FAULT_KINDS] = {
		[FAULT_RESET] = "reset",
		[FAULT_TRUNCATED] = "truncated",
		[FAULT_SLOW_READER] = "slow_reader",
		[FAULT_ACCEPT] = "accept",
		[FAULT_SPAWN] = "spawn",
	};
	const char *comma = "";
	int i;

	fputs("\"errors\":{", f);
	for (i = 0; i < FAULT_KINDS; i++, comma = ",")
		fprintf(f, "%s\"%s\":%" PRIu64, comma, faults[i], n->faults[i]);
	for (i = 400; i < HTTP_STATUSES; i++)
		if (n->status[i])
			fprintf(f, ",\"%d\":%" PRIu64, i, n->status[i]);
	fputs("}", f);
}

static void write_usage(FILE *f, const struct server *s)
{
	uint64_t requests = s->counters.requests;
	struct tl_features has = { .size = sizeof(has), .io = "none",
				   .io_reason = "" };
	struct rusage u;
	uint64_t user, sys;

	getrusage(RUSAGE_SELF, &u);
	user = ns_of(u.ru_utime);
	sys = ns_of(u.ru_stime);
	/* Only where it is used: asking opens it. */
	if (s->pool)
		has.io = "threads";
	else
		tl_features(&has);
	fprintf(f, "\"utime_ns\":%" PRIu64 ",\"stime_ns\":%" PRIu64
		",\"cpu_ns_per_request\":%" PRIu64
		",\"rss_max_kib\":%" PRIu64 ",\"io\":\"%s\",\"io_reason\":",
		user, sys, requests ? (user + sys) / requests : 0,
		rss_peak_kib(), has.io);
	tl__json_write_str(f, has.io_reason);
}

int server_write_stats(const struct server *s, char *out, size_t size)
{
	const struct server_counters *n = &s->counters;
	FILE *f = fmemopen(out, size, "w");
	long len;

	if (!f)
		return 0;
	fprintf(f, "{\"requests\":%" PRIu64 ",\"connections\":%" PRIu64
		",\"open\":%" PRIu64 ",\"open_max\":%" PRIu64
		",\"idle_closed\":%" PRIu64 ",\"killed\":%" PRIu64 ",",
		n->requests, n->connections, n->open, n->open_max,
		n->idle_closed, n->killed);
	write_errors(f, n);
	putc(',', f);
	if (s->pool)
		pool_write_stats(s->pool, f);
	write_usage(f, s);
	fputs("}\n", f);
	len = ftell(f);
	if (fclose(f) || len < 0 || (size_t)len >= size)
		return 0;
	return (int)len;
}
