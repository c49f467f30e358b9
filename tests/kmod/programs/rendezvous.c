/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * rendezvous free|same|cross TRIPS: two threads send a number to and fro by two channels
 * of the library's; the time of a round trip in microseconds. They are free to run
 * anywhere, both on processor 0, or on one each. TL_HANDOFF says by what.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tasklet/tasklet.h>

static struct tl_chan *ping, *pong;

static void pin(const char *place, int number)
{
	cpu_set_t set;

	if (!strcmp(place, "free"))
		return;
	CPU_ZERO(&set);
	CPU_SET(strcmp(place, "same") ? number : 0, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void *answer(void *place)
{
	long n;

	pin(place, 1);
	while (!tl_chan_recv(ping, &n) && !tl_chan_send(pong, &n))
		;
	return NULL;
}

int main(int argc, char **argv)
{
	long trips = argc == 3 ? atol(argv[2]) : 0, i, n;
	uint64_t start;
	pthread_t thread;

	if (trips < 1 || tl_chan_new(&ping, sizeof(long), 0) || tl_chan_new(&pong, sizeof(long), 0))
		return 2;
	pin(argv[1], 0);
	pthread_create(&thread, NULL, answer, argv[1]);
	start = tl_now();
	for (i = 0; i < trips; i++)
		if (tl_chan_send(ping, &i) || tl_chan_recv(pong, &n) || n != i)
			return 1;
	printf("%.2f\n", (double)(tl_now() - start) / 1e3 / (double)trips);
	tl_chan_close(ping);
	pthread_join(thread, NULL);
	return 0;
}
