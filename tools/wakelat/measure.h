/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * One measurement: two threads (or two tasklets of one) that hand values over a
 * link for a given time, and perhaps a thread beside them that only computes.
 *
 * Each value is the time at which its sender was about to put it; who has got it
 * looks at the clock first of all and records the difference. So a latency is
 * one-way, from before the put to after the get, and holds one reading of the
 * clock. The other reading and the recording come between two values. In ping-pong
 * the first side also records half the time from its put to its next get.
 */
#ifndef WAKELAT_MEASURE_H
#define WAKELAT_MEASURE_H

#include "results.h"

struct measurement {
	const struct primitive *primitive;
	unsigned int setting;
	int cpu[2];
	uint64_t duration_ns;
	/* What comes of it: */
	struct round round;	/* but for its number */
	struct tl_hist hist[HISTS];
	const char *failed;	/* what failed */
	int signal;		/* that asked for an end */
};

/*
 * measure_begin - blocks SIGINT, SIGTERM and SIGHUP, which measure() then takes
 *
 * Before there are other threads. Signals that are ignored stay so.
 */
void measure_begin(void);

/* measure_end - lets them be what they were; a pending one is taken first */
void measure_end(void);

/*
 * measure - makes one measurement; the calling thread sleeps meanwhile
 *
 * Returns 0; -EINTR (m->signal came, and nothing is to be used); -ETIMEDOUT or
 * another one after which threads are left that can't be ended (m->failed says
 * so: MEASURE_STUCK); or -errno of m->failed, with nothing left.
 */
int measure(struct measurement *m);

extern const char MEASURE_STUCK[];

/* What one reading of the clock, and one recording, cost here. */
uint64_t measure_clock_ns(void);
uint64_t measure_record_ns(void);

#endif
