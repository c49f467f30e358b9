/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Calls that have no asynchronous form run on other threads while the tasklet
 * waits and the rest of its thread goes on. It shows tl_offload() for blocking
 * calls and for computing, that the caller's stack may be used for both
 * directions without a lock, and tl_getaddrinfo().
 */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <tasklet/tasklet.h>
#include <time.h>

#define MS UINT64_C(1000000)
#define CALLS 20

static int done, heartbeats;

/* A library call that blocks its thread. */
static long block_for_a_while(void *arg)
{
	const struct timespec nap = { .tv_nsec = 100 * 1000 * 1000 };

	(void)arg;
	return nanosleep(&nap, NULL) ? -errno : 0;
}

static int blocker(void *arg)
{
	long result;
	int r;

	(void)arg;
	r = tl_offload(block_for_a_while, NULL, &result);
	if (!r && !result)
		done++;
	return r;
}

/* Something long to compute. */
struct sum {
	unsigned int up_to;
	uint64_t total;
};

static long compute(void *arg)
{
	struct sum *sum = arg;
	unsigned int i;

	for (i = 1; i <= sum->up_to; i++)
		sum->total += i;
	return 0;
}

static int heartbeat(void *arg)
{
	int r;

	(void)arg;
	while (!(r = tl_sleep(5 * MS)))
		heartbeats++;
	return r;
}

/* Numeric only: an example must not depend on a name server. */
static int look_up(const char *node)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST,
				  .ai_socktype = SOCK_STREAM };
	struct addrinfo *list;
	int r = tl_getaddrinfo(node, "80", &hints, &list);

	if (r == 0)
		freeaddrinfo(list);
	else if (r > 0)
		printf("%s: %s\n", node, gai_strerror(-r));
	return r;
}

int main(void)
{
	struct sum sum = { .up_to = 100 * 1000 * 1000 };
	uint64_t start = tl_now(), took;
	struct tl_task *pulse;
	int i, good, bad;

	if (tl_spawn(&pulse, heartbeat, NULL))
		return 1;
	for (i = 0; i < CALLS; i++)
		if (tl_spawn(NULL, blocker, NULL))
			return 1;
	while (done < CALLS && tl_now() - start < 10000 * MS)
		tl_sleep(1 * MS);
	took = tl_now() - start;
	printf("%d calls of 100 ms took %s\n", CALLS,
	       took < 1000 * MS ? "less than a second" : "long");

	if (tl_offload(compute, &sum, NULL))
		return 1;
	printf("the sum is %llu\n", (unsigned long long)sum.total);
	good = look_up("127.0.0.1");
	bad = look_up("not-a-number");

	tl_task_kill(pulse);
	tl_task_unref(pulse);
	return done != CALLS || took >= 2000 * MS || heartbeats < 5 ||
	       sum.total != UINT64_C(5000000050000000) || good != 0 ||
	       bad != -EAI_NONAME || tl_sched_end();
}
