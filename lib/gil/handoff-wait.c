/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * One thread waits for one other to say that the lock is its. It spins for a
 * little where that may help, and sleeps on a semaphore of its own, which gets a
 * token only if it sleeps:
 *
 *	state	set by			meaning
 *	AWAKE	the waiter		it looks at the state
 *	ASLEEP	the waiter		it wants a token
 *	GRANTED	who wakes it		it has the lock; if it was ASLEEP, a token
 *					comes, which it must take
 *
 * Where the kernel module is there (os/handoff.h), it sleeps in its seat instead, and
 * there is no token: a wake-up that comes late is told by its cookie. Who gives
 * the lock away and waits for it then leaves the wake-up to its own sleep, which does
 * both in one call: the next holder comes to this processor.
 *
 * A spin in vain halves the time of the next one; when that is down to nothing,
 * it is tried again after twice as many waits as the last time. One in time sets
 * all that back.
 */
#include "gil/handoff-wait.h"

#include <stdint.h>
#include <time.h>

#include "base/compiler.h"
#include "os/clock.h"
#include "os/pause.h"

enum { AWAKE, ASLEEP, GRANTED };

/* What a wake-up across processors takes, more or less. */
#define SPIN_MAX_NS 30000u
#define SPIN_MIN_NS 3000u
#define AGAIN_MAX 256u
#define LOOKS_A_CLOCK 16

void tl__gil_waiter_begin(struct tl__gil_waiter *waiter, struct tl__seat seat)
{
	waiter->seat = seat;
	/* relaxed: who wakes it finds it by the lock */
	atomic_store_explicit(&waiter->state, AWAKE, memory_order_relaxed);
}

static bool is_granted(const struct tl__gil_waiter *waiter)
{
	/* acquire: pairs with tl__gil_waiter_wake(): what the holder did */
	return atomic_load_explicit(&waiter->state, memory_order_acquire) ==
	       GRANTED;
}

static void spun_in_vain(struct tl__gil_waiter *waiter)
{
	waiter->spin_ns /= 2;
	if (waiter->spin_ns >= SPIN_MIN_NS)
		return;
	waiter->spin_ns = 0;
	if (waiter->spin_failures < AGAIN_MAX)
		waiter->spin_failures = 2 * waiter->spin_failures + 1;
	waiter->spin_again = waiter->spin_failures;
}

static bool may_spin(struct tl__gil_waiter *waiter)
{
	if (waiter->spin_ns)
		return true;
	if (waiter->spin_again) {
		waiter->spin_again--;
		return false;
	}
	waiter->spin_ns = SPIN_MAX_NS;
	return true;
}

static bool spin_for_it(struct tl__gil_waiter *waiter)
{
	uint64_t end = tl__now() + waiter->spin_ns;
	int i;

	do {
		for (i = 0; i < LOOKS_A_CLOCK; i++) {
			if (is_granted(waiter)) {
				waiter->spin_ns = SPIN_MAX_NS;
				waiter->spin_failures = 0;
				return true;
			}
			tl__pause();
		}
	} while (tl__now() < end);
	spun_in_vain(waiter);
	return false;
}

/* From @state to @to, unless it is granted. */
static bool change(struct tl__gil_waiter *waiter, uint32_t state, uint32_t to)
{
	/* acquire: as in is_granted(), for the other outcome; success publishes
	 * nothing */
	return atomic_compare_exchange_strong_explicit(
		&waiter->state, &state, to, memory_order_acquire,
		memory_order_acquire);
}

static void wake_partner(struct tl__gil_waiter *waiter)
{
	struct tl__seat partner = waiter->partner;

	waiter->partner.slot = 0;
	if (unlikely(partner.slot))
		tl__handoff_wake(partner);
}

/* Until it is woken, which it has said that it wants: 0, or an error. */
static int sleep_for_it(const struct tl_wake *wake,
			struct tl__gil_waiter *waiter)
{
	struct tl__seat partner = waiter->partner;

	if (likely(!waiter->seat.slot))
		return wake->sem_wait(&waiter->wakes, CLOCK_MONOTONIC,
				      waiter->next_ns);
	waiter->partner.slot = 0;
	return tl__handoff_wait(waiter->seat, partner, waiter->next_ns);
}

bool tl__gil_waiter_wait(struct tl__gil_handoff *handoff,
			 const struct tl_wake *wake,
			 struct tl__gil_waiter *waiter)
{
	bool granted = false;

	/* Its partner comes to this processor, if it does not spin there. */
	if (waiter->spins && !waiter->partner.slot && may_spin(waiter)) {
		atomic_fetch_add_explicit(&handoff->spinning, 1,
					  memory_order_relaxed);
		granted = spin_for_it(waiter);
		atomic_fetch_sub_explicit(&handoff->spinning, 1,
					  memory_order_relaxed);
	}
	if (granted)
		return true;
	if (!change(waiter, AWAKE, ASLEEP)) {
		wake_partner(waiter);
		return true;
	}
	/* That it has the lock is what the state says, and not a system call. */
	if (!sleep_for_it(wake, waiter) &&
	    (!waiter->seat.slot || is_granted(waiter)))
		return true;
	if (change(waiter, ASLEEP, AWAKE))
		return false;
	if (!waiter->seat.slot)
		(void)wake->sem_wait(&waiter->wakes, CLOCK_MONOTONIC, TL_FOREVER);
	return true;
}

/* Says that it has the lock. Returns whether it sleeps: then it is to be woken. */
static bool grant(struct tl__gil_waiter *waiter)
{
	/* acq_rel: release pairs with is_granted() and change(): what the holder
	 * did; acquire: whether it sleeps */
	return atomic_exchange_explicit(&waiter->state, GRANTED,
					memory_order_acq_rel) == ASLEEP;
}

void tl__gil_waiter_wake(const struct tl_wake *wake,
			 struct tl__gil_waiter *waiter)
{
	/* Of this wait: it was there before the lock's lock told us of it. */
	struct tl__seat seat = waiter->seat;

	if (!grant(waiter))
		return;
	if (seat.slot)
		tl__handoff_wake(seat);
	else	/* it can't be gone: it takes the token first */
		(void)wake->sem_post(&waiter->wakes);
}

void tl__gil_waiter_pass(const struct tl_wake *wake, struct tl__gil_waiter *me,
			 struct tl__gil_waiter *waiter)
{
	struct tl__seat seat = waiter->seat;

	if (!seat.slot || !me->seat.slot)
		tl__gil_waiter_wake(wake, waiter);
	else if (grant(waiter))
		me->partner = seat;
}
