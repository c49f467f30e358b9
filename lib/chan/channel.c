/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Channels: send, receive, close. See channel.h for the invariants.
 *
 * Each operation looks for a partner or for room first, and blocks only where
 * there is neither. Whatever can refuse it (traps, a closed channel, memory for
 * the deadline) is asked before anything changes.
 */
#include "chan/channel.h"

#include <errno.h>

#include "base/alloc.h"
#include "core/end.h"

/* How long an operation may wait: a deadline, or one of these. */
#define TRY 0	/* tl_now() is never 0 */

static struct tl_task *neighbour(const struct tl_task *t,
				 const struct tl__waiter *queue, int side)
{
	const struct tl__waiter *w = side > 0 ? t->waiter.next : t->waiter.prev;

	return w != queue ? w->task : NULL;
}

static struct tl_task *send_neighbour(const struct tl_task *t, int side)
{
	return neighbour(t, &((struct tl_chan *)t->wait_object)->senders, side);
}

static struct tl_task *recv_neighbour(const struct tl_task *t, int side)
{
	return neighbour(t, &((struct tl_chan *)t->wait_object)->receivers,
			 side);
}

static bool send_abandon(struct tl_task *t, int result)
{
	struct tl_chan *c = t->wait_object;

	tl__waiter_dequeue(&t->waiter);
	c->nsenders--;
	t->waiter.error = NULL;		/* stays the sender's */
	tl__wake(t->sched, t, result);
	return true;
}

static bool recv_abandon(struct tl_task *t, int result)
{
	struct tl_chan *c = t->wait_object;

	tl__waiter_dequeue(&t->waiter);
	c->nreceivers--;
	tl__wake(t->sched, t, result);
	return true;
}

const struct tl__wait_ops tl__chan_send_ops = {
	.verb = "sends to",
	.abandon = send_abandon,
	.neighbour = send_neighbour,
	.direction = +1,
};

const struct tl__wait_ops tl__chan_recv_ops = {
	.verb = "receives from",
	.abandon = recv_abandon,
	.neighbour = recv_neighbour,
	.direction = -1,
};

static char *buffer_place(const struct tl_chan *c, size_t i)
{
	size_t place = c->first + i;

	return c->buffer + (place < c->capacity ? place : place - c->capacity) *
			   c->stride;
}

static uint8_t *error_mark(const struct tl_chan *c, size_t i)
{
	size_t place = c->first + i;

	return &c->is_error[place < c->capacity ? place : place - c->capacity];
}

void tl__chan_buffer_put(struct tl_chan *c, const void *value,
			 struct tl_error *error)
{
	char *place = buffer_place(c, c->count);

	*error_mark(c, c->count) = error != NULL;
	if (error)
		memcpy(place, &error, sizeof(error));
	else
		tl__chan_copy(c, place, value);
	c->count++;
}

struct tl_error *tl__chan_buffer_get(struct tl_sched *s, struct tl_chan *c,
				     void *value)
{
	struct tl_error *error = NULL;
	char *place = buffer_place(c, 0);

	if (*error_mark(c, 0))
		memcpy(&error, place, sizeof(error));
	else
		tl__chan_copy(c, value, place);
	c->first = c->first + 1 < c->capacity ? c->first + 1 : 0;
	c->count--;

	/* The first sender that waits takes the room; it runs in its turn. */
	if (c->nsenders && !c->closing) {
		struct tl__waiter *w = c->senders.next;

		tl__waiter_dequeue(w);
		c->nsenders--;
		tl__chan_buffer_put(c, w->value, w->error);
		w->error = NULL;
		tl__wake(s, w->task, tl__waiter_claim(w, 0));
	}
	return error;
}

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
	last = !c->refs;
	tl__chan_release(c);
	return last ? -EPIPE : 0;
}

int tl__chan_entry_slow(struct tl_sched *s, struct tl_task *me,
			struct tl_chan *c, bool sending, bool blocking)
{
	bool can;
	int r;

	if (s->slow & TL__SLOW_IN_CHANNEL)
		return -ELOOP;
	if (blocking) {
		r = tl__raise(me);
		if (r)
			return r;
	}
	can = sending ? tl__chan_can_send(c) : tl__chan_can_recv(c);
	if (blocking && can &&
	    (sending ? c->nreceivers : !c->count && c->nsenders) &&
	    tl__chan_would_switch(c, sending ? -1 : +1)) {
		r = tl__switch_check(s);
		if (r)
			return r;
	}
	if (s->slow & TL__SLOW_CHANNEL)
		return call_back(s, me, c, sending,
				 !can && blocking && !c->closing);
	return 0;
}

/* All that may refuse an operation before it looks for a partner. */
static inline int entry(struct tl_sched *s, struct tl_chan *c, bool sending,
			bool blocking)
{
	if (unlikely(c->sched != s))
		return -EXDEV;
	if (unlikely((s->head->flags & TL__ENTRY_FLAGS) | s->slow))
		return tl__chan_entry_slow(s, tl__me(s), c, sending, blocking);
	return 0;
}

/* It would block: may it? Arms the deadline. */
static inline int before_block(struct tl_sched *s, struct tl_task *me,
			       const struct tl_chan *c, uint64_t deadline_ns)
{
	int r;

	if (deadline_ns != TRY) {
		r = tl__block_check(s, me, true);
		if (unlikely(r))
			return r;
	}
	if (unlikely(c->closing))
		return -EPIPE;
	if (deadline_ns == TRY)
		return -EAGAIN;
	return deadline_ns == TL_FOREVER ? 0 :
					   tl__deadline_arm(s, me, deadline_ns);
}

static inline __attribute__((always_inline)) int
do_send(struct tl_chan *c, const void *value, struct tl_error *error,
	uint64_t deadline_ns)
{
	struct tl_sched *s = tl__sched_self;
	struct tl_task *me;
	int r;

	r = entry(s, c, true, deadline_ns != TRY);
	if (unlikely(r))
		return r;
	me = s->head;
	if (tl__chan_can_send(c))
		return tl__chan_send_now(s, me, c, value, error,
					 deadline_ns != TRY);
	r = before_block(s, me, c, deadline_ns);
	if (unlikely(r))
		return r;
	me->waiter.value = (void *)value;
	if (error)
		me->waiter.error = error;
	tl__waiter_enqueue(&c->senders, &me->waiter);
	c->nsenders++;
	return tl__park(s, me, &tl__chan_send_ops, c);
}

static inline __attribute__((always_inline)) int
do_recv(struct tl_chan *c, void *value, uint64_t deadline_ns)
{
	struct tl_sched *s = tl__sched_self;
	struct tl_error *error;
	struct tl_task *me;
	int r;

	r = entry(s, c, false, deadline_ns != TRY);
	if (unlikely(r))
		return r;
	me = s->head;
	if (tl__chan_can_recv(c)) {
		error = tl__chan_recv_now(s, me, c, value, deadline_ns != TRY);
		return tl__chan_report(me, error);
	}
	r = before_block(s, me, c, deadline_ns);
	if (unlikely(r))
		return r;
	me->waiter.value = value;
	tl__waiter_enqueue(&c->receivers, &me->waiter);
	c->nreceivers++;
	return tl__park(s, me, &tl__chan_recv_ops, c);
}

/*
 * The frequent case of send and receive: a channel of our own, elements of one
 * word, nobody who watches or holds anything, a partner who does nothing but
 * wait on this channel. These two functions call nothing they come back from,
 * so they need no frame; whatever is out of the ordinary goes to do_send() and
 * do_recv(), which say the same at length.
 */
static inline bool is_ordinary(const struct tl_sched *s,
			       const struct tl_chan *c)
{
	return c->sched == s && c->elem_size == 8 && !c->schedule_all &&
	       !((s->head->flags & TL__ENTRY_FLAGS) | s->slow);
}

static inline bool only_waits(const struct tl_task *t,
			      const struct tl__wait_ops *ops)
{
	return t->wait_ops == ops && !tl__heap_has(&t->timer);
}

static __attribute__((noinline)) int send_at_length(struct tl_chan *c,
						    const void *value)
{
	return do_send(c, value, NULL, TL_FOREVER);
}

static __attribute__((noinline)) int recv_at_length(struct tl_chan *c,
						    void *value)
{
	return do_recv(c, value, TL_FOREVER);
}

int tl_chan_send(struct tl_chan *chan, const void *value)
{
	struct tl_sched *s = tl__sched_self;
	struct tl__waiter *w = chan->receivers.next;
	struct tl_task *me, *t;

	if (unlikely(!is_ordinary(s, chan)))
		return send_at_length(chan, value);
	me = s->head;
	if (!chan->nreceivers) {
		if (unlikely(chan->capacity || chan->closing))
			return send_at_length(chan, value);
		me->waiter.value = (void *)value;
		tl__waiter_enqueue(&chan->senders, &me->waiter);
		chan->nsenders++;
		return tl__park(s, me, &tl__chan_send_ops, chan);
	}
	t = w->task;
	if (unlikely(!only_waits(t, &tl__chan_recv_ops)))
		return send_at_length(chan, value);
	tl__waiter_dequeue(w);
	chan->nreceivers--;
	memcpy(w->value, value, 8);
	t->result = 0;
	if (chan->preference >= 0) {
		tl__ring_append(s, t);
		return 0;
	}
	tl__ring_insert_after(s, me, t);
	s->head = t;
	return tl__settled_to(s, me, t);
}

int tl_chan_recv(struct tl_chan *chan, void *value)
{
	struct tl_sched *s = tl__sched_self;
	struct tl__waiter *w = chan->senders.next;
	struct tl_task *me, *t;

	if (unlikely(!is_ordinary(s, chan) || chan->capacity))
		return recv_at_length(chan, value);
	me = s->head;
	if (!chan->nsenders) {
		if (unlikely(chan->closing))
			return recv_at_length(chan, value);
		me->waiter.value = value;
		tl__waiter_enqueue(&chan->receivers, &me->waiter);
		chan->nreceivers++;
		return tl__park(s, me, &tl__chan_recv_ops, chan);
	}
	t = w->task;
	if (unlikely(!only_waits(t, &tl__chan_send_ops) || w->error ||
		     chan->preference > 0))
		return recv_at_length(chan, value);
	tl__waiter_dequeue(w);
	chan->nsenders--;
	memcpy(value, w->value, 8);
	t->result = 0;
	tl__ring_append(s, t);
	return 0;
}

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
	if (!error)
		return -EINVAL;
	if (chan->sched == tl__sched_self)
		tl__error_set_origin(error, tl__task_label(tl__me(chan->sched)));
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

/*
 * The end of the channel is an -EPIPE that comes of nothing but the channel:
 * nothing was pending before, nothing was thrown or sent meanwhile.
 */
int tl_chan_next(struct tl_chan *chan, void *value)
{
	struct tl_sched *s = tl__sched_self;
	struct tl_error *caught;
	struct tl_task *me;
	int r;

	if (unlikely(chan->sched != s))
		return -EXDEV;
	me = tl__me(s);
	r = tl__raise_check(me);
	if (unlikely(r))
		return r;
	caught = me->caught;
	r = tl_chan_recv(chan, value);
	if (likely(!r))
		return 1;
	if (r != -EPIPE || me->caught != caught)
		return r;
	/* Thrown meanwhile? Then it fails the next call as well. */
	return (me->flags & (TL__RAISED | TL__SHIELDED)) == TL__RAISED &&
	       tl_error_code(me->thrown) == EPIPE ? r : 0;
}
