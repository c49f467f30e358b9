/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The results as a picture: for each number of processors what others get beside
 * one CPU thread, over what that thread keeps. A GIL is good if it is at the right
 * (the CPU thread keeps its rate) and, for latencies, below; for pairs, above.
 *
 * A policy has a colour and a lock a shape.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "plot/gnuplot.h"
#include "results.h"

/* All in pixels; a panel's own margins are in what it takes. */
#define WIDTH_OF_PANEL 470
#define HEIGHT_OF_ROW 340
#define HEIGHT_OF_HEAD 104
#define MARGIN_LEFT 96
#define MARGIN_RIGHT 14
#define MARGIN_TOP 52
#define MARGIN_BOTTOM 68

enum row { ROW_ECHO, ROW_PACED, ROW_PAIRS, ROWS };

static const enum column row_column[ROWS] = {
	[ROW_ECHO] = COLUMN_ECHO,
	[ROW_PACED] = COLUMN_PACED,
	[ROW_PAIRS] = COLUMN_PAIRS,
};

static const enum load row_load[ROWS] = {
	[ROW_ECHO] = LOAD_ECHO,
	[ROW_PACED] = LOAD_PACED,
	[ROW_PAIRS] = LOAD_PAIRS,
};

/* Colours that can be told apart (Okabe and Ito); gnuplot's point types. */
static const char *const colours[] = { "#0072b2", "#d55e00", "#009e73",
				       "#cc79a7", "#56b4e9", "#e69f00" };
static const int shapes[] = { 7, 5, 9, 13, 11, 15 };

/* What is being written. */
struct drawing {
	FILE *f;
	const struct results *r;
	unsigned int rows, pins;
	int width, height;
};

/* Which of the different policies, or locks, a contender's is. */
static unsigned int colour_of(const struct plan *p, unsigned int contender)
{
	unsigned int i, n = 0;

	for (i = 1; i <= contender; i++)
		n += p->contenders[i].policy != p->contenders[i - 1].policy;
	return n;
}

static unsigned int shape_of(const struct plan *p, unsigned int contender)
{
	unsigned int i, first = contender;

	while (first && p->contenders[first - 1].policy ==
				p->contenders[contender].policy)
		first--;
	/* Each policy has the same locks in the same order. */
	i = contender - first;
	return i;
}

static const char *colour(const struct plan *p, unsigned int contender)
{
	return colours[colour_of(p, contender) %
		       (sizeof(colours) / sizeof(colours[0]))];
}

static int shape(const struct plan *p, unsigned int contender)
{
	return shapes[shape_of(p, contender) %
		      (sizeof(shapes) / sizeof(shapes[0]))];
}

/* --- the script ----------------------------------------------------------- */

static void write_setup(const struct drawing *d)
{
	fprintf(d->f,
		"set terminal svg size %d,%d font 'sans-serif,13' "
		"background 'white'\n"
		"set multiplot\n"
		"set border 3 linecolor '#888888'\n"
		"set tics nomirror out textcolor '#333333'\n"
		"set grid xtics ytics linecolor '#dddddd' linetype 1\n"
		"unset key\n"
		"set xrange [0:108]\n"
		"set xtics ('0' 0, '20' 20, '40' 40, '60' 60, '80' 80, "
		"'100 %%%%' 100)\n", d->width, d->height);
}

/* Text, and after it a point if @pt is not 0, at so many pixels from the top left. */
static void write_label(const struct drawing *d, const char *text, int x, int y,
			const char *rgb, int pt, int size)
{
	fprintf(d->f, "set label '%s' at screen %f, screen %f font ',%d' "
		"textcolor '#222222' noenhanced", text,
		(double)x / d->width, 1 - (double)y / d->height, size);
	if (pt)
		fprintf(d->f, " point pointtype %d pointsize 0.9 "
			"linecolor '%s' offset 1,-0.25", pt, rgb);
	putc('\n', d->f);
}

static void write_head(const struct drawing *d)
{
	const struct plan *p = d->r->plan;
	unsigned int i;
	int x;

	write_label(d, "What a GIL gives to others, and what one thread that "
		    "computes keeps beside them", 24, 28, "", 0, 17);
	for (i = 0, x = 32; i < p->contender_count; i++)
		if (!shape_of(p, i)) {
			write_label(d, p->contenders[i].policy, x, 64,
				    colour(p, i), 7, 13);
			x += 96;
		}
	for (i = 0, x = 32; i < p->contender_count && !colour_of(p, i); i++) {
		write_label(d, p->contenders[i].wake->name, x, 88, "#666666",
			    shape(p, i), 13);
		x += 96;
	}
}

/* Where a panel is: from the left and from below, as parts of the whole. */
static void write_place(const struct drawing *d, unsigned int row,
			unsigned int pin)
{
	double left = (double)pin * WIDTH_OF_PANEL;
	double top = HEIGHT_OF_HEAD + (double)row * HEIGHT_OF_ROW;

	fprintf(d->f, "set lmargin at screen %f\nset rmargin at screen %f\n"
		"set tmargin at screen %f\nset bmargin at screen %f\n",
		(left + MARGIN_LEFT) / d->width,
		(left + WIDTH_OF_PANEL - MARGIN_RIGHT) / d->width,
		1 - (top + MARGIN_TOP) / d->height,
		1 - (top + HEIGHT_OF_ROW - MARGIN_BOTTOM) / d->height);
}

/* From the middle of the panel to the corner in which one wants to be. */
static void write_aim(const struct drawing *d, bool up)
{
	fprintf(d->f, "unset arrow\nset arrow from graph 0.07, graph %s to "
		"graph 0.12, graph %s linecolor '#999999' linewidth 1.5 "
		"size screen 0.008,25 filled front\n"
		"set label 'better' at graph 0.13, graph %s "
		"textcolor '#888888' font ',12'\n",
		up ? "0.86" : "0.15", up ? "0.95" : "0.06", up ? "0.9" : "0.1");
}

static void write_axes(const struct drawing *d, enum row row, unsigned int pin)
{
	unsigned int n = d->r->plan->pins[pin];

	fputs("set xlabel 'of its rate alone the CPU thread keeps' "
	      "textcolor '#333333' offset 0,0.3\n", d->f);
	fprintf(d->f, "set title \"");
	if (row == ROW_PACED)
		fprintf(d->f, "Echo, %" PRIu64 " requests a second",
			d->r->plan->rate);
	else
		fputs(row == ROW_ECHO ? "Echo, one request after the other" :
					"Producer and consumer on a lock", d->f);
	fprintf(d->f, ", %u processor%s\" textcolor '#222222' offset 0,-0.3\n",
		n, n == 1 ? "" : "s");
	write_aim(d, row == ROW_PAIRS);
	if (row == ROW_PAIRS) {
		fputs("unset logscale y\nset yrange [0:108]\n"
		      "set ytics ('0' 0, '20' 20, '40' 40, '60' 60, '80' 80, "
		      "'100 %%' 100)\nunset mytics\n"
		      "set ylabel 'of their rate alone' textcolor '#333333'\n",
		      d->f);
		return;
	}
	fputs("set logscale y\nset yrange [5e3:2e8]\n"
	      "set ytics ('10 us' 1e4, '100 us' 1e5, '1 ms' 1e6, '10 ms' 1e7, "
	      "'100 ms' 1e8)\nset mytics 10\n"
	      "set ylabel 'latency: p50, up to p99' textcolor '#333333' offset 1,0\n",
	      d->f);
}

/* Share, value, upper value. Whether there is one. */
static bool write_point(const struct drawing *d, enum row row, unsigned int pin,
			unsigned int contender)
{
	enum load load = row_load[row];
	const struct figure *g = results_at(d->r, pin, contender, load, 1);
	double x = 100 * results_share(d->r, pin, contender, load, 1), y, top;

	if (row == ROW_PAIRS) {
		y = 100 * results_rate(d->r, g) /
		    results_rate(d->r, results_at(d->r, pin, contender, load, 0));
		top = y;
	} else {
		y = tl_hist_count(&g->latency) ?
			    (double)tl_hist_percentile(&g->latency, 50) : NAN;
		top = (double)tl_hist_percentile(&g->latency, 99);
	}
	if (!isfinite(x) || !isfinite(y))
		return false;
	/* One that is out of the picture is at its edge. */
	fprintf(d->f, "$p%u << EOD\n%f %f %f\nEOD\n", contender,
		fmin(x, 107), row == ROW_PAIRS ? fmin(y, 107) : y, top);
	return true;
}

static void write_panel(const struct drawing *d, enum row row, unsigned int pin)
{
	const struct plan *p = d->r->plan;
	const char *comma = "plot ";
	bool known[PLAN_NAMES_MAX * PLAN_NAMES_MAX];
	unsigned int i;

	for (i = 0; i < p->contender_count; i++)
		known[i] = write_point(d, row, pin, i);
	for (i = 0; i < p->contender_count; i++) {
		if (!known[i])
			continue;
		fprintf(d->f, "%s$p%u using 1:2:2:3 with yerrorbars "
			"linecolor '%s' pointtype %d pointsize 0.9 linewidth 1.3",
			comma, i, colour(p, i), shape(p, i));
		comma = ", ";
	}
	/* Without any: an empty panel says that there is nothing. */
	fputs(*comma == 'p' ? "plot NaN\n" : "\n", d->f);
	fputs("unset label\n", d->f);
}

static void write_script(FILE *f, const void *results)
{
	const struct results *r = results;
	struct drawing d = { .f = f, .r = r, .pins = r->plan->pin_count };
	unsigned int pin, n = 0;
	enum row row;

	for (row = ROW_ECHO; row < ROWS; row++)
		d.rows += r->plan->columns[row_column[row]];
	d.width = (int)d.pins * WIDTH_OF_PANEL;
	d.height = (int)d.rows * HEIGHT_OF_ROW + HEIGHT_OF_HEAD;
	write_setup(&d);
	write_head(&d);
	for (row = ROW_ECHO; row < ROWS; row++) {
		if (!r->plan->columns[row_column[row]])
			continue;
		for (pin = 0; pin < d.pins; pin++) {
			write_place(&d, n, pin);
			write_axes(&d, row, pin);
			write_panel(&d, row, pin);
		}
		n++;
	}
	fputs("unset multiplot\n", f);
}

int results_draw(const struct results *r, int fd)
{
	return gnuplot_draw(write_script, r, fd);
}
