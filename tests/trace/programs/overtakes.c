/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * overtakes COUNT: COUNT times two IO threads, one after the other, then a new thread, then one more IO thread come for a
 * global lock; the new one is the next after the first of them, who keeps it for longer than such a one may be let wait. So
 * each time the second IO thread is overtaken, once, and the third is not. Meanwhile a new thread takes another lock, and
 * afterwards one takes this one that nobody waits for: these overtake nobody.
 *
 * In all: 4 threads that come new, and 3 more each time; and 4 that come back each time, with the main thread, who begins
 * and ends with the lock.
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
#define IOS 3
static struct io ios[IOS] = { { .keep_ns = KEEP_NS } };
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

static void takes_alone(struct tl_gil *lock)
{
	pthread_t thread;

	start(&thread, is_new, lock);
	pthread_join(thread, NULL);
}

static void comes(struct io *io, long i)
{
	atomic_store(&io->asked, i + 1);
	until_asleep(&io->tid);
}

static void one_round(long i)
{
	pthread_t new;
	int j;

	comes(&ios[0], i);
	comes(&ios[1], i);
	takes_alone(other_gil);
	atomic_store(&new_tid, 0);
	start(&new, is_new, gil);
	until_asleep(&new_tid);
	comes(&ios[2], i);
	tl_gil_block_begin();
	for (j = 0; j < IOS; j++)
		wait_for(&ios[j].answered, i + 1);
	pthread_join(new, NULL);
	takes_alone(gil);
	tl_gil_block_end();
}

static void play(void)
{
	long i;
	int j;

	for (j = 0; j < IOS; j++) {
		start(&ios[j].thread, comes_back, &ios[j]);
		while (!atomic_load(&ios[j].tid))
			usleep(100);
	}
	attach(gil);
	for (i = 0; i < count; i++)
		one_round(i);
	for (j = 0; j < IOS; j++)
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
