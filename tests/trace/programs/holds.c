/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * holds COUNT: a thread that has a global lock keeps it for 3 ms more each time that another one waits for it, COUNT times,
 * and then gives it up to block. Begins when something comes on stdin, and ends when that does.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <tasklet/tasklet.h>

#define KEEP_NS 3000000

static struct tl_gil *gil;
static long count;
static _Atomic long asked, answered;
static _Atomic int waiter_tid;

static void *waits(void *arg)
{
	long i;

	if (tl_gil_attach(gil))
		exit(1);
	atomic_store(&waiter_tid, (int)syscall(SYS_gettid));
	for (i = 0; i < count; i++) {
		tl_gil_block_begin();
		while (atomic_load(&asked) <= i)
			usleep(100);
		tl_gil_block_end();
		atomic_store(&answered, i + 1);
	}
	tl_gil_detach();
	return arg;
}

/* The other one is in a queue: the statistics say so only when it is over, but the kernel knows that it sleeps. */
static bool it_sleeps(void)
{
	char path[64], state = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/wchan", atomic_load(&waiter_tid));
	f = fopen(path, "r");
	if (!f)
		exit(1);
	if (fscanf(f, "futex%c", &state) != 1)
		state = 0;
	fclose(f);
	return state;
}

static void holds(long i)
{
	uint64_t end;

	atomic_store(&asked, i + 1);
	while (!it_sleeps())
		;
	end = tl_after(KEEP_NS);
	while (tl_now() < end)
		;
	tl_gil_block_begin();
	while (atomic_load(&answered) <= i)
		usleep(100);
	tl_gil_block_end();
}

static ssize_t from_stdin(void)
{
	ssize_t n;
	char byte;

	while ((n = read(0, &byte, 1)) < 0 && errno == EAGAIN)
		usleep(2000);
	return n;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	long i;

	count = argc == 2 ? atol(argv[1]) : 0;
	if (count <= 0) {
		fputs("usage: holds COUNT\n", stderr);
		return 2;
	}
	puts("ready");
	fflush(stdout);
	fcntl(0, F_SETFL, O_NONBLOCK);
	if (from_stdin() <= 0)
		return 1;
	if (tl_gil_new(&gil, "handoff:futex", NULL) || pthread_create(&thread, NULL, waits, NULL))
		return 1;
	while (!atomic_load(&waiter_tid))
		usleep(100);
	if (tl_gil_attach(gil))
		return 1;
	for (i = 0; i < count; i++)
		holds(i);
	tl_gil_detach();
	printf("%ld\n", count);
	fflush(stdout);
	while (from_stdin() > 0)
		;
	return 0;
}
