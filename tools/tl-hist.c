/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * tl-hist: merges saved histograms and shows them, as bars, JSON or text.
 *
 * The input is what tl_hist_write() wrote, as our tools and benchmarks save it,
 * or with -v plain values of any origin. Several histograms, in one file or in
 * many, become one. Nothing is shown unless all of the input was good.
 */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tasklet/base.h>
#include <tasklet/hist.h>

#include "base/num.h"
#include "output/output.h"
#include "text/args.h"

enum {
	OPT_ROWS = 0x100,
	OPT_COLUMNS,
};

enum form { BARS, JSON, TEXT };

static const struct argp_option options[] = {
	{ "values", 'v', "UNIT", 0,
	  "The input is lines VALUE [COUNT], in this unit", 0 },
	{ "json", 'j', NULL, 0, "Print one line of JSON, not bars", 0 },
	{ "text", 't', NULL, 0, "Print the histogram itself, not bars", 0 },
	{ "name", 'n', "NAME", 0, "The name in the JSON (the first FILE)", 0 },
	{ "rows", OPT_ROWS, "N", 0, "Draw so many bars at most (20)", 0 },
	{ "columns", OPT_COLUMNS, "N", 0, "Draw so wide at most (80)", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static const char doc[] =
	"Merges histograms and draws them as bars."
	"\vWithout a FILE, or where it is -, standard input is read.";

struct program {
	const char *unit;
	const char *name;
	enum form form;
	unsigned int rows, columns;
	struct tl_hist all;
};

static unsigned int number(struct argp_state *state, const char *what,
			   const char *arg, uint64_t min, uint64_t max)
{
	uint64_t n = 0;

	if (tl__parse_u64(arg, min, max, &n))
		argp_error(state, "%s: '%s' is no number from %ju to %ju", what,
			   arg, (uintmax_t)min, (uintmax_t)max);
	return (unsigned int)n;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct program *p = state->input;

	switch (key) {
	case 'v':
		if (tl_hist_init(&p->all, arg))
			argp_error(state, "'%s' can't be a unit", arg);
		p->unit = arg;
		break;
	case 'j':
		p->form = JSON;
		break;
	case 't':
		p->form = TEXT;
		break;
	case 'n':
		p->name = arg;
		break;
	case OPT_ROWS:
		p->rows = number(state, "rows", arg, 1, TL_HIST_BUCKETS);
		break;
	case OPT_COLUMNS:
		p->columns = number(state, "columns", arg, TL_HIST_COLUMNS_MIN,
				    1000);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static int merge_saved(struct program *p, FILE *f, unsigned long *line)
{
	static struct tl_hist one;
	int r;

	while (!(r = tl_hist_read(&one, f, line))) {
		r = tl_hist_merge(&p->all, &one);
		if (r)
			return r;
	}
	return r == -ENODATA ? 0 : r;
}

/* "VALUE" or "VALUE COUNT"; blank lines are nothing. */
static int add_values(struct program *p, FILE *f, unsigned long *line)
{
	char *text = NULL, *word, *more;
	uint64_t value, count;
	size_t size = 0;
	int r = 0;

	while (!r && getline(&text, &size, f) >= 0) {
		++*line;
		word = strtok_r(text, " \t\r\n", &more);
		if (!word)
			continue;
		count = 1;
		r = tl__parse_u64(word, 0, UINT64_MAX, &value);
		word = strtok_r(NULL, " \t\r\n", &more);
		if (!r && word)
			r = tl__parse_u64(word, 0, UINT64_MAX, &count);
		if (!r && strtok_r(NULL, " \t\r\n", &more))
			r = -EINVAL;
		if (!r)
			tl_hist_record_n(&p->all, value, count);
	}
	free(text);
	return r ? r : ferror(f) ? -EIO : 0;
}

static int read_file(struct program *p, const char *path)
{
	bool is_stdin = !strcmp(path, "-");
	FILE *f = is_stdin ? stdin : fopen(path, "re");
	unsigned long line = 0;
	int r;

	if (!f) {
		fprintf(stderr, "tl-hist: %s: %s\n", path, strerror(errno));
		return -1;
	}
	r = p->unit ? add_values(p, f, &line) : merge_saved(p, f, &line);
	if (!is_stdin)
		fclose(f);
	if (r)
		fprintf(stderr, "tl-hist: %s:%lu: %s\n", path, line,
			r == -EINVAL ? "no histogram, or of another unit" :
				       strerror(-r));
	return r;
}

static void write_form(const struct program *p, FILE *f)
{
	switch (p->form) {
	case JSON:
		tl_hist_write_json(&p->all, p->name, NULL, f);
		break;
	case TEXT:
		tl_hist_write(&p->all, f);
		break;
	default:
		tl_hist_write_bars(&p->all, p->rows, p->columns, f);
	}
}

static int show(const struct program *p)
{
	struct stdout_text o;
	int r = stdout_begin(&o);

	if (r)
		return r;
	write_form(p, o.f);
	return stdout_end(&o);
}

int main(int argc, char **argv)
{
	static const struct argp argp = { options, parse_option, "[FILE...]",
					  doc, NULL, NULL, NULL };
	static struct program p;
	static char dash[] = "-";
	int i, r;

	args_begin("tl-hist");
	argp_parse(&argp, argc, argv, 0, &i, &p);
	if (i == argc) {
		argv[--i] = dash;
	}
	if (!p.name)
		p.name = argv[i];
	for (; i < argc; i++)
		if (read_file(&p, argv[i]))
			return EXIT_FAILURE;
	r = show(&p);
	if (r) {
		fprintf(stderr, "tl-hist: output: %s\n", strerror(-r));
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
