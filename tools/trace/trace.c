/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* See trace.h. */
#include "trace.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tasklet/base.h>
#include <tasklet/time.h>

#include "plot/gnuplot.h"
#include "tracer.h"

static const struct tracer *const tracers[] = { &tracer_wakelat };

int complain(const char *what, int error)
{
	fprintf(stderr, "tl-trace: %s: %s\n", what, strerror(-error));
	return EXIT_FAILURE;
}

static const struct tracer *find(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(tracers) / sizeof(tracers[0]); i++)
		if (!strcmp(tracers[i]->name, name))
			return tracers[i];
	return NULL;
}

bool trace_exists(const char *name)
{
	return find(name);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Until it is over; a table at each interval. */
static int watch(const struct tracer *tracer, const struct request *request,
		 struct target *target)
{
	uint64_t end = request->duration_ns ? tl_after(request->duration_ns) :
		       TL_FOREVER;
	uint64_t next = request->interval_ns ? tl_now() : TL_FOREVER;
	int r = 0;

	while (!r) {
		if (next != TL_FOREVER)
			next += request->interval_ns;
		if (target_wait(target, earlier(next, end)) != TARGET_TIME ||
		    end <= tl_now())
			break;
		r = tracer->show(request, false, stdout);
		if (fflush(stdout))
			r = -errno;
	}
	return r;
}

/* How many there were, how many of them are missing, and what it cost. */
static void sum_up(const struct tracer *tracer, const struct request *request,
		   uint64_t elapsed_ns, FILE *f)
{
	struct object_cost cost = tracer->cost();
	uint64_t lost = tracer->counter(TL_TRACE_LOST_STATE) +
			tracer->counter(TL_TRACE_LOST_ROWS);
	double each = cost.runs ? (double)cost.ns / (double)cost.runs : 0;
	double share = elapsed_ns ? (double)cost.ns / (double)elapsed_ns : 0;

	if (request->json)
		fprintf(f, "{\"tracer\":\"%s\",\"summary\":true,\"count\":%" PRIu64
			",\"lost\":%" PRIu64 ",\"elapsed_ns\":%" PRIu64
			",\"program_runs\":%" PRIu64 ",\"program_ns\":%" PRIu64
			"}\n", tracer->name, tracer->counter(TL_TRACE_EVENTS),
			lost, elapsed_ns, cost.runs, cost.ns);
	else
		fprintf(f, "\n%" PRIu64 " events, %" PRIu64 " lost; the programs "
			"ran %" PRIu64 " times, %.0f ns each: %.2f%% of one "
			"processor\n", tracer->counter(TL_TRACE_EVENTS), lost,
			cost.runs, each, 100 * share);
}

static int finish(const struct tracer *tracer, const struct request *request,
		  uint64_t elapsed_ns)
{
	int r = tracer->show(request, true, stdout);

	if (r)
		return complain("can't read the results", r);
	sum_up(tracer, request, elapsed_ns, stdout);
	errno = 0;
	if (fflush(stdout) || ferror(stdout))
		return complain("output", errno ? -errno : -EIO);
	if (!request->svg)
		return EXIT_SUCCESS;
	r = tracer->draw(request->svg_fd);
	if (r == -ENODATA)
		return complain(request->svg, r);
	return r ? gnuplot_complain("tl-trace", request->svg, r) : EXIT_SUCCESS;
}

int trace_run(const struct request *request)
{
	const struct tracer *tracer = find(request->tracer);
	struct target target;
	uint64_t began;
	int status, r;

	if (object_check_kernel(request) || target_open(&target, request))
		return EXIT_FAILURE;
	status = tracer->open(request, &target);
	if (!status) {
		began = tl_now();
		target_go(&target);
		r = watch(tracer, request, &target);
		if (r)
			status = complain("output", r);
		else
			status = finish(tracer, request, tl_now() - began);
	}
	tracer->close();
	target_close(&target);
	return status;
}
