/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * One line at a time, formatted on the stack and written by one write(2): no
 * lock, no allocation, so it works in whatever state the process is in.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/log.h"

static void log_line(const char *fmt, va_list args)
{
	char line[512];
	int used = snprintf(line, sizeof(line), "libtasklet: ");
	int len = vsnprintf(line + used, sizeof(line) - (size_t)used - 1, fmt,
			    args);
	ssize_t written;

	if (len < 0)
		return;
	used += len;
	if (used > (int)sizeof(line) - 2)
		used = (int)sizeof(line) - 2;
	line[used++] = '\n';
	written = write(STDERR_FILENO, line, (size_t)used);
	(void)written;	/* nobody to tell */
}

void tl__log(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	log_line(fmt, args);
	va_end(args);
}

void tl__fatal(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	log_line(fmt, args);
	va_end(args);
	abort();
}
