/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Fan-out: ask several sources at once, and use what has come in time. It shows
 * tl_select_until() over many channels with one deadline for all of them, how a
 * case is switched off once it is done, and that those who are late are simply
 * killed.
 */
#include <errno.h>
#include <stdio.h>
#include <tasklet/tasklet.h>

#define MS UINT64_C(1000000)
#define SOURCES 5

struct source {
	const char *name;
	uint64_t takes_ns;
	int answer;
	struct tl_chan *out;
	struct tl_task *task;
};

static int ask(void *arg)
{
	const struct source *source = arg;
	int r = tl_sleep(source->takes_ns);	/* the work */

	return r ? r : tl_chan_send(source->out, &source->answer);
}

/* Collects answers until all are there or the deadline has passed. */
static int collect(struct source *sources, uint64_t deadline, int *sum)
{
	struct tl_select_case cases[SOURCES];
	int answer, got = 0, i;

	for (i = 0; i < SOURCES; i++)
		cases[i] = (struct tl_select_case)TL_CASE_RECV(sources[i].out,
							       &answer);
	while (got < SOURCES) {
		i = tl_select_until(cases, SOURCES, deadline);
		if (i == -ETIMEDOUT)
			break;
		if (i < 0 || cases[i].result)
			return -EIO;
		printf("%s answers %d\n", sources[i].name, answer);
		*sum += answer;
		cases[i].chan = NULL;	/* this one never happens again */
		got++;
	}
	return got;
}

int main(void)
{
	struct source sources[SOURCES] = {
		{ .name = "cache", .takes_ns = 1 * MS, .answer = 1 },
		{ .name = "near", .takes_ns = 10 * MS, .answer = 10 },
		{ .name = "far", .takes_ns = 20 * MS, .answer = 100 },
		{ .name = "slow", .takes_ns = 5000 * MS, .answer = 1000 },
		{ .name = "dead", .takes_ns = TL_FOREVER, .answer = 10000 },
	};
	int got, i, killed = 0, sum = 0;

	for (i = 0; i < SOURCES; i++)
		if (tl_chan_new(&sources[i].out, sizeof(int), 0) ||
		    tl_spawn(&sources[i].task, ask, &sources[i]))
			return 1;

	got = collect(sources, tl_after(500 * MS), &sum);

	for (i = 0; i < SOURCES; i++) {
		if (tl_task_is_alive(sources[i].task)) {
			printf("%s is late\n", sources[i].name);
			tl_task_kill(sources[i].task);
			killed++;
		}
		tl_task_unref(sources[i].task);
		tl_chan_unref(sources[i].out);
	}
	printf("%d answers, the sum is %d\n", got, sum);
	return got != 3 || sum != 111 || killed != 2 || tl_sched_end();
}
