/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A benchmark measures the same work twice: ours, and a floor that no library
 * can beat on this machine. bench.c runs the two in turn, several rounds, and
 * reports medians and their ratio, so that a noisy machine disturbs both alike.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stdint.h>

struct bench {
	const char *name;	/* as in `make bench BENCH=name` */
	const char *unit;
	const char *floor_is;	/* for the reader */
	const char *what;
	/*
	 * One measurement of a fraction of a second, in the unit. A negative
	 * value: it can't be done here; bench_why() says why.
	 */
	double (*floor)(void);
	double (*ours)(void);
	int rounds;		/* 0: the default */
	double wanted;		/* the target for `value`, 0 if none is set */
	double wanted_ratio;	/* the target for `ratio`, 0 if none is set */
};

extern const struct bench bench_core[];	/* each list ends with a null name */
extern const struct bench bench_async[];
extern const struct bench bench_gil[];
extern const struct bench bench_memory[];
extern const struct bench bench_net[];
extern const struct bench bench_pool[];
extern const struct bench bench_sync[];
extern const struct bench bench_threads[];
extern const struct bench bench_wake[];

/* The reason why the last measurement could not be made. Returns -1. */
double bench_skip(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Nanoseconds of one pop-and-jump switch in assembly: the usual floor. */
double bench_floor_switch(void);

/* Nanoseconds of a load and a branch: what a tick can't do without. */
double bench_floor_tick(void);

double bench_now_ns(void);

/* Nanoseconds a loop, of which two threads run @n each, on one or two processors. */
double bench_both(void (*fn)(long mine), int cpus, int n);

/* A round trip of two such threads that wake each other by futexes. */
double bench_rtt_bare(int cpus);

/* Runs @fn in a child process and returns what it returned there. */
double bench_in_child(double (*fn)(void *arg), void *arg);

/* "cpu0", or "none" where the process could not be pinned. */
const char *bench_pin(void);

/* For a benchmark that runs elsewhere: what its JSON line shall say. */
void bench_set_pin(const char *pin);

#endif
