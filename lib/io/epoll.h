/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The epoll backend from inside: what a thread's epoll set is made of, and who
 * of its files does what.
 *
 *	epoll.c		the calls and the scheduler come in here
 *	epoll-fd.c	operations that wait for a descriptor
 *	epoll-job.c	operations that the pool has, and closing
 *	epoll-ops.c	one try at each kind of operation
 *	epoll-rw.c	... at those that read and write
 *
 * Invariants:
 *  - An operation that the backend has is in one place, and op->state says in
 *    which: a descriptor's list for one direction, its list of jobs (those of
 *    the pool), the list of results to be told, or a descriptor's `closer`.
 *  - A descriptor for which operations wait is armed for them, or late: then it
 *    is tried when late_at has come.
 *  - e->waiting counts the operations that only epoll or late_at can end.
 */
#ifndef TL_IO_EPOLL_H
#define TL_IO_EPOLL_H

#include <sys/epoll.h>

#include "io/io.h"

#define TL__EPOLL_EVENTS 64

/* op->state. The first three are directions in which to wait, too. */
enum tl__epoll_place {
	TL__EPOLL_IN,
	TL__EPOLL_OUT,
	TL__EPOLL_POLL,
	TL__EPOLL_DIRECTIONS,
	TL__EPOLL_JOB = TL__EPOLL_DIRECTIONS,
	TL__EPOLL_TOLD,
	TL__EPOLL_CLOSING,
};

struct tl__epoll_fd {
	struct tl__list waiting[TL__EPOLL_DIRECTIONS];
	struct tl__list jobs;
	struct tl__io_op *closer;	/* waits until there are no jobs */
	struct tl__list late;		/* in tl__epoll.late, or empty */
	int fd;
	bool known;			/* the set has, or had it */
	uint8_t vain;			/* events in a row for nothing */
};

struct tl__epoll {
	struct tl__io io;		/* first */
	int set;
	int bell;
	unsigned int waiting;
	unsigned int at_once;		/* done since the last poll */
	uint64_t look_at;		/* when to look at the set next */
	bool waited;			/* has just done so */
	struct tl__list told;		/* operations that have a result */
	struct tl__list late;		/* descriptors */
	uint64_t late_at;
	struct tl__epoll_fd **chunks;
	unsigned int nchunks;
	struct epoll_event events[TL__EPOLL_EVENTS];
};

static inline struct tl__epoll *tl__epoll_of(struct tl__io *io)
{
	return (struct tl__epoll *)(void *)io;
}

static inline struct tl__io_op *tl__epoll_linked(struct tl__list *link)
{
	return tl__container_of(link, struct tl__io_op, link);
}

/* A part that was done already stands, whatever came of the rest. */
static inline int tl__epoll_outcome(const struct tl__io_op *op, int result)
{
	return op->result > 0 ? op->result : result;
}

/* --- epoll-fd.c --- */

/* Where @fd's state is, or NULL. */
struct tl__epoll_fd *tl__epoll_find(const struct tl__epoll *e, int fd);

/* The same, made if need be. 0, -ENOMEM, or -EBADF. */
int tl__epoll_get(struct tl__epoll *e, int fd, struct tl__epoll_fd **out);

/* Ends what waits for any, and frees the memory of all of them. */
void tl__epoll_fds_free(struct tl__epoll *e);

/* @op, which waits for a descriptor, does so no more. */
void tl__epoll_stop_waiting(struct tl__epoll *e, struct tl__io_op *op);

/* Ends all that wait for @d. */
void tl__epoll_give_up_all(struct tl__epoll *e, struct tl__epoll_fd *d,
			   int result);

/*
 * @op was tried, and @tried is what came of it. Returns as submit() does: 1
 * with a result, 0 if it goes on, or -errno if it can't.
 */
int tl__epoll_go_on(struct tl__epoll *e, struct tl__io_op *op, int tried);

/* What the last look at the set brought: @n events, or none if negative. */
void tl__epoll_on_events(struct tl__epoll *e, int n);

/* The direction that a try's result names. */
enum tl__epoll_place tl__epoll_direction_of(int tried);

/* --- epoll-job.c --- */

/* Has the pool do @op. Returns 0 or -errno. */
int tl__epoll_job_start(struct tl__epoll *e, struct tl__io_op *op);

/* Whether the pool had not begun it; then it is over. */
bool tl__epoll_job_take_back(struct tl__io_op *op);

/* submit() for TL__IO_CLOSE. */
int tl__epoll_submit_close(struct tl__epoll *e, struct tl__io_op *op);

#endif
