/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What a program has to say on standard output: made in memory, then written as a whole,
 * so that a failure is known with its reason. A stream only tells that there was one.
 */
#ifndef TOOLS_OUTPUT_H
#define TOOLS_OUTPUT_H

#include <stdio.h>

struct stdout_text {
	FILE *f;	/* write it here */
	char *text;
	size_t size;
};

/* 0 or -ENOMEM. */
int stdout_begin(struct stdout_text *o);

/* Writes what there is to standard output. 0 or why not; frees all of it. */
int stdout_end(struct stdout_text *o);

/* Writes all of it. 0 or -errno. */
int write_whole(int fd, const char *buf, size_t size);

#endif
