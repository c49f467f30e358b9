/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Conditions, with mutexes of all types.
 */
#include "conform.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 8

static pthread_mutex_t normal = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t recursive = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static pthread_mutex_t errorcheck = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;

/* --- who waits is woken -------------------------------------------------------------- */

struct scene {
	pthread_mutex_t *m;
	pthread_cond_t *c;
	int waiting, tickets, woken;
};

static void *waiter(void *arg)
{
	struct scene *s = arg;

	IS(pthread_mutex_lock(s->m), 0);
	s->waiting++;
	while (!s->tickets)
		IS(pthread_cond_wait(s->c, s->m), 0);
	s->tickets--;
	s->woken++;
	IS(pthread_mutex_unlock(s->m), 0);
	return NULL;
}

static int get(struct scene *s, const int *what)
{
	int n;

	IS(pthread_mutex_lock(s->m), 0);
	n = *what;
	IS(pthread_mutex_unlock(s->m), 0);
	return n;
}

static void give(struct scene *s, int tickets, bool all, bool locked)
{
	IS(pthread_mutex_lock(s->m), 0);
	s->tickets += tickets;
	if (!locked)
		IS(pthread_mutex_unlock(s->m), 0);
	IS(all ? pthread_cond_broadcast(s->c) : pthread_cond_signal(s->c), 0);
	if (locked)
		IS(pthread_mutex_unlock(s->m), 0);
}

static void play(pthread_mutex_t *m, pthread_cond_t *c)
{
	struct scene s = { .m = m, .c = c };
	pthread_t t[THREADS];
	int i;

	for (i = 0; i < THREADS; i++)
		IS(pthread_create(&t[i], NULL, waiter, &s), 0);
	while (get(&s, &s.waiting) < THREADS)
		sleep_ms(1);
	give(&s, 1, false, true);
	while (get(&s, &s.woken) < 1)
		sleep_ms(1);
	give(&s, 1, false, false);
	while (get(&s, &s.woken) < 2)
		sleep_ms(1);
	IS(get(&s, &s.woken), 2);
	give(&s, 3, true, true);
	while (get(&s, &s.woken) < 5)
		sleep_ms(1);
	give(&s, THREADS - 5, true, false);
	for (i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	IS(s.woken, THREADS);
	IS(s.tickets, 0);
}

static void test_normal(void)
{
	play(&normal, &cond);
}

static void test_recursive(void)
{
	play(&recursive, &cond);
}

static void test_errorcheck(void)
{
	play(&errorcheck, &cond);
	IS(pthread_cond_wait(&cond, &errorcheck), EPERM);
}

static void *lock_recursive(void *arg)
{
	IS(pthread_mutex_lock(&recursive), 0);
	IS(pthread_mutex_unlock(&recursive), 0);
	return arg;
}

/* Locked twice: undefined, and with glibc it is not given up. Ours has it twice again. */
static void test_twice(void)
{
	struct timespec t = in_ms(CLOCK_REALTIME, 100);
	pthread_t thread;

	if (!is_ours())
		return;
	IS(pthread_mutex_lock(&recursive), 0);
	IS(pthread_mutex_lock(&recursive), 0);
	IS(pthread_create(&thread, NULL, lock_recursive, NULL), 0);
	IS(pthread_cond_timedwait(&cond, &recursive, &t), ETIMEDOUT);
	pthread_join(thread, NULL);
	IS(pthread_mutex_unlock(&recursive), 0);
	IS(pthread_mutex_unlock(&recursive), 0);
	IS(pthread_mutex_unlock(&recursive), EPERM);
}

/* A mutex that stays with the C library, with a condition that doesn't. */
static void test_delegated(void)
{
	pthread_mutexattr_t attr;
	pthread_mutex_t m;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	IS(pthread_mutex_init(&m, &attr), 0);
	play(&m, &cond);
	IS(pthread_mutex_destroy(&m), 0);
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
	IS(pthread_mutex_init(&m, &attr), 0);
	play(&m, &cond);
	IS(pthread_mutex_destroy(&m), 0);
	/* and, afterwards, with one of ours */
	play(&normal, &cond);
}

static void test_ceiling(void)
{
	pthread_mutexattr_t attr;
	struct sched_param p;
	pthread_mutex_t m;

	if (!become_real_time())
		return;
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_PROTECT);
	pthread_mutexattr_setprioceiling(&attr, sched_get_priority_min(SCHED_FIFO) + 5);
	IS(pthread_mutex_init(&m, &attr), 0);
	play(&m, &cond);
	IS(sched_getparam(0, &p), 0);
	IS(p.sched_priority, sched_get_priority_min(SCHED_FIFO));
	IS(pthread_mutex_destroy(&m), 0);
}

static void *signal_and_die(void *arg)
{
	struct scene *s = arg;

	IS(pthread_mutex_lock(s->m), 0);
	s->tickets++;
	IS(pthread_cond_signal(s->c), 0);
	return NULL;
}

/* Who comes back from the wait is told that it has a dead one's mutex. */
static void test_robust_dies(void)
{
	struct timespec t = in_ms(CLOCK_REALTIME, 10000);
	pthread_mutexattr_t attr;
	pthread_mutex_t m;
	struct scene s = { .m = &m, .c = &cond };
	pthread_t thread;
	int i, r = 0;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	IS(pthread_mutex_init(&m, &attr), 0);
	for (i = 0; i < 2; i++) {
		IS(pthread_mutex_lock(&m), 0);
		IS(pthread_create(&thread, NULL, signal_and_die, &s), 0);
		while (!s.tickets && !r)
			r = i ? pthread_cond_timedwait(&cond, &m, &t) :
				pthread_cond_wait(&cond, &m);
		IS(r, EOWNERDEAD);
		IS(pthread_mutex_consistent(&m), 0);
		s.tickets = r = 0;
		IS(pthread_mutex_unlock(&m), 0);
		pthread_join(thread, NULL);
	}
	/* It is as good as ever. */
	play(&m, &cond);
	IS(pthread_mutex_destroy(&m), 0);
}

/* --- clocks --------------------------------------------------------------------------- */

static void times_out(pthread_cond_t *c, clockid_t clock)
{
	struct timespec t = in_ms(clock, 30), past = in_ms(clock, -30);
	struct timespec bad = { 1, -1 };
	uint64_t began = now_ms();
	int r;

	IS(pthread_mutex_lock(&normal), 0);
	do
		r = pthread_cond_timedwait(c, &normal, &t);
	while (!r);
	IS(r, ETIMEDOUT);
	OK(now_ms() - began >= 29);
	OK(now_ms() - began < 10000);
	IS(pthread_cond_timedwait(c, &normal, &past), ETIMEDOUT);
	IS(pthread_cond_timedwait(c, &normal, &bad), EINVAL);
	IS(pthread_mutex_trylock(&normal), EBUSY);
	IS(pthread_mutex_unlock(&normal), 0);
}

static void test_clocks(void)
{
	struct timespec t = in_ms(CLOCK_MONOTONIC, 30);
	pthread_condattr_t attr;
	pthread_cond_t c;

	times_out(&cond, CLOCK_REALTIME);
	memset(&c, 0xa5, sizeof(c));
	IS(pthread_cond_init(&c, NULL), 0);
	times_out(&c, CLOCK_REALTIME);
	IS(pthread_cond_destroy(&c), 0);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	IS(pthread_cond_init(&c, &attr), 0);
	times_out(&c, CLOCK_MONOTONIC);
	IS(pthread_mutex_lock(&normal), 0);
	IS(pthread_cond_clockwait(&cond, &normal, CLOCK_MONOTONIC, &t), ETIMEDOUT);
	t = in_ms(CLOCK_REALTIME, 30);
	IS(pthread_cond_clockwait(&c, &normal, CLOCK_REALTIME, &t), ETIMEDOUT);
	IS(pthread_cond_clockwait(&c, &normal, CLOCK_PROCESS_CPUTIME_ID, &t), EINVAL);
	IS(pthread_mutex_unlock(&normal), 0);
	IS(pthread_cond_destroy(&c), 0);
}

/* --- what goes between threads --------------------------------------------------------- */

#define ITEMS 30000
#define ROOM 4

static struct queue {
	pthread_mutex_t m;
	pthread_cond_t full, empty;
	int items, in, out;
	long sum;
} q = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER,
	PTHREAD_COND_INITIALIZER, 0, 0, 0, 0 };

static void *produce(void *arg)
{
	(void)arg;
	for (;;) {
		pthread_mutex_lock(&q.m);
		while (q.items == ROOM && q.in < ITEMS)
			pthread_cond_wait(&q.full, &q.m);
		if (q.in == ITEMS)
			break;
		q.in++;
		q.items++;
		pthread_cond_signal(&q.empty);
		pthread_mutex_unlock(&q.m);
	}
	pthread_cond_broadcast(&q.empty);
	pthread_mutex_unlock(&q.m);
	return NULL;
}

/* Half of them with time-outs so short that they cross the signals. */
static void *consume(void *arg)
{
	struct timespec t;

	for (;;) {
		pthread_mutex_lock(&q.m);
		while (!q.items && q.out < ITEMS && q.in < ITEMS) {
			t = in_ms(CLOCK_REALTIME, 0);
			t.tv_nsec += t.tv_nsec < 999900000 ? 50000 : 0;
			if (arg)
				pthread_cond_timedwait(&q.empty, &q.m, &t);
			else
				pthread_cond_wait(&q.empty, &q.m);
		}
		if (!q.items)
			break;
		q.items--;
		q.out++;
		pthread_cond_signal(&q.full);
		pthread_mutex_unlock(&q.m);
	}
	pthread_cond_broadcast(&q.empty);
	pthread_cond_broadcast(&q.full);
	pthread_mutex_unlock(&q.m);
	return NULL;
}

static void test_queue(void)
{
	pthread_t t[8];
	int i;

	for (i = 0; i < 8; i++)
		IS(pthread_create(&t[i], NULL, i % 2 ? consume : produce,
				  i % 4 == 1 ? &q : NULL), 0);
	for (i = 0; i < 8; i++)
		pthread_join(t[i], NULL);
	IS(q.out, ITEMS);
}

/* The memory goes as soon as it may. */
static void test_destroy(void)
{
	int i, j;

	for (i = 0; i < 200; i++) {
		/* A page of its own: who comes back to it is seen. */
		void *page = mmap(NULL, sizeof(pthread_cond_t), PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		struct scene s = { .m = &normal, .c = page };
		pthread_t t[3];

		OK(page != MAP_FAILED);
		IS(pthread_cond_init(s.c, NULL), 0);
		for (j = 0; j < 3; j++)
			IS(pthread_create(&t[j], NULL, waiter, &s), 0);
		while (get(&s, &s.waiting) < 3)
			sched_yield();
		pthread_mutex_lock(&normal);
		s.tickets = 3;
		pthread_cond_broadcast(s.c);
		pthread_mutex_unlock(&normal);
		IS(pthread_cond_destroy(s.c), 0);
		munmap(page, sizeof(*s.c));
		for (j = 0; j < 3; j++)
			pthread_join(t[j], NULL);
	}
}

/* --- processes ----------------------------------------------------------------------------- */

static void test_shared(void)
{
	struct {
		pthread_mutex_t m;
		pthread_cond_t c;
		int turn;
	} *s = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		    -1, 0);
	pthread_mutexattr_t ma;
	pthread_condattr_t ca;
	int i, status;

	pthread_mutexattr_init(&ma);
	pthread_mutexattr_setpshared(&ma, PTHREAD_PROCESS_SHARED);
	IS(pthread_mutex_init(&s->m, &ma), 0);
	pthread_condattr_init(&ca);
	pthread_condattr_setpshared(&ca, PTHREAD_PROCESS_SHARED);
	IS(pthread_cond_init(&s->c, &ca), 0);
	pid_t pid = fork_child();
	for (i = 0; i < 500; i++) {
		IS(pthread_mutex_lock(&s->m), 0);
		while (s->turn != !pid)
			IS(pthread_cond_wait(&s->c, &s->m), 0);
		s->turn = !s->turn;
		pthread_cond_signal(&s->c);
		IS(pthread_mutex_unlock(&s->m), 0);
	}
	if (!pid)
		_exit(0);
	IS(waitpid(pid, &status, 0), pid);
	IS(status, 0);
}

/* Others wait for it in the parent; in the child nobody does, and it can be used. */
static void test_fork(void)
{
	struct scene s = { .m = &normal, .c = &cond };
	pthread_t t[2];
	int i, status;

	for (i = 0; i < 2; i++)
		IS(pthread_create(&t[i], NULL, waiter, &s), 0);
	while (get(&s, &s.waiting) < 2)
		sleep_ms(1);
	pthread_mutex_lock(&normal);
	pid_t pid = fork_child();
	pthread_mutex_unlock(&normal);
	if (!pid) {
		/* What POSIX asks of a child that wants to go on with them. */
		alarm(10);
		pthread_cond_init(&cond, NULL);
		play(&normal, &cond);
		_exit(0);
	}
	IS(waitpid(pid, &status, 0), pid);
	IS(status, 0);
	give(&s, 2, true, true);
	for (i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
}

const struct test cond_tests[] = {
	{ "cond: signal and broadcast", test_normal },
	{ "cond: with a recursive mutex", test_recursive },
	{ "cond: with one that is locked twice", test_twice },
	{ "cond: with a mutex that checks", test_errorcheck },
	{ "cond: with robust and PI mutexes", test_delegated },
	{ "cond: with a priority ceiling", test_ceiling },
	{ "cond: with a robust mutex whose holder dies", test_robust_dies },
	{ "cond: clocks", test_clocks },
	{ "cond: a queue, with time-outs", test_queue },
	{ "cond: gone after the broadcast", test_destroy },
	{ "cond: shared by processes", test_shared },
	{ "cond: fork", test_fork },
	{ NULL, NULL },
};
