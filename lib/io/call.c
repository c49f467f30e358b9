/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The public IO calls: each fills in an operation and waits for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <tasklet/io.h>

#include "io/io.h"

static size_t clamp(size_t size)
{
	return size < TL__IO_SIZE_MAX ? size : TL__IO_SIZE_MAX;
}

static ssize_t transfer(enum tl__io_code code, int fd, void *buf, size_t size,
			int64_t offset, int flags, uint64_t deadline_ns)
{
	struct tl__io_op op = {
		.code = code,
		.fd = fd,
		.buf = buf,
		.size = clamp(size),
		.offset = offset,
		.flags = flags,
	};

	return tl__io_wait(&op, deadline_ns);
}

ssize_t tl_read_until(int fd, void *buf, size_t size, uint64_t deadline_ns)
{
	return transfer(TL__IO_READ, fd, buf, size, -1, 0, deadline_ns);
}

ssize_t tl_read(int fd, void *buf, size_t size)
{
	return tl_read_until(fd, buf, size, TL_FOREVER);
}

ssize_t tl_write_until(int fd, const void *buf, size_t size,
		       uint64_t deadline_ns)
{
	return transfer(TL__IO_WRITE, fd, (void *)buf, size, -1, 0,
			deadline_ns);
}

ssize_t tl_write(int fd, const void *buf, size_t size)
{
	return tl_write_until(fd, buf, size, TL_FOREVER);
}

ssize_t tl_readv_until(int fd, const struct iovec *iov, int count,
		       uint64_t deadline_ns)
{
	if (count < 0)
		return -EINVAL;
	return transfer(TL__IO_READV, fd, (void *)iov, (size_t)count, -1, 0,
			deadline_ns);
}

ssize_t tl_readv(int fd, const struct iovec *iov, int count)
{
	return tl_readv_until(fd, iov, count, TL_FOREVER);
}

ssize_t tl_writev_until(int fd, const struct iovec *iov, int count,
			uint64_t deadline_ns)
{
	if (count < 0)
		return -EINVAL;
	return transfer(TL__IO_WRITEV, fd, (void *)iov, (size_t)count, -1, 0,
			deadline_ns);
}

ssize_t tl_writev(int fd, const struct iovec *iov, int count)
{
	return tl_writev_until(fd, iov, count, TL_FOREVER);
}

ssize_t tl_pread_until(int fd, void *buf, size_t size, off_t offset,
		       uint64_t deadline_ns)
{
	if (offset < 0)
		return -EINVAL;
	return transfer(TL__IO_READ, fd, buf, size, offset, 0, deadline_ns);
}

ssize_t tl_pread(int fd, void *buf, size_t size, off_t offset)
{
	return tl_pread_until(fd, buf, size, offset, TL_FOREVER);
}

ssize_t tl_pwrite_until(int fd, const void *buf, size_t size, off_t offset,
			uint64_t deadline_ns)
{
	if (offset < 0)
		return -EINVAL;
	return transfer(TL__IO_WRITE, fd, (void *)buf, size, offset, 0,
			deadline_ns);
}

ssize_t tl_pwrite(int fd, const void *buf, size_t size, off_t offset)
{
	return tl_pwrite_until(fd, buf, size, offset, TL_FOREVER);
}

ssize_t tl_read_full(int fd, void *buf, size_t size, size_t *done)
{
	size_t got = 0;
	ssize_t r = 0;

	while (got < size) {
		r = tl_read(fd, (char *)buf + got, size - got);
		if (r <= 0)
			break;
		got += (size_t)r;
	}
	if (done)
		*done = got;
	return r < 0 ? r : (ssize_t)got;
}

ssize_t tl_write_full(int fd, const void *buf, size_t size, size_t *done)
{
	size_t put = 0;
	ssize_t r = 0;

	while (put < size) {
		r = tl_write(fd, (const char *)buf + put, size - put);
		if (r < 0)
			break;
		put += (size_t)r;
	}
	if (done)
		*done = put;
	return r < 0 ? r : (ssize_t)put;
}

int tl_openat(int dirfd, const char *path, int flags, mode_t mode)
{
	struct tl__io_op op = {
		.code = TL__IO_OPENAT,
		.fd = dirfd,
		.buf = (void *)path,
		.flags = flags,
		.mode = mode,
	};

	return tl__io_wait(&op, TL_FOREVER);
}

int tl_open(const char *path, int flags, mode_t mode)
{
	return tl_openat(AT_FDCWD, path, flags, mode);
}

/*
 * Closing is what a tasklet does while it is being killed, so whatever was
 * thrown at it waits; and where it may not block at all, or no IO can be had,
 * the plain system call must do.
 */
int tl_close(int fd)
{
	struct tl__io_op op = { .code = TL__IO_CLOSE, .fd = fd };
	int r = tl__io_wait_settled(&op);

	if (r == TL__IO_NOT_TAKEN)
		r = close(fd) ? -errno : 0;
	return r;
}

static int flush(int fd, int flags)
{
	return (int)transfer(TL__IO_FSYNC, fd, NULL, 0, 0, flags, TL_FOREVER);
}

int tl_fsync(int fd)
{
	return flush(fd, 0);
}

int tl_fdatasync(int fd)
{
	return flush(fd, 1);
}

int tl_statx(int dirfd, const char *path, int flags, unsigned mask,
	     struct statx *out)
{
	struct tl__io_op op = {
		.code = TL__IO_STATX,
		.fd = dirfd,
		.buf = (void *)path,
		.flags = flags,
		.mode = mask,
		.extra = out,
	};

	return tl__io_wait(&op, TL_FOREVER);
}

int tl_accept_until(int fd, struct sockaddr *addr, socklen_t *addr_len,
		    int flags, uint64_t deadline_ns)
{
	struct tl__io_op op = {
		.code = TL__IO_ACCEPT,
		.fd = fd,
		.buf = addr,
		.extra = addr_len,
		.flags = flags,
	};

	return tl__io_wait(&op, deadline_ns);
}

int tl_accept(int fd, struct sockaddr *addr, socklen_t *addr_len, int flags)
{
	return tl_accept_until(fd, addr, addr_len, flags, TL_FOREVER);
}

int tl_connect_until(int fd, const struct sockaddr *addr, socklen_t addr_len,
		     uint64_t deadline_ns)
{
	struct tl__io_op op = {
		.code = TL__IO_CONNECT,
		.fd = fd,
		.buf = (void *)addr,
		.size = addr_len,
	};

	return tl__io_wait(&op, deadline_ns);
}

int tl_connect(int fd, const struct sockaddr *addr, socklen_t addr_len)
{
	return tl_connect_until(fd, addr, addr_len, TL_FOREVER);
}

ssize_t tl_recv_until(int fd, void *buf, size_t size, int flags,
		      uint64_t deadline_ns)
{
	return transfer(TL__IO_RECV, fd, buf, size, 0, flags, deadline_ns);
}

ssize_t tl_recv(int fd, void *buf, size_t size, int flags)
{
	return tl_recv_until(fd, buf, size, flags, TL_FOREVER);
}

/*
 * The kernel may send less than it was asked to (memory pressure, a signal in
 * an old one) even with MSG_WAITALL: the rest is tried again. What has gone out
 * is reported rather than the error that stopped it.
 */
ssize_t tl_send_until(int fd, const void *buf, size_t size, int flags,
		      uint64_t deadline_ns)
{
	size_t sent = 0;
	ssize_t r;

	do {
		r = transfer(TL__IO_SEND, fd, (char *)buf + sent, size - sent,
			     0, flags | MSG_NOSIGNAL, deadline_ns);
		if (r < 0)
			return sent ? (ssize_t)sent : r;
		sent += (size_t)r;
	} while (sent < size && r > 0 && !(flags & MSG_DONTWAIT));
	return (ssize_t)sent;
}

ssize_t tl_send(int fd, const void *buf, size_t size, int flags)
{
	return tl_send_until(fd, buf, size, flags, TL_FOREVER);
}

ssize_t tl_recvmsg_until(int fd, struct msghdr *msg, int flags,
			 uint64_t deadline_ns)
{
	return transfer(TL__IO_RECVMSG, fd, msg, 1, 0, flags, deadline_ns);
}

ssize_t tl_recvmsg(int fd, struct msghdr *msg, int flags)
{
	return tl_recvmsg_until(fd, msg, flags, TL_FOREVER);
}

ssize_t tl_sendmsg_until(int fd, const struct msghdr *msg, int flags,
			 uint64_t deadline_ns)
{
	return transfer(TL__IO_SENDMSG, fd, (void *)msg, 1, 0,
			flags | MSG_NOSIGNAL, deadline_ns);
}

ssize_t tl_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	return tl_sendmsg_until(fd, msg, flags, TL_FOREVER);
}

int tl_shutdown(int fd, int how)
{
	return (int)transfer(TL__IO_SHUTDOWN, fd, NULL, 0, 0, how, TL_FOREVER);
}

int tl_poll_until(int fd, short events, uint64_t deadline_ns)
{
	return (int)transfer(TL__IO_POLL, fd, NULL, 0, 0,
			     (unsigned short)events, deadline_ns);
}

int tl_poll(int fd, short events)
{
	return tl_poll_until(fd, events, TL_FOREVER);
}
