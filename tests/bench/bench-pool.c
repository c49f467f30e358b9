/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * pool_spawn: an empty job on a pool of two threads, from its spawn to its end,
 * when many are spawned in a row. Its floor is the least that a pool of plain
 * threads does: a queue with pthread's mutex and condition, and a call.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <tasklet/tasklet.h>

#include "bench.h"

#define THREADS 2
#define JOBS 100000

static void pin_to_all(bool all)
{
	cpu_set_t set;
	int cpu;

	CPU_ZERO(&set);
	for (cpu = 0; cpu < (all ? CPU_SETSIZE : 1); cpu++)
		CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
	if (all)
		bench_set_pin("none");
}

struct job {
	struct job *next;
	int (*fn)(void *arg);
	void *arg;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static struct job *first, **last = &first;
static bool over;

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

static void *plain_worker(void *arg)
{
	struct job *job;

	pthread_mutex_lock(&lock);
	for (;;) {
		while (!(job = first) && !over)
			pthread_cond_wait(&more, &lock);
		if (!job)
			break;
		first = job->next;
		if (!first)
			last = &first;
		pthread_mutex_unlock(&lock);
		job->fn(job->arg);
		free(job);
		pthread_mutex_lock(&lock);
	}
	pthread_mutex_unlock(&lock);
	return arg;
}

static void plain_spawn(void)
{
	struct job *job = malloc(sizeof(*job));

	if (!job)
		abort();
	*job = (struct job){ .fn = nothing };
	pthread_mutex_lock(&lock);
	*last = job;
	last = &job->next;
	pthread_cond_signal(&more);
	pthread_mutex_unlock(&lock);
}

static double run_plain(void)
{
	pthread_t t[THREADS];
	double start;
	int i;

	pin_to_all(true);
	over = false;
	for (i = 0; i < THREADS; i++)
		if (pthread_create(&t[i], NULL, plain_worker, NULL))
			abort();
	start = bench_now_ns();
	for (i = 0; i < JOBS; i++)
		plain_spawn();
	pthread_mutex_lock(&lock);
	over = true;
	pthread_cond_broadcast(&more);
	pthread_mutex_unlock(&lock);
	for (i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	start = bench_now_ns() - start;
	pin_to_all(false);
	return start / JOBS;
}

static double run_pool(void)
{
	struct tl_pool_options options = { .size = sizeof(options),
					   .threads = THREADS };
	struct tl_pool *pool;
	double start;
	int i;

	pin_to_all(true);
	if (tl_pool_new(&pool, &options))
		return bench_skip("no threads");
	start = bench_now_ns();
	for (i = 0; i < JOBS; i++)
		if (tl_pool_spawn(pool, NULL, nothing, NULL))
			abort();
	if (tl_pool_wait(pool))
		abort();
	start = bench_now_ns() - start;
	tl_pool_close(pool);
	tl_pool_wait(pool);
	tl_pool_unref(pool);
	pin_to_all(false);
	return start / JOBS;
}

const struct bench bench_pool[] = {
	{ "pool_spawn", "ns", "two threads, a queue with mutex and condition",
	  "an empty job on a pool of two threads, one of many", run_plain,
	  run_pool, 0, 0, 0 },
	{ 0 },
};
