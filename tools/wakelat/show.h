/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Results for readers and for programs. All write to a stream and leave its
 * errors in it, unless they say what they return.
 */
#ifndef WAKELAT_SHOW_H
#define WAKELAT_SHOW_H

#include "results.h"

#define COLUMNS 80

/* A table and bars for each setting, in so many columns. */
void show_text(const struct results *results, FILE *f);

/* A line of JSON for each series. 0 or -ENOMEM. */
int show_json(const struct results *results, FILE *f);

/*
 * How B differs from A, a line for each series that both have; as a table or as
 * lines of JSON. Returns how many lines there are, or -ENOMEM.
 */
long show_diff(const struct results *a, const struct results *b, bool json,
	       FILE *f);

/* Draws the latency curves of all settings as SVG. As gnuplot_draw(). */
int plot_svg(const struct results *results, int fd);

/* A line of words, broken at blanks where it is too long. */
void show_wrapped(const char *text, FILE *f);

#endif
