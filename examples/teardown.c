/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A service that is torn down by one kill. The service owns sessions, each
 * session a ticker and a file; nobody has code for being stopped but what
 * tl_defer() undoes. It shows that handlers run last in, first out, wherever the
 * tasklet was; that a handler may block; and that a value is not lost because
 * its receiver was killed.
 */
#include <errno.h>
#include <stdio.h>
#include <tasklet/tasklet.h>

#define MS UINT64_C(1000000)
#define SESSIONS 10

static int open_files, live_sessions, ticks_sent, ticks_seen;
static const char *last_words = "";

static void close_file(void *arg)
{
	fclose(arg);
	open_files--;
}

static void session_is_over(void *arg)
{
	(void)arg;
	live_sessions--;
}

/* A parent's handler: ends the child before what the two share goes away. */
static void end_child(void *arg)
{
	tl_task_kill(arg);
	tl_task_unref(arg);
}

static void free_channel(void *arg)
{
	tl_chan_unref(arg);
}

static int ticker(void *arg)
{
	int r = 0;

	while (!r) {
		r = tl_sleep(1 * MS);
		if (!r)
			r = tl_chan_send(arg, &ticks_sent);
		if (!r)
			ticks_sent++;
	}
	return r;
}

/* Each step registers what undoes it, and then may fail. */
static int session(void *arg)
{
	struct tl_chan *ticks;
	struct tl_task *child;
	int r, tick;
	FILE *file;

	(void)arg;
	live_sessions++;
	tl_defer(session_is_over, NULL);
	file = tmpfile();
	if (!file)
		return -errno;
	open_files++;
	tl_defer(close_file, file);
	r = tl_chan_new(&ticks, sizeof(int), 0);
	if (r)
		return r;
	tl_defer(free_channel, ticks);
	r = tl_spawn(&child, ticker, ticks);
	if (r)
		return r;
	tl_defer(end_child, child);

	while (!(r = tl_chan_recv(ticks, &tick))) {
		ticks_seen++;
		fprintf(file, "%d\n", tick);
	}
	return r;
}

static void say_goodbye(void *arg)
{
	/* Kills are held off in here: this waits though we are being killed. */
	if (tl_sleep(1 * MS) == 0)
		last_words = arg;
}

static int service(void *arg)
{
	struct tl_task *task;
	int i, r;

	tl_defer(say_goodbye, arg);
	for (i = 0; i < SESSIONS; i++) {
		r = tl_spawn(&task, session, NULL);
		if (r)
			return r;
		tl_defer(end_child, task);
	}
	return tl_sleep(TL_FOREVER);
}

int main(void)
{
	struct tl_stats stats = { .size = sizeof(stats) };
	struct tl_task *task;
	int sessions, files;

	if (tl_spawn(&task, service, "goodbye") || tl_sleep(50 * MS))
		return 1;
	sessions = live_sessions;
	files = open_files;

	tl_task_kill(task);	/* returns when it blocks in its last handler */
	if (tl_run() != TL_RUN_FINISHED || tl_task_is_alive(task))
		return 1;
	tl_task_unref(task);

	if (tl_stats(&stats))
		return 1;
	printf("%d sessions and %d files, then %d and %d; %s\n", sessions,
	       files, live_sessions, open_files, last_words);
	printf("of %d ticks sent %d were seen\n", ticks_sent, ticks_seen);
	return sessions != SESSIONS || files != SESSIONS || live_sessions ||
	       open_files || !*last_words || stats.alive != 1 ||
	       ticks_sent != ticks_seen || ticks_sent < SESSIONS ||
	       tl_sched_end();
}
