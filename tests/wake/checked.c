/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The checked build reports an unlock of a mutex that is free or another thread's, a wait with such a one, a condition
 * that is waited for with two mutexes; once a place, and nothing else. In other builds this test is skipped.
 */
#include <signal.h>
#include <sys/wait.h>

#include "waketest.h"
#include "reports.h"

#ifndef TL_CHECKED
int main(void)
{
	tap_skip_all("this is no checked build (make CHECKED=yes)");
}
#else

#define PER_WAKE 9

static bool says(const char *text, const char *name, const char *what)
{
	tap_diag("%s", text);
	return count_lines(text) == 1 && strstr(text, name) && strstr(text, what);
}

/* A place each, for each implementation; the asm keeps the compiler from making one of those that look the same. */
#define PLACES(NAME)										\
	static void unlock_twice_##NAME(struct room *r)						\
	{											\
		volatile int i;									\
												\
		for (i = 0; i < 2; i++)								\
			r->w->mutex_unlock(&r->m);						\
		__asm__ volatile("# " #NAME);							\
	}											\
	static void *unlock_other_##NAME(void *arg)						\
	{											\
		struct room *r = arg;								\
												\
		r->w->mutex_unlock(&r->m);							\
		__asm__ volatile("# " #NAME);							\
		return arg;									\
	}											\
	static int wait_##NAME(struct room *r)							\
	{											\
		int result = r->w->cond_wait(&r->c, &r->m, CLOCK_MONOTONIC, TL_FOREVER);	\
												\
		__asm__ volatile("# " #NAME);							\
		return result;									\
	}											\
	static int wait_second_##NAME(struct room *r, struct tl_wake_mutex *m)			\
	{											\
		int result = r->w->cond_wait(&r->c, m, CLOCK_MONOTONIC, in_ns(MS));		\
												\
		__asm__ volatile("# " #NAME);							\
		return result;									\
	}

PLACES(futex)
PLACES(emulated)
PLACES(pthread)
PLACES(birrell)

struct places {
	void (*unlock_twice)(struct room *r);
	void *(*unlock_other)(void *arg);
	int (*wait)(struct room *r);
	int (*wait_second)(struct room *r, struct tl_wake_mutex *m);
};

static const struct places places[] = {
	{ unlock_twice_futex, unlock_other_futex, wait_futex, wait_second_futex },
	{ unlock_twice_emulated, unlock_other_emulated, wait_emulated, wait_second_emulated },
	{ unlock_twice_pthread, unlock_other_pthread, wait_pthread, wait_second_pthread },
	{ unlock_twice_birrell, unlock_other_birrell, wait_birrell, wait_second_birrell },
};

static void test(const struct tl_wake *w, const struct places *p)
{
	struct room r = { .w = w };
	struct tl_wake_mutex second = TL_WAKE_INIT;
	struct guest g;

	p->unlock_twice(&r);
	tap_ok(says(reported(), w->name, "does not have"), "%s: an unlock of a free mutex is reported, once a place", w->name);
	tap_is(w->mutex_try_lock(&r.m), 0, "%s: and changes nothing", w->name);
	pthread_join(start(p->unlock_other, &r), NULL);
	tap_ok(says(reported(), w->name, "does not have"), "%s: an unlock of another thread's", w->name);
	tap_is(w->mutex_try_lock(&r.m), -EAGAIN, "%s: which that one has still", w->name);
	w->mutex_unlock(&r.m);
	tap_is(p->wait(&r), 0, "%s: a wait with a mutex that is not held returns", w->name);
	tap_ok(says(reported(), w->name, "waits for a condition"), "%s: and is reported", w->name);

	let_in(&r, &g, 0, TL_FOREVER);
	w->mutex_lock(&second);
	if (is(w, "pthread"))
		tap_skip("pthread: does not tell who waits with what");
	else
		tap_ok(p->wait_second(&r, &second) == -ETIMEDOUT && says(reported(), "", "two mutexes"),
		       "%s: a condition with two mutexes", w->name);
	w->mutex_unlock(&second);
	w->mutex_lock(&r.m);
	w->cond_broadcast(&r.c);
	/* Passed on: the one that was woken has no more to do with what is there. */
	w->cond_destroy(&r.c);
	memset(&r.c, 0, sizeof(r.c));
	w->mutex_unlock(&r.m);
	see_out(&g, 1);
	w->mutex_lock(&second);
	tap_is(w->cond_wait(&r.c, &second, CLOCK_MONOTONIC, in_ns(MS)), -ETIMEDOUT, "%s: one after the other is fine",
	       w->name);
	w->mutex_unlock(&second);
	tap_is(count_lines(reported()), 0, "%s: nothing else is reported", w->name);
}

static bool aborts(void)
{
	struct room r = { .w = tl_wake_find("futex") };
	int status;
	pid_t pid = fork();

	if (!pid) {
		signal(SIGABRT, SIG_DFL);
		setenv("TL_CHECKED", "abort", 1);
		r.w->mutex_unlock(&r.m);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

int main(void)
{
	int i;

	tap_plan(1 + 4 * PER_WAKE);
	reports_begin();
	tap_ok(aborts(), "with TL_CHECKED=abort the process stops there");
	reported();
	for (i = 0; i < 4; i++)
		test(tl_wake_at((unsigned int)i), &places[i]);
	reports_end();
	return tap_exit();
}
#endif
