/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Attaching to the global lock of a process: CPython's by the interpreter's
 * functions, ours by the library's probes.
 */
#ifndef TRACE_LOCK_H
#define TRACE_LOCK_H

#include "object.h"

/*
 * Finds the lock in the files that @pid has mapped by now. @usdt is loaded for our
 * own, if need be. Returns 1: attached; 0: there is none (yet); or -errno.
 */
int lock_attach(struct object *o, struct object *usdt,
		  const struct object_source *usdt_source, pid_t pid);

#endif
