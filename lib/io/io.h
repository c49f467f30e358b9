/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the IO calls and the two backends share.
 *
 * An operation (struct tl__io_op) describes one system call. It lies in the
 * frame of the tasklet that waits for it, or inside an object that outlives it,
 * and belongs to the backend from submit() until its last completion. A tasklet
 * that is killed or times out asks for cancellation and stays blocked until
 * then: the kernel may write to its buffer up to the last moment.
 *
 * Invariant: s->io_pending counts the operations (and offloaded calls) that a
 * backend holds; while it is not 0 the scheduler waits rather than report a
 * deadlock.
 */
#ifndef TL_IO_IO_H
#define TL_IO_IO_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <tasklet/features.h>

#include "base/list.h"
#include "core/park.h"

enum tl__io_code {
	TL__IO_READ,		/* buf size offset (-1: the file position) */
	TL__IO_WRITE,
	TL__IO_READV,		/* buf is the iovec array, size its length */
	TL__IO_WRITEV,
	TL__IO_OPENAT,		/* fd is dirfd; buf the path; flags; mode */
	TL__IO_CLOSE,		/* gives up all others on fd first, see below */
	TL__IO_FSYNC,		/* flags: 1 for fdatasync */
	TL__IO_STATX,		/* fd is dirfd; buf the path; flags; mode is the mask; extra */
	TL__IO_ACCEPT,		/* buf the address; extra its length; flags */
	TL__IO_CONNECT,		/* buf the address; size its length */
	TL__IO_RECV,		/* buf size flags */
	TL__IO_SEND,
	TL__IO_RECVMSG,		/* buf is the msghdr; flags */
	TL__IO_SENDMSG,
	TL__IO_SHUTDOWN,	/* flags: how */
	TL__IO_POLL,		/* flags: the events */
	TL__IO_CODES,
};

struct tl__io_op {
	/* Set by the caller. */
	enum tl__io_code code;
	int fd;
	void *buf;
	size_t size;
	int64_t offset;
	int flags;
	unsigned int mode;
	void *extra;
	/*
	 * Called with each result on the scheduler's thread. @more: it is not
	 * the last (a multishot operation). NULL wakes `task`.
	 */
	void (*complete)(struct tl__io_op *op, int result, bool more);
	struct tl_task *task;

	/* The backend's. */
	struct tl__io *io;
	int given_up;		/* -errno to report if it is cancelled; 0 */
	uint8_t state;
	uint8_t due;		/* completions to come, the cancel's included */
	bool multishot;
	int result;
	struct tl__list link;	/* with the others on its descriptor */
	struct tl__list queue;	/* with those that can't begin yet */
	struct tl__job *job;	/* while the pool has it */
};

/* A thread's IO. Each backend extends it. */
struct tl__io {
	const struct tl__io_backend *backend;
	struct tl_sched *sched;
	bool forked;		/* this is a child's copy: of no use */
};

struct tl__io_backend {
	const char *name;
	/* The scheduler's side; takes a struct tl__io. */
	struct tl__reactor_ops reactor;
	/*
	 * Makes a thread's IO. Fails with -errno and, in @why, in words, where
	 * this machine or its limits don't allow it. Stores flags for
	 * tl_features() in @features, which may be NULL.
	 */
	int (*create)(struct tl_sched *s, struct tl__io **out,
		      const char **why);
	/*
	 * Takes @op. TL__IO_CLOSE ends every other operation on the descriptor
	 * (with -ECANCELED unless it completes), waits until the kernel has let
	 * go of all of them, then closes; it can't be given up itself.
	 * Returns 1 if it is complete already (op->result), 0 if it
	 * will complete later, or -errno if it could not be taken.
	 */
	int (*submit)(struct tl__io *io, struct tl__io_op *op);
	/*
	 * Gives @op up; its result shall be @result unless it completes after
	 * all. Returns true if it is over now: it is off s->io_pending and does
	 * not complete any more. Returns false if it completes, perhaps before
	 * this call returns.
	 */
	bool (*cancel)(struct tl__io *io, struct tl__io_op *op, int result);
	/*
	 * In the child of a fork: closes the descriptors that are ours; touches
	 * no ring, and leaves @io in place for operations that refer to it.
	 */
	void (*forked)(struct tl__io *io);
	void (*features)(const struct tl__io *io, struct tl_features *out);
};

extern const struct tl__io_backend tl__io_uring;
extern const struct tl__io_backend tl__io_epoll;

/* This thread's IO, started if need be. Returns 0 or -errno. */
int tl__io_start(struct tl_sched *s, struct tl__io **out);

/* Why io_uring is not used; "" if it is. */
const char *tl__io_reason(void);

/* Blocks the calling tasklet until @op is complete. Returns its result. */
int tl__io_wait(struct tl__io_op *op, uint64_t deadline_ns);

/*
 * The same for an operation that nothing may keep from happening: ignores what
 * is thrown at the caller, and returns TL__IO_NOT_TAKEN, having done nothing,
 * where it may not block or the operation can't be taken.
 */
#define TL__IO_NOT_TAKEN (-4096)
int tl__io_wait_settled(struct tl__io_op *op);

/* A backend reports a result. With @more the operation goes on. */
static inline void tl__io_complete(struct tl__io_op *op, int result, bool more)
{
	struct tl_task *task = op->task;

	if (!more)
		op->io->sched->io_pending--;
	if (op->complete)
		op->complete(op, result, more);
	else
		tl__wake(task->sched, task, result);
}

/* The largest transfer that the kernel does in one call. */
#define TL__IO_SIZE_MAX ((size_t)0x7ffff000)

/* Whether fd is a socket: some calls do not wait otherwise (epoll backend). */
bool tl__io_is_socket(int fd);

/*
 * The offload pool, which the epoll backend uses as well (pool.c).
 */
struct tl__job {
	/* Runs on a thread of the pool. */
	void (*run)(struct tl__job *job);
	/* Runs on the scheduler's thread afterwards; may free the job. */
	void (*done)(struct tl__job *job);
	/* In place of that, on the pool's thread, for one that was let go. */
	void (*discard)(struct tl__job *job);
	struct tl_sched *sched;
	struct tl__message message;
	struct tl__list link;
	unsigned int generation;	/* of the process, by forks */
	_Atomic int state;
};

/*
 * Queues @job, whose run and done are set. Counts in s->io_pending until done()
 * is called. Returns 0 or -EAGAIN.
 */
int tl__pool_submit(struct tl_sched *s, struct tl__job *job);

/*
 * Takes back a job that has not begun. Its done() is not called then, and it is
 * off s->io_pending. In the child of a fork, where no thread has the job, true.
 */
bool tl__pool_cancel(struct tl__job *job);

/*
 * The same for a job that is nobody's: the pool is done with it when run() is
 * called, which may free it. Not counted; may be taken back by any thread.
 */
int tl__pool_submit_alone(struct tl__job *job);
bool tl__pool_take_back(struct tl__job *job);

/*
 * Leaves a job that runs to the pool, which will call discard(); it is off
 * s->io_pending. Returns false if it has just ended: done() will be called.
 */
bool tl__pool_let_go(struct tl__job *job);

/* For tests: for how long a thread of the pool waits for work. */
extern _Atomic uint64_t tl__pool_idle_ns;

/* The pool's part in a fork. The lock is held from one to the other. */
void tl__pool_before_fork(void);
void tl__pool_after_fork_in_parent(void);
void tl__pool_after_fork_in_child(void);

/* Makes sure that a forked child begins anew. */
void tl__io_watch_forks(void);

#endif
