/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * One try at an operation that does not block the thread, and the system call
 * that may, for a thread of the pool.
 */
#ifndef TL_IO_EPOLL_OPS_H
#define TL_IO_EPOLL_OPS_H

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/uio.h>

#include "io/io.h"

/* What a try comes to that is no result: why the operation is not done. */
enum tl__epoll_try {
	TL__TRY_IN = INT_MIN,	/* when the descriptor is readable */
	TL__TRY_OUT,		/* ... writable */
	TL__TRY_POLL,		/* ... ready for one of op->flags */
	TL__TRY_POOL,		/* it would block, ready or not */
	TL__TRY_MAX = TL__TRY_POOL,
};

/* op->due: what earlier tries found out. */
#define TL__TRIED_READY	(1u << 0)  /* epoll has said that it is ready */
#define TL__TRIED_BEGUN	(1u << 1)  /* connect: it is under way */
/* Waits for something else than those before it on the descriptor do. */
#define TL__TRIED_APART	(1u << 2)

static inline bool tl__epoll_is_result(int r)
{
	return r > (int)TL__TRY_MAX;
}

/*
 * Tries @op. What is done of it already, and stays done if the rest fails, is
 * counted in op->result. Sets errno.
 */
int tl__epoll_try(struct tl__io_op *op);

/* The operations to wait behind: TL__TRY_IN, _OUT, _POLL; else _POOL. */
int tl__epoll_direction(const struct tl__io_op *op);

/* Whether it is to be tried even behind others that wait. */
bool tl__epoll_never_waits(const struct tl__io_op *op);

/* Whether it reads at the position of a file, which the kernel locks. */
bool tl__epoll_shares_position(const struct tl__io_op *op);

/*
 * Does @op for good, on a thread of the pool. Returns what was done by this or
 * -errno.
 */
int tl__epoll_block(const struct tl__io_op *op);

/* Whether close(2) may have to wait: for a disk, for a lingering socket. */
bool tl__epoll_close_blocks(int fd);

/* --- between epoll-ops.c and epoll-rw.c --- */

static inline int tl__result_of(ssize_t r)
{
	return r < 0 ? -errno : (int)r;
}

static inline bool tl__would_block(int r)
{
	return r == -EAGAIN || r == -EWOULDBLOCK;
}

static inline bool tl__is_ready(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, 0) > 0;
}

/* The memory of a transfer as an array, whichever call it came by. */
struct tl__memory {
	const struct iovec *iov;
	int count;
	struct iovec one;
};

/* These two only once the kernel has found the array to be there. */
size_t tl__memory_size(const struct tl__memory *m);

/* The first piece of memory after @skip bytes that is not empty. */
struct iovec tl__memory_piece(const struct tl__memory *m, size_t skip);

int tl__epoll_try_read(struct tl__io_op *op);
int tl__epoll_try_write(struct tl__io_op *op);

/* Reads or writes for good, less what op->result says is done. */
int tl__epoll_block_transfer(const struct tl__io_op *op);

#endif
