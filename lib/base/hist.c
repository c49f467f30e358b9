/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The histogram's counters: recording, merging, quantiles.
 *
 * Owns the meaning of struct tl_hist (after HdrHistogram, Gil Tene). The
 * invariants: count is the total of all buckets, cut to 64 bits; counters and
 * sum are combined by saturating addition only and the bounds by minimum and
 * maximum only, so that merging is associative and commutative; all zero
 * bytes are a valid empty histogram, which is why the minimum is stored
 * inverted. No locks.
 */
#include <errno.h>
#include <string.h>

#include "base/hist_priv.h"

_Static_assert(sizeof(struct tl_hist) == 6 * 8 + 8 * TL_HIST_BUCKETS,
	       "the layout is ABI and has no padding");

bool tl__hist_unit_ok(const char *s)
{
	size_t len = strnlen(s, TL_HIST_UNIT_MAX), i;

	if (!len || len == TL_HIST_UNIT_MAX)
		return false;
	for (i = 0; i < len; i++) {
		char c = s[i];

		/* Not isalnum(), which asks the locale. */
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		      (c >= '0' && c <= '9') || c == '_'))
			return false;
	}
	return true;
}

int tl_hist_init(struct tl_hist *h, const char *unit)
{
	if (!unit)
		unit = "ns";
	if (!tl__hist_unit_ok(unit))
		return -EINVAL;
	memset(h, 0, sizeof(*h));
	memcpy(h->unit, unit, strlen(unit) + 1);
	return 0;
}

void tl_hist_reset(struct tl_hist *h)
{
	char unit[TL_HIST_UNIT_MAX];

	memcpy(unit, h->unit, sizeof(unit));
	memset(h, 0, sizeof(*h));
	memcpy(h->unit, unit, sizeof(unit));
}

void tl_hist_record(struct tl_hist *h, uint64_t value)
{
	uint64_t *b = &h->bucket[tl__hist_index(value)];

	/* Adding "is not yet full" instead of 1: saturates without a branch. */
	*b += *b != UINT64_MAX;
	h->count += h->count != UINT64_MAX;
	h->max = value > h->max ? value : h->max;
	h->min_inv = ~value > h->min_inv ? ~value : h->min_inv;
	tl__hist_set_sum(h, tl__sat_add128(tl__hist_sum(h), value));
}

void tl_hist_record_n(struct tl_hist *h, uint64_t value, uint64_t n)
{
	uint64_t *b = &h->bucket[tl__hist_index(value)];

	if (!n)
		return;
	*b = tl__sat_add(*b, n);
	h->count = tl__sat_add(h->count, n);
	h->max = value > h->max ? value : h->max;
	h->min_inv = ~value > h->min_inv ? ~value : h->min_inv;
	tl__hist_set_sum(h, tl__sat_add128(tl__hist_sum(h), (tl__u128)value * n));
}

int tl_hist_merge(struct tl_hist *dst, const struct tl_hist *src)
{
	int fresh = !dst->count && !dst->unit[0];
	unsigned i;

	if (!fresh && strcmp(tl_hist_unit(dst), tl_hist_unit(src)))
		return -EINVAL;
	if (fresh)
		memcpy(dst->unit, src->unit, sizeof(dst->unit));
	for (i = 0; i < TL_HIST_BUCKETS; i++)
		dst->bucket[i] = tl__sat_add(dst->bucket[i], src->bucket[i]);
	dst->count = tl__sat_add(dst->count, src->count);
	dst->max = src->max > dst->max ? src->max : dst->max;
	dst->min_inv = src->min_inv > dst->min_inv ? src->min_inv : dst->min_inv;
	tl__hist_set_sum(dst, tl__sat_add128(tl__hist_sum(dst), tl__hist_sum(src)));
	return 0;
}

const char *tl_hist_unit(const struct tl_hist *h)
{
	return h->unit[0] ? h->unit : "ns";
}

uint64_t tl_hist_count(const struct tl_hist *h)
{
	return h->count;
}

uint64_t tl_hist_overflow(const struct tl_hist *h)
{
	return h->bucket[TL__HIST_OVERFLOW];
}

uint64_t tl_hist_min(const struct tl_hist *h)
{
	return h->count ? ~h->min_inv : 0;
}

uint64_t tl_hist_max(const struct tl_hist *h)
{
	return h->max;
}

uint64_t tl_hist_sum(const struct tl_hist *h)
{
	return h->sum_hi ? UINT64_MAX : h->sum_lo;
}

tl__u128 tl__hist_total(const struct tl_hist *h)
{
	tl__u128 total = 0;
	unsigned i;

	/* h->count may have been cut, and quantiles need what was cut off. */
	for (i = 0; i < TL_HIST_BUCKETS; i++)
		total += h->bucket[i];
	return total;
}

double tl_hist_mean(const struct tl_hist *h)
{
	if (!h->count)
		return 0;
	return (double)tl__hist_sum(h) / (double)tl__hist_total(h);
}

/* Newton's method: the library would need libm for this alone. */
static double hist_sqrt(double v)
{
	uint64_t bits;
	double x;
	int i;

	if (!(v > 0))
		return 0;
	/* Half the exponent: within 6 percent, and each step doubles the digits. */
	memcpy(&bits, &v, sizeof(bits));
	bits = (bits >> 1) + (UINT64_C(1023) << 51);
	memcpy(&x, &bits, sizeof(x));
	for (i = 0; i < 5; i++)
		x = 0.5 * (x + v / x);
	return x;
}

double tl_hist_stddev(const struct tl_hist *h)
{
	uint64_t min = tl_hist_min(h), max = h->max;
	double mean = tl_hist_mean(h), var = 0;
	unsigned i;

	if (min == max)
		return 0;
	for (i = 0; i < TL_HIST_BUCKETS; i++) {
		uint64_t low = tl__hist_low(i), high = tl__hist_high(i);
		double d;

		if (!h->bucket[i])
			continue;
		/* The outermost are known better than by their bounds. */
		low = low > min ? low : min;
		high = high < max ? high : max;
		d = ((double)low + (double)high) / 2 - mean;
		var += d * d * (double)h->bucket[i];
	}
	return hist_sqrt(var / (double)tl__hist_total(h));
}

uint64_t tl_hist_percentile(const struct tl_hist *h, double p)
{
	const uint64_t whole = UINT64_C(100000000000);	/* 100, in 1e-9 */
	tl__u128 rank, seen = 0;
	uint64_t high;
	unsigned i;

	if (!(p > 0))
		return tl_hist_min(h);
	if (!h->count || p >= 100)
		return h->max;
	/*
	 * At most 2^37 times 2^64 * TL_HIST_BUCKETS, which fits. It is 0 for a
	 * p below the resolution, and then the first value is meant.
	 */
	rank = (tl__hist_total(h) * (uint64_t)(p * 1e9 + 0.5) + whole - 1) /
	       whole;
	for (i = 0; i < TL__HIST_OVERFLOW; i++) {
		seen += h->bucket[i];
		if (seen && seen >= rank)
			break;
	}
	high = tl__hist_high(i);
	return high < h->max ? high : h->max;
}

int tl_hist_next(const struct tl_hist *h, struct tl_hist_cursor *c)
{
	uint32_t i = c->next;

	while (i < TL_HIST_BUCKETS && !h->bucket[i])
		i++;
	if (i >= TL_HIST_BUCKETS)
		return 0;
	c->low = tl__hist_low(i);
	c->high = i == TL__HIST_OVERFLOW ? h->max : tl__hist_high(i);
	c->count = h->bucket[i];
	c->next = i + 1;
	return 1;
}
