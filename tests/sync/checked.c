/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The checked build: a pthread lock that is held while a tasklet waits or lets others run is reported, with the
 * tasklet's name, once a place, and nothing else is. In other builds this test is skipped.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "../core/check.h"
#include "reports.h"

#ifndef TL_CHECKED
int main(void)
{
	tap_skip_all("this is no checked build (make CHECKED=yes)");
}
#else

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static struct tl_event event = TL_EVENT_INIT;

static int fn_holds(UNUSED void *arg)
{
	int i;

	for (i = 0; i < 3; i++) {
		pthread_mutex_lock(&mutex);
		tl_schedule();
		tl_schedule();
		pthread_mutex_unlock(&mutex);
	}
	return 0;
}

static int fn_careful(UNUSED void *arg)
{
	int i;

	for (i = 0; i < 20; i++) {
		tl_schedule();
		if (pthread_rwlock_rdlock(&rwlock) || pthread_rwlock_unlock(&rwlock))
			tap_bail("rwlock");
	}
	return 0;
}

static int fn_waits(UNUSED void *arg)
{
	struct timespec past = { 0 };

	if (pthread_mutex_trylock(&mutex))
		return -EIO;
	tl_event_wait(&event);
	pthread_mutex_unlock(&mutex);
	if (pthread_rwlock_timedwrlock(&rwlock, &past))
		return -EIO;
	tl_sleep(1000);
	pthread_rwlock_unlock(&rwlock);
	return 0;
}

static int fn_fails_to_take(UNUSED void *arg)
{
	if (pthread_mutex_trylock(&mutex) != EBUSY)
		tap_bail("trylock");
	tl_schedule();
	return 0;
}

/* Waits on a condition: the mutex is not held meanwhile, and afterwards it is. */
static int fn_cond(UNUSED void *arg)
{
	pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
	struct timespec past = { 0 };

	pthread_mutex_lock(&mutex);
	pthread_cond_timedwait(&cond, &mutex, &past);
	pthread_mutex_unlock(&mutex);
	tl_schedule();
	return 0;
}

static bool aborts(void)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		signal(SIGABRT, SIG_DFL);
		setenv("TL_CHECKED", "abort", 1);
		go("K", fn_waits, NULL);
		tl_schedule();
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

int main(void)
{
	const char *text;

	tap_plan(12);
	reports_begin();
	tap_ok(aborts(), "9: with TL_CHECKED=abort the process stops there");
	text = reported();
	tap_ok(strstr(text, "(K) waits for event") != NULL, "9: and says what it does: %s", text);

	go("A", fn_holds, NULL);
	go("B", fn_careful, NULL);
	tl_run();
	text = reported();
	tap_ok(strstr(text, "(A) yields") && strstr(text, "pthread lock"), "9: a lock that is held across a yield: %s",
	       text);
	tap_is(count_lines(text), 1, "9: once a place, and of nobody else");

	go("W", fn_waits, NULL);
	tl_schedule();
	text = reported();
	tap_ok(strstr(text, "(W) waits for event") != NULL, "9: a lock that was tried, across a wait: %s", text);
	go("F", fn_fails_to_take, NULL);
	tl_schedule();
	tl_schedule();
	tap_str(reported(), "", "9: one that was not had is not held");
	tl_event_set(&event);
	tl_run();
	text = reported();
	tap_ok(strstr(text, "(W) sleeps") != NULL, "9: an rwlock, across a sleep: %s", text);
	tap_is(count_lines(text), 1, "9: and no more");

	go("C", fn_cond, NULL);
	tl_run();
	tap_str(reported(), "", "9: one that was given up, after a wait on a pthread condition");

	pthread_mutex_lock(&mutex);
	tl_sleep(1000);
	pthread_mutex_unlock(&mutex);
	text = reported();
	tap_ok(strstr(text, "main one, sleeps") != NULL, "9: a plain thread's: %s", text);
	tl_sleep(1000);
	tap_str(reported(), "", "9: nothing is held any more");
	reports_end();
	tap_is(tl_sched_end(), 0, "nothing is left");
	return tap_exit();
}
#endif
