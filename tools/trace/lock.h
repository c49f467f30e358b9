/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the tracers of a global lock have in common: an object, its part for libtasklet's
 * own lock, and how they get at the lock of a process, CPython's by the interpreter's
 * functions, ours by the library's probes.
 */
#ifndef TRACE_LOCK_H
#define TRACE_LOCK_H

#include "object.h"

#define LOCK_WHAT "a global lock: CPython's (3.8 to 3.13), or libtasklet's"

struct lock_tracer {
	struct object_source source, usdt_source;
	struct object object, usdt;	/* the latter is loaded if need be */
};

/* Loads and attaches all but the lock; counts nothing yet. */
int lock_open(struct lock_tracer *l, const struct request *request);

/*
 * Finds the lock in the files that @pid has mapped by now. 1: attached; 0: there is none
 * (yet); or -errno.
 */
int lock_attach(struct lock_tracer *l, pid_t pid);

/* Begins to count. */
int lock_begin(struct lock_tracer *l, const struct request *request, pid_t pid);

uint64_t lock_counted(const struct lock_tracer *l);
uint64_t lock_lost(const struct lock_tracer *l);
struct object_cost lock_cost(const struct lock_tracer *l);
void lock_close(struct lock_tracer *l);

#endif
