/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Operations as io_uring wants them.
 */
#ifndef TL_IO_URING_OPS_H
#define TL_IO_URING_OPS_H

#include <liburing.h>

#include "io/io.h"

/* op->state */
#define OP_LINKED	(1u << 0)	/* in its descriptor's circle */
#define OP_BACKLOG	(1u << 1)	/* in op->queue: waits for an SQE */
#define OP_POLLS	(1u << 2)	/* until it is worth another try */
#define OP_STREAM	(1u << 3)	/* known to send to a stream socket */
#define OP_TRY		(1u << 4)	/* counts tries in the bits from here on */
#define OP_TRIES_MAX	15

/* Notes in op->state what has to be known before @op can begin. */
void tl__uring_op_begin(struct tl__io_op *op);

/*
 * Fills @sqe, all but its user_data, with what @op wants next. @write_flags are
 * RWF_ flags for it if it writes.
 */
void tl__uring_op_prepare(struct io_uring_sqe *sqe, const struct tl__io_op *op,
			  uint32_t write_flags);

/* Whether @op, of which the kernel says @result, needs one more SQE to go on. */
bool tl__uring_op_goes_on(struct tl__io_op *op, int result);

/* What @op's caller is told, when op->result is what the kernel said last. */
int tl__uring_op_outcome(const struct tl__io_op *op);

/* Whether what @op wants next may raise SIGPIPE if it is not told otherwise. */
static inline bool tl__uring_op_is_loud(const struct tl__io_op *op)
{
	return (op->code == TL__IO_WRITE || op->code == TL__IO_WRITEV) &&
	       !(op->state & OP_POLLS);
}

/* Whether it is at an offset, which some descriptors don't have. */
static inline bool tl__uring_op_seeks(const struct tl__io_op *op)
{
	return (op->code == TL__IO_READ || op->code == TL__IO_WRITE) &&
	       op->offset >= 0;
}

/* Whether the kernel looks up op->fd: it is a file that the request uses. */
static inline bool tl__uring_op_uses_fd(const struct tl__io_op *op)
{
	return op->fd >= 0 && op->code != TL__IO_OPENAT &&
	       op->code != TL__IO_STATX;
}

#endif
