/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Writes results to files and reads them back.
 *
 * Invariant: what is read is what was written, or nothing is. Whatever stands in
 * a file, each number is checked before it is used.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "base/alloc.h"
#include "base/num.h"
#include "saved.h"

#define LINE_MAX_LEN 512
#define FIELDS_MAX 7
#define FNV_BASIS UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x100000001b3)

#define PREFIX "# wakelat"
#define FIRST PREFIX ": 1"
#define SETUP PREFIX " setup: "
#define SERIES PREFIX " series: "
#define ROUND PREFIX " round: "
#define END PREFIX " end: "

static uint64_t fnv(uint64_t sum, const char *s)
{
	while (*s)
		sum = (sum ^ (unsigned char)*s++) * FNV_PRIME;
	return sum;
}

/* --- writing ------------------------------------------------------------------------ */

__attribute__((format(printf, 3, 4))) static void
emit(FILE *f, uint64_t *sum, const char *fmt, ...)
{
	char line[LINE_MAX_LEN];
	va_list args;

	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	*sum = fnv(*sum, line);
	fprintf(f, "%s\n", line);
}

static void write_series(const struct series *series, unsigned int s,
			 const struct primitive *primitive, FILE *f,
			 uint64_t *sum)
{
	size_t i;

	emit(f, sum, SERIES "%s %s %s %s %zu", primitive->name,
	     work_names[setting_work(s)], pin_names[setting_pin(s)],
	     burner_names[setting_burner(s)], series->count);
	for (i = 0; i < series->count; i++) {
		const struct round *r = &series->rounds[i];

		emit(f, sum,
		     ROUND "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64
			   " %" PRIu64 " %" PRIu64 " %" PRIu64,
		     r->number, r->count, r->elapsed_ns, r->p50_ns, r->lost,
		     r->backwards, r->burner_ns);
	}
	for (i = 0; i < HISTS; i++)
		tl_hist_write(&series->hist[i], f);
}

int saved_write(const struct results *results, FILE *f)
{
	uint64_t sum = FNV_BASIS;
	unsigned int s, p;

	emit(f, &sum, FIRST);
	emit(f, &sum, SETUP "%s", results->setup);
	for (s = 0; s < SETTINGS; s++)
		for (p = 0; p < PRIMITIVES; p++)
			if (results->series[s][p])
				write_series(results->series[s][p], s,
					     primitives[p], f, &sum);
	fprintf(f, END "%016" PRIx64 "\n", sum);
	/* The last line is in the buffer yet: that it fails tells why. */
	return fflush(f) ? -errno : ferror(f) ? -EIO : 0;
}

/* --- reading ------------------------------------------------------------------------ */

struct reader {
	FILE *f;
	unsigned long *line;
	uint64_t sum;
	char buf[LINE_MAX_LEN];
};

/* The next line, without its end; it must have one. */
static int next_line(struct reader *r)
{
	char *end;

	if (!fgets(r->buf, sizeof(r->buf), r->f))
		return ferror(r->f) ? -EIO : -EINVAL;
	++*r->line;
	end = strchr(r->buf, '\n');
	if (!end)
		return -EINVAL;
	*end = '\0';
	return 0;
}

/* What follows the prefix; NULL if the line has another one. */
static char *after(struct reader *r, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(r->buf, prefix, len) ? NULL : r->buf + len;
}

/* Cuts it at its blanks. There must be that many words. */
static int cut(char *text, char **words, int count)
{
	char *more;
	int i;

	for (i = 0; i < count; i++) {
		words[i] = strtok_r(i ? NULL : text, " ", &more);
		if (!words[i])
			return -EINVAL;
	}
	return strtok_r(NULL, " ", &more) ? -EINVAL : 0;
}

static int find(const char *word, const char *const *names, size_t count,
		unsigned int *out)
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (!strcmp(names[i], word)) {
			*out = (unsigned int)i;
			return 0;
		}
	}
	return -EINVAL;
}

static int read_round(struct reader *r, struct round *round)
{
	uint64_t *const fields[FIELDS_MAX] = {
		&round->number, &round->count, &round->elapsed_ns,
		&round->p50_ns, &round->lost, &round->backwards,
		&round->burner_ns,
	};
	char *words[FIELDS_MAX], *text;
	int i, err = next_line(r);

	if (err)
		return err;
	r->sum = fnv(r->sum, r->buf);
	text = after(r, ROUND);
	err = text ? cut(text, words, FIELDS_MAX) : -EINVAL;
	for (i = 0; !err && i < FIELDS_MAX; i++)
		err = tl__parse_u64(words[i], 0, UINT64_MAX / ROUNDS_MAX,
				    fields[i]);
	return err;
}

/* The histograms of a series: in ns, with as many values as its rounds have. */
static int read_hists(struct reader *r, struct series *series)
{
	struct round total = series_total(series);
	uint64_t count = 0;
	int i, err = 0;

	for (i = 0; !err && i < HISTS; i++) {
		err = tl_hist_read(&series->hist[i], r->f, r->line);
		if (err)
			break;
		if (strcmp(tl_hist_unit(&series->hist[i]), "ns"))
			err = -EINVAL;
		if (i < WAYS)
			count += tl_hist_count(&series->hist[i]);
	}
	if (err == -ENODATA || (!err && count != total.count))
		err = -EINVAL;
	return err;
}

static int read_series(struct reader *r, struct results *results, char *text)
{
	unsigned int work, pin, burner, s;
	struct series *series;
	uint64_t rounds = 0, i, next = 0;
	char *words[5];
	int primitive;

	if (cut(text, words, 5) || find(words[1], work_names, WORKS, &work) ||
	    find(words[2], pin_names, PINS, &pin) ||
	    find(words[3], burner_names, BURNERS, &burner) ||
	    tl__parse_u64(words[4], 1, ROUNDS_MAX, &rounds))
		return -EINVAL;
	primitive = primitive_find(words[0], strlen(words[0]));
	s = setting(work, pin, burner);
	if (primitive < 0 || results->series[s][primitive])
		return -EINVAL;
	for (i = 0; i < rounds; i++) {
		struct round round;
		int err = read_round(r, &round);

		/* Numbers ascend: ratios pair rounds by them. */
		if (!err && (round.number < next ||
			     round.number >= UINT32_MAX))
			err = -EINVAL;
		if (!err)
			err = results_add(results, s, (unsigned int)primitive,
					  &round, NULL);
		if (err)
			return err;
		next = round.number + 1;
	}
	series = results->series[s][primitive];
	return read_hists(r, series);
}

static int read_setup(struct reader *r, struct results *results)
{
	const char *text;
	int err = next_line(r);

	if (err)
		return err;
	if (strcmp(r->buf, FIRST))
		return -EINVAL;
	r->sum = fnv(r->sum, r->buf);
	err = next_line(r);
	if (err)
		return err;
	text = after(r, SETUP);
	if (!text || strlen(text) >= sizeof(results->setup))
		return -EINVAL;
	r->sum = fnv(r->sum, r->buf);
	strcpy(results->setup, text);
	/* It goes to terminals. */
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			return -EINVAL;
	return 0;
}

/* 1: that was the last line. */
static int read_next(struct reader *r, struct results *results)
{
	char *text, sum[17];
	int err = next_line(r);

	if (err)
		return err;
	text = after(r, END);
	if (text) {
		snprintf(sum, sizeof(sum), "%016" PRIx64, r->sum);
		return strcmp(text, sum) || getc(r->f) != EOF ? -EINVAL : 1;
	}
	r->sum = fnv(r->sum, r->buf);
	text = after(r, SERIES);
	return text ? read_series(r, results, text) : -EINVAL;
}

int saved_read(struct results *results, FILE *f, unsigned long *line)
{
	struct reader r = { .f = f, .line = line, .sum = FNV_BASIS };
	int err;

	*line = 0;
	err = read_setup(&r, results);
	while (!err)
		err = read_next(&r, results);
	if (err > 0)
		return 0;
	results_free(results);
	memset(results, 0, sizeof(*results));
	return err;
}
