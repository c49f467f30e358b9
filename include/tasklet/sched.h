/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The calling thread's scheduler: the ring of runnable tasklets, run(), how a
 * tasklet ends, callbacks and traps. Each thread has its own, and settings hold
 * for the thread that makes them.
 *
 * Contexts, unless said otherwise: tasklets and plain threads, not signal
 * handlers.
 */
#ifndef TASKLET_SCHED_H
#define TASKLET_SCHED_H

#include <tasklet/base.h>
#include <tasklet/task.h>

TL_BEGIN_DECLS

/* The running tasklet and the thread's main one. Borrowed; NULL: no memory. */
TL_API struct tl_task *tl_current(void);
TL_API struct tl_task *tl_main(void);

/* How many tasklets are in this thread's ring, the current one included. */
TL_API int tl_runcount(void);

/*
 * tl_schedule - let the others run first
 *
 * The caller becomes the last in the ring. Returns 0 when it runs again, at
 * once if it is alone; -EPERM (switch trap); or the error thrown at it (and then
 * too the others have run).
 */
TL_API int tl_schedule(void);

/*
 * tl_schedule_remove - let the others run, and do not come back
 *
 * The caller becomes paused until somebody inserts or runs it. Without any
 * handle nobody could: it is killed at once, returning -ECANCELED. When it was
 * the last runnable one it waits as a blocked one would, see tl_run(): also for
 * another thread that inserts it, unless it is the main tasklet.
 *
 * Returns 0, -EPERM (a switch or block trap), -EDEADLK (nobody else can ever
 * run), or what was thrown.
 */
TL_API int tl_schedule_remove(void);

/* What tl_run() says when it did not fail. */
enum tl_run_verdict {
	TL_RUN_FINISHED = 0,	/* no tasklet but paused ones is left */
	TL_RUN_DEADLOCK = 1,	/* some are blocked, and nothing of ours can wake them */
	/* Only of tl_run_with(), see tasklet/watchdog.h: */
	TL_RUN_INTERRUPTED = 2,	/* a tasklet had used its budget up */
	TL_RUN_SOFT_INTERRUPTED = 3, /* the same, but it let others run first */
};

/*
 * tl_run - run the others until none can run
 *
 * The caller, which may be any tasklet, leaves the ring and comes back when it
 * is empty and nothing outside (IO under way, a timer, an offloaded call, what
 * tl_external() has declared) can fill it again. What other threads may send or
 * insert does not count: TL_RUN_THREADBLOCK (watchdog.h) waits for that too. Runs
 * nest: the innermost is woken first; when an outer one is woken before, the inner
 * ones become runnable and return TL_RUN_FINISHED.
 *
 * Returns a verdict, or -code of an error that nobody caught: tl_catch() hands
 * that error over, and the other tasklets stay where they were. Returns
 * at once when nothing else can run. -EPERM: a switch or block trap.
 */
TL_API int tl_run(void);

/*
 * tl_exit - end the current tasklet from any depth
 *
 * As if its function had returned @result. Frames in between are not unwound,
 * except with TL_UNWIND: use tl_defer() for what must be undone. On the main
 * tasklet, stops the process with a message.
 */
TL_API void tl_exit(int result) __attribute__((noreturn));

/* tl_exit_error - the same with an error, whose ownership it takes */
TL_API void tl_exit_error(struct tl_error *error) __attribute__((noreturn));

/*
 * tl_catch - take the error that was delivered
 *
 * Hands over the error that was thrown at the caller, and ends the state in which
 * every blocking call fails; else the one that a call last reported (sent to the
 * caller, or uncaught elsewhere) and that was not taken yet. Calls that fail for
 * reasons of their own (-ETIMEDOUT, -EPIPE) leave none. NULL if there is none.
 */
TL_API struct tl_error *tl_catch(void);

/*
 * tl_defer - run fn(arg) when the current tasklet ends, however it ends
 *
 * Handlers run last in, first out, on the tasklet's own stack while it is still
 * the current one; kills are held off while they run. They may call anything but
 * tl_exit(). Allocates.
 *
 * Returns 0, -ENOMEM, -EPERM (in a callback), or -EINVAL (@fn is NULL, or on the
 * main tasklet, which does not end).
 */
TL_API int tl_defer(void (*fn)(void *arg), void *arg);

/*
 * tl_undefer - forget the youngest handler with this fn and arg
 *
 * Returns 0 or -ENOENT.
 */
TL_API int tl_undefer(void (*fn)(void *arg), void *arg);

/*
 * tl_shield - hold off kills and thrown errors
 *
 * While it is on, an error thrown at the caller waits, and blocking calls work
 * on; it is delivered by the first call that might block after it is off.
 * Returns the previous setting, to be restored (so sections nest).
 */
TL_API bool tl_shield(bool on);

/*
 * tl_fpenv_private - keep this tasklet's floating point control words apart
 *
 * Rounding, exception masks and the like (mxcsr and the x87 control word, fpcr)
 * belong to the thread; a tasklet that changes them says so here first, and
 * only it pays for saving and restoring them at each switch. A new tasklet
 * starts with those of the thread at its first switch. Returns the previous
 * setting; turning it off restores the thread's words.
 */
TL_API bool tl_fpenv_private(bool on);

/*
 * A schedule callback sees each real switch before it happens. It runs in @prev
 * and must not switch: such calls return -EPERM. @prev is NULL when the
 * thread's main tasklet starts.
 */
typedef void tl_schedule_fn(struct tl_task *prev, struct tl_task *next,
			    void *arg);

/*
 * tl_set_schedule_callback - watch this thread's switches; NULL turns it off
 *
 * The previous function and argument are stored where @old and @old_arg, which
 * may be NULL, point. Returns 0 or -ENOMEM (the thread had no scheduler yet).
 */
TL_API int tl_set_schedule_callback(tl_schedule_fn *fn, void *arg,
				    tl_schedule_fn **old, void **old_arg);

/*
 * An error handler is called on the stack of a tasklet that ends with an error.
 * It owns nothing. It returns true if the error is dealt with; else it goes to
 * the innermost tl_run(), or to the main tasklet, which runs at once.
 */
typedef bool tl_error_fn(struct tl_task *task, const struct tl_error *error,
			 void *arg);

/* tl_set_error_handler - as tl_set_schedule_callback() */
TL_API int tl_set_error_handler(tl_error_fn *fn, void *arg, tl_error_fn **old,
				void **old_arg);

/*
 * tl_switch_trap - forbid switches on this thread while the level is not 0
 *
 * Adds @delta to the level. A call that would switch returns -EPERM and changes
 * nothing; what goes to another thread's tasklets does not switch. Returns the old
 * level or -ENOMEM; -ERANGE if it would leave 0..2^30.
 */
TL_API int tl_switch_trap(int delta);

/*
 * tl_external - declare what the library can't see, but may wake this thread
 *
 * While the count, to which @delta is added, is not 0, the thread takes a
 * tasklet that can't go on for one that waits rather than for a deadlock, and
 * tl_run() does not return for want of runnable ones: for a thread that is still to
 * be started, as by a device's driver or a timer with SIGEV_THREAD; or to have
 * tl_run() wait for what other threads will send. For -EDEADLK alone, threads that
 * are there need not be declared, whether they have called the library or not: see
 * channel.h. Whoever is declared wakes by an insert, a send or the like. Returns
 * the old count or -ENOMEM; -ERANGE if it would leave 0..2^30.
 */
TL_API int tl_external(int delta);

/*
 * tl_sched_end - kill this thread's tasklets and free its scheduler
 *
 * Called on the main tasklet. Kills every other one, in rounds, waits for their
 * IO, and for what deferred handlers and shielded sections wait for (a time, other
 * threads), and gives all memory back; a thread that ends does the same. Channels
 * that the thread made, and handles of its tasklets, stay good for other threads;
 * the tasklets are dead. The next call of the thread makes a new scheduler.
 *
 * Who can't be killed is named on stderr. At the end of a thread such tasklets are
 * dead for all others, and never run again; their stacks are not given back.
 *
 * Returns 0; the number of tasklets that swallowed every kill, that the kernel, a
 * called function or their clean-up still held after ten seconds, or that nothing
 * can wake (they and the scheduler stay); -EINVAL if not called on the main tasklet; -EPERM in a callback.
 */
TL_API int tl_sched_end(void);

/*
 * tl_trim - give cached memory of this thread back to the kernel
 *
 * Returns the number of bytes of address space whose memory was given back.
 */
TL_API size_t tl_trim(void);

/*
 * struct tl_stats - counters of the calling thread
 *
 * @size is set by the caller to sizeof(struct tl_stats).
 */
struct tl_stats {
	size_t size;
	uint64_t alive;		/* tasklets that have not ended, main included */
	uint64_t runnable;	/* in the ring */
	uint64_t paused;
	uint64_t blocked;
	uint64_t stacks;	/* stacks that are in use or cached */
	uint64_t stacks_cached;
	uint64_t stacks_unguarded; /* no guard page could be had for them */
	uint64_t stack_bytes;	/* address space of all stacks */
	uint64_t timers;	/* deadlines pending */
	uint64_t io_pending;	/* IO operations and offloaded calls under way */
};

/* Returns 0, -EINVAL (size too small) or -ENOMEM. */
TL_API int tl_stats(struct tl_stats *out);

TL_END_DECLS

#endif
