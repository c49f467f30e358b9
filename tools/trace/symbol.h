/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Where functions are in the files of a process: for probes, which are attached by
 * file and offset.
 */
#ifndef TRACE_SYMBOL_H
#define TRACE_SYMBOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SYMBOL_CLONES 4

/*
 * symbol_offsets - the offsets in the file of the function @name
 *
 * Of several versions the default one (NAME@@VERSION), which is what programs are
 * linked with. Where the file was not stripped also local functions, of which the
 * compiler may have made several. Returns how many, SYMBOL_CLONES at most; -ENOENT: it
 * has none of that name; -ENOEXEC: it is no ELF file; or -errno.
 */
int symbol_offsets(const char *path, const char *name,
		   uint64_t offsets[SYMBOL_CLONES]);

bool symbol_exists(const char *path, const char *name);

/* Whether it has the USDT probe @name of @provider. */
bool symbol_has_probe(const char *path, const char *provider, const char *name);

/* The name of the function at @offset of the file, cut to @size; false: none. */
bool symbol_name(const char *path, uint64_t offset, char *name, size_t size);

/*
 * Calls @fn for each file that @pid has mapped executable, with a path by which we can
 * open it, until that returns true. Returns whether it did.
 */
bool symbol_each_file(pid_t pid, bool (*fn)(const char *path, void *arg),
		      void *arg);

#endif
