/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * reports.h: what the checked build says on stderr, for a test to read. Include tap.h before.
 */
#ifndef REPORTS_H
#define REPORTS_H

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static int reports__pipe[2], reports__stderr;

/* From here to its counterpart stderr is read by reported(). */
static inline void reports_begin(void)
{
	reports__stderr = dup(2);
	if (pipe2(reports__pipe, O_NONBLOCK | O_CLOEXEC) || dup2(reports__pipe[1], 2) < 0)
		tap_bail("pipe");
}

static inline void reports_end(void)
{
	dup2(reports__stderr, 2);
}

/* What was said since the last call. */
static inline const char *reported(void)
{
	static char text[4096];
	ssize_t n = read(reports__pipe[0], text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static inline int count_lines(const char *text)
{
	int n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

#endif
