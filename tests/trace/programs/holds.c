/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * holds SCENE COUNT: a global lock of which it is known who has it when.
 *
 * waited: a thread that has the lock keeps it for 3 ms more each time that another one waits for it, COUNT times, and then
 * gives it up to block. Says how long the longest of these was, from before the wait until after it.
 *
 * kept: a thread makes COUNT calls of 3 ms while nobody wants the lock, which it keeps in name; then COUNT calls more, in
 * each of which another thread takes it and makes such a call, in which the first takes it in turn. In all: 2 holds of
 * new threads, COUNT that go on where the first one was, and 2 * COUNT + 1 of threads that come back; nobody waits.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <tasklet/tasklet.h>

#include "go.h"

#define KEEP_NS 3000000

static struct tl_gil *gil;
static long count;
static _Atomic long asked, answered, is_there;
static _Atomic int waiter_tid;

static void attach(void)
{
	if (tl_gil_attach(gil))
		exit(1);
}

/* The scene's other thread; by then it has said its number. */
static void start(pthread_t *thread, void *(*fn)(void *))
{
	if (pthread_create(thread, NULL, fn, NULL))
		exit(1);
	while (!atomic_load(&waiter_tid))
		usleep(100);
}

static void says_tid(void)
{
	atomic_store(&waiter_tid, (int)syscall(SYS_gettid));
}

static void wait_for(_Atomic long *what, long value)
{
	while (atomic_load(what) < value)
		usleep(100);
}

/* --- waited ------------------------------------------------------------------------------------------------------------- */

static void *waits(void *arg)
{
	long i;

	says_tid();
	attach();
	for (i = 0; i < count; i++) {
		tl_gil_block_begin();
		atomic_store(&is_there, 1);
		wait_for(&asked, i + 1);
		tl_gil_block_end();
		atomic_store(&answered, i + 1);
	}
	tl_gil_detach();
	return arg;
}

static uint64_t longest_ns;

static void holds(long i)
{
	uint64_t began = tl_now(), end;

	atomic_store(&asked, i + 1);
	while (!go_sleeps(atomic_load(&waiter_tid)))
		;
	end = tl_after(KEEP_NS);
	while (tl_now() < end)
		;
	tl_gil_block_begin();
	wait_for(&answered, i + 1);
	if (tl_now() - began > longest_ns)
		longest_ns = tl_now() - began;
	tl_gil_block_end();
}

/* The other one comes new while we have it: that is no IO thread which we keep waiting. */
static void waited(void)
{
	pthread_t thread;
	long i;

	attach();
	start(&thread, waits);
	while (!go_sleeps(atomic_load(&waiter_tid)))
		usleep(100);
	tl_gil_detach();
	wait_for(&is_there, 1);
	attach();
	for (i = 0; i < count; i++)
		holds(i);
	tl_gil_detach();
	printf("longest %" PRIu64 "\n", longest_ns);
}

/* --- kept ---------------------------------------------------------------------------------------------------------------- */

/* Has it only while the first one is in a call, and is in one itself else. */
static void *takes(void *arg)
{
	long i;

	attach();
	tl_gil_block_begin();
	says_tid();
	for (i = 0; i < count; i++) {
		wait_for(&asked, i + 1);
		tl_gil_block_end();
		tl_gil_block_begin();
		atomic_store(&answered, i + 1);
	}
	wait_for(&asked, count + 1);
	tl_gil_detach();
	return arg;
}

static void kept(void)
{
	pthread_t thread;
	long i;

	attach();
	for (i = 0; i < count; i++) {
		tl_gil_block_begin();
		usleep(KEEP_NS / 1000);
		tl_gil_block_end();
	}
	tl_gil_block_begin();
	start(&thread, takes);
	tl_gil_block_end();
	for (i = 0; i < count; i++) {
		tl_gil_block_begin();
		atomic_store(&asked, i + 1);
		wait_for(&answered, i + 1);
		tl_gil_block_end();
	}
	atomic_store(&asked, count + 1);
	pthread_join(thread, NULL);
	tl_gil_detach();
}

/* ------------------------------------------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	void (*play)(void);
} scenes[] = {
	{ "waited", waited },
	{ "kept", kept },
	{ NULL, NULL }
};

int main(int argc, char **argv)
{
	int scene = 0;

	count = argc == 3 ? atol(argv[2]) : 0;
	while (argc == 3 && scenes[scene].name && strcmp(scenes[scene].name, argv[1]))
		scene++;
	if (count <= 0 || !scenes[scene].name) {
		fputs("usage: holds SCENE COUNT\n", stderr);
		return 2;
	}
	go_begin();
	if (tl_gil_new(&gil, "handoff:futex", NULL))
		return 1;
	scenes[scene].play();
	go_end(count);
	return 0;
}
