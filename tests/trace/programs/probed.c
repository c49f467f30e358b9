/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A program of which it is known what the probes say while it runs.
 *
 *	probed SCENE
 *
 * Prints how often which probe fires in that scene, and with what, a line each:
 *
 *	COUNT PROBE PATTERN
 *
 * An extended regular expression; empty: with anything. Arguments are a1=... a2=...,
 * pointers and what has no sign in hexadecimal, and text=... is what a pointer to a
 * string leads to.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <tasklet/tasklet.h>

#include "base/probe-kinds.h"

static void expect(int count, const char *probe, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void expect(int count, const char *probe, const char *fmt, ...)
{
	va_list args;

	printf("%d %s ", count, probe);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
}

#define MUST(x) do { if (!(x)) { fprintf(stderr, "%s\n", #x); exit(1); } } while (0)

/* --- tasks: made, ended, killed -------------------------------------------------- */

static int returns(void *arg)
{
	return (int)(intptr_t)arg;
}

static int exits(void *arg)
{
	(void)arg;
	tl_exit(77);
}

static void tasks(void)
{
	struct tl_task_attr attr = { .size = sizeof(attr), .name = "worker" };
	struct tl_task *t, *killed;
	int i;

	for (i = 0; i < 10; i++)
		MUST(!tl_spawn(NULL, returns, (void *)(intptr_t)i));
	MUST(!tl_spawn_attr(&t, &attr, exits, NULL));
	MUST(!tl_spawn(&killed, returns, NULL));
	MUST(!tl_task_kill(killed));
	MUST(tl_run() == TL_RUN_FINISHED);
	MUST(!tl_task_bind(t, returns));
	MUST(!tl_task_setup(t, NULL));
	MUST(tl_run() == TL_RUN_FINISHED);

	expect(13, "task_new", "%s", "");
	expect(2, "task_new", "a1=0x%" PRIx64 " .*text=.worker.", tl_task_id(t));
	expect(11, "task_new", "a2=0x0 text=\\(fault\\)$");
	expect(13, "task_end", "%s", "");
	expect(2, "task_end", "a2=0$");
	for (i = 1; i < 10; i++)
		expect(1, "task_end", "a2=%d$", i);
	expect(1, "task_end", "a1=0x%" PRIx64 " a2=77$", tl_task_id(t));
	expect(1, "task_end", "a1=0x%" PRIx64 " a2=-125$", tl_task_id(killed));
	expect(0, "park", "%s", "");
	tl_task_unref(t);
	tl_task_unref(killed);
}

/* --- switches ----------------------------------------------------------------------- */

#define TURNS 499

static int yields(void *arg)
{
	int i;

	(void)arg;
	for (i = 0; i < TURNS; i++)
		MUST(!tl_schedule());
	return 0;
}

static void switches(void)
{
	struct tl_task *t;

	MUST(!tl_spawn(&t, yields, NULL));
	yields(NULL);
	MUST(!tl_schedule());	/* it ends, and back */
	expect(2 * TURNS + 2, "task_switch", "%s", "");
	expect(TURNS + 1, "task_switch", "a1=0x%" PRIx64 " a2=0x%" PRIx64 "$",
	       tl_task_id(tl_main()), tl_task_id(t));
	expect(TURNS + 1, "task_switch", "a1=0x%" PRIx64 " a2=0x%" PRIx64 "$",
	       tl_task_id(t), tl_task_id(tl_main()));
	expect(0, "park", "%s", "");
	expect(0, "unpark", "%s", "");
	tl_task_unref(t);
}

/* --- a channel: one waits, the other sends ---------------------------------------------- */

#define VALUES 100

static int receives(void *arg)
{
	struct tl_chan *chan = arg;
	long value;

	while (tl_chan_next(chan, &value) > 0)
		;
	return 0;
}

static void channel(void)
{
	struct tl_chan *chan;
	struct tl_task *t;
	long value;

	MUST(!tl_chan_new(&chan, sizeof(value), 0));
	MUST(!tl_spawn(&t, receives, chan));
	MUST(!tl_schedule());
	for (value = 0; value < VALUES; value++)
		MUST(!tl_chan_send(chan, &value));
	MUST(tl_chan_try_recv(chan, &value) == -EAGAIN);
	MUST(!tl_chan_close(chan));
	MUST(!tl_schedule());

	expect(VALUES, "chan_send", "%s", "");
	expect(VALUES, "chan_send", "a1=%p a2=0x%" PRIx64 " a3=-1$", (void *)chan,
	       tl_task_id(tl_main()));
	expect(VALUES + 1, "chan_recv", "%s", "");
	expect(VALUES + 1, "chan_recv", "a1=%p a2=0x%" PRIx64 " a3=0$",
	       (void *)chan, tl_task_id(t));
	expect(VALUES + 1, "park", "%s", "");
	expect(VALUES + 1, "park", "a1=0x%" PRIx64 " .*a3=%p text=.receives from.$",
	       tl_task_id(t), (void *)chan);
	expect(VALUES + 1, "unpark", "%s", "");
	expect(VALUES, "unpark", "a1=0x%" PRIx64 " a2=0$", tl_task_id(t));
	expect(1, "unpark", "a1=0x%" PRIx64 " a2=-32$", tl_task_id(t));
	tl_task_unref(t);
	tl_chan_unref(chan);
}

/* --- a buffer, and select ------------------------------------------------------------------ */

static int selects(void *arg)
{
	struct tl_chan **chans = arg;
	long value;
	struct tl_select_case cases[] = {
		TL_CASE_RECV(chans[0], &value), TL_CASE_RECV(chans[1], &value),
	};

	MUST(tl_select(cases, 2) == 1);	/* at once */
	MUST(tl_select(cases, 2) == 0);	/* waits */
	return 0;
}

static void buffer(void)
{
	struct tl_chan *chans[2];
	struct tl_task *t;
	long value = 1;

	MUST(!tl_chan_new(&chans[0], sizeof(value), 0));
	MUST(!tl_chan_new(&chans[1], sizeof(value), 3));
	MUST(!tl_chan_send(chans[1], &value));
	MUST(!tl_chan_send(chans[1], &value));
	MUST(!tl_chan_try_send(chans[1], &value));
	MUST(tl_chan_try_send(chans[1], &value) == -EAGAIN);
	MUST(!tl_chan_recv(chans[1], &value));
	MUST(!tl_chan_recv(chans[1], &value));
	MUST(!tl_spawn(&t, selects, chans));
	MUST(!tl_schedule());
	MUST(!tl_chan_send(chans[0], &value));

	expect(4, "chan_send", "%s", "");
	expect(4, "chan_recv", "%s", "");
	expect(1, "chan_send", "a1=%p .*a3=0$", (void *)chans[1]);
	expect(1, "chan_send", "a1=%p .*a3=1$", (void *)chans[1]);
	expect(1, "chan_send", "a1=%p .*a3=2$", (void *)chans[1]);
	expect(1, "chan_send", "a1=%p .*a3=-1$", (void *)chans[0]);
	expect(1, "chan_recv", "a1=%p .*a3=3$", (void *)chans[1]);
	expect(1, "chan_recv", "a1=%p .*a3=2$", (void *)chans[1]);
	expect(1, "chan_recv", "a1=%p a2=0x%" PRIx64 " a3=1$", (void *)chans[1],
	       tl_task_id(t));
	expect(1, "chan_recv", "a1=%p a2=0x%" PRIx64 " a3=0$", (void *)chans[0],
	       tl_task_id(t));
	expect(1, "park", "text=.selects.$");
	expect(1, "unpark", "a2=0$");
	tl_task_unref(t);
	tl_chan_unref(chans[0]);
	tl_chan_unref(chans[1]);
}

/* --- the global interpreter lock, by one thread ------------------------------------------------ */

#define CALLS 50

static void gil(void)
{
	struct tl_gil *gil;
	int i;

	MUST(!tl_gil_new(&gil, "ticks,ticks=100", NULL));
	MUST(!tl_gil_attach(gil));
	for (i = 0; i < CALLS; i++) {
		tl_gil_block_begin();
		tl_gil_block_end();
	}
	for (i = 0; i < 1000; i++)
		MUST(!tl_tick());
	MUST(tl_gil_yield());
	MUST(!tl_gil_detach());

	expect(11, "gil_wait", "a1=%p a2=0x%x$", (void *)gil, TL_PROBE_GIL_CPU);
	expect(CALLS + 12, "gil_acquire", "a1=%p ", (void *)gil);
	expect(CALLS, "gil_acquire", "a2=0x%x a3=0x0$", TL_PROBE_GIL_IO);
	expect(CALLS + 1, "gil_release", "a1=%p a2=.* a3=0x[0-9a-f]+$", (void *)gil);
	expect(11, "gil_yield", "a1=%p ", (void *)gil);
	expect(10, "gil_yield", "a4=0x1$");
	expect(1, "gil_yield", "a4=0x0$");
	expect(0, "gil_keep", "%s", "");
	MUST(!tl_gil_free(gil));
}

/* With a policy that can keep it: the place is one where nothing ever blocked. */
static void keep(void)
{
	struct tl_gil *gil;
	int i;

	MUST(!tl_gil_new(&gil, "handoff", NULL));
	MUST(!tl_gil_attach(gil));
	for (i = 0; i < CALLS; i++) {
		tl_gil_block_begin();
		tl_gil_block_end();
	}
	MUST(!tl_gil_detach());

	expect(CALLS, "gil_keep", "a1=%p$", (void *)gil);
	expect(CALLS, "gil_regain", "a1=%p a2=0x1$", (void *)gil);
	expect(1, "gil_acquire", "a1=%p a2=0x%x a3=0x0$", (void *)gil,
	       TL_PROBE_GIL_CPU);
	expect(1, "gil_release", "a1=%p ", (void *)gil);
	expect(0, "gil_wait", "%s", "");
	MUST(!tl_gil_free(gil));
}

/* --- waking another thread ------------------------------------------------------------------------ */

static _Atomic int sleeper;

/* Waits until that thread sleeps: seen so several times in a row. */
static void until_asleep(void)
{
	const struct timespec pause = { .tv_nsec = 2000000 };
	char path[64], state = 0;
	int seen = 0;
	FILE *file;

	while (seen < 5) {
		nanosleep(&pause, NULL);
		if (!sleeper)
			continue;
		snprintf(path, sizeof(path), "/proc/self/task/%d/stat", sleeper);
		file = fopen(path, "r");
		MUST(file && fscanf(file, "%*d %*s %c", &state) == 1);
		fclose(file);
		seen = state == 'S' ? seen + 1 : 0;
	}
}

static struct tl_wake_sem sem = TL_WAKE_INIT;
static struct tl_chan *across;

static void *other_thread(void *arg)
{
	const struct tl_wake *wake = arg;
	long value;

	sleeper = (int)syscall(SYS_gettid);
	MUST(!wake->sem_wait(&sem, CLOCK_MONOTONIC, TL_FOREVER));
	MUST(!tl_chan_recv(across, &value));
	return NULL;
}

static void wake(void)
{
	const struct tl_wake *wake = tl_wake_find("futex");
	pthread_t thread;
	long value = 1;

	MUST(!tl_chan_new(&across, sizeof(value), 0));
	MUST(!wake->sem_post(&sem) && !wake->sem_try_wait(&sem));
	MUST(!pthread_create(&thread, NULL, other_thread, (void *)wake));
	until_asleep();
	MUST(!wake->sem_post(&sem));
	until_asleep();
	MUST(!tl_chan_send(across, &value));
	pthread_join(thread, NULL);
	expect(1, "wake", "a1=0x%x a2=%p a3=1$", TL_PROBE_WAKE_SEM, (void *)&sem);
	expect(1, "wake", "a1=0x%x a2=0x[0-9a-f]+ a3=1$", TL_PROBE_WAKE_INBOX);
	tl_chan_unref(across);
}

/* --------------------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	void (*fn)(void);
} scenes[] = {
	{ "tasks", tasks }, { "switches", switches }, { "channel", channel },
	{ "buffer", buffer }, { "gil", gil }, { "keep", keep }, { "wake", wake },
};

int main(int argc, char **argv)
{
	size_t i;

	for (i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++)
		if (argc == 2 && !strcmp(argv[1], scenes[i].name)) {
			scenes[i].fn();
			return tl_sched_end();
		}
	fprintf(stderr, "no such scene\n");
	return 2;
}
