/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Scenarios of lib/sync between threads: one holder at a time, nobody sleeps beside a free mutex, and no notification
 * is lost or made up, whatever deadline or kill comes at that moment.
 *
 * A lost wake-up shows as -EDEADLK: the library itself sees that all sleep.
 */
#include "explore.h"

#include <errno.h>

#include <tasklet/tasklet.h>

#include "core/task.h"

#define THREADS 3

static struct tl_mutex mutex;
static struct tl_cond cond;
static struct tl_barrier barrier;
static struct tl_sem sem;
static struct tl_event event;
static struct tl_rwlock rwlock;
static struct tl_waitgroup waitgroup;
static struct tl_task *idle[THREADS], *waiter[THREADS];
static int result[THREADS], waiter_result[THREADS], inside, entries, flag, notified;

static void setup(void)
{
	int i;

	mutex = (struct tl_mutex)TL_MUTEX_INIT;
	cond = (struct tl_cond)TL_COND_INIT;
	explore_assert(!tl_barrier_init(&barrier, 2, NULL, NULL));
	explore_assert(!tl_sem_init(&sem, 0, 2));
	event = (struct tl_event)TL_EVENT_INIT;
	rwlock = (struct tl_rwlock)TL_RWLOCK_INIT;
	waitgroup = (struct tl_waitgroup)TL_WAITGROUP_INIT;
	explore_assert(!tl_waitgroup_add(&waitgroup, 2));
	inside = entries = flag = notified = 0;
	for (i = 0; i < THREADS; i++) {
		result[i] = waiter_result[i] = 1;
		waiter[i] = NULL;
	}
}

static int fn_idle(void *arg)
{
	(void)arg;
	return 0;
}

/* A thread with another tasklet does not spin before it sleeps: here that is what matters. */
static void begin(int me)
{
	explore_assert(!tl_spawn(&idle[me], fn_idle, NULL));
	explore_assert(!tl_task_remove(idle[me]));
}

static void finish(int me)
{
	tl_task_kill(idle[me]);
	tl_task_unref(idle[me]);
	tl_task_unref(waiter[me]);
	explore_assert(!tl_sched_end());
}

static void critical(void)
{
	explore_assert(!inside);
	inside = 1;
	explore_here();
	inside = 0;
	entries++;
	explore_assert(!tl_mutex_unlock(&mutex));
}

/* --- mutex ------------------------------------------------------------------------------------------------------------ */

static void body_mutex_three(int me)
{
	result[me] = tl_mutex_lock(&mutex);
	explore_assert(!result[me]);
	critical();
}

static void body_mutex_two(int me)
{
	body_mutex_three(me);
	body_mutex_three(me);
}

static void check_free(void)
{
	explore_assert(!mutex.tl__word && !mutex.tl__queue && !mutex.tl__lock);
}

static void check_mutex_two(void)
{
	explore_assert(entries == 4);
	check_free();
}

static void check_mutex_three(void)
{
	explore_assert(entries == 3);
	check_free();
}

/* The first times out, at any time. */
static void body_mutex_deadline(int me)
{
	if (me) {
		body_mutex_three(me);
		return;
	}
	result[0] = tl_mutex_lock_until(&mutex, tl_now() + 1000);
	if (!result[0])
		critical();
	else
		explore_assert(result[0] == -ETIMEDOUT);
}

static void check_mutex_deadline(void)
{
	explore_assert(entries == 3 - (result[0] != 0));
	check_free();
}

/*
 * The first has the mutex, a tasklet of each other thread waits for it. It is given up and taken again, while one of these
 * is killed: the other one must get it, be it that the wake-up was for the one that is killed.
 */
static int fn_waiter(void *arg)
{
	int me = (int)(intptr_t)arg;

	waiter_result[me] = tl_mutex_lock(&mutex);
	if (!waiter_result[me])
		critical();
	return 0;
}

static void begin_mutex_kill(int me)
{
	begin(me);
	if (!me) {
		explore_assert(!tl_mutex_lock(&mutex));
		return;
	}
	explore_assert(!tl_spawn(&waiter[me], fn_waiter, (void *)(intptr_t)me));
	explore_assert(!tl_schedule());
	explore_assert(tl_task_is_blocked(waiter[me]));
}

static void body_mutex_kill(int me)
{
	if (!me) {
		explore_assert(!tl_mutex_unlock(&mutex));
		body_mutex_three(me);
		return;
	}
	if (me == 1)
		explore_assert(!tl_task_kill(waiter[me]));
	explore_assert(!tl_schedule());
	while (tl_task_is_alive(waiter[me])) {
		sched_yield();
		explore_assert(!tl_schedule());
	}
}

static void check_mutex_kill(void)
{
	explore_assert(!waiter_result[2]);
	explore_assert(!waiter_result[1] || waiter_result[1] == -ECANCELED);
	explore_assert(entries == 2 + !waiter_result[1]);
	check_free();
}

/* --- cond ------------------------------------------------------------------------------------------------------------- */

static void body_cond(int me)
{
	explore_assert(!tl_mutex_lock(&mutex));
	if (me) {
		flag = 1;
		notified = (int)tl_cond_notify(&cond, 1);
	} else {
		while (!flag)
			explore_assert(!tl_cond_wait(&cond, &mutex));
	}
	critical();
}

static void check_cond(void)
{
	explore_assert(entries == 2);
	check_free();
}

/* A notification and a deadline. */
static void body_cond_deadline(int me)
{
	if (me)
		notified = (int)tl_cond_notify(&cond, 1);
	else
		result[0] = tl_cond_wait_until(&cond, NULL, tl_now() + 1000);
}

static void check_cond_deadline(void)
{
	explore_assert(notified == !result[0]);
	explore_assert(!result[0] || result[0] == -ETIMEDOUT);
	explore_assert(!cond.tl__queue && !cond.tl__waiters);
}

/* --- barrier ---------------------------------------------------------------------------------------------------------- */

static void body_barrier(int me)
{
	int first = tl_barrier_wait(&barrier), second;

	explore_assert(first == 0 || first == 1);
	flag += first;
	second = tl_barrier_wait(&barrier);
	explore_assert(second == 0 || second == 1);
	/* In each round one was the first and one the second. */
	explore_assert(flag == 1);
	result[me] = second;
}

static void check_barrier(void)
{
	explore_assert(result[0] + result[1] == 1);
	explore_assert(!tl_barrier_waiting(&barrier) && !tl_barrier_is_broken(&barrier));
}

static void body_barrier_deadline(int me)
{
	result[me] = me ? tl_barrier_wait(&barrier) : tl_barrier_wait_until(&barrier, tl_now() + 1000);
}

static void check_barrier_deadline(void)
{
	if (result[0] == -ETIMEDOUT)
		explore_assert(result[1] == -EPIPE && tl_barrier_is_broken(&barrier));
	else
		explore_assert(result[0] + result[1] == 1 && result[0] * result[1] == 0);
}

static void body_barrier_abort(int me)
{
	if (me == 2)
		tl_barrier_abort(&barrier);
	else
		result[me] = tl_barrier_wait(&barrier);
}

static void check_barrier_abort(void)
{
	explore_assert(tl_barrier_is_broken(&barrier));
	if (result[0] == -EPIPE)
		explore_assert(result[1] == -EPIPE);
	else
		explore_assert(result[0] + result[1] == 1 && result[0] * result[1] == 0);
}

/* --- semaphore, event, rwlock ----------------------------------------------------------------------------------------- */

/* Two tokens come, two wait for one each, of which one gives up at any time: no token is lost. */
static void body_sem(int me)
{
	if (!me)
		result[0] = tl_sem_acquire_until(&sem, tl_now() + 1000);
	else if (me == 1)
		result[1] = tl_sem_acquire(&sem);
	else
		explore_assert(!tl_sem_release(&sem, 2));
}

static void check_sem(void)
{
	explore_assert(!result[1] && (!result[0] || result[0] == -ETIMEDOUT));
	explore_assert(tl_sem_value(&sem) == (result[0] ? 1 : 0));
}

/* A set ends the wait for good, whatever is cleared after it. */
static void body_event(int me)
{
	if (!me) {
		result[0] = tl_event_wait(&event);
		return;
	}
	tl_event_set(&event);
	flag = 1;
}

static void check_event(void)
{
	explore_assert(!result[0] && flag && tl_event_is_set(&event));
}

/* Two things end; who waits for them then gives the memory back, whatever the last done still does. */
static void body_waitgroup(int me)
{
	if (me) {
		flag++;
		explore_assert(!tl_waitgroup_done(&waitgroup));
		return;
	}
	result[0] = tl_waitgroup_wait(&waitgroup);
	explore_assert(!result[0] && flag == 2);
	explore_gone(&waitgroup, sizeof(waitgroup), "the wait group");
}

static void check_waitgroup(void)
{
	explore_assert(!tl_waitgroup_count(&waitgroup) && !waitgroup.tl__queue);
}

/* One gives up: the others are told. */
static void body_waitgroup_deadline(int me)
{
	if (!me)
		result[0] = tl_waitgroup_wait_until(&waitgroup, tl_now() + 1000);
	else if (me == 1)
		result[1] = tl_waitgroup_wait(&waitgroup);
	else
		explore_assert(!tl_waitgroup_done(&waitgroup) && !tl_waitgroup_done(&waitgroup));
}

static void check_waitgroup_deadline(void)
{
	explore_assert(!result[1] && (!result[0] || result[0] == -ETIMEDOUT));
	explore_assert(!waitgroup.tl__word && !waitgroup.tl__queue);
}

static void body_rwlock(int me)
{
	if (!me) {
		explore_assert(!tl_rwlock_wrlock(&rwlock) && !inside);
		inside = 10;
		explore_here();
		inside = 0;
		explore_assert(!tl_rwlock_wrunlock(&rwlock));
	} else {
		explore_assert(!tl_rwlock_rdlock(&rwlock) && inside < 10);
		inside++;
		explore_here();
		inside--;
		explore_assert(!tl_rwlock_rdunlock(&rwlock));
	}
	entries++;
}

static void check_rwlock(void)
{
	explore_assert(entries == 3 && !rwlock.tl__mutex.tl__word && !rwlock.tl__writers);
}

#define SCENARIO(n, count) .name = #n, .threads = count, .setup = setup, .finish = finish, .body = body_##n, \
	.check = check_##n

const struct explore_scenario explore_sync[] = {
	{ SCENARIO(mutex_two, 2), .begin = begin, .what = "two threads, twice each: one at a time, and all get in" },
	{ SCENARIO(mutex_three, 3), .begin = begin, .bound = 2, .what = "three threads: the same" },
	{ SCENARIO(mutex_deadline, 3), .begin = begin, .bound = 2, .what = "one gives up: the others get in" },
	{ SCENARIO(mutex_kill, 3), .begin = begin_mutex_kill, .bound = 2,
	  .what = "one that waits is killed: the wake-up is not lost with it" },
	{ SCENARIO(cond, 2), .begin = begin, .what = "no notification is lost" },
	{ SCENARIO(cond_deadline, 2), .begin = begin, .what = "notified or timed out, as the notifier was told" },
	{ SCENARIO(barrier, 2), .begin = begin, .what = "two rounds: each has a first and a second" },
	{ SCENARIO(barrier_deadline, 2), .begin = begin, .what = "one gives up: both know, or neither" },
	{ SCENARIO(barrier_abort, 3), .begin = begin, .bound = 2, .what = "aborted: both know, or neither" },
	{ SCENARIO(sem, 3), .begin = begin, .bound = 2, .what = "no token is lost with one that gives up" },
	{ SCENARIO(event, 2), .begin = begin, .what = "who waits sees it set" },
	{ SCENARIO(waitgroup, 3), .begin = begin, .what = "who waits sees all that has ended, and may free it" },
	{ SCENARIO(waitgroup_deadline, 3), .begin = begin, .bound = 2, .what = "one gives up: the other is told" },
	{ SCENARIO(rwlock, 3), .begin = begin, .bound = 2, .what = "one writer or readers, and all get in" },
	{ 0 }
};
