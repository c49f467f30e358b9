/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Producers and consumers on several threads: one channel between them, and
 * nothing else to do for it. A plain pthread uses a channel as a tasklet does;
 * a wait group tells when all is done.
 */
#include <pthread.h>
#include <stdio.h>
#include <tasklet/tasklet.h>

#define PRODUCERS 2
#define CONSUMERS 3
#define EACH 10000

static struct tl_chan *numbers;
static struct tl_waitgroup producers = TL_WAITGROUP_INIT;

static int produce(void *arg)
{
	long first = (long)arg, i;

	for (i = first; i < first + EACH; i++)
		if (tl_chan_send(numbers, &i))
			break;
	tl_waitgroup_done(&producers);
	return 0;
}

/* A thread whose main tasklet waits while its others run. */
static void *producer_thread(void *arg)
{
	tl_spawn(NULL, produce, (void *)(2 * (long)arg * EACH));
	tl_spawn(NULL, produce, (void *)((2 * (long)arg + 1) * EACH));
	tl_waitgroup_wait(&producers);
	return NULL;
}

/* A thread like any other. */
static void *consumer_thread(void *arg)
{
	long n, *sum = arg;

	while (tl_chan_next(numbers, &n) > 0)
		*sum += n;
	return NULL;
}

int main(void)
{
	pthread_t p[PRODUCERS], c[CONSUMERS];
	long sum[CONSUMERS] = { 0 }, total = 0, n = 2L * PRODUCERS * EACH, i;

	if (tl_chan_new(&numbers, sizeof(long), 64))
		return 1;
	tl_waitgroup_add(&producers, 2 * PRODUCERS);
	for (i = 0; i < CONSUMERS; i++)
		pthread_create(&c[i], NULL, consumer_thread, &sum[i]);
	for (i = 0; i < PRODUCERS; i++)
		pthread_create(&p[i], NULL, producer_thread, (void *)i);
	for (i = 0; i < PRODUCERS; i++)
		pthread_join(p[i], NULL);
	tl_chan_close(numbers);	/* what is inside is still received */
	for (i = 0; i < CONSUMERS; i++) {
		pthread_join(c[i], NULL);
		total += sum[i];
	}
	printf("sum of %ld numbers: %ld\n", n, total);
	tl_chan_unref(numbers);
	return total == n * (n - 1) / 2 ? 0 : 1;
}
