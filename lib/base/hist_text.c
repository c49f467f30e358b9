/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Histograms as text files: written for gnuplot and read back.
 *
 * Owns the format, version 1. The invariants: what is read is exactly what was
 * written, or nothing; a file is recognised as whole by the checksum in its
 * last line, which covers all lines before it, so that no single changed byte
 * and no cut-off line passes for another histogram. The derived head lines
 * (mean to p99.9) are for readers of the file and are not read back: they
 * follow from the rest. Holds the stream's lock for the time of a call.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hist_priv.h"

/* No line of the format is as long: three numbers of 20 digits, or sum's 39. */
#define LINE_LEN_MAX 128

#define TEXT_FIRST "# tl-hist: 1"
#define TEXT_COLUMNS "# low high count fraction"
#define TEXT_LAST "# end: "

/* CRC-32 as in zlib, by the bit: a file is at most some 70 kB. */
static uint32_t crc32_add(uint32_t crc, const char *s, size_t len)
{
	int bit;

	crc = ~crc;
	while (len--) {
		crc ^= (unsigned char)*s++;
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return ~crc;
}

struct writer {
	FILE *f;
	uint32_t crc;
};

__attribute__((format(printf, 2, 3))) static void
emit(struct writer *w, const char *fmt, ...)
{
	char line[LINE_LEN_MAX];
	va_list args;
	size_t len;

	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	len = strlen(line);
	w->crc = crc32_add(w->crc, line, len);
	fwrite(line, 1, len, w->f);
}

int tl_hist_write(const struct tl_hist *h, FILE *f)
{
	struct tl_hist_cursor c = { 0 };
	struct writer w = { .f = f };
	tl__u128 total = tl__hist_total(h), seen = 0;
	char buf[TL__FIXED_MAX];
	int saved = errno;

	flockfile(f);
	emit(&w, TEXT_FIRST "\n");
	emit(&w, "# count: %" PRIu64 "\n", h->count);
	emit(&w, "# unit: %s\n", tl_hist_unit(h));
	emit(&w, "# min: %" PRIu64 "\n", tl_hist_min(h));
	emit(&w, "# max: %" PRIu64 "\n", h->max);
	emit(&w, "# sum: %s\n", tl__hist_dec(buf, tl__hist_sum(h)));
	emit(&w, "# mean: %s\n", tl__hist_mean(buf, h));
	emit(&w, "# stddev: %s\n", tl__hist_stddev(buf, h));
	emit(&w, "# p50: %" PRIu64 "\n", tl_hist_percentile(h, 50));
	emit(&w, "# p90: %" PRIu64 "\n", tl_hist_percentile(h, 90));
	emit(&w, "# p99: %" PRIu64 "\n", tl_hist_percentile(h, 99));
	emit(&w, "# p99.9: %" PRIu64 "\n", tl_hist_percentile(h, 99.9));
	emit(&w, TEXT_COLUMNS "\n");
	while (tl_hist_next(h, &c)) {
		unsigned micro;

		/* Cut, so that only the last line can say 1. */
		seen += c.count;
		micro = (unsigned)(seen * 1000000 / total);
		emit(&w, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %u.%06u\n", c.low,
		     c.high, c.count, micro / 1000000, micro % 1000000);
	}
	emit(&w, TEXT_LAST "%08" PRIx32 "\n", w.crc);
	return tl__hist_finish(f, saved);
}

struct reader {
	FILE *f;
	unsigned long line;
	uint32_t crc;		/* of this histogram's lines before this one */
	size_t len;
	char buf[LINE_LEN_MAX];
};

/*
 * The next line, its newline cut off. 0, -ENODATA at the end of the input
 * (before any character of a line), -EIO, or -EINVAL for what can be no line
 * of ours: too long, a zero byte, no newline at its end.
 */
static int read_line(struct reader *r)
{
	int c;

	r->len = 0;
	r->line++;
	while ((c = getc(r->f)) != '\n') {
		if (c == EOF && ferror(r->f))
			return -EIO;
		if (c == EOF && !r->len)
			return -ENODATA;
		if (c == EOF || !c || r->len == sizeof(r->buf) - 1)
			return -EINVAL;
		r->buf[r->len++] = (char)c;
	}
	r->buf[r->len] = '\0';
	return 0;
}

/* The next line of a histogram: it has to be there. */
static int need_line(struct reader *r)
{
	int rc;

	r->crc = crc32_add(r->crc, r->buf, r->len);
	r->crc = crc32_add(r->crc, "\n", 1);
	rc = read_line(r);
	return rc == -ENODATA ? -EINVAL : rc;
}

/* Takes a decimal number of up to max off *s; no sign, no leading zeros. */
static bool take_num(const char **s, tl__u128 max, tl__u128 *out)
{
	const char *p = *s;
	tl__u128 v = 0;

	if (p[0] == '0' && p[1] >= '0' && p[1] <= '9')
		return false;
	for (; *p >= '0' && *p <= '9'; p++) {
		unsigned digit = (unsigned)(*p - '0');

		if (v > (max - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	if (p == *s)
		return false;
	*s = p;
	*out = v;
	return true;
}

/* The same, with the character that has to come after it; '\0' is not taken. */
static bool take_u64(const char **s, char after, uint64_t *out)
{
	tl__u128 v;

	if (!take_num(s, UINT64_MAX, &v) || **s != after)
		return false;
	*s += after != '\0';
	*out = (uint64_t)v;
	return true;
}

/* Reads "# key: value"; *value is the rest of the line. */
static int read_key(struct reader *r, const char *key, const char **value)
{
	size_t len = strlen(key);
	int rc = need_line(r);

	if (rc)
		return rc;
	if (strncmp(r->buf, "# ", 2) || strncmp(r->buf + 2, key, len) ||
	    strncmp(r->buf + 2 + len, ": ", 2))
		return -EINVAL;
	*value = r->buf + len + 4;
	return 0;
}

static int read_u64_key(struct reader *r, const char *key, uint64_t *out)
{
	const char *value;
	int rc = read_key(r, key, &value);

	if (rc)
		return rc;
	return take_u64(&value, '\0', out) ? 0 : -EINVAL;
}

/* The lines from "count" to "sum", into an h that is all zero. */
static int read_exact(struct reader *r, struct tl_hist *h)
{
	const char *value;
	uint64_t min = 0;
	tl__u128 sum;
	int rc;

	rc = read_u64_key(r, "count", &h->count);
	if (!rc)
		rc = read_key(r, "unit", &value);
	if (!rc && !tl__hist_unit_ok(value))
		rc = -EINVAL;
	if (!rc) {
		memcpy(h->unit, value, strlen(value) + 1);
		rc = read_u64_key(r, "min", &min);
	}
	if (!rc)
		rc = read_u64_key(r, "max", &h->max);
	if (!rc)
		rc = read_key(r, "sum", &value);
	if (rc)
		return rc;
	if (!take_num(&value, TL__U128_MAX, &sum) || *value)
		return -EINVAL;
	h->min_inv = h->count ? ~min : 0;
	if (!h->count && min)
		return -EINVAL;
	tl__hist_set_sum(h, sum);
	return 0;
}

/* The lines from "mean" to the names of the columns. */
static int read_derived(struct reader *r)
{
	static const char *const keys[] = { "mean", "stddev", "p50",
					    "p90",  "p99",    "p99.9" };
	const char *value;
	size_t i;
	int rc;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		rc = read_key(r, keys[i], &value);
		if (rc)
			return rc;
		/* mean and stddev have a point; all else is up to the crc. */
		if (!*value || value[strspn(value, "0123456789.")])
			return -EINVAL;
	}
	rc = need_line(r);
	if (rc)
		return rc;
	return strcmp(r->buf, TEXT_COLUMNS) ? -EINVAL : 0;
}

/* One bucket; *next is the least one that may come. */
static int parse_bucket(const char *s, struct tl_hist *h, unsigned *next)
{
	uint64_t low, high, count;
	unsigned i;

	if (!take_u64(&s, ' ', &low) || !take_u64(&s, ' ', &high) ||
	    !take_u64(&s, ' ', &count))
		return -EINVAL;
	if ((s[0] != '0' && s[0] != '1') || s[1] != '.' ||
	    strspn(s + 2, "0123456789") != 6 || s[8])
		return -EINVAL;
	i = tl__hist_index(low);
	if (i < *next || low != tl__hist_low(i) || !count)
		return -EINVAL;
	if (high != (i == TL__HIST_OVERFLOW ? h->max : tl__hist_high(i)))
		return -EINVAL;
	h->bucket[i] = count;
	*next = i + 1;
	return 0;
}

/* The buckets, and the last line, whose checksum has to be the right one. */
static int read_buckets(struct reader *r, struct tl_hist *h)
{
	const size_t skip = strlen(TEXT_LAST);
	unsigned next = 0;
	char crc[9];
	int rc;

	for (;;) {
		rc = need_line(r);
		if (rc)
			return rc;
		if (!strncmp(r->buf, TEXT_LAST, skip))
			break;
		rc = parse_bucket(r->buf, h, &next);
		if (rc)
			return rc;
	}
	snprintf(crc, sizeof(crc), "%08" PRIx32, r->crc);
	return strcmp(r->buf + skip, crc) ? -EINVAL : 0;
}

/*
 * Whether head and buckets can belong together. The checksum is against
 * accidents; this keeps a file made by hand from breaking what the functions
 * on histograms rely on.
 */
static bool consistent(const struct tl_hist *h)
{
	uint64_t min = tl_hist_min(h), max = h->max;
	tl__u128 total = tl__hist_total(h), least = 0, most = 0;
	unsigned i;

	if (h->count != (total > UINT64_MAX ? UINT64_MAX : (uint64_t)total))
		return false;
	if (!h->count)
		return !max && !tl__hist_sum(h);
	if (min > max || !h->bucket[tl__hist_index(min)] ||
	    !h->bucket[tl__hist_index(max)])
		return false;
	for (i = 0; i < TL_HIST_BUCKETS; i++) {
		uint64_t low = tl__hist_low(i), high = tl__hist_high(i);
		tl__u128 n = h->bucket[i];

		if (!n)
			continue;
		/* This is where a bucket outside of min..max is noticed. */
		if (high < min || low > max)
			return false;
		low = low > min ? low : min;
		high = high < max ? high : max;
		least = tl__sat_add128(least, n * low);
		most = tl__sat_add128(most, n * high);
		/* A full bucket stands for any number of values more. */
		if (n == UINT64_MAX)
			most = TL__U128_MAX;
	}
	return tl__hist_sum(h) >= least && tl__hist_sum(h) <= most;
}

static int read_all(struct reader *r, struct tl_hist *h)
{
	int rc;

	do {
		rc = read_line(r);
	} while (!rc && !r->len);
	if (rc)
		return rc;
	if (strcmp(r->buf, TEXT_FIRST))
		return -EINVAL;
	rc = read_exact(r, h);
	if (!rc)
		rc = read_derived(r);
	if (!rc)
		rc = read_buckets(r, h);
	if (rc)
		return rc;
	return consistent(h) ? 0 : -EINVAL;
}

int tl_hist_read(struct tl_hist *h, FILE *f, unsigned long *line)
{
	struct reader r = { .f = f };
	int saved = errno, rc;
	struct tl_hist *tmp;

	/* Not on the stack, which may be a small one of a tasklet. */
	tmp = tl__calloc(1, sizeof(*tmp));
	if (!tmp)
		return -ENOMEM;
	flockfile(f);
	rc = read_all(&r, tmp);
	funlockfile(f);
	if (!rc)
		memcpy(h, tmp, sizeof(*h));
	tl__free(tmp);
	if (line)
		*line += r.line;
	errno = saved;
	return rc;
}
