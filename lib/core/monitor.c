/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The monitor's thread and its list of alarms; see monitor.h. The list is not
 * sorted: there is an alarm for each thread that runs a budget, and to look at
 * them all costs less than what else it takes to wake up.
 */
#include "core/monitor.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <tasklet/base.h>

#include "base/alloc.h"
#include "base/compiler.h"
#include "os/clock.h"
#include "os/log.h"
#include "os/tids.h"

/* How long it waits without alarms before it ends. */
#define IDLE_NS TL__NS_PER_SEC
/* How long after its end the kernel may still show it. */
#define GONE_NS TL__NS_PER_SEC

enum state { NONE, STARTING, RUNS };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* All under the lock: */
static pthread_cond_t changed;	/* an earlier deadline; for the monitor */
static pthread_cond_t told;	/* it has started; what went off is done */
static struct tl__list alarms = TL__LIST_INIT(alarms);
static enum state state;
static bool waits;		/* the monitor, until wakes_at */
static uint64_t wakes_at;
static struct tl__alarm *going_off;
static bool touched;		/* it was armed or disarmed meanwhile */

/* Written under the lock, read by anybody. */
static _Atomic int monitor_tid;
static _Atomic uint64_t ended_at;

static __thread char here;
static __thread bool is_monitor;

const void *tl__monitor_here(void)
{
	return &here;
}

static void conds_init(void)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&changed, &attr);
	pthread_cond_init(&told, &attr);
	pthread_condattr_destroy(&attr);
}

static void before_fork(void)
{
	pthread_mutex_lock(&lock);
}

static void after_fork_in_parent(void)
{
	pthread_mutex_unlock(&lock);
}

/*
 * No other thread is left, the monitor neither. Who waited for an alarm here
 * must arm it again, from a place where a thread may be started: so it goes off.
 */
static void after_fork_in_child(void)
{
	struct tl__list *link, *next;

	pthread_mutex_init(&lock, NULL);
	conds_init();
	state = NONE;
	waits = false;
	going_off = NULL;
	/* relaxed, both: there is one thread */
	atomic_store_explicit(&monitor_tid, 0, memory_order_relaxed);
	atomic_store_explicit(&ended_at, 0, memory_order_relaxed);
	tl__list_for_each_safe(link, next, &alarms) {
		struct tl__alarm *alarm =
			tl__container_of(link, struct tl__alarm, link);

		tl__list_del(link);
		alarm->armed = false;
		if (alarm->thread == &here)
			(void)alarm->go_off(alarm);
	}
}

static void init(void)
{
	conds_init();
	if (pthread_atfork(before_fork, after_fork_in_parent,
			   after_fork_in_child))
		tl__log_once("forked children will wait for a monitor that "
			     "they don't have: no memory for a fork handler");
}

/* The alarm that comes first if its time has come; else NULL, and when that is. */
static struct tl__alarm *due(uint64_t *next_ns)
{
	struct tl__alarm *first = NULL;
	struct tl__list *link;

	*next_ns = TL_FOREVER;
	for (link = alarms.next; link != &alarms; link = link->next) {
		struct tl__alarm *alarm =
			tl__container_of(link, struct tl__alarm, link);

		if (alarm->deadline_ns < *next_ns) {
			*next_ns = alarm->deadline_ns;
			first = alarm;
		}
	}
	return first && *next_ns <= tl__now() ? first : NULL;
}

static void link_alarm(struct tl__alarm *alarm, uint64_t deadline_ns)
{
	alarm->deadline_ns = deadline_ns;
	alarm->armed = true;
	tl__list_add_tail(&alarms, &alarm->link);
}

static void unlink_alarm(struct tl__alarm *alarm)
{
	if (alarm->armed)
		tl__list_del(&alarm->link);
	alarm->armed = false;
}

static void ring(struct tl__alarm *alarm)
{
	uint64_t again;

	unlink_alarm(alarm);
	going_off = alarm;
	touched = false;
	pthread_mutex_unlock(&lock);
	again = alarm->go_off(alarm);
	pthread_mutex_lock(&lock);
	going_off = NULL;
	/* Touched: what was said meanwhile counts; it may be gone by now. */
	if (!touched && again != TL_FOREVER)
		link_alarm(alarm, again);
	pthread_cond_broadcast(&told);
}

/* Returns false when the time has passed without anything new. */
static bool wait_until(uint64_t deadline_ns)
{
	struct timespec ts = tl__timespec(deadline_ns);
	int r;

	waits = true;
	wakes_at = deadline_ns;
	r = pthread_cond_timedwait(&changed, &lock, &ts);
	waits = false;
	return r != ETIMEDOUT;
}

static void *monitor(void *arg)
{
	struct tl__alarm *alarm;
	uint64_t next;

	(void)arg;
	is_monitor = true;
	pthread_setname_np(pthread_self(), "tasklet-monitor");
	pthread_mutex_lock(&lock);
	/* relaxed, both: see tl__monitor_owns_tid() */
	atomic_store_explicit(&ended_at, 0, memory_order_relaxed);
	atomic_store_explicit(&monitor_tid, (int)syscall(SYS_gettid),
			      memory_order_relaxed);
	tl__tids_enter();
	state = RUNS;
	pthread_cond_broadcast(&told);
	for (;;) {
		while ((alarm = due(&next)))
			ring(alarm);
		if (next != TL_FOREVER)
			(void)wait_until(next);
		else if (!wait_until(tl__now() + IDLE_NS) &&
			 tl__list_empty(&alarms))
			break;
	}
	state = NONE;
	tl__tids_leave();
	/* relaxed: as above */
	atomic_store_explicit(&ended_at, tl__now(), memory_order_relaxed);
	pthread_mutex_unlock(&lock);
	return NULL;
}

/* Signals are for the program's threads. */
static int create(void)
{
	sigset_t all, old;
	pthread_attr_t attr;
	pthread_t thread;
	int r;

	if (tl__fault() || pthread_attr_init(&attr))
		return -EAGAIN;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&thread, &attr, monitor, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return r ? -EAGAIN : 0;
}

/*
 * Waits until it runs, and is known by its number: before that it would pass
 * for a thread of the program's.
 */
static int ensure_monitor(void)
{
	int r;

	if (state == NONE) {
		r = create();
		if (r)
			return r;
		state = STARTING;
	}
	while (state == STARTING)
		pthread_cond_wait(&told, &lock);
	return 0;
}

int tl__monitor_arm(struct tl__alarm *alarm, uint64_t deadline_ns)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	int r;

	if (deadline_ns == TL_FOREVER) {
		tl__monitor_disarm(alarm);
		return 0;
	}
	pthread_once(&once, init);
	pthread_mutex_lock(&lock);
	unlink_alarm(alarm);
	if (going_off == alarm)
		touched = true;
	r = ensure_monitor();
	if (!r) {
		link_alarm(alarm, deadline_ns);
		if (waits && deadline_ns < wakes_at)
			pthread_cond_signal(&changed);
	}
	pthread_mutex_unlock(&lock);
	return r;
}

void tl__monitor_disarm(struct tl__alarm *alarm)
{
	pthread_mutex_lock(&lock);
	unlink_alarm(alarm);
	if (going_off == alarm) {
		touched = true;
		while (!is_monitor && going_off == alarm)
			pthread_cond_wait(&told, &lock);
	}
	pthread_mutex_unlock(&lock);
}

/*
 * relaxed: whoever asks has found the thread in the kernel's list. It got
 * there by tl__monitor_arm(), which lets nobody go on before the number is
 * stored.
 */
bool tl__monitor_owns_tid(int tid)
{
	uint64_t ended;

	if (!tid || tid != atomic_load_explicit(&monitor_tid,
						memory_order_relaxed))
		return false;
	ended = atomic_load_explicit(&ended_at, memory_order_relaxed);
	return !ended || tl__now() - ended < GONE_NS;
}
