/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * waketest.h: what the tests of lib/wake share. Time never decides: a test waits for what must happen, and PATIENCE is
 * how long it does so before it says that it never will.
 */
#ifndef WAKETEST_H
#define WAKETEST_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <tasklet/wake.h>

#include "tap.h"

#define UNUSED __attribute__((unused))
#define PATIENCE_NS (20 * UINT64_C(1000000000))
#define MS UINT64_C(1000000)

#define FOR_EACH_WAKE(w) for (unsigned int i__ = 0; (w = tl_wake_at(i__)); i__++)

static inline uint64_t now_by(int clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

static inline uint64_t in_ns(uint64_t ns)
{
	return now_by(CLOCK_MONOTONIC) + ns;
}

static inline void nap(uint64_t ns)
{
	struct timespec ts = { (time_t)(ns / 1000000000), (long)(ns % 1000000000) };

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

/* Waits until *@word is at least @value; false if that takes for ever. */
static inline bool reaches(_Atomic int *word, int value)
{
	uint64_t end = in_ns(PATIENCE_NS);

	while (atomic_load(word) < value) {
		if (now_by(CLOCK_MONOTONIC) > end)
			return false;
		nap(MS / 5);
	}
	return true;
}

static inline pthread_t start(void *(*fn)(void *arg), void *arg)
{
	pthread_t thread;
	int r = pthread_create(&thread, NULL, fn, arg);

	if (r)
		tap_bail("pthread_create: %s", strerror(r));
	return thread;
}

/*
 * Memory of its own, that faults once it was given back. The thread sanitizer sees more if it is freed: each access that
 * nothing orders before that, though it came in time.
 */
static inline void *map_page(void)
{
#if defined(__SANITIZE_THREAD__)
	void *p = calloc(1, 4096);

	if (!p)
		tap_bail("no memory");
#else
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		tap_bail("mmap: %s", strerror(errno));
#endif
	return p;
}

static inline void unmap_page(void *p)
{
#if defined(__SANITIZE_THREAD__)
	free(p);
#else
	if (munmap(p, 4096))
		tap_bail("munmap: %s", strerror(errno));
#endif
}

static inline bool is(const struct tl_wake *w, const char *name)
{
	return !strcmp(w->name, name);
}

/* Fewer turns where a checker or an emulator makes each of them slow. */
static inline int turns(int n)
{
#if defined(__SANITIZE_THREAD__)
	return n / 10 + 1;
#elif defined(__SANITIZE_ADDRESS__) || !defined(__x86_64__)
	return n / 4 + 1;
#else
	return n;
#endif
}

/* --- a room: a mutex, a condition, and who waits there ----------------------------------------------------------------- */

struct room {
	const struct tl_wake *w;
	struct tl_wake_mutex m;
	struct tl_wake_cond c;
	_Atomic int entered;	/* have the mutex, and are about to wait */
	_Atomic int woken;	/* their wait has returned 0 */
	_Atomic int timed_out;
	_Atomic int over;
	_Atomic int spurious;	/* returned 0 though `stay` was not cleared */
	bool loop;		/* wait again until `go` */
	bool go;		/* under the mutex */
	int order[64];		/* in which they had the mutex again */
	int orders;
};

struct guest {
	struct room *room;
	int number;
	int clock;
	uint64_t deadline_ns;
	int result;
	pthread_t thread;
};

static inline void *guest_main(void *arg)
{
	struct guest *g = arg;
	struct room *r = g->room;

	r->w->mutex_lock(&r->m);
	atomic_fetch_add(&r->entered, 1);
	do {
		g->result = r->w->cond_wait(&r->c, &r->m, g->clock, g->deadline_ns);
		if (r->loop && !r->go && !g->result)
			atomic_fetch_add(&r->spurious, 1);
	} while (r->loop && !r->go && !g->result);
	if (r->orders < 64)
		r->order[r->orders++] = g->number;
	r->w->mutex_unlock(&r->m);
	atomic_fetch_add(g->result ? &r->timed_out : &r->woken, 1);
	atomic_fetch_add(&r->over, 1);
	return NULL;
}

/* Lets one in; it waits when this returns: it has given the mutex up. */
static inline void let_in(struct room *r, struct guest *g, int number, uint64_t deadline_ns)
{
	int before = atomic_load(&r->entered);

	*g = (struct guest){ .room = r, .number = number, .clock = CLOCK_MONOTONIC, .deadline_ns = deadline_ns };
	g->thread = start(guest_main, g);
	if (!reaches(&r->entered, before + 1))
		tap_bail("%s: a thread does not get the mutex", r->w->name);
	r->w->mutex_lock(&r->m);
	r->w->mutex_unlock(&r->m);
}

static inline void see_out(struct guest *g, int n)
{
	int i;

	for (i = 0; i < n; i++)
		pthread_join(g[i].thread, NULL);
}

#endif
