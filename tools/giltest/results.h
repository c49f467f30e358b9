/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What was measured, and the figures that come out of it: medians over the rounds;
 * latencies of all rounds together.
 */
#ifndef TL_GILTEST_RESULTS_H
#define TL_GILTEST_RESULTS_H

#include <stdio.h>

#include <tasklet/hist.h>

#include "noise.h"
#include "plan.h"

/* A load beside a number of CPU threads, under one GIL, on some processors. */
struct figure {
	unsigned int count;	/* rounds that are done */
	double *rate, *cpu_rate;	/* of each */
	uint64_t lost;
	struct tl_gil_stats stats;	/* sums and maxima */
	struct tl_hist latency;
};

struct results {
	const struct plan *plan;
	struct figure *figures;
	double *values;		/* that they point into */
	double *scratch;
	struct noise noise;
};

/* Room for it all. Returns 0 or -ENOMEM. */
int results_init(struct results *r, const struct plan *plan);
void results_free(struct results *r);

/* @pin and @contender are indexes in the plan. */
struct figure *results_at(const struct results *r, unsigned int pin,
			  unsigned int contender, enum load load,
			  unsigned int cpu_threads);

/* The next round of a figure; at most as many as were planned. */
void results_add(struct figure *f, const struct sample *sample);

/* Each of these is NAN if nothing is there. */
double results_rate(const struct results *r, const struct figure *f);

/* Two CPU threads' bytecodes against one's, round by round. */
double results_e(const struct results *r, unsigned int pin,
		 unsigned int contender);

/* What is left to the CPU threads together of what one does alone. */
double results_share(const struct results *r, unsigned int pin,
		     unsigned int contender, enum load load,
		     unsigned int cpu_threads);

/* What a bytecode takes, of a thread that has it all; over all GILs and pins. */
double results_bytecode_ns(const struct results *r);

/* Ways to show them. Return 0 or -errno. */
void results_write_table(const struct results *r, FILE *f);
void results_write_json(const struct results *r, FILE *f);

/* Draws them as SVG. As gnuplot_draw(). */
int results_draw(const struct results *r, int fd);

#endif
