/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Waits are cancellation points, the mutex is held when handlers run, and whoever is
 * cancelled takes no signal with him.
 */
#include "conform.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <unistd.h>

static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t recursive = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static pthread_cond_t c = PTHREAD_COND_INITIALIZER;
static sem_t sem;
static int waiting, handlers, tickets, woken;

static void handler(void *mutex)
{
	/* Held, and by us: with a mutex that does not know, at least held. */
	if (mutex == &recursive)
		IS(pthread_mutex_unlock(mutex), 0);
	IS(pthread_mutex_trylock(mutex == &recursive ? &m : mutex),
	   mutex == &recursive ? 0 : EBUSY);
	handlers++;
	IS(pthread_mutex_unlock(&m), 0);
}

static void *wait_for_ever(void *mutex)
{
	pthread_mutex_lock(mutex);
	__atomic_add_fetch(&waiting, 1, __ATOMIC_SEQ_CST);
	pthread_cleanup_push(handler, mutex);
	for (;;)
		pthread_cond_wait(&c, mutex);
	pthread_cleanup_pop(0);
	return NULL;
}

static void unlock_robust(void *mutex)
{
	/* Only its holder can unlock it. */
	IS(pthread_mutex_unlock(mutex), 0);
	handlers++;
}

static void *wait_robust(void *mutex)
{
	IS(pthread_mutex_lock(mutex), 0);
	pthread_cleanup_push(unlock_robust, mutex);
	__atomic_add_fetch(&waiting, 1, __ATOMIC_SEQ_CST);
	for (;;)
		pthread_cond_wait(&c, mutex);
	pthread_cleanup_pop(0);
	return NULL;
}

static void cancel_waiter(pthread_mutex_t *mutex)
{
	pthread_t t;
	void *r;

	waiting = 0;
	IS(pthread_create(&t, NULL, wait_for_ever, mutex), 0);
	while (!__atomic_load_n(&waiting, __ATOMIC_SEQ_CST))
		sleep_ms(1);
	sleep_ms(20);
	IS(pthread_cancel(t), 0);
	IS(pthread_join(t, &r), 0);
	OK(r == PTHREAD_CANCELED);
	IS(pthread_mutex_trylock(mutex), 0);
	IS(pthread_mutex_unlock(mutex), 0);
}

static void test_cond(void)
{
	cancel_waiter(&m);
	cancel_waiter(&recursive);
	IS(handlers, 2);
}

/* With a mutex that stays with the C library: it has to be held again as well. */
static void test_delegated(void)
{
	static pthread_mutex_t robust;
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	IS(pthread_mutex_init(&robust, &attr), 0);
	waiting = 0;
	pthread_t t;
	void *r;

	IS(pthread_create(&t, NULL, wait_robust, &robust), 0);
	while (!__atomic_load_n(&waiting, __ATOMIC_SEQ_CST))
		sleep_ms(1);
	sleep_ms(20);
	IS(pthread_cancel(t), 0);
	IS(pthread_join(t, &r), 0);
	OK(r == PTHREAD_CANCELED);
	IS(handlers, 1);
	IS(pthread_mutex_lock(&robust), 0);
	IS(pthread_mutex_unlock(&robust), 0);
}

/* A cancellation that was there before the wait. */
static void *wait_cancelled(void *arg)
{
	(void)arg;
	pthread_cancel(pthread_self());
	pthread_mutex_lock(&m);
	pthread_cleanup_push(handler, &m);
	pthread_cond_wait(&c, &m);
	pthread_cleanup_pop(0);
	return NULL;
}

static void test_pending(void)
{
	pthread_t t;
	void *r;

	IS(pthread_create(&t, NULL, wait_cancelled, NULL), 0);
	IS(pthread_join(t, &r), 0);
	OK(r == PTHREAD_CANCELED);
	IS(handlers, 1);
}

/*
 * One of those that wait is cancelled while a signal is sent: it has to come to one of
 * the others, as often as it is sent.
 */
static void unlock(void *mutex)
{
	pthread_mutex_unlock(mutex);
}

static void *take_ticket(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&m);
	waiting++;
	pthread_cleanup_push(unlock, &m);
	while (!tickets)
		pthread_cond_wait(&c, &m);
	tickets--;
	woken++;
	pthread_cleanup_pop(1);
	return NULL;
}

static void test_no_signal_lost(void)
{
	pthread_t t[3];
	int i, j, before;

	for (i = 0; i < 600; i++) {
		waiting = tickets = woken = 0;
		for (j = 0; j < 3; j++)
			IS(pthread_create(&t[j], NULL, take_ticket, NULL), 0);
		do {
			pthread_mutex_lock(&m);
			before = waiting;
			pthread_mutex_unlock(&m);
		} while (before < 3);
		pthread_mutex_lock(&m);
		tickets = 1;
		pthread_cond_signal(&c);
		if (i & 1)
			pthread_cancel(t[0]);
		pthread_mutex_unlock(&m);
		if (!(i & 1))
			pthread_cancel(t[0]);
		pthread_join(t[0], NULL);
		/* The ticket is taken: nobody sleeps over it. */
		do {
			pthread_mutex_lock(&m);
			before = woken;
			pthread_mutex_unlock(&m);
		} while (!before);
		pthread_mutex_lock(&m);
		tickets = 2;
		pthread_cond_broadcast(&c);
		pthread_mutex_unlock(&m);
		for (j = 1; j < 3; j++)
			pthread_join(t[j], NULL);
	}
}

static void *wait_sem(void *arg)
{
	(void)arg;
	for (;;)
		sem_wait(&sem);
	return NULL;
}

static void test_sem(void)
{
	pthread_t t;
	int i, value;
	void *r;

	IS(sem_init(&sem, 0, 0), 0);
	for (i = 0; i < 300; i++) {
		IS(pthread_create(&t, NULL, wait_sem, NULL), 0);
		if (i % 3)
			sleep_ms(1);
		IS(pthread_cancel(t), 0);
		if (i % 2)
			IS(sem_post(&sem), 0);
		IS(pthread_join(t, &r), 0);
		OK(r == PTHREAD_CANCELED);
		while (!sem_trywait(&sem))
			;
		IS(sem_getvalue(&sem, &value), 0);
		IS(value, 0);
	}
	/* Nobody is counted as a sleeper any more: destroy it, and use it again. */
	IS(((int *)(void *)&sem)[1], 0);
	IS(sem_destroy(&sem), 0);
}

static int passed;

static void *pass(void *arg)
{
	__atomic_add_fetch(&waiting, 1, __ATOMIC_SEQ_CST);
	sem_wait(&sem);
	__atomic_add_fetch(&passed, 1, __ATOMIC_SEQ_CST);
	return arg;
}

/*
 * Two wait, one of them is cancelled as a token comes: it is the other one's, or was his.
 * glibc 2.36's semaphore loses it, so nothing is asked of that.
 */
static void test_no_token_lost(void)
{
	pthread_t t[2];
	int i, j;
	void *r;

	if (!is_ours())
		return;
	for (i = 0; i < 1000; i++) {
		waiting = passed = 0;
		IS(sem_init(&sem, 0, 0), 0);
		for (j = 0; j < 2; j++)
			IS(pthread_create(&t[j], NULL, pass, NULL), 0);
		while (__atomic_load_n(&waiting, __ATOMIC_SEQ_CST) < 2)
			sched_yield();
		if (i % 4 < 2)
			usleep(50);
		if (i % 2)
			pthread_cancel(t[0]);
		IS(sem_post(&sem), 0);
		if (!(i % 2))
			pthread_cancel(t[0]);
		pthread_join(t[0], &r);
		/* Cancelled without it: the other one comes, or the alarm. */
		if (r == PTHREAD_CANCELED)
			while (!__atomic_load_n(&passed, __ATOMIC_SEQ_CST))
				sleep_ms(1);
		else
			IS(sem_post(&sem), 0);
		pthread_join(t[1], NULL);
	}
}

const struct test cancel_tests[] = {
	{ "cancel: pthread_cond_wait(), with the mutex held again", test_cond },
	{ "cancel: ... a robust one too", test_delegated },
	{ "cancel: one that was there before", test_pending },
	{ "cancel: no signal is lost", test_no_signal_lost },
	{ "cancel: sem_wait()", test_sem },
	{ "cancel: no token is lost", test_no_token_lost },
	{ NULL, NULL },
};
