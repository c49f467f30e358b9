/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The inbox from inside: messages of many threads arrive once each and in order, no sleep goes on while there is one,
 * and a producer that is slow to wake the scheduler never finds it gone.
 *
 * The last is forced: the reactor here is slow to be woken, and the consumer is up by itself, has the message and ends
 * while the producer still is on its way to wake it.
 */
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "check.h"
#include "core/task.h"
#include "os/clock.h"
#include "os/futex.h"

static struct tl_sched *sched;
static _Atomic int rounds;
static _Atomic bool sleeping;
static _Atomic int begun, waking, delivered, violations, wakes;

static void nap(long us)
{
	nanosleep(&(struct timespec){ .tv_nsec = us * 1000 }, NULL);
}

/* --- a slow producer ---------------------------------------------------------------------------------------------- */

static void slow_poll(UNUSED void *reactor, UNUSED bool idle)
{
}

/* Sleeps until there is a message, not until it is woken: as if the kernel had something else for it just then. */
static void slow_wait(void *reactor, UNUSED uint64_t deadline)
{
	uintptr_t asleep = (uintptr_t)&sched->inbox.stub | TL__INBOX_ASLEEP;
	int before = atomic_load(&wakes);

	*(volatile char *)reactor = 1;
	atomic_store(&sleeping, true);
	while (atomic_load(&sched->inbox.tail) == asleep)
		nap(20);
	/* On a busy machine it may be over before we look. */
	while (!atomic_load(&waking) && atomic_load(&wakes) == before)
		nap(20);
}

static void slow_wake(void *reactor)
{
	atomic_fetch_add(&waking, 1);
	atomic_fetch_add(&begun, 1);
	nap(3000);
	*(volatile char *)reactor = 2;
	atomic_fetch_add(&wakes, 1);
	atomic_fetch_sub(&waking, 1);
}

static void slow_destroy(void *reactor)
{
	if (atomic_load(&waking))
		atomic_fetch_add(&violations, 1);
	free(reactor);
}

static const struct tl__reactor_ops slow_ops = {
	.poll = slow_poll,
	.wait = slow_wait,
	.wake = slow_wake,
	.destroy = slow_destroy,
};

static void deliver(struct tl_sched *s, UNUSED struct tl__message *message)
{
	s->inbox.awaited--;
	atomic_fetch_add(&delivered, 1);
}

static void *fn_producer(void *arg)
{
	while (!atomic_load(&sleeping))
		nap(20);
	tl__inbox_push(sched, arg);
	return NULL;
}

static void *fn_consumer(UNUSED void *arg)
{
	struct tl__message message = { .deliver = deliver };
	pthread_t producer;

	sched = tl__sched();
	sched->inbox.awaited = 1;
	sched->reactor = malloc(16);
	sched->reactor_ops = &slow_ops;
	sched->io_pending = 1;	/* so that it sleeps there */
	if (pthread_create(&producer, NULL, fn_producer, &message))
		tap_bail("pthread_create");
	while (!atomic_load(&delivered)) {
		tl__inbox_sleep(sched, TL_FOREVER);
		tl__inbox_drain(sched);
	}
	sched->io_pending = 0;
	if (tl_sched_end())
		tap_bail("tl_sched_end");
	pthread_join(producer, NULL);
	return NULL;
}

static void test_slow(void)
{
	pthread_t t;
	int i, n = 30;

	for (i = 0; i < n; i++) {
		atomic_store(&sleeping, false);
		atomic_store(&delivered, 0);
		if (pthread_create(&t, NULL, fn_consumer, NULL))
			tap_bail("pthread_create");
		pthread_join(t, NULL);
		atomic_fetch_add(&rounds, 1);
	}
	tap_is(atomic_load(&wakes), n, "%d schedulers end while somebody wakes them", n);
	tap_is(atomic_load(&violations), 0, "each of them waits for that");
}

/* --- a message that is still to come ------------------------------------------------------------------------------ */

static void *fn_late(void *arg)
{
	nap(5000);
	tl__inbox_push(sched, arg);
	return NULL;
}

static void *fn_ends_early(UNUSED void *arg)
{
	struct tl__message message = { .deliver = deliver };
	pthread_t producer;

	sched = tl__sched();
	sched->inbox.awaited = 1;
	if (pthread_create(&producer, NULL, fn_late, &message))
		tap_bail("pthread_create");
	tap_is(tl_sched_end(), 0, "a scheduler that is to get a message ends");
	tap_is(atomic_load(&delivered), 1, "but not before it has got it");
	pthread_join(producer, NULL);
	return NULL;
}

static void test_awaited(void)
{
	pthread_t t;

	atomic_store(&delivered, 0);
	if (pthread_create(&t, NULL, fn_ends_early, NULL))
		tap_bail("pthread_create");
	pthread_join(t, NULL);
}

/* --- many producers ----------------------------------------------------------------------------------------------- */

#define PRODUCERS 4
#define EACH 20000

struct numbered {
	struct tl__message message;
	int producer, number;
};

static int next_number[PRODUCERS], disorder, arrived;
static bool reactor_made;

static void count(UNUSED struct tl_sched *s, struct tl__message *message)
{
	struct numbered *m = (struct numbered *)(void *)message;

	disorder += m->number != next_number[m->producer]++;
	arrived++;
	free(m);
}

static void *fn_many(void *arg)
{
	int i, producer = (int)(long)arg;
	uint64_t rnd = tap_seed() + (uint64_t)producer;

	for (i = 0; i < EACH; i++) {
		struct numbered *m = malloc(sizeof(*m));

		*m = (struct numbered){ { .deliver = count }, producer, i };
		tl__inbox_push(sched, &m->message);
		if (tap_random(&rnd) % 16 == 0)
			sched_yield();
		if (tap_random(&rnd) % 256 == 0)
			nap(1);
	}
	return NULL;
}

/* A reactor that sleeps on a word of its own. */
static _Atomic uint32_t word;

static void word_wait(UNUSED void *reactor, UNUSED uint64_t deadline)
{
	tl__futex_wait(&word, 0, tl__now() + 5 * TL__NS_PER_SEC);
	atomic_store(&word, 0);
}

static void word_wake(UNUSED void *reactor)
{
	atomic_store(&word, 1);
	tl__futex_wake(&word, 1);
}

static void word_destroy(UNUSED void *reactor)
{
}

static const struct tl__reactor_ops word_ops = {
	.poll = slow_poll,
	.wait = word_wait,
	.wake = word_wake,
	.destroy = word_destroy,
};

static void test_many(void)
{
	pthread_t t[PRODUCERS];
	uint64_t start, longest = 0, took;
	long i;

	sched = tl__sched();
	for (i = 0; i < PRODUCERS; i++)
		if (pthread_create(&t[i], NULL, fn_many, (void *)i))
			tap_bail("pthread_create");
	while (arrived < PRODUCERS * EACH) {
		tl__inbox_drain(sched);
		if (arrived >= PRODUCERS * EACH)
			break;
		/* Halfway the thread gets a reactor, as with its first IO, while others push. */
		if (!reactor_made && arrived > PRODUCERS * EACH / 2) {
			reactor_made = true;
			sched->reactor = &word;
			sched->reactor_ops = &word_ops;
		}
		start = tl__now();
		tl__inbox_sleep(sched, tl__now() + 5 * TL__NS_PER_SEC);
		took = tl__now() - start;
		if (took > longest)
			longest = took;
	}
	for (i = 0; i < PRODUCERS; i++)
		pthread_join(t[i], NULL);
	tap_is(arrived, PRODUCERS * EACH, "%d messages of %d threads arrive", PRODUCERS * EACH, PRODUCERS);
	tap_is(disorder, 0, "each thread's in order");
	tap_ok(longest < 4 * TL__NS_PER_SEC, "no wake-up is lost (longest sleep %.3f ms)", (double)longest / 1e6);
	tap_ok(!tl__inbox_drain(sched), "and none twice");
	tap_is(tl_sched_end(), 0, "the scheduler ends");
}

int main(void)
{
	tap_plan(9);
	tap_seed();
	test_slow();
	test_awaited();
	test_many();
	return tap_exit();
}
