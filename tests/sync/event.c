/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Events and wait groups within one thread (section 6.2).
 */
#include "../core/check.h"

static struct tl_event e = TL_EVENT_INIT;
static struct tl_waitgroup g = TL_WAITGROUP_INIT;

static int fn_wait(void *arg)
{
	say("%s%d", me(), tl_event_wait_until(&e, arg ? (uint64_t)(uintptr_t)arg : TL_FOREVER));
	return 0;
}

static int fn_killed(UNUSED void *arg)
{
	tl_task_kill(tl_current());
	say("%d", tl_event_wait(&e));
	say("%d", tl_waitgroup_wait(&g));
	return 0;
}

static void test_event(void)
{
	struct tl_task *a;

	tap_ok(!tl_event_is_set(&e), "6.2: not set at first");
	tap_is(tl_event_try_wait(&e), -EAGAIN, "6.2: non-blocking");
	tap_is(tl_event_wait_until(&e, 1), -ETIMEDOUT, "6.2: timed out");
	tap_is(tl_event_wait(&e), -EDEADLK, "6.2: nobody could ever set it");
	tl_event_set(&e);
	tl_event_set(&e);
	tap_ok(tl_event_is_set(&e) && !tl_event_try_wait(&e), "6.2: set");
	tap_ok(!tl_event_wait(&e) && !tl_event_wait_until(&e, 1), "6.2: nobody waits");
	go("A", fn_killed, NULL);
	tl_run();
	tap_str(said(), "-125 -125", "5: but for one that was killed");
	tl_event_clear(&e);
	tap_ok(!tl_event_is_set(&e), "6.2: cleared");

	a = mk("A", fn_wait, NULL);
	go("B", fn_wait, NULL);
	go("T", fn_wait, (void *)1L);
	go("C", fn_wait, NULL);
	a_few_turns();
	tap_str(said(), "T-110", "6.2: timed out");
	tl_task_kill(a);
	tap_str(said(), "A-125", "6.2: killed");
	tl_event_set(&e);
	tap_str(ring(), "M B C", "6.2: set wakes all, first in, first out; the setter goes on");
	tl_event_clear(&e);
	go("D", fn_wait, NULL);
	tl_schedule();
	tap_str(said(), "B0 C0", "event.h: a set that is cleared at once is not lost");
	tl_event_set(&e);
	tl_run();
	tap_str(said(), "D0", "event.h: who comes after the clear waits for the next");
	tl_event_clear(&e);
	tap_ok(!e.tl__word && !e.tl__queue, "event.h: nothing is left in it");
	tl_task_unref(a);
	all_gone("event");
}

static int fn_gwait(void *arg)
{
	say("%s%d", me(), tl_waitgroup_wait_until(&g, arg ? (uint64_t)(uintptr_t)arg : TL_FOREVER));
	return 0;
}

static void test_group(void)
{
	struct tl_task *a;

	tap_is(tl_waitgroup_wait(&g), 0, "waitgroup.h: nothing is under way");
	tap_is(tl_waitgroup_try_wait(&g), 0, "waitgroup.h: nothing to wait for");
	tap_is(tl_waitgroup_done(&g), -EOVERFLOW, "waitgroup.h: nothing can end");
	tap_is(tl_waitgroup_add(&g, 2), 0, "waitgroup.h: two");
	tap_is(tl_waitgroup_add(&g, UINT32_MAX - 1), -EOVERFLOW, "9: the count does not wrap");
	tap_is(tl_waitgroup_count(&g), 2, "9: nothing has changed");
	tap_is(tl_waitgroup_try_wait(&g), -EAGAIN, "waitgroup.h: non-blocking");
	tap_is(tl_waitgroup_wait_until(&g, 1), -ETIMEDOUT, "waitgroup.h: timed out");
	tap_is(tl_waitgroup_wait(&g), -EDEADLK, "waitgroup.h: nobody could ever end it");
	a = mk("A", fn_gwait, NULL);
	go("B", fn_gwait, NULL);
	go("T", fn_gwait, (void *)1L);
	a_few_turns();
	tl_task_kill(a);
	tap_str(said(), "T-110 A-125", "waitgroup.h: timed out, killed");
	tl_waitgroup_done(&g);
	tl_schedule();
	tap_str(said(), "", "waitgroup.h: one is left");
	tap_is(tl_waitgroup_done(&g), 0, "waitgroup.h: the last");
	tl_waitgroup_add(&g, 1);
	go("C", fn_gwait, NULL);
	tl_schedule();
	tap_str(said(), "B0", "waitgroup.h: wakes those that wait, though others have been added");
	tl_waitgroup_done(&g);
	tl_run();
	tap_str(said(), "C0", "waitgroup.h: next round");
	tap_ok(!g.tl__word && !g.tl__queue, "waitgroup.h: nothing is left in it");
	tl_task_unref(a);
	all_gone("wait group");
}

int main(void)
{
	tap_plan(32);
	test_event();
	test_group();
	tap_is(tl_sched_end(), 0, "nothing is left");
	return tap_exit();
}
