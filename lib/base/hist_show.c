/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Histograms for people and for programs: terminal bars and JSON lines.
 *
 * Owns how numbers of a histogram are shown. The invariant: what is written
 * depends on the histogram and the arguments only, never on the locale or on
 * the kind of terminal. Holds the stream's lock for the time of a call.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/hist_priv.h"
#include "base/json.h"

/* What is worth a word of its own: the percentiles of the text and of JSON. */
static const struct {
	double p;
	const char *name;
} shown[] = { { 50, "p50" }, { 90, "p90" }, { 99, "p99" }, { 99.9, "p99.9" } };

int tl__hist_finish(FILE *f, int saved_errno)
{
	/* Only a flush makes a full disk show: not both, the flush first. */
	int bad = fflush(f) != 0;

	bad |= ferror(f) != 0;
	funlockfile(f);
	errno = saved_errno;
	return bad ? -EIO : 0;
}

char *tl__hist_dec(char buf[TL__FIXED_MAX], tl__u128 num)
{
	char *p = buf + TL__FIXED_MAX;
	size_t len;

	*--p = '\0';
	do {
		*--p = (char)('0' + (int)(num % 10));
		num /= 10;
	} while (num);
	len = (size_t)(buf + TL__FIXED_MAX - p);
	return memmove(buf, p, len);
}

char *tl__hist_fixed(char buf[TL__FIXED_MAX], tl__u128 num, tl__u128 den)
{
	tl__u128 whole = num / den;
	unsigned frac = (unsigned)((num % den * 1000 + den / 2) / den);

	if (frac == 1000) {
		frac = 0;
		whole++;
	}
	tl__hist_dec(buf, whole);
	sprintf(buf + strlen(buf), ".%03u", frac);
	return buf;
}

char *tl__hist_mean(char buf[TL__FIXED_MAX], const struct tl_hist *h)
{
	tl__u128 total = tl__hist_total(h);

	return tl__hist_fixed(buf, tl__hist_sum(h), total ? total : 1);
}

char *tl__hist_stddev(char buf[TL__FIXED_MAX], const struct tl_hist *h)
{
	tl__u128 milli = (tl__u128)(tl_hist_stddev(h) * 1000 + 0.5);

	return tl__hist_fixed(buf, milli, 1000);
}

int tl_hist_write_json(const struct tl_hist *h, const char *name,
		       const char *extra, FILE *f)
{
	static const char *const key[] = { "p50", "p90", "p99", "p999" };
	const char *unit = tl_hist_unit(h);
	char buf[TL__FIXED_MAX];
	int saved = errno;
	unsigned i;

	flockfile(f);
	fputs("{\"name\":", f);
	tl__json_write_str(f, name);
	fprintf(f, ",\"unit\":\"%s\",\"count\":%" PRIu64 ",\"min_%s\":%" PRIu64,
		unit, h->count, unit, tl_hist_min(h));
	for (i = 0; i < sizeof(key) / sizeof(key[0]); i++)
		fprintf(f, ",\"%s_%s\":%" PRIu64, key[i], unit,
			tl_hist_percentile(h, shown[i].p));
	fprintf(f, ",\"max_%s\":%" PRIu64 ",\"mean_%s\":%s", unit, h->max,
		unit, tl__hist_mean(buf, h));
	if (extra && *extra)
		fprintf(f, ",%s", extra);
	fputs("}\n", f);
	return tl__hist_finish(f, saved);
}

/* Three digits, a point and two letters: 6 columns; the rest is slack. */
#define HUMAN_MAX 16

/*
 * v in unit with three digits, cut: rounding could show the bound of a row as
 * the next power of ten, which it does not reach.
 */
static const char *hist_human(char buf[HUMAN_MAX], uint64_t v, const char *unit)
{
	static const char *const times[] = { "ns", "us", "ms", "s",  "ks",
					     "Ms", "Gs", "Ts", "Ps", "Es" };
	static const char *const other[] = { "", "k", "M", "G", "T", "P", "E" };
	const char *const *name = other;
	uint64_t div = 1;
	unsigned i, whole, cent;

	for (i = 0; i < 4; i++)
		if (!strcmp(unit, times[i]))
			name = &times[i];
	for (; v / div >= 1000; div *= 1000)
		name++;
	whole = (unsigned)(v / div);
	cent = div == 1 ? 0 : (unsigned)(v % div / (div / 100));
	if (div == 1 || whole >= 100)
		snprintf(buf, HUMAN_MAX, "%u%s", whole, *name);
	else if (whole >= 10)
		snprintf(buf, HUMAN_MAX, "%u.%u%s", whole, cent / 10, *name);
	else
		snprintf(buf, HUMAN_MAX, "%u.%02u%s", whole, cent, *name);
	return buf;
}

/* Which buckets a row takes: those from number << shift, 1 << shift of them. */
struct rows {
	unsigned first, last;
	unsigned shift;
	uint64_t most;
	unsigned digits;
};

static uint64_t row_count(const struct tl_hist *h, unsigned row, unsigned shift)
{
	unsigned i = row << shift, end = (row + 1) << shift;
	uint64_t n = 0;

	for (; i < end && i < TL_HIST_BUCKETS; i++)
		n = tl__sat_add(n, h->bucket[i]);
	return n;
}

static void rows_plan(struct rows *r, const struct tl_hist *h, unsigned rows)
{
	unsigned first = tl__hist_index(tl_hist_min(h));
	unsigned last = tl__hist_index(h->max), i;
	char buf[TL__FIXED_MAX];

	for (r->shift = 0; (last >> r->shift) - (first >> r->shift) >= rows;)
		r->shift++;
	r->first = first >> r->shift;
	r->last = last >> r->shift;
	r->most = 1;
	for (i = r->first; i <= r->last; i++) {
		uint64_t n = row_count(h, i, r->shift);

		r->most = n > r->most ? n : r->most;
	}
	r->digits = (unsigned)strlen(tl__hist_dec(buf, r->most));
	if (r->digits < strlen("count"))
		r->digits = (unsigned)strlen("count");
}

static void write_row(const struct tl_hist *h, const struct rows *r,
		      unsigned row, unsigned columns, FILE *f)
{
	const char *unit = tl_hist_unit(h);
	unsigned end = (row + 1) << r->shift;
	bool open = end < TL_HIST_BUCKETS;
	char low[HUMAN_MAX], high[HUMAN_MAX], label[96];
	uint64_t n = row_count(h, row, r->shift);
	unsigned len;

	hist_human(low, tl__hist_low(row << r->shift), unit);
	/* The row with the overflow bucket ends at a value that exists. */
	hist_human(high, open ? tl__hist_low(end) : h->max, unit);
	/* Into a buffer first: what fprintf returns in an error is no width. */
	snprintf(label, sizeof(label), "[%6s, %6s%c %*" PRIu64 " |", low, high,
		 open ? ')' : ']', (int)r->digits, n);
	fputs(label, f);
	columns -= (unsigned)strlen(label);
	len = (unsigned)((tl__u128)n * columns / r->most);
	if (n && !len)
		putc('.', f);
	while (len--)
		putc('#', f);
	putc('\n', f);
}

/* The bounds and percentiles, on as many lines as it takes. */
static void write_words(const struct tl_hist *h, unsigned columns, FILE *f)
{
	unsigned words = sizeof(shown) / sizeof(shown[0]) + 2, at = 0, i;

	for (i = 0; i < words; i++) {
		char value[HUMAN_MAX], word[32];
		const char *name = "min";
		uint64_t v = tl_hist_min(h);
		unsigned len;

		if (i == words - 1) {
			name = "max";
			v = h->max;
		} else if (i) {
			name = shown[i - 1].name;
			v = tl_hist_percentile(h, shown[i - 1].p);
		}
		snprintf(word, sizeof(word), "%s %s", name,
			 hist_human(value, v, tl_hist_unit(h)));
		len = (unsigned)strlen(word);
		if (at && at + 2 + len > columns) {
			putc('\n', f);
			at = 0;
		}
		fprintf(f, "%s%s", at ? "  " : "", word);
		at += len + (at ? 2 : 0);
	}
	putc('\n', f);
}

int tl_hist_write_bars(const struct tl_hist *h, unsigned rows,
		       unsigned columns, FILE *f)
{
	char head[sizeof("range ()") + TL_HIST_UNIT_MAX];
	int saved = errno;
	struct rows r;
	unsigned i;

	if (columns && columns < TL_HIST_COLUMNS_MIN)
		return -EINVAL;
	columns = columns ? columns : 80;
	flockfile(f);
	if (!h->count) {
		fputs("no values\n", f);
		return tl__hist_finish(f, saved);
	}
	rows_plan(&r, h, rows ? rows : 20);
	snprintf(head, sizeof(head), "range (%s)", tl_hist_unit(h));
	fprintf(f, "%-16s %*s\n", head, (int)r.digits, "count");
	for (i = r.first; i <= r.last; i++)
		write_row(h, &r, i, columns, f);
	write_words(h, columns, f);
	return tl__hist_finish(f, saved);
}
