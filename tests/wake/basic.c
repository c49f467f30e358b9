/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What one or two threads can see of each implementation: the table, objects that are zeroed memory, trylock, deadlines
 * in the past and by both clocks, other clocks refused without waiting, errno, semaphores up to their limit.
 */
#include <limits.h>
#include <semaphore.h>
#include <stdlib.h>

#include "waketest.h"

#include "wake/futex.h"

#define PER_WAKE 17

static void *fn_try(void *arg)
{
	struct room *r = arg;
	bool busy = r->w->mutex_try_lock(&r->m) == -EAGAIN;

	return busy ? r : NULL;
}

static void test_mutex(const struct tl_wake *w)
{
	struct room r = { .w = w };
	void *busy;

	errno = 4711;
	tap_is(w->mutex_try_lock(&r.m), 0, "%s: zeroed memory is a free mutex", w->name);
	pthread_join(start(fn_try, &r), &busy);
	tap_ok(busy, "%s: another thread can't have it", w->name);
	tap_is(w->mutex_try_lock(&r.m), -EAGAIN, "%s: nor the same once more", w->name);
	w->mutex_unlock(&r.m);
	w->mutex_lock(&r.m);
	w->mutex_unlock(&r.m);
	tap_is(w->mutex_try_lock(&r.m), 0, "%s: it is free again", w->name);
	w->mutex_unlock(&r.m);
	tap_is(errno, 4711, "%s: errno is as before", w->name);
}

static int wait_by(const struct tl_wake *w, int clock, uint64_t deadline_ns)
{
	struct room r = { .w = w };
	int result;

	w->mutex_lock(&r.m);
	result = w->cond_wait(&r.c, &r.m, clock, deadline_ns);
	/* It is ours again: unlocking it is what a trylock then shows. */
	if (w->mutex_try_lock(&r.m) != -EAGAIN)
		tap_bail("%s: the mutex was not taken again", w->name);
	w->mutex_unlock(&r.m);
	return result;
}

/* Never before the deadline. */
static bool waits_until(const struct tl_wake *w, int clock)
{
	uint64_t deadline = now_by(clock) + 20 * MS;
	struct tl_wake_sem s = TL_WAKE_INIT;

	if (wait_by(w, clock, deadline) != -ETIMEDOUT || now_by(clock) < deadline)
		return false;
	deadline = now_by(clock) + 20 * MS;
	return w->sem_wait(&s, clock, deadline) == -ETIMEDOUT && now_by(clock) >= deadline;
}

static void test_clocks(const struct tl_wake *w)
{
	struct tl_wake_sem s = TL_WAKE_INIT;

	errno = 4711;
	tap_ok(waits_until(w, CLOCK_MONOTONIC), "%s: waits until a time of CLOCK_MONOTONIC", w->name);
	tap_ok(waits_until(w, CLOCK_REALTIME), "%s: and of CLOCK_REALTIME", w->name);
	tap_ok(wait_by(w, CLOCK_MONOTONIC, 0) == -ETIMEDOUT && wait_by(w, CLOCK_REALTIME, 1) == -ETIMEDOUT &&
	       w->sem_wait(&s, CLOCK_MONOTONIC, 0) == -ETIMEDOUT,
	       "%s: a deadline in the past", w->name);
	tap_ok(wait_by(w, CLOCK_PROCESS_CPUTIME_ID, 0) == -EINVAL && wait_by(w, CLOCK_BOOTTIME, TL_FOREVER) == -EINVAL &&
	       wait_by(w, -1, TL_FOREVER) == -EINVAL,
	       "%s: other clocks are refused, without waiting", w->name);
	tap_is(w->sem_wait(&s, CLOCK_TAI, TL_FOREVER), -EINVAL, "%s: by a semaphore too", w->name);
	tap_is(errno, 4711, "%s: errno is as before", w->name);
}

/* Two billion tokens, by the back door. */
static void fill(const struct tl_wake *w, struct tl_wake_sem *s)
{
	if (is(w, "pthread"))
		sem_init((sem_t *)s, 0, INT_MAX);
	else if (tl__wake_sem_post((struct tl__wake_sem *)s, INT_MAX))
		tap_bail("%s: no room", w->name);
}

static void *fn_take(void *arg)
{
	struct room *r = arg;
	struct tl_wake_sem *s = (void *)&r->c;

	atomic_fetch_add(&r->entered, 1);
	return r->w->sem_wait(s, CLOCK_MONOTONIC, TL_FOREVER) ? NULL : arg;
}

static void test_semaphore(const struct tl_wake *w)
{
	struct tl_wake_sem s = TL_WAKE_INIT, full = TL_WAKE_INIT;
	struct room r = { .w = w };
	void *took;
	pthread_t thread;

	errno = 4711;
	tap_ok(w->sem_try_wait(&s) == -EAGAIN && !w->sem_post(&s) && !w->sem_post(&s) && !w->sem_try_wait(&s) &&
	       !w->sem_wait(&s, CLOCK_MONOTONIC, TL_FOREVER) && w->sem_try_wait(&s) == -EAGAIN,
	       "%s: zeroed memory is a semaphore without tokens; two posts, two waits", w->name);
	w->sem_post(&s);
	tap_is(w->sem_wait(&s, CLOCK_MONOTONIC, 0), 0, "%s: a token that is there, though the time is up", w->name);
	fill(w, &full);
	tap_ok(w->sem_post(&full) == -EOVERFLOW && !w->sem_try_wait(&full) && !w->sem_post(&full) &&
	       w->sem_post(&full) == -EOVERFLOW,
	       "%s: 2^31 - 1 tokens, and not one more", w->name);
	tap_is(errno, 4711, "%s: errno is as before", w->name);
	thread = start(fn_take, &r);
	reaches(&r.entered, 1);
	nap(2 * MS);
	w->sem_post((void *)&r.c);
	pthread_join(thread, &took);
	tap_ok(took, "%s: a post ends a wait", w->name);
}

static void test_signal(const struct tl_wake *w)
{
	struct room r = { .w = w };
	struct guest g[3];

	w->cond_signal(&r.c);
	w->cond_broadcast(&r.c);
	let_in(&r, &g[0], 0, in_ns(5 * MS));
	see_out(g, 1);
	/* pthread's may also return for no reason: then there is nothing to say. */
	tap_ok(g[0].result == -ETIMEDOUT || is(w, "pthread"), "%s: nothing is kept of signals that nobody waited for",
	       w->name);
}

static bool is_zero(const void *p, size_t n)
{
	const char *c = p;

	while (n--)
		if (*c++)
			return false;
	return true;
}

int main(void)
{
	static const char *const names[] = { "futex", "emulated", "pthread", "birrell" };
	pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t c = PTHREAD_COND_INITIALIZER;
	const struct tl_wake *w;
	unsigned int n;
	bool found = true;
	sem_t s;

	tap_plan(3 + 4 * PER_WAKE);
	for (n = 0; n < 4; n++)
		found = found && tl_wake_at(n) && is(tl_wake_at(n), names[n]) && tl_wake_find(names[n]) == tl_wake_at(n);
	tap_ok(found && !tl_wake_at(4) && !tl_wake_at(UINT_MAX), "four, in their order, and by name");
	tap_ok(!tl_wake_find("") && !tl_wake_find("fute") && !tl_wake_find("futexx"), "no others");
	sem_init(&s, 0, 0);
	tap_ok(is_zero(&m, sizeof(m)) && is_zero(&c, sizeof(c)) && is_zero(&s, sizeof(long)),
	       "the C library's initial objects are zeroed memory");
	FOR_EACH_WAKE(w) {
		test_mutex(w);
		test_clocks(w);
		test_semaphore(w);
		test_signal(w);
	}
	return tap_exit();
}
