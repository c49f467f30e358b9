/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Mutexes of all types.
 */
#include "conform.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static pthread_mutex_t normal = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t recursive = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static pthread_mutex_t errorcheck = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
static pthread_mutex_t adaptive = PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP;

/* What another thread gets of it; it gives back what it got. */
static void *try_it(void *m)
{
	int r = pthread_mutex_trylock(m);

	if (!r)
		pthread_mutex_unlock(m);
	return (void *)(intptr_t)r;
}

static int other_tries(pthread_mutex_t *m)
{
	pthread_t t;
	void *r;

	IS(pthread_create(&t, NULL, try_it, m), 0);
	IS(pthread_join(t, &r), 0);
	return (int)(intptr_t)r;
}

static void *unlock_it(void *m)
{
	return (void *)(intptr_t)pthread_mutex_unlock(m);
}

static int other_unlocks(pthread_mutex_t *m)
{
	pthread_t t;
	void *r;

	IS(pthread_create(&t, NULL, unlock_it, m), 0);
	IS(pthread_join(t, &r), 0);
	return (int)(intptr_t)r;
}

/* Whose code it is that runs: ours writes the thread's number into the first word. */
static void test_who(void)
{
	IS(pthread_mutex_lock(&normal), 0);
	IS(*(int *)(void *)&normal == gettid(), is_ours());
	IS(pthread_mutex_unlock(&normal), 0);
	IS(*(int *)(void *)&normal, 0);
}

static void test_normal(void)
{
	IS(pthread_mutex_lock(&normal), 0);
	IS(other_tries(&normal), EBUSY);
	IS(pthread_mutex_trylock(&normal), EBUSY);
	IS(pthread_mutex_unlock(&normal), 0);
	IS(other_tries(&normal), 0);
	IS(pthread_mutex_lock(&adaptive), 0);
	IS(other_tries(&adaptive), EBUSY);
	IS(pthread_mutex_unlock(&adaptive), 0);
	IS(other_tries(&adaptive), 0);
}

static void test_recursive(void)
{
	int i;

	for (i = 0; i < 3; i++)
		IS(pthread_mutex_lock(&recursive), 0);
	IS(pthread_mutex_trylock(&recursive), 0);
	IS(other_unlocks(&recursive), EPERM);
	for (i = 0; i < 4; i++) {
		IS(other_tries(&recursive), EBUSY);
		IS(pthread_mutex_unlock(&recursive), 0);
	}
	IS(other_tries(&recursive), 0);
	IS(pthread_mutex_unlock(&recursive), EPERM);
}

static void test_errorcheck(void)
{
	struct timespec soon = in_ms(CLOCK_REALTIME, 10);

	IS(pthread_mutex_unlock(&errorcheck), EPERM);
	IS(pthread_mutex_lock(&errorcheck), 0);
	IS(pthread_mutex_lock(&errorcheck), EDEADLK);
	IS(pthread_mutex_trylock(&errorcheck), EBUSY);
	IS(pthread_mutex_timedlock(&errorcheck, &soon), EDEADLK);
	IS(other_unlocks(&errorcheck), EPERM);
	IS(pthread_mutex_unlock(&errorcheck), 0);
}

static void test_init(void)
{
	static const int types[] = { PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_RECURSIVE,
				     PTHREAD_MUTEX_ERRORCHECK };
	pthread_mutexattr_t attr;
	pthread_mutex_t m;
	unsigned int i;

	pthread_mutexattr_init(&attr);
	for (i = 0; i < 3; i++) {
		pthread_mutexattr_settype(&attr, types[i]);
		/* Whatever the memory was before. */
		for (unsigned int j = 0; j < sizeof(m); j++)
			((unsigned char *)&m)[j] = 0xa5;
		IS(pthread_mutex_init(&m, &attr), 0);
		IS(pthread_mutex_lock(&m), 0);
		IS(pthread_mutex_trylock(&m),
		   types[i] == PTHREAD_MUTEX_RECURSIVE ? 0 : EBUSY);
		if (types[i] == PTHREAD_MUTEX_RECURSIVE)
			IS(pthread_mutex_unlock(&m), 0);
		IS(pthread_mutex_destroy(&m), EBUSY);
		IS(pthread_mutex_unlock(&m), 0);
		IS(pthread_mutex_destroy(&m), 0);
	}
}

static void *hold(void *m)
{
	IS(pthread_mutex_lock(m), 0);
	sleep_ms(100);
	IS(pthread_mutex_unlock(m), 0);
	return NULL;
}

static void test_timed(void)
{
	struct timespec past = in_ms(CLOCK_REALTIME, -1000), bad = { 1, 1000000000 };
	struct timespec never = { INT64_MAX, 0 }, before = { -5, 0 }, t;
	pthread_t thread;
	uint64_t began;

	IS(pthread_mutex_timedlock(&normal, &bad), 0);	/* nothing to wait for */
	IS(pthread_mutex_timedlock(&normal, &bad), EINVAL);
	IS(pthread_mutex_timedlock(&normal, &past), ETIMEDOUT);
	IS(pthread_mutex_timedlock(&normal, &before), ETIMEDOUT);
	began = now_ms();
	t = in_ms(CLOCK_MONOTONIC, 30);
	IS(pthread_mutex_clocklock(&normal, CLOCK_MONOTONIC, &t), ETIMEDOUT);
	OK(now_ms() - began >= 29);
	t = in_ms(CLOCK_REALTIME, 30);
	IS(pthread_mutex_clocklock(&normal, CLOCK_REALTIME, &t), ETIMEDOUT);
	IS(pthread_mutex_clocklock(&normal, CLOCK_PROCESS_CPUTIME_ID, &t), EINVAL);
	IS(pthread_mutex_unlock(&normal), 0);
	IS(pthread_create(&thread, NULL, hold, &normal), 0);
	sleep_ms(20);
	IS(pthread_mutex_timedlock(&normal, &never), 0);
	IS(pthread_mutex_unlock(&normal), 0);
	pthread_join(thread, NULL);
}

static long sum;

static void *add(void *m)
{
	int i;

	for (i = 0; i < 100000; i++) {
		pthread_mutex_lock(m);
		sum++;
		pthread_mutex_unlock(m);
	}
	return NULL;
}

static void test_excludes(void)
{
	pthread_mutex_t *const all[] = { &normal, &recursive, &errorcheck };
	pthread_t t[4];
	int i, j;

	for (j = 0; j < 3; j++) {
		sum = 0;
		for (i = 0; i < 4; i++)
			IS(pthread_create(&t[i], NULL, add, all[j]), 0);
		for (i = 0; i < 4; i++)
			pthread_join(t[i], NULL);
		IS(sum, 400000);
	}
}

/* --- those that stay with the C library ----------------------------------------------- */

static void *die_with(void *m)
{
	IS(pthread_mutex_lock(m), 0);
	return NULL;
}

static void test_robust(void)
{
	pthread_mutexattr_t attr;
	pthread_mutex_t m;
	pthread_t t;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	IS(pthread_mutex_init(&m, &attr), 0);
	IS(pthread_create(&t, NULL, die_with, &m), 0);
	pthread_join(t, NULL);
	IS(pthread_mutex_lock(&m), EOWNERDEAD);
	IS(pthread_mutex_consistent(&m), 0);
	IS(pthread_mutex_unlock(&m), 0);
	IS(pthread_mutex_lock(&m), 0);
	IS(pthread_mutex_consistent(&normal), EINVAL);
	IS(pthread_mutex_unlock(&m), 0);
	IS(pthread_mutex_destroy(&m), 0);
}

static void *die_with_consistent(void *m)
{
	IS(pthread_mutex_lock(m), EOWNERDEAD);
	IS(pthread_mutex_consistent(m), 0);
	return NULL;
}

static void run_thread(void *(*fn)(void *), pthread_mutex_t *m)
{
	pthread_t t;

	IS(pthread_create(&t, NULL, fn, m), 0);
	IS(pthread_join(t, NULL), 0);
}

/* Of a recursive one too, found by each way to lock it; or given up for good. */
static void test_robust_dies(void)
{
	struct timespec soon = in_ms(CLOCK_REALTIME, 5000);
	pthread_mutexattr_t attr;
	pthread_mutex_t m;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	IS(pthread_mutex_init(&m, &attr), 0);
	run_thread(die_with, &m);
	run_thread(die_with_consistent, &m);
	IS(pthread_mutex_trylock(&m), EOWNERDEAD);
	IS(pthread_mutex_consistent(&m), 0);
	IS(pthread_mutex_lock(&m), 0);
	IS(pthread_mutex_unlock(&m), 0);
	IS(other_tries(&m), EBUSY);
	IS(pthread_mutex_unlock(&m), 0);
	run_thread(die_with, &m);
	IS(pthread_mutex_timedlock(&m, &soon), EOWNERDEAD);
	IS(pthread_mutex_unlock(&m), 0);
	IS(pthread_mutex_lock(&m), ENOTRECOVERABLE);
	IS(pthread_mutex_trylock(&m), ENOTRECOVERABLE);
	IS(pthread_mutex_destroy(&m), 0);
}

/*
 * Its holder has the ceiling's priority, if it has a real-time one at all; to others the
 * C library denies it. So each of them shows whose code it is that runs.
 */
static void test_pp(void)
{
	struct timespec soon = in_ms(CLOCK_REALTIME, 20);
	int ceiling = sched_get_priority_min(SCHED_FIFO) + 5, policy;
	struct sched_param p;
	pthread_mutexattr_t attr;
	pthread_mutex_t m;

	pthread_mutexattr_init(&attr);
	IS(pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_PROTECT), 0);
	IS(pthread_mutexattr_setprioceiling(&attr, ceiling), 0);
	IS(pthread_mutex_init(&m, &attr), 0);
	IS(other_tries(&m), EINVAL);
	if (!become_real_time())
		return;
	IS(pthread_mutex_lock(&m), 0);
	IS(sched_getparam(0, &p), 0);
	IS(p.sched_priority, ceiling);
	IS(m.__data.__owner, gettid());
	IS(other_tries(&m), EBUSY);
	IS(pthread_mutex_timedlock(&m, &soon), ETIMEDOUT);
	IS(pthread_mutex_unlock(&m), 0);
	IS(pthread_getschedparam(pthread_self(), &policy, &p), 0);
	IS(p.sched_priority, sched_get_priority_min(SCHED_FIFO));
	IS(other_tries(&m), 0);
	IS(pthread_mutex_destroy(&m), 0);
}

static void test_pi(void)
{
	struct timespec soon = in_ms(CLOCK_REALTIME, 20);
	pthread_mutexattr_t attr;
	pthread_mutex_t m;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
	IS(pthread_mutex_init(&m, &attr), 0);
	IS(pthread_mutex_lock(&m), 0);
	/* The C library's: it says here whose it is, ours does not. */
	IS(m.__data.__owner, gettid());
	IS(other_tries(&m), EBUSY);
	IS(pthread_mutex_timedlock(&m, &soon), ETIMEDOUT);
	IS(pthread_mutex_unlock(&m), 0);
	IS(other_tries(&m), 0);
	IS(pthread_mutex_destroy(&m), 0);
}

static void test_shared(void)
{
	pthread_mutex_t *m = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_mutexattr_t attr;
	int status, i;
	long *n;

	OK(m != MAP_FAILED);
	n = (long *)(m + 1);
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	IS(pthread_mutex_init(m, &attr), 0);
	pid_t pid = fork_child();
	for (i = 0; i < 50000; i++) {
		pthread_mutex_lock(m);
		++*n;
		pthread_mutex_unlock(m);
	}
	if (!pid)
		_exit(0);
	IS(waitpid(pid, &status, 0), pid);
	IS(*n, 100000);
}

/* --- fork ------------------------------------------------------------------------------ */

static volatile bool stop;

static void *contend(void *m)
{
	while (!stop) {
		pthread_mutex_lock(m);
		pthread_mutex_unlock(m);
	}
	return NULL;
}

/* Locked over the fork, as pthread_atfork()'s handlers do it: both can unlock it. */
static void test_fork(void)
{
	pthread_t t[2];
	int i, status;

	for (i = 0; i < 2; i++)
		IS(pthread_create(&t[i], NULL, contend, &normal), 0);
	for (i = 0; i < 50; i++) {
		IS(pthread_mutex_lock(&normal), 0);
		pid_t pid = fork_child();
		OK(pid >= 0);
		IS(pthread_mutex_unlock(&normal), 0);
		if (!pid) {
			alarm(10);
			IS(pthread_mutex_lock(&normal), 0);
			IS(other_tries(&normal), EBUSY);
			IS(pthread_mutex_unlock(&normal), 0);
			IS(other_tries(&normal), 0);
			_exit(0);
		}
		IS(waitpid(pid, &status, 0), pid);
		IS(status, 0);
	}
	stop = true;
	for (i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
}

const struct test mutex_tests[] = {
	{ "mutex: it is whose it should be", test_who },
	{ "mutex: normal and adaptive", test_normal },
	{ "mutex: recursive", test_recursive },
	{ "mutex: errorcheck", test_errorcheck },
	{ "mutex: init and destroy", test_init },
	{ "mutex: time-outs", test_timed },
	{ "mutex: excludes", test_excludes },
	{ "mutex: robust", test_robust },
	{ "mutex: robust, of holders that die", test_robust_dies },
	{ "mutex: priority inheritance", test_pi },
	{ "mutex: priority ceiling", test_pp },
	{ "mutex: shared by processes", test_shared },
	{ "mutex: held over a fork", test_fork },
	{ NULL, NULL },
};
