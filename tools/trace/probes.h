/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Probes in the files that a process has mapped.
 */
#ifndef TRACE_PROBES_H
#define TRACE_PROBES_H

#include "object.h"

/* A program and the functions at whose begin, or end, it runs. */
struct probe {
	const char *program;
	const char *function;
	bool at_return;
};

/*
 * Attaches them in the file @path, for the process @pid alone; a function that the
 * file has not is left out. Returns how many were, or -errno.
 */
int probes_attach(struct object *o, const struct probe *probes, size_t count,
		  const char *path, pid_t pid);

/* Where @pid, or else ourselves, has the file whose name begins with @name. */
bool probes_find_file(pid_t pid, const char *name, char *path, size_t size);

#endif
