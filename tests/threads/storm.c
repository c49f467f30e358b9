/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * N senders x M receivers x kills x time-outs x selects x close, over several threads and channels: each value whose
 * send said 0 is received exactly once, and no other is. What the issue calls the claim: a value is handed over
 * completely or not at all.
 *
 * Every value has a number; senders note it when the send said 0, receivers when they have it. A storm ends when all
 * senders have got rid of their share; then the channels are closed and drained.
 */
#include "threads.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__) || defined(__aarch64__)
#define SHARE 300
#else
#define SHARE 2000
#endif
#define CHANNELS 3
#define THREADS 3
#define TASKS 4			/* of each kind, a thread */
#define SENDERS (THREADS * TASKS)

static struct tl_chan *chan[CHANNELS];
static _Atomic unsigned char sent[SENDERS * SHARE], received[SENDERS * SHARE];
static _Atomic(struct tl_task *) victim[2 * SENDERS];
static _Atomic int started, senders_left, tasks_left, wrong;
static _Atomic bool over;
static unsigned long seed;

static uint64_t rng_of(long n)
{
	uint64_t r = seed + (uint64_t)n * UINT64_C(0x9e3779b97f4a7c15);

	tap_random(&r);
	return r;
}

/* One try to send; whatever it fails with, the value is still ours. */
static int send_somehow(uint64_t *rng, long v)
{
	struct tl_chan *c = chan[tap_random(rng) % CHANNELS], *d = chan[tap_random(rng) % CHANNELS];
	struct tl_select_case cases[] = { TL_CASE_SEND(c, &v), TL_CASE_SEND(d, &v) };
	int r;

	switch (tap_random(rng) % 5) {
	case 0:
		return tl_chan_send_until(c, &v, tl_now() + tap_random(rng) % 200000);
	case 1:
		return tl_chan_try_send(c, &v);
	case 2:
		r = tl_select_until(cases, 2, tl_now() + tap_random(rng) % 200000);
		return r < 0 ? r : cases[r].result;
	case 3:
		r = tl_select(cases, 2);
		return r < 0 ? r : cases[r].result;
	default:
		return tl_chan_send(c, &v);
	}
}

static int receive_somehow(uint64_t *rng, long *v)
{
	struct tl_chan *c = chan[tap_random(rng) % CHANNELS];
	struct tl_select_case cases[CHANNELS + 1];
	int i, r;

	for (i = 0; i <= CHANNELS; i++)
		cases[i] = (struct tl_select_case)TL_CASE_RECV(chan[i % CHANNELS], v);
	switch (tap_random(rng) % 4) {
	case 0:
		return tl_chan_recv_until(c, v, tl_now() + tap_random(rng) % 200000);
	case 1:
		return tl_chan_try_recv(c, v);
	case 2:
		r = tl_select_until(cases, CHANNELS + 1, tl_now() + tap_random(rng) % 200000);
		return r < 0 ? r : cases[r].result;
	default:
		r = tl_select(cases, CHANNELS);
		return r < 0 ? r : cases[r].result;
	}
}

static void expected(int r)
{
	if (r != -ECANCELED && r != -ETIMEDOUT && r != -EAGAIN && r != -EPIPE)
		atomic_fetch_add(&wrong, 1);
	if (r == -ECANCELED)
		tl_error_free(tl_catch());
	else
		tl_schedule();
}

static int fn_send(void *arg)
{
	long n = (long)arg, i;
	uint64_t rng = rng_of(n);

	atomic_fetch_add(&started, 1);
	for (i = 0; i < SHARE; i++) {
		int r;

		while ((r = send_somehow(&rng, n * SHARE + i)))
			expected(r);
		atomic_fetch_add(&sent[n * SHARE + i], 1);
	}
	atomic_fetch_sub(&senders_left, 1);
	atomic_fetch_sub(&tasks_left, 1);
	return 0;
}

static int fn_receive(void *arg)
{
	uint64_t rng = rng_of(-1 - (long)arg);
	long v;

	atomic_fetch_add(&started, 1);
	for (;;) {
		int r = receive_somehow(&rng, &v);

		if (!r) {
			if (v < 0 || v >= SENDERS * SHARE)
				atomic_fetch_add(&wrong, 1);
			else
				atomic_fetch_add(&received[v], 1);
			continue;
		}
		if (r == -EPIPE && atomic_load(&over))
			break;
		expected(r);
	}
	atomic_fetch_sub(&tasks_left, 1);
	return 0;
}

static void *work(void *arg)
{
	long first = (long)arg * TASKS, i;

	for (i = first; i < first + TASKS; i++) {
		atomic_store(&victim[2 * i], spawn(fn_send, (void *)i));
		atomic_store(&victim[2 * i + 1], spawn(fn_receive, (void *)i));
	}
	run_all();
	return NULL;
}

/* Kills, and closes for a moment. */
static void *disturb(UNUSED void *arg)
{
	uint64_t rng = rng_of(1000);

	while (atomic_load(&senders_left)) {
		struct tl_chan *c = chan[tap_random(&rng) % CHANNELS];
		int i = (int)(tap_random(&rng) % (2 * SENDERS));

		if (tap_random(&rng) % 8)
			tl_task_kill(victim[i]);
		else if (!tl_chan_close(c))
			tl_chan_open(c);
		if (tap_random(&rng) % 4 == 0)
			nap();
	}
	return NULL;
}

static void storm(size_t capacity, bool disturbed)
{
	long i, lost = 0, twice = 0, unsent = 0;
	pthread_t t[THREADS], d;

	memset((void *)sent, 0, sizeof(sent));
	memset((void *)received, 0, sizeof(received));
	atomic_store(&senders_left, SENDERS);
	atomic_store(&tasks_left, 2 * SENDERS);
	atomic_store(&over, false);
	atomic_store(&started, 0);
	atomic_store(&wrong, 0);
	for (i = 0; i < 2 * SENDERS; i++)
		atomic_store(&victim[i], NULL);
	for (i = 0; i < CHANNELS; i++)
		chan[i] = new_chan(sizeof(long), capacity);
	for (i = 0; i < THREADS; i++)
		t[i] = start(work, (void *)i);
	/* One that has not begun would not survive a kill. */
	await(atomic_load(&started) == 2 * SENDERS);
	if (disturbed)
		d = start(disturb, NULL);
	await(!atomic_load(&senders_left));
	if (disturbed)
		pthread_join(d, NULL);
	atomic_store(&over, true);
	for (i = 0; i < CHANNELS; i++)
		tl_chan_close(chan[i]);
	for (i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	for (i = 0; i < 2 * SENDERS; i++)
		tl_task_unref(victim[i]);
	/* A receiver leaves on the first closed channel: what is still inside is ours. */
	for (i = 0; i < CHANNELS; i++) {
		long v;

		while (!tl_chan_try_recv(chan[i], &v))
			atomic_fetch_add(&received[v], 1);
		wrong += tl_chan_balance(chan[i]) != 0;
		tl_chan_unref(chan[i]);
	}
	for (i = 0; i < SENDERS * SHARE; i++) {
		unsent += sent[i] != 1;
		lost += received[i] == 0;
		twice += received[i] > 1;
	}
	tap_ok(!lost && !twice && !unsent && !wrong && !tasks_left,
	       "2: %d values, capacity %zu%s: %ld lost, %ld twice, %ld unsent, %d wrong", SENDERS * SHARE, capacity,
	       disturbed ? ", kills and closes" : "", lost, twice, unsent, (int)wrong);
}

int main(void)
{
	tap_plan(5);
	seed = tap_seed();
	storm(0, false);
	storm(0, true);
	storm(2, false);
	storm(2, true);
	tap_is(tl_sched_end(), 0, "sched.h: nothing is left");
	return tap_exit();
}
