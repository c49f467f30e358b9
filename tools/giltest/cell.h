/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * One measurement: a load, beside so many threads that compute, under one GIL.
 */
#ifndef TL_GILTEST_CELL_H
#define TL_GILTEST_CELL_H

#include <signal.h>

#include <tasklet/gil.h>
#include <tasklet/wake.h>

#include "echo.h"

#define CPU_THREADS_MAX 2

enum load {
	LOAD_NONE,
	LOAD_PAIRS,		/* a producer and a consumer, on two locks */
	LOAD_COND,		/* the same on a condition */
	LOAD_ECHO,		/* a thread that answers, as fast as it is asked */
	LOAD_PACED,		/* the same, asked at a fixed rate */
	LOADS,
};

struct cell {
	const char *spec;	/* of the GIL */
	const struct tl_wake *wake;	/* of what the load blocks on */
	enum load load;
	unsigned int cpu_threads;
	uint64_t duration_ns;
	uint64_t period_ns;	/* of LOAD_PACED */
	uint64_t think_ns;	/* of LOAD_ECHO's client */
	struct echo *echo;
	const sigset_t *signals;	/* blocked; each of them is the end, SIGCHLD too */
};

struct sample {
	double rate;		/* pairs or answers a second */
	double cpu_rate;	/* bytecodes a second of the CPU threads */
	uint64_t lost;		/* requests without an answer */
	struct tl_gil_stats stats;	/* of all threads, from begin to end */
};

/*
 * Makes a GIL and the threads, lets them run for a tenth of the time, and then
 * measures. Latencies are added to @latency. Returns 0; -EINTR if a signal came
 * (@sample is undefined); or -errno, with what failed in *@why.
 */
int cell_run(const struct cell *cell, struct sample *sample,
	     struct tl_hist *latency, const char **why);

#endif
