/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Select: wait for the first of several sends and receives.
 */
#ifndef TASKLET_SELECT_H
#define TASKLET_SELECT_H

#include <tasklet/base.h>

TL_BEGIN_DECLS

struct tl_chan;

enum tl_select_op {
	TL_SELECT_RECV = 0,
	TL_SELECT_SEND = 1,
};

/*
 * struct tl_select_case - one thing to wait for
 *
 * @value points to the element to send, or to where a received one goes. A case
 * whose @chan is NULL never happens. @result is set for the case that happened:
 * 0, -EPIPE (the channel was closed), or -code of an error that was received,
 * which tl_catch() hands over. The rest is the library's, and so is the whole
 * array during the call.
 */
struct tl_select_case {
	struct tl_chan *chan;
	enum tl_select_op op;
	int result;
	void *value;
	void *tl__private[6];
};

/* Initialisers. */
#define TL_CASE_RECV(chan, value) { (chan), TL_SELECT_RECV, 0, (value), { 0 } }
#define TL_CASE_SEND(chan, value) { (chan), TL_SELECT_SEND, 0, (value), { 0 } }

/*
 * tl_select - do exactly one of @count cases
 *
 * If several can happen now, one of them is picked at random, so that none is
 * starved; else the caller blocks on all of them. Switching follows the rules of
 * the channel whose case happened. Does not allocate, for any number of cases.
 *
 * Contexts: tasklets and plain threads, on any channels; not signal handlers. If
 * one of the channels is shared (see channel.h), all become so; then a call takes
 * all their locks. Memory ordering: as of the channel whose case happened.
 *
 * Returns the index of the case that happened (look at its result), or, with
 * none happening: -EINVAL (@count negative, or a bad op), -ETIMEDOUT (_until),
 * -EAGAIN (try), -EPERM, -EDEADLK, -ELOOP, -ENOMEM, or what was thrown at the
 * caller.
 */
TL_API int tl_select(struct tl_select_case *cases, int count);
TL_API int tl_select_until(struct tl_select_case *cases, int count,
			   uint64_t deadline_ns);
TL_API int tl_try_select(struct tl_select_case *cases, int count);

TL_END_DECLS

#endif
