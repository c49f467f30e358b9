/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the io_uring backend has under way on each descriptor, so that a close
 * can wait for it.
 *
 * Invariants: the operations on a descriptor are linked in a circle (op->link),
 * which OP_LINKED says, and its entry leads there. A close in it waits for the
 * others; it is the one that the entry leads to, and nothing joins any more.
 */
#ifndef TL_IO_URING_FDS_H
#define TL_IO_URING_FDS_H

#include "io/io.h"

struct tl__uring_fd {
	struct tl__io_op *first;	/* NULL: there are none */
	bool seekable;			/* as far as we know */
};

/* All zero bytes: none. */
struct tl__uring_fds {
	struct tl__uring_fd *entry;
	unsigned int count;
};

/*
 * Links @op, if it uses a descriptor. Returns 0, or -errno of what can be said
 * without asking the kernel to do it: -EBADF, -ESPIPE, -ENOMEM.
 */
int tl__uring_fds_link(struct tl__uring_fds *fds, struct tl__io_op *op);

/* Unlinks @op. Returns the close that may begin now, or NULL. */
struct tl__io_op *tl__uring_fds_unlink(struct tl__uring_fds *fds,
				       struct tl__io_op *op);

/*
 * @op closes. Returns 0 if it may do so at once, 1 if it is linked and waits for
 * the others, or -EBADF if somebody else closes already.
 */
int tl__uring_fds_close(struct tl__uring_fds *fds, struct tl__io_op *op);

void tl__uring_fds_free(struct tl__uring_fds *fds);

/* Any operation of @fd's circle, or NULL. */
static inline struct tl__io_op *tl__uring_fds_first(
	const struct tl__uring_fds *fds, int fd)
{
	return fd >= 0 && (unsigned int)fd < fds->count ? fds->entry[fd].first :
							  NULL;
}

/* The next one in the circle of @op, in the end @op again. */
static inline struct tl__io_op *tl__uring_fds_next(const struct tl__io_op *op)
{
	return tl__container_of(op->link.next, struct tl__io_op, link);
}

/* How many are in the circle of @op, which may be NULL. */
size_t tl__uring_fds_count(const struct tl__io_op *op);

#endif
