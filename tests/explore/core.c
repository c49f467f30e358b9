/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Scenarios of lib/core and lib/os: the inbox (who sleeps is woken; nobody touches a scheduler that has ended) and the
 * short lock; the kill of a group.
 */
#include "explore.h"

#include <errno.h>

#include <tasklet/tasklet.h>

#include "core/task.h"
#include "os/lock.h"

/* --- inbox -------------------------------------------------------------------------------------------------------- */

#define MESSAGES 3

static struct tl_sched *sched;
static struct tl__message messages[MESSAGES];
static int arrived[MESSAGES], total, wanted;

static void deliver(struct tl_sched *s, struct tl__message *message)
{
	int i = (int)(message - messages);

	explore_assert(s == sched);
	arrived[i]++;
	total++;
	if (s->inbox.awaited)
		s->inbox.awaited--;
	/* The message may be freed in its delivery. */
	explore_gone(message, sizeof(*message), "a message that was delivered");
}

static void inbox_setup(void)
{
	int i;

	for (i = 0; i < MESSAGES; i++) {
		messages[i].deliver = deliver;
		arrived[i] = 0;
	}
	total = 0;
}

/* The first thread is the consumer. */
static void inbox_begin(int me)
{
	if (!me)
		sched = tl__sched();
}

static void inbox_finish(int me)
{
	if (!me)
		explore_assert(tl_sched_end() == 0);
}

static void consume(int n, uint64_t deadline_ns)
{
	while (total < n)
		if (!tl__inbox_drain(sched))
			tl__inbox_sleep(sched, deadline_ns);
}

static void each_once(int n)
{
	int i;

	for (i = 0; i < n; i++)
		explore_assert(arrived[i] == 1);
	explore_assert(total == n);
}

static void sleep_body(int me)
{
	if (me) {
		tl__inbox_push(sched, &messages[me - 1]);
		return;
	}
	consume(2, TL_FOREVER);
	each_once(2);
}

/* One producer: in order, and the sleep is begun anew after the first. */
static void order_body(int me)
{
	if (me) {
		tl__inbox_push(sched, &messages[0]);
		tl__inbox_push(sched, &messages[1]);
		return;
	}
	while (total < 2) {
		if (tl__inbox_drain(sched))
			explore_assert(arrived[0] == 1);
		else
			tl__inbox_sleep(sched, TL_FOREVER);
	}
	each_once(2);
}

/* A deadline comes while somebody is about to wake us; then the scheduler ends, as tl_sched_end() does it. */
static void end_body(int me)
{
	if (me) {
		tl__inbox_push(sched, &messages[me - 1]);
		return;
	}
	sched->inbox.awaited = (unsigned int)wanted;
	tl__inbox_sleep(sched, tl__now() + 1000);
	tl__inbox_drain(sched);
	tl__inbox_settle(sched);
	each_once(wanted);
	explore_gone(sched, sizeof(*sched), "a scheduler that has ended");
}

static void end_setup(void)
{
	inbox_setup();
	wanted = 1;
}

static void end_two_setup(void)
{
	inbox_setup();
	wanted = 2;
}

/* --- lock --------------------------------------------------------------------------------------------------------- */

static struct tl__lock lock;
static int inside, entries;

static void lock_setup(void)
{
	lock = (struct tl__lock)TL__LOCK_INIT;
	inside = entries = 0;
}

static void critical(void)
{
	tl__lock(&lock);
	explore_assert(!inside);
	inside = 1;
	explore_here();
	inside = 0;
	entries++;
	tl__unlock(&lock);
}

static void lock_twice(int me)
{
	(void)me;
	critical();
	critical();
}

static void lock_once(int me)
{
	(void)me;
	critical();
}

static void lock_check_two(void)
{
	explore_assert(entries == 4);
	explore_assert(lock.word == 0);
}

static void lock_check_three(void)
{
	explore_assert(entries == 3);
	explore_assert(lock.word == 0);
}

/* --- group ------------------------------------------------------------------------------------------------------------ */

static struct tl_group *group;
static struct tl_chan *nothing[2];
static struct tl_task *late;
static int spawned, waited, ended;

static int fn_member(void *arg)
{
	long v;

	explore_assert(tl_chan_recv(arg, &v) == -ECANCELED);
	ended++;
	return 0;
}

static void group_setup(void)
{
	late = NULL;
	spawned = waited = 1;
	ended = 0;
}

static void group_begin(int me)
{
	explore_assert(!tl_chan_new(&nothing[me], sizeof(long), 0));
	if (me)
		return;
	explore_assert(!tl_group_new(&group));
	explore_assert(!tl_group_spawn(group, NULL, NULL, fn_member, nothing[me]));
	explore_assert(!tl_schedule());
}

/* One kills and waits, and the other one spawns. */
static void group_body(int me)
{
	if (!me) {
		explore_assert(!tl_group_kill(group));
		waited = tl_group_wait(group);
		explore_assert(!tl_group_count(group));
		return;
	}
	spawned = tl_group_spawn(group, &late, NULL, fn_member, nothing[me]);
	while (late && tl_task_is_alive(late)) {
		sched_yield();
		explore_assert(!tl_schedule());
	}
}

static void group_finish(int me)
{
	tl_chan_unref(nothing[me]);
	if (me)
		tl_task_unref(late);
	else
		tl_group_unref(group);
	explore_assert(!tl_sched_end());
}

static void group_check(void)
{
	explore_assert(!waited && (spawned == 0 || spawned == -EPIPE));
	/* One that was killed before it began has not run. */
	explore_assert(ended == 1 || (ended == 2 && !spawned));
}

const struct explore_scenario explore_core[] = {
	{ .name = "inbox_sleep", .what = "two producers: each message arrives once, no wake-up is lost", .threads = 3,
	  .setup = inbox_setup, .begin = inbox_begin, .body = sleep_body, .finish = inbox_finish },
	{ .name = "inbox_order", .what = "one producer's messages arrive in order", .threads = 2,
	  .setup = inbox_setup, .begin = inbox_begin, .body = order_body, .finish = inbox_finish },
	{ .name = "inbox_end", .what = "a producer never touches a scheduler that has ended", .threads = 2,
	  .setup = end_setup, .begin = inbox_begin, .body = end_body, .finish = inbox_finish },
	{ .name = "inbox_end_two", .what = "nor do two of them", .threads = 3, .bound = 2,
	  .setup = end_two_setup, .begin = inbox_begin, .body = end_body, .finish = inbox_finish },
	{ .name = "lock_two", .what = "two threads, twice each: one at a time, and all get in", .threads = 2,
	  .setup = lock_setup, .body = lock_twice, .check = lock_check_two },
	{ .name = "lock_three", .what = "three threads: the same", .threads = 3,
	  .setup = lock_setup, .body = lock_once, .check = lock_check_three },
	{ .name = "group_kill", .what = "nobody of a killed group is left, or comes later", .threads = 2,
	  .setup = group_setup, .begin = group_begin, .body = group_body, .finish = group_finish,
	  .check = group_check },
	{ 0 }
};
