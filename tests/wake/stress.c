/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Producers and consumers over a small queue: each item arrives once, whatever signals, broadcasts, time-outs and signal
 * handlers come between, and the last consumer ends. Also over semaphores, and over all kinds of waits at random.
 */
#include <signal.h>

#include "waketest.h"

#define PRODUCERS 3
#define CONSUMERS 3
#define EACH 3000
#define SLOTS 4

struct queue {
	const struct tl_wake *w;
	struct tl_wake_mutex m;
	struct tl_wake_cond not_empty, not_full;
	struct tl_wake_sem items, room;
	int slots[SLOTS];
	unsigned int head, tail;
	int each;
	_Atomic int produced;	/* numbers the producers */
	int left;		/* to be consumed; under the mutex */
	bool semaphores, random;
	_Atomic int errors;
	_Atomic long timeouts;
	unsigned char *seen;
	_Atomic bool stop;
};

static __thread uint64_t seed;

/* The mood of a call: out of 8. */
static bool now_and_then(const struct queue *q)
{
	return q->random && tap_random(&seed) % 8 == 0;
}

static void wait_for(struct queue *q, struct tl_wake_cond *c)
{
	uint64_t deadline = TL_FOREVER;
	int clock = CLOCK_MONOTONIC, r;

	if (now_and_then(q)) {
		clock = tap_random(&seed) % 2 ? CLOCK_MONOTONIC : CLOCK_REALTIME;
		deadline = now_by(clock) + tap_random(&seed) % 20000;
	}
	errno = 4711;
	r = q->w->cond_wait(c, &q->m, clock, deadline);
	if (r && (r != -ETIMEDOUT || deadline == TL_FOREVER || now_by(clock) < deadline))
		atomic_fetch_add(&q->errors, 1);
	if (errno != 4711)
		atomic_fetch_add(&q->errors, 1);
	atomic_fetch_add(&q->timeouts, r != 0);
}

/* Unlocks before or after it tells others; sometimes it tells all of them. */
static void tell(struct queue *q, struct tl_wake_cond *c)
{
	bool early = q->random && tap_random(&seed) % 2;

	if (early)
		q->w->mutex_unlock(&q->m);
	if (now_and_then(q))
		q->w->cond_broadcast(c);
	else
		q->w->cond_signal(c);
	if (!early)
		q->w->mutex_unlock(&q->m);
}

static void take_token(struct queue *q, struct tl_wake_sem *s)
{
	while (now_and_then(q))
		if (!q->w->sem_wait(s, CLOCK_REALTIME, now_by(CLOCK_REALTIME) + tap_random(&seed) % 100000))
			return;
	if (q->w->sem_wait(s, CLOCK_MONOTONIC, TL_FOREVER))
		atomic_fetch_add(&q->errors, 1);
}

static void *producer(void *arg)
{
	struct queue *q = arg;
	int first = atomic_fetch_add(&q->produced, 1) * q->each, i;

	seed = tap_seed() + (unsigned int)first;
	for (i = first; i < first + q->each; i++) {
		if (q->semaphores)
			take_token(q, &q->room);
		q->w->mutex_lock(&q->m);
		while (!q->semaphores && q->tail - q->head == SLOTS)
			wait_for(q, &q->not_full);
		q->slots[q->tail++ % SLOTS] = i;
		if (!q->semaphores) {
			tell(q, &q->not_empty);
		} else {
			q->w->mutex_unlock(&q->m);
			q->w->sem_post(&q->items);
		}
	}
	return NULL;
}

static bool consume(struct queue *q)
{
	int item;

	if (q->semaphores)
		take_token(q, &q->items);
	q->w->mutex_lock(&q->m);
	while (!q->semaphores && q->tail == q->head && q->left)
		wait_for(q, &q->not_empty);
	if (!q->left) {
		q->w->mutex_unlock(&q->m);
		return false;
	}
	item = q->slots[q->head++ % SLOTS];
	if (q->seen[item]++)
		atomic_fetch_add(&q->errors, 1);
	if (!--q->left) {
		int i;

		q->w->cond_broadcast(&q->not_empty);
		for (i = 0; i < CONSUMERS; i++)
			q->w->sem_post(&q->items);
	}
	if (!q->semaphores) {
		tell(q, &q->not_full);
	} else {
		q->w->mutex_unlock(&q->m);
		q->w->sem_post(&q->room);
	}
	return true;
}

static void *consumer(void *arg)
{
	struct queue *q = arg;

	seed = tap_seed() ^ (uintptr_t)&arg;
	while (consume(q))
		;
	return NULL;
}

static _Atomic int handled;

static void on_signal(UNUSED int number)
{
	/* relaxed: counted only */
	atomic_fetch_add_explicit(&handled, 1, memory_order_relaxed);
}

static void run(const struct tl_wake *w, bool semaphores, bool random)
{
	struct queue q = { .w = w, .semaphores = semaphores, .random = random };
	pthread_t threads[PRODUCERS + CONSUMERS];
	int i, missing = 0;

	q.each = turns(EACH);
	q.left = PRODUCERS * q.each;
	q.seen = calloc((size_t)q.left, 1);
	if (!q.seen)
		tap_bail("no memory");
	for (i = 0; i < SLOTS; i++)
		w->sem_post(&q.room);
	for (i = 0; i < PRODUCERS; i++)
		threads[i] = start(producer, &q);
	for (; i < PRODUCERS + CONSUMERS; i++)
		threads[i] = start(consumer, &q);
	/* A handler in the middle of whatever they do; they are not joined yet. */
	for (i = 0; random && i < turns(600); i++) {
		pthread_kill(threads[tap_random(&seed) % (PRODUCERS + CONSUMERS)], SIGUSR1);
		nap(50000);
	}
	for (i = 0; i < PRODUCERS + CONSUMERS; i++)
		pthread_join(threads[i], NULL);
	for (i = 0; i < PRODUCERS * q.each; i++)
		missing += q.seen[i] != 1;
	tap_ok(!missing && !atomic_load(&q.errors), "%s: each item arrives once, over %s%s", w->name,
	       semaphores ? "semaphores" : "conditions", random ? ", whatever comes between" : "");
	if (random)
		tap_diag("%ld time-outs, %d signal handlers ran", atomic_load(&q.timeouts),
			 atomic_exchange(&handled, 0));
	free(q.seen);
}

/* --- a herd on one mutex: who holds it is alone --------------------------------------------------------------------- */

struct crowd {
	const struct tl_wake *w;
	struct tl_wake_mutex m;
	long inside, total;
	_Atomic int wrong;
};

static void *member(void *arg)
{
	struct crowd *c = arg;
	int i;

	for (i = 0; i < turns(40000); i++) {
		if (i % 16 || c->w->mutex_try_lock(&c->m))
			c->w->mutex_lock(&c->m);
		if (c->inside++)
			atomic_fetch_add(&c->wrong, 1);
		if (i % 1024 == 0)
			sched_yield();
		c->total++;
		c->inside--;
		c->w->mutex_unlock(&c->m);
	}
	return NULL;
}

static void test_crowd(const struct tl_wake *w)
{
	struct crowd c = { .w = w };
	pthread_t threads[5];
	int i;

	for (i = 0; i < 5; i++)
		threads[i] = start(member, &c);
	for (i = 0; i < 5; i++)
		pthread_join(threads[i], NULL);
	tap_ok(c.total == 5L * turns(40000) && !atomic_load(&c.wrong), "%s: one at a time has the mutex", w->name);
}

int main(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	const struct tl_wake *w;

	tap_plan(4 * 5);
	tap_seed();	/* the first call is no thread's */
	/* Without SA_RESTART: the sleeps end with EINTR. */
	sigaction(SIGUSR1, &action, NULL);
	FOR_EACH_WAKE(w) {
		test_crowd(w);
		run(w, false, false);
		run(w, false, true);
		run(w, true, false);
		run(w, true, true);
	}
	return tap_exit();
}
