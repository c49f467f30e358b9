/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The histogram's numbers, against what they are said to be: bucket bounds one
 * by one, quantiles against a sorted array, saturation, merging. Uses the
 * public functions only.
 */
#include <math.h>

#include <tasklet/hist.h>

#include "../harness/tap.h"

#define N_MAX 5000

static struct tl_hist zero, h, h2, h3;
static uint64_t rnd;

/* Small, medium and huge values alike: uniform in the number of bits. */
static uint64_t random_value(unsigned max_bits)
{
	unsigned bits = (unsigned)(tap_random(&rnd) % (max_bits + 1));

	return bits ? tap_random(&rnd) >> (64 - bits) : 0;
}

/* The one bucket that v lands in. */
static bool bucket_of(uint64_t v, struct tl_hist_cursor *c)
{
	memset(c, 0, sizeof(*c));
	tl_hist_reset(&h);
	tl_hist_record(&h, v);
	return tl_hist_next(&h, c) == 1 && c->count == 1;
}

static bool same_bucket(uint64_t a, uint64_t b)
{
	struct tl_hist_cursor ca, cb;

	return bucket_of(a, &ca) && bucket_of(b, &cb) && ca.next == cb.next;
}

static void test_bounds(void)
{
	unsigned buckets = 0, bad = 0, wide = 0, inexact = 0;
	struct tl_hist_cursor c;
	uint64_t v = 0;

	/* Each bucket's end tells where the next one has to begin. */
	while (v < TL_HIST_LIMIT && buckets < 2000) {
		if (!bucket_of(v, &c) || c.low != v || c.high < c.low)
			break;
		wide += (c.high - c.low + 1) * 32 > c.low && c.low >= 64;
		inexact += c.low < 64 && c.high != c.low;
		bad += !same_bucket(c.low, c.high) ||
		       !same_bucket(c.low, (c.low + c.high) / 2) ||
		       same_bucket(c.high, c.high + 1);
		buckets++;
		v = c.high + 1;
	}
	tap_ok(v == TL_HIST_LIMIT, "buckets follow each other without a gap");
	tap_is(buckets, TL_HIST_BUCKETS - 1, "and there are as many as said");
	tap_is(wide, 0, "none from 64 up is wider than 1/32 of its start");
	tap_is(inexact, 0, "below 64 each value has its own");
	tap_is(bad, 0, "first, middle and last value share it, the next not");
	tap_ok(TL_HIST_LIMIT > UINT64_C(100000000000), "100 s are in range");
}

static void test_octaves(void)
{
	unsigned e, bad = 0;
	int d;

	for (e = 0; e < 64; e++) {
		for (d = -1; d <= 1; d++) {
			uint64_t v = (UINT64_C(1) << e) + (uint64_t)d;
			struct tl_hist_cursor c;
			uint64_t q;

			bad += !bucket_of(v, &c) || v < c.low || v > c.high;
			bad += tl_hist_min(&h) != v || tl_hist_max(&h) != v;
			/* Alone it is exact, with a greater one within 1/32. */
			bad += tl_hist_percentile(&h, 50) != v;
			tl_hist_record(&h, UINT64_MAX);
			q = tl_hist_percentile(&h, 50);
			bad += q < v;
			bad += v < TL_HIST_LIMIT ? q - v > v / 32 :
						   q != UINT64_MAX;
		}
	}
	tap_is(bad, 0, "values around each power of two are in their bucket");
	tl_hist_reset(&h);
	tl_hist_record(&h, TL_HIST_LIMIT - 1);
	tap_ok(tl_hist_overflow(&h) == 0, "the last value in range is in range");
	tl_hist_record(&h, TL_HIST_LIMIT);
	tl_hist_record(&h, TL_HIST_LIMIT + 12345);
	tap_ok(tl_hist_overflow(&h) == 2, "and those above are overflow");
	tap_ok(tl_hist_max(&h) == TL_HIST_LIMIT + 12345,
	       "of which the greatest is exact");
}

static void test_empty(void)
{
	struct tl_hist_cursor c = { 0 };

	tap_ok(!tl_hist_count(&zero) && !tl_hist_min(&zero) &&
		       !tl_hist_max(&zero) && !tl_hist_sum(&zero) &&
		       !tl_hist_overflow(&zero),
	       "a zeroed one is empty");
	tap_ok(tl_hist_mean(&zero) == 0 && tl_hist_stddev(&zero) == 0,
	       "and has no mean and no deviation");
	tap_ok(!tl_hist_percentile(&zero, 0) && !tl_hist_percentile(&zero, 50) &&
		       !tl_hist_percentile(&zero, 100),
	       "and quantiles of 0");
	tap_is(tl_hist_next(&zero, &c), 0, "and no bucket");
	tap_ok(!strcmp(tl_hist_unit(&zero), "ns"), "and counts ns");
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Quantiles in thousandths of a percent against the array's. */
static unsigned wrong_quantiles(const uint64_t *v, size_t n)
{
	unsigned bad = 0, mp;

	for (mp = 0; mp <= 100000; mp += mp % 1000 == 999 ? 1 : 111) {
		size_t rank = (n * mp + 99999) / 100000;
		uint64_t want = v[rank ? rank - 1 : 0];
		uint64_t got = tl_hist_percentile(&h, mp / 1000.0);
		bool ok = got >= want && got <= v[n - 1];

		if (want < TL_HIST_LIMIT)
			ok = ok && got - want <= want / 32;
		else
			ok = ok && got == v[n - 1];
		if (!mp)
			ok = ok && got == want;
		if (!ok && !bad++)
			tap_diag("p%u/1000 of %zu: got %llu, is %llu", mp, n,
				 (unsigned long long)got,
				 (unsigned long long)want);
	}
	return bad;
}

/* Whether r is sqrt(v), give or take tol; without libm. */
static bool root_of(long double v, long double r, long double tol)
{
	long double low = r > tol ? r - tol : 0;

	return low * low <= v && v <= (r + tol) * (r + tol);
}

static void fill(uint64_t *v, size_t n, unsigned bits)
{
	size_t i;

	tl_hist_reset(&h);
	for (i = 0; i < n; i++) {
		v[i] = random_value(bits);
		tl_hist_record(&h, v[i]);
	}
	qsort(v, n, sizeof(*v), by_value);
}

static void test_oracle(void)
{
	static const unsigned bits[] = { 1, 6, 7, 20, 37, 38, 64 };
	static uint64_t v[N_MAX];
	unsigned bad = 0, exact = 0, moments = 0, i, round;

	for (round = 0; round < 20; round++) {
		for (i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
			size_t n = 1 + tap_random(&rnd) % N_MAX, k;
			long double sum = 0, var = 0, mean, tol;
			uint64_t sum64 = 0;

			fill(v, n, bits[i]);
			bad += wrong_quantiles(v, n);
			for (k = 0; k < n; k++) {
				sum += v[k];
				sum64 += v[k];
			}
			mean = sum / (long double)n;
			for (k = 0; k < n; k++)
				var += (v[k] - mean) * (v[k] - mean);
			var /= (long double)n;
			exact += tl_hist_count(&h) != n ||
				 tl_hist_min(&h) != v[0] ||
				 tl_hist_max(&h) != v[n - 1];
			if (bits[i] < 50)
				exact += tl_hist_sum(&h) != sum64;
			exact += fabsl(tl_hist_mean(&h) - mean) > mean * 1e-12L;
			/* Each value is off by at most 1/64 of the greatest. */
			tol = v[n - 1] / 64.0L + 1e-9L;
			if (bits[i] <= 6)
				tol = 1e-9L;
			if (bits[i] <= 37)
				moments += !root_of(var, tl_hist_stddev(&h),
						    tol);
		}
	}
	tap_is(bad, 0, "quantiles are those of the sorted values, within 1/32");
	tap_is(exact, 0, "count, sum, mean and bounds are exact");
	tap_is(moments, 0, "the deviation is within the buckets' error");
}

static void test_percentile_edges(void)
{
	unsigned i;

	tl_hist_reset(&h);
	for (i = 0; i < 999; i++)
		tl_hist_record(&h, 10);
	tl_hist_record(&h, 50);
	tap_ok(tl_hist_percentile(&h, 99.9) == 10, "p99.9 of 1000 is the 999th");
	tap_ok(tl_hist_percentile(&h, 99.900000001) == 50, "and a bit more not");
	tap_ok(tl_hist_percentile(&h, -1) == 10 &&
		       tl_hist_percentile(&h, (double)NAN) == 10 &&
		       tl_hist_percentile(&h, 1e-300) == 10 &&
		       tl_hist_percentile(&h, (double)-INFINITY) == 10,
	       "0, less, next to nothing and no number are the minimum");
	tap_ok(tl_hist_percentile(&h, 100) == 50 &&
		       tl_hist_percentile(&h, 1e300) == 50 &&
		       tl_hist_percentile(&h, (double)INFINITY) == 50,
	       "100 and more are the maximum");

	/* In binary 33.3 is a little less. */
	tl_hist_reset(&h);
	tl_hist_record_n(&h, 1, UINT64_C(333000000000) - 1);
	tl_hist_record_n(&h, 2, UINT64_C(667000000000) + 1);
	tap_ok(tl_hist_percentile(&h, 33.3) == 2, "33.3 percent is meant so");

	tl_hist_reset(&h);
	tl_hist_record_n(&h, 1, UINT64_C(1) << 63);
	tl_hist_record_n(&h, 2, (UINT64_C(1) << 63) - 1);
	tap_ok(tl_hist_count(&h) == UINT64_MAX, "2^64 - 1 values");
	tap_ok(tl_hist_percentile(&h, 50) == 1, "have their exact median");
	tap_ok(tl_hist_percentile(&h, 50.000000001) == 2, "and the next one");
	tap_ok(fabs(tl_hist_mean(&h) - 1.5) < 1e-12, "and mean");
	tap_ok(fabs(tl_hist_stddev(&h) - 0.5) < 1e-12, "and deviation");
}

static void test_deviation(void)
{
	unsigned i, bad = 0;

	for (i = 0; i < 1000; i++) {
		tl_hist_reset(&h);
		tl_hist_record_n(&h, random_value(64), random_value(64));
		bad += tl_hist_stddev(&h) != 0;
	}
	tap_is(bad, 0, "one value many times does not deviate");
	/* The last value of a bucket and the first of another. */
	tl_hist_reset(&h);
	tl_hist_record_n(&h, 1055, 1000);
	tl_hist_record_n(&h, 2112, 1000);
	tap_ok(fabs(tl_hist_stddev(&h) - 528.5) < 1e-9,
	       "the outermost values are taken for what they are");
}

static void test_saturation(void)
{
	struct tl_hist_cursor c = { 0 };

	tl_hist_reset(&h);
	tl_hist_record_n(&h, 5, UINT64_MAX);
	tl_hist_record_n(&h, 5, UINT64_MAX);
	tl_hist_record(&h, 5);
	tap_ok(tl_hist_count(&h) == UINT64_MAX, "the count stops at its top");
	tap_ok(tl_hist_next(&h, &c) == 1 && c.count == UINT64_MAX,
	       "and so does the bucket's");
	tl_hist_record_n(&h, 7, UINT64_MAX - 1);
	tl_hist_record(&h, 7);
	tap_ok(tl_hist_percentile(&h, 50) == 5 &&
		       tl_hist_percentile(&h, 50.000001) == 7,
	       "more than 2^64 values still have a median");
	tap_ok(tl_hist_sum(&h) == UINT64_MAX, "the sum stops as well");
	tl_hist_record(&h, 3);
	tap_ok(tl_hist_min(&h) == 3, "the minimum still follows");

	tl_hist_reset(&h);
	tl_hist_record_n(&h, UINT64_MAX, UINT64_MAX);
	tap_ok(tl_hist_mean(&h) == (double)UINT64_MAX, "2^128 is in reach");
	tl_hist_record_n(&h, UINT64_MAX, UINT64_MAX);
	tl_hist_record_n(&h, UINT64_MAX, UINT64_MAX);
	tl_hist_record(&h, UINT64_MAX);
	tap_ok(tl_hist_mean(&h) > 1.8e19 && tl_hist_sum(&h) == UINT64_MAX,
	       "and its sum does not wrap");
	tap_ok(tl_hist_overflow(&h) == UINT64_MAX, "nor the overflow count");
	tl_hist_reset(&h);
	tl_hist_record_n(&h, 9, 0);
	tap_ok(!memcmp(&h, &zero, sizeof(h)), "recording 0 times is nothing");
}

/* A histogram of random contents; now and then with counters near the top. */
static void random_hist(struct tl_hist *r)
{
	unsigned n = (unsigned)(tap_random(&rnd) % 40);

	tl_hist_init(r, NULL);
	while (n--) {
		if (tap_random(&rnd) % 4)
			tl_hist_record(r, random_value(64));
		else
			tl_hist_record_n(r, random_value(8), random_value(64));
	}
}

static void test_merge(void)
{
	static struct tl_hist a, b, left, right, all, empty;
	unsigned assoc = 0, commut = 0, ident = 0, rec = 0, round, i;

	tl_hist_init(&empty, NULL);
	for (round = 0; round < 2000; round++) {
		random_hist(&a);
		random_hist(&b);
		random_hist(&h2);
		left = a;
		tl_hist_merge(&left, &b);
		right = b;
		tl_hist_merge(&right, &a);
		commut += !!memcmp(&left, &right, sizeof(left));
		tl_hist_merge(&left, &h2);
		right = b;
		tl_hist_merge(&right, &h2);
		all = a;
		tl_hist_merge(&all, &right);
		assoc += !!memcmp(&left, &all, sizeof(all));
		tl_hist_merge(&left, &empty);
		ident += !!memcmp(&left, &all, sizeof(all));
	}
	tap_is(commut, 0, "merging commutes");
	tap_is(assoc, 0, "merging is associative, full counters included");
	tap_is(ident, 0, "merging an empty one changes nothing");

	tl_hist_init(&a, NULL);
	tl_hist_init(&b, NULL);
	tl_hist_init(&all, NULL);
	for (i = 0; i < 10000; i++) {
		uint64_t v = random_value(40);

		tl_hist_record(i % 3 ? &a : &b, v);
		tl_hist_record_n(&all, v, 1);
	}
	rec += tl_hist_merge(&a, &b) != 0;
	rec += !!memcmp(&a, &all, sizeof(all));
	tap_is(rec, 0, "merging is as recording all in one");
	tl_hist_merge(&a, &a);
	tl_hist_merge(&b, &all);
	tap_ok(tl_hist_count(&a) == 20000 &&
		       tl_hist_percentile(&a, 50) == tl_hist_percentile(&all, 50),
	       "one may be merged into itself");
}

static void test_units(void)
{
	struct tl_hist_cursor c = { 0 };

	tl_hist_init(&h, "us");
	tl_hist_record(&h, 3);
	h2 = h;
	tap_ok(tl_hist_init(&h2, "") == -EINVAL &&
		       tl_hist_init(&h2, "12345678") == -EINVAL &&
		       tl_hist_init(&h2, "a b") == -EINVAL &&
		       tl_hist_init(&h2, "\"") == -EINVAL &&
		       tl_hist_init(&h2, "\303\274s") == -EINVAL &&
		       !memcmp(&h, &h2, sizeof(h)),
	       "a bad unit is refused and changes nothing");
	tap_ok(!tl_hist_init(&h2, "1234567") &&
		       !strcmp(tl_hist_unit(&h2), "1234567"),
	       "7 characters fit");
	tap_ok(!tl_hist_init(&h2, "ns") && tl_hist_merge(&h2, &h) == -EINVAL &&
		       !tl_hist_count(&h2),
	       "other units do not merge");
	memset(&h2, 0, sizeof(h2));
	tl_hist_record(&h2, 1);
	tap_ok(tl_hist_merge(&h2, &h) == -EINVAL, "nor with ns by default");
	memset(&h2, 0, sizeof(h2));
	tap_ok(!tl_hist_merge(&h2, &h) && !strcmp(tl_hist_unit(&h2), "us"),
	       "but a blank one takes the first unit");
	tl_hist_reset(&h2);
	tap_ok(!strcmp(tl_hist_unit(&h2), "us") && !tl_hist_next(&h2, &c) &&
		       !tl_hist_max(&h2) && !tl_hist_min(&h2),
	       "reset empties and keeps the unit");
	memset(&h3, 0, sizeof(h3));
	tl_hist_record(&h3, 4);
	tl_hist_init(&h2, NULL);
	tap_ok(!tl_hist_merge(&h2, &h3), "ns by default is ns by name");
	memset(&h, 0, sizeof(h));
}

static void test_cursor(void)
{
	static const uint64_t v[] = { 0, 63, 64, 1000, TL_HIST_LIMIT + 7 };
	struct tl_hist_cursor c = { 0 }, end;
	unsigned i, bad = 0;

	tl_hist_reset(&h);
	for (i = 5; i-- > 0;)
		tl_hist_record_n(&h, v[i], i + 1);
	for (i = 0; tl_hist_next(&h, &c) == 1 && i < 5; i++)
		bad += c.count != i + 1 || v[i] < c.low || v[i] > c.high;
	tap_ok(i == 5 && !bad, "the cursor shows all buckets, upwards");
	tap_ok(c.low == TL_HIST_LIMIT && c.high == TL_HIST_LIMIT + 7,
	       "the overflow bucket ends at the maximum");
	end = c;
	tap_ok(!tl_hist_next(&h, &c) && !memcmp(&c, &end, sizeof(c)),
	       "at the end the cursor stays");
}

int main(void)
{
	tap_plan(55);
	rnd = tap_seed();
	errno = 77;
	test_bounds();
	test_octaves();
	test_empty();
	test_oracle();
	test_percentile_edges();
	test_deviation();
	test_saturation();
	test_merge();
	test_units();
	test_cursor();
	tap_is(errno, 77, "errno is left alone");
	return tap_exit();
}
