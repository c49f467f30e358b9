/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Latency histograms with a bounded relative error, in fixed memory.
 *
 * Owns struct tl_hist, a log-linear histogram after HdrHistogram (Gil Tene):
 * values below 64 have a bucket each, and above that each power of two is cut
 * into 32 buckets of equal width, so that a bucket's width is at most 1/32 of
 * its lower bound. Buckets reach up to TL_HIST_LIMIT (137 s in ns); values
 * from there on share one overflow bucket.
 *
 * The invariants: the size is a compile-time constant and nothing is ever
 * allocated to record; a histogram of all zero bytes is a valid empty one in
 * unit "ns", so that a static one needs no initialiser; min, max and sum are
 * exact whatever the bucket error; every counter stops at its greatest value
 * and none wraps.
 *
 * Contexts, unless a function says otherwise: tasklets and plain threads;
 * never switches, never allocates, takes no lock, leaves errno alone. A
 * histogram does no locking of its own: two calls on the same one at the same
 * time, one of which changes it, are undefined. Keep one for each thread and
 * merge them. A signal handler may call all but those that take a FILE, on a
 * histogram that the interrupted code is not using.
 *
 * Undefined everywhere: a null or dangling pointer, unless null is said to
 * mean something; a histogram that was neither zeroed nor initialised.
 */
#ifndef TASKLET_HIST_H
#define TASKLET_HIST_H

#include <stdint.h>
#include <stdio.h>

#include <tasklet/base.h>

TL_BEGIN_DECLS

/* The first value without a bucket of its own: in ns a little over 137 s. */
#define TL_HIST_LIMIT (UINT64_C(1) << 37)

/* 64 exact ones, 32 for each of the 31 octaves above, and the overflow. */
#define TL_HIST_BUCKETS 1057

/* Room for the name of a unit, final zero included. */
#define TL_HIST_UNIT_MAX 8

/* The narrowest output that tl_hist_write_bars() accepts, in columns. */
#define TL_HIST_COLUMNS_MIN 48

/*
 * A histogram. The members are private; the layout is shown only so that one
 * can be placed statically or inside another structure.
 */
struct tl_hist {
	uint64_t count;
	uint64_t sum_lo;
	uint64_t sum_hi;
	uint64_t max;
	uint64_t min_inv;
	char unit[TL_HIST_UNIT_MAX];
	uint64_t bucket[TL_HIST_BUCKETS];
};

/* A place in a histogram. All zero bytes: before the first bucket. */
struct tl_hist_cursor {
	uint64_t low;	/* least value that the bucket takes */
	uint64_t high;	/* greatest; for the overflow bucket the exact max */
	uint64_t count;	/* how many values it holds, never 0 */
	uint32_t next;	/* private */
};

/*
 * tl_hist_init - make @h empty and name the unit of its values
 *
 * @unit is 1 to 7 characters out of A-Z a-z 0-9 _ because it becomes part of
 * JSON key names; NULL means "ns". It is a label and scales nothing, but
 * tl_hist_write_bars() knows that "ns", "us", "ms" and "s" are times.
 *
 * Returns 0, or -EINVAL (@unit is empty, too long or has another character;
 * @h is unchanged).
 */
TL_API int tl_hist_init(struct tl_hist *h, const char *unit);

/* tl_hist_reset - make @h empty; the unit stays */
TL_API void tl_hist_reset(struct tl_hist *h);

/*
 * tl_hist_record - count one value
 *
 * Some forty instructions, and no branch that depends on the value.
 */
TL_API void tl_hist_record(struct tl_hist *h, uint64_t value);

/*
 * tl_hist_record_n - count one value @n times
 *
 * As @n calls of tl_hist_record() would; none if @n is 0.
 */
TL_API void tl_hist_record_n(struct tl_hist *h, uint64_t value, uint64_t n);

/*
 * tl_hist_merge - add all of @src to @dst, as if @dst had recorded it
 *
 * Exact, and associative and commutative even where counters saturate, so it
 * does not matter in which order the histograms of many threads or files are
 * merged. Both may be the same. A @dst that is empty and was never given a
 * unit takes the unit of @src.
 *
 * Returns 0, or -EINVAL (the units differ; @dst is unchanged).
 */
TL_API int tl_hist_merge(struct tl_hist *dst, const struct tl_hist *src);

/* tl_hist_unit - the unit's name; valid for as long as @h is */
TL_API const char *tl_hist_unit(const struct tl_hist *h);

/* tl_hist_count - how many values there are; UINT64_MAX: that many or more */
TL_API uint64_t tl_hist_count(const struct tl_hist *h);

/*
 * tl_hist_overflow - how many of them are TL_HIST_LIMIT or greater
 *
 * UINT64_MAX means that many or more.
 */
TL_API uint64_t tl_hist_overflow(const struct tl_hist *h);

/* tl_hist_min - the exact least value; 0 if @h is empty */
TL_API uint64_t tl_hist_min(const struct tl_hist *h);

/* tl_hist_max - the exact greatest value, overflow too; 0 if @h is empty */
TL_API uint64_t tl_hist_max(const struct tl_hist *h);

/*
 * tl_hist_sum - the exact sum of all values
 *
 * UINT64_MAX means that or more; tl_hist_mean() goes on from there.
 */
TL_API uint64_t tl_hist_sum(const struct tl_hist *h);

/*
 * tl_hist_mean - the mean, from the exact sum; 0 if @h is empty
 *
 * The sum is kept in 128 bits. Only where these do not hold it (after more than
 * 2^64 values) the result is too low.
 */
TL_API double tl_hist_mean(const struct tl_hist *h);

/*
 * tl_hist_stddev - the standard deviation of the population
 *
 * Each value is taken as the middle of its bucket, which is off by at most
 * 1/64 of the value; by more in the overflow bucket. 0 if @h is empty or all
 * values are the same.
 */
TL_API double tl_hist_stddev(const struct tl_hist *h);

/*
 * tl_hist_percentile - the value that @p percent of all values do not exceed
 *
 * Nearest rank: finds the bucket of the ceil(p/100 * count)-th least value and
 * gives the greatest value that this bucket takes, but never more than the
 * exact max. So the result is not below the true quantile and exceeds it by
 * less than 1/32; in the overflow bucket it is the max.
 *
 * @p is taken to the nearest 1e-9 and the rank is computed in integers: 99.9
 * of 1000 values is the 999th and not the 1000th, and counts above 2^53 lose
 * nothing. @p of 0, below or not-a-number gives the min, 100 and above the max.
 * An empty @h gives 0. Walks the buckets.
 */
TL_API uint64_t tl_hist_percentile(const struct tl_hist *h, double p);

/*
 * tl_hist_next - step to the next bucket that is not empty, upwards
 *
 * Start with @c all zero bytes. If @h changes between two steps, it is
 * unspecified what the later ones show, but they do come to an end.
 *
 * Returns 1 (@c describes a bucket), or 0 (no more; @c is unchanged).
 */
TL_API int tl_hist_next(const struct tl_hist *h, struct tl_hist_cursor *c);

/*
 * tl_hist_write - write @h as text, for gnuplot and for tl_hist_read()
 *
 * Lines "# key: value" (count, unit, min, max, sum, mean, stddev, p50, p90,
 * p99, p99.9), then one line for each bucket that is not empty: low, high,
 * count, and the fraction of all values up to here; last a checksum of the
 * lines before, which tells a truncated or altered file. Several histograms
 * may follow each other in one file; with two empty lines between them
 * gnuplot's "index" tells them apart. Does not depend on the locale.
 *
 * Holds the stream's lock, so that other threads' output does not get in
 * between, and flushes. Contexts: tasklets and plain threads; blocks the
 * thread as stdio does; stdio may allocate its buffer.
 *
 * Returns 0, or -EIO (the stream is in error, by this call or from before; it
 * is unspecified how much was written).
 */
TL_API int tl_hist_write(const struct tl_hist *h, FILE *f);

/*
 * tl_hist_read - read one histogram that tl_hist_write() wrote
 *
 * Replaces what @h held, unit included; @h need not be initialised. Skips
 * empty lines in front and stops after the histogram's last line, so that
 * calls in a loop read all that a file holds, until -ENODATA. Strict: each
 * line is checked for form and range, and buckets, head lines and checksum
 * have to agree.
 *
 * *@line (@line may be NULL) goes up by one for each line that is read: set it
 * to 0 at the start of a file, and after an error it says which line is wrong.
 *
 * Holds the stream's lock; allocates a temporary histogram. Contexts:
 * tasklets and plain threads; blocks the thread as stdio does.
 *
 * Returns 0, -ENODATA (the input ended with nothing but empty lines), -EINVAL
 * (malformed, truncated or inconsistent), -EIO (read error) or -ENOMEM. On
 * every error @h is unchanged and the stream is left in mid-block.
 */
TL_API int tl_hist_read(struct tl_hist *h, FILE *f, unsigned long *line);

/*
 * tl_hist_write_json - write @h as one line of JSON
 *
 *   {"name":NAME,"unit":"ns","count":N,"min":N,"p50_ns":N,"p90_ns":N,
 *    "p99_ns":N,"p999_ns":N,"max_ns":N,"mean_ns":X}
 *
 * on a single line; the key names end in the histogram's unit. @name is
 * escaped, and bytes that are not UTF-8 become U+FFFD. @extra is NULL or
 * further members to put before the closing brace ("\"lost\":3,\"pid\":1");
 * it is copied as it is.
 *
 * Contexts and result as tl_hist_write().
 */
TL_API int tl_hist_write_json(const struct tl_hist *h, const char *name,
			      const char *extra, FILE *f);

/*
 * tl_hist_write_bars - draw @h for a terminal
 *
 * One row a range of values, with the count and a bar, and the percentiles
 * below. Neighbouring buckets are put together, the same power of two of them
 * in each row, until no more than @rows (0: 20) are left. No line exceeds
 * @columns (0: 80). Times are shown as ns, us, ms or s and other units with k,
 * M, G, in three digits that are cut, not rounded. A bar of "." is a count too
 * small for one "#".
 *
 * Contexts and result as tl_hist_write(), and -EINVAL (@columns is not 0 and
 * below TL_HIST_COLUMNS_MIN; nothing is written).
 */
TL_API int tl_hist_write_bars(const struct tl_hist *h, unsigned rows,
			      unsigned columns, FILE *f);

TL_END_DECLS

#endif
