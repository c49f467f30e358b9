/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* See go.h. */
#include "go.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A byte, or the end of it. */
static ssize_t from_stdin(void)
{
	ssize_t n;
	char byte;

	while ((n = read(0, &byte, 1)) < 0 && errno == EAGAIN)
		usleep(2000);
	return n;
}

void go_begin(void)
{
	puts("ready");
	fflush(stdout);
	fcntl(0, F_SETFL, O_NONBLOCK);
	if (from_stdin() <= 0)
		exit(1);
}

void go_end(long count)
{
	printf("%ld\n", count);
	fflush(stdout);
	while (from_stdin() > 0)
		;
}

bool go_sleeps(int tid)
{
	char path[64], state = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/wchan", tid);
	f = fopen(path, "r");
	if (!f)
		exit(1);
	if (fscanf(f, "futex%c", &state) != 1)
		state = 0;
	fclose(f);
	return state;
}
