/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What tl-sched does, by its first word. Each returns the exit status, after a line on
 * stderr if it is not 0.
 */
#ifndef SCHED_SCHED_H
#define SCHED_SCHED_H

#include "trace/request.h"
#include "bpf/gilsched.h"

#define SCHED_PIDS 10		/* processes whose probes are attached to, by number */

struct sched_request {
	struct request common;	/* of it: command, duration, interval, json, verbose */
	pid_t pids[SCHED_PIDS];
	size_t pids_count;
	const char *file;	/* all processes that have it mapped; NULL: none */
	uint64_t slice_ns, starve_ns;
	bool hold;
};

/* Has the scheduler in the kernel until it is over. */
int sched_load(const struct sched_request *request);

/* Becomes the command, under the scheduler if there is one, now or later. */
int sched_run(char **command);

/* Tells it what threads are; @tids is ended by NULL. */
int sched_mark(enum gilsched_mark mark, char **tids);

/* This thread, or another one: asks for it. 0, or -errno: -EINVAL: the kernel has none. */
int sched_ask(pid_t tid);

/* The map that sched_mark() writes to. */
#define SCHED_PIN "/sys/fs/bpf/tl_sched_marks"

#endif
