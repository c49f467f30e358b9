/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The files that the user names: opened early, so that nothing is measured in vain,
 * and written late, so that what was there stays until there is something better.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "plot/gnuplot.h"
#include "saved.h"
#include "show.h"

int complain(const char *what, int error)
{
	fprintf(stderr, "tl-wakelat: %s: %s\n", what, strerror(-error));
	return EXIT_FAILURE;
}

int descriptors_check(void)
{
	static const int others[] = { STDIN_FILENO, STDERR_FILENO };
	size_t i;

	if (fcntl(STDOUT_FILENO, F_GETFD) < 0)
		return complain("standard output", -errno);
	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (fcntl(others[i], F_GETFD) < 0 &&
		    open("/dev/null", O_RDWR) != others[i])
			return EXIT_FAILURE;
	return EXIT_SUCCESS;
}

/* What was there stays until there is something to write in its place. */
static int open_output(struct output *out)
{
	out->fd = -1;
	if (!out->path)
		return EXIT_SUCCESS;
	out->fd = open(out->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	return out->fd < 0 ? complain(out->path, -errno) : EXIT_SUCCESS;
}

/* Devices and pipes have no length to cut. */
static int empty_output(const struct output *out)
{
	if (ftruncate(out->fd, 0) && errno != EINVAL)
		return -errno;
	return 0;
}

static int write_saved(struct outputs *o, const struct results *results)
{
	FILE *f;
	int r;

	if (!o->save.path)
		return EXIT_SUCCESS;
	r = empty_output(&o->save);
	f = r ? NULL : fdopen(o->save.fd, "w");
	if (!r && !f)
		r = -errno;
	if (!r)
		r = saved_write(results, f);
	/* Full disks may be noticed only now. */
	if (f && fclose(f) && !r)
		r = -errno;
	return r ? complain(o->save.path, r) : EXIT_SUCCESS;
}

static int write_svg(struct outputs *o, const struct results *results)
{
	int r;

	if (!o->svg.path)
		return EXIT_SUCCESS;
	r = plot_svg(results, o->svg.fd);
	if (close(o->svg.fd) && !r)
		r = -errno;
	return r ? gnuplot_complain("tl-wakelat", o->svg.path, r) :
		   EXIT_SUCCESS;
}

int outputs_write(struct outputs *o, const struct results *results)
{
	return write_saved(o, results) | write_svg(o, results);
}

int outputs_prepare(struct outputs *o)
{
	int r;

	if (open_output(&o->save) || open_output(&o->svg))
		return EXIT_FAILURE;
	r = o->svg.path ? gnuplot_check() : 0;
	return r ? gnuplot_complain("tl-wakelat", o->svg.path, r) :
		   EXIT_SUCCESS;
}

int results_load(const char *path, struct results *results)
{
	FILE *f = fopen(path, "re");
	unsigned long line;
	int r;

	if (!f)
		return complain(path, -errno);
	r = saved_read(results, f, &line);
	fclose(f);
	if (!r)
		return EXIT_SUCCESS;
	fprintf(stderr, "tl-wakelat: %s:%lu: %s\n", path, line,
		r == -EINVAL ? "no results of tl-wakelat, or damaged" :
			       strerror(-r));
	return EXIT_FAILURE;
}
