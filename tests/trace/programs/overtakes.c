/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * overtakes COUNT: COUNT times two IO threads, one after the other, and then a new thread come for a global lock; the new
 * one is the next after the first of them, who keeps it for longer than such a one may be let wait. So each time the second
 * IO thread is overtaken, once. Meanwhile another thread takes another lock, which is nobody's business.
 *
 * In all: 3 threads of two locks that come new, and 2 more each time; and 3 that come back each time, with the main thread,
 * who begins and ends with the lock.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <tasklet/tasklet.h>

#include "go.h"

#define STARVE "20ms"
#define KEEP_NS 40000000

struct io {
	pthread_t thread;
	uint64_t keep_ns;
	_Atomic int tid;
	_Atomic long asked, answered;
};

static struct tl_gil *gil, *other_gil;
static struct io ios[2] = { { .keep_ns = KEEP_NS }, { .keep_ns = 0 } };
static _Atomic int new_tid;
static long count;

static void wait_for(_Atomic long *what, long value)
{
	while (atomic_load(what) < value)
		usleep(100);
}

static void until_asleep(_Atomic int *tid)
{
	while (!atomic_load(tid) || !go_sleeps(atomic_load(tid)))
		usleep(100);
}

static void attach(struct tl_gil *to)
{
	if (tl_gil_attach(to))
		exit(1);
}

static void start(pthread_t *thread, void *(*fn)(void *), void *arg)
{
	if (pthread_create(thread, NULL, fn, arg))
		exit(1);
}

static void *comes_back(void *arg)
{
	struct io *io = arg;
	uint64_t end;
	long i;

	attach(gil);
	tl_gil_block_begin();
	atomic_store(&io->tid, (int)syscall(SYS_gettid));
	for (i = 0; i < count; i++) {
		wait_for(&io->asked, i + 1);
		tl_gil_block_end();
		for (end = tl_after(io->keep_ns); tl_now() < end;)
			;
		tl_gil_block_begin();
		atomic_store(&io->answered, i + 1);
	}
	tl_gil_detach();
	return arg;
}

static void *is_new(void *arg)
{
	atomic_store(&new_tid, (int)syscall(SYS_gettid));
	attach(arg);
	tl_gil_detach();
	return NULL;
}

static void one_round(long i)
{
	pthread_t new, other;
	int j;

	for (j = 0; j < 2; j++) {
		atomic_store(&ios[j].asked, i + 1);
		until_asleep(&ios[j].tid);
	}
	start(&other, is_new, other_gil);
	pthread_join(other, NULL);
	atomic_store(&new_tid, 0);
	start(&new, is_new, gil);
	until_asleep(&new_tid);
	tl_gil_block_begin();
	for (j = 0; j < 2; j++)
		wait_for(&ios[j].answered, i + 1);
	pthread_join(new, NULL);
	tl_gil_block_end();
}

static void play(void)
{
	long i;
	int j;

	for (j = 0; j < 2; j++) {
		start(&ios[j].thread, comes_back, &ios[j]);
		while (!atomic_load(&ios[j].tid))
			usleep(100);
	}
	attach(gil);
	for (i = 0; i < count; i++)
		one_round(i);
	for (j = 0; j < 2; j++)
		pthread_join(ios[j].thread, NULL);
	tl_gil_detach();
}

int main(int argc, char **argv)
{
	count = argc == 2 ? atol(argv[1]) : 0;
	if (count <= 0) {
		fputs("usage: overtakes COUNT\n", stderr);
		return 2;
	}
	go_begin();
	if (tl_gil_new(&gil, "handoff:futex,slice=1s,starve=" STARVE, NULL) || tl_gil_new(&other_gil, "handoff:futex", NULL))
		return 1;
	play();
	go_end(count);
	return 0;
}
