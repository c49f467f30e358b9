/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Select. Each case brings its waiter, so any number of them needs no memory.
 *
 * On local channels, whoever fulfils one case takes the waiters of all the others
 * off their queues before anything else runs (tl__select_claim()), so that no
 * second partner can find them, and every channel's balance is true at any time.
 *
 * On shared ones the partners of two cases may come at once. Then
 *  - the caller looks at all channels, and queues in all of them, holding all
 *    their locks, taken in the order of their addresses: so it can't miss one
 *    that becomes ready meanwhile, nor be claimed while it is claiming;
 *  - a partner must set select->claimed before it has the select; the one who
 *    fails leaves the waiter, which is off its queue by then, and looks for the
 *    next;
 *  - the caller takes what is left of its waiters off when it is back.
 * That is how Go's runtime does it (selectgo, proc.go).
 */
#include <errno.h>
#include <limits.h>

#include <tasklet/select.h>

#include "chan/channel.h"
#include "chan/select-order.h"
#include "core/unwind.h"

/* A channel callback, or another thread, has changed what can happen. */
#define RETRY INT_MIN

static struct tl_select_case *case_of(struct tl__waiter *w)
{
	return tl__container_of((void **)(void *)w, struct tl_select_case,
				tl__private[0]);
}

int tl__select_index(struct tl__waiter *w)
{
	return (int)(case_of(w) - w->select->cases);
}

/* Takes all but @chosen, which is off its queue already. Local channels. */
static void unqueue_all_but(struct tl__select *select,
			    const struct tl__waiter *chosen)
{
	int i;

	for (i = 0; i < select->count; i++) {
		struct tl_select_case *c = &select->cases[i];
		struct tl__waiter *w = tl__case_waiter(c);

		if (!c->chan || w == chosen)
			continue;
		tl__waiter_dequeue(w);	/* for good: nobody asks again */
		if (c->op == TL_SELECT_SEND)
			c->chan->nsenders--;
		else
			c->chan->nreceivers--;
	}
}

/* The same on shared channels, one after the other; the select is claimed. */
static void let_go(struct tl_sched *s, struct tl__select *select)
{
	int i;

	for (i = 0; i < select->count; i++) {
		struct tl_select_case *c = &select->cases[i];
		bool local;

		if (!c->chan)
			continue;
		local = tl__chan_enter(s, c->chan);
		tl__chan_unqueue(c->chan, c->op == TL_SELECT_SEND,
				 tl__case_waiter(c));
		tl__chan_leave(s, c->chan, local);
		tl__chan_release(c->chan);
	}
}

bool tl__select_claim(struct tl__waiter *w, int result, int *index)
{
	struct tl__select *select = w->select;

	if (!select->shared)
		unqueue_all_but(select, w);
	/*
	 * relaxed: what belongs to the claim goes with the channels' locks and
	 * with the message that wakes; who comes second only goes away
	 */
	else if (atomic_exchange_explicit(&select->claimed, true,
					  memory_order_relaxed))
		return false;
	case_of(w)->result = result;
	*index = tl__select_index(w);
	return true;
}

static bool select_abandon(struct tl_task *t, int result)
{
	struct tl__select *select = t->wait_object;
	struct tl_sched *s = t->sched;
	bool shared;

	while (!tl__local_enter(s))
		tl__local_wait();
	shared = select->shared;
	if (!shared)
		unqueue_all_but(select, NULL);
	tl__local_leave(s);
	/* relaxed: as above */
	if (shared && atomic_exchange_explicit(&select->claimed, true,
					       memory_order_relaxed))
		return tl__wake_awaited(t);
	tl__wake(s, t, result);
	return true;
}

static const struct tl__wait_ops select_ops = {
	.verb = "selects",
	.abandon = select_abandon,
};

/* Inside. */
static inline __attribute__((always_inline)) bool
is_ready(const struct tl_select_case *c)
{
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

/* Not all of the channels are local. */
#define NOT_LOCAL (-2)

/*
 * One of the cases that can happen now, each as likely as the others; or -1.
 * Inside all channels; or, with @local, in our section alone: then NOT_LOCAL if
 * that does not protect them all.
 */
static inline int pick_ready(struct tl_sched *s, const struct tl__select *select,
			     bool local)
{
	uint32_t ready = 0;
	int i, pick = -1;

	for (i = 0; i < select->count; i++) {
		const struct tl_select_case *c = &select->cases[i];

		if (!c->chan)
			continue;
		if (local && unlikely(!tl__chan_is_local(s, c->chan)))
			return NOT_LOCAL;
		if (!is_ready(c))
			continue;
		ready++;
		/* The n-th one takes over with probability 1/n. */
		if (ready == 1 || ((uint64_t)random32(s) * ready) >> 32 == 0)
			pick = i;
	}
	return pick;
}

static int check_cases(const struct tl_select_case *cases, int count)
{
	int i;

	if (count < 0 || (count && !cases))
		return -EINVAL;
	for (i = 0; i < count; i++)
		if (cases[i].op != TL_SELECT_SEND &&
		    cases[i].op != TL_SELECT_RECV)
			return -EINVAL;
	return 0;
}

/* --- sections over all channels --------------------------------------------- */

/* Enters them all, and picks. Afterwards select->shared says how. */
static int enter_all(struct tl_sched *s, struct tl__select *select)
{
	int i, pick;

	select->shared = false;
	if (likely(tl__local_enter(s))) {
		pick = pick_ready(s, select, true);
		if (likely(pick != NOT_LOCAL))
			return pick;
		tl__local_leave(s);
	}
	select->shared = true;
	for (i = 0; i < select->count; i++)
		if (select->cases[i].chan)
			tl__chan_share(select->cases[i].chan);
	tl__select_lock_all(select);
	return pick_ready(s, select, false);
}

static void leave_all(struct tl_sched *s, struct tl__select *select)
{
	if (likely(!select->shared))
		tl__local_leave(s);
	else
		tl__select_unlock_all(select);
}

/* --- one case --------------------------------------------------------------- */

/*
 * Does the case that was picked, inside all channels, which it leaves. RETRY:
 * those who made it possible were selects that somebody else has claimed.
 */
static int do_case(struct tl_sched *s, struct tl_task *me,
		   struct tl__select *select, struct tl_select_case *c,
		   bool blocking)
{
	bool local = !select->shared, sending = c->op == TL_SELECT_SEND;
	struct tl__partner p = { .task = NULL };
	struct tl_error *error = NULL;
	enum tl__switching how;
	int64_t balance;
	bool done;

	balance = tl__chan_balance(c->chan);
	how = !sending && c->chan->count ? TL__GO_ON :
		tl__chan_switching(c->chan, sending ? -1 : +1, blocking);
	if (sending)
		done = tl__chan_send_now(c->chan, local, c->value, NULL, &p);
	else
		done = tl__chan_recv_now(c->chan, local, c->value, &error, &p);
	c->result = 0;
	if (!done && c->chan->closing) {
		c->result = -EPIPE;
		done = true;
	}
	leave_all(s, select);
	if (done && !c->result)
		tl__chan_probe(c->chan, sending, me, balance);
	if (p.task)
		tl__chan_hand_over(s, me, &p, how);
	c->result = error ? tl__chan_report(me, error) : c->result;
	return done ? 0 : RETRY;
}

/* --- waiting ---------------------------------------------------------------- */

/* Queues in all channels, inside; and leaves them and waits. */
static int queue_and_park(struct tl_sched *s, struct tl_task *me,
			  struct tl__select *select)
{
	int i, r;

	/* relaxed: published by the channels' locks */
	atomic_store_explicit(&select->claimed, false, memory_order_relaxed);
	for (i = 0; i < select->count; i++) {
		struct tl_select_case *c = &select->cases[i];
		struct tl__waiter *w = tl__case_waiter(c);

		if (!c->chan)
			continue;
		w->task = me;
		w->value = c->value;
		w->error = NULL;
		w->select = select;
		tl__chan_enqueue(c->chan, !select->shared,
				 c->op == TL_SELECT_SEND, w);
	}
	leave_all(s, select);
	r = tl__park(s, me, &select_ops, select);
	/*
	 * It may have become shared while it waited. A plain load: who made it
	 * so did that while we were stopped, or before a claim of ours.
	 */
	if (unlikely(select->shared))
		let_go(s, select);
	/* A local channel may be gone; and what would it say now? */
	if (r >= 0 && select->cases[r].result != -EPIPE)
		tl__chan_probe(select->cases[r].chan,
			       select->cases[r].op == TL_SELECT_SEND, me, 0);
	return tl__unwind_return(me, r);
}

/* Traps, callbacks, what was thrown, the deadline. Outside. */
static int before_block(struct tl_sched *s, struct tl_task *me,
			struct tl__select *select, uint64_t deadline_ns)
{
	int i, r;

	for (i = 0; i < select->count && (s->slow & TL__SLOW_CHANNEL); i++) {
		struct tl_select_case *c = &select->cases[i];

		if (!c->chan)
			continue;
		r = tl__chan_entry_slow(s, me, c->chan,
					c->op == TL_SELECT_SEND, true);
		if (r)
			return r;
	}
	r = tl__block_check(s, me, true);
	return r ? r : tl__deadline_arm(s, me, deadline_ns);
}

/* --- the whole -------------------------------------------------------------- */

/* Nothing can refuse to let @me wait without a deadline. */
static inline bool may_block(const struct tl_sched *s, const struct tl_task *me)
{
	return !((me->flags & TL__ENTRY_FLAGS) | s->slow);
}

static int do_select(struct tl_select_case *cases, int count,
		     uint64_t deadline_ns, bool blocking)
{
	struct tl__select select = { .cases = cases, .count = count };
	struct tl_sched *s = tl__sched();
	int pick, asked = -1, r;
	struct tl_task *me;
	bool checked;

	if (!s)
		return tl__sched_error();
	r = check_cases(cases, count);
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
	checked = blocking && deadline_ns == TL_FOREVER && may_block(s, me);
	for (;;) {
		pick = enter_all(s, &select);
		if (unlikely(asked >= 0) && is_ready(&cases[asked]))
			pick = asked;
		if (pick >= 0 && (pick == asked || likely(!s->slow))) {
			tl__deadline_disarm(s, me);
			r = do_case(s, me, &select, &cases[pick], blocking);
			if (r != RETRY)
				return r ? r : pick;
			checked = false;
			asked = -1;
			continue;
		}
		if (pick < 0 && checked)
			return queue_and_park(s, me, &select);
		leave_all(s, &select);
		if (pick >= 0) {
			r = tl__chan_entry_slow(s, me, cases[pick].chan,
						cases[pick].op == TL_SELECT_SEND,
						blocking);
			asked = pick;
		} else if (blocking) {
			r = before_block(s, me, &select, deadline_ns);
			checked = true;
		} else {
			r = -EAGAIN;
		}
		if (r) {
			tl__deadline_disarm(s, me);
			return r;
		}
	}
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
