/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Runs benchmarks: floor and ours in turn, medians, a table for people and JSON
 * lines for scripts.
 *
 *	bench [-j FILE] [-r ROUNDS] [-l] [NAME...]
 */
#include "bench.h"

#include <argp.h>
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/num.h"

#define ROUNDS 9
#define ROUNDS_MAX 1000

static char why[256];
static bool pinned;
static const char *row_pin;

double bench_skip(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	return -1;
}

double bench_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

const char *bench_pin(void)
{
	return pinned ? "cpu0" : "none";
}

void bench_set_pin(const char *pin)
{
	row_pin = pin;
}

double bench_in_child(double (*fn)(void *arg), void *arg)
{
	double result = -1;
	int fds[2], status;
	pid_t pid;

	if (pipe(fds))
		return bench_skip("pipe: %s", strerror(errno));
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return bench_skip("fork: %s", strerror(errno));
	if (!pid) {
		result = fn(arg);
		_exit(write(fds[1], &result, sizeof(result)) !=
		      sizeof(result));
	}
	close(fds[1]);
	if (read(fds[0], &result, sizeof(result)) != sizeof(result))
		result = bench_skip("the child process failed");
	close(fds[0]);
	waitpid(pid, &status, 0);
	return result;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, int n)
{
	qsort(values, (size_t)n, sizeof(*values), compare);
	return n % 2 ? values[n / 2] :
		       (values[n / 2 - 1] + values[n / 2]) / 2;
}

static void report(const struct bench *b, double *floors, double *values,
		   int rounds, FILE *json)
{
	double ratios[ROUNDS_MAX], floor, value, ratio;
	const char *verdict = "";
	int i;

	for (i = 0; i < rounds; i++)
		ratios[i] = floors[i] > 0 ? values[i] / floors[i] : 0;
	floor = median(floors, rounds);
	value = median(values, rounds);
	ratio = median(ratios, rounds);
	if (b->wanted || b->wanted_ratio)
		verdict = (!b->wanted || value <= b->wanted) &&
			  (!b->wanted_ratio || ratio <= b->wanted_ratio) ?
				  "met" : "missed";
	printf("%-20s %12.2f %-6s %10.2f %8.3f  %10.2f %10.2f  %s\n", b->name,
	       value, b->unit, floor, ratio, values[0], values[rounds - 1],
	       verdict);
	fflush(stdout);
	if (json) {
		fprintf(json,
			"{\"bench\":\"%s\",\"unit\":\"%s\",\"value\":%.4f,"
			"\"floor\":%.4f,\"ratio\":%.4f,\"runs\":%d,"
			"\"min\":%.4f,\"max\":%.4f,\"pin\":\"%s\"}\n",
			b->name, b->unit, value, floor, ratio, rounds,
			values[0], values[rounds - 1], row_pin);
		fflush(json);
	}
}

/* Returns whether it could be measured. */
static bool run(const struct bench *b, int rounds, FILE *json)
{
	static double floors[ROUNDS_MAX], values[ROUNDS_MAX];
	int i;

	if (!rounds)
		rounds = b->rounds ? b->rounds : ROUNDS;
	row_pin = bench_pin();
	for (i = 0; i < rounds; i++) {
		floors[i] = b->floor();
		values[i] = floors[i] < 0 ? -1 : b->ours();
		if (values[i] < 0) {
			printf("%-20s left out: %s\n", b->name, why);
			return false;
		}
	}
	report(b, floors, values, rounds, json);
	return true;
}

static const struct bench *const lists[] = {
	bench_core, bench_async, bench_gil, bench_memory, bench_net,
	bench_pool, bench_sync, bench_threads, bench_wake,
};

static const struct bench *find(const char *name)
{
	const struct bench *b;
	size_t i;

	for (i = 0; i < sizeof(lists) / sizeof(*lists); i++)
		for (b = lists[i]; b->name; b++)
			if (!strcmp(b->name, name))
				return b;
	return NULL;
}

static void list(FILE *to)
{
	const struct bench *b;
	size_t i;

	for (i = 0; i < sizeof(lists) / sizeof(*lists); i++)
		for (b = lists[i]; b->name; b++)
			fprintf(to, "%-20s %s, against %s\n", b->name, b->what,
				b->floor_is);
}

struct options {
	FILE *json;
	uint64_t rounds;
	const struct bench *chosen[64];
	int count;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case 'j':
		o->json = strcmp(arg, "-") ? fopen(arg, "w") : stdout;
		if (!o->json)
			argp_failure(state, 1, errno, "%s", arg);
		return 0;
	case 'r':
		if (tl__parse_u64(arg, 1, ROUNDS_MAX, &o->rounds))
			argp_error(state, "rounds: a number from 1 to %d, "
				   "not '%s'", ROUNDS_MAX, arg);
		return 0;
	case 'l':
		list(stdout);
		exit(0);
	case ARGP_KEY_ARG:
		if (o->count == 64 || !find(arg)) {
			fprintf(stderr, "bench: no benchmark '%s'; there are:\n",
				arg);
			list(stderr);
			exit(2);
		}
		o->chosen[o->count++] = find(arg);
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static void pin(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	pinned = sched_setaffinity(0, sizeof(set), &set) == 0;
}

int main(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "json", 'j', "FILE", 0, "JSON lines go there (-: stdout)", 0 },
		{ "rounds", 'r', "N", 0, "Measure N times (default 9)", 0 },
		{ "list", 'l', NULL, 0, "Say what there is", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		options, parse, "[NAME...]",
		"Benchmarks of libtasklet, each against a floor in the same run.",
		NULL, NULL, NULL,
	};
	struct options o = { 0 };
	const struct bench *b;
	size_t i;
	int j;

	argp_err_exit_status = 2;
	argp_parse(&argp, argc, argv, 0, NULL, &o);
	pin();
	printf("%-20s %12s %-6s %10s %8s  %10s %10s  %s\n", "benchmark",
	       "median", "unit", "floor", "ratio", "min", "max", "target");
	for (j = 0; j < o.count; j++)
		run(o.chosen[j], (int)o.rounds, o.json);
	for (i = 0; !o.count && i < sizeof(lists) / sizeof(*lists); i++)
		for (b = lists[i]; b->name; b++)
			run(b, (int)o.rounds, o.json);
	if (o.json && o.json != stdout && fclose(o.json)) {
		perror("bench: writing the JSON lines");
		return 1;
	}
	return 0;
}
