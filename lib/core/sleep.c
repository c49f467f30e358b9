/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Sleeping: a wait that only its deadline ends.
 */
#include <errno.h>

#include <tasklet/time.h>

#include "core/park.h"
#include "os/clock.h"

static bool sleep_abandon(struct tl_task *task, int result)
{
	tl__wake(task->sched, task, result);
	return true;
}

static const struct tl__wait_ops sleep_ops = {
	.verb = "sleeps",
	.abandon = sleep_abandon,
	.until_deadline = true,
	.unwinds = true,
};

uint64_t tl_now(void)
{
	return tl__now();
}

uint64_t tl_after(uint64_t ns)
{
	uint64_t now = tl__now();

	return ns < TL_FOREVER - now ? now + ns : TL_FOREVER;
}

int tl_sleep_until(uint64_t deadline_ns)
{
	struct tl_sched *s = tl__sched();
	struct tl_task *me;
	int r;

	if (!s)
		return tl__sched_error();
	me = s->head;
	r = tl__block_check(s, me, true);
	if (!r)
		r = tl__deadline_arm(s, me, deadline_ns);
	if (r)
		return r;
	return tl__park(s, me, &sleep_ops, NULL);
}

int tl_sleep(uint64_t ns)
{
	return tl_sleep_until(tl_after(ns));
}
