/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The library's probes in processes, by which the scheduler knows what threads are.
 */
#ifndef SCHED_PROBES_H
#define SCHED_PROBES_H

#include "trace/object.h"

/*
 * Attaches to those in the files that @pid has mapped by now. 1: done; 0: there are none
 * (yet); or -errno.
 */
int sched_probes_of(struct object *o, pid_t pid);

/* To those in @path, in all processes, now and later. As above. */
int sched_probes_in(struct object *o, const char *path);

#endif
