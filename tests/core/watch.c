/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Watching and forbidding switches, section 3.5: the schedule callback sees each real switch, before it happens, in the
 * tasklet that is left, and can't switch itself but may do anything else; the switch trap and the block trap refuse with
 * -EPERM each call that would switch or block, and leave everything as it was.
 */
#include <pthread.h>

#include <tasklet/tasklet.h>

#include "check.h"

#define HOUR (3600ull * 1000000000)

static struct tl_chan *chan;

static const char *me(void)
{
	return name_of(tl_current());
}

/* --- the schedule callback ---------------------------------------------------------------------------------------- */

static void note_switch(struct tl_task *prev, struct tl_task *next, void *arg)
{
	say("%s%s>%s%s", (const char *)arg, name_of(prev), name_of(next), tl_current() == prev ? "" : "!current");
}

static void other_callback(UNUSED struct tl_task *prev, UNUSED struct tl_task *next, UNUSED void *arg)
{
}

static int fn_recv(UNUSED void *arg)
{
	long v = 0;
	int r = tl_chan_recv(chan, &v);

	if (r)
		say("%s%d", me(), r);
	return 0;
}

static int fn_schedule(UNUSED void *arg)
{
	tl_schedule();
	return 0;
}

static void test_callback(void)
{
	tl_schedule_fn *old = other_callback;
	void *old_arg = &chan;
	struct tl_task *t;

	tap_is(tl_set_schedule_callback(other_callback, &chan, NULL, NULL), 0, "3.5: a schedule callback is set");
	tap_is(tl_set_schedule_callback(note_switch, "", &old, &old_arg), 0, "3.5: another one");
	tap_ok(old == other_callback && old_arg == &chan, "3.5: the former one and its argument are returned");

	tl_schedule();
	tap_str(said(), "", "3.5: it does not see a schedule that comes back at once");
	go("A", fn_schedule, NULL);
	go("B", fn_schedule, NULL);
	tap_str(said(), "", "3.5: nor a spawn");
	tl_schedule();
	tap_str(said(), "M>A A>B B>M", "3.5: it sees each switch, with the one that is left current");
	tl_schedule();
	tap_str(said(), "M>A A>B B>M", "3.5: those of tasklets that end as well, with the real next one");
	t = mk("A", fn_recv, NULL);
	tl_schedule();
	tap_str(said(), "M>A A>M", "3.5: those of one that blocks");
	tl_chan_send(chan, &(long){ 1 });
	tap_str(said(), "M>A A>M", "3.5: of a send that prefers the receiver");
	tl_task_unref(t);
	t = mk_paused("A", fn_schedule, NULL);
	tl_task_run(t);
	tap_str(said(), "M>A A>M", "3.5: of run()");
	tl_task_kill(t);
	tap_str(said(), "M>A A>M", "3.5: of kill");
	tl_task_bind_arg(t, fn_schedule, NULL);
	tl_task_switch(t);
	tap_str(said(), "M>A A>M", "3.5: of switch, and of an empty ring that wakes main");
	tl_task_unref(t);
	tl_spawn_run(NULL, fn_nop, NULL);
	tap_str(said(), "M>? ?>M", "3.5: of spawn_run");
	go("A", fn_schedule, NULL);
	tl_run();
	tap_str(said(), "M>A A>M", "3.5: of run, and not where a tasklet switches to itself");
	tl_sleep(1000);
	tap_str(said(), "", "3.5: nor when it sleeps alone");
	tap_is(tl_set_schedule_callback(NULL, NULL, &old, NULL), 0, "3.5: it is taken away");
	tap_ok(old == note_switch, "3.5: and was there");
	go("A", fn_schedule, NULL);
	tl_run();
	tap_str(said(), "", "3.5: it sees nothing more");
	all_gone("schedule callback");
}

static void *thread_start(UNUSED void *arg)
{
	tl_set_schedule_callback(note_switch, "", NULL, NULL);
	say("main%d", tl_runcount());
	tl_schedule();
	return NULL;
}

static void note_start(struct tl_task *prev, struct tl_task *next, void *arg)
{
	say("%s>%s", name_of(prev), name_of(next));
	(void)arg;
}

static void *thread_start_seen(UNUSED void *arg)
{
	tl_set_schedule_callback(note_start, NULL, NULL, NULL);
	tl_set_schedule_callback(note_start, NULL, NULL, NULL);
	return NULL;
}

static void *thread_start_late(UNUSED void *arg)
{
	tl_schedule();
	tl_set_schedule_callback(note_start, NULL, NULL, NULL);
	return NULL;
}

static void in_thread(void *(*fn)(void *))
{
	pthread_t t;

	if (pthread_create(&t, NULL, fn, NULL))
		tap_bail("no thread");
	pthread_join(t, NULL);
}

static void test_callback_start(void)
{
	in_thread(thread_start_seen);
	tap_str(said(), "->M", "3.5: the start of a thread's main tasklet is seen, with no previous one, once");
	in_thread(thread_start_late);
	tap_str(said(), "", "3.5: but not where it has started before");
	in_thread(thread_start);
	said();
}

/* --- inside the callback ------------------------------------------------------------------------------------------ */

static struct tl_task *paused, *blocked, *runnable;
static bool inside_once;

/* All that would switch. */
static void try_to_switch(struct tl_task *prev, UNUSED struct tl_task *next, UNUSED void *arg)
{
	struct tl_task *t = NULL;
	long v;
	struct tl_select_case c[1] = { TL_CASE_RECV(chan, &v) };

	if (inside_once)
		return;
	inside_once = true;
	say("%s:", name_of(prev));
	say("%d", tl_schedule() == -EPERM);
	say("%d", tl_schedule_remove() == -EPERM);
	say("%d", tl_task_run(paused) == -EPERM);
	say("%d", tl_task_run(runnable) == -EPERM);
	say("%d", tl_task_switch(paused) == -EPERM);
	say("%d", tl_task_kill(blocked) == -EPERM);
	say("%d", tl_task_kill(paused) == -EPERM);
	say("%d", tl_spawn_run(&t, fn_nop, NULL) == -EPERM && !t);
	say("%d", tl_run() == -EPERM);
	say("%d", tl_sleep(1) == -EPERM);
	say("%d", tl_chan_recv(chan, &v) == -EPERM);
	say("%d", tl_chan_send(tl_task_channel(blocked), &v) == -EPERM);
	say("%d", tl_select(c, 1) == -EPERM);
}

static int fn_recv_from(void *arg)
{
	long v;

	tl_chan_recv(arg, &v);
	return 0;
}

/* The ways to leave a tasklet: it goes on, it blocks, it pauses, it ends. */
static int fn_leave(void *arg)
{
	long v;

	switch ((long)arg) {
	case 0:
		tl_schedule();
		break;
	case 1:
		tl_chan_recv(chan, &v);
		break;
	case 2:
		tl_schedule_remove();
		break;
	}
	return 0;
}

static const char *const leave_name[] = { "goes on", "blocks", "pauses", "ends" };

static void test_inside(void)
{
	struct tl_chan *other;
	struct tl_task *t;
	int how;

	tl_chan_new(&other, sizeof(long), 0);
	for (how = 0; how < 4; how++) {
		struct picture before;

		blocked = mk("B", fn_recv_from, other);
		paused = mk("P", fn_leave, (void *)2L);
		tl_schedule();
		t = mk("T", fn_leave, (void *)(long)how);
		runnable = mk("R", fn_yield, (void *)0L);
		before = picture();
		inside_once = true;
		tl_set_schedule_callback(try_to_switch, NULL, NULL, NULL);
		tl_task_remove(tl_task_ref(runnable));
		tl_task_insert(runnable);
		tl_task_unref(runnable);
		tap_ok(same_picture(&before), "3.5: (T, then R are runnable)");
		inside_once = false;
		/* Main goes first: its own switch to T is the first one seen. Look at T's. */
		inside_once = true;
		tl_spawn(NULL, fn_nop, NULL);
		tl_set_schedule_callback(NULL, NULL, NULL, NULL);
		tl_task_remove(runnable);
		tl_set_schedule_callback(try_to_switch, NULL, NULL, NULL);
		tl_task_insert(runnable);
		tl_set_schedule_callback(NULL, NULL, NULL, NULL);
		tl_schedule();
		tl_run();
		caught();
		said();
		tl_task_unref(t);
		tl_task_unref(runnable);

		/* Now for real: T is current, and leaves. */
		runnable = mk("R", fn_schedule, NULL);
		t = mk_paused("T", fn_leave, (void *)(long)how);
		inside_once = false;
		tl_set_schedule_callback(NULL, NULL, NULL, NULL);
		tl_task_kill(t);
		tl_task_unref(t);
		tl_task_unref(runnable);
		tl_run();
		tl_task_kill(blocked);
		tl_task_kill(paused);
		tl_task_unref(blocked);
		tl_task_unref(paused);
		said();
	}
	tl_chan_unref(other);
	all_gone("inside");
}
