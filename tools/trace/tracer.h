/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What each tracer does; trace.c calls it.
 */
#ifndef TRACE_TRACER_H
#define TRACE_TRACER_H

#include <stdio.h>

#include "object.h"
#include "target.h"

struct tracer {
	const char *name;
	const char *what;	/* of the target is needed; NULL: nothing is */
	/*
	 * Loads and attaches all but what the target's files are needed for.
	 * EXIT_FAILURE after a line on stderr.
	 */
	int (*open)(const struct request *request, const struct target *target);
	/*
	 * The rest, by the files that it has mapped by now. 1: done; 0: what is
	 * looked for is not there (yet); or -errno. Also with @pid 0: for all.
	 */
	int (*attach_to)(const struct request *request, pid_t pid);
	/* Begins to count; NULL: did so when it was opened. EXIT_FAILURE as open(). */
	int (*begin)(const struct request *request, pid_t pid);
	/* Now and then, while the target is there; may be NULL. */
	void (*look)(pid_t pid);
	/*
	 * What came since the last call, or (final) since the beginning. -errno: the
	 * maps can't be read, or no memory.
	 */
	int (*show)(const struct request *request, bool final, FILE *f);
	/* The picture of all, as gnuplot_draw() does it. */
	int (*draw)(int fd);
	/* Counted, lost, and what the programs cost. */
	uint64_t (*counted)(void);
	uint64_t (*lost)(void);
	struct object_cost (*cost)(void);
	/* Also after an open that failed. */
	void (*close)(void);
};

extern const struct tracer tracer_wakelat, tracer_gil, tracer_iopri;

#endif
