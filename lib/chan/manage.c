/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A channel's life and settings: making, closing, freeing; and the loops over
 * send.
 */
#include <errno.h>

#include "base/alloc.h"
#include "chan/channel.h"
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
	c->sched = s;
	c->thread = &tl__sched_self;
	c->elem_size = elem_size;
	c->capacity = capacity;
	c->stride = stride;
	c->preference = -1;
	c->refs = 1;
	c->buffer = (char *)(((uintptr_t)(c + 1) + 15) & ~(uintptr_t)15);
	c->is_error = (uint8_t *)c->buffer + stride * capacity;
	queue_init(&c->receivers);
	queue_init(&c->senders);
	*out = c;
	return 0;
}

struct tl_chan *tl_chan_ref(struct tl_chan *chan)
{
	chan->refs++;
	return chan;
}

static void wake_all(struct tl_chan *c, struct tl__waiter *queue,
		     unsigned int *count)
{
	while (*count) {
		struct tl__waiter *w = queue->next;

		tl__waiter_dequeue(w);
		(*count)--;
		w->error = NULL;	/* stays the sender's */
		tl__wake(c->sched, w->task, tl__waiter_claim(w, -EPIPE));
	}
}

int tl_chan_close(struct tl_chan *chan)
{
	if (chan->sched != tl__sched_self)
		return -EXDEV;
	chan->closing = true;
	wake_all(chan, &chan->receivers, &chan->nreceivers);
	wake_all(chan, &chan->senders, &chan->nsenders);
	return 0;
}

int tl_chan_open(struct tl_chan *chan)
{
	if (chan->sched != tl__sched_self)
		return -EXDEV;
	chan->closing = false;
	return 0;
}

void tl_chan_unref(struct tl_chan *chan)
{
	if (!chan)
		return;
	if (chan->thread != &tl__sched_self)
		tl__fatal("tl_chan_unref() of another thread's channel");
	if (--chan->refs)
		return;
	/*
	 * No handle, no waiter and, below, no value: a destructor that runs for
	 * an error in the buffer can't reach the channel. It may let one run
	 * that still holds it.
	 */
	tl__chan_hold(chan);
	chan->closing = true;
	wake_all(chan, &chan->receivers, &chan->nreceivers);
	wake_all(chan, &chan->senders, &chan->nsenders);
	while (chan->count) {
		size_t i = chan->first;
		struct tl_error *error;

		memcpy(&error, chan->buffer + i * chan->stride, sizeof(error));
		chan->first = i + 1 < chan->capacity ? i + 1 : 0;
		chan->count--;
		if (chan->is_error[i])
			tl_error_free(error);
	}
	tl__chan_release(chan);
}

void tl__chan_release(struct tl_chan *c)
{
	if (!--c->holds && !c->refs)
		tl__free(c);
}

bool tl_chan_is_closing(const struct tl_chan *chan)
{
	return chan->closing;
}

bool tl_chan_is_closed(const struct tl_chan *chan)
{
	return chan->closing && !chan->count;
}

long tl_chan_balance(const struct tl_chan *chan)
{
	return (long)chan->count + (long)chan->nsenders -
	       (long)chan->nreceivers;
}

struct tl_task *tl_chan_queue(const struct tl_chan *chan)
{
	if (chan->nsenders)
		return chan->senders.next->task;
	return chan->nreceivers ? chan->receivers.next->task : NULL;
}

size_t tl_chan_elem_size(const struct tl_chan *chan)
{
	return chan->elem_size;
}

size_t tl_chan_capacity(const struct tl_chan *chan)
{
	return chan->capacity;
}

int tl_chan_preference(const struct tl_chan *chan)
{
	return chan->preference;
}

int tl_chan_set_preference(struct tl_chan *chan, int preference)
{
	int old = chan->preference;

	chan->preference = (int8_t)((preference > 0) - (preference < 0));
	return old;
}

bool tl_chan_schedule_all(const struct tl_chan *chan)
{
	return chan->schedule_all;
}

bool tl_chan_set_schedule_all(struct tl_chan *chan, bool on)
{
	bool old = chan->schedule_all;

	chan->schedule_all = on;
	return old;
}

long tl_chan_send_array(struct tl_chan *chan, const void *values, size_t count)
{
	const char *value = values;
	size_t i;
	int r;

	if (chan->sched != tl__sched_self)
		return -EXDEV;
	/* A receiver may drop the last handle while we are switched away. */
	tl__chan_hold(chan);
	for (i = 0, r = 0; i < count && !r; i++, value += chan->elem_size)
		r = tl_chan_send(chan, value);
	tl__chan_release(chan);
	return r ? r : (long)count;
}

long tl_chan_send_sequence(struct tl_chan *chan,
			   int (*next)(void *arg, void *value), void *arg)
{
	char small[256] __attribute__((aligned(16)));
	void *value = small;
	long sent = 0;
	int r;

	if (chan->sched != tl__sched_self)
		return -EXDEV;
	if (chan->elem_size > sizeof(small)) {
		value = tl__malloc(chan->elem_size);
		if (!value)
			return -ENOMEM;
	}
	tl__chan_hold(chan);	/* as in tl_chan_send_array() */
	while ((r = next(arg, value)) > 0) {
		r = tl_chan_send(chan, value);
		if (r)
			break;
		sent++;
	}
	tl__chan_release(chan);
	if (value != small)
		tl__free(value);
	return r < 0 ? r : sent;
}
