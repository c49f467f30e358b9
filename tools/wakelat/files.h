/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Files that results go to and come from. All return EXIT_SUCCESS, or
 * EXIT_FAILURE when they have said on stderr what is wrong.
 */
#ifndef WAKELAT_FILES_H
#define WAKELAT_FILES_H

#include "results.h"

struct output {
	const char *path;	/* NULL: not wanted */
	int fd;
};

struct outputs {
	struct output save, svg;
};

/* Says that @what failed, and -errno's words. Returns EXIT_FAILURE. */
int complain(const char *what, int error);

/*
 * A file that is opened must not become standard output, or what goes to standard
 * error land in it: fails without the one, and makes up for the other.
 */
int descriptors_check(void);

/* Opens what is wanted and looks for gnuplot if need be. */
int outputs_prepare(struct outputs *o);

/* Writes and closes what is wanted; each though another one failed. */
int outputs_write(struct outputs *o, const struct results *results);

/* Reads a saved file into @results, which are empty. */
int results_load(const char *path, struct results *results);

#endif
