/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * loads CASE MS normal|ext: what users run, and how late those threads are that somebody waits for. All threads are the
 * kernel's own scheduler's, or ask for another one. Prints a line: how many times, and p50, p99 and the greatest, ns.
 *
 *	share	a thread with the lock sleeps 400 us and computes 600 us, over and over: more than its fair share beside six
 *		threads that compute without the lock. How late it is when it wakes up.
 *	owner	three threads sleep 1 ms and compute 300 us with the lock, beside the six. How long it takes, from the end of
 *		its sleep, until one has the lock.
 *	light	as `owner`, but there is one, and it computes 30 us: less than its fair share.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <tasklet/tasklet.h>

#define US UINT64_C(1000)
#define THREADS_MAX 3

static const struct load {
	const char *name;
	int threads, hogs;
	uint64_t sleep_ns, compute_ns;
	bool until_awake;	/* what is measured ends when it runs, not when it has the lock */
} loads[] = {
	{ "share", 1, 6, 400 * US, 600 * US, true },
	{ "owner", 3, 6, 1000 * US, 300 * US, false },
	{ "light", 1, 6, 1000 * US, 30 * US, false },
};

static struct tl_gil *gil;
static const struct load *load;
static bool is_ext;
static _Atomic bool stop;

static void compute(uint64_t ns)
{
	uint64_t end = tl_after(ns);

	while (tl_now() < end)
		tl_tick();
}

static void *hog(void *arg)
{
	struct sched_param param = { .sched_priority = 0 };

	if (is_ext && sched_setscheduler(0, 7, &param))
		exit(1);
	while (!atomic_load(&stop))
		;
	return arg;
}

static void *server(void *arg)
{
	struct tl_hist *h = arg;
	uint64_t due, awake;
	struct timespec at;

	if (tl_gil_attach(gil))
		exit(1);
	while (!atomic_load(&stop)) {
		tl_gil_block_begin();
		due = tl_after(load->sleep_ns);
		at = (struct timespec){ (time_t)(due / 1000000000), (long)(due % 1000000000) };
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
		awake = tl_now();
		tl_gil_block_end();
		tl_hist_record(h, (load->until_awake ? awake : tl_now()) - due);
		compute(load->compute_ns);
	}
	tl_gil_detach();
	return NULL;
}

static void run(uint64_t ms, struct tl_hist *hist)
{
	pthread_t hogs[16], servers[THREADS_MAX];
	struct tl_hist *each = calloc(THREADS_MAX, sizeof(*each));
	int i;

	for (i = 0; i < load->hogs; i++)
		pthread_create(&hogs[i], NULL, hog, NULL);
	for (i = 0; i < load->threads; i++) {
		tl_hist_init(&each[i], "ns");
		pthread_create(&servers[i], NULL, server, &each[i]);
	}
	tl_sleep(ms * 1000000);
	atomic_store(&stop, true);
	for (i = 0; i < load->hogs; i++)
		pthread_join(hogs[i], NULL);
	for (i = 0; i < load->threads; i++) {
		pthread_join(servers[i], NULL);
		tl_hist_merge(hist, &each[i]);
	}
	free(each);
}

int main(int argc, char **argv)
{
	struct tl_hist *hist = calloc(1, sizeof(*hist));
	size_t i;

	for (i = 0; argc == 4 && i < sizeof(loads) / sizeof(loads[0]); i++)
		if (!strcmp(loads[i].name, argv[1]))
			load = &loads[i];
	if (!load)
		return 2;
	is_ext = !strcmp(argv[3], "ext");
	tl_hist_init(hist, "ns");
	if (tl_gil_new(&gil, is_ext ? "handoff:futex,sched=ext" : "handoff:futex", NULL))
		return 1;
	run((uint64_t)atol(argv[2]), hist);
	printf("%llu %llu %llu %llu\n", (unsigned long long)tl_hist_count(hist), (unsigned long long)tl_hist_percentile(hist, 50),
	       (unsigned long long)tl_hist_percentile(hist, 99), (unsigned long long)tl_hist_max(hist));
	free(hist);
	return tl_gil_free(gil);
}
