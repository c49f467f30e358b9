/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Send and receive without a deadline, by the shortest way where there is one.
 *
 * That is: a channel of our own, elements of one word, nobody who watches or
 * holds anything, a partner who does nothing but wait on this channel. There
 * tl_chan_send() and tl_chan_recv() call nothing they come back from, so they
 * need no frame; whatever is out of the ordinary goes to channel.c, which says
 * the same at length.
 */
#include "chan/channel.h"

#include <errno.h>

#include "core/kill.h"

/* @watched: somebody listens to the probe of such calls. */
static inline bool is_ordinary(const struct tl_sched *s,
			       const struct tl_chan *c, unsigned int watched)
{
	return tl__chan_is_local(s, c) && c->elem_size == 8 &&
	       !c->schedule_all &&
	       !((s->head->flags & TL__ENTRY_FLAGS) | s->slow | watched);
}

static inline bool only_waits(const struct tl__waiter *w)
{
	return !w->select && !tl__heap_has(&w->task->timer);
}

/* Leaves the section that was entered in vain. */
static __attribute__((noinline)) int
leave_and_send(struct tl_sched *s, struct tl_chan *c, const void *value)
{
	tl__local_leave(s);
	return tl__chan_send_at_length(c, value);
}

static __attribute__((noinline)) int
leave_and_recv(struct tl_sched *s, struct tl_chan *c, void *value)
{
	tl__local_leave(s);
	return tl__chan_recv_at_length(c, value);
}

/* Inside, where it is known that it can be done, but not by the shortest way. */
static __attribute__((noinline)) int
send_from_inside(struct tl_sched *s, struct tl_chan *c, const void *value)
{
	enum tl__switching how = tl__chan_switching(c, -1, true);
	struct tl__partner p;

	tl__chan_send_now(c, true, value, NULL, &p);
	tl__local_leave(s);
	return p.task ? tl__chan_hand_over(s, s->head, &p, how) : 0;
}

static __attribute__((noinline)) int
recv_from_inside(struct tl_sched *s, struct tl_chan *c, void *value)
{
	enum tl__switching how = c->count ? TL__GO_ON :
					    tl__chan_switching(c, +1, true);
	struct tl_task *me = s->head;
	struct tl_error *error;
	struct tl__partner p;

	tl__chan_recv_now(c, true, value, &error, &p);
	tl__local_leave(s);
	if (p.task)
		tl__chan_hand_over(s, me, &p, how);
	return tl__chan_report(me, error);
}

int tl_chan_send(struct tl_chan *chan, const void *value)
{
	struct tl_sched *s = tl__sched_self;
	struct tl_task *me, *t;
	struct tl__waiter *w;
	bool switches;

	if (unlikely(!s) || unlikely(!tl__local_enter(s)))
		return tl__chan_send_at_length(chan, value);
	if (unlikely(!is_ordinary(s, chan, tl__probe_wanted(chan_send))))
		return leave_and_send(s, chan, value);
	me = s->head;
	if (!chan->nreceivers) {
		if (chan->count < chan->capacity && !chan->closing)
			return send_from_inside(s, chan, value);
		if (unlikely(chan->closing))
			return leave_and_send(s, chan, value);
		me->waiter.value = (void *)value;
		tl__waiter_enqueue(&chan->senders, &me->waiter);
		chan->nsenders++;
		tl__local_leave(s);
		return tl__park(s, me, &tl__chan_send_ops, chan);
	}
	w = chan->receivers.next;
	if (unlikely(!only_waits(w)))
		return send_from_inside(s, chan, value);
	t = w->task;
	tl__waiter_dequeue(w);
	chan->nreceivers--;
	memcpy(w->value, value, 8);
	switches = chan->preference < 0;
	tl__local_leave(s);
	t->result = 0;
	if (!switches) {
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
	struct tl_task *me, *t;
	struct tl__waiter *w;

	if (unlikely(!s) || unlikely(!tl__local_enter(s)))
		return tl__chan_recv_at_length(chan, value);
	if (unlikely(!is_ordinary(s, chan, tl__probe_wanted(chan_recv))))
		return leave_and_recv(s, chan, value);
	me = s->head;
	if (chan->count)
		return recv_from_inside(s, chan, value);
	if (!chan->nsenders) {
		if (unlikely(chan->closing))
			return leave_and_recv(s, chan, value);
		me->waiter.value = value;
		tl__waiter_enqueue(&chan->receivers, &me->waiter);
		chan->nreceivers++;
		tl__local_leave(s);
		return tl__park(s, me, &tl__chan_recv_ops, chan);
	}
	w = chan->senders.next;
	if (unlikely(!only_waits(w) || w->error || chan->preference > 0))
		return recv_from_inside(s, chan, value);
	t = w->task;
	tl__waiter_dequeue(w);
	chan->nsenders--;
	memcpy(value, w->value, 8);
	tl__local_leave(s);
	t->result = 0;
	tl__ring_append(s, t);
	return 0;
}

/*
 * The end of the channel is an -EPIPE that comes of nothing but the channel:
 * nothing was pending before, nothing was thrown or sent meanwhile.
 */
int tl_chan_next(struct tl_chan *chan, void *value)
{
	struct tl_sched *s = tl__sched();
	struct tl_error *caught;
	struct tl_task *me;
	int r;

	if (unlikely(!s))
		return tl__sched_error();
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
