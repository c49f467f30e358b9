/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Who runs next, to the last detail: insert and remove (section 1.3), run, switch, schedule, schedule_remove and
 * spawn_run (1.4), strict round robin otherwise (3.2). Each test writes the ring down as the tasklet that was switched
 * to finds it, and then the order in which all of them go on.
 */
#include <tasklet/tasklet.h>

#include "check.h"

static struct tl_chan *chan;

/* Writes the ring down, then its name when it runs again. */
static int fn_ring(UNUSED void *arg)
{
	say("[%s]", ring());
	tl_schedule();
	say("%s", name_of(tl_current()));
	return 0;
}

/* Gives way once, so that it has begun; then says its name. */
static int fn_begin(UNUSED void *arg)
{
	tl_schedule();
	say("%s", name_of(tl_current()));
	return 0;
}

static int fn_recv(UNUSED void *arg)
{
	long v;

	say("%s%d", name_of(tl_current()), tl_chan_recv(chan, &v));
	return 0;
}

static int fn_pause(UNUSED void *arg)
{
	int r = tl_schedule_remove();

	say("%s%d", name_of(tl_current()), r);
	return 0;
}

static void unref3(struct tl_task *a, struct tl_task *b, struct tl_task *c)
{
	tl_task_unref(a);
	tl_task_unref(b);
	tl_task_unref(c);
}

/* --- 3.2: round robin --------------------------------------------------------------------------------------------- */

static void test_schedule(void)
{
	tap_is(tl_schedule(), 0, "1.4: schedule alone returns at once");
	tap_str(ring(), "M", "1.4: and changes nothing");
	go("A", fn_yield, (void *)3L);
	go("B", fn_yield, (void *)2L);
	go("C", fn_yield, (void *)1L);
	tap_str(ring(), "M A B C", "3.2: new ones go last");
	tap_is(tl_schedule(), 0, "1.4: schedule returns 0");
	tap_str(said(), "A1 B1 C1", "3.2: each runs once before the caller runs again");
	tap_str(ring(), "M A B C", "1.4: the caller was last in the ring");
	tl_schedule();
	tap_str(said(), "A2 B2 C.", "3.2: and so on");
	tap_str(ring(), "M A B", "1.6: one that has ended is out of the ring");
	say("M");
	tl_schedule();
	say("M");
	tl_schedule();
	tap_str(said(), "M A3 B. M A.", "3.2: the order stays");
	all_gone("schedule");
}

/* --- 1.3: insert and remove --------------------------------------------------------------------------------------- */

static void test_insert(void)
{
	struct tl_task *a, *b, *p, *dead;
	struct picture before;

	a = mk("A", fn_begin, NULL);
	b = mk("B", fn_begin, NULL);
	p = mk_paused("P", fn_begin, NULL);
	tap_is(tl_task_insert(p), 0, "1.3: insert of a paused one");
	tap_str(ring(), "M A B P", "1.3: it goes to the end of the ring");
	tl_schedule();
	tl_task_remove(a);
	tap_str(ring(), "M B P", "1.3: remove takes one out");
	tap_is(tl_task_insert(a), 0, "1.3: one that has begun can be inserted again");
	tap_str(ring(), "M B P A", "1.3: at the end");
	before = picture();
	tap_is(tl_task_insert(b), 0, "1.3: insert of a runnable one succeeds");
	tap_is(tl_task_insert(tl_current()), 0, "1.3: and of the current one");
	tap_ok(same_picture(&before), "1.3: and each keeps its place");
	tl_schedule();
	tap_str(said(), "B P A", "3.2: they run in the order of the ring");
	tap_is(tl_task_insert(a), -ESRCH, "1.3: a dead one can't be inserted");
	unref3(a, b, p);

	a = mk("A", fn_recv, NULL);
	tl_schedule();
	before = picture();
	tap_is(tl_task_insert(a), -EBUSY, "1.3: nor a blocked one");
	tap_ok(same_picture(&before) && tl_chan_queue(chan) == a, "1.3: which stays where it was");
	tap_is(tl_task_remove(a), -EBUSY, "1.3: it can't be removed either");
	tap_ok(same_picture(&before) && tl_chan_queue(chan) == a, "1.3: and stays where it was");
	tl_chan_send(chan, &(long){ 0 });
	tap_str(said(), "A0", "1.3: it still gets its value");
	tl_task_unref(a);

	before = picture();
	tap_is(tl_task_remove(tl_current()), -EINVAL, "1.3: the current one can't be removed");
	tl_task_new(&dead, NULL);
	tap_is(tl_task_remove(dead), 0, "1.3: remove of one that is not linked does nothing (unbound)");
	tl_task_bind_arg(dead, fn_nop, NULL);
	tap_is(tl_task_remove(dead), 0, "1.3: (paused)");
	tl_task_run(dead);
	tap_is(tl_task_remove(dead), 0, "1.3: (dead)");
	tl_task_unref(dead);
	tap_ok(same_picture(&before), "1.3: and nothing has changed");
	all_gone("insert");
}

static void defer_say(void *arg)
{
	say("%s", (const char *)arg);
}

static int fn_begin_defer(void *arg)
{
	tl_defer(defer_say, arg);
	say("%s%d", name_of(tl_current()), tl_schedule());
	return 0;
}

static int fn_remove_main(UNUSED void *arg)
{
	say("%d", tl_task_remove(tl_main()));
	say("[%s]", ring());
	return 0;
}

static void test_remove(void)
{
	struct tl_task *a, *b, *c;

	go("A", fn_begin_defer, "end");
	go("B", fn_begin, NULL);
	tl_schedule();
	a = tl_task_next(tl_main());
	say("remove");
	tap_is(tl_task_remove(a), 0, "task.h: remove of one without any handle");
	tap_str(said(), "remove A-125 end B", "task.h: kills it at once; those behind it run before the caller");
	all_gone("removed without a handle");

	go("A", fn_begin, NULL);
	a = tl_task_next(tl_main());
	tap_is(tl_task_remove(a), 0, "task.h: remove of one without any handle that has not begun");
	tap_str(ring(), "M", "task.h: it is gone");
	tap_str(said(), "", "task.h: and has not run");

	/* Main is a tasklet like any other: when the ring is empty it is woken (3.4). */
	a = mk("A", fn_remove_main, NULL);
	b = mk("B", fn_begin, NULL);
	c = mk("C", fn_begin, NULL);
	tl_schedule();
	tap_str(said(), "0 [A B C] B C", "3.4: main can be removed, and is woken when the ring is empty");
	unref3(a, b, c);
	all_gone("remove");
}

/* --- 1.4: run ----------------------------------------------------------------------------------------------------- */

static void test_run(void)
{
	struct tl_task *a, *b, *t;
	struct picture before;

	a = mk("A", fn_begin, NULL);
	b = mk("B", fn_begin, NULL);
	t = mk_paused("T", fn_ring, NULL);
	tl_schedule();
	tap_is(tl_task_run(t), 0, "1.4: run of a paused one");
	say("M");
	tap_str(said(), "[T M A B] M", "1.4: it is linked just before the caller, who is next");
	tap_str(ring(), "M A B T", "1.4: then it is last");
	tl_schedule();
	tap_str(said(), "A B T", "3.2: and all go on in order");
	unref3(a, b, t);
	all_gone("run of a paused one");

	a = mk("A", fn_begin, NULL);
	t = mk("T", fn_ring, NULL);
	b = mk("B", fn_begin, NULL);
	tap_is(tl_task_run(t), 0, "1.4: run of a runnable one");
	say("M");
	tap_str(said(), "[T B M A] M", "1.4: it keeps its place; those behind it run before the caller");
	tap_str(ring(), "M A T B", "1.4: the caller kept its place too");
	tl_schedule();
	tap_str(said(), "T B", "3.2: A, which had not run, gives way once");
	tl_schedule();
	tap_str(said(), "A", "3.2: and all go on in order");
	unref3(a, b, t);

	before = picture();
	tap_is(tl_task_run(tl_current()), 0, "1.4: run of the current one does nothing");
	tap_is(tl_task_switch(tl_current()), 0, "1.4: nor does switch");
	tap_ok(same_picture(&before), "1.4: indeed");

	t = mk("T", fn_recv, NULL);
	tl_schedule();
	before = picture();
	tap_is(tl_task_run(t), -EBUSY, "1.4: a blocked one can't be run");
	tap_is(tl_task_switch(t), -EBUSY, "1.4: nor switched to");
	tl_switch_trap(1);
	tap_is(tl_task_run(t), -EBUSY, "1.4: which is checked before the switch trap");
	tap_is(tl_task_switch(t), -EBUSY, "1.4: in both");
	tl_switch_trap(-1);
	tap_ok(same_picture(&before) && tl_chan_queue(chan) == t, "1.4: nothing has changed");
	tl_task_kill(t);
	tap_is(tl_task_run(t), -ESRCH, "1.4: a dead one can't be run");
	tap_is(tl_task_switch(t), -ESRCH, "1.4: nor switched to");
	tl_task_unref(t);
	all_gone("run");
}

static int fn_throw_at_main(UNUSED void *arg)
{
	tl_task_throw_later(tl_main(), mk_error(EIO, "from below"));
	return 0;
}

static void test_thrown_meanwhile(void)
{
	struct tl_task *t = mk_paused("T", fn_throw_at_main, NULL);

	tap_is(tl_task_run(t), -EIO, "task.h: run returns what was thrown at the caller meanwhile");
	tap_is(caught(), EIO, "task.h: which can be caught");
	tl_task_bind_arg(t, NULL, NULL);
	tap_is(tl_task_switch(t), -EIO, "task.h: as does switch");
	tap_is(caught(), EIO, "task.h: which can be caught");
	tl_task_setup(t, NULL);
	tap_is(tl_schedule(), -EIO, "1.4: and schedule");
	tap_is(caught(), EIO, "1.4: which can be caught");
	tl_task_setup(t, NULL);
	tap_is(tl_schedule_remove(), -EIO, "1.4: and schedule_remove");
	tap_is(caught(), EIO, "1.4: which can be caught");
	/* What has made something reports that it has, and the next call the rest. */
	tap_is(tl_spawn_run(NULL, fn_throw_at_main, NULL), 0, "task.h: but spawn_run has made a tasklet");
	tap_is(tl_spawn_run(NULL, fn_throw_at_main, NULL), -EIO, "task.h: the next one tells, and makes none");
	tap_is(tl_task_run(t), -EIO, "task.h: as does run, whatever the target");
	tap_is(caught(), EIO, "1.4: until it is caught");
	tl_task_unref(t);
	all_gone("thrown meanwhile");
}

/* --- 1.4: switch -------------------------------------------------------------------------------------------------- */

static int fn_insert_main(UNUSED void *arg)
{
	say("[%s]", ring());
	tl_task_insert(tl_main());
	tl_schedule();
	say("%s", name_of(tl_current()));
	return 0;
}

static int fn_switch(void *arg)
{
	int r = tl_task_switch(arg);

	say("%s%d", name_of(tl_current()), r);
	return 0;
}

static void test_switch(void)
{
	struct tl_task *a, *b, *t;

	a = mk("A", fn_begin, NULL);
	b = mk("B", fn_begin, NULL);
	t = mk_paused("T", fn_insert_main, NULL);
	tap_is(tl_task_switch(t), 0, "1.4: switch to a paused one");
	say("[%s]", ring());
	tap_str(said(), "[T A B] [M T A B]", "1.4: it replaces the caller, who comes back when inserted, at the end");
	tl_schedule();
	tap_str(said(), "T A B", "3.2: and all go on in order");
	unref3(a, b, t);
	all_gone("switch to a paused one");

	a = mk("A", fn_begin, NULL);
	t = mk("T", fn_insert_main, NULL);
	b = mk("B", fn_begin, NULL);
	tap_is(tl_task_switch(t), 0, "1.4: switch to a runnable one");
	say("[%s]", ring());
	tap_str(said(), "[T B A] [M T B A]", "1.4: it keeps its place, the caller is gone from the ring");
	tl_schedule();
	tap_str(said(), "T B A", "3.2: and all go on in order");
	unref3(a, b, t);
	all_gone("switch to a runnable one");

	/* Nobody inserts main: it is woken by the empty ring (3.4). */
	t = mk_paused("T", fn_ring, NULL);
	tap_is(tl_task_switch(t), 0, "1.4: switch, and nobody inserts the caller");
	tap_str(said(), "[T] T", "3.4: main is woken when the ring is empty");
	tl_task_unref(t);

	/* Two that hand the thread to each other, main paused. */
	a = mk_paused("A", fn_switch, NULL);
	b = mk_paused("B", fn_switch, a);
	tl_task_bind_arg(a, fn_switch, b);
	tl_task_switch(a);
	tap_ok(tl_task_is_paused(b) && !tl_task_is_alive(a), "1.4: A was switched back to and ended, B stays paused");
	tap_str(said(), "A0", "1.4: A's switch returned 0");
	tl_task_insert(b);
	tl_schedule();
	tap_str(said(), "B0", "1.4: and B's when it was inserted");
	tl_task_unref(a);
	tl_task_unref(b);
	all_gone("switch to and fro");

	t = mk_paused("T", fn_ring, NULL);
	go("A", fn_switch, t);
	tl_schedule();
	tap_ok(tl_task_is_paused(t), "task.h: switch of a caller without any handle does not happen");
	tap_str(said(), "A-125", "task.h: it is killed, for it would never come back");
	tl_task_unref(t);
	all_gone("switch without a handle");
}

/* --- 1.4: schedule_remove ----------------------------------------------------------------------------------------- */

static void test_schedule_remove(void)
{
	struct tl_task *a, *b, *c;

	a = mk("A", fn_pause, NULL);
	b = mk("B", fn_begin, NULL);
	c = mk("C", fn_begin, NULL);
	tl_schedule();
	tap_str(ring(), "M B C", "1.4: schedule_remove takes the caller out; the next one runs");
	tap_ok(tl_task_is_paused(a), "1.4: it is paused");
	tl_schedule();
	tap_str(said(), "B C", "1.4: and does not run");
	tl_task_insert(a);
	tl_schedule();
	tap_str(said(), "A0", "1.4: until it is inserted");
	unref3(a, b, c);
	all_gone("schedule_remove");

	/* Main goes, and comes back when the ring is empty. */
	go("A", fn_ring, NULL);
	go("B", fn_ring, NULL);
	tap_is(tl_schedule_remove(), 0, "3.4: main too can leave the ring");
	tap_str(said(), "[A B] [B A] A B", "3.4: and is woken when it is empty");
	tap_is(tl_schedule_remove(), 0, "3.4: at once, if it is empty already");
	tap_str(ring(), "M", "3.4: main is in the ring again");
	all_gone("schedule_remove of main");
}

/* --- spawn_run ---------------------------------------------------------------------------------------------------- */

static void test_spawn_run(void)
{
	struct tl_task *a = mk("A", fn_begin, NULL), *t = NULL;

	tap_is(tl_spawn_run(&t, fn_ring, NULL), 0, "6.3: spawn_run");
	say("M");
	tap_str(said(), "[? M A] M", "6.3: switches at once; the caller is next after it");
	tap_str(ring(), "M A ?", "6.3: then it is last");
	tap_ok(t && tl_task_is_alive(t), "6.3: the handle is there");
	tl_run();
	tl_task_unref(a);
	tl_task_unref(t);
	tap_is(tl_spawn_run(NULL, fn_pause, NULL), 0, "6.3: without a handle");
	tap_str(said(), "? A ?-125", "6.3: it ends when it can't go on");
	all_gone("spawn_run");
}

/* Fan-out with spawn_run keeps few alive: the depth of the tree, not its size. */
static uint64_t most_alive;
static int leaves;

static int fn_tree(void *arg)
{
	long depth = (long)arg;
	uint64_t alive = stats().alive;

	if (alive > most_alive)
		most_alive = alive;
	if (!depth) {
		leaves++;
		return 0;
	}
	tl_spawn_run(NULL, fn_tree, (void *)(depth - 1));
	tl_spawn_run(NULL, fn_tree, (void *)(depth - 1));
	return 0;
}

static void test_tree(void)
{
	tl_spawn_run(NULL, fn_tree, (void *)10L);
	tap_is(leaves, 1024, "task.h: a tree made with spawn_run is complete when the first call returns");
	tap_is((long long)most_alive, 12, "task.h: no more were alive at a time than it is deep");
	all_gone("tree");
}

int main(void)
{
	tap_plan(111);
	if (tl_chan_new(&chan, sizeof(long), 0))
		tap_bail("no channel");
	test_schedule();
	test_insert();
	test_remove();
	test_run();
	test_thrown_meanwhile();
	test_switch();
	test_schedule_remove();
	test_spawn_run();
	test_tree();
	tl_chan_unref(chan);
	tap_is(tl_sched_end(), 0, "sched.h: nothing is left");
	return tap_exit();
}
