/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Histograms in text files: what is read is what was written, or nothing.
 * Files are cut and changed at every byte, and some are forged, with a
 * checksum that is right, to see whether the reader believes them.
 */
#include <locale.h>
#include <unistd.h>

#include <tasklet/hist.h>

#include "base/alloc.h"
#include "../harness/tap.h"

#define TEXT_MAX (256 * 1024)

static struct tl_hist h, got, before;
static char text[TEXT_MAX], other[TEXT_MAX];
static uint64_t rnd;

static size_t write_text(const struct tl_hist *src, char *buf)
{
	FILE *f = fmemopen(buf, TEXT_MAX, "w");
	int rc = tl_hist_write(src, f);
	long len = ftell(f);

	fclose(f);
	if (rc || len <= 0)
		tap_bail("tl_hist_write: %d, %ld bytes", rc, len);
	return (size_t)len;
}

/* Reads into got, which says by a 99 whether it was touched. */
static int read_text(const char *buf, size_t len, unsigned long *line)
{
	FILE *f = len ? fmemopen((void *)(uintptr_t)buf, len, "r") :
			fopen("/dev/null", "r");
	int rc;

	tl_hist_init(&got, "before");
	tl_hist_record(&got, 99);
	*line = 0;
	rc = tl_hist_read(&got, f, line);
	fclose(f);
	if (rc && memcmp(&got, &before, sizeof(got)))
		tap_bail("an error (%d) changed the target", rc);
	return rc;
}

static bool equal(const struct tl_hist *a, const struct tl_hist *b)
{
	return !strcmp(tl_hist_unit(a), tl_hist_unit(b)) &&
	       a->count == b->count && a->sum_lo == b->sum_lo &&
	       a->sum_hi == b->sum_hi && a->max == b->max &&
	       a->min_inv == b->min_inv &&
	       !memcmp(a->bucket, b->bucket, sizeof(a->bucket));
}

static bool round_trip(const struct tl_hist *src)
{
	size_t len = write_text(src, text);
	unsigned long line, lines = 0, i;
	int rc = read_text(text, len, &line);

	for (i = 0; i < len; i++)
		lines += text[i] == '\n';
	return !rc && equal(&got, src) && line == lines;
}

static void random_hist(struct tl_hist *r, unsigned n)
{
	tl_hist_init(r, NULL);
	while (n--) {
		uint64_t v = tap_random(&rnd) >> tap_random(&rnd) % 64;

		if (tap_random(&rnd) % 4)
			tl_hist_record(r, v);
		else
			tl_hist_record_n(r, v, tap_random(&rnd) >>
						       tap_random(&rnd) % 64);
	}
}

static void test_round_trip(void)
{
	static const struct tl_hist zero;
	unsigned bad = 0, i;
	uint64_t v;

	tap_ok(round_trip(&zero), "an empty one comes back");
	for (i = 0; i < 500; i++) {
		random_hist(&h, i % 100);
		bad += !round_trip(&h);
	}
	tap_is(bad, 0, "random ones come back");
	tl_hist_init(&h, "x_Y9");
	for (v = 0; v < TL_HIST_LIMIT; v += v / 40 + 1)
		tl_hist_record_n(&h, v, UINT64_MAX - v);
	tl_hist_record(&h, UINT64_MAX);
	tap_ok(round_trip(&h), "one with all buckets, some full, comes back");
	for (i = 0; i < 3; i++)
		tl_hist_record_n(&h, UINT64_MAX, UINT64_MAX);
	tap_ok(round_trip(&h) && strstr(text, "# sum: 3402823669209384634633"
					      "74607431768211455\n"),
	       "and one with a sum of 2^128 - 1");
	tl_hist_init(&h, NULL);
	tl_hist_record_n(&h, 1, 10000000);
	tl_hist_record(&h, 2);
	tap_ok(round_trip(&h) && strstr(text, "\n1 1 10000000 0.999999\n"
					      "2 2 1 1.000000\n"),
	       "only with the last bucket the fraction is 1");
}

static void test_form(void)
{
	static const char want[] = "# tl-hist: 1\n"
				   "# count: 4\n"
				   "# unit: us\n"
				   "# min: 5\n"
				   "# max: 137438953479\n"
				   "# sum: 137438953589\n"
				   "# mean: 34359738397.250\n"
				   "# stddev: 59512812573.716\n"
				   "# p50: 5\n"
				   "# p90: 137438953479\n"
				   "# p99: 137438953479\n"
				   "# p99.9: 137438953479\n"
				   "# low high count fraction\n"
				   "5 5 2 0.500000\n"
				   "100 101 1 0.750000\n"
				   "137438953472 137438953479 1 1.000000\n"
				   "# end: ";
	size_t len;

	tl_hist_init(&h, "us");
	tl_hist_record_n(&h, 5, 2);
	tl_hist_record(&h, 100);
	tl_hist_record(&h, TL_HIST_LIMIT + 7);
	len = write_text(&h, text);
	tap_ok(!strncmp(text, want, strlen(want)), "the form is the one agreed");
	tap_is((long long)len, (long long)strlen(want) + 9, "a checksum ends it");

	if (!setlocale(LC_ALL, "de_DE.UTF-8") && !setlocale(LC_ALL, "de_DE")) {
		tap_skip("no locale with a decimal comma");
		return;
	}
	write_text(&h, other);
	setlocale(LC_ALL, "C");
	tap_ok(!strcmp(text, other), "a decimal comma does not get in");
}

static void test_cut(void)
{
	unsigned bad = 0, none = 0;
	unsigned long line;
	size_t len, i;

	random_hist(&h, 40);
	len = write_text(&h, text);
	for (i = 1; i < len; i++)
		bad += read_text(text, i, &line) != -EINVAL;
	tap_is(bad, 0, "cut off at any of %zu places it is refused", len - 1);
	none += read_text(text, 0, &line) != -ENODATA;
	none += read_text("\n\n\n", 3, &line) != -ENODATA;
	tap_is(none, 0, "nothing, or empty lines, is no data");
}

/* Neither a crash nor another histogram. */
static bool refused(const char *buf, size_t len)
{
	unsigned long line;
	int rc = read_text(buf, len, &line);

	return rc == -EINVAL || (!rc && equal(&got, &h));
}

static void test_corrupt(void)
{
	static const char subst[] = "09 \n#-+.xA";
	unsigned changed = 0, removed = 0, inserted = 0;
	size_t len, i, j;

	random_hist(&h, 25);
	len = write_text(&h, text);
	for (i = 0; i < len; i++) {
		char c = text[i];

		for (j = 0; j < 8; j++) {
			text[i] = (char)(c ^ 1 << j);
			changed += !refused(text, len);
		}
		for (j = 0; j < sizeof(subst); j++) {
			text[i] = subst[j];
			changed += !refused(text, len);
		}
		text[i] = c;
		memcpy(other, text, i);
		memcpy(other + i, text + i + 1, len - i - 1);
		removed += !refused(other, len - 1);
		memcpy(other + i + 1, text + i, len - i);
		for (j = 0; j < sizeof(subst); j++) {
			other[i] = subst[j];
			inserted += !refused(other, len + 1);
		}
	}
	tap_is(changed, 0, "a byte changed, at any place");
	tap_is(removed, 0, "a byte removed, at any place");
	tap_is(inserted, 0, "a byte inserted, at any place");
}

static uint32_t crc32(const char *s, size_t len)
{
	uint32_t crc = ~UINT32_C(0);
	int i;

	while (len--) {
		crc ^= (unsigned char)*s++;
		for (i = 0; i < 8; i++)
			crc = (crc >> 1) ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return ~crc;
}

/* The parts of a file; NULL stands for the one of the good file. */
struct forged {
	const char *what;
	unsigned long line;	/* where the error is to be found; 0: last */
	const char *first, *count, *unit, *min, *max, *sum, *mean, *columns;
	const char *rows;
};

static const struct forged good = {
	.first = "# tl-hist: 1\n",
	.count = "# count: 3\n",
	.unit = "# unit: ns\n",
	.min = "# min: 5\n",
	.max = "# max: 100\n",
	.sum = "# sum: 110\n",
	.mean = "# mean: 1.5\n",
	.columns = "# low high count fraction\n",
	.rows = "5 5 2 0.666666\n100 101 1 1.000000\n",
};

static const struct forged forged[] = {
	{ "other version", 1, .first = "# tl-hist: 2\n" },
	{ "count with a zero byte", 2, .count = "# count: 3\001\n" },
	{ "count too high", 0, .count = "# count: 4\n" },
	{ "count of 2^64", 2, .count = "# count: 18446744073709551616\n" },
	{ "count much too long", 2,
	  .count = "# count: 340282366920938463463374607431768211459\n" },
	{ "count with a sign", 2, .count = "# count: +3\n" },
	{ "count with zeros", 2, .count = "# count: 03\n" },
	{ "count with a blank", 2, .count = "# count:  3\n" },
	{ "count with a tail", 2, .count = "# count: 3x\n" },
	{ "no count", 2, .count = "" },
	{ "count without value", 2, .count = "# count: \n" },
	{ "other key", 2, .count = "# Count: 3\n" },
	{ "key twice", 3, .count = "# count: 3\n# count: 3\n" },
	{ "bad unit", 3, .unit = "# unit: n\"s\n" },
	{ "long unit", 3, .unit = "# unit: 12345678\n" },
	{ "no unit", 3, .unit = "# unit: \n" },
	{ "min not in the first bucket", 0, .min = "# min: 4\n" },
	{ "min above that", 0, .min = "# min: 6\n" },
	{ "min above max", 0, .min = "# min: 101\n" },
	{ "min above max in a full bucket", 0,
	  .count = "# count: 18446744073709551615\n", .min = "# min: 101\n",
	  .sum = "# sum: 1863121151444664713216\n",
	  .rows = "100 101 18446744073709551615 1.000000\n" },
	{ "max not in the last bucket", 0, .max = "# max: 102\n" },
	{ "max below that", 0, .max = "# max: 99\n" },
	{ "negative max", 5, .max = "# max: -1\n" },
	{ "sum too low", 0, .sum = "# sum: 109\n" },
	{ "sum too high", 0, .sum = "# sum: 111\n" },
	{ "sum of 2^128", 6,
	  .sum = "# sum: 340282366920938463463374607431768211456\n" },
	{ "sum with a tail", 6, .sum = "# sum: 110 ns\n" },
	{ "mean is no number", 7, .mean = "# mean: nan\n" },
	{ "no columns", 13, .columns = "" },
	{ "line too long", 14,
	  .rows = "5 5 2 0.6666660000000000000000000000000000000000000000000000"
		  "000000000000000000000000000000000000000000000000000000000000"
		  "00000000000000000000\n100 101 1 1.000000\n" },
	{ "empty bucket", 15,
	  .rows = "5 5 2 0.666666\n6 6 0 0.666666\n100 101 1 1.000000\n" },
	{ "no fraction", 14, .rows = "5 5 2\n100 101 1\n" },
	{ "long fraction", 14, .rows = "5 5 2 0.6666666\n" },
	{ "two blanks", 14, .rows = "5 5 2  0.666666\n" },
	{ "fifth column", 14, .rows = "5 5 2 0.666666 1\n" },
	{ "wrong start of a bucket", 15,
	  .rows = "5 5 2 0.666666\n101 101 1 1.000000\n" },
	{ "wrong end of a bucket", 15,
	  .rows = "5 5 2 0.666666\n100 102 1 1.000000\n" },
	{ "wrong order", 15,
	  .rows = "100 101 1 0.333333\n5 5 2 1.000000\n" },
	{ "a bucket twice", 15, .rows = "5 5 1 0.333333\n5 5 1 0.666666\n" },
	{ "a bucket below min", 0, .count = "# count: 4\n",
	  .max = "# max: 101\n", .sum = "# sum: 115\n",
	  .rows = "4 4 1 0.250000\n5 5 2 0.750000\n100 101 1 1.000000\n" },
	{ "overflow that does not end at max", 16, .count = "# count: 4\n",
	  .rows = "5 5 2 0.500000\n100 101 1 0.750000\n"
		  "137438953472 137438953473 1 1.000000\n" },
	{ "values but no count", 0, .count = "# count: 0\n", .min = "# min: 0\n",
	  .max = "# max: 0\n", .sum = "# sum: 0\n" },
	{ "no values but a max", 0, .count = "# count: 0\n", .min = "# min: 0\n",
	  .sum = "# sum: 0\n", .rows = "" },
	{ "no values but a min", 6, .count = "# count: 0\n", .max = "# max: 0\n",
	  .sum = "# sum: 0\n", .rows = "" },
	{ "no values but a sum", 0, .count = "# count: 0\n", .min = "# min: 0\n",
	  .max = "# max: 0\n", .rows = "" },
};

#define PART(x) (p->x ? p->x : good.x)

static size_t forge(const struct forged *p, char *buf)
{
	size_t len, i;

	len = (size_t)sprintf(buf,
			      "%s%s%s%s%s%s%s# stddev: 1.000\n"
			      "# p50: 5\n# p90: 5\n# p99: 5\n# p99.9: 5\n%s%s",
			      PART(first), PART(count), PART(unit), PART(min), PART(max),
			      PART(sum), PART(mean), PART(columns), PART(rows));
	for (i = 0; i < len; i++)
		if (buf[i] == '\001')
			buf[i] = '\0';
	return len + (size_t)sprintf(buf + len, "# end: %08x\n",
				     crc32(buf, len));
}

static void test_forged(void)
{
	unsigned long line;
	size_t len, i, k;

	len = forge(&good, text);
	if (!tap_ok(!read_text(text, len, &line) && got.count == 3 &&
			    tl_hist_max(&got) == 100,
		    "a file made by hand is read"))
		tap_diag("line %lu of:\n%s", line, text);
	for (i = 0; i < sizeof(forged) / sizeof(forged[0]); i++) {
		unsigned long want = forged[i].line;
		int rc;

		len = forge(&forged[i], text);
		for (k = 0; !forged[i].line && k < len; k++)
			want += text[k] == '\n';
		rc = read_text(text, len, &line);
		if (!tap_ok(rc == -EINVAL && line == want, "forged: %s",
			    forged[i].what))
			tap_diag("rc %d, line %lu (expected %lu) of:\n%s", rc,
				 line, want, text);
	}
}

static void test_sequence(void)
{
	static struct tl_hist a, b;
	unsigned long line = 0;
	size_t len;
	FILE *f;

	random_hist(&a, 20);
	random_hist(&b, 30);
	f = fmemopen(text, TEXT_MAX, "w");
	tl_hist_write(&a, f);
	fputs("\n\n", f);
	tl_hist_write(&b, f);
	fputs("\n# something else\n", f);
	len = (size_t)ftell(f);
	fclose(f);
	f = fmemopen(text, len, "r");
	tap_ok(!tl_hist_read(&got, f, &line) && equal(&got, &a),
	       "the first of two in a file");
	tap_ok(!tl_hist_read(&got, f, NULL) && equal(&got, &b),
	       "the second, after empty lines, with no line asked for");
	got = b;
	tap_ok(tl_hist_read(&got, f, &line) == -EINVAL && equal(&got, &b),
	       "what follows and is none");
	fclose(f);
	f = fmemopen(text, len - strlen("\n# something else\n"), "r");
	line = 0;
	while (!tl_hist_read(&got, f, &line))
		;
	tap_is(tl_hist_read(&got, f, &line), -ENODATA, "at the end: no data");
	fclose(f);
}

static void test_io_errors(void)
{
	unsigned long line;
	size_t len = write_text(&h, text);
	FILE *f = fopen("/dev/full", "w");

	errno = 77;
	tap_is(tl_hist_write(&h, f), -EIO, "a full disk shows");
	tap_is(errno, 77, "and errno does not");
	tap_is(tl_hist_write(&h, f), -EIO, "and goes on to show");
	fclose(f);
	f = fopen("/dev/null", "r");
	tap_is(tl_hist_write(&h, f), -EIO, "so does a stream not for writing");
	fclose(f);
	f = fopen("/", "r");
	got = h;
	tap_ok(tl_hist_read(&got, f, NULL) == -EIO && equal(&got, &h),
	       "a read error shows");
	fclose(f);
	tl__fault_arm(1, false);
	tap_is(read_text(text, len, &line), -ENOMEM, "no memory shows");
	tl__fault_arm(0, false);
}

int main(void)
{
	tap_plan(24 + sizeof(forged) / sizeof(forged[0]));
	rnd = tap_seed();
	tl_hist_init(&before, "before");
	tl_hist_record(&before, 99);
	test_round_trip();
	test_form();
	test_cut();
	test_corrupt();
	test_forged();
	test_sequence();
	test_io_errors();
	return tap_exit();
}
