/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Operations as io_uring wants them: what to ask for, and what to make of the
 * answer. One SQE is all that an operation needs at a time; which one it is
 * follows from op->state and op->given_up.
 */
#include "io/uring-ops.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Tries in vain after which a descriptor that is always ready is given a rest. */
#define VAIN_TRIES 4

/* A sanitizer that watches descriptors has to see them closed. */
#ifdef TL__TSAN
#define CLOSE_IN_SIGHT true
#else
#define CLOSE_IN_SIGHT false
#endif

static bool is_stream(int fd)
{
	socklen_t size = sizeof(int);
	int saved = errno;
	int type;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size))
		type = 0;
	errno = saved;
	return type == SOCK_STREAM;
}

/*
 * A send to a stream is left to the kernel until it is done (MSG_WAITALL), as a
 * blocking call would be; but not with control data, which kernels before 6.6
 * attach to each part anew.
 *
 * Anything else is sent with MSG_DONTWAIT and waited for by us. The kernel's own
 * second try (seen in 6.18) sends an empty datagram where the first has found a
 * full queue, for that has consumed the data. A send() that is done at once, as
 * nearly all are, need not find out which it is; sendmsg() has to know before
 * a part of it is sent.
 */
static int send_flags(const struct tl__io_op *op)
{
	const struct msghdr *msg = op->buf;

	if (!(op->state & OP_STREAM))
		return op->flags | MSG_DONTWAIT;
	if (op->code == TL__IO_SENDMSG && msg->msg_controllen)
		return op->flags;
	return op->flags | MSG_WAITALL;
}

void tl__uring_op_begin(struct tl__io_op *op)
{
	op->state = 0;
	op->due = 0;
	if (unlikely(op->code == TL__IO_SENDMSG) &&
	    !(op->flags & MSG_DONTWAIT) && is_stream(op->fd))
		op->state = OP_STREAM;
}

static void prepare_accept(struct io_uring_sqe *sqe, const struct tl__io_op *op)
{
	if (op->multishot)
		io_uring_prep_multishot_accept(sqe, op->fd, NULL, NULL,
					       op->flags);
	else
		io_uring_prep_accept(sqe, op->fd, op->buf, op->extra,
				     op->flags);
}

/*
 * The kernel's first try is with O_NONBLOCK, which does not wait for the other
 * end of a named pipe nor for a terminal's line, and takes that for the answer.
 * So it is left to a worker thread, at 5 us, wherever that could matter.
 */
static void prepare_open(struct io_uring_sqe *sqe, const struct tl__io_op *op)
{
	io_uring_prep_openat(sqe, op->fd, op->buf, op->flags, op->mode);
	if (!(op->flags & (O_NONBLOCK | O_DIRECTORY | O_PATH)))
		sqe->flags |= IOSQE_ASYNC;
}

static void prepare_transfer(struct io_uring_sqe *sqe,
			     const struct tl__io_op *op, uint32_t write_flags)
{
	unsigned int size = (unsigned int)op->size;
	uint64_t offset = (uint64_t)op->offset;

	switch (op->code) {
	case TL__IO_READ:
		io_uring_prep_read(sqe, op->fd, op->buf, size, offset);
		break;
	case TL__IO_WRITE:
		io_uring_prep_write(sqe, op->fd, op->buf, size, offset);
		sqe->rw_flags = (int)write_flags;
		break;
	case TL__IO_READV:
		io_uring_prep_readv(sqe, op->fd, op->buf, size, offset);
		break;
	default:
		io_uring_prep_writev(sqe, op->fd, op->buf, size, offset);
		sqe->rw_flags = (int)write_flags;
		break;
	}
}

static void prepare_message(struct io_uring_sqe *sqe,
			    const struct tl__io_op *op)
{
	switch (op->code) {
	case TL__IO_RECV:
		io_uring_prep_recv(sqe, op->fd, op->buf, op->size, op->flags);
		break;
	case TL__IO_SEND:
		io_uring_prep_send(sqe, op->fd, op->buf, op->size,
				   send_flags(op));
		break;
	case TL__IO_RECVMSG:
		io_uring_prep_recvmsg(sqe, op->fd, op->buf,
				      (unsigned int)op->flags);
		break;
	default:
		io_uring_prep_sendmsg(sqe, op->fd, op->buf,
				      (unsigned int)send_flags(op));
		break;
	}
}

/*
 * What to poll for before @op is tried again, after the kernel said -EAGAIN. 0:
 * that is its answer.
 */
static unsigned int events(const struct tl__io_op *op)
{
	switch (op->code) {
	case TL__IO_RECV:
	case TL__IO_RECVMSG:
		return op->flags & MSG_DONTWAIT ? 0 : POLLIN;
	case TL__IO_SEND:
	case TL__IO_SENDMSG:
		return op->flags & MSG_DONTWAIT ? 0 : POLLOUT;
	case TL__IO_READ:
	case TL__IO_READV:
	case TL__IO_ACCEPT:
		return POLLIN;
	case TL__IO_WRITE:
	case TL__IO_WRITEV:
	case TL__IO_CONNECT:
		return POLLOUT;
	default:
		return 0;
	}
}

/*
 * Before the next try. A poll, unless that has been true without effect before:
 * a datagram socket could send, but not where this one wants to.
 */
static void prepare_pause(struct io_uring_sqe *sqe, const struct tl__io_op *op)
{
	static struct __kernel_timespec rest = { .tv_nsec = 1000000 };

	if (op->state / OP_TRY <= VAIN_TRIES)
		io_uring_prep_poll_add(sqe, op->fd, events(op));
	else
		io_uring_prep_timeout(sqe, &rest, 0, 0);
}

void tl__uring_op_prepare(struct io_uring_sqe *sqe, const struct tl__io_op *op,
			  uint32_t write_flags)
{
	if (op->state & OP_POLLS) {
		prepare_pause(sqe, op);
		return;
	}
	switch (op->code) {
	case TL__IO_READ:
	case TL__IO_WRITE:
	case TL__IO_READV:
	case TL__IO_WRITEV:
		prepare_transfer(sqe, op, write_flags);
		break;
	case TL__IO_RECV:
	case TL__IO_SEND:
	case TL__IO_RECVMSG:
	case TL__IO_SENDMSG:
		prepare_message(sqe, op);
		break;
	case TL__IO_OPENAT:
		prepare_open(sqe, op);
		break;
	case TL__IO_CLOSE:
		if (CLOSE_IN_SIGHT)
			io_uring_prep_nop(sqe);
		else
			io_uring_prep_close(sqe, op->fd);
		break;
	case TL__IO_FSYNC:
		io_uring_prep_fsync(sqe, op->fd,
				    op->flags ? IORING_FSYNC_DATASYNC : 0);
		break;
	case TL__IO_STATX:
		io_uring_prep_statx(sqe, op->fd, op->buf, op->flags, op->mode,
				    op->extra);
		break;
	case TL__IO_ACCEPT:
		prepare_accept(sqe, op);
		break;
	case TL__IO_CONNECT:
		io_uring_prep_connect(sqe, op->fd, op->buf,
				      (socklen_t)op->size);
		break;
	case TL__IO_POLL:
		io_uring_prep_poll_add(sqe, op->fd, (unsigned int)op->flags);
		break;
	case TL__IO_SHUTDOWN:	/* never gets here: done at once */
	case TL__IO_CODES:
		io_uring_prep_nop(sqe);
		break;
	}
}

/*
 * -ECANCELED that nobody has asked for: the kernel had no thread for @op, as a
 * signal interrupted its making, or RLIMIT_NPROC is reached. But a timerfd says
 * so to tell of a changed clock, and such a descriptor needs no thread.
 */
static bool had_no_thread(const struct tl__io_op *op)
{
	struct stat st;

	if (op->code != TL__IO_READ && op->code != TL__IO_READV)
		return true;
	return fstat(op->fd, &st) == 0 &&
	       (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode));
}

static bool count_try(struct tl__io_op *op)
{
	if (op->state / OP_TRY == OP_TRIES_MAX)
		return false;
	op->state += OP_TRY;
	return true;
}

static int close_now(int fd)
{
	int saved = errno;
	int r = close(fd) && errno != EINTR ? -errno : 0;

	errno = saved;
	return r;
}

bool tl__uring_op_goes_on(struct tl__io_op *op, int result)
{
	if (op->given_up)
		return false;
	if (op->state & OP_POLLS) {
		op->state &= ~OP_POLLS;
		return result >= 0 || result == -EINTR || result == -ETIME;
	}
	switch (result) {
	case -ECANCELED:
		return had_no_thread(op) && count_try(op);
	case -EINTR:
		if (op->code == TL__IO_CLOSE)
			return false;
		if (op->code != TL__IO_CONNECT)
			return true;
		break;		/* it goes on without us */
	case -EAGAIN:
		/*
		 * Older kernels, and some drivers, do not wait on an O_NONBLOCK
		 * descriptor; and see send_flags().
		 */
		if (op->code == TL__IO_SEND && !(op->state & OP_STREAM) &&
		    !(op->flags & MSG_DONTWAIT) && is_stream(op->fd)) {
			op->state |= OP_STREAM;
			return true;
		}
		break;
	default:
		return false;
	}
	if (!events(op))
		return false;
	op->state |= OP_POLLS;
	count_try(op);
	return true;
}

int tl__uring_op_outcome(const struct tl__io_op *op)
{
	if (op->given_up) {
		if ((op->state & OP_POLLS) || op->result == -ECANCELED ||
		    op->result == -EINTR || op->result == -EAGAIN)
			return op->given_up;
	}
	if (op->code == TL__IO_CLOSE) {
		/* Not for want of a thread; and EINTR or not, it is closed. */
		if (CLOSE_IN_SIGHT || op->result == -ECANCELED)
			return close_now(op->fd);
		return op->result == -EINTR ? 0 : op->result;
	}
	if (op->result == -ECANCELED && had_no_thread(op))
		return -EAGAIN;
	return op->result;
}
