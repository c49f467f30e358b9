/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * loads CASE MS normal|ext|SETTINGS: what users run, and how late those threads are that somebody waits for. All threads
 * are the kernel's own scheduler's, or ask for another one, or the lock has these settings. Prints a line: how many times,
 * and p50, p99 and the greatest, ns.
 *
 *	share	a thread with the lock sleeps 400 us and computes 600 us, over and over: more than its fair share beside six
 *		threads that compute without the lock. How late it is when it wakes up.
 *	owner	three threads sleep 1 ms and compute 300 us with the lock, beside the six. How long it takes, from the end of
 *		its sleep, until one has the lock.
 *	light	as `owner`, but there is one, and it computes 30 us: less than its fair share.
 *	echo	a client, which is always the kernel's own scheduler's, asks each 1 ms, and a thread with the lock answers,
 *		beside two threads that compute without it. How long it takes.
 *	gil	as `echo`, but the two compute with the lock.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <tasklet/tasklet.h>

#define US UINT64_C(1000)
#define THREADS_MAX 6

static const struct load {
	const char *name;
	int servers, hogs, gil_hogs;
	uint64_t sleep_ns, compute_ns;
	bool until_awake;	/* what is measured ends when it runs, not when it has the lock */
	bool is_echo;
} loads[] = {
	{ "share", 1, 6, 0, 400 * US, 600 * US, true, false },
	{ "owner", 3, 6, 0, 1000 * US, 300 * US, false, false },
	{ "light", 1, 6, 0, 1000 * US, 30 * US, false, false },
	{ "echo", 1, 2, 0, 1000 * US, 30 * US, false, true },
	{ "gil", 1, 0, 2, 1000 * US, 30 * US, false, true },
};

static struct tl_gil *gil;
static const struct load *load;
static bool is_ext;
static _Atomic bool stop;
static int questions[2], answers[2];

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

static void *gil_hog(void *arg)
{
	if (tl_gil_attach(gil))
		exit(1);
	while (!atomic_load(&stop))
		compute(100 * US);
	tl_gil_detach();
	return arg;
}

static void sleep_until(uint64_t due_ns)
{
	struct timespec at = { (time_t)(due_ns / 1000000000), (long)(due_ns % 1000000000) };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

static void *sleeper(void *arg)
{
	struct tl_hist *h = arg;
	uint64_t due, awake;

	if (tl_gil_attach(gil))
		exit(1);
	while (!atomic_load(&stop)) {
		tl_gil_block_begin();
		due = tl_after(load->sleep_ns);
		sleep_until(due);
		awake = tl_now();
		tl_gil_block_end();
		tl_hist_record(h, (load->until_awake ? awake : tl_now()) - due);
		compute(load->compute_ns);
	}
	tl_gil_detach();
	return NULL;
}

static void *answers_all(void *arg)
{
	uint64_t question;
	ssize_t n;

	if (tl_gil_attach(gil))
		exit(1);
	for (;;) {
		tl_gil_block_begin();
		n = read(questions[0], &question, sizeof(question));
		tl_gil_block_end();
		if (n <= 0)
			break;
		compute(load->compute_ns);
		tl_gil_block_begin();
		n = write(answers[1], &question, sizeof(question));
		tl_gil_block_end();
	}
	tl_gil_detach();
	return arg;
}

static void *client(void *arg)
{
	struct tl_hist *h = arg;
	uint64_t began;

	while (!atomic_load(&stop)) {
		sleep_until(tl_after(load->sleep_ns));
		began = tl_now();
		if (write(questions[1], &began, sizeof(began)) < 0 || read(answers[0], &began, sizeof(began)) < 0)
			exit(1);
		tl_hist_record(h, tl_now() - began);
	}
	close(questions[1]);
	return NULL;
}

static pthread_t start(void *(*fn)(void *), void *arg)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, fn, arg))
		exit(1);
	return thread;
}

static void run(uint64_t ms, struct tl_hist *hist)
{
	struct tl_hist *each = calloc(THREADS_MAX, sizeof(*each));
	pthread_t threads[16];
	int i, count = 0;

	if (!each || pipe(questions) || pipe(answers))
		exit(1);
	for (i = 0; i < load->hogs; i++)
		threads[count++] = start(hog, NULL);
	for (i = 0; i < load->gil_hogs; i++)
		threads[count++] = start(gil_hog, NULL);
	if (load->is_echo)
		threads[count++] = start(answers_all, NULL);
	for (i = 0; i < load->servers; i++) {
		tl_hist_init(&each[i], "ns");
		threads[count++] = start(load->is_echo ? client : sleeper, &each[i]);
	}
	tl_sleep(ms * 1000000);
	atomic_store(&stop, true);
	while (count)
		pthread_join(threads[--count], NULL);
	for (i = 0; i < load->servers; i++)
		tl_hist_merge(hist, &each[i]);
	free(each);
}

int main(int argc, char **argv)
{
	struct tl_hist *hist = calloc(1, sizeof(*hist));
	char spec[128];
	size_t i;

	for (i = 0; argc == 4 && i < sizeof(loads) / sizeof(loads[0]); i++)
		if (!strcmp(loads[i].name, argv[1]))
			load = &loads[i];
	if (!load)
		return 2;
	is_ext = !strcmp(argv[3], "ext");
	tl_hist_init(hist, "ns");
	snprintf(spec, sizeof(spec), "handoff:futex,%s%s", strchr(argv[3], '=') ? "" : "sched=", argv[3]);
	if (tl_gil_new(&gil, spec, NULL))
		return 1;
	run((uint64_t)atol(argv[2]), hist);
	printf("%llu %llu %llu %llu\n", (unsigned long long)tl_hist_count(hist), (unsigned long long)tl_hist_percentile(hist, 50),
	       (unsigned long long)tl_hist_percentile(hist, 99), (unsigned long long)tl_hist_max(hist));
	free(hist);
	return tl_gil_free(gil);
}
