/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What all tasklets of the process do, as text; and the stall detector, which
 * says when one of them keeps its thread for itself.
 */
#ifndef TASKLET_DUMP_H
#define TASKLET_DUMP_H

#include <tasklet/base.h>

TL_BEGIN_DECLS

/*
 * tl_dump - write all tasklets of the process to a descriptor
 *
 * One block a thread, one line a tasklet with its number, name, state and what it
 * waits for, and below it its backtrace; tl_dump(3) has the format.
 *
 * Each thread describes its own tasklets, which takes it as long as it takes to
 * write that; one that sleeps is woken for it. A thread that has not come by its
 * scheduler for 100 ms, because one of its tasklets computes or is in a system
 * call, is interrupted by a signal, and only that tasklet is shown. Such a
 * system call may return EINTR.
 *
 * Contexts: tasklets and plain threads; not signal handlers. Never switches, but
 * blocks the calling thread until all others have answered: @fd must not be a
 * pipe that only a tasklet of this process empties. Does not allocate. Calls of
 * several threads come one after the other.
 *
 * Returns 0, or minus the error of the first write(2) that failed: -EBADF,
 * -EPIPE (without a SIGPIPE), -ENOSPC; -EAGAIN if @fd is non-blocking and has
 * taken nothing for 5 seconds.
 */
TL_API int tl_dump(int fd);

/*
 * tl_dump_set_signal - which signal interrupts a thread for its backtrace
 *
 * For tl_dump() and the stall detector. Without this call it is the highest
 * realtime signal below SIGRTMAX that has no handler when it is first needed. 0:
 * none, and there is no backtrace of a thread that does not answer.
 *
 * Contexts: tasklets and plain threads. Returns 0, -EINVAL (no such signal, or
 * one that can't be caught) or -EBUSY (it has a handler).
 */
TL_API int tl_dump_set_signal(int sig);

/*
 * struct tl_stall - a tasklet that keeps its thread to itself
 *
 * @size is sizeof(struct tl_stall) of the library. What is pointed to is valid
 * during the call.
 */
struct tl_stall {
	size_t size;
	uint64_t task_id;	/* as tl_task_id() */
	const char *task_name;	/* as tl_task_name(); the first 63 bytes */
	int tid;		/* its thread, as gettid() */
	uint64_t held_ns;	/* for how long, at least */
	unsigned int report;	/* 1 for a stall's first report, then 2 ... */
	void *const *pc;	/* its backtrace, innermost call first */
	size_t npc;
};

typedef void tl_stall_fn(const struct tl_stall *stall, void *arg);

/*
 * tl_stall_detect - report tasklets that keep their thread for too long
 *
 * A thread of the library looks at all threads with tasklets four times within
 * @limit_ns. Where it finds that the same tasklet has run for that long without a
 * call that lets others run, by computing or in a system call, it interrupts
 * that thread for a backtrace (see tl_dump_set_signal()) and calls @fn on its own
 * thread; again when the time has doubled, and so on, until the tasklet lets go.
 * A NULL @fn writes a report to stderr. A @limit_ns of 0 turns the detector off;
 * another call changes its limit and function. Threads that sleep because they
 * have nothing to run are not reported, nor are those that never made a tasklet.
 *
 * @fn must be short and must not call tl_stall_detect(). When this function
 * returns, the former one is not called any more.
 *
 * In the environment, TL_STALL=250ms (or s, us; a number alone is ms) turns the
 * detector on for a program that does not call this.
 *
 * Contexts: tasklets and plain threads. Does not switch. Returns 0, -EINVAL
 * (@limit_ns is not 0 and below 1 ms), -EBUSY (called by @fn), or -ENOMEM or
 * -EAGAIN (no thread could be started; the detector is off).
 */
TL_API int tl_stall_detect(uint64_t limit_ns, tl_stall_fn *fn, void *arg);

/*
 * tl_stall_write - write a report as the detector would: a line and a backtrace
 *
 * Contexts: any but signal handlers. Returns 0 or -errno, as tl_dump().
 */
TL_API int tl_stall_write(const struct tl_stall *stall, int fd);

/*
 * tl_deadlock_report - what this thread waited for when it was a deadlock
 *
 * When a call returns -EDEADLK, or a run with TL_RUN_THREADBLOCK says that it is
 * one, what tl_dump() would have
 * written of the thread's tasklets (at most 50 of them) is kept: each one's name,
 * what it waits for, and its backtrace. With TL_DEADLOCK=report in the environment
 * it is written to standard error too, by each thread that is told.
 *
 * Returns that text, which is valid until the thread's next deadlock; "" if there
 * was none, or no memory for it.
 */
TL_API const char *tl_deadlock_report(void);

TL_END_DECLS

#endif
