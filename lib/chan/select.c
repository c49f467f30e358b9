/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Select. Each case brings its waiter, so any number of them needs no memory.
 *
 * Whoever fulfils one case takes the waiters of all the others off their queues
 * before anything else runs (tl__select_claim()), so that no second partner can
 * find them, and every channel's balance is true at any time.
 */
#include <errno.h>
#include <limits.h>

#include <tasklet/select.h>

#include "chan/channel.h"

/* A channel callback has changed what can happen: look again. */
#define RETRY INT_MIN

struct tl__select {
	struct tl_select_case *cases;
	int count;
};

/* A case's waiter lies in its private words. */
static struct tl__waiter *waiter_of(struct tl_select_case *c)
{
	_Static_assert(sizeof(struct tl__waiter) <= sizeof(c->tl__private),
		       "tl_select_case has no room for the waiter");
	return (struct tl__waiter *)(void *)c->tl__private;
}

static void enqueue(struct tl_select_case *c, struct tl_task *me)
{
	struct tl__waiter *w = waiter_of(c);

	w->task = me;
	w->value = c->value;
	w->error = NULL;
	if (c->op == TL_SELECT_SEND) {
		tl__waiter_enqueue(&c->chan->senders, w);
		c->chan->nsenders++;
	} else {
		tl__waiter_enqueue(&c->chan->receivers, w);
		c->chan->nreceivers++;
	}
}

/* Takes all but @chosen, which is off its queue already. */
static void dequeue_all_but(const struct tl__select *select,
			    const struct tl__waiter *chosen)
{
	int i;

	for (i = 0; i < select->count; i++) {
		struct tl_select_case *c = &select->cases[i];
		struct tl__waiter *w = waiter_of(c);

		if (!c->chan || w == chosen)
			continue;
		tl__waiter_dequeue(w);
		if (c->op == TL_SELECT_SEND)
			c->chan->nsenders--;
		else
			c->chan->nreceivers--;
	}
}

int tl__select_claim(struct tl_task *t, struct tl__waiter *w, int result)
{
	const struct tl__select *select = t->wait_object;
	struct tl_select_case *c = tl__container_of(
		(void **)(void *)w, struct tl_select_case, tl__private[0]);

	c->result = result;
	dequeue_all_but(select, w);
	return (int)(c - select->cases);
}

static bool select_abandon(struct tl_task *t, int result)
{
	dequeue_all_but(t->wait_object, NULL);
	tl__wake(t->sched, t, result);
	return true;
}

const struct tl__wait_ops tl__select_ops = {
	.verb = "selects",
	.abandon = select_abandon,
};

static bool is_ready(const struct tl_select_case *c)
{
	if (!c->chan)
		return false;
	if (c->chan->closing)
		return true;
	return c->op == TL_SELECT_SEND ? tl__chan_can_send(c->chan) :
					 tl__chan_can_recv(c->chan);
}

/* xorshift64*: Marsaglia; Vigna, "An experimental exploration" (2016) */
static uint32_t random32(struct tl_sched *s)
{
	uint64_t x = s->random;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	s->random = x;
	return (uint32_t)((x * UINT64_C(0x2545f4914f6cdd1d)) >> 32);
}

/* One of the cases that can happen now, each as likely as the others; or -1. */
static int pick_ready(struct tl_sched *s, const struct tl_select_case *cases,
		      int count)
{
	uint32_t ready = 0;
	int i, pick = -1;

	for (i = 0; i < count; i++) {
		if (!is_ready(&cases[i]))
			continue;
		ready++;
		/* The n-th one takes over with probability 1/n. */
		if (ready == 1 || ((uint64_t)random32(s) * ready) >> 32 == 0)
			pick = i;
	}
	return pick;
}

static int check_cases(const struct tl_sched *s,
		       const struct tl_select_case *cases, int count)
{
	int i;

	if (count < 0 || (count && !cases))
		return -EINVAL;
	for (i = 0; i < count; i++) {
		if (cases[i].op != TL_SELECT_SEND &&
		    cases[i].op != TL_SELECT_RECV)
			return -EINVAL;
		if (cases[i].chan && cases[i].chan->sched != s)
			return -EXDEV;
	}
	return 0;
}

static int do_case(struct tl_sched *s, struct tl_task *me,
		   struct tl_select_case *c, bool blocking)
{
	bool sending = c->op == TL_SELECT_SEND;

	if (unlikely(s->slow)) {
		int r = tl__chan_entry_slow(s, me, c->chan, sending, blocking);

		if (r)
			return r;
	}
	c->result = 0;
	if (sending && tl__chan_can_send(c->chan))
		tl__chan_send_now(s, me, c->chan, c->value, NULL, blocking);
	else if (!sending && tl__chan_can_recv(c->chan))
		c->result = tl__chan_report(
			me, tl__chan_recv_now(s, me, c->chan, c->value,
					      blocking));
	else if (c->chan->closing)
		c->result = -EPIPE;
	else
		return RETRY;
	return 0;
}

static int block(struct tl_sched *s, struct tl_task *me,
		 struct tl_select_case *cases, int count, uint64_t deadline_ns)
{
	struct tl__select select = { cases, count };
	int i, r;

	for (i = 0; i < count && unlikely(s->slow & TL__SLOW_CHANNEL); i++) {
		if (!cases[i].chan)
			continue;
		r = tl__chan_entry_slow(s, me, cases[i].chan,
					cases[i].op == TL_SELECT_SEND, true);
		if (r)
			return r;
	}
	if (unlikely(s->slow & TL__SLOW_CHANNEL) &&
	    pick_ready(s, cases, count) >= 0)
		return RETRY;
	r = tl__block_check(s, me, true);
	if (!r)
		r = tl__deadline_arm(s, me, deadline_ns);
	if (r)
		return r;
	for (i = 0; i < count; i++)
		if (cases[i].chan)
			enqueue(&cases[i], me);
	return tl__park(s, me, &tl__select_ops, &select);
}

static int do_select(struct tl_select_case *cases, int count,
		     uint64_t deadline_ns, bool blocking)
{
	struct tl_sched *s = tl__sched();
	struct tl_task *me;
	int pick, r;

	if (!s)
		return tl__sched_error();
	r = check_cases(s, cases, count);
	if (r)
		return r;
	me = s->head;
	if (unlikely(s->slow & TL__SLOW_IN_CHANNEL))
		return -ELOOP;
	if (blocking) {
		r = tl__block_check(s, me, false);
		if (unlikely(r))
			return r;
	}
	do {
		pick = pick_ready(s, cases, count);
		if (pick < 0 && !blocking)
			return -EAGAIN;
		r = pick >= 0 ?
			do_case(s, me, &cases[pick], blocking) :
			block(s, me, cases, count, deadline_ns);
	} while (unlikely(r == RETRY));
	return r || pick < 0 ? r : pick;
}

int tl_select(struct tl_select_case *cases, int count)
{
	return do_select(cases, count, TL_FOREVER, true);
}

int tl_select_until(struct tl_select_case *cases, int count,
		    uint64_t deadline_ns)
{
	return do_select(cases, count, deadline_ns, true);
}

int tl_try_select(struct tl_select_case *cases, int count)
{
	return do_select(cases, count, TL_FOREVER, false);
}
