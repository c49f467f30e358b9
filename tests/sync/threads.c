/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The same objects between threads (section 6.2: "All locks usable between tasklets of different threads"): tasklets of
 * several threads and plain threads that have never been schedulers use them at once.
 */
#include <pthread.h>
#include <sched.h>

#include "../core/check.h"
#include "core/task.h"
#include "sync/word.h"

#if CHECK_TSAN || CHECK_ASAN || defined(__aarch64__)
#define ROUNDS 300
#else
#define ROUNDS 3000
#endif
#define PLAIN 2		/* plain threads */
#define SCHEDS 2	/* threads with tasklets */
#define TASKS 4		/* in each of them */
#define ALL (PLAIN + SCHEDS * TASKS)

static pthread_t threads[PLAIN + SCHEDS];
static int (*work)(void *arg);

/* Each runs work() with a number of its own, from 0 to ALL - 1. */
static void *plain(void *arg)
{
	if (work(arg))
		tap_bail("work failed in a plain thread");
	return NULL;
}

struct place {
	void *arg;
	struct tl_waitgroup *group;
};

static int fn_work(void *arg)
{
	struct place *place = arg;
	int r = work(place->arg);

	tl_waitgroup_done(place->group);
	return r;
}

static void *with_tasklets(void *arg)
{
	struct tl_waitgroup group = TL_WAITGROUP_INIT;
	struct place places[TASKS];
	long i;

	for (i = 0; i < TASKS; i++) {
		places[i] = (struct place){ (char *)arg + i, &group };
		if (tl_waitgroup_add(&group, 1) || tl_spawn(NULL, fn_work, &places[i]))
			tap_bail("no tasklet");
	}
	if (tl_waitgroup_wait(&group))
		tap_bail("tl_waitgroup_wait");
	if (tl_run() != TL_RUN_FINISHED)
		tap_bail("tl_run");
	if (tl_sched_end())
		tap_bail("tl_sched_end");
	return NULL;
}

static void start(int (*fn)(void *arg))
{
	long i;

	work = fn;
	for (i = 0; i < PLAIN + SCHEDS; i++)
		if (pthread_create(&threads[i], NULL, i < PLAIN ? plain : with_tasklets,
				   (void *)(i < PLAIN ? i : PLAIN + (i - PLAIN) * TASKS)))
			tap_bail("no thread");
}

static void join(void)
{
	int i;

	for (i = 0; i < PLAIN + SCHEDS; i++)
		pthread_join(threads[i], NULL);
}

static bool zero(const void *p, size_t n)
{
	const char *c = p;

	while (n--)
		if (*c++)
			return false;
	return true;
}

/* --- mutex, rlock, rwlock ----------------------------------------------------------------------------------------- */

static struct tl_mutex m = TL_MUTEX_INIT;
static struct tl_rlock rl = TL_RLOCK_INIT;
static struct tl_rwlock rw = TL_RWLOCK_INIT;
static long count, copy;
static _Atomic long torn;

static int fn_mutex(void *arg)
{
	long i, old;

	for (i = 0; i < ROUNDS; i++) {
		if (tl_mutex_lock(&m))
			return -EIO;
		old = count;
		if ((i + (long)arg) % 16 == 0)
			tl_schedule();
		count = old + 1;
		if (tl_mutex_unlock(&m))
			return -EIO;
	}
	return 0;
}

static int fn_rlock(void *arg)
{
	long i;

	for (i = 0; i < ROUNDS; i++) {
		if (tl_rlock_lock(&rl) || tl_rlock_lock(&rl))
			return -EIO;
		count++;
		tl_rlock_unlock(&rl);
		if ((i + (long)arg) % 16 == 0)
			tl_schedule();
		count++;
		if (tl_rlock_unlock(&rl))
			return -EIO;
	}
	return 0;
}

static int fn_rwlock(void *arg)
{
	long i, was;

	for (i = 0; i < ROUNDS; i++) {
		if ((i + (long)arg) % 4 == 0) {
			if (tl_rwlock_wrlock(&rw))
				return -EIO;
			count++;
			if (i % 16 == 0)
				tl_schedule();
			copy = count;
			if (tl_rwlock_wrunlock(&rw))
				return -EIO;
		} else {
			if (tl_rwlock_rdlock(&rw))
				return -EIO;
			was = count;
			if (i % 16 == 1)
				tl_schedule();
			if (was != count || was != copy)
				torn++;
			if (tl_rwlock_rdunlock(&rw))
				return -EIO;
		}
	}
	return 0;
}

static void test_locks(void)
{
	count = 0;
	start(fn_mutex);
	join();
	tap_is(count, (long)ALL * ROUNDS, "6.2: a mutex between %d plain threads and %d tasklets of %d others", PLAIN,
	       SCHEDS * TASKS, SCHEDS);
	tap_ok(zero(&m, sizeof(m)), "mutex.h: nothing is left in it");
	count = 0;
	start(fn_rlock);
	join();
	tap_is(count, 2L * ALL * ROUNDS, "6.2: an rlock");
	tap_ok(zero(&rl, sizeof(rl)), "mutex.h: nothing is left in it");
	count = copy = 0;
	start(fn_rwlock);
	join();
	tap_is(count, (long)ALL * ROUNDS / 4, "rwlock.h: each writer was alone");
	tap_is(torn, 0, "rwlock.h: no reader saw a writer");
	tap_ok(zero(&rw, sizeof(rw)), "rwlock.h: nothing is left in it");
}

/* --- semaphore ---------------------------------------------------------------------------------------------------- */

#define TOKENS 3

static struct tl_sem sem = TL_SEM_BOUNDED_INIT(TOKENS);
static _Atomic long inside, most;

static int fn_sem(void *arg)
{
	long i, now;

	for (i = 0; i < ROUNDS; i++) {
		if (tl_sem_acquire(&sem))
			return -EIO;
		now = ++inside;
		if (now > most)
			most = now;
		if ((i + (long)arg) % 8 == 0)
			tl_schedule();
		inside--;
		if (tl_sem_release(&sem, 1))
			return -EIO;
	}
	return 0;
}

static void test_sem(void)
{
	start(fn_sem);
	join();
	tap_ok(most <= TOKENS && !inside, "6.2: a semaphore: never more inside than tokens (%ld)", (long)most);
	tap_ok(sem.tl__word == (uint64_t)TOKENS << 32 && !sem.tl__queue, "6.2: which are all there at the end");
}

/* --- condition: a bounded buffer ---------------------------------------------------------------------------------- */

static struct tl_cond not_full = TL_COND_INIT, not_empty = TL_COND_INIT;
static long items, sum_in, sum_out;

static bool has_room(UNUSED void *arg)
{
	return items < 2;
}

static bool has_item(UNUSED void *arg)
{
	return items > 0;
}

/* Even ones put in, odd ones take out. */
static int fn_buffer(void *arg)
{
	bool puts = (long)arg % 2 == 0;
	long i;

	for (i = 0; i < ROUNDS; i++) {
		if (tl_mutex_lock(&m))
			return -EIO;
		if (puts) {
			if (tl_cond_wait_for(&not_full, &m, has_room, NULL))
				return -EIO;
			items++;
			sum_in++;
			tl_cond_notify(&not_empty, 1);
			tl_mutex_unlock(&m);
		} else {
			if (tl_cond_wait_for(&not_empty, &m, has_item, NULL))
				return -EIO;
			items--;
			sum_out++;
			tl_mutex_unlock(&m);
			tl_cond_notify(&not_full, 1);
		}
	}
	return 0;
}

static void test_cond(void)
{
	start(fn_buffer);
	join();
	tap_ok(!items && sum_in == (long)ALL / 2 * ROUNDS && sum_out == sum_in, "6.2: a buffer of two conditions");
	tap_ok(zero(&m, sizeof(m)) && zero(&not_full, sizeof(not_full)) && zero(&not_empty, sizeof(not_empty)),
	       "cond.h: nothing is left in them");
}

/* --- barrier ------------------------------------------------------------------------------------------------------ */

static struct tl_barrier barrier;
static _Atomic long arrived[ALL];
static long turns;

static int fn_action(UNUSED void *arg)
{
	turns++;
	if (turns % 8 == 0)
		tl_schedule();
	return 0;
}

static int fn_barrier(UNUSED void *arg)
{
	long i;
	int r;

	for (i = 0; i < ROUNDS / 2; i++) {
		r = tl_barrier_wait(&barrier);
		if (r < 0)
			return r;
		arrived[r]++;
	}
	return 0;
}

static void test_barrier(void)
{
	bool each = true;
	long i;

	tl_barrier_init(&barrier, ALL, fn_action, NULL);
	start(fn_barrier);
	join();
	for (i = 0; i < ALL; i++)
		each &= arrived[i] == ROUNDS / 2;
	tap_ok(each, "6.2: a barrier of %d: each index once a round", ALL);
	tap_is(turns, ROUNDS / 2, "6.2: one action a round");
	tap_ok(!tl_barrier_waiting(&barrier) && !barrier.tl__queue && !barrier.tl__outside,
	       "barrier.h: nothing is left in it");
}

/* --- event, wait group -------------------------------------------------------------------------------------------- */

static struct tl_event go_on = TL_EVENT_INIT;
static struct tl_waitgroup group = TL_WAITGROUP_INIT;

static int fn_event(UNUSED void *arg)
{
	int r = tl_event_wait(&go_on);

	inside++;
	tl_waitgroup_done(&group);
	return r;
}

static void test_event(void)
{
	int i;

	for (i = 0; i < 50; i++) {
		inside = 0;
		tl_event_clear(&go_on);
		tl_waitgroup_add(&group, ALL);
		start(fn_event);
		if (i % 2)
			sched_yield();
		tl_event_set(&go_on);
		if (tl_waitgroup_wait(&group) || inside != ALL)
			break;
		join();
	}
	tap_is(i, 50, "6.2: an event wakes threads and tasklets; a wait group waits for them");
}

/* --- plain threads ------------------------------------------------------------------------------------------------ */

static void *fn_set(void *arg)
{
	bool was = tl__sched_self != NULL;

	tl_event_set(arg);
	if (was || tl__sched_self)
		tap_bail("a thread that need not wait has become a scheduler");
	return NULL;
}

static _Atomic int step;

static void *fn_becomes(UNUSED void *arg)
{
	long ok = tl_mutex_lock(&m) == 0 && !tl__sched_self;

	step = 1;
	ok &= tl_event_wait(&go_on) == 0 && tl__sched_self != NULL;
	ok &= tl_mutex_is_owned(&m) && tl_mutex_lock(&m) == -EDEADLK;
	ok &= tl_sched_end() == 0 && tl_mutex_is_owned(&m) && tl_mutex_unlock(&m) == 0;
	return (void *)ok;
}

static void test_plain(void)
{
	struct tl_event e = TL_EVENT_INIT;
	pthread_t t;
	void *ok;
	int i;

	for (i = 0; i < 20; i++) {
		tl_event_clear(&e);
		if (pthread_create(&t, NULL, fn_set, &e))
			tap_bail("no thread");
		if (tl_event_wait(&e))
			break;
		pthread_join(t, NULL);
	}
	tap_is(i, 20, "9: (gevent #2124) a wait is no deadlock while a thread that is no scheduler may end it");

	tl_event_clear(&go_on);
	if (pthread_create(&t, NULL, fn_becomes, NULL))
		tap_bail("no thread");
	while (!step)
		sched_yield();
	tap_is(tl_mutex_unlock(&m), -EPERM, "9: (#1345) another thread's mutex");
	tap_is(tl_mutex_lock_until(&m, tl_after(1000000)), -ETIMEDOUT, "6.2: timed out between threads");
	tl_event_set(&go_on);
	pthread_join(t, &ok);
	tap_ok(ok, "mutex.h: a plain thread's mutex stays its own when it becomes a scheduler, and when that ends");
	tap_ok(zero(&m, sizeof(m)), "mutex.h: nothing is left in it");
}

/* --- a kill from another thread ----------------------------------------------------------------------------------- */

static struct tl_cond lone = TL_COND_INIT;
static struct tl_task *_Atomic its_main;

static void *fn_waits(UNUSED void *arg)
{
	long ok = tl_mutex_lock(&m) == 0;

	its_main = tl_task_ref(tl_main());
	ok &= tl_cond_wait(&lone, &m) == 0 && tl_mutex_is_owned(&m);
	ok &= tl_mutex_unlock(&m) == 0 && tl_mutex_lock(&m) == -ECANCELED && caught() == ECANCELED;
	return (void *)ok;
}

/* It takes its lock again, and its thread has nothing else to do. */
static void test_kill(void)
{
	pthread_t t;
	void *ok;

	if (pthread_create(&t, NULL, fn_waits, NULL))
		tap_bail("no thread");
	while (!its_main || tl_mutex_lock(&m) || !tl_cond_notify(&lone, 1)) {
		if (its_main)
			tl_mutex_unlock(&m);
		sched_yield();
	}
	while (!(__atomic_load_n(&m.tl__word, __ATOMIC_RELAXED) & TL__WAITERS))
		tl_sleep(100000);
	tl_task_kill_later(its_main);
	tl_sleep(2000000);
	tl_mutex_unlock(&m);
	pthread_join(t, &ok);
	tl_task_unref(its_main);
	tap_ok(ok, "6.2: a kill from another thread does not end the wait for the lock either");
	tap_ok(zero(&m, sizeof(m)), "mutex.h: nothing is left in it");
}

/* --- starvation --------------------------------------------------------------------------------------------------- */

static _Atomic bool stop;

static void *fn_greedy(UNUSED void *arg)
{
	while (!stop) {
		tl_mutex_lock(&m);
		tl_mutex_unlock(&m);
	}
	return NULL;
}

static void test_starvation(void)
{
	pthread_t t;
	int i;

	if (pthread_create(&t, NULL, fn_greedy, NULL))
		tap_bail("no thread");
	for (i = 0; i < 2000 && !tl_mutex_lock(&m); i++)
		tl_mutex_unlock(&m);
	stop = true;
	pthread_join(t, NULL);
	tap_is(i, 2000, "9: (#1744) a thread that hardly ever lets go of a mutex does not starve another");
	tap_ok(zero(&m, sizeof(m)), "mutex.h: nothing is left in it");
}

int main(void)
{
	tap_plan(25);
	test_plain();
	test_kill();
	test_locks();
	test_sem();
	test_cond();
	test_barrier();
	test_event();
	test_starvation();
	tap_is(tl_sched_end(), 0, "nothing is left");
	return tap_exit();
}
