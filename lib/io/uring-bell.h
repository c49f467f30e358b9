/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * How a thread that sleeps in io_uring_enter() is woken by another one.
 *
 * A thread with a ring of its own sends the sleeper's ring a message, which is
 * the cheapest; any thread can ring the bell, something that the sleeper's ring
 * waits for all the time: a futex word, or an eventfd where the kernel's
 * io_uring knows no futexes.
 *
 * The futex has the *shared* key on both ends, although all are in one process:
 * a private one that is armed while the process has a single thread loses its
 * wake-up when the kernel moves the process's futexes to a table of their own,
 * with its second thread (seen in 6.16 to 6.18).
 */
#ifndef TL_IO_URING_BELL_H
#define TL_IO_URING_BELL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "os/uring.h"

struct tl__bell {
	bool futex;		/* else an eventfd */
	bool armed;		/* the ring waits for it, or has just heard it */
	int fd;			/* -1: none */
	uint64_t count;		/* of the eventfd; the kernel writes here */
	/*
	 * 1: rung since it was heard. Set by whoever rings, cleared by the
	 * sleeper when it hears it and never when it arms: it may have had no
	 * room to do so before it said that it sleeps. A wait that is armed too
	 * late ends at once.
	 */
	_Atomic uint32_t word;
};

/* Returns 0 or -errno. */
int tl__bell_open(struct tl__bell *bell, const struct tl__uring *ring);
void tl__bell_close(struct tl__bell *bell);

/* Has @ring wait for it, with @user_data. False: no room. The ring's thread. */
bool tl__bell_arm(struct tl__bell *bell, struct tl__uring *ring,
		  uint64_t user_data);

/* The ring's wait for it is over. After this the thread does not go on to sleep. */
void tl__bell_heard(struct tl__bell *bell);

/* Any thread. */
void tl__bell_ring(struct tl__bell *bell);

/*
 * Sends a completion with @user_data from @from, the calling thread's ring, to
 * @to. False: it did not get there, or perhaps; ring the bell. A completion with
 * @failed, of no meaning, may come to @from.
 */
bool tl__bell_message(struct tl__uring *from, const struct tl__uring *to,
		      uint64_t user_data, uint64_t failed);

/* For tests: as if the ring knew no futexes; nor messages. */
extern bool tl__bell_test_no_futex, tl__bell_test_no_message;

#endif
