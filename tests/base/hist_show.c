/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Histograms as JSON lines and as bars: the exact output for small ones, and
 * what holds for every output for random ones.
 */
#include <unistd.h>

#include <tasklet/hist.h>

#include "base/json.h"
#include "../harness/tap.h"

#define OUT_MAX (1024 * 1024)

static struct tl_hist h;
static char out[OUT_MAX];
static uint64_t rnd;

static const char *json(const char *name, const char *extra)
{
	FILE *f = fmemopen(out, sizeof(out), "w");

	if (tl_hist_write_json(&h, name, extra, f))
		tap_bail("tl_hist_write_json");
	fclose(f);
	return out;
}

static const char *json_str(const char *s)
{
	FILE *f = fmemopen(out, sizeof(out), "w");

	tl__json_write_str(f, s);
	fclose(f);
	return out;
}

static const char *bars(unsigned rows, unsigned columns)
{
	FILE *f = fmemopen(out, sizeof(out), "w");

	if (tl_hist_write_bars(&h, rows, columns, f))
		tap_bail("tl_hist_write_bars");
	fclose(f);
	return out;
}

static void is(const char *got, const char *want, const char *what)
{
	if (!tap_ok(!strcmp(got, want), "%s", what))
		tap_diag("got:\n%s\nexpected:\n%s", got, want);
}

static void test_json(void)
{
	tl_hist_init(&h, NULL);
	is(json("x", NULL),
	   "{\"name\":\"x\",\"unit\":\"ns\",\"count\":0,\"min_ns\":0,"
	   "\"p50_ns\":0,\"p90_ns\":0,\"p99_ns\":0,\"p999_ns\":0,\"max_ns\":0,"
	   "\"mean_ns\":0.000}\n",
	   "an empty one as JSON");
	tl_hist_init(&h, "us");
	tl_hist_record_n(&h, 10, 95);
	tl_hist_record_n(&h, 20, 4);
	tl_hist_record(&h, 1000);
	is(json("a \"b\"", "\"lost\":3,\"pid\":1"),
	   "{\"name\":\"a \\\"b\\\"\",\"unit\":\"us\",\"count\":100,\"min_us\":10,"
	   "\"p50_us\":10,\"p90_us\":10,\"p99_us\":20,\"p999_us\":1000,"
	   "\"max_us\":1000,\"mean_us\":20.300,\"lost\":3,\"pid\":1}\n",
	   "and another, in us and with more members");
	tl_hist_reset(&h);
	tl_hist_record_n(&h, UINT64_MAX, UINT64_MAX / 2);
	tl_hist_record_n(&h, UINT64_MAX - 1, UINT64_MAX / 2);
	tap_ok(strstr(json("", ""), "\"count\":18446744073709551614,") &&
		       strstr(out, "\"mean_us\":18446744073709551614.500}"),
	       "the greatest numbers are written out");
	tl_hist_reset(&h);
	tl_hist_record_n(&h, 0, 2001);
	tl_hist_record_n(&h, 1, 1999);
	tap_ok(strstr(json("", NULL), "\"mean_us\":0.500}"), "0.49975 is 0.5");
	tl_hist_record_n(&h, 1, UINT64_C(1) << 40);
	tap_ok(strstr(json("", NULL), "\"mean_us\":1.000}"), "0.9999 is 1");
}

static void test_escapes(void)
{
	static const char *const cases[][2] = {
		{ "", "\"\"" },
		{ "\"\\/", "\"\\\"\\\\/\"" },
		{ "\b\f\n\r\t", "\"\\b\\f\\n\\r\\t\"" },
		{ "\001\037\177", "\"\\u0001\\u001f\\u007f\"" },
		{ "\303\274 \342\202\254 \360\237\220\247",
		  "\"\303\274 \342\202\254 \360\237\220\247\"" },
		{ "a\377b", "\"a\\ufffdb\"" },
		{ "\300\200", "\"\\ufffd\\ufffd\"" },
		{ "\355\240\200", "\"\\ufffd\\ufffd\\ufffd\"" },
		{ "\364\220\200\200", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"" },
		{ "\342\202", "\"\\ufffd\\ufffd\"" },
		{ "\342\"", "\"\\ufffd\\\"\"" },
	};
	unsigned i, bad = 0;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (strcmp(json_str(cases[i][0]), cases[i][1]) && !bad++)
			tap_diag("case %u: got %s, expected %s", i, out,
				 cases[i][1]);
	tap_is(bad, 0, "strings are escaped");
}

/*
 * Whether all of s is UTF-8, by the table of the Unicode standard (3-7): the
 * ranges of the first and of the second byte, and how many follow the first.
 */
static bool is_utf8(const char *s)
{
	static const unsigned char rows[][5] = {
		{ 0x00, 0x7f, 0, 0, 0 },       { 0xc2, 0xdf, 0x80, 0xbf, 1 },
		{ 0xe0, 0xe0, 0xa0, 0xbf, 2 }, { 0xe1, 0xec, 0x80, 0xbf, 2 },
		{ 0xed, 0xed, 0x80, 0x9f, 2 }, { 0xee, 0xef, 0x80, 0xbf, 2 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 3 }, { 0xf1, 0xf3, 0x80, 0xbf, 3 },
		{ 0xf4, 0xf4, 0x80, 0x8f, 3 },
	};
	const unsigned char *p = (const unsigned char *)s;
	unsigned i, k;

	while (*p) {
		for (i = 0; i < 9; i++)
			if (*p >= rows[i][0] && *p <= rows[i][1])
				break;
		if (i == 9)
			return false;
		if (rows[i][4] && (p[1] < rows[i][2] || p[1] > rows[i][3]))
			return false;
		for (k = 2; k <= rows[i][4]; k++)
			if (p[k] < 0x80 || p[k] > 0xbf)
				return false;
		p += 1 + rows[i][4];
	}
	return true;
}

static void test_random_bytes(void)
{
	static const unsigned char lead[] = { 0xc2, 0xe0, 0xed, 0xef, 0xf0,
					      0xf4, 0xf5, 0x80, 0x8f, 0x90,
					      0x9f, 0xa0, 0xbf, 0xc0, 0xff };
	unsigned invalid = 0, control = 0, lost = 0, i, j;
	char in[9];
	char *p;

	for (i = 0; i < 300000; i++) {
		unsigned n = (unsigned)(tap_random(&rnd) % sizeof(in));
		bool valid;

		for (j = 0; j < n; j++)
			in[j] = (char)(tap_random(&rnd) % 4 ?
					       lead[tap_random(&rnd) %
						    sizeof(lead)] :
					       tap_random(&rnd) % 255 + 1);
		in[n] = '\0';
		valid = is_utf8(in);
		json_str(in);
		invalid += !is_utf8(out);
		for (p = out; *p; p++)
			control += (unsigned char)*p < 0x20;
		lost += valid == !!strstr(out, "\\ufffd");
	}
	tap_is(invalid, 0, "random bytes come out as UTF-8");
	tap_is(control, 0, "without control characters");
	tap_is(lost, 0, "and what was valid UTF-8 is kept, and only that");
}

static void test_bars(void)
{
	unsigned i;

	tl_hist_init(&h, NULL);
	is(bars(0, 0), "no values\n", "the bars of an empty one");
	for (i = 0; i < 40; i++)
		tl_hist_record_n(&h, 1000 + 25 * i, i + 1);
	tl_hist_record(&h, 64000);
	is(bars(8, 60),
	   "range (ns)       count\n"
	   "[ 512ns, 1.02us)     1 |.\n"
	   "[1.02us, 2.04us)   819 |####################################\n"
	   "[2.04us, 4.09us)     0 |\n"
	   "[4.09us, 8.19us)     0 |\n"
	   "[8.19us, 16.3us)     0 |\n"
	   "[16.3us, 32.7us)     0 |\n"
	   "[32.7us, 65.5us)     1 |.\n"
	   "min 1.00us  p50 1.72us  p90 1.95us  p99 1.98us  p99.9 64.0us\n"
	   "max 64.0us\n",
	   "bars of an octave each");
	tl_hist_init(&h, "ms");
	tl_hist_record(&h, 250);
	tl_hist_record(&h, 1500);
	is(bars(1, 48),
	   "range (ms)       count\n"
	   "[   0ms,  4.09s)     2 |########################\n"
	   "min 250ms  p50 251ms  p90 1.50s  p99 1.50s\n"
	   "p99.9 1.50s  max 1.50s\n",
	   "one row, of ms and s");
	tl_hist_init(&h, "bytes");
	tl_hist_record_n(&h, 5, 3);
	tl_hist_record_n(&h, 7, 12345678);
	tl_hist_record(&h, TL_HIST_LIMIT - 1);
	tl_hist_record_n(&h, UINT64_MAX, 2);
	is(bars(1, 48),
	   "range (bytes)       count\n"
	   "[     0,  18.4E] 12345684 |#####################\n"
	   "min 5  p50 7  p90 7  p99 7  p99.9 7  max 18.4E\n",
	   "one row, of no time, and the overflow in it");
}

/* What is true of any bars. */
static bool bars_fit(unsigned rows, unsigned columns)
{
	unsigned n = 0;
	uint64_t sum = 0;
	const char *line, *end;
	size_t most = 0, widest = 0;

	bars(rows, columns);
	for (line = out; *line; line = end + 1) {
		end = strchr(line, '\n');
		if ((size_t)(end - line) > most)
			most = (size_t)(end - line);
		if (end > line && end[-1] == ' ')
			return false;
		if (*line != '[')
			continue;
		n++;
		sum += strtoull(line + 16, NULL, 10);
		if (strchr(line, '|')[-2] == ' ')
			return false;
		if (*strchr(line, '|') && end[-1] == '#' &&
		    (size_t)(end - line) > widest)
			widest = (size_t)(end - line);
	}
	return n && n <= (rows ? rows : 20) && sum == tl_hist_count(&h) &&
	       most <= (columns ? columns : 80) &&
	       widest == (columns ? columns : 80);
}

static void test_random_bars(void)
{
	static const char *const units[] = { "ns", "us", "ms", "s", "x234567" };
	unsigned bad = 0, i, n;

	for (i = 0; i < 3000; i++) {
		unsigned rows = (unsigned)(tap_random(&rnd) % 60);
		unsigned columns = (unsigned)(tap_random(&rnd) % 150);

		if (columns && columns < TL_HIST_COLUMNS_MIN)
			columns = TL_HIST_COLUMNS_MIN;
		tl_hist_init(&h, units[i % 5]);
		for (n = 1 + (unsigned)(tap_random(&rnd) % 100); n--;)
			tl_hist_record_n(&h,
					 tap_random(&rnd) >>
						 tap_random(&rnd) % 64,
					 (tap_random(&rnd) >> 7) >>
						 tap_random(&rnd) % 57);
		if (!tl_hist_count(&h))
			continue;
		if (!bars_fit(rows, columns) && !bad++)
			tap_diag("%u rows, %u columns:\n%s", rows, columns,
				 out);
	}
	tap_is(bad, 0, "bars keep to rows and columns and lose no count");
	tap_is(tl_hist_write_bars(&h, 0, TL_HIST_COLUMNS_MIN - 1, stdout),
	       -EINVAL, "too narrow is refused");
}

static void test_errors(void)
{
	FILE *f = fopen("/dev/full", "w");

	errno = 77;
	tl_hist_init(&h, NULL);
	tl_hist_record(&h, 1);
	tap_is(tl_hist_write_json(&h, "x", NULL, f), -EIO,
	       "a full disk shows in JSON");
	fclose(f);
	f = fopen("/dev/full", "w");
	/* Unbuffered, so that each single output fails. */
	setvbuf(f, NULL, _IONBF, 0);
	errno = 77;
	tap_is(tl_hist_write_bars(&h, 0, 0, f), -EIO, "and in bars");
	tap_is(errno, 77, "and errno does not");
	fclose(f);
}

int main(void)
{
	tap_plan(18);
	rnd = tap_seed();
	test_json();
	test_escapes();
	test_random_bytes();
	test_bars();
	test_random_bars();
	test_errors();
	return tap_exit();
}
