/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * tl-trace: shows what a live process's wake-ups and handoffs of a global lock cost.
 */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tasklet/base.h>

#include "base/num.h"
#include "plot/gnuplot.h"
#include "text/args.h"
#include "trace/trace.h"

enum {
	OPT_NO_PROBES = 0x100,
	OPT_RAW,
};

static const struct argp_option options[] = {
	{ "pid", 'p', "PID", 0, "Trace this process (all)", 0 },
	{ "duration", 'd', "TIME", 0,
	  "So long: 5, 500ms (until it ends, or Ctrl-C)", 0 },
	{ "interval", 'i', "TIME", 0, "A table each time that so much has gone by "
	  "(only one, at the end)", 0 },
	{ "json", 'j', NULL, 0, "Lines of JSON", 0 },
	{ "output", 'o', "FILE.svg", 0, "Also a picture of all, by gnuplot", 0 },
	{ "threads", 't', NULL, 0, "A row for each thread", 0 },
	{ "no-probes", OPT_NO_PROBES, NULL, 0,
	  "Only tracepoints of the kernel: costs the target less, and a futex is a "
	  "futex", 0 },
	{ "raw", OPT_RAW, NULL, 0, "Raw tracepoints, as on a kernel without typed "
	  "ones", 0 },
	{ "verbose", 'v', NULL, 0, "Say what libbpf says", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static const char args_doc[] = "wakelat|gil|iopri [-- COMMAND...]";

static const char doc[] =
	"Shows how long wake-ups take, by what the threads waited in."
	"\vA command that still runs at the end is told to end (SIGTERM). The exit "
	"status is 0, 1 if it failed, 2 if it was asked for something that makes no "
	"sense.";

static uint64_t parse_time(struct argp_state *state, const char *what,
			   const char *arg)
{
	uint64_t ns;

	if (tl__parse_duration_ns(arg, UINT64_C(1000000000), 1000000,
				  UINT64_C(1000000000) * 86400 * 365, &ns))
		argp_error(state, "%s: '%s' is no time from 1ms to 365d, as 5 or "
			   "500ms", what, arg);
	return ns;
}

static void parse_word(struct request *r, struct argp_state *state, char *arg)
{
	if (r->tracer) {
		argp_error(state, "'%s': what is to run comes after --", arg);
		return;
	}
	if (!trace_exists(arg))
		argp_error(state, "'%s' is not one of: wakelat, gil, iopri", arg);
	r->tracer = arg;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct request *r = state->input;
	uint64_t n;

	switch (key) {
	case 'p':
		if (tl__parse_u64(arg, 1, 1 << 22, &n))
			argp_error(state, "pid: '%s' is no process's number", arg);
		r->pid = (pid_t)n;
		break;
	case 'd':
		r->duration_ns = parse_time(state, "duration", arg);
		break;
	case 'i':
		r->interval_ns = parse_time(state, "interval", arg);
		break;
	case 'j':
		r->json = true;
		break;
	case 'o':
		r->svg = arg;
		break;
	case 't':
		r->threads = true;
		break;
	case 'v':
		r->verbose = true;
		break;
	case OPT_NO_PROBES:
		r->probes = false;
		break;
	case OPT_RAW:
		r->raw = true;
		break;
	case ARGP_KEY_ARG:
		if (state->quoted && state->next > state->quoted) {
			r->command = state->argv + state->next - 1;
			state->next = state->argc;
			break;
		}
		parse_word(r, state, arg);
		break;
	case ARGP_KEY_END:
		if (!r->tracer)
			argp_error(state, "which tracer? wakelat, gil or iopri");
		if (r->threads && r->tracer && !strcmp(r->tracer, "iopri"))
			argp_error(state, "iopri has a row for each process only");
		if (r->pid && r->command)
			argp_error(state, "a process or a command, not both");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* Before anything is measured. */
static int open_picture(struct request *r)
{
	int error;

	if (!r->svg)
		return EXIT_SUCCESS;
	error = gnuplot_check();
	if (error)
		return gnuplot_complain("tl-trace", r->svg, error);
	r->svg_fd = open(r->svg, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	return r->svg_fd < 0 ? complain(r->svg, -errno) : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		options, parse_option, args_doc, doc, NULL, NULL, NULL
	};
	struct request request = { .probes = true, .svg_fd = -1 };

	args_begin("tl-trace");
	/* In order: what is behind -- must be told from what is before it. */
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &request);
	if (open_picture(&request))
		return EXIT_FAILURE;
	return trace_run(&request);
}
