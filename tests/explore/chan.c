/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Scenarios of lib/chan between threads: a value is received if and only if its sender was told of success, whatever
 * deadline, kill or close comes at that moment; nobody waits beside a partner; and a thread that uses its own channel
 * without atomic operations is never in it at the same time as another one.
 */
#include "explore.h"

#include <errno.h>

#include <tasklet/tasklet.h>

#include "chan/channel.h"

#define THREADS 3

static struct tl_chan *chan, *other;
static size_t capacity;
static long left;			/* in the first channel, at the end */
static bool shared;			/* from the beginning */
static int result[THREADS];		/* of each thread's call */
static long value[THREADS];
static struct tl_task *victim;
static int victim_result;
static long victim_value;

static void reset(size_t with_capacity, bool begin_shared)
{
	int i;

	capacity = with_capacity;
	shared = begin_shared;
	left = with_capacity;
	for (i = 0; i < THREADS; i++) {
		result[i] = 1;
		value[i] = 0;
	}
	victim = NULL;
	victim_result = 1;
	victim_value = 0;
}

static void setup_local(void) { reset(0, false); }
static void setup_shared(void) { reset(0, true); }
static void setup_buffered(void) { reset(1, false); }

/* The first thread makes the channels; they are shared once a second one has used them. */
static void begin(int me)
{
	explore_assert(tl__sched());
	if (!me) {
		explore_assert(!tl_chan_new(&chan, sizeof(long), capacity));
		explore_assert(!tl_chan_new(&other, sizeof(long), capacity));
		/* Locks are taken in the order of addresses: each time the same. */
		if (other < chan) {
			struct tl_chan *first = other;

			other = chan;
			chan = first;
		}
	} else if (shared) {
		explore_assert(tl_chan_try_recv(chan, &value[me]) == -EAGAIN);
		explore_assert(tl_chan_try_recv(other, &value[me]) == -EAGAIN);
	}
}

static void finish(int me)
{
	if (!me) {
		explore_assert(tl_chan_balance(chan) == left);
		explore_assert(!victim || !tl_task_is_alive(victim));
		tl_chan_unref(chan);
		tl_chan_unref(other);
		tl_task_unref(victim);
	}
	explore_assert(!tl_sched_end());
}

static void try_send(int me, struct tl_chan *c, long v)
{
	result[me] = tl_chan_try_send(c, &v);
	explore_assert(!result[me] || result[me] == -EAGAIN || result[me] == -EPIPE);
}

/* --- one sends, one receives; the channel becomes shared meanwhile ---------------------------------------------------- */

static void body_exchange(int me)
{
	long v = 7;

	if (me)
		result[me] = tl_chan_send(chan, &v);
	else
		result[me] = tl_chan_recv(chan, &value[me]);
}

static void check_exchange(void)
{
	explore_assert(!result[0] && !result[1] && value[0] == 7);
}

/* --- the owner works with its channel while another thread comes to it ------------------------------------------------ */

static void body_local(int me)
{
	long v = 1;

	if (me) {
		result[me] = tl_chan_recv(chan, &value[me]);
		return;
	}
	/* Room for one: the second waits for the other thread, if that has not come yet. */
	result[0] = tl_chan_send(chan, &v);
	v = 2;
	result[2] = tl_chan_send(chan, &v);
}

static void check_local(void)
{
	explore_assert(!result[0] && !result[1] && !result[2] && value[1] == 1);
}

/* --- a deadline and a sender ------------------------------------------------------------------------------------------ */

static void body_deadline(int me)
{
	if (me)
		try_send(me, chan, 7);
	else
		result[0] = tl_chan_recv_until(chan, &value[0], tl_now() + 1000);
}

static void check_one_of(int r, long v, int otherwise)
{
	if (!result[1]) {
		explore_assert(!r && v == 7);
	} else {
		explore_assert(r == otherwise && !v);
	}
}

static void check_deadline(void)
{
	check_one_of(result[0], value[0], -ETIMEDOUT);
}

/* Two deadlines: either both have met, or both have given up. */
static void body_deadlines(int me)
{
	long v = 7;

	if (me)
		result[me] = tl_chan_send_until(chan, &v, tl_now() + 1000);
	else
		result[0] = tl_chan_recv_until(chan, &value[0], tl_now() + 1000);
}

static void check_deadlines(void)
{
	if (!result[1])
		explore_assert(!result[0] && value[0] == 7);
	else
		explore_assert(result[1] == -ETIMEDOUT && result[0] == -ETIMEDOUT && !value[0]);
}

/* --- a tasklet that receives ------------------------------------------------------------------------------------------ */

static int fn_victim(void *arg)
{
	(void)arg;
	victim_result = tl_chan_recv(chan, &victim_value);
	return 0;
}

static void spawn_blocked(tl_task_fn *fn)
{
	explore_assert(!tl_spawn(&victim, fn, NULL));
	explore_assert(!tl_schedule() && tl_task_is_blocked(victim));
}

/* The receiver is there already. */
static void begin_victim(int me)
{
	begin(me);
	if (!me)
		spawn_blocked(fn_victim);
}

static void wait_for_victim(void)
{
	while (tl_task_is_alive(victim)) {
		sched_yield();
		tl_schedule();
	}
}

/* --- a close and a sender --------------------------------------------------------------------------------------------- */

static void body_close(int me)
{
	if (me == 1)
		try_send(me, chan, 7);
	else if (me == 2)
		result[2] = tl_chan_close(chan);
	else
		wait_for_victim();
}

static void check_close(void)
{
	explore_assert(!result[2]);
	check_one_of(victim_result, victim_value, -EPIPE);
}

/* --- a kill and a sender ---------------------------------------------------------------------------------------------- */

/* From its own thread, which then ends: the wake-up may be under way. */
static void body_kill(int me)
{
	if (me) {
		try_send(me, chan, 7);
		return;
	}
	result[0] = tl_task_kill(victim);
	wait_for_victim();
}

static void check_kill(void)
{
	explore_assert(!result[0]);
	check_one_of(victim_result, victim_value, -ECANCELED);
}

/* From a third thread. */
static void body_kill_remote(int me)
{
	if (me == 1) {
		try_send(me, chan, 7);
	} else if (me == 2) {
		result[2] = tl_task_kill(victim);
	} else {
		wait_for_victim();
		result[0] = 0;
	}
}

static void check_kill_remote(void)
{
	explore_assert(!result[2]);
	check_one_of(victim_result, victim_value, -ECANCELED);
}

/* --- the end of a thread ---------------------------------------------------------------------------------------------- */

/* Its scheduler ends, with all that it has, while another thread sends to one of its tasklets. Its memory is unmapped. */
static void body_end(int me)
{
	if (me)
		try_send(me, chan, 7);
	else
		result[0] = tl_sched_end();
}

static void check_end(void)
{
	explore_assert(!result[0]);
	check_one_of(victim_result, victim_value, -ECANCELED);
}

/* The same, while another thread kills that tasklet and gives its handle up. */
static void body_end_mail(int me)
{
	if (me) {
		result[1] = tl_task_kill(victim);
		tl_task_unref(victim);
		victim = NULL;
	} else {
		result[0] = tl_sched_end();
	}
}

static void check_end_mail(void)
{
	explore_assert(!result[0] && !result[1] && victim_result == -ECANCELED);
}

/* --- select ----------------------------------------------------------------------------------------------------------- */

static int fn_select(void *arg)
{
	struct tl_select_case cases[] = {
		TL_CASE_RECV(chan, &victim_value),
		TL_CASE_RECV(other, &victim_value),
	};

	(void)arg;
	victim_result = tl_select(cases, 2);
	explore_assert(victim_result >= 0 && !cases[victim_result].result);
	return 0;
}

static void begin_select(int me)
{
	begin(me);
	if (!me)
		spawn_blocked(fn_select);
}

static void body_select(int me)
{
	if (me)
		try_send(me, me == 1 ? chan : other, me);
	else
		wait_for_victim();
}

static void check_select(void)
{
	explore_assert(!result[1] + !result[2] == 1);
	explore_assert(victim_value == victim_result + 1 && !result[victim_value]);
}

/* The select waits on channels of its own thread, and these become shared. */
static void body_select_local(int me)
{
	long v = 2;

	if (me) {
		try_send(me, chan, 1);
		return;
	}
	result[2] = tl_chan_try_send(other, &v);
	wait_for_victim();
}

#define check_select_local check_select

/* Two selects, each of which may do what the other one waits for: on one of two channels. */
static void body_selects(int me)
{
	long sent[] = { 1, 2 }, got[] = { 0, 0 };
	struct tl_select_case cases[] = {
		{ me ? chan : other, me ? TL_SELECT_SEND : TL_SELECT_RECV, 0, me ? &sent[0] : &got[1], { 0 } },
		{ me ? other : chan, me ? TL_SELECT_SEND : TL_SELECT_RECV, 0, me ? &sent[1] : &got[0], { 0 } },
	};

	result[me] = tl_select(cases, 2);
	explore_assert(result[me] >= 0 && !cases[result[me]].result);
	/* The value of the channel on which it happened. */
	value[me] = me ? sent[result[me]] : got[0] + got[1];
}

static void check_selects(void)
{
	explore_assert(value[0] == value[1] && result[0] == 1 - result[1]);
}

/* --- nobody will ever come -------------------------------------------------------------------------------------------- */

/* Both wait for the other to send: each is told, and nobody before both wait. */
static void body_deadlock(int me)
{
	result[me] = tl_chan_recv(me ? chan : other, &value[me]);
}

static void check_deadlock(void)
{
	explore_assert(result[0] == -EDEADLK && result[1] == -EDEADLK);
}

#define SCENARIO(n, s, count, ...) .name = "chan_" #n __VA_ARGS__, .threads = count, .setup = setup_##s, \
	.body = body_##n, .finish = finish, .check = check_##n

const struct explore_scenario explore_chan[] = {
	{ SCENARIO(exchange, local, 2), .begin = begin, .what = "send and receive meet, while the channel becomes shared" },
	{ SCENARIO(local, buffered, 2), .begin = begin, .what = "the owner is never in its channel together with another thread" },
	{ SCENARIO(deadline, shared, 2), .begin = begin, .what = "received or timed out, as the sender was told" },
	{ SCENARIO(deadline, local, 2, "_local"), .begin = begin, .what = "the same, while it becomes shared" },
	{ SCENARIO(deadlines, shared, 2), .begin = begin, .what = "both meet or both time out" },
	{ SCENARIO(close, shared, 3), .begin = begin_victim, .what = "received or closed, as the sender was told" },
	{ SCENARIO(kill, shared, 2), .begin = begin_victim, .what = "received or killed, as the sender was told" },
	{ SCENARIO(kill_remote, shared, 3), .begin = begin_victim, .what = "the same, killed by a third thread" },
	{ SCENARIO(end, shared, 2), .begin = begin_victim, .what = "the same, by the end of its thread" },
	{ SCENARIO(end_mail, local, 2), .begin = begin_victim,
	  .what = "a kill from another thread meets the end of its scheduler" },
	{ SCENARIO(select, shared, 3), .begin = begin_select, .bound = 2, .what = "exactly one case happens, as the senders were told" },
	{ SCENARIO(select_local, local, 2), .begin = begin_select, .what = "the same, while the channels become shared" },
	{ SCENARIO(selects, shared, 2), .begin = begin, .what = "two selects meet on one channel" },
	{ SCENARIO(deadlock, shared, 2), .begin = begin, .what = "both are told of their deadlock" },
	{ 0 }
};
