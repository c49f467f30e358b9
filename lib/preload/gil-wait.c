/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * How a thread waits for a GIL; see gil-wait.h. Owns the number of threads that
 * spin: fewer than there are processors, so that the one that has the GIL runs.
 */
#include "preload/gil-wait.h"

#include <sched.h>

#include "base/compiler.h"
#include "base/probe.h"
#include "os/clock.h"
#include "os/futex.h"
#include "os/pause.h"
#include "preload/gil.h"

#define LOOKS 32		/* at the word, for one at the clock */
#define CPUS_FOR_NS (100 * UINT64_C(1000000))

static _Atomic int spinners;
static _Atomic int cpus;		/* that we may run on */
static _Atomic uint64_t cpus_until_ns;	/* asked anew then */

void tl__waiter_wake(struct tl__waiter *w, uint32_t word)
{
	/*
	 * release: pairs with spin() and tl__waiter_wait(): what was done before.
	 * A waiter that is gone is woken for nothing, or its memory is gone.
	 */
	if (atomic_exchange_explicit(&w->word, word, memory_order_release) ==
	    TL__SLEEPS) {
		tl__probe_wake(TL_PROBE_WAKE_OTHER, &w->word, 1);
		tl__futex_wake(&w->word, 1);
	}
}

void tl__waiter_in_child(void)
{
	/* relaxed: one thread */
	atomic_store_explicit(&spinners, 0, memory_order_relaxed);
}

/* Threads may be pinned while they run. relaxed: nothing depends on it but time. */
static int cpus_at(uint64_t now)
{
	cpu_set_t set;
	int n;

	if (likely(now < atomic_load_explicit(&cpus_until_ns,
					      memory_order_relaxed)))
		return atomic_load_explicit(&cpus, memory_order_relaxed);
	n = sched_getaffinity(0, sizeof(set), &set) ? 1 : CPU_COUNT(&set);
	atomic_store_explicit(&cpus, n, memory_order_relaxed);
	atomic_store_explicit(&cpus_until_ns, now + CPUS_FOR_NS,
			      memory_order_relaxed);
	return n;
}

static uint32_t look(struct tl__waiter *w)
{
	/* acquire: pairs with tl__waiter_wake(): what was done before */
	return atomic_load_explicit(&w->word, memory_order_acquire);
}

static uint32_t spin(struct tl__waiter *w, uint64_t now, uint64_t until)
{
	uint32_t word = TL__WAITS;
	int i;

	/* relaxed: only the number matters */
	if (atomic_fetch_add_explicit(&spinners, 1, memory_order_relaxed) + 1 <
	    cpus_at(now))
		do {
			for (i = 0; i < LOOKS && word == TL__WAITS; i++) {
				tl__pause();
				word = look(w);
			}
		} while (word == TL__WAITS && tl__now() < until);
	atomic_fetch_sub_explicit(&spinners, 1, memory_order_relaxed);
	return word;
}

uint32_t tl__waiter_wait(struct tl__waiter *w, uint64_t deadline_ns,
			 uint64_t spin_ns)
{
	uint32_t word = look(w);
	uint64_t now;

	if (word == TL__WAITS && spin_ns) {
		now = tl__now();
		word = spin(w, now, now + spin_ns < deadline_ns ?
					    now + spin_ns : deadline_ns);
		if (word != TL__WAITS)
			tl__gil_stat(spun);
	}
	if (word != TL__WAITS)
		return word;
	/* acquire: on failure, as in look() */
	if (!atomic_compare_exchange_strong_explicit(
		    &w->word, &word, TL__SLEEPS, memory_order_acquire,
		    memory_order_acquire))
		return word;
	tl__gil_stat(slept);
	while (look(w) == TL__SLEEPS && tl__now() < deadline_ns)
		tl__futex_wait(&w->word, TL__SLEEPS, deadline_ns);
	word = TL__SLEEPS;
	/* As above. */
	if (atomic_compare_exchange_strong_explicit(
		    &w->word, &word, TL__WAITS, memory_order_acquire,
		    memory_order_acquire))
		return TL__WAITS;
	return word;
}
