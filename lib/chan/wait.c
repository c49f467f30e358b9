/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Tasklets that wait in send and receive: who is beside them in the queue, how
 * their wait ends early, how a partner on another thread wakes them.
 */
#include "chan/channel.h"

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
