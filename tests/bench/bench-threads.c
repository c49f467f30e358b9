/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Channels between two threads, against two threads that wake each other by bare
 * futexes: on one processor; on two, where each answers at once; on two, where
 * each is long asleep when its answer comes. And several producers against one
 * consumer, beside a queue with pthread's mutex and condition.
 */
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <tasklet/tasklet.h>

#include "bench.h"

#define RTT_LOOPS 20000
#define ASLEEP_LOOPS 400
#define ASLEEP_NS 150000.0	/* nobody spins for so long */
#define PRODUCERS 3
#define MESSAGES 60000		/* each */
#define QUEUE_SIZE 64

static double delay_ns;
static int rtt_loops;
static size_t capacity;

static bool pin_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) == 0;
}

/* Computes for as long as an answer shall take. */
static void delay(void)
{
	double end;

	if (delay_ns <= 0)
		return;
	for (end = bench_now_ns() + delay_ns; bench_now_ns() < end;)
		;
}

/* --- bare futexes ----------------------------------------------------------- */

static _Atomic int ping_word, pong_word;

static void futex_post(_Atomic int *word)
{
	atomic_store(word, 1);
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void futex_await(_Atomic int *word)
{
	while (!atomic_exchange(word, 0))
		syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
}

static void *futex_partner(void *arg)
{
	int i;

	pin_to(*(int *)arg);
	for (i = 0; i < rtt_loops; i++) {
		futex_await(&ping_word);
		delay();
		futex_post(&pong_word);
	}
	return NULL;
}

static void futex_round_trips(void)
{
	int i;

	for (i = 0; i < rtt_loops; i++) {
		delay();
		futex_post(&ping_word);
		futex_await(&pong_word);
	}
}

/* --- channels --------------------------------------------------------------- */

static struct tl_chan *ping, *pong;

static void *chan_partner(void *arg)
{
	long v = 0;

	pin_to(*(int *)arg);
	while (tl_chan_recv(ping, &v) == 0) {
		delay();
		if (tl_chan_send(pong, &v))
			break;
	}
	return NULL;
}

static void chan_round_trips(void)
{
	long i, v = 0;

	for (i = 0; i < rtt_loops; i++) {
		delay();
		tl_chan_send(ping, &i);
		tl_chan_recv(pong, &v);
	}
}

/* --- a round trip ----------------------------------------------------------- */

/* Nanoseconds, without the time that the partners computed. */
static double measure(void *(*partner)(void *), void (*round_trips)(void),
		      int cpu)
{
	pthread_t thread;
	double start, ns;

	pin_to(0);
	if (pthread_create(&thread, NULL, partner, &cpu))
		return bench_skip("no thread");
	start = bench_now_ns();
	round_trips();
	ns = bench_now_ns() - start;
	if (partner == chan_partner)
		tl_chan_close(ping);
	pthread_join(thread, NULL);
	return ns / rtt_loops - 2 * (delay_ns > 0 ? delay_ns : 0);
}

static double run_futex(int cpu)
{
	return measure(futex_partner, futex_round_trips, cpu);
}

static double run_chan(int cpu)
{
	double ns;

	if (tl_chan_new(&ping, sizeof(long), capacity) ||
	    tl_chan_new(&pong, sizeof(long), capacity))
		return bench_skip("no memory");
	ns = measure(chan_partner, chan_round_trips, cpu);
	tl_chan_unref(ping);
	tl_chan_unref(pong);
	return ns;
}

/*
 * One who posts a word goes on before the other has seen it: channels that hold
 * one value do the same. A rendezvous is something else: see rendezvous_x1().
 */
static double on_one(double (*run)(int cpu))
{
	capacity = 1;
	delay_ns = 0;
	rtt_loops = RTT_LOOPS;
	bench_set_pin("cpu0+cpu0");
	return run(0);
}

static double on_two(double (*run)(int cpu), double wait_ns, int loops)
{
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		return bench_skip("one processor");
	capacity = 1;
	delay_ns = wait_ns;
	rtt_loops = loops;
	bench_set_pin("cpu0+cpu1");
	return run(1);
}

/* --- a rendezvous: one who sends waits until it is received ----------------- */

static _Atomic int ping_taken, pong_taken;

static void *rendezvous_partner(void *arg)
{
	int i;

	pin_to(*(int *)arg);
	for (i = 0; i < rtt_loops; i++) {
		futex_await(&ping_word);
		futex_post(&ping_taken);
		futex_post(&pong_word);
		futex_await(&pong_taken);
	}
	return NULL;
}

static void rendezvous_round_trips(void)
{
	int i;

	for (i = 0; i < rtt_loops; i++) {
		futex_post(&ping_word);
		futex_await(&ping_taken);
		futex_await(&pong_word);
		futex_post(&pong_taken);
	}
}

static double run_rendezvous(int cpu)
{
	return measure(rendezvous_partner, rendezvous_round_trips, cpu);
}

static double chan_rendezvous(int cpu)
{
	capacity = 0;
	return run_chan(cpu);
}

static double futex_rdv_x1(void) { return on_one(run_rendezvous); }
static double chan_rdv_x1(void) { return on_one(chan_rendezvous); }
static double futex_rdv_x2(void) { return on_two(run_rendezvous, 0, RTT_LOOPS); }
static double chan_rdv_x2(void) { return on_two(chan_rendezvous, 0, RTT_LOOPS); }
static double futex_x1(void) { return on_one(run_futex); }
static double chan_x1(void) { return on_one(run_chan); }
static double futex_x2(void) { return on_two(run_futex, 0, RTT_LOOPS); }
static double chan_x2(void) { return on_two(run_chan, 0, RTT_LOOPS); }

static double futex_x2_asleep(void)
{
	return on_two(run_futex, ASLEEP_NS, ASLEEP_LOOPS);
}

static double chan_x2_asleep(void)
{
	return on_two(run_chan, ASLEEP_NS, ASLEEP_LOOPS);
}

/* --- many to one ------------------------------------------------------------ */

static struct tl_chan *funnel;

static void *chan_producer(void *arg)
{
	long i;

	(void)arg;
	for (i = 0; i < MESSAGES; i++)
		tl_chan_send(funnel, &i);
	return NULL;
}

static struct {
	pthread_mutex_t lock;
	pthread_cond_t not_empty, not_full;
	long value[QUEUE_SIZE];
	unsigned int first, count;
} queue = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.not_empty = PTHREAD_COND_INITIALIZER,
	.not_full = PTHREAD_COND_INITIALIZER,
};

static void *queue_producer(void *arg)
{
	long i;

	(void)arg;
	for (i = 0; i < MESSAGES; i++) {
		pthread_mutex_lock(&queue.lock);
		while (queue.count == QUEUE_SIZE)
			pthread_cond_wait(&queue.not_full, &queue.lock);
		queue.value[(queue.first + queue.count++) % QUEUE_SIZE] = i;
		pthread_cond_signal(&queue.not_empty);
		pthread_mutex_unlock(&queue.lock);
	}
	return NULL;
}

static long queue_take(void)
{
	long v;

	pthread_mutex_lock(&queue.lock);
	while (!queue.count)
		pthread_cond_wait(&queue.not_empty, &queue.lock);
	v = queue.value[queue.first];
	queue.first = (queue.first + 1) % QUEUE_SIZE;
	queue.count--;
	pthread_cond_signal(&queue.not_full);
	pthread_mutex_unlock(&queue.lock);
	return v;
}

/* Nanoseconds a message; threads where the kernel puts them. */
static double many_to_one(void *(*producer)(void *), bool channel)
{
	cpu_set_t all;
	pthread_t t[PRODUCERS];
	double start;
	long i, v;

	CPU_ZERO(&all);
	CPU_SET(0, &all);
	CPU_SET(1, &all);
	sched_setaffinity(0, sizeof(all), &all);
	bench_set_pin("none");
	if (channel && tl_chan_new(&funnel, sizeof(long), QUEUE_SIZE))
		return bench_skip("no memory");
	start = bench_now_ns();
	for (i = 0; i < PRODUCERS; i++)
		if (pthread_create(&t[i], NULL, producer, NULL))
			return bench_skip("no thread");
	for (i = 0; i < PRODUCERS * MESSAGES; i++)
		if (channel)
			tl_chan_recv(funnel, &v);
		else
			v = queue_take();
	start = bench_now_ns() - start;
	for (i = 0; i < PRODUCERS; i++)
		pthread_join(t[i], NULL);
	if (channel)
		tl_chan_unref(funnel);
	pin_to(0);
	return start / (PRODUCERS * MESSAGES);
}

static double chan_fan_in(void) { return many_to_one(chan_producer, true); }
static double queue_fan_in(void) { return many_to_one(queue_producer, false); }

#define BARE "two threads that wake each other by futexes"

const struct bench bench_threads[] = {
	{ "chan_rtt_x1", "ns", BARE,
	  "a round trip over channels for one value, on one processor",
	  futex_x1, chan_x1, 0, 0, 1.25 },
	{ "chan_rtt_x2", "ns", BARE,
	  "the same on two processors, each answering at once",
	  futex_x2, chan_x2, 0, 0, 0.5 },
	{ "chan_rtt_x2_asleep", "ns", BARE,
	  "the same, each answering after 150 us (which are taken off)",
	  futex_x2_asleep, chan_x2_asleep, 0, 0, 1.1 },
	{ "chan_rdv_x1", "ns", "the same with futexes: a sender waits for its receiver",
	  "a round trip over channels without capacity, on one processor",
	  futex_rdv_x1, chan_rdv_x1, 0, 0, 1.25 },
	{ "chan_rdv_x2", "ns", "the same with futexes, on two processors",
	  "a round trip over channels without capacity, on two processors",
	  futex_rdv_x2, chan_rdv_x2, 0, 0, 1.1 },
	{ "chan_fan_in", "ns", "a queue with pthread's mutex and conditions",
	  "a value from one of three threads, through a channel for 64",
	  queue_fan_in, chan_fan_in, 0, 0, 1 },
	{ 0 },
};
