/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Throwing and killing, section 1.5: each state of the target with each of the four calls, who runs when, whose the
 * error is, and that nothing is lost: a value that was delivered, a place in a queue when the call is refused, an
 * error (each is freed once). Also what the target sees: errors that stick until they are caught, catch and shield.
 */
#include <tasklet/tasklet.h>

#include "one-chan.h"
#include "core/park.h"	/* a wait that can't be abandoned: only lib/io has one otherwise */

static int freed, refused;

static int fn_yield_once(UNUSED void *arg)
{
	int r = tl_schedule();

	say("%s%d[%s]", me(), r, ring());
	return 0;
}

static int fn_say(UNUSED void *arg)
{
	say("%s", me());
	return 0;
}

/* What a tasklet does that is killed, and how it is killed. */
enum how { KILL, KILL_LATER, THROW, THROW_LATER };

static const char *const how_name[] = { "kill", "kill_later", "throw", "throw_later" };

static int hit(struct tl_task *t, int how)
{
	struct tl_error *e;
	int r, before = freed;

	switch (how) {
	case KILL:
		return tl_task_kill(t);
	case KILL_LATER:
		return tl_task_kill_later(t);
	}
	e = mk_counted(EIO, "hit", &freed);
	r = how == THROW ? tl_task_throw(t, e) : tl_task_throw_later(t, e);
	if (r == -ESRCH || r == -EXDEV || r == -EPERM) {
		/* The error must still be ours. */
		refused += freed == before;
		tl_error_free(e);
		freed = before;
	}
	return r;
}

static int code_of(int how)
{
	return how >= THROW ? -EIO : -ECANCELED;
}

/* --- the target's states ------------------------------------------------------------------------------------------ */

static int fn_self(void *arg)
{
	long v = 0, how = (long)arg;
	struct tl_select_case c[1] = { TL_CASE_RECV(chan, &v) };
	int code = code_of((int)how);

	say("%d", hit(tl_current(), (int)how));
	/* Sticky: whatever might block or switch away fails in the same way. */
	say("%d", tl_schedule() == code);
	say("%d", tl_chan_recv(chan, &v) == code);
	say("%d", tl_chan_send(chan, &v) == code);
	say("%d", tl_chan_recv_until(chan, &v, tl_now() + 1000) == code);
	say("%d", tl_sleep(1) == code);
	say("%d", tl_select(c, 1) == code);
	say("%d", tl_select_until(c, 1, TL_FOREVER - 1) == code);
	say("%d", tl_run() == code);
	say("%d", tl_schedule_remove() == code);
	say("%d", tl_task_switch(tl_main()) == code);
	say("%d", tl_task_run(tl_main()) == code);
	say("%d", tl_spawn_run(NULL, fn_say, NULL) == code);
	/* What never blocks goes on. */
	say("%d", tl_chan_try_recv(chan, &v) == -EAGAIN);
	say("%d", tl_try_select(c, 1) == -EAGAIN);
	say("c%d", caught() == -code);
	say("%d", tl_schedule());
	say("%d", tl_chan_recv_until(chan, &v, 1) == -ETIMEDOUT);
	return 0;
}

static void test_self(void)
{
	char want[80];
	int how;

	for (how = KILL; how <= THROW_LATER; how++) {
		freed = 0;
		go("A", fn_self, (void *)(long)how);
		tl_run();
		snprintf(want, sizeof(want), "%d 1 1 1 1 1 1 1 1 1 1 1 1 1 1 c1 0 1", how >= THROW ? 0 : -ECANCELED);
		tap_str(said(), want,
			"1.5.1: %s at oneself fails each call that might block, until caught", how_name[how]);
		tap_is(freed, how >= THROW, "1.5.1: the error of %s is freed once", how_name[how]);
	}
	tap_is(tl_task_kill(tl_current()), -ECANCELED, "1.5.1: main can be killed by itself");
	tap_is(tl_schedule(), -ECANCELED, "1.5.1: and its calls fail");
	tap_is(caught(), ECANCELED, "1.5.1: until it catches");
	tap_is(tl_schedule(), 0, "1.5.1: then they work again");
	all_gone("self");
}

/* A schedule that fails still lets the others run: a loop around it must not freeze them. */
static void test_schedule_raised(void)
{
	go("A", fn_say, NULL);
	tl_task_kill(tl_current());
	tap_is(tl_schedule(), -ECANCELED, "sched.h: schedule fails in one that was killed");
	tap_str(said(), "A", "sched.h: and then too the others have run");
	go("A", fn_say, NULL);
	tl_switch_trap(1);
	tap_is(tl_schedule(), -ECANCELED, "sched.h: unless a trap is set");
	tl_switch_trap(-1);
	tap_str(said(), "", "sched.h: which holds them");
	caught();
	all_gone("schedule");
}

static void test_not_alive(void)
{
	struct tl_task *t;
	int how, state;
	static const char *const names[] = { "unbound", "bound", "dead" };
	struct picture before = picture();

	tl_task_new(&t, NULL);
	for (state = 0; state < 3; state++) {
		if (state == 1)
			tl_task_bind(t, fn_nop);
		if (state == 2)
			tl_task_setup(t, NULL), tl_schedule();
		for (how = KILL; how <= THROW_LATER; how++) {
			refused = 0;
			tap_is(hit(t, how), how >= THROW ? -ESRCH : 0, "1.5.2: %s at one that is %s", how_name[how],
			       names[state]);
			tap_is(refused, how >= THROW, "1.5.2: the error stays the caller's");
		}
	}
	tl_task_unref(t);
	tap_ok(same_picture(&before), "1.5.2: nothing has changed");
}

static void test_unstarted(void)
{
	struct tl_task *t;
	int how;

	for (how = KILL; how <= KILL_LATER; how++) {
		go("A", fn_say, NULL);
		t = mk("T", fn_say, NULL);
		go("B", fn_say, NULL);
		tap_is(hit(t, how), 0, "1.5: %s at a runnable one that has not begun", how_name[how]);
		tap_ok(!tl_task_is_alive(t), "1.5: it is dead");
		tap_str(ring(), "M A B", "1.5: it is out of the ring, and nobody has run");
		tap_is(tl_run(), TL_RUN_FINISHED, "1.5: no error is reported");
		tap_str(said(), "A B", "1.5: its function has not run");
		tl_task_unref(t);

		t = mk_paused("T", fn_say, NULL);
		tap_is(hit(t, how), 0, "1.5: %s at a paused one that has not begun", how_name[how]);
		tap_ok(!tl_task_is_alive(t) && stats().alive == 1 && !stats().paused, "1.5: it is dead");
		tl_task_unref(t);
	}

	/* Other errors end it as if its first call had failed: it has an end, though its function never runs. */
	freed = 0;
	go("A", fn_say, NULL);
	t = mk("T", fn_say, NULL);
	go("B", fn_say, NULL);
	tap_is(hit(t, THROW), 0, "1.5: throw at a runnable one that has not begun");
	tap_ok(!tl_task_is_alive(t) && !freed, "1.5: it is dead at once");
	tap_str(ring(), "M A B", "1.5: it is out of the ring");
	tap_is(tl_run(), -EIO, "1.6: its error is reported as one that nobody caught");
	tap_is(caught(), EIO, "1.6: (caught)");
	tap_is(freed, 1, "1.6: and freed once");
	tl_run();
	tap_str(said(), "A B", "1.5: its function has not run");

	freed = 0;
	tl_task_setup(t, NULL);
	go("A", fn_say, NULL);
	tap_is(hit(t, THROW_LATER), 0, "1.5: throw_later at a runnable one that has not begun");
	tap_str(ring(), "M T A", "1.5.6: it keeps its place");
	tap_is(tl_schedule(), -EIO, "1.6: and ends with the error when its turn comes");
	tap_ok(!tl_task_is_alive(t) && caught() == EIO && freed == 1, "1.6: (caught)");
	tl_run();
	tap_str(said(), "A", "1.5: its function has not run");

	freed = 0;
	tl_task_bind_arg(t, fn_say, NULL);
	go("A", fn_say, NULL);
	tap_is(hit(t, THROW_LATER), 0, "1.5: throw_later at a paused one that has not begun");
	tap_str(ring(), "M A T", "1.5.6: it is linked at the end");
	tap_is(hit(t, KILL), 0, "1.5: a kill before its turn");
	tap_ok(!tl_task_is_alive(t) && freed == 1, "1.5: ends it without running, and frees that error");
	tap_is(tl_run(), 0, "1.6: nothing is reported");
	tap_str(said(), "A", "1.5: its function has not run");

	freed = 0;
	tl_task_bind_arg(t, fn_say, NULL);
	tap_is(hit(t, THROW), 0, "1.5: throw at a paused one that has not begun");
	tap_ok(!tl_task_is_alive(t) && stats().alive == 1 && !stats().paused, "1.5: it is dead at once");
	tap_is(caught(), EIO, "1.6: with that error");
	tap_ok(freed == 1 && tl_schedule() == 0, "1.6: once");
	tl_task_unref(t);
	all_gone("unstarted");
}

static void test_blocked(void)
{
	struct tl_task *t;
	int how;

	for (how = KILL; how <= THROW_LATER; how++) {
		bool later = how == KILL_LATER || how == THROW_LATER;
		char want[64];

		freed = 0;
		t = mk("T", fn_recv, NULL);
		tl_schedule();
		go("A", fn_say, NULL);
		tap_is(hit(t, how), 0, "1.5: %s at a blocked one", how_name[how]);
		tap_is(tl_chan_balance(chan), 0, "1.5: it has left the channel");
		tap_str(ring(), later ? "M A T" : "M A", later ? "1.5.6: it will run when its turn comes" :
			"1.5.4: it ran at once, and the caller next");
		tl_schedule();
		snprintf(want, sizeof(want), later ? "A T%d:0" : "T%d:0 A", code_of(how));
		tap_str(said(), want, "1.5: its call failed with what was thrown");
		tap_is(freed, how >= THROW, "1.5: the error was freed once");
		tl_task_unref(t);
	}
	all_gone("blocked");
}

static void test_runnable(void)
{
	struct tl_task *t;
	char want[64];
	int how;

	for (how = KILL; how <= THROW_LATER; how++) {
		bool later = how == KILL_LATER || how == THROW_LATER;

		t = mk("T", fn_yield_once, NULL);
		tl_schedule();
		tl_task_remove(t);
		go("A", fn_yield, (void *)1L);
		tl_task_insert(t);
		go("B", fn_yield, (void *)1L);
		tap_str(ring(), "M A T B", "1.5: T is runnable");
		tap_is(hit(t, how), 0, "1.5: %s at a runnable one", how_name[how]);
		say("M");
		if (later) {
			tap_str(ring(), "M A T B", "1.5.6: it keeps its place, and nobody runs");
			tl_schedule();
			snprintf(want, sizeof(want), "M A1 T%d[T B M A] B1", code_of(how));
		} else {
			snprintf(want, sizeof(want), "T%d[T B M A] B1 M", code_of(how));
		}
		tap_str(said(), want, "1.5: it keeps its place in the ring");
		tl_run();
		said();
		tl_task_unref(t);
	}
	all_gone("runnable");
}

static int fn_pause(UNUSED void *arg)
{
	int r = tl_schedule_remove();

	say("%s%d[%s]", me(), r, ring());
	return 0;
}

static void test_paused(void)
{
	struct tl_task *t;
	char want[64];
	int how;

	for (how = KILL; how <= THROW_LATER; how++) {
		bool later = how == KILL_LATER || how == THROW_LATER;

		t = mk("T", fn_pause, NULL);
		tl_schedule();
		go("A", fn_say, NULL);
		tap_is(hit(t, how), 0, "1.5: %s at a paused one", how_name[how]);
		if (later) {
			tap_str(ring(), "M A T", "1.5.6: it goes to the end of the ring");
			snprintf(want, sizeof(want), "A T%d[T M]", code_of(how));
		} else {
			tap_str(ring(), "M A", "1.5.4: it ran at once");
			snprintf(want, sizeof(want), "T%d[T M A] A", code_of(how));
		}
		tl_schedule();
		tap_str(said(), want, "1.5: linked before the caller");
		tl_task_unref(t);
	}
	all_gone("paused");
}

/* --- main, and those in run() ------------------------------------------------------------------------------------- */

static int fn_hit_main(void *arg)
{
	say("%d", hit(tl_main(), (int)(long)arg));
	return 0;
}

static void test_main(void)
{
	char want[32];
	long v;
	int how;

	for (how = KILL; how <= THROW_LATER; how++) {
		go("T", fn_hit_main, (void *)(long)how);
		tap_is(tl_schedule(), code_of(how), "1.5: %s at main, which is runnable", how_name[how]);
		tap_is(tl_schedule(), code_of(how), "1.5: it sticks to main as to any other");
		tap_is(caught(), -code_of(how), "1.5: until it is caught");
		tl_run();

		go("T", fn_hit_main, (void *)(long)how);
		tap_is(tl_chan_recv(chan, &v), code_of(how), "1.5: %s at main, which is blocked", how_name[how]);
		tap_is(tl_chan_balance(chan), 0, "1.5: it has left the channel");
		tap_is(caught(), -code_of(how), "1.5: caught");
		tl_run();

		go("T", fn_hit_main, (void *)(long)how);
		tap_is(tl_run(), code_of(how), "3.3: %s at main, which is in run()", how_name[how]);
		tap_is(caught(), -code_of(how), "3.3: caught");
		tl_run();
		snprintf(want, sizeof(want), "0 0 0");
		tap_str(said(), want, "1.5: %s succeeded each time", how_name[how]);
	}
	all_gone("main");
}

/* --- a delivered value is never lost ------------------------------------------------------------------------------ */

static int fn_recv_twice(UNUSED void *arg)
{
	long v = 0;
	int r = tl_chan_recv(chan, &v), s = tl_chan_recv(chan, &v);

	say("%s%d:%ld %d", me(), r, v, s);
	return 0;
}

static int fn_send_yield(void *arg)
{
	int r = tl_chan_send(chan, &arg), s = tl_schedule();

	say("%s%d %d", me(), r, s);
	return 0;
}

static void test_delivered(void)
{
	struct tl_task *t;
	char want[64];
	long v;
	int how;

	tl_chan_set_preference(chan, 0);
	for (how = KILL; how <= THROW_LATER; how++) {
		t = mk("T", fn_recv_twice, NULL);
		tl_schedule();
		tl_chan_send(chan, &(long){ 7 });
		tap_str(ring(), "M T", "9: the value is delivered and T has not run yet");
		hit(t, how);
		tl_schedule();
		snprintf(want, sizeof(want), "T0:7 %d", code_of(how));
		tap_str(said(), want, "9: %s does not lose it: that call succeeds, the next one fails", how_name[how]);
		tl_task_unref(t);

		t = mk("T", fn_send_yield, (void *)8L);
		tl_schedule();
		tl_chan_recv(chan, &v);
		hit(t, how);
		tl_run();
		snprintf(want, sizeof(want), "T0 %d", code_of(how));
		tap_ok(v == 8, "9: the value was received");
		tap_str(said(), want, "9: so %s does not make the send fail, but the next call", how_name[how]);
		tl_task_unref(t);
	}
	tl_chan_set_preference(chan, -1);
	all_gone("delivered");
}

/* --- catching ----------------------------------------------------------------------------------------------------- */

static int fn_survive(UNUSED void *arg)
{
	long v;

	say("%d", tl_chan_recv(chan, &v));
	say("c%d", caught());
	say("%d", tl_chan_recv(chan, &v));
	return 0;
}

static int fn_message(UNUSED void *arg)
{
	struct tl_error *e;
	long v;

	tl_chan_recv(chan, &v);
	e = tl_catch();
	say("%d/%s/%s", tl_error_code(e), tl_error_message(e), (char *)tl_error_payload(e));
	say("%s", tl_error_origin(e));
	tl_error_free(e);
	return 0;
}

static void test_catch(void)
{
	char want[128];
	struct tl_error *e;
	struct tl_task *t;

	t = mk("T", fn_survive, NULL);
	tl_schedule();
	tap_is(tl_task_kill(t), 0, "1.5: kill of one that catches");
	tap_ok(tl_task_is_alive(t) && tl_chan_queue(chan) == t,
	       "1.5: it survives, and kill returns when the caller runs");
	tap_is(tl_task_kill(t), 0, "1.5: kill it again");
	tap_ok(!tl_task_is_alive(t), "1.5: this time it ends");
	tap_str(said(), "-125 c125 -125", "1.5: catching ended the state in which every call fails");
	tl_task_unref(t);

	t = mk("T", fn_message, NULL);
	tl_schedule();
	tl_task_set_name(tl_main(), "boss");
	e = mk_error(EDOM, "the message");
	tl_error_set_payload(e, "payload", NULL);
	tl_task_throw(t, e);
	tl_task_set_name(tl_main(), NULL);
	snprintf(want, sizeof(want), "33/the message/payload tasklet %llu (boss)",
		 (unsigned long long)tl_task_id(tl_main()));
	tap_str(said(), want, "error.h: code, message, payload and origin arrive");
	tl_task_unref(t);
	tap_ok(!tl_catch(), "sched.h: catch without an error gives NULL");
	tap_is(tl_task_throw(tl_main(), NULL), -EINVAL, "task.h: throwing nothing is refused");
	all_gone("catch");
}

/* More than one thrown before the target runs. */
static void test_twice(void)
{
	struct tl_task *t;
	int first, second;

	for (first = KILL_LATER; first <= THROW_LATER; first += 2)
		for (second = KILL; second <= THROW_LATER; second++) {
			bool kill = first == KILL_LATER || second <= KILL_LATER;

			freed = 0;
			t = mk("T", fn_survive, NULL);
			tl_schedule();
			hit(t, first);
			hit(t, second);
			if (second == KILL_LATER || second == THROW_LATER)
				tl_schedule();
			tap_ok(tl_chan_queue(chan) == t, "1.5: %s, then %s: T has caught and waits again",
			       how_name[first], how_name[second]);
			tap_is(freed, (first == THROW_LATER) + (second >= THROW),
			       "1.5: each error was freed once");
			tl_task_kill(t);
			/* The call reports the first, or the kill; the catch hands over what is there then. */
			tap_str(said(), kill ? first == THROW_LATER ? "-5 c125 -125" : "-125 c125 -125" :
				"-5 c5 -125", "9: a kill is never replaced by less");
			tl_task_unref(t);
		}
	all_gone("twice");
}

/* --- shield ------------------------------------------------------------------------------------------------------- */

static int fn_shield(UNUSED void *arg)
{
	long v = 0;
	bool was = tl_shield(true), inner;
	int r = tl_chan_recv(chan, &v);

	say("%d:%ld", r, v);
	inner = tl_shield(true);
	say("%d", tl_schedule());
	tl_shield(inner);
	say("%d", tl_schedule());
	tl_shield(was);
	say("off%d%d", was, inner);
	say("%d", tl_schedule());
	say("c%d", caught());
	return 0;
}

static int fn_shield_self(UNUSED void *arg)
{
	tl_shield(true);
	say("%d", tl_task_kill(tl_current()));
	say("%d", tl_schedule());
	say("c%d", caught());
	tl_shield(false);
	say("%d", tl_schedule());
	return 0;
}

static int fn_shield_pause(UNUSED void *arg)
{
	tl_shield(true);
	say("%d", tl_schedule_remove());
	say("%d", tl_schedule());
	tl_shield(false);
	say("%d", tl_schedule());
	return 0;
}

static int fn_shield_timeout(UNUSED void *arg)
{
	long v;

	tl_shield(true);
	say("%d", tl_chan_recv_until(chan, &v, tl_now() + 1000000));
	tl_shield(false);
	say("%d", tl_chan_recv(chan, &v));
	return 0;
}

static void test_shield(void)
{
	struct tl_task *t;
	char want[64];
	int how;

	for (how = KILL; how <= THROW_LATER; how++) {
		freed = 0;
		t = mk("T", fn_shield, NULL);
		tl_schedule();
		tap_is(hit(t, how), 0, "9: %s at one that is shielded", how_name[how]);
		tl_schedule();
		tap_ok(tl_chan_queue(chan) == t && tl_chan_balance(chan) == -1, "9: it waits on");
		tl_chan_send(chan, &(long){ 5 });
		tl_run();
		snprintf(want, sizeof(want), "0:5 0 0 off01 %d c%d", code_of(how), -code_of(how));
		tap_str(said(), want, "9: %s is delivered by the first call after the shield", how_name[how]);
		tap_is(freed, how >= THROW, "9: and freed once");
		tl_task_unref(t);
	}
	/* A pause is protected as well. */
	t = mk("T", fn_shield_pause, NULL);
	tl_schedule();
	for (how = KILL; how <= KILL_LATER; how++)
		tap_ok(hit(t, how) == 0 && tl_task_is_paused(t) && tl_runcount() == 1,
		       "9: %s at one that is paused and shielded leaves it there", how_name[how]);
	tl_task_insert(t);
	tl_run();
	tap_str(said(), "0 0 -125", "9: until it is inserted; the kill waits for the end of the shield");
	tl_task_unref(t);
	/* But nobody can insert one without a handle. */
	t = mk("T", fn_shield_pause, NULL);
	tl_schedule();
	tl_task_kill(t);
	tl_task_unref(t);
	tl_run();
	tap_str(said(), "0 0 -125", "9: one that loses its last handle goes on, shielded or not");

	go("T", fn_shield_self, NULL);
	tl_run();
	tap_str(said(), "0 0 c0 -125", "9: at oneself as well");
	t = mk("T", fn_shield_timeout, NULL);
	tl_schedule();
	tl_task_kill(t);
	tl_run();
	tap_str(said(), "-110 -125", "9: a deadline still ends a shielded wait");
	tl_task_unref(t);
	all_gone("shield");
}

/* --- traps -------------------------------------------------------------------------------------------------------- */

static void test_trap(void)
{
	struct tl_task *a, *b, *c, *p, *u;
	struct picture before;

	a = mk("A", fn_recv, NULL);
	b = mk("B", fn_recv, NULL);
	c = mk("C", fn_recv, NULL);
	p = mk("P", fn_pause, NULL);
	u = mk("Y", fn_yield_once, NULL);
	tl_schedule();
	before = picture();
	tl_switch_trap(1);
	refused = 0;
	tap_is(hit(b, KILL), -EPERM, "1.5: kill under a switch trap, of a blocked one");
	tap_is(hit(b, THROW), -EPERM, "1.5: throw");
	tap_ok(tl_chan_queue(chan) == a && tl_task_next(a) == b && tl_task_next(b) == c && tl_chan_balance(chan) == -3,
	       "1.5: its place in the queue is as it was");
	tap_is(hit(p, KILL), -EPERM, "1.5: of a paused one");
	tap_is(hit(p, THROW), -EPERM, "1.5: throw");
	tap_is(hit(u, KILL), -EPERM, "1.5: of a runnable one");
	tap_is(hit(u, THROW), -EPERM, "1.5: throw");
	tap_is(refused, 3, "1.5: the errors stay the caller's");
	tap_ok(same_picture(&before), "3.5: nothing has changed");
	tap_is(tl_task_kill(tl_current()), -ECANCELED, "1.5.1: at oneself nothing switches");
	tap_is(caught(), ECANCELED, "1.5.1: and it is caught");
	tap_is(hit(b, KILL_LATER), 0, "1.5.6: kill_later does not switch");
	tap_str(ring(), "M Y B", "1.5.6: so it works");
	tl_switch_trap(-1);
	tl_schedule();
	tap_str(said(), "Y0[Y B M] B-125:0", "1.5: what was refused has left no trace");
	tl_task_kill(a);
	tl_task_kill(c);
	tl_task_kill(p);
	tl_task_unref(a);
	tl_task_unref(b);
	tl_task_unref(c);
	tl_task_unref(p);
	tl_task_unref(u);
	all_gone("trap");
}

/* --- waits with more to undo -------------------------------------------------------------------------------------- */

static int fn_recv_until(UNUSED void *arg)
{
	long v;
	int r = tl_chan_recv_until(chan, &v, tl_after(3600ull * 1000000000));

	say("%d", r);
	return 0;
}

static int fn_sleep(UNUSED void *arg)
{
	say("%d", tl_sleep(3600ull * 1000000000));
	return 0;
}

static void test_timers(void)
{
	struct tl_task *a = mk("A", fn_recv_until, NULL), *b = mk("B", fn_sleep, NULL);

	tl_schedule();
	tap_is((long long)stats().timers, 2, "9: two wait with a deadline");
	tl_task_kill(a);
	tl_task_kill(b);
	tap_str(said(), "-125 -125", "9: killed");
	tap_is((long long)stats().timers, 0, "9: a kill takes the timer with it");
	tl_task_unref(a);
	tl_task_unref(b);
	all_gone("timers");
}

/* As the kernel holds an operation's buffer: the wait ends when the test says so. */
static struct tl_task *held;
static int held_result;

static bool held_abandon(UNUSED struct tl_task *t, int result)
{
	held_result = result;
	return false;
}

static const struct tl__wait_ops held_ops = { .verb = "is held by", .abandon = held_abandon };

static int fn_held(UNUSED void *arg)
{
	struct tl_sched *s = tl__sched();

	held = s->head;
	say("%d", tl__park(s, held, &held_ops, NULL));
	say("%d", tl_schedule());
	return 0;
}

static void test_held(void)
{
	struct tl_task *t = mk("T", fn_held, NULL);

	tl_schedule();
	tap_is(tl_task_kill(t), 0, "task.h: kill of one that can't be let go of at once does not wait for it");
	tap_ok(tl_task_is_blocked(t) && held_result == -ECANCELED, "task.h: it is asked to hurry");
	tl__wake(tl__sched(), held, 3);
	tl_run();
	tap_str(said(), "3 -125", "task.h: its call succeeds if it did, and the next one fails");
	tl_task_unref(t);
	all_gone("held");
}

/* --- destructors that switch -------------------------------------------------------------------------------------- */

/* An error's destructor may do anything: here it lets the others run while a throw is under way. */
static void destroy_switches(void *payload)
{
	say("d%d", tl_schedule());
	++*(int *)payload;
}

static int fn_catch_and_wait(UNUSED void *arg)
{
	long v = 0;

	tl_schedule();
	say("c%d", caught() != 0);
	say("%s", tl_chan_recv(chan, &v) ? "failed" : "got");
	say("c%d", caught() != 0);
	return 0;
}

static void test_destructor(void)
{
	struct tl_error *e;
	struct tl_task *t;
	int n = 0;

	/* T has an error that it has not seen; a kill replaces it. T runs inside the destructor, or later. */
	t = mk("T", fn_catch_and_wait, NULL);
	tl_schedule();
	e = mk_error(EIO, "first");
	tl_error_set_payload(e, &n, destroy_switches);
	tl_task_throw_later(t, e);
	tap_is(tl_task_kill_later(t), 0, "0: a kill replaces an error whose destructor switches");
	tl_schedule();
	tl_task_kill(t);
	tl_run();
	tap_is(n, 1, "0: it was destroyed once");
	tap_ok(!tl_task_is_alive(t) && !tl_chan_balance(chan), "0: T has ended and waits nowhere");
	said();
	tl_task_unref(t);

	/* A throw at one that was killed already: the error is dropped. */
	n = 0;
	t = mk("T", fn_catch_and_wait, NULL);
	tl_schedule();
	tl_task_kill_later(t);
	e = mk_error(EIO, "second");
	tl_error_set_payload(e, &n, destroy_switches);
	tap_is(tl_task_throw_later(t, e), 0, "0: an error that a kill outweighs, and whose destructor switches");
	tl_schedule();
	tl_task_kill(t);
	tl_run();
	tap_is(n, 1, "0: it was destroyed once");
	tap_ok(!tl_task_is_alive(t) && !tl_chan_balance(chan), "0: T has ended and waits nowhere");
	said();
	tl_task_unref(t);

	/* Thrown at one that has not begun: its destructor finds it dead. */
	n = 0;
	t = mk_paused("T", fn_say, NULL);
	e = mk_error(EIO, "third");
	tl_error_set_payload(e, &n, destroy_switches);
	tl_task_throw_later(t, e);
	tap_is(tl_task_kill(t), 0, "0: an error of one that has not begun and is killed");
	tap_ok(n == 1 && !tl_task_is_alive(t) && stats().alive == 1, "0: destroyed once, and T is dead");
	said();
	tl_task_unref(t);
	all_gone("destructors");
}

static struct tl_task *victim;

static void destroy_inserts(void *payload)
{
	*(int *)payload = tl_task_insert(victim);
}

static void test_destructor_of_unstarted(void)
{
	struct tl_error *e = mk_error(EIO, "inserts");
	int r = 1;

	victim = mk_paused("T", fn_say, NULL);
	tl_error_set_payload(e, &r, destroy_inserts);
	tl_task_throw_later(victim, e);
	tl_task_kill(victim);
	tap_is(r, -ESRCH, "0: who is killed before it began is dead when the destructor runs");
	tap_str(ring(), "M", "0: it can't be brought back");
	tap_ok(stats().alive == 1 && !stats().paused, "0: and all counts are right");
	tl_task_unref(victim);
	all_gone("destructor of one that has not begun");
}

int main(void)
{
	tap_plan(277);
	if (tl_chan_new(&chan, sizeof(long), 0))
		tap_bail("no channel");
	test_self();
	test_schedule_raised();
	test_not_alive();
	test_unstarted();
	test_blocked();
	test_runnable();
	test_paused();
	test_main();
	test_delivered();
	test_catch();
	test_twice();
	test_shield();
	test_trap();
	test_timers();
	test_held();
	test_destructor_of_unstarted();
	test_destructor();
	tl_chan_unref(chan);
	tap_is(tl_sched_end(), 0, "sched.h: nothing is left");
	return tap_exit();
}
