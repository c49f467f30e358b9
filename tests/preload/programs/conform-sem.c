/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Semaphores.
 */
#include "conform.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static sem_t a, b;

static void test_basics(void)
{
	struct timespec past = in_ms(CLOCK_REALTIME, -10), bad = { 1, 1000000000 };
	struct timespec t = in_ms(CLOCK_MONOTONIC, 30);
	int value;

	IS(sem_init(&a, 0, 2), 0);
	IS(sem_wait(&a), 0);
	IS(sem_wait(&a), 0);
	IS(sem_trywait(&a), -1);
	IS(errno, EAGAIN);
	IS(sem_timedwait(&a, &past), -1);
	IS(errno, ETIMEDOUT);
	IS(sem_timedwait(&a, &bad), -1);
	IS(errno, EINVAL);
	uint64_t began = now_ms();
	IS(sem_clockwait(&a, CLOCK_MONOTONIC, &t), -1);
	IS(errno, ETIMEDOUT);
	OK(now_ms() - began >= 29);
	/* Nobody is counted as a sleeper any more. */
	IS(((int *)(void *)&a)[1], 0);
	IS(sem_post(&a), 0);
	IS(sem_getvalue(&a, &value), 0);
	IS(value, 1);
	IS(sem_destroy(&a), 0);
	IS(sem_init(&a, 0, SEM_VALUE_MAX), 0);
	IS(sem_post(&a), -1);
	IS(errno, EOVERFLOW);
	IS(sem_destroy(&a), 0);
	IS(sem_init(&a, 0, 1u + SEM_VALUE_MAX), -1);
	IS(errno, EINVAL);
}

static void *pong(void *arg)
{
	int i;

	(void)arg;
	for (i = 0; i < 5000; i++) {
		while (sem_wait(&a))
			;
		sem_post(&b);
	}
	return NULL;
}

static void test_ping_pong(void)
{
	pthread_t t;
	int i;

	IS(sem_init(&a, 0, 0), 0);
	IS(sem_init(&b, 0, 0), 0);
	IS(pthread_create(&t, NULL, pong, NULL), 0);
	for (i = 0; i < 5000; i++) {
		sem_post(&a);
		while (sem_wait(&b))
			;
	}
	pthread_join(t, NULL);
}

static void on_alarm(int sig)
{
	(void)sig;
}

static void on_post(int sig)
{
	(void)sig;
	sem_post(&b);
}

static void test_signals(void)
{
	struct sigaction act = { .sa_handler = on_alarm };
	struct itimerval soon = { { 0, 0 }, { 0, 50000 } };

	IS(sem_init(&a, 0, 0), 0);
	IS(sem_init(&b, 0, 0), 0);
	sigaction(SIGALRM, &act, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	IS(sem_wait(&a), -1);
	IS(errno, EINTR);
	act.sa_handler = on_post;
	sigaction(SIGALRM, &act, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	if (sem_wait(&b)) {
		IS(errno, EINTR);
		IS(sem_wait(&b), 0);
	}
}

static void test_shared(void)
{
	sem_t *s = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status, i;

	IS(sem_init(s, 1, 0), 0);
	IS(sem_init(s + 1, 1, 0), 0);
	pid_t pid = fork_child();
	for (i = 0; i < 500; i++) {
		if (pid)
			sem_post(s);
		while (sem_wait(pid ? s + 1 : s))
			;
		if (!pid)
			sem_post(s + 1);
	}
	if (!pid)
		_exit(0);
	IS(waitpid(pid, &status, 0), pid);
	IS(status, 0);
}

static void test_named(void)
{
	char name[40];
	sem_t *s;
	int status;

	snprintf(name, sizeof(name), "/tl-preload-%d", getpid());
	s = sem_open(name, O_CREAT | O_EXCL, 0600, 0);
	OK(s != SEM_FAILED);
	pid_t pid = fork_child();
	if (!pid) {
		sleep_ms(30);
		sem_post(s);
		_exit(0);
	}
	while (sem_wait(s))
		;
	IS(waitpid(pid, &status, 0), pid);
	IS(sem_close(s), 0);
	IS(sem_unlink(name), 0);
}

const struct test sem_tests[] = {
	{ "sem: values, errors, time-outs", test_basics },
	{ "sem: between threads", test_ping_pong },
	{ "sem: signal handlers", test_signals },
	{ "sem: shared by processes", test_shared },
	{ "sem: with a name", test_named },
	{ NULL, NULL },
};
