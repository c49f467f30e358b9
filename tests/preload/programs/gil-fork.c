/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A GIL as CPython's, in a program that has the names of CPython's functions: it is
 * recognised. The process forks while threads of both classes wait for it; the child has
 * none of them, and goes on with the GIL as it is: CPython would make it anew. Whoever
 * is left to a timer there does not come to an end: an interval is ten minutes.
 *
 * And it forks while another thread's first wait is looked at, which may be CPython's.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define EXPORTED __attribute__((visibility("default"), noinline))
#define WAITERS 4
#define INTERVAL_S 600
#define TURNS 100

EXPORTED const char *Py_GetVersion(void);
EXPORTED void PyEval_RestoreThread(void *me);

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t switch_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond, switch_cond;
static bool locked;
static int waiting;
static void *last;
static _Atomic bool drop_request;
static _Atomic bool hold, held;

const char *Py_GetVersion(void)
{
	held = true;
	while (hold)
		usleep(100);
	return "3.11.2 (a test)";
}

/* take_gil() */
void PyEval_RestoreThread(void *me)
{
	struct timespec until;

	pthread_mutex_lock(&mutex);
	waiting++;
	while (locked) {
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += INTERVAL_S;
		if (pthread_cond_timedwait(&cond, &mutex, &until) == ETIMEDOUT && locked)
			drop_request = true;
	}
	waiting--;
	pthread_mutex_lock(&switch_mutex);
	locked = true;
	last = me;
	pthread_cond_signal(&switch_cond);
	pthread_mutex_unlock(&switch_mutex);
	drop_request = false;
	pthread_mutex_unlock(&mutex);
}

/* drop_gil() */
static void drop(void *me)
{
	pthread_mutex_lock(&mutex);
	locked = false;
	pthread_cond_signal(&cond);
	pthread_mutex_unlock(&mutex);
	if (!drop_request)
		return;
	pthread_mutex_lock(&switch_mutex);
	if (last == me) {
		drop_request = false;
		pthread_cond_wait(&switch_cond, &switch_mutex);
	}
	pthread_mutex_unlock(&switch_mutex);
}

static void compute(long us)
{
	struct timespec t;
	long end;

	clock_gettime(CLOCK_MONOTONIC, &t);
	end = t.tv_sec * 1000000 + t.tv_nsec / 1000 + us;
	do
		clock_gettime(CLOCK_MONOTONIC, &t);
	while (t.tv_sec * 1000000 + t.tv_nsec / 1000 < end);
}

/* With it for as long that it is taken for one that computes. */
static void *computes(void *arg)
{
	int i;

	for (i = 0; i < TURNS / 10; i++) {
		PyEval_RestoreThread(arg);
		compute(2000);
		drop(arg);
	}
	return NULL;
}

static void *waits(void *arg)
{
	int i;

	for (i = 0; i < TURNS; i++) {
		PyEval_RestoreThread(arg);
		drop(arg);
		usleep(10);
	}
	return NULL;
}

static void begin(pthread_t *t, int i)
{
	if (pthread_create(&t[i], NULL, i % 2 ? computes : waits,
			   (void *)(intptr_t)(i + 1)))
		exit(2);
}

/* The caller has it. */
static void go_on(void *me)
{
	pthread_t t[WAITERS];
	int i;

	for (i = 0; i < WAITERS; i++)
		begin(t, i);
	while (!drop_request)
		usleep(100);
	drop(me);
	for (i = 0; i < WAITERS; i++)
		pthread_join(t[i], NULL);
}

/* Takes the mutex when all others wait, and the caller has the GIL. */
static void await_waiters(void)
{
	for (;;) {
		pthread_mutex_lock(&mutex);
		if (waiting == WAITERS)
			return;
		pthread_mutex_unlock(&mutex);
		usleep(100);
	}
}

static int fork_while_they_wait(void)
{
	pthread_condattr_t attr;
	pthread_t t[WAITERS];
	int i, status;
	pid_t pid;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&cond, &attr);
	pthread_cond_init(&switch_cond, &attr);
	for (i = 0; i < WAITERS; i++)
		begin(t, i);
	/* In the middle of it. */
	usleep(5000);
	PyEval_RestoreThread(t);
	await_waiters();
	pid = fork();
	if (!pid) {
		alarm(10);
		/* The parent's are gone, their requests with them. */
		waiting = 0;
		drop_request = false;
	}
	pthread_mutex_unlock(&mutex);
	if (!pid) {
		go_on(t);
		puts("child");
		return 0;
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		return 1;
	drop(t);
	for (i = 0; i < WAITERS; i++)
		pthread_join(t[i], NULL);
	puts("parent");
	return 0;
}

/* --- while a place is looked at --------------------------------------------------------- */

/* Each is a place of its own, which is not that of a GIL. */
static void *wait_once(void *arg)
{
	struct timespec past = { 1, 0 };
	pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t c = PTHREAD_COND_INITIALIZER;

	pthread_mutex_lock(&m);
	if (pthread_cond_timedwait(&c, &m, &past) != ETIMEDOUT)
		exit(2);
	pthread_mutex_unlock(&m);
	return arg;
}

static void wait_elsewhere(void)
{
	struct timespec past = { 1, 0 };
	pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t c = PTHREAD_COND_INITIALIZER;

	pthread_mutex_lock(&m);
	if (pthread_cond_timedwait(&c, &m, &past) != ETIMEDOUT)
		exit(2);
	pthread_mutex_unlock(&m);
}

/* The other thread is in Py_GetVersion(), which is called to find out. */
static bool fork_while_looked_at(void)
{
	int status = -1;
	pthread_t t;
	pid_t pid;

	hold = true;
	if (pthread_create(&t, NULL, wait_once, NULL))
		return false;
	while (!held)
		usleep(100);
	pid = fork();
	hold = false;
	if (!pid) {
		alarm(10);
		wait_elsewhere();
		_exit(0);
	}
	pthread_join(t, NULL);
	return pid > 0 && waitpid(pid, &status, 0) == pid && !status;
}

int main(int argc, char **argv)
{
	(void)argv;
	alarm(60);
	return argc > 1 ? !fork_while_looked_at() : fork_while_they_wait();
}
