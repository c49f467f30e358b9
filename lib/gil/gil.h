/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Inside the global interpreter lock: what it and its threads are made of, and
 * what a policy must do.
 *
 * A lock is four layers: the calls of <tasklet/gil.h> (gil.c), which keep the
 * thread's books; its policy, one file each, which says who has it and who is
 * next; an implementation of <tasklet/wake.h>, by which threads wait; and the
 * tick (core/tick.h), by which a holder learns that it is wanted.
 *
 * Locks: `lock` of struct tl_gil is taken for some instructions; no other is taken
 * while it is held. It protects the list of threads, and what its policy says.
 */
#ifndef TL_GIL_GIL_H
#define TL_GIL_GIL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <tasklet/gil.h>
#include <tasklet/wake.h>

#include "base/list.h"
#include "core/tick.h"
#include "gil/favour.h"
#include "gil/handoff.h"
#include "os/lock.h"

/* Written by the thread that it is about, read by any. */
struct tl__gil_times {
	_Atomic uint64_t count, sum_ns, max_ns;
};

struct tl__gil_counters {
	struct tl__gil_times waits[2], holds[2];
	_Atomic uint64_t forced, kept, stolen;
};

struct tl__gil_thread {
	struct tl_gil *gil;
	struct tl__list link;		/* gil->threads */
	uint64_t number;		/* they are listed in its order */
	unsigned int *tick_word;
	int tid;
	unsigned int out;		/* calls of begin() without their end() */
	_Atomic unsigned char class;	/* what it comes, or came, for it as */
	_Atomic bool holds;
	uint64_t held_since_ns;		/* 0: it is not known */
	bool kept;			/* out, in a way that can be undone */
	bool ends;			/* its destructor has been called */
	struct tl__gil_counters counters;
	struct tl__gil_favour favour;	/* the kernel's */

	/* The policy's. */
	uint64_t ticks_left, yields;	/* ticks, priority, handoff */
	uint64_t gave;				/* priority: at that switch */
	struct tl__gil_waiter waiter;		/* handoff */
};

struct tl__gil_policy {
	const char *name;
	/* It is for @holder, the only thread, or free; also after a fork. */
	void (*reset)(struct tl_gil *gil, struct tl__gil_thread *holder);
	/* Has @me take it if it is free and nobody comes first. */
	bool (*try)(struct tl_gil *gil, struct tl__gil_thread *me);
	/* Waits until @me has it. */
	void (*acquire)(struct tl_gil *gil, struct tl__gil_thread *me);
	/* @me gives it away, to block or to leave. */
	void (*release)(struct tl_gil *gil, struct tl__gil_thread *me);
	/*
	 * @me holds it and is at a tick that has something to say: gives it away,
	 * if that is due; @any: if anybody waits. Returns whether it did.
	 */
	bool (*yield)(struct tl_gil *gil, struct tl__gil_thread *me, bool any);
	/* Waits until @me has it again after that. */
	void (*back)(struct tl_gil *gil, struct tl__gil_thread *me);
	/*
	 * Or NULL: @me lets go of it in a way that it can undo as long as nobody
	 * has taken it; and whether it could. keep() may refuse. @site: which
	 * call it is that may block.
	 */
	bool (*keep)(struct tl_gil *gil, struct tl__gil_thread *me,
		     const void *site);
	bool (*regain)(struct tl_gil *gil, struct tl__gil_thread *me);
};

extern const struct tl__gil_policy tl__gil_ticks, tl__gil_interval,
	tl__gil_priority, tl__gil_handoff;

struct tl__gil_settings {
	uint64_t ticks, yields, interval_ns, least_ns, starve_ns, slice_ns;
	/* For favour.h: 0, or what its threads ask the kernel for. */
	uint64_t sched;		/* enum tl__gil_sched */
	uint64_t nice;		/* less than 0 by so much */
	uint64_t cpuslice_ns;
	uint64_t pin;		/* 1 + the processor */
};

/* ticks.c */
struct tl__gil_ticks {
	struct tl_wake_sem sem;
};

/* interval.c; under its mutex */
struct tl__gil_interval {
	struct tl_wake_mutex mutex, switch_mutex;
	struct tl_wake_cond freed, switched;
	struct tl__gil_thread *holder, *last;
	uint64_t switches;
	unsigned int waiting;
};

/* priority.c; under its mutex */
struct tl__gil_priority {
	struct tl_wake_mutex mutex;
	struct tl_wake_cond io, cpu;
	struct tl__gil_thread *holder;
	unsigned int io_waiting, cpu_waiting;
	uint64_t switches;
};

struct tl_gil {
	const struct tl__gil_policy *policy;
	const struct tl_wake *wake;
	bool by_futex;			/* and so by what is better, if it is there */
	struct tl__gil_settings settings;
	struct tl__list link;		/* of all locks, for forks */
	struct tl__lock lock;
	struct tl__list threads;
	uint64_t numbers;		/* given to threads so far */
	struct tl_gil_stats gone;	/* of those that are detached */
	union {
		struct tl__gil_ticks ticks;
		struct tl__gil_interval interval;
		struct tl__gil_priority priority;
		struct tl__gil_handoff handoff;
	};
	char name[32];
};

/*
 * Fills in what @spec says, or TL_GIL if that is NULL or empty. 0, or -EINVAL, and
 * in *@error (may be NULL) what is wrong.
 */
int tl__gil_parse(struct tl_gil *gil, const char *spec, struct tl_error **error);

/* The holder is wanted: asks it, at its next tick. It can't leave meanwhile. */
static inline void tl__gil_ask(struct tl__gil_thread *holder)
{
	/* relaxed: a hint; what is wanted is read with the policy's lock held */
	__atomic_fetch_or(holder->tick_word, TL__TICK_GIL, __ATOMIC_RELAXED);
}

/*
 * relaxed, both: for itself the thread reads what it wrote; for the others it is a
 * hint, or they hold the lock with which it was queued.
 */
static inline enum tl_gil_class tl__gil_class(const struct tl__gil_thread *t)
{
	return atomic_load_explicit(&t->class, memory_order_relaxed);
}

static inline void tl__gil_set_class(struct tl__gil_thread *me,
				     enum tl_gil_class class)
{
	atomic_store_explicit(&me->class, class, memory_order_relaxed);
}

/* Statistics: one writer, so a load and a store are enough. relaxed: numbers */
static inline void tl__gil_count(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter,
			      atomic_load_explicit(counter,
						   memory_order_relaxed) + n,
			      memory_order_relaxed);
}

void tl__gil_time(struct tl__gil_times *times, uint64_t ns);

/* For tracers: a policy's yield is about to give it away, before others can see it. */
void tl__gil_yields(const struct tl__gil_thread *me, bool any);

/* Adds what @me came to to what all detached ones did. With the lock. */
void tl__gil_stats_keep(struct tl__gil_thread *me);

#endif
