/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What a parked tasklet costs: bytes of resident memory each, for tasklets that
 * block in a channel. Each measurement is made in a process of its own. The
 * floor is one touched page for each, in one mapping with 64 KiB between them.
 */
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>

#include <tasklet/tasklet.h>

#include "bench.h"

static double resident_bytes(void)
{
	FILE *statm = fopen("/proc/self/statm", "r");
	long total, resident = -1;

	if (!statm)
		return -1;
	if (fscanf(statm, "%ld %ld", &total, &resident) != 2)
		resident = -1;
	fclose(statm);
	return (double)resident * 4096;
}

static double touch_pages(void *arg)
{
	size_t count = (size_t)(uintptr_t)arg, i;
	double before = resident_bytes();
	char *slab = mmap(NULL, count << 16, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (slab == MAP_FAILED)
		return -1;
	madvise(slab, count << 16, MADV_NOHUGEPAGE);
	for (i = 0; i < count; i++)
		slab[i << 16] = 1;
	return (resident_bytes() - before) / (double)count;
}

static int parked(void *arg)
{
	long value;

	tl_chan_recv(arg, &value);
	return 0;
}

static double park(void *arg)
{
	size_t count = (size_t)(uintptr_t)arg, i;
	struct tl_stats stats = { .size = sizeof(stats) };
	struct tl_chan *chan;
	double before;

	/* Stacks that the benchmarks before us left behind are resident. */
	if (tl_sched_end() || tl_chan_new(&chan, sizeof(long), 0))
		return -1;
	before = resident_bytes();
	for (i = 0; i < count; i++)
		if (tl_spawn_run(NULL, parked, chan))
			return -1;
	if (tl_stats(&stats) || stats.blocked != count)
		return -1;
	if (stats.stacks_unguarded)
		fprintf(stderr, "note: %llu of %zu stacks have no guard page\n",
			(unsigned long long)stats.stacks_unguarded, count);
	return (resident_bytes() - before) / (double)count;
}

static double floor_of(size_t count)
{
	double r = bench_in_child(touch_pages, (void *)(uintptr_t)count);

	return r > 0 ? r : bench_skip("no memory for %zu pages", count);
}

static double ours_of(size_t count)
{
	double r = bench_in_child(park, (void *)(uintptr_t)count);

	return r > 0 ? r : bench_skip("no memory for %zu tasklets", count);
}

static double floor_10k(void) { return floor_of(10000); }
static double floor_100k(void) { return floor_of(100000); }
static double floor_1m(void) { return floor_of(1000000); }
static double park_10k(void) { return ours_of(10000); }
static double park_100k(void) { return ours_of(100000); }
static double park_1m(void) { return ours_of(1000000); }

#define FLOOR "one touched page each"

const struct bench bench_memory[] = {
	{ "parked_10k", "bytes", FLOOR, "RSS of each of 10,000 parked tasklets",
	  floor_10k, park_10k, 3, 0, 0 },
	{ "parked_100k", "bytes", FLOOR, "the same, 100,000",
	  floor_100k, park_100k, 3, 0, 0 },
	{ "parked_1m", "bytes", FLOOR, "the same, 1,000,000, with guard pages",
	  floor_1m, park_1m, 1, 4.3 * 1024, 0 },
	{ 0 },
};
