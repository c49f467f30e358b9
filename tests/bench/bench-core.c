/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What happens inside one thread: switches, spawning, channels, select, timers,
 * and the two classics, skynet and the sieve. The floor of each is one bare
 * assembly switch.
 */
#include <stdlib.h>

#include <tasklet/tasklet.h>

#include "base/heap.h"
#include "bench.h"
#include "core/switch.h"
#include "core/task.h"

#define LOOPS 2000000

void bench_bare_switch(void **from, void **to);

static void *floor_main, *floor_other;

static void floor_partner(void)
{
	for (;;)
		bench_bare_switch(&floor_other, &floor_main);
}

double bench_floor_switch(void)
{
	static char stack[16384] __attribute__((aligned(64)));
	uintptr_t *sp = (uintptr_t *)(void *)(stack + sizeof(stack) - 128);
	double start;
	long i;

	/* As tl__switch_prepare(), but it starts at the partner itself. */
	sp -= TL__SWITCH_WORDS + 1;
	sp[TL__SWITCH_PC] = (uintptr_t)floor_partner;
	floor_other = sp;
	start = bench_now_ns();
	for (i = 0; i < LOOPS; i++)
		bench_bare_switch(&floor_main, &floor_other);
	return (bench_now_ns() - start) / LOOPS / 2;
}

/* Our switch, without the scheduler around it. */
static struct tl_task *bare_main, *bare_other;

static int bare_partner(void *arg)
{
	(void)arg;
	for (;;)
		(void)tl__switch(bare_other, bare_main);
	return 0;
}

static double run_switch(void)
{
	double start;
	long i;

	bare_main = tl_current();
	if (tl_spawn(&bare_other, bare_partner, NULL))
		return bench_skip("out of memory");
	tl_task_remove(bare_other);
	start = bench_now_ns();
	for (i = 0; i < LOOPS; i++)
		(void)tl__switch(bare_main, bare_other);
	start = bench_now_ns() - start;
	/* It has run behind the scheduler's back and can only be dropped. */
	bare_other->flags = 0;
	tl_task_unref(bare_other);
	return start / LOOPS / 2;
}

static int yielder(void *arg)
{
	long i;

	(void)arg;
	for (i = 0; i < LOOPS; i++)
		tl_schedule();
	return 0;
}

static double run_schedule(void)
{
	double start;
	long i;

	tl_spawn(NULL, yielder, NULL);
	start = bench_now_ns();
	for (i = 0; i < LOOPS; i++)
		tl_schedule();
	start = bench_now_ns() - start;
	tl_run();
	return start / LOOPS / 2;
}

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

static double run_spawn(void)
{
	double start = bench_now_ns();
	long i;

	for (i = 0; i < LOOPS; i++) {
		tl_spawn(NULL, nothing, NULL);
		tl_schedule();
	}
	return (bench_now_ns() - start) / LOOPS;
}

struct pair {
	struct tl_chan *there, *back;
};

static int echo(void *arg)
{
	struct pair *pair = arg;
	long value;

	while (tl_chan_next(pair->there, &value) > 0)
		tl_chan_send(pair->back, &value);
	return 0;
}

static double run_chan_rtt(void)
{
	struct pair pair;
	double start;
	long i, value;

	if (tl_chan_new(&pair.there, sizeof(long), 0) ||
	    tl_chan_new(&pair.back, sizeof(long), 0))
		return bench_skip("out of memory");
	tl_spawn(NULL, echo, &pair);
	start = bench_now_ns();
	for (i = 0; i < LOOPS; i++) {
		tl_chan_send(pair.there, &i);
		tl_chan_recv(pair.back, &value);
	}
	start = bench_now_ns() - start;
	tl_chan_close(pair.there);
	tl_run();
	tl_chan_unref(pair.there);
	tl_chan_unref(pair.back);
	return start / LOOPS;
}

#define SELECT_CHANNELS 8

static int select_feeder(void *arg)
{
	struct tl_chan **chans = arg;
	long i;

	for (i = 0; tl_chan_send(chans[i % SELECT_CHANNELS], &i) == 0; i++)
		;
	return 0;
}

static double run_select8(void)
{
	struct tl_select_case cases[SELECT_CHANNELS];
	struct tl_chan *chans[SELECT_CHANNELS];
	double start;
	long i, value;

	for (i = 0; i < SELECT_CHANNELS; i++) {
		if (tl_chan_new(&chans[i], sizeof(long), 0))
			return bench_skip("out of memory");
		cases[i] = (struct tl_select_case)TL_CASE_RECV(chans[i],
							       &value);
	}
	tl_spawn(NULL, select_feeder, chans);
	start = bench_now_ns();
	for (i = 0; i < LOOPS / 4; i++)
		tl_select(cases, SELECT_CHANNELS);
	start = bench_now_ns() - start;
	for (i = 0; i < SELECT_CHANNELS; i++)
		tl_chan_close(chans[i]);
	tl_run();
	for (i = 0; i < SELECT_CHANNELS; i++)
		tl_chan_unref(chans[i]);
	return start / (LOOPS / 4);
}

#define TIMERS 10000

/* Arming and disarming a deadline while 10,000 others are pending. */
static double run_timer(void)
{
	static struct tl__heap_node nodes[TIMERS], node;
	struct tl__heap heap;
	uint64_t x = 88172645463325252;
	double start;
	long i;

	tl__heap_init(&heap);
	for (i = 0; i < TIMERS; i++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		if (tl__heap_insert(&heap, &nodes[i], x))
			return bench_skip("out of memory");
	}
	start = bench_now_ns();
	for (i = 0; i < LOOPS; i++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		if (tl__heap_insert(&heap, &node, x))
			return bench_skip("out of memory");
		tl__heap_remove(&heap, &node);
	}
	start = bench_now_ns() - start;
	tl__heap_fini(&heap);
	return start / LOOPS;
}

#define SKYNET_LEAVES 1000000
#define SKYNET_FAN 10

struct skynet {
	long number, size;
	struct tl_chan *out;
};

static int skynet(void *arg)
{
	struct skynet *node = arg, child[SKYNET_FAN];
	struct tl_chan *sums;
	long i, value, sum = 0;

	if (node->size == 1)
		return tl_chan_send(node->out, &node->number);
	if (tl_chan_new(&sums, sizeof(long), SKYNET_FAN))
		abort();
	for (i = 0; i < SKYNET_FAN; i++) {
		child[i].size = node->size / SKYNET_FAN;
		child[i].number = node->number + i * child[i].size;
		child[i].out = sums;
		if (tl_spawn_run(NULL, skynet, &child[i]))
			abort();
	}
	for (i = 0; i < SKYNET_FAN; i++) {
		tl_chan_recv(sums, &value);
		sum += value;
	}
	tl_chan_unref(sums);
	return tl_chan_send(node->out, &sum);
}

static double run_skynet(void)
{
	struct skynet root = { 0, SKYNET_LEAVES, NULL };
	double start = bench_now_ns();
	long sum;

	if (tl_chan_new(&root.out, sizeof(long), 0))
		return bench_skip("out of memory");
	tl_spawn_run(NULL, skynet, &root);
	tl_chan_recv(root.out, &sum);
	start = bench_now_ns() - start;
	tl_run();
	tl_chan_unref(root.out);
	if (sum != (long)SKYNET_LEAVES * (SKYNET_LEAVES - 1) / 2)
		abort();
	return start / 1e6;
}

#define PRIMES 2000
#define LAST_PRIME 17389

struct filter {
	struct tl_chan *in, *out;
	long prime;
};

static int generate(void *arg)
{
	long i;

	for (i = 2; tl_chan_send(arg, &i) == 0; i++)
		;
	return 0;
}

static int filter(void *arg)
{
	struct filter f = *(struct filter *)arg;
	long value;

	while (tl_chan_recv(f.in, &value) == 0)
		if (value % f.prime && tl_chan_send(f.out, &value))
			break;
	return 0;
}

static double run_sieve(void)
{
	static struct filter filters[PRIMES];
	struct tl_chan *in;
	double start;
	long i, prime = 0;

	if (tl_chan_new(&in, sizeof(long), 0))
		return bench_skip("out of memory");
	start = bench_now_ns();
	tl_spawn(NULL, generate, in);
	for (i = 0; i < PRIMES; i++) {
		tl_chan_recv(in, &prime);
		filters[i] = (struct filter){ .in = in, .prime = prime };
		if (tl_chan_new(&filters[i].out, sizeof(long), 0) ||
		    tl_spawn(NULL, filter, &filters[i]))
			abort();
		in = filters[i].out;
	}
	start = bench_now_ns() - start;
	if (prime != LAST_PRIME)
		abort();
	for (i = 0; i < PRIMES; i++)
		tl_chan_close(filters[i].in);
	tl_chan_close(in);
	tl_run();
	for (i = 0; i < PRIMES; i++)
		tl_chan_unref(filters[i].in);
	tl_chan_unref(in);
	return start / 1e6;
}

#define TICKS 200000000

/* The load is really made. */
double bench_floor_tick(void)
{
	static volatile unsigned int word;
	double start = bench_now_ns();
	long i;

	for (i = 0; i < TICKS; i++)
		if (word)
			abort();
	return (bench_now_ns() - start) / TICKS;
}

static double run_tick(void)
{
	double start;
	long i;

	tl_current();	/* as in a tasklet: there is a scheduler */
	start = bench_now_ns();
	for (i = 0; i < TICKS; i++)
		if (tl_tick())
			abort();
	return (bench_now_ns() - start) / TICKS;
}

static double run_atomic(void)
{
	double start = bench_now_ns();
	long i;

	for (i = 0; i < 10 * LOOPS; i++)
		tl_atomic(tl_atomic(true));
	return (bench_now_ns() - start) / (10 * LOOPS);
}

#define FLOOR "a bare assembly switch"

const struct bench bench_core[] = {
	{ "switch", "ns", FLOOR, "one switch, without a scheduler",
	  bench_floor_switch, run_switch, 0, 0, 1.2 },
	{ "schedule", "ns", FLOOR, "one tl_schedule() between two tasklets",
	  bench_floor_switch, run_schedule, 0, 6, 0 },
	{ "spawn", "ns", FLOOR, "spawn, run to the end",
	  bench_floor_switch, run_spawn, 0, 20, 0 },
	{ "chan_rtt", "ns", FLOOR, "a round trip over two channels",
	  bench_floor_switch, run_chan_rtt, 0, 30, 0 },
	{ "select8", "ns", FLOOR, "tl_select() over eight channels",
	  bench_floor_switch, run_select8, 0, 0, 0 },
	{ "timer", "ns", FLOOR, "a deadline armed and disarmed among 10,000",
	  bench_floor_switch, run_timer, 0, 0, 0 },
	{ "skynet", "ms", FLOOR, "a tree with 10^6 leaves",
	  bench_floor_switch, run_skynet, 0, 450, 0 },
	{ "sieve", "ms", FLOOR, "2,000 primes through a chain of filters",
	  bench_floor_switch, run_sieve, 0, 200, 0 },
	{ "tick", "ns", "a load and a branch", "one tl_tick() with nothing to do",
	  bench_floor_tick, run_tick, 0, 0, 0 },
	{ "atomic", "ns", FLOOR, "atomic on and off again",
	  bench_floor_switch, run_atomic, 0, 0, 0 },
	{ 0 },
};
