/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Groups and asynchronous calls.
 *
 * group_kill_100k: to kill and wait for a group of 100,000 tasklets that are
 * blocked, for each of them. Its floor switches to as many stacks, at the same
 * distances, and back: most of either is memory that no cache has.
 *
 * async_rtt: a function on another thread and its result. Its floor is a word
 * that two threads hand to and fro with futexes.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <tasklet/tasklet.h>

#include "bench.h"
#include "core/switch.h"
#include "os/futex.h"

#define MEMBERS 100000
#define STACK ((size_t)64 << 10)

void bench_bare_switch(void **from, void **to);

static void *floor_main, *floor_stacks[MEMBERS];
static int floor_current;

static void floor_partner(void)
{
	for (;;)
		bench_bare_switch(&floor_stacks[floor_current], &floor_main);
}

static double floor_kill(void)
{
	double start;
	char *stacks;
	int i;

	stacks = mmap(NULL, MEMBERS * STACK, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (stacks == MAP_FAILED)
		return bench_skip("no address space for the floor's stacks");
	madvise(stacks, MEMBERS * STACK, MADV_NOHUGEPAGE);
	for (i = 0; i < MEMBERS; i++) {
		/* At sixteen offsets, as those of tasklets: core/stack.h. */
		char *top = stacks + (size_t)(i + 1) * STACK - 512 -
			    i % 16 * 128;
		uintptr_t *sp = (uintptr_t *)(void *)top - TL__SWITCH_WORDS - 1;

		memset(sp, 0, (TL__SWITCH_WORDS + 1) * sizeof(*sp));
		sp[TL__SWITCH_PC] = (uintptr_t)floor_partner;
		floor_stacks[i] = sp;
	}
	start = bench_now_ns();
	for (floor_current = 0; floor_current < MEMBERS; floor_current++)
		bench_bare_switch(&floor_main, &floor_stacks[floor_current]);
	start = bench_now_ns() - start;
	munmap(stacks, MEMBERS * STACK);
	return start / MEMBERS;
}

static int blocked(void *arg)
{
	return tl_chan_recv(arg, NULL);
}

static double run_kill(void)
{
	struct tl_group *group;
	struct tl_chan *chan;
	double start;
	int i;

	if (tl_chan_new(&chan, 0, 0) || tl_group_new(&group))
		return bench_skip("out of memory");
	for (i = 0; i < MEMBERS; i++)
		if (tl_group_spawn(group, NULL, NULL, blocked, chan))
			return bench_skip("out of memory");
	tl_schedule();
	start = bench_now_ns();
	tl_group_kill(group);
	tl_group_wait(group);
	start = bench_now_ns() - start;
	tl_group_unref(group);
	tl_chan_unref(chan);
	tl_trim();
	return start / MEMBERS;
}

/* --- async_rtt -------------------------------------------------------------- */

#define ROUND_TRIPS 20000

static _Atomic uint32_t word;

static void hand_over(uint32_t mine, uint32_t theirs)
{
	atomic_store(&word, theirs);
	tl__futex_wake(&word, 1);
	while (atomic_load(&word) != mine)
		tl__futex_wait(&word, theirs, TL_FOREVER);
}

static void *floor_thread(void *arg)
{
	int i;

	(void)arg;
	while (atomic_load(&word) != 2)
		tl__futex_wait(&word, 1, TL_FOREVER);
	for (i = 1; i < ROUND_TRIPS; i++)
		hand_over(2, 1);
	atomic_store(&word, 1);
	tl__futex_wake(&word, 1);
	return NULL;
}

static double floor_async(void)
{
	pthread_t thread;
	double start;
	int i;

	atomic_store(&word, 1);
	if (pthread_create(&thread, NULL, floor_thread, NULL))
		return bench_skip("no thread");
	start = bench_now_ns();
	for (i = 0; i < ROUND_TRIPS; i++)
		hand_over(1, 2);
	start = bench_now_ns() - start;
	pthread_join(thread, NULL);
	return start / ROUND_TRIPS;
}

static long add(void *arg, struct tl_error **error)
{
	(void)error;
	return (long)arg + 1;
}

static double run_async(void)
{
	double start;
	long i, value = 0;

	if (tl_call(add, NULL, NULL, &value))	/* the pool has a thread */
		return bench_skip("no thread");
	start = bench_now_ns();
	for (i = 0; i < ROUND_TRIPS; i++) {
		struct tl_future *future;

		if (tl_call_async(&future, add, (void *)i, NULL) ||
		    tl_future_wait(future) ||
		    tl_future_result(future, &value) || value != i + 1)
			abort();
		tl_future_unref(future);
	}
	return (bench_now_ns() - start) / ROUND_TRIPS;
}

const struct bench bench_async[] = {
	{ "group_kill_100k", "ns", "a switch to as many bare stacks and back",
	  "killing one of a group of 100,000 blocked tasklets", floor_kill,
	  run_kill, 5, 0, 0 },
	{ "async_rtt", "ns", "two threads and a futex word",
	  "a function on another thread and its result", floor_async, run_async,
	  0, 0, 0 },
	{ 0 },
};
