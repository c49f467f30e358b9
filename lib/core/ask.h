/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Questions to other threads: what a thread's tasklets are doing.
 *
 * There is one place for a question in the process, and a lock for those who
 * want to use it. The thread that is asked answers in one of two ways, whichever
 * comes first: through its inbox, when it looks there, with all that is to be
 * said; or, interrupted by a signal, with what a handler can find out, which is
 * the tasklet that runs and its backtrace.
 *
 * Locks: that of the question is taken before the list of threads; who holds it
 * waits for the thread that is asked, though not for long. Whoever waits for it
 * on a thread with tasklets answers meanwhile (tl__ask_lock()). The order between
 * it and the report's lock (report.h) is: this one first.
 */
#ifndef TL_CORE_ASK_H
#define TL_CORE_ASK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/backtrace.h"
#include "core/inbox.h"

struct tl_sched;

/* What each scheduler has for it. */
struct tl__ask {
	/*
	 * Sampled by other threads (stall.c): grows whenever the thread looks
	 * outside; odd while it sleeps because nothing can run. Together with
	 * round_left, which counts down in between, it is another one after each
	 * switch. relaxed: samples, that nothing else hangs on.
	 */
	_Atomic uint64_t progress;
	struct tl__message message;
	_Atomic bool queued;		/* the message is in the inbox */
	_Atomic bool signalled;		/* a signal is under way */
	/* The stall detector's, under the lock of threads.c. */
	uint64_t seen_progress, since_ns, report_at_ns;
	int seen_left;
	unsigned int reports;
};

/* A scheduler that may have ended meanwhile. */
struct tl__asked {
	struct tl_sched *sched;
	uint64_t main_id;	/* the number of its main tasklet */
	int tid;
};

struct tl__answer {
	bool by_signal;
	/* By signal, and when the thread's counters are of interest: */
	uint64_t progress;
	int round_left;
	bool running;		/* somebody was the head */
	uint64_t alive;
	unsigned int runnable, paused;
	uint64_t id;		/* of the tasklet that ran; 0: none */
	char name[64];
	struct tl__backtrace trace;
};

/* The first one answers questions to the calling thread while it waits. */
void tl__ask_lock(void);
bool tl__ask_trylock(void);
void tl__ask_unlock(void);

struct tl__asked tl__ask_identity(struct tl_sched *s);

/*
 * The full answer; runs on the thread that is asked. Frames below @below are those
 * by which it was called.
 */
typedef void tl__ask_fn(struct tl_sched *s, void *arg, const void *below);

/*
 * Has @asked's thread call @full when it looks into its inbox; where it does not
 * for a while, interrupts it. Without @full interrupts it at once. NULL: no
 * answer. What is returned stays until the lock is given back. With the lock.
 */
const struct tl__answer *tl__ask(const struct tl__asked *asked,
				 tl__ask_fn *full, void *arg);

/*
 * Which signal interrupts; 0 for none. Claims the default one if it has to. With
 * the lock.
 */
int tl__ask_signal(void);
int tl__ask_set_signal(int sig);

/* The thread is about to sleep, and awake again. */
static inline void tl__ask_progress(struct tl__ask *ask, uint64_t by)
{
	/* relaxed: see above; this thread alone writes */
	atomic_store_explicit(&ask->progress,
			      atomic_load_explicit(&ask->progress,
						   memory_order_relaxed) + by,
			      memory_order_relaxed);
}

#endif
