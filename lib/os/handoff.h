/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The kernel module's device (kmod/), where there is one: a thread sleeps there until
 * one other wakes it, which then runs on the waker's processor, if that is about to
 * sleep itself and both may run there. See <tasklet/uapi/handoff.h>.
 *
 * A thread's seat is where others find it: its slot in the device, and the cookie of
 * the sleep that they are to end. Whoever wakes it copies both while he knows that
 * they are there; after that the seat may be gone, the thread too. A wake-up that
 * comes late does nothing.
 *
 * Without the device no seat can be had, and futexes serve: see os/futex.h.
 */
#ifndef TL_OS_HANDOFF_H
#define TL_OS_HANDOFF_H

#include <stdbool.h>
#include <stdint.h>

struct tl__seat {
	uint64_t slot;		/* 0: none */
	uint64_t cookie;
};

/*
 * A seat of the calling thread's for one sleep, or several as long as it has not been
 * woken from it. Without the device: none. Keeps errno.
 */
struct tl__seat tl__handoff_seat(void);

/*
 * Sleeps until it is woken, 0, or -ETIMEDOUT, or -EINTR, also for no reason. @target,
 * which may be none, is woken first, here, in the same call.
 */
int tl__handoff_wait(struct tl__seat seat, struct tl__seat target,
		     uint64_t deadline_ns);

/*
 * Wakes it: on this processor if the caller mostly sleeps there soon after it has woken
 * somebody, else wherever the scheduler likes.
 */
void tl__handoff_wake(struct tl__seat target);

/* What others are woken by: "module" or "futex"; and why not the first, or "". */
const char *tl__handoff_name(const char **reason);

#endif
