/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Barriers: a number of parties wait until all of them are there.
 *
 * The last to arrive runs the action, if there is one, and then all go on; the
 * barrier is ready for the next round. As in Python's Barrier, a wait that times
 * out breaks it, for the others could never be complete. A wait that is killed
 * doesn't: it takes its arrival back, as if it had not happened.
 *
 * The action runs without any lock, and may switch and block. Who has arrived
 * is committed by then: neither deadline nor kill ends its wait before the
 * action does, and who arrives meanwhile waits for the next round. If the action
 * returns a negative value the barrier breaks: that is the result of the wait
 * that ran it, the others get -EPIPE.
 *
 * Who uses it, its memory, contexts and errors: as tasklet/mutex.h has it. Also
 *
 *	-EPIPE		the barrier is broken, or was broken, aborted or reset
 *			while the caller waited
 *
 * Memory ordering: what each party has done before its wait, and what the action
 * did, is visible to all of them after theirs.
 */
#ifndef TASKLET_BARRIER_H
#define TASKLET_BARRIER_H

#include <tasklet/base.h>

TL_BEGIN_DECLS

struct tl__waiter;

struct tl_barrier {
	uint32_t tl__lock;
	uint32_t tl__state;
	uint32_t tl__parties;
	uint32_t tl__count;
	uint64_t tl__round;
	int (*tl__action)(void *arg);
	void *tl__arg;
	struct tl__waiter *tl__queue, *tl__outside;
};

/* For a number of parties that is not 0. */
#define TL_BARRIER_INIT(parties) { 0, 0, (parties), 0, 0, 0, 0, 0, 0 }

/*
 * tl_barrier_init - a barrier with an action, which may be NULL
 *
 * Returns 0, or -EINVAL: @parties is 0 or more than INT32_MAX.
 */
TL_API int tl_barrier_init(struct tl_barrier *barrier, uint32_t parties,
			   int (*action)(void *arg), void *arg);

/*
 * tl_barrier_wait - arrive, and wait for the others
 *
 * Returns in which order the caller arrived: 0 is the first and parties - 1 the
 * last, who ran the action. Or see above, or the action's result.
 */
TL_API int tl_barrier_wait(struct tl_barrier *barrier);
TL_API int tl_barrier_wait_until(struct tl_barrier *barrier,
				 uint64_t deadline_ns);

/*
 * tl_barrier_try_wait - arrive, if the caller is the last
 *
 * Returns parties - 1 after the action; -EAGAIN, without having arrived: others
 * are still to come, or an action runs; -EPIPE: it is broken; or the action's
 * result. Blocks or switches only in the action. Works while a tasklet is killed.
 */
TL_API int tl_barrier_try_wait(struct tl_barrier *barrier);

/*
 * tl_barrier_reset - begin anew: those that wait get -EPIPE, it is not broken
 * tl_barrier_abort - break it: those that wait, or come, get -EPIPE
 *
 * Never block or switch. While an action runs, so does it to its end; the wait
 * that runs it then gets -EPIPE as well.
 */
TL_API void tl_barrier_reset(struct tl_barrier *barrier);
TL_API void tl_barrier_abort(struct tl_barrier *barrier);

TL_API uint32_t tl_barrier_parties(const struct tl_barrier *barrier);

/* How many have arrived and wait for the others; 0 while the action runs. */
TL_API uint32_t tl_barrier_waiting(struct tl_barrier *barrier);
TL_API bool tl_barrier_is_broken(struct tl_barrier *barrier);

TL_END_DECLS

#endif
