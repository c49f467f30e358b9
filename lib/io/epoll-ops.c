/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * How each operation is tried without blocking the thread, and what a thread of
 * the pool does instead.
 *
 * No descriptor is made non-blocking for it, because that would be so for all
 * who share it, other processes too: sockets are told per call (MSG_DONTWAIT).
 * There are two exceptions, for want of such a flag: a socket that accepts
 * stays O_NONBLOCK, and one that connects is so for that moment.
 *
 * Invariant: as in epoll-rw.c.
 */
#include "io/epoll-ops.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* What is missing of what was done before is no reason to report an error. */
static int result_with(const struct tl__io_op *op, int r)
{
	if (!op->result)
		return r;
	return r < 0 ? op->result : op->result + r;
}

/* --- sockets -------------------------------------------------------------- */

static int socket_option(int fd, int name)
{
	socklen_t size = sizeof(int);
	int value = 0;

	if (getsockopt(fd, SOL_SOCKET, name, &value, &size))
		return -errno;
	return value;
}

/* Calls that answer at once on a blocking socket too. */
#define NEVER_WAITS (MSG_DONTWAIT | MSG_OOB | MSG_ERRQUEUE)

static bool wants_all(const struct tl__io_op *op)
{
	return (op->flags & MSG_WAITALL) &&
	       !(op->flags & (NEVER_WAITS | MSG_PEEK)) &&
	       socket_option(op->fd, SO_TYPE) == SOCK_STREAM;
}

static int recv_once(struct tl__io_op *op)
{
	const struct msghdr *msg = op->buf;
	struct iovec piece;
	int r;

	if (op->code == TL__IO_RECVMSG && !op->result)
		return tl__result_of(recvmsg(op->fd, op->buf,
					 op->flags | MSG_DONTWAIT));
	if (op->code == TL__IO_RECVMSG) {
		struct tl__memory m = {
			.iov = msg->msg_iov, .count = (int)msg->msg_iovlen,
		};

		piece = tl__memory_piece(&m, (size_t)op->result);
	} else {
		piece.iov_base = (char *)op->buf + op->result;
		piece.iov_len = op->size - (size_t)op->result;
	}
	r = tl__result_of(recv(op->fd, piece.iov_base, piece.iov_len,
			   op->flags | MSG_DONTWAIT));
	return r;
}

/* How much MSG_WAITALL is about. */
static size_t recv_size(const struct tl__io_op *op)
{
	const struct msghdr *msg = op->buf;
	struct tl__memory m;

	if (op->code == TL__IO_RECV)
		return op->size;
	/*
	 * Descriptors may come with the rest, but what room there was for them
	 * is lost: the caller shall ask again.
	 */
	if (msg->msg_control)
		return 0;
	m.iov = msg->msg_iov;
	m.count = (int)msg->msg_iovlen;
	return tl__memory_size(&m);
}

static int try_recv(struct tl__io_op *op)
{
	int r;

	for (;;) {
		r = recv_once(op);
		if (tl__would_block(r) && !(op->flags & NEVER_WAITS))
			return TL__TRY_IN;
		if (r <= 0 || !wants_all(op))
			return result_with(op, r);
		op->result += r;
		if ((size_t)op->result >= recv_size(op))
			return op->result;
	}
}

static int try_send(struct tl__io_op *op)
{
	int flags = op->flags | MSG_DONTWAIT | MSG_NOSIGNAL;
	const struct msghdr *msg = op->buf;
	int r;

	if (op->code == TL__IO_SEND)
		r = tl__result_of(send(op->fd, op->buf, op->size, flags));
	else
		r = tl__result_of(sendmsg(op->fd, msg, flags));
	if (!tl__would_block(r) || (op->flags & MSG_DONTWAIT))
		return r;
	/* Where it goes to is full; other destinations may not be. */
	if (op->code == TL__IO_SENDMSG && msg->msg_name)
		op->due |= TL__TRIED_APART;
	return TL__TRY_OUT;
}

static int try_accept(struct tl__io_op *op)
{
	int status = fcntl(op->fd, F_GETFL);
	int r;

	if (status < 0)
		return -errno;
	if (!(status & O_NONBLOCK)) {
		r = socket_option(op->fd, SO_ACCEPTCONN);
		if (r < 0)
			return r;	/* no socket: hands off */
		if (r && fcntl(op->fd, F_SETFL, status | O_NONBLOCK))
			return -errno;
	}
	r = tl__result_of(accept4(op->fd, op->buf, op->extra, op->flags));
	return tl__would_block(r) ? TL__TRY_IN : r;
}

static int begin_connect(struct tl__io_op *op)
{
	int status = fcntl(op->fd, F_GETFL);
	int r;

	if (status < 0)
		return -errno;
	if (!(status & O_NONBLOCK))
		fcntl(op->fd, F_SETFL, status | O_NONBLOCK);
	r = tl__result_of(connect(op->fd, op->buf, (socklen_t)op->size));
	if (!(status & O_NONBLOCK))
		fcntl(op->fd, F_SETFL, status);
	return r;
}

static int try_connect(struct tl__io_op *op)
{
	int r;

	if (op->due & TL__TRIED_BEGUN) {
		if (!tl__is_ready(op->fd, POLLOUT))
			return TL__TRY_OUT;
		r = socket_option(op->fd, SO_ERROR);
		return r > 0 ? -r : r;
	}
	r = begin_connect(op);
	if (r == -EINPROGRESS) {
		op->due |= TL__TRIED_BEGUN;
		return TL__TRY_OUT;
	}
	/* The listener's queue is full; nothing tells when that changes. */
	if (tl__would_block(r) && socket_option(op->fd, SO_DOMAIN) == AF_UNIX)
		return TL__TRY_OUT;
	return r;
}

/* --- all ------------------------------------------------------------------ */

static int try_poll(const struct tl__io_op *op)
{
	struct pollfd p = { .fd = op->fd, .events = (short)op->flags };

	if (op->fd < 0)
		return -EBADF;	/* poll(2) ignores it */
	if (poll(&p, 1, 0) < 0)
		return -errno;
	if (p.revents & POLLNVAL)
		return -EBADF;
	return p.revents ? p.revents : (int)TL__TRY_POLL;
}

int tl__epoll_try(struct tl__io_op *op)
{
	int r;

	do {
		switch (op->code) {
		case TL__IO_READ:
		case TL__IO_READV:
			r = tl__epoll_try_read(op);
			break;
		case TL__IO_WRITE:
		case TL__IO_WRITEV:
			r = tl__epoll_try_write(op);
			break;
		case TL__IO_RECV:
		case TL__IO_RECVMSG:
			r = try_recv(op);
			break;
		case TL__IO_SEND:
		case TL__IO_SENDMSG:
			r = try_send(op);
			break;
		case TL__IO_ACCEPT:
			r = try_accept(op);
			break;
		case TL__IO_CONNECT:
			r = try_connect(op);
			break;
		case TL__IO_POLL:
			r = try_poll(op);
			break;
		case TL__IO_SHUTDOWN:
			r = tl__result_of(shutdown(op->fd, op->flags));
			break;
		default:
			r = TL__TRY_POOL;
		}
	} while (r == -EINTR);
	return r;
}

int tl__epoll_direction(const struct tl__io_op *op)
{
	switch (op->code) {
	case TL__IO_READ:
	case TL__IO_READV:
	case TL__IO_RECV:
	case TL__IO_RECVMSG:
	case TL__IO_ACCEPT:
		return TL__TRY_IN;
	case TL__IO_WRITE:
	case TL__IO_WRITEV:
	case TL__IO_SEND:
	case TL__IO_SENDMSG:
	case TL__IO_CONNECT:
		return TL__TRY_OUT;
	case TL__IO_POLL:
		return TL__TRY_POLL;
	default:
		return TL__TRY_POOL;
	}
}

bool tl__epoll_never_waits(const struct tl__io_op *op)
{
	switch (op->code) {
	case TL__IO_RECV:
	case TL__IO_RECVMSG:
	case TL__IO_SEND:
	case TL__IO_SENDMSG:
		return op->flags & NEVER_WAITS;
	default:
		return false;
	}
}

bool tl__epoll_shares_position(const struct tl__io_op *op)
{
	struct stat st;

	return (op->code == TL__IO_READ || op->code == TL__IO_READV) &&
	       op->offset < 0 && fstat(op->fd, &st) == 0 &&
	       S_ISREG(st.st_mode);
}

/* --- on a thread of the pool ---------------------------------------------- */

int tl__epoll_block(const struct tl__io_op *op)
{
	switch (op->code) {
	case TL__IO_READ:
	case TL__IO_READV:
	case TL__IO_WRITE:
	case TL__IO_WRITEV:
		return tl__epoll_block_transfer(op);
	case TL__IO_OPENAT:
		return tl__result_of(openat(op->fd, op->buf, op->flags,
					    op->mode));
	case TL__IO_CLOSE:
		return tl__result_of(close(op->fd));
	case TL__IO_FSYNC:
		return tl__result_of(op->flags ? fdatasync(op->fd) :
						 fsync(op->fd));
	case TL__IO_STATX:
		return tl__result_of(statx(op->fd, op->buf, op->flags, op->mode,
				       op->extra));
	default:
		return -EOPNOTSUPP;
	}
}

bool tl__epoll_close_blocks(int fd)
{
	struct linger linger = { 0 };
	socklen_t size = sizeof(linger);
	struct stat st;

	if (fstat(fd, &st) || S_ISFIFO(st.st_mode) || S_ISDIR(st.st_mode) ||
	    !(st.st_mode & S_IFMT))
		return false;
	if (!S_ISSOCK(st.st_mode))
		return (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY;
	getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &size);
	return linger.l_onoff && linger.l_linger;
}
