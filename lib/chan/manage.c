/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A channel's life and settings: making, closing, freeing; and the loops over
 * send.
 */
#include <errno.h>

#include "base/alloc.h"
#include "chan/channel.h"
#include "core/unwind.h"
#include "os/log.h"

#define ELEM_SIZE_MAX ((size_t)1 << 30)

static void queue_init(struct tl__waiter *queue)
{
	queue->next = queue->prev = queue;
}

/* The elements lie behind the struct, and behind them a mark for each. */
static int buffer_layout(size_t elem_size, size_t capacity, size_t *stride,
			 size_t *total)
{
	size_t bytes;

	if (elem_size > ELEM_SIZE_MAX)
		return -EINVAL;
	*stride = elem_size > sizeof(void *) ? elem_size : sizeof(void *);
	*stride = (*stride + 15) / 16 * 16;
	if (__builtin_mul_overflow(*stride + 1, capacity, &bytes) ||
	    __builtin_add_overflow(bytes, sizeof(struct tl_chan) + 16, total))
		return -EINVAL;
	return 0;
}

int tl_chan_new(struct tl_chan **out, size_t elem_size, size_t capacity)
{
	struct tl_sched *s = tl__sched();
	size_t stride, total;
	struct tl_chan *c;
	int r;

	if (!s)
		return tl__sched_error();
	if (!out)
		return -EINVAL;
	r = buffer_layout(elem_size, capacity, &stride, &total);
	if (r)
		return r;
	c = tl__calloc(1, total);
	if (!c)
		return -ENOMEM;
	c->elem_size = elem_size;
	c->capacity = capacity;
	c->stride = stride;
	c->preference = -1;
	/* relaxed, both: nobody else knows the channel */
	atomic_store_explicit(&c->refs, 1, memory_order_relaxed);
	atomic_store_explicit(&c->life, 1, memory_order_relaxed);
	c->buffer = (char *)(((uintptr_t)(c + 1) + 15) & ~(uintptr_t)15);
	c->is_error = (uint8_t *)c->buffer + stride * capacity;
	queue_init(&c->receivers);
	queue_init(&c->senders);
	tl__chan_make_local(s, c);
	*out = c;
	return 0;
}

struct tl_chan *tl_chan_ref(struct tl_chan *chan)
{
	/* relaxed: the caller has a handle, which keeps the channel */
	atomic_fetch_add_explicit(&chan->refs, 1, memory_order_relaxed);
	return chan;
}

/*
 * Takes all that can be had off @queue, to wake them outside, oldest first.
 * They are linked through `prev`: a `next` would say that they are queued.
 */
static void take_all(struct tl__waiter *queue, unsigned int *count,
		     struct tl__waiter ***end)
{
	while (*count) {
		struct tl__waiter *w = queue->next;
		int index;

		tl__waiter_take(w);
		(*count)--;
		if (w->select && !tl__select_claim(w, -EPIPE, &index))
			continue;
		w->error = NULL;	/* stays the sender's */
		**end = w;
		*end = &w->prev;
	}
}

/* Inside: closes @c; those who waited are in @taken. */
static void shut(struct tl_chan *c, struct tl__waiter **taken)
{
	*taken = NULL;
	c->closing = true;
	take_all(&c->receivers, &c->nreceivers, &taken);
	take_all(&c->senders, &c->nsenders, &taken);
}

static void wake_taken(struct tl_sched *s, struct tl__waiter *w, bool local)
{
	while (w) {
		struct tl__waiter *next = w->prev;
		struct tl__partner p = {
			.task = w->task,
			.result = -EPIPE,
			.held = !local && !w->select,
		};

		w->prev = NULL;
		if (w->select)
			p.result = tl__select_index(w);
		tl__partner_wake(s, &p);	/* @w may be gone then */
		w = next;
	}
}

int tl_chan_close(struct tl_chan *chan)
{
	struct tl_sched *s = tl__sched();
	struct tl__waiter *taken;
	bool local;

	if (!s)
		return tl__sched_error();
	local = tl__chan_enter(s, chan);
	shut(chan, &taken);
	tl__chan_leave(s, chan, local);
	wake_taken(s, taken, local);
	return 0;
}

int tl_chan_open(struct tl_chan *chan)
{
	struct tl_sched *s = tl__sched();
	bool local;

	if (!s)
		return tl__sched_error();
	local = tl__chan_enter(s, chan);
	chan->closing = false;
	tl__chan_leave(s, chan, local);
	return 0;
}

/*
 * No handle, no waiter and here no value: a destructor that runs for an error
 * in the buffer can't reach the channel. It may let one run that still holds it.
 */
static void empty(struct tl_chan *c)
{
	while (c->count) {
		size_t i = c->first;
		struct tl_error *error;

		memcpy(&error, c->buffer + i * c->stride, sizeof(error));
		c->first = i + 1 < c->capacity ? i + 1 : 0;
		c->count--;
		if (c->is_error[i])
			tl_error_free(error);
	}
}

/* On a thread without a scheduler. As tl__chan_enter(). */
static bool enter_plain(struct tl_chan *c)
{
	tl__chan_share(c);
	tl__lock(&c->lock);
	return false;
}

void tl_chan_unref(struct tl_chan *chan)
{
	struct tl__waiter *taken;
	struct tl_sched *s;
	uint32_t was;
	bool local;

	if (!chan)
		return;
	/*
	 * release: what we did with the channel comes before its end; acquire:
	 * pairs with the other handles' releases, if ours is the last
	 */
	was = atomic_fetch_sub_explicit(&chan->refs, 1, memory_order_acq_rel);
	if (was != 1) {
		if (!was)
			tl__fatal("tl_chan_unref() of a channel that has no "
				  "handle left");
		return;
	}
	s = tl__sched_self;	/* a thread without one needs none for this */
	local = s ? tl__chan_enter(s, chan) : enter_plain(chan);
	shut(chan, &taken);
	if (local) {
		tl__list_del(&chan->in_locals);
		/* relaxed: others can't reach it any more */
		atomic_store_explicit(&chan->owner, TL__SHARED,
				      memory_order_relaxed);
		tl__local_leave(s);
	} else {
		tl__unlock(&chan->lock);
	}
	wake_taken(s, taken, local);
	empty(chan);
	tl__chan_release(chan);
}

void tl__chan_release(struct tl_chan *c)
{
	/* release, acquire: as for the handles */
	if (atomic_fetch_sub_explicit(&c->life, 1, memory_order_acq_rel) == 1)
		tl__free(c);
}

/* What several threads may ask while others change it. */
struct look {
	bool closing;
	size_t count;
	unsigned int nsenders, nreceivers;
	struct tl_task *first;
};

static struct look look(const struct tl_chan *chan)
{
	struct tl_chan *c = (struct tl_chan *)chan;
	struct tl_sched *s = tl__sched();
	struct look now = { 0 };
	bool local;

	if (!s)
		return now;	/* no memory: an empty one */
	local = tl__chan_enter(s, c);
	now.closing = c->closing;
	now.count = c->count;
	now.nsenders = c->nsenders;
	now.nreceivers = c->nreceivers;
	if (c->nsenders)
		now.first = c->senders.next->task;
	else if (c->nreceivers)
		now.first = c->receivers.next->task;
	tl__chan_leave(s, c, local);
	return now;
}

bool tl_chan_is_closing(const struct tl_chan *chan)
{
	return look(chan).closing;
}

bool tl_chan_is_closed(const struct tl_chan *chan)
{
	struct look now = look(chan);

	return now.closing && !now.count;
}

long tl_chan_balance(const struct tl_chan *chan)
{
	struct look now = look(chan);

	return (long)now.count + (long)now.nsenders - (long)now.nreceivers;
}

struct tl_task *tl_chan_queue(const struct tl_chan *chan)
{
	return look(chan).first;
}

size_t tl_chan_elem_size(const struct tl_chan *chan)
{
	return chan->elem_size;
}

size_t tl_chan_capacity(const struct tl_chan *chan)
{
	return chan->capacity;
}

/* Settings: inside, for an exchange must see one or the other. */

int tl_chan_preference(const struct tl_chan *chan)
{
	struct tl_chan *c = (struct tl_chan *)chan;
	struct tl_sched *s = tl__sched();
	int now;
	bool local;

	if (!s)
		return 0;
	local = tl__chan_enter(s, c);
	now = c->preference;
	tl__chan_leave(s, c, local);
	return now;
}

int tl_chan_set_preference(struct tl_chan *chan, int preference)
{
	struct tl_sched *s = tl__sched();
	bool local;
	int old;

	if (!s)
		return 0;
	local = tl__chan_enter(s, chan);
	old = chan->preference;
	chan->preference = (int8_t)((preference > 0) - (preference < 0));
	tl__chan_leave(s, chan, local);
	return old;
}

bool tl_chan_schedule_all(const struct tl_chan *chan)
{
	struct tl_chan *c = (struct tl_chan *)chan;
	struct tl_sched *s = tl__sched();
	bool now, local;

	if (!s)
		return false;
	local = tl__chan_enter(s, c);
	now = c->schedule_all;
	tl__chan_leave(s, c, local);
	return now;
}

bool tl_chan_set_schedule_all(struct tl_chan *chan, bool on)
{
	struct tl_sched *s = tl__sched();
	bool old, local;

	if (!s)
		return false;
	local = tl__chan_enter(s, chan);
	old = chan->schedule_all;
	chan->schedule_all = on;
	tl__chan_leave(s, chan, local);
	return old;
}

/*
 * What a loop over sends holds: the channel, for a receiver may drop the last
 * handle while we are switched away. So it is not to be unwound meanwhile.
 */
static uint32_t loop_begin(struct tl_task *me, struct tl_chan *c)
{
	tl__chan_hold(c);
	return tl__unwind_hold(me);
}

static void loop_end(struct tl_task *me, struct tl_chan *c, uint32_t hold)
{
	tl__unwind_unhold(me, hold);
	tl__chan_release(c);
}

long tl_chan_send_array(struct tl_chan *chan, const void *values, size_t count)
{
	struct tl_sched *s = tl__sched();
	const char *value = values;
	struct tl_task *me;
	uint32_t hold;
	int r = 0;
	size_t i;

	if (!s)
		return tl__sched_error();
	me = tl__me(s);
	hold = loop_begin(me, chan);
	for (i = 0; i < count && !r; i++, value += chan->elem_size)
		r = tl_chan_send(chan, value);
	loop_end(me, chan, hold);
	return r ? tl__unwind_return(me, r) : (long)count;
}

long tl_chan_send_sequence(struct tl_chan *chan,
			   int (*next)(void *arg, void *value), void *arg)
{
	char small[256] __attribute__((aligned(16)));
	struct tl_sched *s = tl__sched();
	void *value = small;
	struct tl_task *me;
	uint32_t hold;
	long sent = 0;
	int r;

	if (!s)
		return tl__sched_error();
	if (chan->elem_size > sizeof(small)) {
		value = tl__malloc(chan->elem_size);
		if (!value)
			return -ENOMEM;
	}
	me = tl__me(s);
	hold = loop_begin(me, chan);
	while ((r = next(arg, value)) > 0) {
		r = tl_chan_send(chan, value);
		if (r)
			break;
		sent++;
	}
	loop_end(me, chan, hold);
	if (value != small)
		tl__free(value);
	return r < 0 ? tl__unwind_return(me, r) : sent;
}
