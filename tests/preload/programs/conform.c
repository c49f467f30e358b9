/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * conform KIND: runs each test in a process of its own, which has 20 seconds, and
 * prints "ok NAME" or "not ok NAME". The exit status is 0 if all went well.
 */
#include "conform.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

const char *kind;

bool is_ours(void)
{
	return strcmp(kind, "pthread");
}

void failed(const char *file, int line, const char *what, long got, long wanted)
{
	printf("# %s:%d: %s is %ld, not %ld\n", file, line, what, got, wanted);
	fflush(stdout);
	_exit(1);
}

struct timespec in_ms(clockid_t clock, long ms)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	ts.tv_sec += ms / 1000;
	ts.tv_nsec += ms % 1000 * 1000000;
	if (ts.tv_nsec >= 1000000000) {
		ts.tv_sec++;
		ts.tv_nsec -= 1000000000;
	} else if (ts.tv_nsec < 0) {
		ts.tv_sec--;
		ts.tv_nsec += 1000000000;
	}
	return ts;
}

uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void sleep_ms(long ms)
{
	usleep((useconds_t)ms * 1000);
}

int fork_child(void)
{
	pid_t pid = fork();

	if (!pid)
		alarm(20);
	return pid;
}

bool become_real_time(void)
{
	struct sched_param p = { .sched_priority = sched_get_priority_min(SCHED_FIFO) };

	return !pthread_setschedparam(pthread_self(), SCHED_FIFO, &p);
}

static int run(const struct test *t)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		alarm(20);
		t->run();
		fflush(stdout);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		status = -1;
	if (status)
		printf("# status %#x\n", (unsigned int)status);
	printf("%s %s\n", status ? "not ok" : "ok", t->name);
	return status != 0;
}

int main(int argc, char **argv)
{
	const struct test *const lists[] = { mutex_tests, cond_tests, cancel_tests,
					     sem_tests, c11_tests };
	const struct test *t;
	size_t i;
	int bad = 0;

	if (argc != 2)
		return 2;
	kind = argv[1];
	for (i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		for (t = lists[i]; t->name; t++)
			bad += run(t);
	return bad != 0;
}
