/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The process that is traced: one that runs, or a command that we start.
 */
#ifndef TRACE_TARGET_H
#define TRACE_TARGET_H

#include "request.h"

struct target {
	pid_t pid;		/* 0: all processes */
	int pidfd;		/* -1: none */
	int go_fd;		/* of a command that waits to begin; -1: none */
	int error_fd;		/* where it says why it can't be run; -1: none */
	bool is_ours;
};

/*
 * Finds it, or starts the command as far as its exec, which waits for target_go().
 * EXIT_FAILURE after a line on stderr.
 */
int target_open(struct target *t, const struct request *request);

/* Lets the command begin. */
void target_go(struct target *t);

/* Why target_wait() returns. */
enum target_event {
	TARGET_TIME,		/* it is @until_ns */
	TARGET_ENDED,
	TARGET_STOP,		/* Ctrl-C, or SIGTERM */
};

/* Waits until then, by tl_now(); TL_FOREVER: for ever. */
enum target_event target_wait(struct target *t, uint64_t until_ns);

/* Whether it has become its program; false also while it is about to. */
bool target_is_running(const struct target *t);

/* Why the command could not be run, in a line on stderr: EXIT_FAILURE; or EXIT_SUCCESS. */
int target_check(const struct target *t, const struct request *request);

/* Ends a command of ours that still runs, and waits for that. */
void target_close(struct target *t);

#endif
