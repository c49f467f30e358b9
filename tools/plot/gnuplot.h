/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Pictures that gnuplot draws, for the programs that have --svg FILE.
 */
#ifndef TOOLS_PLOT_GNUPLOT_H
#define TOOLS_PLOT_GNUPLOT_H

#include <stdio.h>

/* Whether there is a gnuplot that runs: 0 or as gnuplot_draw(). */
int gnuplot_check(void);

/*
 * Has gnuplot draw what @script writes, an SVG, into @fd in place of what is there,
 * which stays if there is no whole picture. Returns 0, -ENOENT (there is no gnuplot),
 * -EPROTO (it failed) or what else went wrong.
 */
int gnuplot_draw(void (*script)(FILE *f, const void *arg), const void *arg,
		 int fd);

/* Says on stderr why @tool has no picture in @path. Returns EXIT_FAILURE. */
int gnuplot_complain(const char *tool, const char *path, int error);

#endif
