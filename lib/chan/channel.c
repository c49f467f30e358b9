/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Channels: send and receive. See channel.h for the invariants.
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

/* --- waits ------------------------------------------------------------------ */

static struct tl_task *neighbour(const struct tl_task *t, int side,
				 bool sending)
{
	struct tl_chan *c = t->wait_object;
	struct tl__waiter *queue = sending ? &c->senders : &c->receivers;
	struct tl_task *found = NULL;
	const struct tl__waiter *w;
	bool local;

	local = tl__chan_enter(t->sched, c);
	w = side > 0 ? t->waiter.next : t->waiter.prev;
	if (t->waiter.next && w != queue)
		found = w->task;
	tl__chan_leave(t->sched, c, local);
	return found;
}

static struct tl_task *send_neighbour(const struct tl_task *t, int side)
{
	return neighbour(t, side, true);
}

static struct tl_task *recv_neighbour(const struct tl_task *t, int side)
{
	return neighbour(t, side, false);
}

static bool abandon(struct tl_task *t, bool sending, int result)
{
	struct tl_chan *c = t->wait_object;
	bool local = tl__chan_enter(t->sched, c);
	bool queued = tl__chan_unqueue(c, sending, &t->waiter);

	tl__chan_leave(t->sched, c, local);
	if (!queued)
		return tl__wake_awaited(t);
	t->waiter.error = NULL;		/* stays the sender's */
	if (!local)
		tl__chan_release(c);
	tl__wake(t->sched, t, result);
	return true;
}

static bool send_abandon(struct tl_task *t, int result)
{
	return abandon(t, true, result);
}

static bool recv_abandon(struct tl_task *t, int result)
{
	return abandon(t, false, result);
}

const struct tl__wait_ops tl__chan_send_ops = {
	.verb = "sends to",
	.abandon = send_abandon,
	.neighbour = send_neighbour,
	.direction = +1,
	.unwinds = true,
};

const struct tl__wait_ops tl__chan_recv_ops = {
	.verb = "receives from",
	.abandon = recv_abandon,
	.neighbour = recv_neighbour,
	.direction = -1,
	.unwinds = true,
};

/* The message to a partner of another thread, which it has got here. */
static void delivered(struct tl_sched *s, struct tl__message *message)
{
	struct tl_task *t = tl__container_of(message, struct tl_task,
					     wake_message);
	struct tl_error *error = t->waiter.error;

	if (error) {
		t->waiter.error = NULL;
		tl__caught_push(t, error);
	}
	if (t->wait_ops->direction)	/* a select lets go by itself */
		tl__chan_release(t->wait_object);
	tl__wake_delivered(s, message);
}

void tl__partner_wake_remote(const struct tl__partner *p)
{
	struct tl_task *t = p->task;

	/* Its own waiter's error is nobody's meanwhile, in a select too. */
	t->waiter.error = p->error;
	t->remote_result = p->result;
	t->wake_message.deliver = delivered;
	tl__inbox_push(t->sched, &t->wake_message);
}

/* --- the buffer ------------------------------------------------------------- */

static size_t buffer_place(const struct tl_chan *c, size_t i)
{
	size_t place = c->first + i;

	return place < c->capacity ? place : place - c->capacity;
}

static void buffer_put(struct tl_chan *c, const void *value,
		       struct tl_error *error)
{
	size_t i = buffer_place(c, c->count++);
	char *place = c->buffer + i * c->stride;

	c->is_error[i] = error != NULL;
	if (error)
		memcpy(place, &error, sizeof(error));
	else
		tl__chan_copy(c, place, value);
}

static void buffer_get(struct tl_chan *c, void *value, struct tl_error **error)
{
	const char *place = c->buffer + c->first * c->stride;

	if (c->is_error[c->first])
		memcpy(error, place, sizeof(*error));
	else
		tl__chan_copy(c, value, place);
	c->first = buffer_place(c, 1);
	c->count--;
}

/* --- exchanges -------------------------------------------------------------- */

/*
 * Takes the first of @queue whose tasklet can be had; its call returns 0, or
 * its case's index. NULL: there is none (any more).
 */
static struct tl__waiter *take_first(struct tl__waiter *queue,
				     unsigned int *count, int result,
				     bool local, struct tl__partner *p)
{
	while (*count) {
		struct tl__waiter *w = queue->next;

		tl__waiter_take(w);
		(*count)--;
		p->result = result;
		if (w->select && !tl__select_claim(w, result, &p->result))
			continue;
		p->task = w->task;
		p->error = NULL;
		p->held = !local && !w->select;
		return w;
	}
	return NULL;
}

bool tl__chan_send_now(struct tl_chan *c, bool local, const void *value,
		       struct tl_error *error, struct tl__partner *p)
{
	int result = error ? -tl_error_code(error) : 0;
	struct tl__waiter *w;

	w = take_first(&c->receivers, &c->nreceivers, result, local, p);
	if (w) {
		if (likely(!error))
			tl__chan_copy(c, w->value, value);
		p->error = error;
		return true;
	}
	if (c->count >= c->capacity || c->closing)
		return false;
	buffer_put(c, value, error);
	p->task = NULL;
	return true;
}

bool tl__chan_recv_now(struct tl_chan *c, bool local, void *value,
		       struct tl_error **error, struct tl__partner *p)
{
	bool buffered = c->count;
	struct tl__waiter *w = NULL;

	*error = NULL;
	if (buffered)
		buffer_get(c, value, error);
	/* The first sender that waits takes the room. */
	if (!buffered || !c->closing)
		w = take_first(&c->senders, &c->nsenders, 0, local, p);
	if (!w) {
		p->task = NULL;
		return buffered;
	}
	if (buffered) {
		buffer_put(c, w->value, w->error);
	} else {
		*error = w->error;
		if (likely(!w->error))
			tl__chan_copy(c, value, w->value);
	}
	w->error = NULL;
	return true;
}

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
static inline int entry(struct tl_sched *s, struct tl_chan *c, bool sending,
			bool blocking)
{
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
			tl__chan_enqueue(c, *local, sending, &me->waiter);
			tl__chan_leave(s, c, *local);
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
	int r;

	if (unlikely(!s))
		return tl__sched_error();
	r = entry(s, c, true, deadline_ns != TRY);
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
		done = tl__chan_send_now(c, local, value, error, &p);
		tl__chan_leave(s, c, local);
		tl__deadline_disarm(s, me);
	} while (unlikely(!done));
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
	int r;

	if (unlikely(!s))
		return tl__sched_error();
	r = entry(s, c, false, deadline_ns != TRY);
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
		done = tl__chan_recv_now(c, local, value, &error, &p);
		tl__chan_leave(s, c, local);
		tl__deadline_disarm(s, me);
	} while (unlikely(!done));
	if (p.task)
		tl__chan_hand_over(s, me, &p, how);
	return tl__chan_report(me, error);
}

/* --- the frequent case ------------------------------------------------------ */

/*
 * A channel of our own, elements of one word, nobody who watches or holds
 * anything, a partner who does nothing but wait on this channel. These two
 * functions call nothing they come back from, so they need no frame; whatever is
 * out of the ordinary goes to do_send() and do_recv(), which say the same at
 * length.
 */
static inline bool is_ordinary(const struct tl_sched *s,
			       const struct tl_chan *c)
{
	return tl__chan_is_local(s, c) && c->elem_size == 8 &&
	       !c->schedule_all &&
	       !((s->head->flags & TL__ENTRY_FLAGS) | s->slow);
}

static inline bool only_waits(const struct tl__waiter *w)
{
	return !w->select && !tl__heap_has(&w->task->timer);
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

/* Leaves the section that was entered in vain. */
static __attribute__((noinline)) int
leave_and_send(struct tl_sched *s, struct tl_chan *c, const void *value)
{
	tl__local_leave(s);
	return send_at_length(c, value);
}

static __attribute__((noinline)) int
leave_and_recv(struct tl_sched *s, struct tl_chan *c, void *value)
{
	tl__local_leave(s);
	return recv_at_length(c, value);
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
		return send_at_length(chan, value);
	if (unlikely(!is_ordinary(s, chan)))
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
		return recv_at_length(chan, value);
	if (unlikely(!is_ordinary(s, chan)))
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
