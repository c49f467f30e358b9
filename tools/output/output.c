/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Output that is written as a whole; see output.h.
 */
#include "output.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

int write_whole(int fd, const char *buf, size_t size)
{
	while (size) {
		ssize_t n = write(fd, buf, size);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			buf += n;
			size -= (size_t)n;
		}
	}
	return 0;
}

int stdout_begin(struct stdout_text *o)
{
	o->text = NULL;
	o->f = open_memstream(&o->text, &o->size);
	return o->f ? 0 : -ENOMEM;
}

int stdout_end(struct stdout_text *o)
{
	/* It is in memory: there is one thing that can go wrong. */
	int failed = ferror(o->f), r;

	if (fclose(o->f))
		failed = 1;
	r = failed ? -ENOMEM : write_whole(STDOUT_FILENO, o->text, o->size);
	free(o->text);
	return r;
}
