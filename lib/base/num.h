/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Numbers from the command line, checked.
 *
 * Owns the forms in which tools accept numbers. The invariants: the whole
 * string is the number, without blanks, signs or bases other than ten; the
 * value is within the bounds given; on an error *out is unchanged. All return
 * 0, -EINVAL (no number of that form, or NULL) or -ERANGE (a number, but
 * outside of [min, max], however large). Nothing depends on the locale, sets
 * errno or allocates.
 */
#ifndef TL_BASE_NUM_H
#define TL_BASE_NUM_H

#include <stdint.h>

#define TL__NS_PER_US UINT64_C(1000)
#define TL__NS_PER_MS UINT64_C(1000000)
#define TL__NS_PER_S UINT64_C(1000000000)

/* "0", "42". */
int tl__parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *out);

/*
 * A duration in ns: a number, with a fraction if need be, and ns, us, ms, s, m
 * (minutes) or h; without one of these it is a number of unit_ns ("10" is 10
 * seconds if unit_ns is TL__NS_PER_S). A fraction finer than 1 ns is -EINVAL:
 * nothing is rounded.
 */
int tl__parse_duration_ns(const char *s, uint64_t unit_ns, uint64_t min,
			  uint64_t max, uint64_t *out);

/* A size: "4096", or with k, M, G or T (any case) in powers of 1024. */
int tl__parse_size(const char *s, uint64_t min, uint64_t max, uint64_t *out);

#endif
