/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The schedulers of the process.
 *
 * Owns the list of all of them. Invariant: a scheduler is in the list from its
 * creation to its end, and whoever holds the list's lock finds it there alive.
 * The lock is taken before any inbox is written to and never waits for a thread
 * that runs users' code.
 */
#ifndef TL_CORE_THREADS_H
#define TL_CORE_THREADS_H

#include "core/task.h"

/* How soon to look again whether unknown threads are there; then later. */
#define TL__RECHECK_MIN_NS	(10 * UINT64_C(1000000))

void tl__threads_lock(void);
void tl__threads_unlock(void);

void tl__threads_add(struct tl_sched *s);
/* Makes what was local to @s shared first. */
void tl__threads_remove(struct tl_sched *s);

/*
 * The calling thread, whose inbox says that it is asleep, is about to sleep with
 * nothing under way that could wake it but what other threads may do. Returns
 * false if no thread can: then every other thread that sleeps so is told
 * (s->deadlock), and the caller has to go on. May lower *deadline_ns, if it had
 * better look again then. True: tl__threads_awake() follows the sleep.
 */
bool tl__threads_doze(struct tl_sched *s, uint64_t *deadline_ns);
void tl__threads_awake(struct tl_sched *s);

/* Whether there is no other thread that could wake one of @s's tasklets. */
bool tl__threads_alone(struct tl_sched *s);

/*
 * Calls @fn for each scheduler, with the lock held, until it says stop (false).
 * It may push to inboxes, and must not call anything that takes the lock.
 */
void tl__threads_each(bool (*fn)(struct tl_sched *s, void *arg), void *arg);

/*
 * Makes sure of the parts in a fork. Whoever has a handler of his own that sends to
 * a scheduler calls it first: in the child the inboxes begin anew.
 */
void tl__threads_watch_forks(void);

/* The parts in a fork: the lock is held from one to the other. */
void tl__threads_before_fork(void);
void tl__threads_after_fork_in_parent(void);
/* Only the calling thread's scheduler is left. */
void tl__threads_after_fork_in_child(void);

#endif
