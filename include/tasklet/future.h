/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Futures: results that are still to come, and calls that bring them.
 *
 * A future is in one of these states, and each arrow is taken once at most:
 *
 *	pending -> running -> finished		with a result or an error
 *	pending, running -> cancelled		what comes afterwards is ignored
 *
 * Finished and cancelled ones are done. Anybody may wait for a future: tasklets
 * of any thread, and plain threads; and anybody may complete it, any thread, with
 * or without tasklets. Handles are counted.
 *
 * Three things complete a future: the program, with tl_future_set(); a function
 * that tl_call_async() runs on another thread; a tasklet made by tl_async().
 *
 * Contexts, unless said otherwise: tasklets and plain threads; not signal
 * handlers. What was done before a future was completed is visible to whoever
 * has found it done. Functions that wait fail with
 *
 *	-ETIMEDOUT	the deadline passed (_until)
 *	-EDEADLK	nobody can ever complete it: every thread waits for another,
 *			see tl_chan_recv()
 *	-EPERM		a trap forbids to block
 *	-ECANCELED	the caller was killed; or whatever was thrown at it
 *	-ENOMEM		no memory for the deadline, or for more than 8 futures
 */
#ifndef TASKLET_FUTURE_H
#define TASKLET_FUTURE_H

#include <tasklet/base.h>
#include <tasklet/task.h>

TL_BEGIN_DECLS

struct tl_future;
struct tl_error;

enum tl_future_state {
	TL_FUTURE_PENDING = 0,
	TL_FUTURE_RUNNING = 1,
	TL_FUTURE_CANCELLED = 2,
	TL_FUTURE_FINISHED = 3,
};

/* tl_future_new - make a pending one. Returns 0, -EINVAL (no @out), -ENOMEM. */
TL_API int tl_future_new(struct tl_future **out);

/* tl_future_ref - one more handle. Returns @future. */
TL_API struct tl_future *tl_future_ref(struct tl_future *future);

/* tl_future_unref - give a handle up; the last one frees. NULL is allowed. */
TL_API void tl_future_unref(struct tl_future *future);

/*
 * tl_future_start - whoever will complete it begins: it is running
 *
 * Returns 0; -ECANCELED: it was cancelled, there is no need; -EALREADY.
 */
TL_API int tl_future_start(struct tl_future *future);

/*
 * tl_future_set, tl_future_set_error - complete it
 *
 * Wakes all who wait. The error is the future's if this returns 0.
 *
 * Returns 0; -ECANCELED: it was cancelled, and what came is ignored; -EALREADY:
 * it is finished, or the tasklet that brings it is ending with an error; -EINVAL:
 * @error is NULL.
 */
TL_API int tl_future_set(struct tl_future *future, long result);
TL_API int tl_future_set_error(struct tl_future *future,
			       struct tl_error *error);

/*
 * tl_future_cancel - nobody wants the result any more
 *
 * It is cancelled at once, and all who wait for it are woken. A function of
 * tl_call_async() that has not begun never will; one that runs, runs on. A
 * tasklet of tl_async() is killed, as by tl_task_kill_later().
 *
 * Returns 0, or -EALREADY: it was done, or the tasklet that brings it is ending
 * with an error.
 */
TL_API int tl_future_cancel(struct tl_future *future);

TL_API enum tl_future_state tl_future_state(struct tl_future *future);

/*
 * tl_future_result - what it came to; does not wait
 *
 * Returns 0 with *result (may be NULL) set; -EAGAIN (it isn't done); -ECANCELED
 * (it was cancelled); or -code of its error.
 */
TL_API int tl_future_result(struct tl_future *future, long *result);

/* Its error, as long as it lives; NULL if it has none. */
TL_API const struct tl_error *tl_future_error(struct tl_future *future);

/* tl_future_wait - wait until it is done, in whatever way. 0; -EINVAL: NULL. */
TL_API int tl_future_wait(struct tl_future *future);
TL_API int tl_future_wait_until(struct tl_future *future,
				uint64_t deadline_ns);

/*
 * tl_wait_any - wait until one of @count futures is done
 *
 * NULL entries are left out: to get all, in the order of their completion, take
 * each out as it comes. Returns the index of the one that was done first, or
 * -EINVAL (nothing to wait for), or the errors above.
 */
TL_API int tl_wait_any(struct tl_future *const *futures, int count);
TL_API int tl_wait_any_until(struct tl_future *const *futures, int count,
			     uint64_t deadline_ns);

/* tl_wait_all - wait until all are done; NULLs are left out. Returns 0. */
TL_API int tl_wait_all(struct tl_future *const *futures, int count);
TL_API int tl_wait_all_until(struct tl_future *const *futures, int count,
			     uint64_t deadline_ns);

/*
 * A function for another thread. *error is NULL; if it puts one there, that is
 * what the call comes to.
 */
typedef long tl_call_fn(void *arg, struct tl_error **error);

/*
 * tl_call_async - run fn(arg) on another thread
 *
 * On the pool of tl_offload(): up to 64 threads that are started when none is
 * idle, and end when they are idle for long; further calls queue, first come
 * first served. @out may be NULL.
 *
 * @on_abandoned (may be NULL) is for what @fn leaves behind when nobody takes
 * its result: the future was cancelled before @fn was done, or had no handle any
 * more. Then it is called once with @arg: after @fn, on its thread; or, if @fn
 * had not begun, in its place, by whoever cancelled.
 *
 * Does not switch. Returns 0, -EINVAL (no @fn), -ENOMEM, -EAGAIN (no thread can be
 * started).
 */
TL_API int tl_call_async(struct tl_future **out, tl_call_fn *fn, void *arg,
			 void (*on_abandoned)(void *arg));

/*
 * tl_call - the same, and wait for it
 *
 * Unlike tl_offload() this does not wait for @fn when the caller is killed or its
 * deadline passes: it leaves at once and the call is abandoned, cleanly, see
 * @on_abandoned above. @arg must not lie on the caller's stack then.
 *
 * Returns 0 with *result (may be NULL) set; -code of the error of @fn, which
 * tl_catch() hands over; as tl_call_async(); or the errors of a wait.
 */
TL_API int tl_call(tl_call_fn *fn, void *arg, void (*on_abandoned)(void *arg),
		   long *result);
TL_API int tl_call_until(tl_call_fn *fn, void *arg,
			 void (*on_abandoned)(void *arg), long *result,
			 uint64_t deadline_ns);

/*
 * tl_async - run fn(arg) as a new tasklet of this thread
 *
 * Its future is running. It comes to what the function returned, or to the
 * tasklet's uncaught error, if the future has a handle still; it is cancelled
 * if the tasklet is killed. The tasklet is linked at the end of the ring.
 *
 * Returns 0, -EINVAL (no @out, no @fn), -ENOMEM.
 */
TL_API int tl_async(struct tl_future **out, tl_task_fn *fn, void *arg);

TL_END_DECLS

#endif
