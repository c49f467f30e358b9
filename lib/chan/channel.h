/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What channels and select share.
 *
 * A channel begins as one of the thread that made it, which uses it without any
 * atomic operation (core/local.h: `owner`). The first call from another thread
 * makes it a shared one for good (share.c): `owner` is TL__SHARED then and `lock`
 * guards it. One section, between tl__chan_enter() and tl__chan_leave(), is the
 * same code for both.
 *
 * Invariants: if tasklets wait to receive, then nothing waits inside and nobody
 * waits to send, except where one tl_select() waits for both; if somebody waits
 * to send, the buffer is full; nreceivers and nsenders are the lengths of the
 * queues. A select waits either on local channels only or on shared ones only.
 *
 * The value's slot belongs to the waiter: a sender copies straight into the
 * memory of the receiver it has chosen, and the other way round, so no value is
 * ever under way.
 *
 * Claims: whoever takes a waiter off its queue, inside, has the tasklet and
 * wakes it once, outside. Only a select that waits on shared channels can be
 * found in several queues by several threads at once: there the one who sets
 * select->claimed has it, and the others let it lie (select.c).
 *
 * Memory: `life` counts one for all handles together, one for each call that
 * will look at the channel again, and one for each waiter of a shared channel,
 * from its entry to its wake-up: a deadline may still look whether it is queued
 * when another thread has claimed it and given the last handle up.
 *
 * Locks: that of core/threads.c before a channel's; several channels' in the
 * order of their addresses; with a channel's, no other.
 */
#ifndef TL_CHAN_CHANNEL_H
#define TL_CHAN_CHANNEL_H

#include <string.h>

#include <tasklet/channel.h>
#include <tasklet/select.h>

#include "base/list.h"
#include "base/probe.h"
#include "core/kill.h"
#include "core/local.h"
#include "core/park.h"
#include "core/remote.h"
#include "os/lock.h"

/* The owner of a shared channel: no thread's scheduler, and not NULL either. */
#define TL__SHARED ((struct tl_sched *)1)

struct tl_chan {
	_Atomic(struct tl_sched *) owner;
	size_t elem_size;
	unsigned int nreceivers, nsenders;
	int8_t preference;
	bool schedule_all;
	bool closing;
	size_t capacity, count, first;	/* the buffer: count from first on */
	struct tl__waiter receivers, senders;	/* heads of the queues */

	struct tl__lock lock;
	_Atomic uint32_t refs, life;
	size_t stride;			/* of the buffer; room for an error */
	char *buffer;
	uint8_t *is_error;		/* for each place in it */
	struct tl__list in_locals;	/* its owner's, while it has one */
	struct tl_chan *to_share;	/* share.c's */
	const void *locked_by;		/* a select with several locks */
};

/* A tl_select() under way; lies in its frame. */
struct tl__select {
	struct tl_select_case *cases;
	int count;
	bool shared;		/* waits on shared channels */
	_Atomic bool claimed;	/* shared: by whoever set it */
};

tl__hidden extern const struct tl__wait_ops tl__chan_send_ops;
tl__hidden extern const struct tl__wait_ops tl__chan_recv_ops;

/* A case's waiter lies in its private words. */
static inline struct tl__waiter *tl__case_waiter(struct tl_select_case *c)
{
	_Static_assert(sizeof(struct tl__waiter) <= sizeof(c->tl__private),
		       "tl_select_case has no room for the waiter");
	return (struct tl__waiter *)(void *)c->tl__private;
}

/*
 * @w, a select's waiter, is off its queue: false if somebody else has claimed
 * the select; else notes @result as that case's, and returns its index in
 * @index. Of a local one, takes the other waiters off their queues.
 */
bool tl__select_claim(struct tl__waiter *w, int result, int *index);

/* Which of its select's cases @w is. */
int tl__select_index(struct tl__waiter *w);

/* --- sections --------------------------------------------------------------- */

/* Makes @c a shared channel, if it isn't one. Outside of all sections. */
void tl__chan_share(struct tl_chan *c);

/* A new channel becomes local to @s, unless there is a reason against it. */
void tl__chan_make_local(struct tl_sched *s, struct tl_chan *c);

/* Whether @c is local to the calling thread, whose scheduler is @s. */
static inline bool tl__chan_is_local(const struct tl_sched *s,
				     const struct tl_chan *c)
{
	/*
	 * relaxed: our own address is there only as long as we, inside, may
	 * rely on it: tl__local_enter() has ordered this
	 */
	return atomic_load_explicit(&c->owner, memory_order_relaxed) == s;
}

/* Enters @c in all but the usual case. Returns as tl__chan_enter(). */
bool tl__chan_enter_slow(struct tl_sched *s, struct tl_chan *c);

/* Returns true if @c is local. To be given to tl__chan_leave(). */
static inline bool tl__chan_enter(struct tl_sched *s, struct tl_chan *c)
{
	if (likely(tl__local_enter(s))) {
		if (likely(tl__chan_is_local(s, c)))
			return true;
		tl__local_leave(s);
	}
	return tl__chan_enter_slow(s, c);
}

static inline void tl__chan_leave(struct tl_sched *s, struct tl_chan *c,
				  bool local)
{
	if (likely(local))
		tl__local_leave(s);
	else
		tl__unlock(&c->lock);
}

/* --- memory ----------------------------------------------------------------- */

static inline void tl__chan_hold(struct tl_chan *c)
{
	/* relaxed: whoever holds, or has a handle, may hold once more */
	atomic_fetch_add_explicit(&c->life, 1, memory_order_relaxed);
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

/* --- queues; inside --------------------------------------------------------- */

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

/* Of a shared channel: so that its owner can see that it is off. */
static inline void tl__waiter_take(struct tl__waiter *w)
{
	tl__waiter_dequeue(w);
	w->next = w->prev = NULL;
}

/* --- exchanges -------------------------------------------------------------- */

/* A tasklet whose waiter was taken, to be woken outside. NULL task: none. */
struct tl__partner {
	struct tl_task *task;
	struct tl_error *error;	/* that comes to it in place of a value */
	int result;		/* of its call */
	bool held;		/* the channel was shared: release it */
};

/*
 * @p, of the calling thread, runs again: what a wake-up entails but for the place
 * in the ring. Outside.
 */
static inline void tl__partner_wake_unlinked(struct tl_sched *s,
					     const struct tl__partner *p)
{
	if (unlikely(p->error))
		tl__caught_push(p->task, p->error);
	if (unlikely(p->held))
		tl__chan_release(p->task->wait_object);
	tl__wake_unlinked(s, p->task, p->result);
}

/* Wakes a partner of another thread, by a message. Outside. */
void tl__partner_wake_remote(const struct tl__partner *p);

static inline void tl__partner_wake(struct tl_sched *s,
				    const struct tl__partner *p)
{
	if (unlikely(p->task->sched != s)) {
		tl__partner_wake_remote(p);
		return;
	}
	tl__partner_wake_unlinked(s, p);
	tl__ring_append(s, p->task);
}

/*
 * What the channel's settings, looked at inside, say about who runs after an
 * exchange. Another thread's partner never makes us switch.
 */
enum tl__switching { TL__GO_ON, TL__PARTNER_RUNS, TL__NEXT_RUNS };

static inline enum tl__switching
tl__chan_switching(const struct tl_chan *c, int preferred, bool may_switch)
{
	if (!may_switch)
		return TL__GO_ON;
	if (unlikely(c->schedule_all))
		return TL__NEXT_RUNS;
	return c->preference == preferred ? TL__PARTNER_RUNS : TL__GO_ON;
}

/*
 * The exchange with a waiting partner is done: makes the partner runnable and
 * switches as @how says. Outside. Returns 0 when the caller goes on.
 */
static inline int tl__chan_hand_over(struct tl_sched *s, struct tl_task *me,
				     const struct tl__partner *p,
				     enum tl__switching how)
{
	if (unlikely(p->task->sched != s)) {
		tl__partner_wake_remote(p);
		return 0;
	}
	tl__partner_wake_unlinked(s, p);
	/* Under a trap it was another thread's that waited when we asked. */
	if (unlikely(tl__switch_check(s)))
		how = TL__GO_ON;
	if (how == TL__PARTNER_RUNS) {
		tl__ring_insert_after(s, me, p->task);
		s->head = p->task;
		return tl__settled_to(s, me, p->task);
	}
	tl__ring_append(s, p->task);
	if (unlikely(how == TL__NEXT_RUNS)) {
		s->head = me->next;
		return tl__turned_to(s, me, s->head);
	}
	return 0;
}

/* Whether a send or receive has a chance not to block; inside. */
static inline bool tl__chan_can_send(const struct tl_chan *c)
{
	return c->nreceivers || (c->count < c->capacity && !c->closing);
}

static inline bool tl__chan_can_recv(const struct tl_chan *c)
{
	return c->nsenders || c->count;
}

/*
 * The halves of an operation that do not block; inside, @local as entered. False:
 * there was nobody and no room after all, and nothing has happened. A partner to
 * be woken is in @p.
 */
bool tl__chan_send_now(struct tl_chan *c, bool local, const void *value,
		       struct tl_error *error, struct tl__partner *p);
/* Also: the error that was received in place of a value, or NULL, in @error. */
bool tl__chan_recv_now(struct tl_chan *c, bool local, void *value,
		       struct tl_error **error, struct tl__partner *p);

/* What tl_chan_balance() says; inside. */
static inline int64_t tl__chan_balance(const struct tl_chan *c)
{
	return (int64_t)c->count + c->nsenders - c->nreceivers;
}

/* Fires the probe of that operation. Outside; @c is not looked at. */
void tl__chan_probe_fire(const struct tl_chan *c, bool sending,
			 const struct tl_task *me, int64_t balance);

static inline void tl__chan_probe(const struct tl_chan *c, bool sending,
				  const struct tl_task *me, int64_t balance)
{
	if (unlikely(sending ? tl__probe_wanted(chan_send) :
			       tl__probe_wanted(chan_recv)))
		tl__chan_probe_fire(c, sending, me, balance);
}

/* tl_chan_send() and tl_chan_recv() where fast.c knows no shorter way (channel.c). */
int tl__chan_send_at_length(struct tl_chan *c, const void *value);
int tl__chan_recv_at_length(struct tl_chan *c, void *value);

/* Puts @w, whose value and error are set, into @c's queue; inside. */
static inline void tl__chan_enqueue(struct tl_chan *c, bool local,
				    bool sending, struct tl__waiter *w)
{
	if (!local)
		tl__chan_hold(c);
	if (sending) {
		tl__waiter_enqueue(&c->senders, w);
		c->nsenders++;
	} else {
		tl__waiter_enqueue(&c->receivers, w);
		c->nreceivers++;
	}
}

/* Takes @w off, if it is queued; inside. False: it wasn't. */
static inline bool tl__chan_unqueue(struct tl_chan *c, bool sending,
				    struct tl__waiter *w)
{
	if (!w->next)
		return false;
	tl__waiter_take(w);
	if (sending)
		c->nsenders--;
	else
		c->nreceivers--;
	return true;
}

/*
 * Looks closer before an operation: channel callbacks, traps, what was thrown.
 * 0, or what the call is to fail with. Outside.
 */
int tl__chan_entry_slow(struct tl_sched *s, struct tl_task *me,
			struct tl_chan *c, bool sending, bool blocking);

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
