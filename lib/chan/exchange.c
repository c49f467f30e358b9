/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What a send or receive does that need not block: with the buffer, and with the
 * first partner that can be had. Inside; see channel.h for the invariants.
 */
#include "chan/channel.h"

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
