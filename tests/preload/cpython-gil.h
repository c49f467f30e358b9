/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * CPython's way with its GIL (ceval_gil.c since 3.2), played on what the preload library
 * makes of the mutex and the conditions. One GIL; the flag and its invariants are as
 * there. Counts what must not be: two that have it, one that waits for a free one.
 */
#ifndef TESTS_CPYTHON_GIL_H
#define TESTS_CPYTHON_GIL_H

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "os/clock.h"
#include "preload/gil.h"
#include "preload/objects.h"

static struct {
	pthread_mutex_t mutex, switch_mutex;
	pthread_cond_t cond, switch_cond;
	int locked, switches;
	_Atomic int drop_request;
	_Atomic int last;
	uint64_t interval_ns;
	uint64_t free_since_ns;
	/* Under the GIL. */
	int inside, collisions, forgotten;
} gil;

static inline void gil_init(uint64_t interval_ns)
{
	pthread_condattr_t attr;
	struct timespec ts = { 0 };

	memset(&gil, 0, sizeof(gil));
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&gil.cond, &attr);
	pthread_cond_init(&gil.switch_cond, &attr);
	gil.interval_ns = interval_ns;
	tl__gil_learn(&gil.cond, &gil.mutex, &ts);
}

/* As the hook does it. */
static inline void gil_signal(pthread_cond_t *c)
{
	struct tl__gil *g = tl__gil_of_cond(c);

	if (tl__gil_me.in && !g)
		tl__gil_signals_other(tl__gil_me.in, c);
	if (g)
		tl__gil_signal(g, c);
	else
		tl__base_cond_signal(c);
}

static inline void gil_wait_switched(void)
{
	struct tl__gil *g = tl__gil_of_cond(&gil.switch_cond);

	if (g)
		tl__gil_wait(g, &gil.switch_cond, &gil.switch_mutex, CLOCK_MONOTONIC, NULL);
	else
		tl__base_cond_wait(&gil.switch_cond, &gil.switch_mutex, CLOCK_MONOTONIC, NULL);
}

static inline void gil_take(int me)
{
	struct tl__gil *g = tl__gil_of_mutex(&gil.mutex);
	struct timespec until;
	int saved, r;

	tl__gil_lock(g, &gil.mutex);
	while (gil.locked) {
		saved = gil.switches;
		until = tl__timespec(tl__now() + gil.interval_ns);
		r = tl__gil_wait(g, &gil.cond, &gil.mutex, CLOCK_MONOTONIC, &until);
		if (r != ETIMEDOUT)
			continue;
		if (gil.locked && gil.switches == saved)
			gil.drop_request = 1;
		/* Half of that, for somebody may just be on his way to it. */
		if (!gil.locked && tl__now() - gil.free_since_ns > gil.interval_ns / 2)
			gil.forgotten++;
	}
	tl__base_mutex_lock(&gil.switch_mutex);
	gil.locked = 1;
	if (gil.last != me) {
		gil.last = me;
		gil.switches++;
	}
	gil_signal(&gil.switch_cond);
	tl__base_mutex_unlock(&gil.switch_mutex);
	gil.drop_request = 0;
	tl__gil_unlock(g, &gil.mutex);
	gil.collisions += gil.inside++;
}

/* Whether it was asked to. */
static inline bool gil_drop(int me)
{
	struct tl__gil *g = tl__gil_of_mutex(&gil.mutex);

	gil.collisions += --gil.inside;
	tl__gil_lock(g, &gil.mutex);
	gil.locked = 0;
	gil.free_since_ns = tl__now();
	gil_signal(&gil.cond);
	tl__gil_unlock(g, &gil.mutex);
	if (!gil.drop_request)
		return false;
	tl__base_mutex_lock(&gil.switch_mutex);
	if (gil.last == me) {
		gil.drop_request = 0;
		gil_wait_switched();
	}
	tl__base_mutex_unlock(&gil.switch_mutex);
	return true;
}

/*
 * For the last time. Who was asked to is expected back, for up to an interval if others
 * drop it in the same moment: the one thing that a wrong guess may cost.
 */
static inline void gil_leave(int me)
{
	while (gil_drop(me))
		gil_take(me);
}

/* As one that has computed and was made to drop it just now. */
static inline void gil_become_cpu_thread(void)
{
	tl__gil_me.burst_ns = TL__IO_BURST_NS;
	tl__gil_me.left_ns = tl__now();
	tl__gil_me.preempted = true;
}

#endif
