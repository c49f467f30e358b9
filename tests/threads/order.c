/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What another thread's requests do to the order of a ring (sections 1.3, 1.4, 1.5, 3.3): where insert, run, kill and
 * throw put their target, in a thread that is busy and in one that is about to sleep; several requests at once; requests
 * that come too late.
 *
 * The home thread has the tasklets. One of them, A, waits without the library's knowing until all requests are made, and
 * then looks at them by a tick; the last request is always a kill, which is what makes a tick look.
 */
#include "threads.h"

#include "../core/check.h"

static struct tl_task *b, *c, *d, *p, *q, *r;
static void (*early)(void);
static int verdict;

static int fn_busy(UNUSED void *arg)
{
	tl_schedule();
	reach(1);
	await_step(2);
	if (early)
		early();
	tl_tick();
	say("[%s]", ring());
	return 0;
}

/* Lets the others begin; then says how that ended. */
static int fn_turn(UNUSED void *arg)
{
	say("%s%d", name_of(tl_current()), tl_schedule());
	return 0;
}

static int fn_pause(UNUSED void *arg)
{
	int result = tl_schedule_remove();

	say("%s%d", name_of(tl_current()), result);
	return 0;
}

static int fn_say(UNUSED void *arg)
{
	say("%s", name_of(tl_current()));
	return 0;
}

static int fn_block(UNUSED void *arg)
{
	int result = tl_sleep_until(tl_now() + 3600000 * MS);

	say("%s%d", name_of(tl_current()), result);
	return 0;
}

static int fn_run(UNUSED void *arg)
{
	int result = tl_run();

	say("%s%d", name_of(tl_current()), result);
	return 0;
}

/* --- the two sides ------------------------------------------------------------------------------------------------ */

struct scene {
	void (*set_up)(void);		/* in the home thread */
	void (*requests)(void);		/* in the other one; the home thread does not look meanwhile */
};

static void *home(void *arg)
{
	const struct scene *s = arg;

	go("A", fn_busy, NULL);
	s->set_up();
	verdict = tl_run();
	tl_error_free(tl_catch());
	return NULL;
}

/* What was said, that is ring and order; those that are still paused are killed by the end of their thread. */
static const char *play(void (*set_up)(void), void (*requests)(void))
{
	struct scene s = { set_up, requests };
	struct tl_task **all[] = { &b, &c, &d, &p, &q, &r };
	pthread_t t;
	size_t i;

	atomic_store(&step, 0);
	t = start(home, &s);
	await_step(1);
	requests();
	reach(2);
	pthread_join(t, NULL);
	for (i = 0; i < ARRAY_LEN(all); i++) {
		tl_task_unref(*all[i]);
		*all[i] = NULL;
	}
	return said();
}

/* --- where ---------------------------------------------------------------------------------------------------------- */

static void set_up_ring(void)
{
	b = mk("B", fn_turn, NULL);
	c = mk("C", fn_turn, NULL);
	d = mk("D", fn_turn, NULL);
	p = mk("P", fn_pause, NULL);
	q = mk("Q", fn_pause, NULL);
	r = mk_paused("R", fn_say, NULL);
}

static int results;
static bool refused;

static void insert_and_run(void)
{
	results = tl_task_insert(p) | tl_task_run(q) | tl_task_kill(r);
}

static void run_runnable(void)
{
	results = tl_task_insert(d) | tl_task_run(d) | tl_task_kill(r);
}

static void kill_runnable(void)
{
	results = tl_task_kill(c);
}

static void kill_paused(void)
{
	results = tl_task_kill(p) | tl_task_kill_later(q);
}

static void set_up_blocked(void)
{
	b = mk("B", fn_turn, NULL);
	c = mk("C", fn_block, NULL);
	d = mk("D", fn_block, NULL);
	p = mk("P", fn_pause, NULL);
}

static void throw_blocked(void)
{
	results = tl_task_throw(d, mk_error(EIO, "x")) | tl_task_kill(c);
	refused = tl_task_insert(d) == -EBUSY && tl_task_run(d) == -EBUSY;
}

static void test_places(void)
{
	tap_str(play(set_up_ring, insert_and_run), "[A Q B C D P R] Q0 B0 C0 D0 P0",
		"1.3, 1.4: insert puts it at the end, run behind the current one; one that has not begun ends without running");
	tap_is(results, 0, "1.3: each was asked for");
	tap_str(play(set_up_ring, run_runnable), "[A D B C R] D0 B0 C0 P-125 Q-125",
		"1.4: run of a runnable one makes it the next; insert leaves it where it is");
	tap_str(play(set_up_ring, kill_runnable), "[A B C D] B0 C-125 D0 P-125 Q-125",
		"1.5: kill of a runnable one: it keeps its slot");
	tap_str(play(set_up_ring, kill_paused), "[A B C D P Q] B0 C0 D0 P-125 Q-125",
		"1.5: kill of a paused one: at the end, in the order of the kills");
	tap_str(play(set_up_blocked, throw_blocked), "[A B D C] B0 D-5 C-125 P-125", "1.5: of a blocked one as well");
	tap_is(results, 0, "1.5: each was asked for");
	tap_ok(refused, "1.3, 1.4: a blocked one is refused as long as it is blocked");
}

/* --- the thread is about to sleep ----------------------------------------------------------------------------------- */

static void *looks_when_idle(UNUSED void *arg)
{
	p = mk_paused("P", fn_say, NULL);
	q = mk_paused("Q", fn_say, NULL);
	r = mk_paused("R", fn_say, NULL);
	reach(1);
	await_step(2);
	tl_run();
	return NULL;
}

static void test_idle(void)
{
	pthread_t t;

	atomic_store(&step, 0);
	t = start(looks_when_idle, NULL);
	await_step(1);
	results = tl_task_insert(r) | tl_task_run(p) | tl_task_run(q);
	reach(2);
	pthread_join(t, NULL);
	tap_str(said(), "Q P R", "1.4: in an idle thread each that is run is placed before the others");
	tap_is(results, 0, "1.4: each was asked for");
	tl_task_unref(p);
	tl_task_unref(q);
	tl_task_unref(r);
	p = q = r = NULL;
}

/* --- a tasklet in run() ---------------------------------------------------------------------------------------------- */

static void set_up_run(void)
{
	b = mk("B", fn_run, NULL);
	c = mk("C", fn_turn, NULL);
	r = mk_paused("R", fn_say, NULL);
}

static void insert_runner(void)
{
	results = tl_task_insert(b) | tl_task_kill(r);
}

static void kill_runner(void)
{
	results = tl_task_kill(b);
}

static void throw_runner(void)
{
	results = tl_task_throw(b, mk_error(EIO, "x"));
}

static void test_run(void)
{
	tap_str(play(set_up_run, insert_runner), "[A C B R] C0 B0", "3.3: a tasklet in run() that is inserted comes back");
	tap_str(play(set_up_run, kill_runner), "[A C B] C0 B-125", "1.5: one that is killed there");
	tap_str(play(set_up_run, throw_runner), "[A C B] C0 B-5", "1.5: or thrown at");
}

/* --- several requests for one, and late ones ----------------------------------------------------------------------- */

static int freed, replaced;

/* What is left of several for the catch; the call may have reported the first. */
static int fn_catch(UNUSED void *arg)
{
	int result = tl_sleep_until(tl_now() + 3600000 * MS);

	say("%sc%d", name_of(tl_current()), result ? caught() : 0);
	return 0;
}

static void set_up_catch(void)
{
	b = mk("B", fn_turn, NULL);
	c = mk("C", fn_catch, NULL);
}

static void set_up_one(void)
{
	b = mk("B", fn_turn, NULL);
	c = mk("C", fn_block, NULL);
	p = mk("P", fn_pause, NULL);
}

static void throw_and_kill(void)
{
	results = tl_task_throw(c, mk_counted(EIO, "first", &freed));
	results |= tl_task_throw(c, mk_counted(EPROTO, "second", &freed));
	replaced = freed;
	results |= tl_task_kill(c) | tl_task_throw(c, mk_counted(EIO, "third", &freed));
}

static void throw_twice(void)
{
	results = tl_task_throw(c, mk_counted(EIO, "first", &freed));
	results |= tl_task_throw_later(c, mk_counted(EPROTO, "second", &freed));
}

static void all_at_once(void)
{
	results = tl_task_insert(p) | tl_task_run(p) | tl_task_throw(p, mk_error(EIO, "x")) | tl_task_kill(c);
}

static void test_several(void)
{
	freed = 0;
	tap_str(play(set_up_catch, throw_and_kill), "[A B C] B0 Cc125", "task.h: a kill outdoes what is thrown");
	tap_is(replaced, 1, "task.h: a throw that comes before the thread looks replaces the one before");
	tap_ok(results == 0 && freed == 3, "error.h: all errors were freed");
	freed = 0;
	tap_str(play(set_up_one, throw_twice), "[A B C] B0 C-71 P-125", "task.h: of two errors the later one counts");
	tap_ok(results == 0 && freed == 2, "error.h: both were freed");
	tap_str(play(set_up_one, all_at_once), "[A P B C] P-5 B0 C-125", "task.h: thrown at, and run: it is the next");
	tap_is(results, 0, "task.h: each was asked for");
}

static void end_p(void)
{
	if (tl_task_kill_later(p) || tl_task_is_alive(p))
		tap_bail("P lives");
}

static void set_up_unstarted(void)
{
	p = mk_paused("P", fn_say, NULL);
}

static void late(void)
{
	results = tl_task_insert(p) | tl_task_run(p) | tl_task_throw(p, mk_counted(EIO, "late", &freed));
}

static void late_kill(void)
{
	results = tl_task_kill(p);
}

static void test_late(void)
{
	freed = 0;
	early = end_p;
	tap_str(play(set_up_unstarted, late), "[A]", "task.h: what comes when it has ended is not done");
	tap_ok(results == 0 && freed == 1, "error.h: and the error is freed by its thread");
	tap_str(play(set_up_unstarted, late_kill), "[A]", "1.5: a kill that finds it dead");
	early = NULL;
}

/* An error that ends a tasklet which has not begun is uncaught, in its own thread. */
static void throw_unstarted(void)
{
	results = tl_task_throw(p, mk_counted(EIO, "unstarted", &freed));
}

static void test_unstarted(void)
{
	freed = 0;
	tap_str(play(set_up_unstarted, throw_unstarted), "[A P]", "1.5: an error for one that has not begun: it does not run");
	tap_ok(verdict == -EIO && freed == 1, "1.6: the run() of its thread returns the error");
}

int main(void)
{
	tap_plan(26);
	test_places();
	test_idle();
	test_run();
	test_several();
	test_late();
	test_unstarted();
	tap_is(tl_sched_end(), 0, "sched.h: nothing is left");
	return tap_exit();
}
