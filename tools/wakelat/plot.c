/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Latency curves as a picture: a panel for each setting, one legend for all.
 *
 * Percentiles are on a scale on which each further nine is as wide as the one
 * before: x = -log10(1 - p).
 */
#include <math.h>
#include <string.h>

#include "plot/gnuplot.h"
#include "show.h"

#define PANEL_WIDTH 380
#define PANEL_HEIGHT 270
#define LEFT 78			/* axis and its words, of each column */
#define GAP 76			/* axis, and the next row's title */
#define TOP 34
#define BOTTOM 56		/* the last row's axis and its words */
#define LEGEND_WIDTH 205
#define LEGEND_ROW 24
#define NINES_MAX 4
#define DECADES 6		/* of time that a panel shows, more or less */
#define STEP 0.003		/* of a panel: points closer than that are left out */

/* One colour a family, dashes for its variants; colours that most eyes tell apart. */
static const struct style {
	const char *name, *label, *colour, *dash;
	double width;
} styles[PRIMITIVES] = {
	{ "futex", "futex, bare", "#000000", "solid", 4.5 },
	{ "sem", "sem_t", "#e69f00", "solid", 1.8 },
	{ "pthread", "pthread cond", "#d55e00", "solid", 1.8 },
	{ "pthread-after", "pthread, after unlock", "#d55e00", "'-'", 1.8 },
	{ "cond", "cond (libtasklet)", "#0072b2", "solid", 2.4 },
	{ "cond-after", "cond, after unlock", "#0072b2", "'-'", 2.2 },
	{ "emulated", "emulated (libtasklet)", "#009e73", "solid", 1.8 },
	{ "emulated-after", "emulated, after unlock", "#009e73", "'-'", 1.8 },
	{ "birrell", "birrell", "#cc79a7", "solid", 1.8 },
	{ "eventfd", "eventfd", "#8c6d31", "solid", 1.8 },
	{ "pipe", "pipe", "#999999", "solid", 1.8 },
	{ "channel", "channel (libtasklet)", "#56b4e9", "solid", 2.2 },
	{ "channel-local", "channel in a thread", "#56b4e9", "'-'", 2.2 },
};

struct picture {
	const struct results *results;
	FILE *f;
	unsigned int setting[SETTINGS];
	int panels, columns, rows;
	bool used[PRIMITIVES];
	int curves;		/* in the legend */
	int width, height;
	double low, high;	/* ns, of all panels */
};

/* A row for each work, if all have as many panels, and not too many. */
static int columns_of(const struct picture *p)
{
	int count[WORKS] = { 0 }, most = 0, i;

	for (i = 0; i < p->panels; i++) {
		int *n = &count[setting_work(p->setting[i])];

		if (++*n > most)
			most = *n;
	}
	for (i = 0; i < WORKS; i++)
		if (count[i] && count[i] != most)
			most = 0;
	if (count[0] == p->panels || count[1] == p->panels ||
	    count[2] == p->panels || most > 3 || !most)
		most = p->panels > 4 ? 3 : p->panels > 1 ? 2 : 1;
	return most;
}

static void survey(struct picture *p)
{
	static struct tl_hist hist;
	unsigned int s, i;

	p->low = INFINITY;
	p->high = 1;
	for (s = 0; s < SETTINGS; s++) {
		if (!results_have(p->results, s))
			continue;
		p->setting[p->panels++] = s;
		for (i = 0; i < PRIMITIVES; i++) {
			if (!p->results->series[s][i])
				continue;
			p->used[i] = true;
			series_hist(p->results->series[s][i], &hist);
			p->low = fmin(p->low,
				      (double)tl_hist_percentile(&hist, 10));
			p->high = fmax(p->high,
				       (double)tl_hist_percentile(&hist, 99.99));
		}
	}
	for (i = 0; i < PRIMITIVES; i++)
		p->curves += p->used[i];
	p->columns = columns_of(p);
	p->rows = (p->panels + p->columns - 1) / p->columns;
	p->width = p->columns * (LEFT + PANEL_WIDTH) + LEGEND_WIDTH;
	p->height = TOP + p->rows * PANEL_HEIGHT + (p->rows - 1) * GAP + BOTTOM;
	if (p->height < 2 * TOP + p->curves * LEGEND_ROW)
		p->height = 2 * TOP + p->curves * LEGEND_ROW;
	p->low = pow(10, floor(log10(fmax(p->low, 1) * 0.8) * 3) / 3);
	p->high *= 1.3;
}

/* --- the script ---------------------------------------------------------------------- */

/* From the first percentile on: what is below is the luck of a few. */
static void write_curve(FILE *f, const struct tl_hist *hist)
{
	struct tl_hist_cursor c = { 0 };
	double total = (double)tl_hist_count(hist), seen = 0;
	double x = 0, y = 0;

	while (tl_hist_next(hist, &c)) {
		double nines, high = (double)c.high;

		seen += (double)c.count;
		nines = -log10(1 - seen / total);
		if (seen >= total || seen < total / 100 ||
		    nines > NINES_MAX + 1 ||
		    (nines - x < NINES_MAX * STEP &&
		     log10(high / fmax(y, 1)) < DECADES * STEP))
			continue;
		x = nines;
		y = high;
		fprintf(f, "%.4f %.0f\n", x, y);
	}
}

static void write_data(const struct picture *p)
{
	static struct tl_hist hist;
	unsigned int i;
	int panel;

	for (panel = 0; panel < p->panels; panel++) {
		unsigned int s = p->setting[panel];

		for (i = 0; i < PRIMITIVES; i++) {
			if (!p->results->series[s][i])
				continue;
			series_hist(p->results->series[s][i], &hist);
			fprintf(p->f, "$c_%u_%u << EOD\n", s, i);
			write_curve(p->f, &hist);
			fputs("EOD\n", p->f);
		}
	}
}

static void write_settings(const struct picture *p)
{
	FILE *f = p->f;

	fprintf(f, "set terminal svg size %d,%d noenhanced font 'sans-serif,13'"
		" linewidth 1 background 'white'\n", p->width, p->height);
	fputs("set multiplot\n"
	      "set border 3 linecolor '#444444'\n"
	      "set tics nomirror out\n"
	      "set grid xtics ytics linecolor '#dddddd' linetype 1\n"
	      "set logscale y\n"
	      "set xtics ('50' 0.30103, '90' 1, '99' 2, '99.9' 3, '99.99' 4)\n"
	      "set ytics ('1 ns' 1, '10 ns' 10, '100 ns' 1e2, '1 us' 1e3, "
	      "'10 us' 1e4, '100 us' 1e5, '1 ms' 1e6, '10 ms' 1e7, "
	      "'100 ms' 1e8, '1 s' 1e9, '10 s' 1e10)\n"
	      "set mytics 10\n"
	      "unset key\n", f);
	fprintf(f, "set xrange [0:%d]\nset yrange [%.6g:%.6g]\n", NINES_MAX,
		p->low, p->high);
}

static const struct style *style_of(unsigned int primitive)
{
	const struct style *style = styles;

	while (strcmp(style->name, primitives[primitive]->name))
		style++;
	return style;
}

static void write_style(FILE *f, unsigned int i)
{
	const struct style *style = style_of(i);

	fprintf(f, " with lines linecolor '%s' linewidth %g dashtype %s",
		style->colour, style->width, style->dash);
}

/* A box in pixels from the top left, as gnuplot's margins. */
static void write_box(const struct picture *p, int x, int y, int width,
		      int height)
{
	fprintf(p->f, "set lmargin at screen %.5f\nset rmargin at screen %.5f\n"
		"set tmargin at screen %.5f\nset bmargin at screen %.5f\n",
		(double)x / p->width, (double)(x + width) / p->width,
		1 - (double)y / p->height,
		1 - (double)(y + height) / p->height);
}

/* Bare futex is the broad one at the bottom, our condition the topmost. */
static void write_plot(const struct picture *p, unsigned int s)
{
	static const struct primitive *const top = &link_cond;
	const char *comma = "plot";
	unsigned int i, pass;

	for (pass = 0; pass < 2; pass++) {
		for (i = 0; i < PRIMITIVES; i++) {
			if (!p->results->series[s][i] ||
			    (primitives[i] == top) != (pass == 1))
				continue;
			fprintf(p->f, "%s $c_%u_%u using 1:2", comma, s, i);
			write_style(p->f, i);
			comma = ",";
		}
	}
	fputc('\n', p->f);
}

static void write_panel(const struct picture *p, int panel)
{
	int column = panel % p->columns, row = panel / p->columns;
	unsigned int s = p->setting[panel];
	char words[80];

	setting_words(s, words, sizeof(words));
	write_box(p, LEFT + column * (LEFT + PANEL_WIDTH),
		  TOP + row * (PANEL_HEIGHT + GAP), PANEL_WIDTH - 12,
		  PANEL_HEIGHT);
	fprintf(p->f, "set title '%s' offset 0,-0.4\n", words);
	/* Words only where nothing else stands below, or to the left. */
	fprintf(p->f, "set xlabel '%s' offset 0,0.5\n",
		panel + p->columns >= p->panels ? "percentile" : "");
	fprintf(p->f, "set ylabel '%s' offset 0.5,0\n",
		column ? "" : "one-way latency");
	write_plot(p, s);
}

static void write_legend(const struct picture *p)
{
	const char *comma = "plot";
	unsigned int i;
	write_box(p, p->width - LEGEND_WIDTH, TOP - 10, LEGEND_WIDTH - 10,
		  p->height - TOP);
	fputs("unset title\nunset xlabel\nunset ylabel\nunset tics\n"
	      "unset border\nunset grid\nunset logscale\n"
	      "set key top left inside Left reverse samplen 2.5 spacing 1.3 "
	      "maxrows 99 maxcols 1\n"
	      "set yrange [0:1]\n", p->f);
	for (i = 0; i < PRIMITIVES; i++) {
		if (!p->used[i])
			continue;
		fprintf(p->f, "%s NaN", comma);
		write_style(p->f, i);
		fprintf(p->f, " title '%s'", style_of(i)->label);
		comma = ",";
	}
	fputs("\nunset multiplot\n", p->f);
}

static void write_script(FILE *f, const void *results)
{
	struct picture p = { .results = results, .f = f };
	int panel;

	survey(&p);
	write_data(&p);
	write_settings(&p);
	for (panel = 0; panel < p.panels; panel++)
		write_panel(&p, panel);
	write_legend(&p);
}

int plot_svg(const struct results *results, int fd)
{
	return gnuplot_draw(write_script, results, fd);
}
