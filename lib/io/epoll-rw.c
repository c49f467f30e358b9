/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * How reads and writes are tried without blocking the thread.
 *
 * The kernel is told per call (RWF_NOWAIT). What does not know that flag, as
 * terminals and, on kernels before 6.5, pipes, is used when it is ready and
 * then no further than it can't block; should another thread or process be
 * faster, we block until there is more. Files on disks are read from the page
 * cache, and go to the pool for the rest.
 *
 * Invariant: what a try has done is in its result or in op->result; one that
 * could not be completed has moved nothing else.
 */
#include "io/epoll-ops.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef RWF_NOWAIT
#define RWF_NOWAIT 0x00000008
#endif
#ifndef RWF_NOSIGNAL
#define RWF_NOSIGNAL 0x00000100		/* Linux 6.18 */
#endif

/* The kernel, the file or an emulator does not know the flags. */
static bool unsupported(int r)
{
	return r == -EOPNOTSUPP || r == -ENOSYS;
}

/* Whether a plain call never waits: O_NONBLOCK, or not open for it at all. */
static bool never_waits(int fd, int wrong_mode)
{
	int status = fcntl(fd, F_GETFL);

	return status < 0 || (status & (O_NONBLOCK | O_PATH)) ||
	       (status & O_ACCMODE) == wrong_mode;
}

static void memory_of(struct tl__memory *m, const struct tl__io_op *op)
{
	if (op->code == TL__IO_READV || op->code == TL__IO_WRITEV) {
		m->iov = op->buf;
		m->count = (int)op->size;
	} else {
		m->one.iov_base = op->buf;
		m->one.iov_len = op->size;
		m->iov = &m->one;
		m->count = 1;
	}
}

size_t tl__memory_size(const struct tl__memory *m)
{
	size_t size = 0;
	int i;

	for (i = 0; i < m->count; i++)
		size += m->iov[i].iov_len;
	return size;
}

struct iovec tl__memory_piece(const struct tl__memory *m, size_t skip)
{
	struct iovec piece = { 0 };
	int i;

	for (i = 0; i < m->count; i++) {
		if (skip < m->iov[i].iov_len) {
			piece.iov_base = (char *)m->iov[i].iov_base + skip;
			piece.iov_len = m->iov[i].iov_len - skip;
			break;
		}
		skip -= m->iov[i].iov_len;
	}
	return piece;
}

static int read_plain(const struct tl__io_op *op, const struct tl__memory *m)
{
	if (op->offset >= 0)
		return tl__result_of(preadv(op->fd, m->iov, m->count,
					    op->offset));
	return tl__result_of(readv(op->fd, m->iov, m->count));
}

static int write_plain(const struct tl__io_op *op, const struct tl__memory *m)
{
	if (op->offset >= 0)
		return tl__result_of(pwritev(op->fd, m->iov, m->count,
					     op->offset));
	return tl__result_of(writev(op->fd, m->iov, m->count));
}

/* What a file's type says about reading and writing it. */
static bool is_disk(mode_t mode)
{
	return S_ISREG(mode) || S_ISBLK(mode) || S_ISDIR(mode);
}

/* A socket, on a kernel that has no better way. */
static int socket_transfer(const struct tl__io_op *op,
			   const struct tl__memory *m, bool out)
{
	struct msghdr msg = {
		.msg_iov = (struct iovec *)m->iov,
		.msg_iovlen = (size_t)m->count,
	};
	int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
	int r;

	if (op->offset >= 0)
		return -ESPIPE;
	if (m->count > IOV_MAX)
		return -EINVAL;	/* these calls would say -EMSGSIZE */
	r = tl__result_of(out ? sendmsg(op->fd, &msg, flags) :
				recvmsg(op->fd, &msg, flags));
	if (tl__would_block(r))
		return out ? TL__TRY_OUT : TL__TRY_IN;
	return r;
}

/* The descriptor knows no RWF_NOWAIT. */
static int try_read_when_ready(struct tl__io_op *op, const struct tl__memory *m)
{
	struct stat st;
	int r;

	if (fstat(op->fd, &st))
		return -errno;
	if (is_disk(st.st_mode))
		return TL__TRY_POOL;
	if (S_ISSOCK(st.st_mode))
		return socket_transfer(op, m, false);
	/* Calls that do not wait on what has no position, or for nothing. */
	if ((op->offset >= 0 && !S_ISCHR(st.st_mode)) || !op->size)
		return read_plain(op, m);
	if (!never_waits(op->fd, O_WRONLY)) {
		/* poll(2) finds a device without a poll method ready. */
		if (S_ISCHR(st.st_mode) && !(op->due & TL__TRIED_READY))
			return TL__TRY_IN;
		if (!tl__is_ready(op->fd, POLLIN))
			return TL__TRY_IN;
	}
	r = read_plain(op, m);
	return tl__would_block(r) ? TL__TRY_IN : r;
}

/*
 * RWF_NOWAIT stops where the page cache has a hole; a file, other than a pipe
 * or a socket, is expected to give all that it has.
 */
static int continue_read(struct tl__io_op *op, const struct tl__memory *m,
			 int r)
{
	off_t position = op->offset + r;
	struct stat st;

	if (r <= 0 || (size_t)r >= tl__memory_size(m) ||
	    (size_t)r >= TL__IO_SIZE_MAX)
		return r;
	if (fstat(op->fd, &st) || !S_ISREG(st.st_mode))
		return r;
	if (op->offset < 0)
		position = lseek(op->fd, 0, SEEK_CUR);
	if (position < 0 || position >= st.st_size)
		return r;
	op->result = r;
	return TL__TRY_POOL;
}

int tl__epoll_try_read(struct tl__io_op *op)
{
	struct tl__memory m;
	int r;

	memory_of(&m, op);
	r = tl__result_of(preadv2(op->fd, m.iov, m.count, op->offset,
				  RWF_NOWAIT));
	if (tl__would_block(r))
		return TL__TRY_IN;
	if (unsupported(r))
		return try_read_when_ready(op, &m);
	return continue_read(op, &m, r);
}

/*
 * A write to a pipe that nobody reads raises SIGPIPE in this thread. It is kept
 * from getting through, and taken away unless it was there before.
 */
struct no_sigpipe {
	sigset_t set, old;
	bool was_pending;
};

static void sigpipe_hold(struct no_sigpipe *no)
{
	sigset_t pending;

	sigemptyset(&no->set);
	sigaddset(&no->set, SIGPIPE);
	sigpending(&pending);
	no->was_pending = sigismember(&pending, SIGPIPE);
	if (!no->was_pending)
		pthread_sigmask(SIG_BLOCK, &no->set, &no->old);
}

static void sigpipe_release(struct no_sigpipe *no, int r)
{
	static const struct timespec at_once;

	if (no->was_pending)
		return;		/* blocked by the program */
	if (r == -EPIPE)
		while (sigtimedwait(&no->set, NULL, &at_once) < 0 &&
		       errno == EINTR)
			;
	pthread_sigmask(SIG_SETMASK, &no->old, NULL);
}

/* A pipe without RWF_NOWAIT: what fits into a free page never blocks. */
static int write_when_ready(struct tl__io_op *op, const struct tl__memory *m)
{
	struct iovec piece;

	if (op->offset >= 0 || never_waits(op->fd, O_RDONLY))
		return write_plain(op, m);
	if (!tl__is_ready(op->fd, POLLOUT))
		return -EAGAIN;
	piece = tl__memory_piece(m, 0);
	if (piece.iov_len > PIPE_BUF)
		piece.iov_len = PIPE_BUF;
	return tl__result_of(write(op->fd, piece.iov_base, piece.iov_len));
}

static int try_write_pipe(struct tl__io_op *op, const struct tl__memory *m)
{
	/* relaxed: all find out the same */
	static _Atomic bool no_flag;
	struct no_sigpipe no;
	int r;

	if (!atomic_load_explicit(&no_flag, memory_order_relaxed)) {
		r = tl__result_of(pwritev2(op->fd, m->iov, m->count, op->offset,
					  RWF_NOWAIT | RWF_NOSIGNAL));
		if (!unsupported(r))
			return tl__would_block(r) ? TL__TRY_OUT : r;
		atomic_store_explicit(&no_flag, true, memory_order_relaxed);
	}
	sigpipe_hold(&no);
	r = tl__result_of(pwritev2(op->fd, m->iov, m->count, op->offset,
				   RWF_NOWAIT));
	if (unsupported(r))
		r = write_when_ready(op, m);
	sigpipe_release(&no, r);
	return tl__would_block(r) ? TL__TRY_OUT : r;
}

/*
 * Devices, eventfds. One that is ready takes something, but may take its time
 * over the rest (a terminal), or over as much as this (an eventfd).
 */
static int try_write_other(struct tl__io_op *op, const struct tl__memory *m)
{
	int r = tl__result_of(pwritev2(op->fd, m->iov, m->count, op->offset,
				       RWF_NOWAIT));

	if (unsupported(r)) {
		if (!never_waits(op->fd, O_RDONLY))
			return op->due & TL__TRIED_READY ? TL__TRY_POOL :
							   TL__TRY_OUT;
		r = write_plain(op, m);
	}
	return tl__would_block(r) ? TL__TRY_OUT : r;
}

/*
 * Files on disks are always written by the pool: RWF_NOWAIT may write a part,
 * and what another process appends could come before the rest.
 */
int tl__epoll_try_write(struct tl__io_op *op)
{
	struct tl__memory m;
	struct stat st;

	if (fstat(op->fd, &st))
		return -errno;
	if (is_disk(st.st_mode))
		return TL__TRY_POOL;
	memory_of(&m, op);
	if (S_ISSOCK(st.st_mode))
		return socket_transfer(op, &m, true);
	if (S_ISFIFO(st.st_mode))
		return try_write_pipe(op, &m);
	return try_write_other(op, &m);
}

/* The rest of a read that has begun: up to the end, an error or enough. */
static int read_rest(const struct tl__io_op *op)
{
	size_t done = (size_t)op->result;
	struct tl__memory m;
	struct iovec piece;
	ssize_t r = 0;

	memory_of(&m, op);
	while ((piece = tl__memory_piece(&m, done)).iov_len) {
		if (piece.iov_len > TL__IO_SIZE_MAX - done)
			piece.iov_len = TL__IO_SIZE_MAX - done;
		if (op->offset >= 0)
			r = pread(op->fd, piece.iov_base, piece.iov_len,
				  op->offset + (off_t)done);
		else
			r = read(op->fd, piece.iov_base, piece.iov_len);
		if (r <= 0)
			break;
		done += (size_t)r;
	}
	if (done > (size_t)op->result)
		return (int)(done - (size_t)op->result);
	return tl__result_of(r);
}

int tl__epoll_block_transfer(const struct tl__io_op *op)
{
	struct tl__memory m;

	if (op->result)
		return read_rest(op);
	memory_of(&m, op);
	if (op->code == TL__IO_READ || op->code == TL__IO_READV)
		return read_plain(op, &m);
	return write_plain(op, &m);
}
