/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Whether to spin before a sleep, and for how long.
 *
 * A sleep and a wake-up across processors cost tens of microseconds, which is
 * what a partner on another processor often takes to answer: then it is worth to
 * look for its message for that long, and the partner is spared the system call.
 * It never is on the same processor, for it can't run while we spin, nor where
 * answers take longer.
 *
 * So: a thread begins without. When a wake-up came from another processor and
 * not long after the thread fell asleep, it spins from then on. A spin in vain
 * halves the time; when it is down to nothing, the next attempt must wait for
 * twice as many sleeps as the last one. A spin in time sets all that back. A
 * machine with one processor never spins.
 */
#include <pthread.h>
#include <sched.h>

#include "core/task.h"
#include "os/clock.h"
#include "os/pause.h"
#include "os/processors.h"

#define SPIN_MAX_NS	40000u
#define SPIN_MIN_NS	5000u
/* A sleep not longer than this might have been a spin. */
#define SLEEP_SHORT_NS	120000u
#define AGAIN_MAX	1024u
#define LOOKS_A_CLOCK	16	/* looks at the inbox for one at the clock */

static void failed(struct tl__inbox *inbox)
{
	inbox->spin_ns /= 2;
	if (inbox->spin_ns >= SPIN_MIN_NS)
		return;
	inbox->spin_ns = 0;
	if (inbox->spin_failures < AGAIN_MAX)
		inbox->spin_failures = 2 * inbox->spin_failures + 1;
	inbox->spin_again = inbox->spin_failures;
}

bool tl__inbox_spin(struct tl_sched *s, uint64_t deadline_ns)
{
	struct tl__inbox *inbox = &s->inbox;
	uint64_t end;
	int i;

	/* While the kernel may complete something, it had better be asked. */
	if (!inbox->spin_ns || s->io_pending)
		return false;
	end = tl__now() + inbox->spin_ns;
	if (end > deadline_ns)
		end = deadline_ns;
	do {
		for (i = 0; i < LOOKS_A_CLOCK; i++) {
			if (tl__inbox_has_mail(inbox)) {
				inbox->spin_ns = SPIN_MAX_NS;
				inbox->spin_failures = 0;
				return true;
			}
			tl__pause();
		}
	} while (tl__now() < end);
	failed(inbox);
	return false;
}

void tl__inbox_slept(struct tl_sched *s, uint64_t began_ns)
{
	struct tl__inbox *inbox = &s->inbox;
	int cpu;

	if (inbox->spin_ns || !tl__several_processors())
		return;
	if (inbox->spin_again) {
		inbox->spin_again--;
		return;
	}
	/* relaxed: a hint; -1: not woken by another thread */
	cpu = atomic_exchange_explicit(&inbox->waker_cpu, -1,
				       memory_order_relaxed);
	if (cpu >= 0 && cpu != sched_getcpu() &&
	    tl__now() - began_ns < SLEEP_SHORT_NS)
		inbox->spin_ns = SPIN_MAX_NS;
}
