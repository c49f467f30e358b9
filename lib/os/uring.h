/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * One io_uring: made as good as the kernel and the limits allow, entered,
 * closed. What differs between kernels is settled here, when the ring is made;
 * the floors above only see a queue to fill and a queue to reap.
 *
 * Invariants: the thread that made a ring is the only one to touch it, and a
 * child of fork() never does. An SQE that tl__uring_sqe() gave out is filled
 * before anything else is called on the ring.
 */
#ifndef TL_OS_URING_H
#define TL_OS_URING_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

struct tl__uring {
	struct io_uring ring;
	uint32_t setup_flags;	/* IORING_SETUP_ that the kernel took */
	uint32_t enter_flags;	/* IORING_ENTER_ of each enter */
	uint32_t wait_flags;	/* ... of those that wait */
	bool multishot_accept;
	bool futex_wait;	/* IORING_OP_FUTEX_WAIT */
	bool msg_ring;		/* to rings of any set-up; and silent success */
	uint32_t write_flags;	/* RWF_ of each write: never SIGPIPE */
	/*
	 * How many writes are under way of which that can't be said. Each enter
	 * then keeps the signal away.
	 */
	unsigned int loud_writes;
};

/*
 * Makes a ring and proves that it works. Returns 0, or -errno and in @why, in
 * words, what this machine denies; such a string is constant.
 */
int tl__uring_open(struct tl__uring *u, const char **why);

/* Nothing is under way any more. */
void tl__uring_close(struct tl__uring *u);

/* In the child of a fork, which has a copy of the descriptor and no mapping. */
void tl__uring_close_forked(struct tl__uring *u);

/*
 * Hands over what is filled. @events also makes the kernel run the work that it
 * has put off and bring the completions that had no room. Returns 0 or -errno;
 * what was not taken is still there to be handed over.
 */
int tl__uring_submit(struct tl__uring *u, bool events);

/*
 * Hands over what is filled, unless !@submit, and sleeps until there is a
 * completion to reap or @deadline_ns has passed (which is no error), or for a
 * shorter time. Returns 0 or -errno.
 */
int tl__uring_wait(struct tl__uring *u, bool submit, uint64_t deadline_ns);

/* A free SQE, to be filled; NULL: the queue is full. */
static inline struct io_uring_sqe *tl__uring_sqe(struct tl__uring *u)
{
	return io_uring_get_sqe(&u->ring);
}

/* How many SQEs the kernel has not taken. */
static inline unsigned int tl__uring_pending(const struct tl__uring *u)
{
	const struct io_uring_sq *sq = &u->ring.sq;

	/* relaxed: the kernel moves the head in our own enter only */
	return sq->sqe_tail - __atomic_load_n(sq->khead, __ATOMIC_RELAXED);
}

/* Fills @sqe: waits while *@word == @value, with the key that all may use. */
void tl__uring_prep_futex_wait(struct io_uring_sqe *sqe,
			       const _Atomic uint32_t *word, uint32_t value);

/*
 * Whether a completion with @user_data waits to be reaped; or may: some had no
 * room.
 */
bool tl__uring_has_cqe(const struct tl__uring *u, uint64_t user_data);

/* Whether completions wait in the kernel for an enter that asks for them. */
static inline bool tl__uring_flagged(const struct tl__uring *u)
{
	/*
	 * relaxed: a hint that is looked at again and again; what it promises
	 * is fetched by a system call
	 */
	return __atomic_load_n(u->ring.sq.kflags, __ATOMIC_RELAXED) &
	       (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
}

/*
 * For tests: how many entries to begin with (the completion queue is as small
 * then), set-up flags to do as if the kernel refused, and whether to do without
 * what the flags don't tell of and older kernels lack. Zero: nothing of that.
 */
extern unsigned int tl__uring_test_entries;
extern uint32_t tl__uring_test_refused;
extern bool tl__uring_test_old;

#endif
