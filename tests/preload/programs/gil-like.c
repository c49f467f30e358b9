/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * gil-like WHAT: a GIL as CPython's, in a program that has the names of CPython's
 * functions, so that it is recognised. Where a thread must not be left to its timer, that
 * is one of ten minutes.
 *
 *	fork		while threads of both classes wait for it. The child has none of
 *			them, and goes on with the GIL as it is: CPython makes it anew
 *	looked-at	fork while another thread's first wait is looked at
 *	destroy		its condition, right after the last signal, with the mutex
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define EXPORTED __attribute__((visibility("default"), noinline))
#define WAITERS 4
#define INTERVAL_S 600

EXPORTED const char *Py_GetVersion(void);
EXPORTED void PyEval_RestoreThread(void *me);

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t switch_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond, switch_cond;
static bool locked;
static int waiting;
static int interval_s = INTERVAL_S;	/* 0: 5 ms, as CPython's */
static void *last;
static _Atomic bool drop_request;
static _Atomic bool hold, held;
static _Atomic bool stop;

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
		until.tv_sec += interval_s;
		if (!interval_s)
			until.tv_nsec += until.tv_nsec < 995000000 ? 5000000 : 0;
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

static void begin_gil(void)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&cond, &attr);
	pthread_cond_init(&switch_cond, &attr);
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
	while (!stop) {
		PyEval_RestoreThread(arg);
		compute(2000);
		drop(arg);
	}
	return NULL;
}

static void *waits(void *arg)
{
	while (!stop) {
		PyEval_RestoreThread(arg);
		drop(arg);
		usleep(10);
	}
	return NULL;
}

static void *take(void *arg)
{
	PyEval_RestoreThread(arg);
	return NULL;
}

static void *once(void *arg)
{
	PyEval_RestoreThread(arg);
	drop(arg);
	return NULL;
}

static pthread_t begin(void *(*fn)(void *), int i)
{
	pthread_t t;

	if (pthread_create(&t, NULL, fn, (void *)(intptr_t)(i + 1)))
		exit(2);
	return t;
}

/* The caller has it, and hands it over to one thread after the other. */
static void go_on(void *me)
{
	pthread_t t;
	int i;

	for (i = 0; i < WAITERS; i++) {
		t = begin(once, i);
		while (!drop_request)
			usleep(100);
		drop(me);
		pthread_join(t, NULL);
		PyEval_RestoreThread(me);
	}
}

/* Takes the mutex when so many others wait, and the caller has the GIL. */
static void await_waiters(int n)
{
	for (;;) {
		pthread_mutex_lock(&mutex);
		if (waiting == n)
			return;
		pthread_mutex_unlock(&mutex);
		usleep(100);
	}
}

static int fork_while_they_wait(void)
{
	pthread_t t[WAITERS];
	int i, status;
	pid_t pid;

	begin_gil();
	interval_s = 0;
	for (i = 0; i < WAITERS; i++)
		t[i] = begin(i % 2 ? computes : waits, i);
	/* In the middle of it. */
	usleep(5000);
	PyEval_RestoreThread(t);
	await_waiters(WAITERS);
	pid = fork();
	if (!pid) {
		alarm(10);
		/* The parent's are gone, their requests with them. */
		waiting = 0;
		drop_request = false;
		interval_s = INTERVAL_S;
	}
	pthread_mutex_unlock(&mutex);
	if (!pid) {
		go_on(t);
		puts("child");
		return 0;
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		return 1;
	stop = true;
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

/* --- the last signal ------------------------------------------------------------------- */

/* Nobody is blocked on it any more, though the one that was woken has not returned. */
static bool destroy_after_signal(void)
{
	pthread_cond_t other = PTHREAD_COND_INITIALIZER;
	pthread_t t;

	begin_gil();
	PyEval_RestoreThread(&other);
	t = begin(take, 0);
	while (!drop_request)
		usleep(100);
	await_waiters(1);
	locked = false;
	pthread_cond_signal(&cond);
	pthread_cond_destroy(&cond);
	pthread_cond_signal(&other);
	pthread_mutex_unlock(&mutex);
	pthread_join(t, NULL);
	return !pthread_cond_destroy(&other);
}

int main(int argc, char **argv)
{
	alarm(30);
	if (argc == 2 && !strcmp(argv[1], "fork"))
		return fork_while_they_wait();
	if (argc == 2 && !strcmp(argv[1], "looked-at"))
		return !fork_while_looked_at();
	if (argc == 2 && !strcmp(argv[1], "destroy"))
		return !destroy_after_signal();
	return 2;
}
