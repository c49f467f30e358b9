/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What was measured: for each setting (what work, on how many processors, beside
 * which burner) and each primitive a series of rounds.
 *
 * Invariant: a series has at least one round; the counts of its rounds add up to
 * those of its histograms; rounds of the same number, in series of one setting,
 * were measured one after the other.
 */
#ifndef WAKELAT_RESULTS_H
#define WAKELAT_RESULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <tasklet/hist.h>

#include "link.h"

enum { PINGPONG, QUEUE_1, QUEUE_64, WORKS };
enum { PIN_ONE, PIN_TWO, PINS };
enum { BURN_NONE, BURN_FIRST, BURN_SECOND, BURNERS };
enum { THERE, BACK, WAYS };

/*
 * A series has a histogram of one-way latencies for each way, and one of halves of
 * round trips. Where signals make the woken thread wait for a mutex, it may be the
 * way there or the way back that takes longer, now this and now that, and a median
 * of one-way latencies is here or there; round trips have one middle. Ratios of
 * ping-pong are of these. Queues have the first histogram only.
 */
enum { TRIP = WAYS, HISTS };

#define SETTINGS (WORKS * PINS * BURNERS)
#define ROUNDS_MAX 10000
#define SETUP_MAX 256

extern const char *const work_names[WORKS];
extern const char *const pin_names[PINS];
extern const char *const burner_names[BURNERS];

static inline unsigned int setting(unsigned int work, unsigned int pin,
				   unsigned int burner)
{
	return (work * PINS + pin) * BURNERS + burner;
}

static inline unsigned int setting_work(unsigned int s)
{
	return s / BURNERS / PINS;
}

static inline unsigned int setting_pin(unsigned int s)
{
	return s / BURNERS % PINS;
}

static inline unsigned int setting_burner(unsigned int s)
{
	return s % BURNERS;
}

/* "ping-pong, one processor, no burner", for readers. @size bytes suffice: 80. */
void setting_words(unsigned int s, char *text, size_t size);

struct round {
	uint64_t number;
	uint64_t count;		/* values whose one-way latency was recorded */
	uint64_t elapsed_ns;
	uint64_t p50_ns;	/* of half round trips, for queues one-way */
	uint64_t lost;		/* sent and not received, or twice */
	uint64_t backwards;	/* values that came before they were sent */
	uint64_t burner_ns;	/* the burner's processor time */
};

struct series {
	struct tl_hist hist[HISTS];
	struct round *rounds;
	size_t count;		/* of rounds */
};

struct results {
	struct series *series[SETTINGS][PRIMITIVES];
	char setup[SETUP_MAX];	/* where it was measured, for readers */
	uint64_t rounds;	/* all numbers are below */
};

/* Frees what is in it. */
void results_free(struct results *r);

/*
 * Adds a round and what it recorded. 0, -ENOMEM, -EOVERFLOW (too many rounds):
 * nothing has changed then.
 */
int results_add(struct results *r, unsigned int s, unsigned int primitive,
		const struct round *round, const struct tl_hist *hist);

/* Adds all of @from, with later numbers of rounds. 0, -ENOMEM or -EOVERFLOW. */
int results_merge(struct results *r, const struct results *from);

/* Forgets a series, if it is there. */
void results_drop(struct results *r, unsigned int s, unsigned int primitive);

/* Whether anything is in it; whether it has that setting. */
bool results_empty(const struct results *r);
bool results_have(const struct results *r, unsigned int s);

/* Both ways in one: the one-way latencies. */
void series_hist(const struct series *series, struct tl_hist *out);

/* Sums over the rounds. */
struct round series_total(const struct series *series);

/*
 * What two series are compared by. BY_P50 is of half round trips, or of a queue's
 * latency; BY_TIME the time
 * that one value takes, which is 1 / throughput.
 */
enum by { BY_P50, BY_TIME };

double round_value(const struct round *round, enum by by);

/*
 * The values of all rounds. With a @base each is divided by that of the base's
 * round of the same number, and rounds that have none are left out. Returns how
 * many there are; @out has room for as many as @series has rounds.
 */
size_t series_values(const struct series *series, const struct series *base,
		     enum by by, double *out);

/* Median, least and greatest ratio to @base; 0 if no rounds match (or no memory). */
struct ratio {
	double median, min, max;
};
struct ratio series_ratio(const struct series *series,
			  const struct series *base, enum by by);

#endif
