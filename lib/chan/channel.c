/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Channels: send and receive in all their forms, at length. See channel.h for the
 * invariants, fast.c for the way most calls take.
 *
 * Each operation looks for a partner or for room first, and blocks only where
 * there is neither. Whatever can refuse it (traps, a closed channel, memory for
 * the deadline) is asked before anything changes.
 */
#include "chan/channel.h"

#include <errno.h>

#include "core/end.h"

/* How long an operation may wait: a deadline, or one of these. */
#define TRY 0	/* tl_now() is never 0 */

/* --- before an operation ---------------------------------------------------- */

/* Returns -EPIPE if the callback has dropped the channel's last handle. */
static int call_back(struct tl_sched *s, struct tl_task *me, struct tl_chan *c,
		     bool sending, bool will_block)
{
	unsigned int was = s->slow & TL__SLOW_IN_CALLBACK;
	bool last;

	tl__chan_hold(c);
	s->slow |= TL__SLOW_IN_CHANNEL | TL__SLOW_IN_CALLBACK;
	s->channel_fn(c, me, sending, will_block, s->channel_arg);
	s->slow &= ~(TL__SLOW_IN_CHANNEL | TL__SLOW_IN_CALLBACK);
	s->slow |= was;
	/* relaxed: 0 is what we, or nobody who may call us, made of it */
	last = !atomic_load_explicit(&c->refs, memory_order_relaxed);
	tl__chan_release(c);
	return last ? -EPIPE : 0;
}

/* Inside: whether the first partner that waits is one to switch to. */
static bool partner_is_ours(const struct tl_sched *s, const struct tl_chan *c,
			    bool sending)
{
	if (sending)
		return c->nreceivers && c->receivers.next->task->sched == s;
	return !c->count && c->nsenders && c->senders.next->task->sched == s;
}

int tl__chan_entry_slow(struct tl_sched *s, struct tl_task *me,
			struct tl_chan *c, bool sending, bool blocking)
{
	bool can, switches, closing, local;
	int r;

	if (s->slow & TL__SLOW_IN_CHANNEL)
		return -ELOOP;
	if (blocking) {
		r = tl__raise_unwinding(me);
		if (r)
			return r;
	}
	local = tl__chan_enter(s, c);
	can = sending ? tl__chan_can_send(c) : tl__chan_can_recv(c);
	switches = partner_is_ours(s, c, sending) &&
		   tl__chan_switching(c, sending ? -1 : +1, true);
	closing = c->closing;
	tl__chan_leave(s, c, local);
	if (blocking && switches) {
		r = tl__switch_check(s);
		if (r)
			return r;
	}
	if (s->slow & TL__SLOW_CHANNEL)
		return call_back(s, me, c, sending,
				 !can && blocking && !closing);
	return 0;
}

/* All that may refuse an operation before it looks for a partner. */
static inline int begin(struct tl_sched *s, struct tl_chan *c, bool sending,
			bool blocking)
{
	if (unlikely(!s))
		return tl__sched_error();
	if (unlikely((s->head->flags & TL__ENTRY_FLAGS) | s->slow))
		return tl__chan_entry_slow(s, tl__me(s), c, sending, blocking);
	return 0;
}

/*
 * It would block, and @closing is what the channel says: may it? Arms the
 * deadline. Outside, for what is thrown may have a destructor.
 */
static int before_block(struct tl_sched *s, struct tl_task *me, bool closing,
			uint64_t deadline_ns)
{
	struct tl_error *error = me->waiter.error;
	int r;

	if (deadline_ns != TRY) {
		/* It may not return; the next send on this stack has none. */
		me->waiter.error = NULL;
		r = tl__block_check(s, me, true);
		me->waiter.error = error;
		if (unlikely(r))
			return r;
	}
	if (closing)
		return -EPIPE;
	if (deadline_ns == TRY)
		return -EAGAIN;
	return tl__deadline_arm(s, me, deadline_ns);
}

/* --- at length -------------------------------------------------------------- */

tl__cold void tl__chan_probe_fire(const struct tl_chan *c, bool sending,
				  const struct tl_task *me, int64_t balance)
{
	if (sending)
		TL__PROBE3(chan_send, c, me->id, balance);
	else
		TL__PROBE3(chan_recv, c, me->id, balance);
}

/*
 * Enters @c, looks whether it @sending can be done now, and queues the caller
 * if it can't but may wait. Returns 1: can be done, we are inside; 0: queued, or
 * -errno, outside.
 */
static int enter_or_queue(struct tl_sched *s, struct tl_task *me,
			  struct tl_chan *c, bool sending,
			  uint64_t deadline_ns, bool *local)
{
	bool closing, checked;
	int64_t balance;
	int r;

	/* Nothing can refuse to let it wait without a deadline. */
	checked = deadline_ns == TL_FOREVER &&
		  !((me->flags & TL__ENTRY_FLAGS) | s->slow);
	for (;;) {
		*local = tl__chan_enter(s, c);
		if (sending ? tl__chan_can_send(c) : tl__chan_can_recv(c))
			return 1;
		closing = c->closing;
		if (checked && !closing) {
			balance = tl__chan_balance(c);
			tl__chan_enqueue(c, *local, sending, &me->waiter);
			tl__chan_leave(s, c, *local);
			tl__chan_probe(c, sending, me, balance);
			return 0;
		}
		tl__chan_leave(s, c, *local);
		r = checked ? -EPIPE :
			      before_block(s, me, closing, deadline_ns);
		if (r) {
			tl__deadline_disarm(s, me);
			return r;
		}
		checked = true;
	}
}

static int do_send(struct tl_chan *c, const void *value, struct tl_error *error,
		   uint64_t deadline_ns)
{
	struct tl_sched *s = tl__sched();
	enum tl__switching how;
	struct tl__partner p;
	struct tl_task *me;
	bool local, done;
	int64_t balance;
	int r;

	r = begin(s, c, true, deadline_ns != TRY);
	if (unlikely(r))
		return r;
	me = s->head;
	do {
		me->waiter.value = (void *)value;
		me->waiter.error = error;
		r = enter_or_queue(s, me, c, true, deadline_ns, &local);
		if (!r)
			return tl__park(s, me, &tl__chan_send_ops, c);
		me->waiter.error = NULL;
		if (r < 0)
			return r;
		how = tl__chan_switching(c, -1, deadline_ns != TRY);
		balance = tl__chan_balance(c);
		done = tl__chan_send_now(c, local, value, error, &p);
		tl__chan_leave(s, c, local);
		tl__deadline_disarm(s, me);
	} while (unlikely(!done));
	tl__chan_probe(c, true, me, balance);
	return p.task ? tl__chan_hand_over(s, me, &p, how) : 0;
}

static int do_recv(struct tl_chan *c, void *value, uint64_t deadline_ns)
{
	struct tl_sched *s = tl__sched();
	struct tl_error *error;
	enum tl__switching how;
	struct tl__partner p;
	struct tl_task *me;
	bool local, done;
	int64_t balance;
	int r;

	r = begin(s, c, false, deadline_ns != TRY);
	if (unlikely(r))
		return r;
	me = s->head;
	do {
		me->waiter.value = value;
		r = enter_or_queue(s, me, c, false, deadline_ns, &local);
		if (!r)
			return tl__park(s, me, &tl__chan_recv_ops, c);
		if (r < 0)
			return r;
		/* A sender who only takes the room runs in its turn. */
		how = c->count ? TL__GO_ON :
				 tl__chan_switching(c, +1, deadline_ns != TRY);
		balance = tl__chan_balance(c);
		done = tl__chan_recv_now(c, local, value, &error, &p);
		tl__chan_leave(s, c, local);
		tl__deadline_disarm(s, me);
	} while (unlikely(!done));
	tl__chan_probe(c, false, me, balance);
	if (p.task)
		tl__chan_hand_over(s, me, &p, how);
	return tl__chan_report(me, error);
}

int tl__chan_send_at_length(struct tl_chan *c, const void *value)
{
	return do_send(c, value, NULL, TL_FOREVER);
}

int tl__chan_recv_at_length(struct tl_chan *c, void *value)
{
	return do_recv(c, value, TL_FOREVER);
}

/* --- the other forms -------------------------------------------------------- */

int tl_chan_send_until(struct tl_chan *chan, const void *value,
		       uint64_t deadline_ns)
{
	/* 0 lies in the past as 1 does, and is not TRY: it may switch */
	return do_send(chan, value, NULL, deadline_ns ? deadline_ns : 1);
}

int tl_chan_try_send(struct tl_chan *chan, const void *value)
{
	return do_send(chan, value, NULL, TRY);
}

int tl_chan_recv_until(struct tl_chan *chan, void *value, uint64_t deadline_ns)
{
	return do_recv(chan, value, deadline_ns ? deadline_ns : 1);
}

int tl_chan_try_recv(struct tl_chan *chan, void *value)
{
	return do_recv(chan, value, TRY);
}

static int send_error(struct tl_chan *chan, struct tl_error *error,
		      uint64_t deadline_ns)
{
	struct tl_sched *s = tl__sched();

	if (!s)
		return tl__sched_error();
	if (!error)
		return -EINVAL;
	tl__error_set_origin(error, tl__task_label(tl__me(s)));
	return do_send(chan, "" /* no value */, error, deadline_ns);
}

int tl_chan_send_error(struct tl_chan *chan, struct tl_error *error)
{
	return send_error(chan, error, TL_FOREVER);
}

int tl_chan_send_error_until(struct tl_chan *chan, struct tl_error *error,
			     uint64_t deadline_ns)
{
	return send_error(chan, error, deadline_ns ? deadline_ns : 1);
}

int tl_chan_try_send_error(struct tl_chan *chan, struct tl_error *error)
{
	return send_error(chan, error, TRY);
}
