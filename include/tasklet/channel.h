/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Channels: values handed from one tasklet to another, first come first served.
 *
 * A channel carries elements of one size, copied by value from the sender's
 * memory to the receiver's. Without a capacity it is a rendezvous: a send ends
 * when a receiver has the value. With one, that many values wait in the channel
 * first. Each call either happens completely or has no effect: a value is never
 * lost or seen twice because a call timed out or its tasklet was killed.
 *
 * Who runs next when a partner was waiting, T the partner and S the caller:
 *
 *	schedule_all set		T goes to the end of the ring, the
 *					tasklet after S runs, S keeps its place
 *	the preferred side is T		T runs now, S is last in the ring
 *	otherwise			T goes to the end of the ring, S goes on
 *
 * The preference is -1 (receiver; the default), 0 (none) or +1 (sender). Where a
 * capacity stands between the two, a send or receive that only moves a value in
 * or out never switches; the sender who takes the room goes to the end. A partner
 * of another thread becomes runnable there, at the end of its ring, and S goes on,
 * whatever the settings say.
 *
 * Contexts, unless said otherwise: tasklets and plain threads, any of them on any
 * channel; not signal handlers. A channel begins as the business of the thread
 * that made it, which uses it without atomic operations. The first call of another
 * thread makes it a shared one for good: that costs a membarrier(2) once, some
 * microseconds, and each later call a short lock. A thread most of whose channels
 * become shared makes further ones shared from the start. It outlives the thread.
 *
 * Memory ordering: what was done before a send is visible to whoever receives that
 * value; before a receive, to the sender whose value it takes or makes room for,
 * when his call returns; before a close, to those who get -EPIPE of it; and before
 * any handle is given up, to whoever frees the channel.
 *
 * -EDEADLK is found when every thread that has a scheduler sleeps, none of them
 * with a deadline, IO or a call under way or a tl_external(), and no thread is
 * there that never called the library, for it still may: then each of them is told.
 * The call that its thread made last fails, and has had no effect. A thread that
 * runs, or is in a system call, counts as one that may go on.
 * tl_deadlock_report() (dump.h) says who waited for what; with TL_DEADLOCK=report
 * in the environment that goes to standard error as well.
 *
 * After fork() the child has the calling thread alone: there it must not use
 * channels that other threads have used, nor other threads' tasklets.
 *
 * Blocking calls fail with
 *
 *	-EPIPE		the channel is closed; a receive fails so only when
 *			nothing is left inside
 *	-ETIMEDOUT	the deadline passed (_until)
 *	-EAGAIN		it would block (try)
 *	-EPERM		a trap forbids to block or to switch
 *	-EDEADLK	it would block and nobody could ever end that
 *	-ELOOP		called from a channel callback
 *	-ECANCELED	the caller was killed; or whatever was thrown at it
 *	-ENOMEM		no memory for the deadline, or the thread's scheduler
 */
#ifndef TASKLET_CHANNEL_H
#define TASKLET_CHANNEL_H

#include <tasklet/base.h>

TL_BEGIN_DECLS

struct tl_chan;
struct tl_task;
struct tl_error;

/*
 * tl_chan_new - make a channel for elements of @elem_size bytes
 *
 * @capacity values may wait in it; 0 makes it a rendezvous. Elements of 0 bytes
 * are signals. Returns 0, -EINVAL (a size over 1 GiB) or -ENOMEM.
 */
TL_API int tl_chan_new(struct tl_chan **out, size_t elem_size, size_t capacity);

/* tl_chan_ref - one more handle. Returns @chan. */
TL_API struct tl_chan *tl_chan_ref(struct tl_chan *chan);

/*
 * tl_chan_unref - give a handle up
 *
 * With the last one the channel closes, its waiters get -EPIPE, and it is
 * freed; errors that still wait in it are destroyed. NULL is allowed. Any thread:
 * the last one may be given up anywhere.
 */
TL_API void tl_chan_unref(struct tl_chan *chan);

/* tl_chan_send - send the element at @value. Returns 0 or see above. */
TL_API int tl_chan_send(struct tl_chan *chan, const void *value);
TL_API int tl_chan_send_until(struct tl_chan *chan, const void *value,
			      uint64_t deadline_ns);
TL_API int tl_chan_try_send(struct tl_chan *chan, const void *value);

/*
 * tl_chan_recv - receive an element into @value
 *
 * @value is written only on success. An error that was sent is returned as its
 * -code, and tl_catch() hands it over. Returns 0 or see above.
 */
TL_API int tl_chan_recv(struct tl_chan *chan, void *value);
TL_API int tl_chan_recv_until(struct tl_chan *chan, void *value,
			      uint64_t deadline_ns);
TL_API int tl_chan_try_recv(struct tl_chan *chan, void *value);

/*
 * tl_chan_send_error - send an error in place of a value
 *
 * Ownership passes on success only.
 */
TL_API int tl_chan_send_error(struct tl_chan *chan, struct tl_error *error);
TL_API int tl_chan_send_error_until(struct tl_chan *chan,
				    struct tl_error *error,
				    uint64_t deadline_ns);
TL_API int tl_chan_try_send_error(struct tl_chan *chan, struct tl_error *error);

/*
 * tl_chan_send_sequence - send what a generator yields
 *
 * next(arg, value) fills @value (one element, aligned as malloc's memory) and
 * returns 1; 0 at the end; -errno to abort. Returns how many were sent, or the
 * first failure; those sent before it stay sent.
 */
TL_API long tl_chan_send_sequence(struct tl_chan *chan,
				  int (*next)(void *arg, void *value),
				  void *arg);

/* tl_chan_send_array - send @count elements. Returns as send_sequence. */
TL_API long tl_chan_send_array(struct tl_chan *chan, const void *values,
			       size_t count);

/*
 * tl_chan_next - receive, for loops
 *
 * Returns 1 with a value; 0 when the channel is closed and drained; or an
 * error:	while ((r = tl_chan_next(chan, &value)) > 0) ...
 */
TL_API int tl_chan_next(struct tl_chan *chan, void *value);

/*
 * tl_chan_close - no more may block on this channel
 *
 * Those that block now get -EPIPE, first come first served, and are made
 * runnable; the caller goes on. Values that wait inside can still be received;
 * nothing can be sent. Idempotent. Returns 0, or -ENOMEM for a thread's first
 * call.
 */
TL_API int tl_chan_close(struct tl_chan *chan);

/* tl_chan_open - undo close. Returns as close. */
TL_API int tl_chan_open(struct tl_chan *chan);

/*
 * Closing: close was called. Closed: and nothing is left inside.
 *
 * Where other threads use the channel, this and what follows may be over when the
 * caller hears of it.
 */
TL_API bool tl_chan_is_closing(const struct tl_chan *chan);
TL_API bool tl_chan_is_closed(const struct tl_chan *chan);

/*
 * tl_chan_balance - values and senders that wait, or minus the receivers
 *
 * Where one tasklet's tl_select() waits for both directions it counts for both.
 */
TL_API long tl_chan_balance(const struct tl_chan *chan);

/*
 * The first tasklet that waits on the channel; NULL. No handle: one of another
 * thread may be gone at once, so it is only good for comparing.
 */
TL_API struct tl_task *tl_chan_queue(const struct tl_chan *chan);

TL_API size_t tl_chan_elem_size(const struct tl_chan *chan);
TL_API size_t tl_chan_capacity(const struct tl_chan *chan);

/* The preference: any value is clamped to -1, 0 or +1. Returns the old one. */
TL_API int tl_chan_set_preference(struct tl_chan *chan, int preference);
TL_API int tl_chan_preference(const struct tl_chan *chan);

/* Overrides the preference. Returns the old setting. */
TL_API bool tl_chan_set_schedule_all(struct tl_chan *chan, bool on);
TL_API bool tl_chan_schedule_all(const struct tl_chan *chan);

/*
 * A channel callback sees each send and receive of its thread before it
 * happens; @will_block: @task will have to wait, as far as can be told where other
 * threads use the channel too. What other threads do to the same channel only their
 * own callbacks see. Channel calls inside it fail with -ELOOP, other switches with
 * -EPERM.
 */
typedef void tl_channel_fn(struct tl_chan *chan, struct tl_task *task,
			   bool sending, bool will_block, void *arg);

/*
 * tl_set_channel_callback - watch this thread's channels; NULL turns it off
 *
 * The previous function and argument go where @old and @old_arg, which may be
 * NULL, point. Returns 0 or -ENOMEM.
 */
TL_API int tl_set_channel_callback(tl_channel_fn *fn, void *arg,
				   tl_channel_fn **old, void **old_arg);

TL_END_DECLS

#endif
