/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * atomic (section 4): a property of each tasklet that holds hard interrupts off and lets them come when it ends; what
 * it does not touch.
 */
#include <errno.h>

#include <tasklet/tasklet.h>

#include "check.h"
#include "core/task.h"

static struct tl_chan *chan;

static int run_flags(uint64_t n, uint64_t flags, struct tl_task **victim)
{
	struct tl_run_options o = { .size = sizeof(o), .ticks = n, .flags = flags };

	return tl_run_with(&o, victim);
}

static int run_ticks(uint64_t n, struct tl_task **victim)
{
	return run_flags(n, 0, victim);
}

static void go_on(struct tl_task *t)
{
	tl_task_insert(t);
	tl_task_unref(t);
}

static void tick(int n)
{
	while (n--)
		if (tl_tick())
			tap_bail("a tick failed");
}

/* --- the flag ----------------------------------------------------------------------------------------------------- */

static int fn_flag(UNUSED void *arg)
{
	say("%s%d", me(), tl_task_is_atomic(tl_current()));
	return 0;
}

static void test_flag(void)
{
	struct tl_task *t;
	bool outer, inner;

	tap_ok(!tl_task_is_atomic(tl_current()), "4: nobody is atomic at first");
	outer = tl_atomic(true);
	tap_ok(!outer && tl_task_is_atomic(tl_current()), "4: set; the old value comes back");
	inner = tl_atomic(true);
	tap_ok(inner, "4: sections nest");
	tl_atomic(inner);
	tap_ok(tl_task_is_atomic(tl_current()), "4: the end of an inner one changes nothing");
	t = mk("A", fn_flag, NULL);
	tap_ok(!tl_task_is_atomic(t), "1.2: it is not inherited");
	tl_schedule();
	tap_str(said(), "A0", "4: the tasklets that run meanwhile are not atomic");
	tap_ok(tl_task_is_atomic(tl_current()), "4: after a switch it is in force again");
	tl_atomic(outer);
	tap_ok(!tl_task_is_atomic(tl_current()), "4: the end of the outer one ends it");
	tl_task_unref(t);
	all_gone("flag");
}

static int fn_left_on(UNUSED void *arg)
{
	tl_atomic(true);
	tl_nesting(1);
	tl_set_ignore_nesting(true);
	return 0;
}

static int fn_fresh(UNUSED void *arg)
{
	bool atomic = tl_task_is_atomic(tl_current());
	int level = tl_nesting(0);

	say("%d %d %d", atomic, level, tl_set_ignore_nesting(false));
	return 0;
}

static void test_reuse(void)
{
	struct tl_task *t = mk("A", fn_left_on, NULL);

	tl_run();
	tl_task_bind(t, fn_fresh);
	tl_task_setup(t, NULL);
	tl_run();
	tap_str(said(), "0 0 0", "4: a tasklet that is bound anew has none of it");
	tl_task_unref(t);
	all_gone("reuse");
}

/* --- holding off -------------------------------------------------------------------------------------------------- */

static int fn_hold(UNUSED void *arg)
{
	bool was = tl_atomic(true);

	tick(25);
	say("in");
	tl_atomic(was);
	say("off");
	tick(1);
	say("tick");
	was = tl_atomic(true);
	tl_atomic(was);
	tick(1);
	say("once");
	return 0;
}

static void test_hold(void)
{
	struct tl_task *victim;

	go("A", fn_hold, NULL);
	tap_is(run_ticks(10, &victim), TL_RUN_INTERRUPTED, "4: an interrupt waits while atomic");
	tap_str(said(), "in off", "4: and comes at the next tick, not in the call that ends it");
	go_on(victim);
	tap_is(run_ticks(10, &victim), TL_RUN_FINISHED, "4: once");
	tap_str(said(), "tick once", "4: then it goes on, and what is done is not pending any more");
	all_gone("hold");
}

static int fn_short(UNUSED void *arg)
{
	bool was = tl_atomic(true);

	tick(8);
	tl_atomic(was);
	tick(1);
	say("end");
	return 0;
}

static int fn_inner(UNUSED void *arg)
{
	bool outer = tl_atomic(true), inner = tl_atomic(true);

	tick(12);
	tl_atomic(inner);
	tick(3);
	say("inner");
	tl_atomic(outer);
	say("outer");
	tick(1);
	return 0;
}

static int fn_both(UNUSED void *arg)
{
	tl_atomic(true);
	tl_nesting(1);
	tick(12);
	tl_atomic(false);
	tick(3);
	say("nested");
	tl_nesting(-1);
	say("not");
	tick(1);
	return 0;
}

static void test_more(void)
{
	struct tl_task *victim;

	go("A", fn_short, NULL);
	tap_is(run_ticks(10, &victim), TL_RUN_FINISHED, "4: one that ends within the budget is not interrupted");
	said();
	go("A", fn_inner, NULL);
	tap_is(run_ticks(10, &victim), TL_RUN_INTERRUPTED, "4: nested sections");
	tap_str(said(), "inner outer", "4: hold it off to the end of the outer one");
	go_on(victim);
	go("A", fn_both, NULL);
	tap_is(run_ticks(10, &victim), TL_RUN_INTERRUPTED, "3.3: two obstacles");
	tap_str(said(), "nested not", "3.3: it comes when the last one is gone");
	go_on(victim);
	tl_run();
	all_gone("more");
}

/* --- switching and blocking inside ------------------------------------------------------------------------------- */

static int fn_block(UNUSED void *arg)
{
	bool was = tl_atomic(true);
	long v = 0;
	int r;

	tick(15);
	r = tl_chan_recv(chan, &v);
	say("%s%d:%ld%d", me(), r, v, tl_task_is_atomic(tl_current()));
	tick(3);
	say("off");
	tl_atomic(was);
	tick(1);
	say("%s.", me());
	return 0;
}

static int fn_send_spin(UNUSED void *arg)
{
	long v = 7;

	tl_chan_send(chan, &v);
	say("%s", me());
	tick(15);
	say("%s.", me());
	return 0;
}

static void test_block(void)
{
	struct tl_task *victim;

	go("A", fn_block, NULL);
	go("B", fn_send_spin, NULL);
	tap_is(run_ticks(10, &victim), TL_RUN_INTERRUPTED, "4: blocking inside is allowed; what was pending stays pending");
	tap_str(said(), "A0:71 off", "4: atomic after it, and the interrupt comes with its end");
	tap_str(name_of(victim), "A", "4: at whom it was meant for");
	go_on(victim);
	tap_is(run_ticks(10, &victim), TL_RUN_INTERRUPTED, "4: others are not atomic");
	tap_str(name_of(victim), "B", "4: B computes too long as well");
	go_on(victim);
	tl_run();
	tap_str(said(), "B A. B.", "4: all end");
	all_gone("block");
}

/* The interrupt is due, but its tasklet lets others run first: they are not meant. */
static int fn_due(UNUSED void *arg)
{
	bool was = tl_atomic(true);

	tick(12);
	tl_atomic(was);
	tl_schedule();
	tick(2);
	say("%s", me());
	was = tl_atomic(true);
	tl_atomic(was);
	tick(1);
	say("%s.", me());
	return 0;
}

static int fn_tick(UNUSED void *arg)
{
	tick(2);
	say("%s", me());
	return 0;
}

static void test_due(void)
{
	struct tl_task *victim;

	go("A", fn_due, NULL);
	go("B", fn_tick, NULL);
	tap_is(run_ticks(10, &victim), TL_RUN_INTERRUPTED, "3.3: a switch comes before the tick at which it is due");
	tap_str(said(), "B A", "3.3: nobody else has it, the flag stays with the tasklet until it is looked at again");
	tap_str(name_of(victim), "A", "3.3: the one whose it is");
	go_on(victim);
	tl_run();
	tap_str(said(), "A.", "3.3: it goes on");
	all_gone("due");

	go("A", fn_due, NULL);
	go("B", fn_tick, NULL);
	tap_is(run_flags(10, TL_RUN_TOTAL, &victim), TL_RUN_INTERRUPTED, "3.3: of a total budget it is not the tasklet's alone");
	tap_str(name_of(victim), "B", "3.3: whoever has the next tick is interrupted");
	tap_str(said(), "", "3.3: at once");
	go_on(victim);
	tl_run();
	said();
	all_gone("due, total");
}

static int fn_kill_in(UNUSED void *arg)
{
	long v;
	int r;

	tl_atomic(true);
	r = tl_chan_recv(chan, &v);
	say("%d", r);
	return r;
}

static void test_kill(void)
{
	struct tl_task *t = mk("A", fn_kill_in, NULL);

	tl_schedule();
	tap_is(tl_task_kill(t), 0, "4: atomic holds off no kill");
	tap_str(said(), "-125", "4: which is thrown as ever");
	tl_task_unref(t);
	all_gone("kill");
}

/* Without a budget nothing is remembered. */
static void test_without(void)
{
	bool was = tl_atomic(true);

	tick(100);
	tl_atomic(was);
	tap_ok(tl__tick_word == 0, "4: without a watchdog nothing is pending");
	all_gone("without");
}

int main(void)
{
	tap_plan(44);
	if (tl_chan_new(&chan, sizeof(long), 0))
		tap_bail("no channel");
	test_flag();
	test_reuse();
	test_hold();
	test_more();
	test_block();
	test_due();
	test_kill();
	test_without();
	tl_chan_unref(chan);
	tap_is(tl_sched_end(), 0, "sched.h: nothing is left");
	return tap_exit();
}
