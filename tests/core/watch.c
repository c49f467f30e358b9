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

/*
 * The callback is set by the tasklet T that is about to leave, and looks at that one switch only. The ways to leave: T
 * goes on later, blocks, pauses, ends.
 */
static struct tl_task *paused, *blocked, *runnable, *waiting;
static struct tl_chan *other;
static tl_schedule_fn *inside;

static const char *const leave_name[] = { "goes on", "blocks", "pauses", "ends" };

static int fn_leave(void *arg)
{
	long v;
	int r = 0;

	tl_set_schedule_callback(inside, NULL, NULL, NULL);
	switch ((long)arg) {
	case 0:
		r = tl_schedule();
		break;
	case 1:
		r = tl_chan_recv(chan, &v);
		break;
	case 2:
		r = tl_schedule_remove();
		break;
	}
	if ((long)arg < 3)
		say("T%d", r);
	return 0;
}

static int fn_recv_other(UNUSED void *arg)
{
	long v = 0;
	int r = tl_chan_recv(other, &v);

	say("%s%d:%ld", me(), r, v);
	return 0;
}

static int fn_say(UNUSED void *arg)
{
	say("%s", me());
	return 0;
}

static int fn_pause(UNUSED void *arg)
{
	say("%s%d", me(), tl_schedule_remove());
	return 0;
}

/* Blocked B and W, paused P, runnable R; T runs and leaves, main goes on. */
static struct tl_task *leave(int how, tl_schedule_fn *fn)
{
	struct tl_task *t;

	inside = fn;
	tl_chan_new(&other, sizeof(long), 0);
	tl_chan_set_preference(other, 0);
	waiting = mk("W", fn_recv_other, NULL);
	blocked = mk("B", fn_recv_other, NULL);
	paused = mk("P", fn_pause, NULL);
	tl_schedule();
	runnable = mk("R", fn_say, NULL);
	t = mk_paused("T", fn_leave, (void *)(long)how);
	tl_task_run(t);
	return t;
}

static void left(struct tl_task *t, const char *what)
{
	tl_task_kill(t);
	tl_task_kill(blocked);
	tl_task_kill(waiting);
	tl_task_kill(paused);
	tl_task_unref(t);
	tl_task_unref(blocked);
	tl_task_unref(waiting);
	tl_task_unref(paused);
	tl_task_unref(runnable);
	tl_run();
	tl_chan_unref(other);
	all_gone(what);
}

/* All that would switch. */
static void try_to_switch(struct tl_task *prev, UNUSED struct tl_task *next, UNUSED void *arg)
{
	struct tl_task *t = NULL;
	long v;
	struct tl_select_case c[1] = { TL_CASE_RECV(chan, &v) };

	tl_set_schedule_callback(NULL, NULL, NULL, NULL);
	say("%s>%s:", me(), name_of(next));
	say("%d", prev == tl_current() && tl_task_is_current(prev) && !tl_task_is_current(next));
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
	say("%d", tl_chan_recv(other, &v) == -EPERM);
	say("%d", tl_select(c, 1) == -EPERM);
	tl_chan_set_preference(other, -1);
	say("%d", tl_chan_send(other, &v) == -EPERM);
	tl_chan_set_preference(other, 0);
	say("%d", tl_sched_end() != 0);
}

static void test_inside_switch(void)
{
	int how;

	for (how = 0; how < 4; how++) {
		struct tl_task *t = leave(how, try_to_switch);

		tap_str(said(), "T>M: 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
			"3.5: in the callback no call can switch (T %s)", leave_name[how]);
		tap_str(ring(), how ? "M R" : "M R T", "3.5: the switch itself is as ever");
		tap_ok(tl_chan_balance(other) == -2 && tl_task_is_paused(paused) && stats().alive == (how == 3 ? 5 : 6),
		       "3.5: nothing has changed by those calls");
		left(t, "switching in the callback");
	}
}

/* What does not switch may be done, with the effect that it would have had just before the switch. */
static void others_run(UNUSED struct tl_task *prev, UNUSED struct tl_task *next, UNUSED void *arg)
{
	long v = 7;

	tl_set_schedule_callback(NULL, NULL, NULL, NULL);
	go("N", fn_say, NULL);
	say("%d", tl_task_insert(paused));
	say("%d", tl_task_kill_later(blocked));
	say("%d", tl_chan_try_send(other, &v));
	say("%d", tl_chan_send(other, &v) == -EPERM);
}

static void test_inside_others(void)
{
	int how;

	for (how = 0; how < 4; how++) {
		struct tl_task *t = leave(how, others_run);

		tap_str(ring(), how ? "M R N P B W" : "M R N P B W T",
			"3.5: spawn, insert, kill_later, try_send in the callback (T %s)", leave_name[how]);
		tap_ok(!tl_chan_balance(other), "3.5: (who waited is served)");
		tl_schedule();
		tap_str(said(), how ? "0 0 0 1 R N P0 B-125:0 W0:7" : "0 0 0 1 R N P0 B-125:0 W0:7 T0",
			"3.5: and all run in their turn");
		left(t, "others in the callback");
	}
}

/* The one that is left, itself: it can be woken, or thrown at, before it has gone. */
static void wake_prev(struct tl_task *prev, UNUSED struct tl_task *next, void *arg)
{
	long v = 3;

	tl_set_schedule_callback(NULL, NULL, NULL, NULL);
	say("%d", tl_chan_try_send(chan, &v));
	say("%d", tl_task_insert(prev));
	say("%d", tl_task_remove(prev));
	say("%d", tl_task_bind(prev, fn_nop) == -EINVAL || tl_task_bind(prev, fn_nop) == -EBUSY);
	say("%d", tl_task_setup(prev, NULL) == -EBUSY);
	(void)arg;
}

static void kill_prev(struct tl_task *prev, UNUSED struct tl_task *next, UNUSED void *arg)
{
	tl_set_schedule_callback(NULL, NULL, NULL, NULL);
	tl_task_kill_later(prev);
}

static void test_inside_prev(void)
{
	static const char *const woken[] = { "-11 0 -22 1 1 R T0", "0 0 -22 1 1 R T0", "-11 0 -22 1 1 R T0",
					     "-11 0 -22 1 1 R" };
	struct tl_task *t;
	int how;

	for (how = 0; how < 4; how++) {
		t = leave(how, wake_prev);
		tap_str(ring(), how < 3 ? "M R T" : "M R", "3.5: the callback wakes the one that is left (T %s)",
			leave_name[how]);
		tl_schedule();
		tap_str(said(), woken[how], "3.5: with the effect that is to be expected");
		left(t, "waking in the callback");
	}
	for (how = 1; how < 3; how++) {
		t = leave(how, kill_prev);
		tap_str(ring(), "M R T", "3.5: the callback kills the one that is left (T %s)", leave_name[how]);
		tl_schedule();
		tap_str(said(), "R T-125", "3.5: its call fails");
		left(t, "killing in the callback");
	}
}

/* And the one that comes: it can't be taken out from under the switch. */
static void hit_next(struct tl_task *prev, struct tl_task *next, UNUSED void *arg)
{
	int r;

	tl_set_schedule_callback(NULL, NULL, NULL, NULL);
	r = tl_task_remove(next);
	say("%d", r < 0);
	r = tl_task_kill_later(next);
	say("%d", r == 0 || r == -EPERM);
	tl_task_unref(tl_task_ref(next));
	tl_task_unref(tl_task_ref(prev));
}

static int fn_schedule_say(UNUSED void *arg)
{
	say("N%d", tl_schedule());
	return 0;
}

static void test_inside_next(void)
{
	int started;

	for (started = 0; started < 2; started++) {
		struct tl_task *n = mk("N", fn_schedule_say, NULL);

		if (started)
			tl_schedule();
		tl_set_schedule_callback(hit_next, NULL, NULL, NULL);
		tl_schedule();
		tl_run();
		tap_str(said(), started ? "1 1 N-125" : "1 1 N0", "3.5: the next one, which has %s, stays in the ring",
			started ? "begun" : "not begun");
		tl_task_unref(n);
		all_gone("the next one in the callback");
	}
}

/* --- the switch trap ---------------------------------------------------------------------------------------------- */

static void test_level(void)
{
	tap_is(tl_switch_trap(1), 0, "3.5: the switch trap's level is 0 at first");
	tap_is(tl_switch_trap(2), 1, "3.5: it returns the old level");
	tap_is(tl_switch_trap(0), 3, "3.5: adding 0 only asks");
	tap_is(tl_switch_trap(-4), -ERANGE, "sched.h: it can't go below 0");
	tap_is(tl_switch_trap(0), 3, "sched.h: and has not changed");
	tap_is(tl_switch_trap((1 << 30) - 3), 3, "sched.h: up to 2^30");
	tap_is(tl_switch_trap(1), -ERANGE, "sched.h: but no further");
	tap_is(tl_switch_trap(INT32_MAX), -ERANGE, "sched.h: not by any overflow");
	tap_is(tl_switch_trap(INT32_MIN), -ERANGE, "sched.h: in either direction");
	tap_is(tl_switch_trap(-(1 << 30)), 1 << 30, "sched.h: and down again");
	tap_is(tl_switch_trap(0), 0, "3.5: off");
}

/* The calls that block or switch, in a scene where each of them would. */
#define CALLS 17

static struct tl_chan *empty, *full, *receiver, *sender;

static int call(int i)
{
	struct tl_task *t = NULL;
	struct tl_error *e;
	long v = 1;
	struct tl_select_case c[2] = { TL_CASE_RECV(empty, &v), TL_CASE_SEND(full, &v) };
	struct tl_select_case s[1] = { TL_CASE_SEND(receiver, &v) };
	int r;

	switch (i) {
	case 0: return tl_chan_recv(empty, &v);
	case 1: return tl_chan_send(empty, &v);
	case 2: return tl_chan_send(full, &v);
	case 3: return tl_chan_recv_until(empty, &v, tl_after(HOUR));
	case 4: return tl_select(c, 2);
	case 5: return tl_select_until(c, 2, tl_after(HOUR));
	case 6: return tl_sleep(1);
	case 7: return tl_run();
	case 8: return tl_chan_send_until(empty, &v, 0);
	case 9:
		e = mk_error(EIO, "kept");
		r = tl_chan_send_error(empty, e);
		tl_error_free(e);
		return r;
	/* Up to here they would block; from here on only switch. */
	case 10: return tl_schedule();
	case 11: return tl_task_run(paused);
	case 12: return tl_task_switch(paused);
	case 13: return tl_spawn_run(&t, fn_nop, NULL);
	case 14: return tl_chan_send(receiver, &v);
	case 15: return tl_chan_recv(sender, &v);
	case 16: return tl_select(s, 1);
	}
	return 0;
}

static int fn_recv_in(void *arg)
{
	long v = 0;
	int r = tl_chan_recv(arg, &v);

	say("%s%d:%ld", me(), r, v);
	return 0;
}

static int fn_send_in(void *arg)
{
	long v = 6;

	say("%s%d", me(), tl_chan_send(arg, &v));
	return 0;
}

static struct tl_task *scene[3];

static void scene_begin(void)
{
	long v = 0;

	tl_chan_new(&empty, sizeof(long), 0);
	tl_chan_new(&full, sizeof(long), 1);
	tl_chan_new(&receiver, sizeof(long), 0);
	tl_chan_new(&sender, sizeof(long), 0);
	tl_chan_set_preference(sender, 1);
	tl_chan_send(full, &v);
	scene[0] = mk("W", fn_recv_in, receiver);
	scene[1] = mk("S", fn_send_in, sender);
	paused = mk("P", fn_pause, NULL);
	tl_schedule();
	scene[2] = mk("R", fn_say, NULL);
}

static bool scene_is_the_same(void)
{
	return tl_chan_balance(empty) == 0 && tl_chan_balance(full) == 1 && tl_chan_balance(receiver) == -1 &&
	       tl_chan_balance(sender) == 1 && tl_task_is_paused(paused);
}

static void scene_end(void)
{
	long v;

	/* All still works: who waited gets its value, who was paused goes on. */
	tl_chan_send(receiver, &(long){ 4 });
	tl_chan_recv(sender, &v);
	tl_task_insert(paused);
	tl_run();
	tap_str(said(), "W0:4 R S0 P0", "3.5: afterwards all goes on where it was");
	tl_task_unref(paused);
	tl_task_unref(scene[0]);
	tl_task_unref(scene[1]);
	tl_task_unref(scene[2]);
	tl_chan_unref(empty);
	tl_chan_unref(full);
	tl_chan_unref(receiver);
	tl_chan_unref(sender);
}

static void test_switch_trap(void)
{
	struct picture before;
	bool same = true, refused = true;
	long v = 2;
	int i;

	scene_begin();
	before = picture();
	tl_switch_trap(1);
	for (i = 0; i < CALLS; i++) {
		int r = call(i);

		if (r != -EPERM || !same_picture(&before) || !scene_is_the_same()) {
			tap_diag("call %d gave %d", i, r);
			refused = refused && r == -EPERM;
			same = false;
		}
	}
	tap_ok(refused, "3.5: under a switch trap each call that would switch returns -EPERM");
	tap_ok(same, "3.5: and leaves everything as it was");
	/* Not schedule_remove, which would leave nobody behind that has a handle: on main it has one. */
	tap_is(tl_schedule_remove(), -EPERM, "3.5: schedule_remove as well");
	tap_ok(same_picture(&before), "3.5: main is still there");

	/* What does not switch works. */
	tap_is(tl_chan_recv(full, &v), 0, "3.5: a receive that finds a value");
	tap_is(tl_chan_send(full, &v), 0, "3.5: a send that finds room");
	tap_is(tl_chan_try_recv(empty, &v), -EAGAIN, "3.5: and a try");
	tap_is(tl_task_run(tl_current()), 0, "3.5: run of oneself");
	tl_chan_set_preference(receiver, 0);
	tap_is(tl_chan_send(receiver, &(long){ 4 }), 0, "3.5: a send whose receiver goes to the end of the ring");
	tap_str(ring(), "M R W", "3.5: (it does)");
	tl_switch_trap(-1);
	tl_task_remove(scene[2]);
	tl_schedule();
	tap_str(said(), "W0:4", "3.5: and gets it");
	scene[0] = (tl_task_unref(scene[0]), mk("W", fn_recv_in, receiver));
	tl_schedule();
	tl_chan_set_preference(receiver, -1);
	tl_task_insert(scene[2]);
	scene_end();
	all_gone("switch trap");
}

/* A buffer's receive makes a waiting sender runnable, but never switches to it; so a trap is no obstacle. */
static void test_trap_buffer(void)
{
	struct tl_chan *c;
	struct tl_task *s;
	long v = 1;

	tl_chan_new(&c, sizeof(long), 1);
	tl_chan_set_preference(c, 1);
	tl_chan_send(c, &v);
	s = mk("S", fn_send_in, c);
	tl_schedule();
	tap_is(tl_chan_balance(c), 2, "2: a full buffer and a sender");
	tl_switch_trap(1);
	v = 0;
	tap_is(tl_chan_recv(c, &v), 0, "3.5: a receive from a buffer does not switch, so no trap forbids it");
	tap_is(v, 1, "3.5: the value is there");
	tl_switch_trap(-1);
	tap_str(ring(), "M S", "6.3: the sender is runnable");
	tl_chan_try_recv(c, &v);
	tl_run();
	tap_str(said(), "S0", "6.3: its value took the room");
	tl_chan_unref(c);
	tl_task_unref(s);
	all_gone("trap and buffer");
}

static void test_block_trap(void)
{
	struct picture before;
	bool same = true, refused = true;
	long v;
	int i;

	scene_begin();
	before = picture();
	tl_task_set_block_trap(tl_current(), true);
	for (i = 0; i <= 9; i++) {
		int r = call(i);

		if (r != -EPERM || !same_picture(&before) || !scene_is_the_same()) {
			tap_diag("call %d gave %d", i, r);
			refused = refused && r == -EPERM;
			same = false;
		}
	}
	tap_ok(refused, "2: with a block trap each call that would block returns -EPERM");
	tap_is(tl_schedule_remove(), -EPERM, "9: schedule_remove as well");
	tap_ok(same, "2: and leaves everything as it was");
	tl_chan_close(empty);
	tap_is(tl_chan_recv(empty, &v), -EPERM, "2: it is looked at before closing is");
	tap_is(tl_chan_try_recv(empty, &v), -EPIPE, "2: but a try never blocks");
	tl_chan_open(empty);
	tap_is(tl_chan_recv(full, &v), 0, "2: a receive that does not block works");
	tap_is(tl_chan_send(full, &v), 0, "2: and a send");
	tap_is(tl_schedule(), 0, "2: giving way is not blocking");
	tap_str(said(), "R", "2: the others have run");
	tl_task_unref(scene[2]);
	tap_is(tl_task_run(paused), 0, "2: nor is run()");
	tap_str(said(), "P0", "2: it has run");
	tl_task_unref(paused);
	paused = mk("P", fn_pause, NULL);
	tl_schedule();
	scene[2] = mk("R", fn_say, NULL);
	tap_is(tl_chan_send(receiver, &(long){ 4 }), 0, "2: a send to a waiting receiver switches and does not block");
	tap_str(said(), "W0:4 R", "2: it has run, and those behind it");
	tl_task_set_block_trap(tl_current(), false);
	scene[0] = (tl_task_unref(scene[0]), mk("W", fn_recv_in, receiver));
	tl_schedule();
	tl_task_unref(scene[2]);
	scene[2] = mk("R", fn_say, NULL);
	scene_end();
	all_gone("block trap");
}

/* A trap is one tasklet's, and stays with it. */
static int fn_trapped(UNUSED void *arg)
{
	long v;

	tl_task_set_block_trap(tl_current(), true);
	tl_schedule();
	say("%s%d", me(), tl_chan_recv(chan, &v));
	return 0;
}

static void test_block_trap_own(void)
{
	struct tl_task *a = mk("A", fn_trapped, NULL), *b = mk("B", fn_recv, NULL);

	tl_schedule();
	tap_ok(tl_task_block_trap(a) && !tl_task_block_trap(b) && !tl_task_block_trap(tl_main()),
	       "2: a block trap is one tasklet's own");
	tl_schedule();
	tap_str(said(), "A-1", "2: it holds when it runs again");
	tap_ok(tl_chan_queue(chan) == b, "2: another one can block");
	tl_task_kill(b);
	said();
	tl_task_unref(a);
	tl_task_unref(b);
	all_gone("own trap");
}

int main(void)
{
	tap_plan(125);
	if (tl_chan_new(&chan, sizeof(long), 0))
		tap_bail("no channel");
	test_callback();
	test_callback_start();
	test_level();
	test_switch_trap();
	test_trap_buffer();
	test_block_trap();
	test_block_trap_own();
	test_inside_switch();
	test_inside_others();
	test_inside_prev();
	test_inside_next();
	tl_chan_unref(chan);
	tap_is(tl_sched_end(), 0, "sched.h: nothing is left");
	return tap_exit();
}
