/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The process's one thread that looks at the clock, so that nobody who computes
 * has to: alarms that go off at a deadline. It is started by the first alarm, ends
 * after a while without any, takes no signal, and survives a fork by starting
 * anew.
 *
 * Invariants: an alarm is in the list if and only if `armed`; what an alarm does
 * happens on the monitor's thread without its lock, and is over when
 * tl__monitor_disarm() returns. Nothing is called while the monitor's lock is
 * held; nobody arms or disarms while he holds the lock of threads.c, which a fork
 * takes after this one.
 */
#ifndef TL_CORE_MONITOR_H
#define TL_CORE_MONITOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct tl__alarm {
	/* Set by the owner, before it is first armed. */
	/*
	 * Goes off: runs on the monitor's thread. It may take other locks (but
	 * none that somebody holds while he disarms this alarm), and arm or
	 * disarm any alarm, this one too. Returns when to go off again, or
	 * TL_FOREVER: the alarm is not armed any more. What it does first must
	 * be safe in the child of a fork, see below.
	 */
	uint64_t (*go_off)(struct tl__alarm *alarm);
	/*
	 * Whose it is: tl__monitor_here() of a thread, or NULL for one that is
	 * nobody's. In the child of a fork no alarm is armed any more; those of
	 * the thread that forked go off at that moment, once, on that thread,
	 * and what they return is ignored.
	 */
	const void *thread;

	/* The monitor's. */
	struct tl__list link;
	uint64_t deadline_ns;
	bool armed;
};

/* What only the calling thread has an address of. */
const void *tl__monitor_here(void);

/*
 * Arms @alarm, or moves it if it is armed. TL_FOREVER disarms it, as
 * tl__monitor_disarm() does. Returns 0, or -ENOMEM or -EAGAIN if the monitor's
 * thread can't be started: then it is not armed. Takes a lock for some
 * instructions; the first call starts a thread and waits for it.
 */
int tl__monitor_arm(struct tl__alarm *alarm, uint64_t deadline_ns);

/*
 * When it returns the alarm does not go off any more, and if it was just doing
 * that it is done (except when called by go_off() itself). Not armed: no effect.
 */
void tl__monitor_disarm(struct tl__alarm *alarm);

/*
 * Whether @tid is the monitor's own thread, which never makes anything runnable
 * by itself. Any thread; takes no lock. True for a second after its end.
 */
bool tl__monitor_owns_tid(int tid);

#endif
