/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the io_uring backend has under way on each descriptor. See uring-fds.h
 * for what holds between calls.
 *
 * A program may close a descriptor behind our back, with close(2), and open
 * another one under its number. Both are in one circle then, which does no
 * harm: operations are cancelled by their own addresses, not by the number.
 */
#include "io/uring-fds.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "io/uring-ops.h"

#define ENTRIES_MIN 32

tl__cold static int grow(struct tl__uring_fds *fds, int fd)
{
	unsigned int n = fds->count ? fds->count : ENTRIES_MIN;
	struct tl__uring_fd *entry;
	int saved = errno;

	/* A number that is just wrong must not cost gigabytes. */
	if (fcntl(fd, F_GETFD) < 0) {
		errno = saved;
		return -EBADF;
	}
	while (n <= (unsigned int)fd)
		n *= 2;
	entry = tl__realloc(fds->entry, n * sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	memset(entry + fds->count, 0, (n - fds->count) * sizeof(*entry));
	fds->entry = entry;
	fds->count = n;
	return 0;
}

/*
 * The kernel would read from a pipe at any offset. One that was seekable under
 * this number before close(2) is not looked at again, and does that.
 */
tl__cold static int look_if_seekable(struct tl__uring_fd *entry, int fd)
{
	int saved = errno;
	int r = 0;

	if (lseek(fd, 0, SEEK_CUR) < 0)
		r = -errno;
	errno = saved;
	entry->seekable = !r;
	return r;
}

int tl__uring_fds_link(struct tl__uring_fds *fds, struct tl__io_op *op)
{
	struct tl__uring_fd *entry;
	int r;

	if (!tl__uring_op_uses_fd(op))
		return 0;
	if (unlikely((unsigned int)op->fd >= fds->count)) {
		r = grow(fds, op->fd);
		if (r)
			return r;
	}
	entry = &fds->entry[op->fd];
	if (tl__uring_op_seeks(op) && unlikely(!entry->seekable)) {
		r = look_if_seekable(entry, op->fd);
		if (r)
			return r;
	}
	if (likely(!entry->first)) {
		tl__list_init(&op->link);
		entry->first = op;
	} else if (unlikely(entry->first->code == TL__IO_CLOSE)) {
		return -EBADF;	/* as good as closed */
	} else {
		tl__list_add_tail(&entry->first->link, &op->link);
	}
	op->state |= OP_LINKED;
	return 0;
}

struct tl__io_op *tl__uring_fds_unlink(struct tl__uring_fds *fds,
				       struct tl__io_op *op)
{
	struct tl__io_op **first = &fds->entry[op->fd].first;
	struct tl__io_op *next = tl__uring_fds_next(op);

	op->state &= ~OP_LINKED;
	if (likely(next == op)) {
		*first = NULL;
		return NULL;
	}
	tl__list_del(&op->link);
	if (*first == op)
		*first = next;
	if ((*first)->code != TL__IO_CLOSE || tl__uring_fds_next(*first) != *first)
		return NULL;
	next = *first;
	next->state &= ~OP_LINKED;
	*first = NULL;
	return next;
}

int tl__uring_fds_close(struct tl__uring_fds *fds, struct tl__io_op *op)
{
	struct tl__uring_fd *entry;

	if (op->fd < 0 || (unsigned int)op->fd >= fds->count)
		return 0;
	entry = &fds->entry[op->fd];
	entry->seekable = false;
	if (likely(!entry->first))
		return 0;
	if (entry->first->code == TL__IO_CLOSE)
		return -EBADF;
	tl__list_add_tail(&entry->first->link, &op->link);
	entry->first = op;
	op->state |= OP_LINKED;
	return 1;
}

size_t tl__uring_fds_count(const struct tl__io_op *op)
{
	const struct tl__io_op *pos;
	size_t n = 1;

	if (!op)
		return 0;
	for (pos = tl__uring_fds_next(op); pos != op;
	     pos = tl__uring_fds_next(pos))
		n++;
	return n;
}

void tl__uring_fds_free(struct tl__uring_fds *fds)
{
	tl__free(fds->entry);
	*fds = (struct tl__uring_fds){ 0 };
}
