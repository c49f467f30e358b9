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
	} else if (shared) {
		explore_assert(tl_chan_try_recv(chan, &value[me]) == -EAGAIN);
		explore_assert(tl_chan_try_recv(other, &value[me]) == -EAGAIN);
	}
}

static void finish(int me)
{
	if (!me) {
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
	explore_assert(tl_chan_balance(chan) == 1);
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

/* --- a close and a sender --------------------------------------------------------------------------------------------- */

static void body_close(int me)
{
	if (me == 0)
		result[0] = tl_chan_recv(chan, &value[0]);
	else if (me == 1)
		try_send(me, chan, 7);
	else
		result[2] = tl_chan_close(chan);
}

static void check_close(void)
{
	explore_assert(!result[2]);
	check_one_of(result[0], value[0], -EPIPE);
}

/* --- a kill and a sender ---------------------------------------------------------------------------------------------- */

static int fn_victim(void *arg)
{
	(void)arg;
	victim_result = tl_chan_recv(chan, &victim_value);
	return 0;
}

static void begin_kill(int me)
{
	begin(me);
	if (!me)
		explore_assert(!tl_spawn(&victim, fn_victim, NULL));
}

/* From its own thread, which then ends: the wake-up may be under way. */
static void body_kill(int me)
{
	if (me) {
		try_send(me, chan, 7);
		return;
	}
	explore_assert(!tl_schedule());
	result[0] = tl_task_kill(victim);
	while (tl_task_is_alive(victim))
		tl_schedule();
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
		while (tl_task_is_alive(victim))
			explore_assert(tl_run() >= 0);
		result[0] = 0;
	}
}

static void check_kill_remote(void)
{
	explore_assert(!result[2]);
	/* It may be over before it has begun. */
	if (victim_result == 1)
		explore_assert(result[1] == -EAGAIN);
	else
		check_one_of(victim_result, victim_value, -ECANCELED);
}

/* --- select ----------------------------------------------------------------------------------------------------------- */

static void body_select(int me)
{
	struct tl_select_case cases[] = {
		TL_CASE_RECV(chan, &value[0]),
		TL_CASE_RECV(other, &value[0]),
	};

	if (me) {
		try_send(me, me == 1 ? chan : other, me);
		return;
	}
	result[0] = tl_select_until(cases, 2, tl_now() + 1000);
	if (result[0] >= 0)
		explore_assert(!cases[result[0]].result);
}

static void check_select(void)
{
	int sent = !result[1] + !result[2];

	if (result[0] < 0) {
		explore_assert(result[0] == -ETIMEDOUT && !sent);
	} else {
		explore_assert(sent == 1 && value[0] == result[0] + 1 && !result[value[0]]);
	}
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
	{ SCENARIO(close, shared, 3), .begin = begin, .what = "received or closed, as the sender was told" },
	{ SCENARIO(kill, shared, 2), .begin = begin_kill, .what = "received or killed, as the sender was told" },
	{ SCENARIO(kill_remote, shared, 3), .begin = begin_kill, .what = "the same, killed by a third thread" },
	{ SCENARIO(select, shared, 3), .begin = begin, .what = "one case happens, or none in time, as the senders were told" },
	{ SCENARIO(deadlock, shared, 2), .begin = begin, .what = "both are told of their deadlock" },
	{ 0 }
};
