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

#include "output/output.h"
#include "plot/gnuplot.h"
#include "tracer.h"

#define LOOK_NS		UINT64_C(10000000)
#define SAMPLE_NS	UINT64_C(50000000)
#define LOOK_AGAIN_NS	UINT64_C(1000000000)	/* at what it has mapped since */
#define PATIENCE_NS	UINT64_C(10000000000)	/* for what has to be there */
#define PATIENCE_SHORT_NS UINT64_C(1000000000)	/* for what need not */

static const struct tracer *const tracers[] = {
	&tracer_wakelat, &tracer_gil, &tracer_iopri
};

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

/* When it is over that began at @began_ns. */
static uint64_t end_of(const struct request *request, uint64_t began_ns)
{
	return request->duration_ns ? began_ns + request->duration_ns : TL_FOREVER;
}

/*
 * A command has its program's files some time after it was let go: looks for them
 * again and again, for a while. Returns when they are found, or it is over.
 */
static int find_files(const struct tracer *tracer, const struct request *request,
		      struct target *target)
{
	uint64_t now = tl_now();
	uint64_t end = tracer->begin ? now + PATIENCE_NS :
		       earlier(now + PATIENCE_SHORT_NS, end_of(request, now));
	enum target_event event = TARGET_TIME;
	int r = 0;

	while (!r && event == TARGET_TIME && tl_now() < end) {
		event = target_wait(target, tl_after(LOOK_NS));
		if (event == TARGET_TIME && target_is_running(target))
			r = tracer->attach_to(request, target->pid);
	}
	if (target_check(target, request))
		return EXIT_FAILURE;
	/* It may have ended in the middle of that. */
	if (r < 0 && target_wait(target, tl_now()) != TARGET_ENDED)
		return complain("can't attach to the command", r);
	if (r > 0 || !tracer->what || event == TARGET_STOP)
		return EXIT_SUCCESS;
	fprintf(stderr, "tl-trace: the command has not got %s\n", tracer->what);
	return EXIT_FAILURE;
}

static int attach(const struct tracer *tracer, const struct request *request,
		  struct target *target)
{
	int r;

	if (target->is_ours) {
		target_go(target);
		return find_files(tracer, request, target);
	}
	if (!target->pid && tracer->what) {
		fprintf(stderr, "tl-trace: %s needs a process (-p), or a command\n",
			tracer->name);
		return EXIT_FAILURE;
	}
	r = target->pid ? tracer->attach_to(request, target->pid) : 1;
	if (r < 0 && target_wait(target, tl_now()) != TARGET_ENDED)
		return complain("can't attach to the process's functions", r);
	if (r > 0 || !tracer->what)
		return EXIT_SUCCESS;
	fprintf(stderr, "tl-trace: process %d has not got %s\n", target->pid,
		tracer->what);
	return EXIT_FAILURE;
}

/* Until @until_ns; false: it is over before. */
static bool goes_on(const struct tracer *tracer, struct target *target,
		    uint64_t until_ns)
{
	enum target_event event;
	bool sample = true;

	/* What the programs cost is counted in a part of the time. */
	do {
		if (sample && tracer->look && target->pid)
			tracer->look(target->pid);
		object_count_cost(sample);
		event = target_wait(target, earlier(until_ns, tl_after(
				sample ? SAMPLE_NS : LOOK_AGAIN_NS)));
		sample = !sample;
	} while (event == TARGET_TIME && tl_now() < until_ns);
	object_count_cost(false);
	return event == TARGET_TIME;
}

/* Of what came since the last one. */
static int table(const struct tracer *tracer, const struct request *request)
{
	struct stdout_text out;
	int r = stdout_begin(&out), written;

	if (r)
		return r;
	r = tracer->show(request, false, out.f);
	written = stdout_end(&out);
	return r ? r : written;
}

/* Until it is over; a table at each interval. */
static int watch(const struct tracer *tracer, const struct request *request,
		 struct target *target, uint64_t began)
{
	uint64_t end = end_of(request, began);
	uint64_t next = request->interval_ns ? tl_now() : TL_FOREVER;
	int r = 0;

	while (!r) {
		if (next != TL_FOREVER)
			next += request->interval_ns;
		if (!goes_on(tracer, target, earlier(next, end)) ||
		    end <= tl_now())
			break;
		r = table(tracer, request);
	}
	return r;
}

/* How many there were, how many of them are missing, and what it cost. */
static void sum_up(const struct tracer *tracer, const struct request *request,
		   uint64_t elapsed_ns, FILE *f)
{
	struct object_cost cost = tracer->cost();
	uint64_t lost = tracer->lost();
	double each = cost.runs ? (double)cost.ns / (double)cost.runs : 0;
	uint64_t counted_ns = object_cost_counted_ns();
	double share = counted_ns ? (double)cost.ns / (double)counted_ns : 0;

	if (request->json)
		fprintf(f, "{\"tracer\":\"%s\",\"summary\":true,\"count\":%" PRIu64
			",\"lost\":%" PRIu64 ",\"elapsed_ns\":%" PRIu64
			",\"program_runs\":%" PRIu64 ",\"program_ns\":%" PRIu64
			",\"program_counted_ns\":%" PRIu64 "}\n",
			tracer->name, tracer->counted(), lost,
			elapsed_ns, cost.runs, cost.ns, counted_ns);
	else
		fprintf(f, "\n%" PRIu64 " events, %" PRIu64 " lost\nThe tracer's "
			"programs: %.0f ns a run, %.2f%% of a processor, "
			"in %.1f s\n", tracer->counted(),
			lost, each, 100 * share, (double)counted_ns / 1e9);
}

static int finish(const struct tracer *tracer, const struct request *request,
		  uint64_t elapsed_ns)
{
	struct stdout_text out;
	int r = stdout_begin(&out);

	if (r)
		return complain("output", r);
	r = tracer->show(request, true, out.f);
	if (!r)
		sum_up(tracer, request, elapsed_ns, out.f);
	if (r) {
		stdout_end(&out);
		return complain("can't read the results", r);
	}
	r = stdout_end(&out);
	if (r)
		return complain("output", r);
	if (!request->svg)
		return EXIT_SUCCESS;
	r = tracer->draw(request->svg_fd);
	if (r == -ENODATA)
		return complain(request->svg, r);
	return r ? gnuplot_complain("tl-trace", request->svg, r) : EXIT_SUCCESS;
}

/* From now on nothing is missed. Not where the results go. */
static void tell(const struct target *target)
{
	if (target->pid)
		fprintf(stderr, "Tracing process %d. Ctrl-C ends it.\n",
			target->pid);
	else
		fputs("Tracing all processes. Ctrl-C ends it.\n", stderr);
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
	/* When it begins to count: at once, before a command does, or when all is found. */
	began = tl_now();
	if (!status)
		status = attach(tracer, request, &target);
	if (tracer->begin)
		began = tl_now();
	if (!status && tracer->begin)
		status = tracer->begin(request, target.pid);
	if (!status) {
		tell(&target);
		r = watch(tracer, request, &target, began);
		if (r)
			status = complain("output", r);
		else
			status = finish(tracer, request, tl_now() - began);
	}
	tracer->close();
	target_close(&target);
	return status;
}
