/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Locks between threads, against pthread's in the same run: a mutex, semaphore and
 * condition that are free, a mutex that two threads fight for, and round trips of
 * two plain threads over a condition and over semaphores, both on one processor
 * and each on its own. The process has two
 * threads all the time, for glibc's mutex knows a shortcut where there is one.
 */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include <tasklet/tasklet.h>

#include "bench.h"

#define FREE_LOOPS 3000000
#define BUSY_LOOPS 400000
#define RTT_LOOPS 20000

/* The two kinds of lock, each through its own loops: no call by a pointer. */
static struct tl_mutex tl_m = TL_MUTEX_INIT;
static struct tl_cond tl_c = TL_COND_INIT;
static pthread_mutex_t pt_m = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t pt_c = PTHREAD_COND_INITIALIZER;

/* --- a second thread -------------------------------------------------------- */

struct partner {
	pthread_t thread;
	void *(*fn)(void *arg);
	int cpu;
};

static bool pin_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) == 0;
}

static void *partner_main(void *arg)
{
	struct partner *p = arg;

	pin_to(p->cpu);
	p->fn(NULL);
	/* Its scheduler, if it became one, is part of the next measurement's
	 * start, not of this one's end. */
	return NULL;
}

static bool start(struct partner *p, void *(*fn)(void *arg), int cpu)
{
	p->fn = fn;
	p->cpu = cpu;
	return pthread_create(&p->thread, NULL, partner_main, p) == 0;
}

/* Sleeps, so that the process has two threads. */
static void *idle(void *arg)
{
	(void)arg;
	for (;;)
		pause();
	return NULL;
}

static void second_thread(void)
{
	static bool there;
	static struct partner p;

	if (!there)
		there = start(&p, idle, 0);
}

/* --- free ------------------------------------------------------------------- */

static double run_free_pt(void)
{
	double begin;
	long i;

	second_thread();
	begin = bench_now_ns();
	for (i = 0; i < FREE_LOOPS; i++) {
		pthread_mutex_lock(&pt_m);
		pthread_mutex_unlock(&pt_m);
	}
	return (bench_now_ns() - begin) / FREE_LOOPS;
}

static double run_free_tl(void)
{
	double begin;
	long i;

	second_thread();
	begin = bench_now_ns();
	for (i = 0; i < FREE_LOOPS; i++) {
		tl_mutex_lock(&tl_m);
		tl_mutex_unlock(&tl_m);
	}
	return (bench_now_ns() - begin) / FREE_LOOPS;
}

/* --- busy: a few tens of ns inside, as many outside ------------------------- */

static volatile long inside;
static _Atomic int ready;

static void work(void)
{
	int i;

	for (i = 0; i < 10; i++)
		inside = inside + 1;
}

static void rendezvous(void)
{
	atomic_fetch_add(&ready, 1);
	while (atomic_load(&ready) < 2)
		sched_yield();
}

static void pause_outside(void)
{
	volatile int i;

	for (i = 0; i < 20; i++)
		;
}

static void *busy_pt(void *arg)
{
	long i;

	(void)arg;
	rendezvous();
	for (i = 0; i < BUSY_LOOPS; i++) {
		pthread_mutex_lock(&pt_m);
		work();
		pthread_mutex_unlock(&pt_m);
		pause_outside();
	}
	return NULL;
}

static void *busy_tl(void *arg)
{
	long i;

	(void)arg;
	rendezvous();
	for (i = 0; i < BUSY_LOOPS; i++) {
		tl_mutex_lock(&tl_m);
		work();
		tl_mutex_unlock(&tl_m);
		pause_outside();
	}
	return NULL;
}

/* Both run @fn, on one or two processors. Nanoseconds. */
static double both(void *(*fn)(void *arg), int cpus)
{
	struct partner p;
	double begin;

	if (cpus > 1 && sysconf(_SC_NPROCESSORS_ONLN) < 2)
		return bench_skip("there is one processor");
	bench_set_pin(cpus > 1 ? "cpu0+cpu1" : "cpu0");
	atomic_store(&ready, 0);
	if (!pin_to(0) || !start(&p, fn, cpus - 1))
		return bench_skip("no second thread, or no pinning");
	begin = bench_now_ns();
	fn(&p);
	pthread_join(p.thread, NULL);
	return bench_now_ns() - begin;
}

static double per(double ns, long n)
{
	return ns < 0 ? ns : ns / (double)n;
}

static double run_busy_pt(void)
{
	return per(both(busy_pt, 2), 2L * BUSY_LOOPS);
}

static double run_busy_tl(void)
{
	return per(both(busy_tl, 2), 2L * BUSY_LOOPS);
}

/* --- round trips: the number's parity says whose turn it is ------------------ */

static long turn;

static void *rtt_pt(void *arg)
{
	long i, mine = arg != NULL;

	rendezvous();
	for (i = 0; i < RTT_LOOPS; i++) {
		pthread_mutex_lock(&pt_m);
		while ((turn & 1) != mine)
			pthread_cond_wait(&pt_c, &pt_m);
		turn++;
		pthread_cond_signal(&pt_c);
		pthread_mutex_unlock(&pt_m);
	}
	return NULL;
}

static void *rtt_tl(void *arg)
{
	long i, mine = arg != NULL;

	rendezvous();
	for (i = 0; i < RTT_LOOPS; i++) {
		tl_mutex_lock(&tl_m);
		while ((turn & 1) != mine)
			tl_cond_wait(&tl_c, &tl_m);
		turn++;
		tl_cond_notify(&tl_c, 1);
		tl_mutex_unlock(&tl_m);
	}
	return NULL;
}

static double run_rtt_pt_x1(void)
{
	return per(both(rtt_pt, 1), RTT_LOOPS);
}

static double run_rtt_tl_x1(void)
{
	return per(both(rtt_tl, 1), RTT_LOOPS);
}

static double run_rtt_pt_x2(void)
{
	return per(both(rtt_pt, 2), RTT_LOOPS);
}

static double run_rtt_tl_x2(void)
{
	return per(both(rtt_tl, 2), RTT_LOOPS);
}

/* --- semaphores: free, and two of them for a round trip ---------------------- */

static struct tl_sem tl_s = TL_SEM_INIT(1);
static struct tl_sem tl_ping = TL_SEM_INIT(0), tl_pong = TL_SEM_INIT(0);
static sem_t pt_ping, pt_pong;

static double run_sem_free_pt(void)
{
	double begin;
	sem_t s;
	long i;

	second_thread();
	sem_init(&s, 0, 1);
	begin = bench_now_ns();
	for (i = 0; i < FREE_LOOPS; i++) {
		sem_wait(&s);
		sem_post(&s);
	}
	return (bench_now_ns() - begin) / FREE_LOOPS;
}

static double run_sem_free_tl(void)
{
	double begin;
	long i;

	second_thread();
	begin = bench_now_ns();
	for (i = 0; i < FREE_LOOPS; i++) {
		tl_sem_acquire(&tl_s);
		tl_sem_release(&tl_s, 1);
	}
	return (bench_now_ns() - begin) / FREE_LOOPS;
}

static void *sem_rtt_pt(void *arg)
{
	long i;

	rendezvous();
	for (i = 0; i < RTT_LOOPS; i++) {
		if (arg)
			sem_post(&pt_ping);
		sem_wait(arg ? &pt_pong : &pt_ping);
		if (!arg)
			sem_post(&pt_pong);
	}
	return NULL;
}

static void *sem_rtt_tl(void *arg)
{
	long i;

	rendezvous();
	for (i = 0; i < RTT_LOOPS; i++) {
		if (arg)
			tl_sem_release(&tl_ping, 1);
		tl_sem_acquire(arg ? &tl_pong : &tl_ping);
		if (!arg)
			tl_sem_release(&tl_pong, 1);
	}
	return NULL;
}

static void *sem_busy_pt(void *arg)
{
	long i;

	(void)arg;
	rendezvous();
	for (i = 0; i < BUSY_LOOPS; i++) {
		sem_wait(&pt_ping);
		work();
		sem_post(&pt_ping);
		pause_outside();
	}
	return NULL;
}

static void *sem_busy_tl(void *arg)
{
	long i;

	(void)arg;
	rendezvous();
	for (i = 0; i < BUSY_LOOPS; i++) {
		tl_sem_acquire(&tl_s);
		work();
		tl_sem_release(&tl_s, 1);
		pause_outside();
	}
	return NULL;
}

static double run_sem_busy_pt(void)
{
	double ns;

	sem_init(&pt_ping, 0, 1);
	ns = both(sem_busy_pt, 2);
	sem_destroy(&pt_ping);
	return per(ns, 2L * BUSY_LOOPS);
}

static double run_sem_busy_tl(void)
{
	return per(both(sem_busy_tl, 2), 2L * BUSY_LOOPS);
}

static double sem_pt(int cpus)
{
	sem_init(&pt_ping, 0, 0);
	sem_init(&pt_pong, 0, 0);
	return per(both(sem_rtt_pt, cpus), RTT_LOOPS);
}

static double run_sem_pt_x1(void) { return sem_pt(1); }
static double run_sem_pt_x2(void) { return sem_pt(2); }
static double run_sem_tl_x1(void) { return per(both(sem_rtt_tl, 1), RTT_LOOPS); }
static double run_sem_tl_x2(void) { return per(both(sem_rtt_tl, 2), RTT_LOOPS); }

/* --- a condition that nobody waits for ---------------------------------------- */

static double run_cond_free_pt(void)
{
	double begin;
	long i;

	second_thread();
	begin = bench_now_ns();
	for (i = 0; i < FREE_LOOPS; i++)
		pthread_cond_signal(&pt_c);
	return (bench_now_ns() - begin) / FREE_LOOPS;
}

static double run_cond_free_tl(void)
{
	double begin;
	long i;

	second_thread();
	begin = bench_now_ns();
	for (i = 0; i < FREE_LOOPS; i++)
		tl_cond_notify(&tl_c, 1);
	return (bench_now_ns() - begin) / FREE_LOOPS;
}

const struct bench bench_sync[] = {
	{ "mutex_free", "ns", "pthread's mutex", "a mutex that is free: lock, unlock",
	  run_free_pt, run_free_tl, 0, 0, 1.0 },
	{ "mutex_busy", "ns", "pthread's mutex",
	  "two threads, two processors, one mutex: each lock and unlock",
	  run_busy_pt, run_busy_tl, 0, 0, 0 },
	{ "cond_rtt_x1", "ns", "pthread's condition",
	  "a round trip of two threads on one processor", run_rtt_pt_x1,
	  run_rtt_tl_x1, 0, 0, 0 },
	{ "cond_rtt_x2", "ns", "pthread's condition",
	  "a round trip of two threads on two processors", run_rtt_pt_x2,
	  run_rtt_tl_x2, 0, 0, 0 },
	{ "cond_free", "ns", "pthread's condition",
	  "a notification that nobody waits for", run_cond_free_pt,
	  run_cond_free_tl, 0, 0, 0 },
	{ "sem_free", "ns", "POSIX's semaphore",
	  "a semaphore with a token: acquire, release", run_sem_free_pt,
	  run_sem_free_tl, 0, 0, 0 },
	{ "sem_busy", "ns", "POSIX's semaphore",
	  "two threads, two processors, one token: each acquire and release",
	  run_sem_busy_pt, run_sem_busy_tl, 0, 0, 0 },
	{ "sem_rtt_x1", "ns", "POSIX's semaphore",
	  "a round trip over two semaphores, on one processor",
	  run_sem_pt_x1, run_sem_tl_x1, 0, 0, 0 },
	{ "sem_rtt_x2", "ns", "POSIX's semaphore",
	  "the same on two processors", run_sem_pt_x2, run_sem_tl_x2, 0, 0, 0 },
	{ 0 },
};
