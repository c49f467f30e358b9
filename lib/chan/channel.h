/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What channels and select share.
 *
 * A channel belongs to one thread. Invariants: if tasklets wait to receive, then
 * nothing waits inside and nobody waits to send, except where one tl_select()
 * waits for both; if somebody waits to send, the buffer is full; nreceivers and
 * nsenders are the lengths of the queues.
 *
 * The value's slot belongs to the waiter: a sender copies straight into the
 * memory of the receiver it has chosen, and the other way round, so no value is
 * ever under way.
 */
#ifndef TL_CHAN_CHANNEL_H
#define TL_CHAN_CHANNEL_H

#include <string.h>

#include <tasklet/channel.h>

#include "base/list.h"
#include "core/kill.h"
#include "core/park.h"

struct tl_chan {
	struct tl_sched *sched;
	size_t elem_size;
	unsigned int nreceivers, nsenders;
	int8_t preference;
	bool schedule_all;
	bool closing;
	size_t capacity, count, first;	/* the buffer: count from first on */
	struct tl__waiter receivers, senders;	/* heads of the queues */

	uint32_t refs;
	uint32_t holds;			/* by calls that will look at it again */
	const void *thread;		/* what only its thread has an address of */
	size_t stride;			/* of the buffer; room for an error */
	char *buffer;
	uint8_t *is_error;		/* for each place in it */
};

extern const struct tl__wait_ops tl__chan_send_ops;
extern const struct tl__wait_ops tl__chan_recv_ops;
extern const struct tl__wait_ops tl__select_ops;

/*
 * @w, a select's waiter, is chosen: takes the select's other waiters off their
 * queues, notes @result as that case's, and returns its index.
 */
int tl__select_claim(struct tl_task *t, struct tl__waiter *w, int result);

/* @me is in a channel callback, or has something thrown at it: looks closer. */
int tl__chan_entry_slow(struct tl_sched *s, struct tl_task *me,
			struct tl_chan *c, bool sending, bool blocking);

/*
 * A call that lets others run, or calls users' code, and comes back to the
 * channel: its memory stays, though it closes with the last handle as ever.
 */
static inline void tl__chan_hold(struct tl_chan *c)
{
	c->holds++;
}

void tl__chan_release(struct tl_chan *c);

static inline void tl__chan_copy(const struct tl_chan *c, void *to,
				 const void *from)
{
	if (likely(c->elem_size == 8))
		memcpy(to, from, 8);
	else if (c->elem_size)
		memcpy(to, from, c->elem_size);
}

static inline void tl__waiter_enqueue(struct tl__waiter *queue,
				      struct tl__waiter *w)
{
	struct tl__waiter *last = queue->prev;

	w->next = queue;
	w->prev = last;
	last->next = w;
	queue->prev = w;
}

static inline void tl__waiter_dequeue(struct tl__waiter *w)
{
	w->next->prev = w->prev;
	w->prev->next = w->next;
}

/*
 * The end of @w's wait, which is off its queue: what its tasklet's call is to
 * return if that case came out as @result.
 */
static inline int tl__waiter_claim(struct tl__waiter *w, int result)
{
	struct tl_task *t = w->task;

	if (unlikely(t->wait_ops == &tl__select_ops))
		return tl__select_claim(t, w, result);
	return result;
}

/*
 * The exchange with a waiting partner is done: makes the partner runnable, its
 * call returning @result, and switches as the channel's settings say. The
 * partner's side is the preferred one if the preference is @preferred. Returns 0
 * when the caller goes on.
 */
static inline int tl__chan_hand_over(struct tl_sched *s, struct tl_task *me,
				     const struct tl_chan *c,
				     struct tl_task *partner, int result,
				     int preferred, bool may_switch)
{
	if (c->preference == preferred && may_switch &&
	    likely(!c->schedule_all)) {
		tl__wake_unlinked(s, partner, result);
		tl__ring_insert_after(s, me, partner);
		s->head = partner;
		return tl__settled_to(s, me, partner);
	}
	tl__wake(s, partner, result);
	if (unlikely(c->schedule_all && may_switch)) {
		s->head = me->next;
		return tl__settled_to(s, me, s->head);
	}
	return 0;
}

/* Whether that would switch; to be asked before anything has changed. */
static inline bool tl__chan_would_switch(const struct tl_chan *c, int preferred)
{
	return c->schedule_all || c->preference == preferred;
}

/*
 * The halves of a channel operation that do not block. Each needs its
 * tl__chan_can_*(); a switch may happen on the way unless !@may_switch.
 */
static inline bool tl__chan_can_send(const struct tl_chan *c)
{
	return c->nreceivers || (c->count < c->capacity && !c->closing);
}

static inline bool tl__chan_can_recv(const struct tl_chan *c)
{
	return c->nsenders || c->count;
}

void tl__chan_buffer_put(struct tl_chan *c, const void *value,
			 struct tl_error *error);
struct tl_error *tl__chan_buffer_get(struct tl_sched *s, struct tl_chan *c,
				     void *value);

static inline int tl__chan_send_now(struct tl_sched *s, struct tl_task *me,
				    struct tl_chan *c, const void *value,
				    struct tl_error *error, bool may_switch)
{
	struct tl__waiter *w = c->receivers.next;
	int result;

	if (unlikely(!c->nreceivers)) {
		tl__chan_buffer_put(c, value, error);
		return 0;
	}
	tl__waiter_dequeue(w);
	c->nreceivers--;
	if (unlikely(error)) {
		tl__caught_push(w->task, error);
		result = -tl_error_code(error);
	} else {
		tl__chan_copy(c, w->value, value);
		result = 0;
	}
	result = tl__waiter_claim(w, result);
	return tl__chan_hand_over(s, me, c, w->task, result, -1, may_switch);
}

/* Returns the error that was received in place of a value, or NULL. */
static inline struct tl_error *
tl__chan_recv_now(struct tl_sched *s, struct tl_task *me, struct tl_chan *c,
		  void *value, bool may_switch)
{
	struct tl__waiter *w = c->senders.next;
	struct tl_error *error;

	if (unlikely(c->count))
		return tl__chan_buffer_get(s, c, value);
	tl__waiter_dequeue(w);
	c->nsenders--;
	error = w->error;
	w->error = NULL;
	if (likely(!error))
		tl__chan_copy(c, value, w->value);
	tl__chan_hand_over(s, me, c, w->task, tl__waiter_claim(w, 0), +1,
			   may_switch);
	return error;
}

/* Reports a received error as this call's result. */
static inline int tl__chan_report(struct tl_task *me, struct tl_error *error)
{
	int code;

	if (likely(!error))
		return 0;
	code = -tl_error_code(error);
	tl__caught_set(tl__me(me->sched), error);
	return code;
}

#endif
