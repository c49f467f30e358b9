/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Our condition for threads: round trips of two threads, who signal while they hold
 * the mutex; on one processor against two bare futexes, which is what no condition
 * can beat, on two against pthread's condition. And the mutex, free and fought for.
 */
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <tasklet/wake.h>

#include "bench.h"

#define RTT_LOOPS 20000
#define BUSY_LOOPS 300000
#define FREE_LOOPS 3000000

static _Atomic int ready;
static int loops;

static bool pin_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) == 0;
}

static void rendezvous(void)
{
	atomic_fetch_add(&ready, 1);
	while (atomic_load(&ready) < 2)
		sched_yield();
}

struct partner {
	void (*fn)(long mine);
	int cpu;
};

static void *partner_main(void *arg)
{
	struct partner *p = arg;

	pin_to(p->cpu);
	rendezvous();
	p->fn(1);
	return NULL;
}

double bench_both(void (*fn)(long mine), int cpus, int n)
{
	struct partner p = { fn, cpus - 1 };
	pthread_t thread;
	double begin;

	if (cpus > 1 && sysconf(_SC_NPROCESSORS_ONLN) < 2)
		return bench_skip("there is one processor");
	bench_set_pin(cpus > 1 ? "cpu0+cpu1" : "cpu0");
	atomic_store(&ready, 0);
	loops = n;
	if (!pin_to(0) || pthread_create(&thread, NULL, partner_main, &p))
		return bench_skip("no second thread, or no pinning");
	rendezvous();
	begin = bench_now_ns();
	fn(0);
	pthread_join(thread, NULL);
	return (bench_now_ns() - begin) / n;
}

/* --- bare futexes ----------------------------------------------------------- */

static _Atomic int words[2];

static void post(_Atomic int *word)
{
	/* release: pairs with await() */
	atomic_store_explicit(word, 1, memory_order_release);
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void await(_Atomic int *word)
{
	/* acquire: pairs with post(); relaxed: only one takes it back */
	while (!atomic_load_explicit(word, memory_order_acquire))
		syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
	atomic_store_explicit(word, 0, memory_order_relaxed);
}

static void rtt_bare(long mine)
{
	int i;

	for (i = 0; i < loops; i++) {
		if (!mine)
			post(&words[0]);
		await(&words[!mine]);
		if (mine)
			post(&words[1]);
	}
}

/* --- conditions, by the table, as everybody calls them ---------------------- */

static const struct tl_wake *wake;
static struct tl_wake_mutex mutex;
static struct tl_wake_cond cond;
static long turn;

static void rtt_cond(long mine)
{
	int i;

	for (i = 0; i < loops; i++) {
		wake->mutex_lock(&mutex);
		while ((turn & 1) != mine)
			wake->cond_wait(&cond, &mutex, CLOCK_MONOTONIC,
					TL_FOREVER);
		turn++;
		wake->cond_signal(&cond);
		wake->mutex_unlock(&mutex);
	}
}

static void use(const char *name)
{
	wake = tl_wake_find(name);
	memset(&mutex, 0, sizeof(mutex));
	memset(&cond, 0, sizeof(cond));
	turn = 0;
}

static double rtt(const char *name, int cpus)
{
	use(name);
	return bench_both(rtt_cond, cpus, RTT_LOOPS);
}

double bench_rtt_bare(int cpus)
{
	return bench_both(rtt_bare, cpus, RTT_LOOPS);
}

static double run_bare_x1(void) { return bench_rtt_bare(1); }
static double run_futex_x1(void) { return rtt("futex", 1); }
static double run_pthread_x2(void) { return rtt("pthread", 2); }
static double run_futex_x2(void) { return rtt("futex", 2); }

/* --- the mutex -------------------------------------------------------------- */

static volatile long inside;

static void busy(long mine)
{
	volatile int outside;
	int i, j;

	(void)mine;
	for (i = 0; i < loops; i++) {
		wake->mutex_lock(&mutex);
		for (j = 0; j < 10; j++)
			inside = inside + 1;
		wake->mutex_unlock(&mutex);
		for (outside = 0; outside < 20; outside++)
			;
	}
}

static double run_busy_pthread(void)
{
	use("pthread");
	return bench_both(busy, 2, BUSY_LOOPS) / 2;
}

static double run_busy_futex(void)
{
	use("futex");
	return bench_both(busy, 2, BUSY_LOOPS) / 2;
}

static void *sleeps(void *arg)
{
	for (;;)
		pause();
	return arg;
}

/* glibc knows a shortcut where there is one thread. */
static double run_free(const char *name)
{
	static bool there;
	pthread_t thread;
	double begin;
	long i;

	if (!there)
		there = !pthread_create(&thread, NULL, sleeps, NULL);
	use(name);
	begin = bench_now_ns();
	for (i = 0; i < FREE_LOOPS; i++) {
		wake->mutex_lock(&mutex);
		wake->mutex_unlock(&mutex);
	}
	return (bench_now_ns() - begin) / FREE_LOOPS;
}

static double run_free_pthread(void) { return run_free("pthread"); }
static double run_free_futex(void) { return run_free("futex"); }

const struct bench bench_wake[] = {
	{ "futexcond_rtt_x1", "ns", "two threads that wake each other by futexes",
	  "a round trip over our condition, on one processor", run_bare_x1,
	  run_futex_x1, 0, 0, 1.1 },
	{ "futexcond_rtt_x2", "ns", "pthread's condition",
	  "the same on two processors", run_pthread_x2, run_futex_x2, 0, 0,
	  1.0 },
	{ "futexmutex_free", "ns", "pthread's mutex",
	  "our mutex for threads, free: lock, unlock", run_free_pthread,
	  run_free_futex, 0, 0, 0 },
	{ "futexmutex_busy", "ns", "pthread's mutex",
	  "two threads, two processors, one mutex: each lock and unlock",
	  run_busy_pthread, run_busy_futex, 0, 0, 0 },
	{ 0 },
};
