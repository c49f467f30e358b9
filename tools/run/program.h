/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Whether a program can be helped by a library that is loaded before it.
 */
#ifndef TL_TOOLS_RUN_PROGRAM_H
#define TL_TOOLS_RUN_PROGRAM_H

#include <limits.h>
#include <stddef.h>

struct program {
	char path[PATH_MAX];	/* the file that execvp() would run */
	char why[PATH_MAX + 200];	/* what is wrong with it */
};

/*
 * Looks for @name as execvp() does, and at what it finds; for a script at its
 * interpreter. 0; or 127, there is no such program; or 126, it can't be run, or not
 * be helped: ->why says it.
 */
int program_check(struct program *p, const char *name);

#endif
