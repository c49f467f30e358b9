/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What tl-trace is asked for.
 */
#ifndef TRACE_REQUEST_H
#define TRACE_REQUEST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct request {
	const char *tracer;	/* wakelat, gil or iopri */
	pid_t pid;		/* 0: all processes, or the command */
	char **command;		/* NULL: none */
	uint64_t duration_ns;	/* 0: until the target ends, or Ctrl-C */
	uint64_t interval_ns;	/* between two tables; 0: one at the end */
	bool json;
	bool threads;		/* a row for each thread */
	bool probes;		/* also what costs the target something */
	bool raw;		/* raw tracepoints, though typed ones may be had */
	bool verbose;
	const char *svg;
	int svg_fd;
};

/* Says on stderr what failed, and -errno's words. Returns EXIT_FAILURE. */
int complain(const char *what, int error);

#endif
