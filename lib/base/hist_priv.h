/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the histogram's own files share.
 *
 * Owns the map between values and buckets. The invariant, on which recording
 * and reading back both rest: for each i below TL_HIST_BUCKETS,
 * tl__hist_index() gives i for exactly the values from tl__hist_low(i) to
 * tl__hist_high(i).
 */
#ifndef TL_BASE_HIST_PRIV_H
#define TL_BASE_HIST_PRIV_H

#include <stdint.h>

#include <tasklet/hist.h>

/* A count times a value needs 128 bits; so does a total of full buckets. */
__extension__ typedef unsigned __int128 tl__u128;

#define TL__U128_MAX (~(tl__u128)0)

#define TL__HIST_SUB_BITS 5
#define TL__HIST_OVERFLOW (TL_HIST_BUCKETS - 1)

static inline unsigned tl__hist_index(uint64_t v)
{
	/*
	 * Bit 5 makes each value below 32 look like one of the first octave
	 * that has a bucket a value: no branch for small values. v >> shift is
	 * then 32..63, or v itself where shift is 0.
	 */
	unsigned shift = 63 - TL__HIST_SUB_BITS -
			 (unsigned)__builtin_clzll(v | 1u << TL__HIST_SUB_BITS);
	unsigned i = (shift << TL__HIST_SUB_BITS) + (unsigned)(v >> shift);

	return i < TL__HIST_OVERFLOW ? i : TL__HIST_OVERFLOW;
}

static inline unsigned tl__hist_shift(unsigned i)
{
	return i < 64 ? 0 : (i >> TL__HIST_SUB_BITS) - 1;
}

static inline uint64_t tl__hist_low(unsigned i)
{
	unsigned shift = tl__hist_shift(i);

	return (uint64_t)(i - (shift << TL__HIST_SUB_BITS)) << shift;
}

static inline uint64_t tl__hist_high(unsigned i)
{
	if (i == TL__HIST_OVERFLOW)
		return UINT64_MAX;
	return tl__hist_low(i) + (UINT64_C(1) << tl__hist_shift(i)) - 1;
}

static inline uint64_t tl__sat_add(uint64_t a, uint64_t b)
{
	uint64_t s;

	return __builtin_add_overflow(a, b, &s) ? UINT64_MAX : s;
}

static inline tl__u128 tl__sat_add128(tl__u128 a, tl__u128 b)
{
	tl__u128 s;

	return __builtin_add_overflow(a, b, &s) ? TL__U128_MAX : s;
}

static inline tl__u128 tl__hist_sum(const struct tl_hist *h)
{
	return (tl__u128)h->sum_hi << 64 | h->sum_lo;
}

static inline void tl__hist_set_sum(struct tl_hist *h, tl__u128 sum)
{
	h->sum_lo = (uint64_t)sum;
	h->sum_hi = (uint64_t)(sum >> 64);
}

/* How many values there are; h->count is this, cut to 64 bits. */
tl__u128 tl__hist_total(const struct tl_hist *h);

/* Whether s may name a unit, see tl_hist_init(). */
bool tl__hist_unit_ok(const char *s);

/* Flushes f, unlocks it and says whether it is in error; see tl_hist_write. */
int tl__hist_finish(FILE *f, int saved_errno);

/* Room for 2^128 - 1 in decimal, with three decimals. */
#define TL__FIXED_MAX 48

/* num in decimal. */
char *tl__hist_dec(char buf[TL__FIXED_MAX], tl__u128 num);

/*
 * num / den in decimal with three decimals, rounded half up. Not printf,
 * whose decimal point depends on the locale: neither gnuplot nor JSON would
 * take a comma. den is not 0 and below 2^117.
 */
char *tl__hist_fixed(char buf[TL__FIXED_MAX], tl__u128 num, tl__u128 den);

/* The mean and the standard deviation of h, so written. */
char *tl__hist_mean(char buf[TL__FIXED_MAX], const struct tl_hist *h);
char *tl__hist_stddev(char buf[TL__FIXED_MAX], const struct tl_hist *h);

#endif
