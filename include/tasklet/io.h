/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * IO that blocks the tasklet and not its thread.
 *
 * Each call behaves as the system call of its name, with these differences: the
 * result is -errno on failure; EINTR is handled inside; SIGPIPE is never raised;
 * a descriptor's O_NONBLOCK makes no difference, the call waits all the same.
 * The _until forms give up at a deadline with -ETIMEDOUT.
 *
 * A tasklet that is killed, or whose deadline passes, does not return before
 * the kernel has let go of its buffer. If the operation completed after all, its
 * result is returned (and the kill waits for the next call), so no byte and no
 * descriptor is lost.
 *
 * The work goes through io_uring, one ring for each thread that uses IO; where
 * that is denied, or with TL_IO=epoll in the environment, through epoll and a
 * pool of threads. tl_features() tells which.
 *
 * Contexts: tasklets and plain threads; not signal handlers. A descriptor may be
 * used by several threads at once, as with the system calls. Between threads only
 * tl_offload() and tl_getaddrinfo() order memory: what the caller did is visible to
 * fn, and what fn did when the call returns. After fork() the child may use IO
 * afresh; what was under way stays the parent's.
 *
 * Common errors, besides those of the system call: -ETIMEDOUT, -ECANCELED (or
 * what was thrown at the caller), -ENOMEM, -EPERM (a trap forbids to block).
 */
#ifndef TASKLET_IO_H
#define TASKLET_IO_H

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <tasklet/base.h>

struct addrinfo;
struct statx;

TL_BEGIN_DECLS

/* At the file position. Read returns 0 at the end; both may be short. */
TL_API ssize_t tl_read(int fd, void *buf, size_t size);
TL_API ssize_t tl_read_until(int fd, void *buf, size_t size,
			     uint64_t deadline_ns);
TL_API ssize_t tl_write(int fd, const void *buf, size_t size);
TL_API ssize_t tl_write_until(int fd, const void *buf, size_t size,
			      uint64_t deadline_ns);
TL_API ssize_t tl_readv(int fd, const struct iovec *iov, int count);
TL_API ssize_t tl_readv_until(int fd, const struct iovec *iov, int count,
			      uint64_t deadline_ns);
TL_API ssize_t tl_writev(int fd, const struct iovec *iov, int count);
TL_API ssize_t tl_writev_until(int fd, const struct iovec *iov, int count,
			       uint64_t deadline_ns);

/* At an offset; the file position is left alone. */
TL_API ssize_t tl_pread(int fd, void *buf, size_t size, off_t offset);
TL_API ssize_t tl_pread_until(int fd, void *buf, size_t size, off_t offset,
			      uint64_t deadline_ns);
TL_API ssize_t tl_pwrite(int fd, const void *buf, size_t size, off_t offset);
TL_API ssize_t tl_pwrite_until(int fd, const void *buf, size_t size,
			       off_t offset, uint64_t deadline_ns);

/*
 * tl_read_full, tl_write_full - until all @size bytes are done
 *
 * Returns @size; fewer only at the end of the file (read); or -errno, and then
 * *done (which may be NULL) tells how many bytes were moved before.
 */
TL_API ssize_t tl_read_full(int fd, void *buf, size_t size, size_t *done);
TL_API ssize_t tl_write_full(int fd, const void *buf, size_t size,
			     size_t *done);

TL_API int tl_open(const char *path, int flags, mode_t mode);
TL_API int tl_openat(int dirfd, const char *path, int flags, mode_t mode);

/*
 * tl_close - close a descriptor
 *
 * Calls of other tasklets that wait on it end with -ECANCELED first (their own
 * results, if they completed); then it is closed, so that a socket's peer sees
 * the end. The descriptor is gone even if this returns an error. Only calls of the
 * same thread: end those of other threads before.
 */
TL_API int tl_close(int fd);

TL_API int tl_fsync(int fd);
TL_API int tl_fdatasync(int fd);
TL_API int tl_statx(int dirfd, const char *path, int flags, unsigned mask,
		    struct statx *out);

/*
 * tl_accept - accept a connection; @flags as accept4(2)'s
 *
 * @addr and @addr_len may be NULL.
 */
TL_API int tl_accept(int fd, struct sockaddr *addr, socklen_t *addr_len,
		     int flags);
TL_API int tl_accept_until(int fd, struct sockaddr *addr, socklen_t *addr_len,
			   int flags, uint64_t deadline_ns);

/*
 * A listener accepts ahead: one request to the kernel (multishot accept, where
 * it has it) keeps accepting, and connections wait here for tl_listener_accept().
 * It is for one thread, the first that accepts; others get -EXDEV meanwhile.
 */
struct tl_listener;

/* @fd stays the caller's. Returns 0, -ENOMEM, or what a first look at @fd gave. */
TL_API int tl_listener_new(struct tl_listener **out, int fd, int flags);

/*
 * tl_listener_accept - the next connection
 *
 * When the process is out of descriptors (-EMFILE, -ENFILE) or the kernel out of
 * memory, it waits a little and tries again rather than fail or spin.
 */
TL_API int tl_listener_accept(struct tl_listener *listener);
TL_API int tl_listener_accept_until(struct tl_listener *listener,
				    uint64_t deadline_ns);

/*
 * tl_listener_free - stop accepting; connections that wait are closed
 *
 * Those that block in tl_listener_accept() get -EPIPE. NULL is allowed.
 */
TL_API void tl_listener_free(struct tl_listener *listener);

/*
 * tl_connect - connect a socket
 *
 * After -ETIMEDOUT from tl_connect_until() or a kill the socket is of no use:
 * close it.
 */
TL_API int tl_connect(int fd, const struct sockaddr *addr, socklen_t addr_len);
TL_API int tl_connect_until(int fd, const struct sockaddr *addr,
			    socklen_t addr_len, uint64_t deadline_ns);

TL_API ssize_t tl_recv(int fd, void *buf, size_t size, int flags);
TL_API ssize_t tl_recv_until(int fd, void *buf, size_t size, int flags,
			     uint64_t deadline_ns);

/* tl_send - send all of it on a stream socket: short only after an error. */
TL_API ssize_t tl_send(int fd, const void *buf, size_t size, int flags);
TL_API ssize_t tl_send_until(int fd, const void *buf, size_t size, int flags,
			     uint64_t deadline_ns);

TL_API ssize_t tl_recvmsg(int fd, struct msghdr *msg, int flags);
TL_API ssize_t tl_recvmsg_until(int fd, struct msghdr *msg, int flags,
				uint64_t deadline_ns);
TL_API ssize_t tl_sendmsg(int fd, const struct msghdr *msg, int flags);
TL_API ssize_t tl_sendmsg_until(int fd, const struct msghdr *msg, int flags,
				uint64_t deadline_ns);

TL_API int tl_shutdown(int fd, int how);

/*
 * tl_poll - wait until @fd is ready for one of @events (poll(2)'s bits)
 *
 * For descriptors that another library reads and writes. Returns the bits that
 * are ready.
 */
TL_API int tl_poll(int fd, short events);
TL_API int tl_poll_until(int fd, short events, uint64_t deadline_ns);

/*
 * tl_offload - run fn(arg) on another thread; the calling tasklet waits
 *
 * For calls that have no asynchronous form. Up to 64 threads are started on
 * demand and end when idle; further calls queue. A call that has started can't
 * be interrupted: a kill or deadline waits for it; one that still queues is
 * taken back. @fn must not call this library's blocking functions.
 *
 * Returns 0 with *result (may be NULL) set to what fn returned, -EAGAIN (no
 * thread can be started), or the common errors above.
 */
TL_API int tl_offload(long (*fn)(void *arg), void *arg, long *result);
TL_API int tl_offload_until(long (*fn)(void *arg), void *arg, long *result,
			    uint64_t deadline_ns);

/*
 * tl_getaddrinfo - getaddrinfo(3) on the offload pool
 *
 * Free the list with freeaddrinfo(3). A kill or deadline returns at once and
 * the answer is thrown away when it comes.
 *
 * Returns 0; a positive number: minus the EAI_ code (gai_strerror(-result)); or
 * -errno as above.
 */
TL_API int tl_getaddrinfo(const char *node, const char *service,
			  const struct addrinfo *hints, struct addrinfo **out);
TL_API int tl_getaddrinfo_until(const char *node, const char *service,
				const struct addrinfo *hints,
				struct addrinfo **out, uint64_t deadline_ns);

TL_END_DECLS

#endif
