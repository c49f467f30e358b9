/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * run() with a budget of ticks in the soft mode (section 3.3): nobody is interrupted at a tick; where the flagged
 * tasklet lets others run the watchdog comes between, right before the one that was next. And where it does not.
 */
#include <errno.h>

#include <tasklet/tasklet.h>

#include "check.h"
#include "core/task.h"

#define SOFT TL_RUN_SOFT_INTERRUPTED

static struct tl_chan *chan;

static int run_soft(uint64_t n, uint64_t flags)
{
	struct tl_run_options o = { .size = sizeof(o), .ticks = n, .flags = TL_RUN_SOFT | flags };

	return tl_run_with(&o, NULL);
}

static void use_up(void)
{
	int i;

	for (i = 0; i < 12; i++)
		if (tl_tick())
			tap_bail("a tick failed");
	say("%s", me());
}

/* Uses 10 ticks up, then does what is asked. */
enum deed { YIELD, REMOVE, END, BLOCK, SLEEP, RUN, SWITCH, KILL, SPAWN_RUN, NESTED_RUN, RUN_MAIN, SEND, RECV, NEST };

static struct tl_task *other;

static int fn_recv(UNUSED void *arg)
{
	long v;

	say("%s>", me());
	say("%s%d", me(), tl_chan_recv(chan, &v));
	return 0;
}

static int fn_do(void *arg)
{
	struct tl_task *t;
	long v = 1;
	int r = 0;

	use_up();
	switch ((enum deed)(long)arg) {
	case YIELD:
		r = tl_schedule();
		break;
	case REMOVE:
		r = tl_schedule_remove();
		break;
	case END:
		return 0;
	case BLOCK:
	case RECV:
		r = tl_chan_recv(chan, &v);
		break;
	case SEND:
		r = tl_chan_send(chan, &v);
		break;
	case SLEEP:
		r = tl_sleep(1);
		break;
	case RUN:
		r = tl_task_run(other);
		break;
	case SWITCH:
		r = tl_task_switch(other);
		break;
	case KILL:
		r = tl_task_kill(other);
		break;
	case SPAWN_RUN:
		r = tl_spawn_run(&t, fn_yield, (void *)1L);
		tl_task_unref(t);
		break;
	case NESTED_RUN:
		r = tl_run();
		break;
	case RUN_MAIN:
		r = tl_task_run(tl_main());
		break;
	case NEST:
		tl_nesting(1);
		r = tl_schedule();
		say("%s%d", me(), r);
		tl_nesting(-1);
		r = tl_schedule();
		break;
	}
	say("%s%d", me(), r);
	return r;
}

/* A uses its budget up and does it; B is next. */
static void test_deed(enum deed deed, const char *what, const char *after, const char *rest)
{
	struct tl_task *a = mk("A", fn_do, (void *)(long)deed);

	go("B", fn_yield, (void *)1L);
	tap_is(run_soft(10, 0), SOFT, "3.3: soft: a schedule-type switch brings the watchdog: %s", what);
	tap_str(said(), "A", "3.3: not at the tick before, and nobody else runs first: %s", what);
	tap_str(ring(), after, "3.3: right before the one that was next: %s", what);
	tap_ok(tl__tick_word == 0, "watchdog.h: and ticks cost nothing again: %s", what);
	if (tl_task_is_paused(a))
		tl_task_insert(a);
	tl_run();
	if (tl_task_is_blocked(a))
		tl_task_kill(a);
	tl_task_unref(a);
	if (!rest)	/* when it wakes up is open */
		said();
	else
		tap_str(said(), rest, "3.3: all go on as they would have: %s", what);
}

static void test_deeds(void)
{
	test_deed(YIELD, "schedule", "M B A", "B1 A0 B.");
	test_deed(END, "the end", "M B", "B1 B.");
	test_deed(REMOVE, "schedule_remove", "M B", "B1 A0 B.");
	test_deed(BLOCK, "a receive that blocks", "M B", "B1 B. A-125");
	test_deed(SEND, "a send that blocks", "M B", "B1 B. A-125");
	test_deed(SLEEP, "sleep", "M B", NULL);
	test_deed(NESTED_RUN, "a run inside", "M B A", "B1 A0 B.");
	other = mk_paused("C", fn_yield, (void *)1L);
	test_deed(RUN, "running another one", "M C A B", "C1 A0 B1 C. B.");
	tl_task_unref(other);
	other = mk_paused("C", fn_yield, (void *)1L);
	test_deed(SWITCH, "switching to another one", "M C B", "C1 B1 A0 C. B.");
	tl_task_unref(other);
	all_gone("deeds");
}

static void test_kill(void)
{
	other = mk("C", fn_recv, NULL);
	tl_schedule();
	said();
	go("A", fn_do, (void *)(long)KILL);
	tap_is(run_soft(10, 0), SOFT, "3.3: soft: a kill is such a switch too");
	tap_str(ring(), "M C A", "3.3: whom it kills is next");
	tl_run();
	tap_str(said(), "A C-125 A0", "1.5: and then runs at once");
	tl_task_unref(other);
	all_gone("kill");
}

static void test_switch_to_watchdog(void)
{
	go("A", fn_do, (void *)(long)RUN_MAIN);
	go("B", fn_yield, (void *)0L);
	tap_is(run_soft(10, 0), TL_RUN_FINISHED, "3.3: soft: no interrupt where the switch is to the watchdog");
	tl_run();
	said();
	go("A", fn_do, (void *)(long)YIELD);
	tap_is(run_soft(10, 0), TL_RUN_FINISHED, "3.3: soft: nor where nobody else is there to be switched to");
	said();
	all_gone("to the watchdog");
}

/* --- postponed ---------------------------------------------------------------------------------------------------- */

static int fn_send_on(UNUSED void *arg)
{
	long v = 1;
	int r;

	use_up();
	r = tl_chan_send(chan, &v);
	say("%s%d", me(), r);
	return r;
}

static void preference(int preference, bool all, int r, const char *words, const char *after, const char *what)
{
	tl_chan_set_preference(chan, preference);
	tl_chan_set_schedule_all(chan, all);
	go("R", fn_recv, NULL);
	tl_schedule();
	said();
	go("A", fn_send_on, NULL);
	go("B", fn_yield, (void *)1L);
	tap_is(run_soft(10, 0), r, "3.3: soft: a send to one who waits: %s", what);
	tap_str(said(), words, "3.3: who has run: %s", what);
	tap_str(ring(), after, "3.3: who is next: %s", what);
	tl_run();
	said();
	tl_chan_set_preference(chan, -1);
	tl_chan_set_schedule_all(chan, false);
}

static void test_preference(void)
{
	/* R, preferred, runs with A's flag, and the watchdog comes when it ends. */
	preference(-1, false, SOFT, "A R0", "M B A", "the preferred partner has it");
	preference(+1, false, SOFT, "A A0", "M B R", "no switch at all; then A ends");
	preference(0, true, SOFT, "A", "M B R A", "schedule_all lets others run");
	all_gone("preference");
}

static int fn_spawned(UNUSED void *arg)
{
	say("N");
	return 0;
}

static int fn_spawn(UNUSED void *arg)
{
	use_up();
	tl_spawn_run(NULL, fn_spawned, NULL);
	say("A2");
	return 0;
}

static void test_postponed(void)
{
	go("A", fn_spawn, NULL);
	go("B", fn_yield, (void *)1L);
	tap_is(run_soft(10, 0), SOFT, "watchdog.h: soft: spawn_run is postponed");
	tap_str(said(), "A N", "watchdog.h: until the new one ends");
	tap_str(ring(), "M A B", "watchdog.h: before its parent");
	tl_run();
	said();

	go("A", fn_do, (void *)(long)NEST);
	go("B", fn_yield, (void *)1L);
	tap_is(run_soft(10, 0), SOFT, "3.3: soft: inside nested use of the C stack it is postponed");
	tap_str(said(), "A B1", "3.3: the next tasklet has it");
	tap_str(ring(), "M A B", "3.3: the watchdog is before the one after that");
	tl_run();
	said();
	go("A", fn_do, (void *)(long)NEST);
	go("B", fn_yield, (void *)1L);
	tap_is(run_soft(10, TL_RUN_IGNORE_NESTING), SOFT, "3.3: soft: unless the run ignores that");
	tap_str(said(), "A", "3.3: then nobody else has run");
	tl_run();
	said();
	all_gone("postponed");
}

/* --- budgets ------------------------------------------------------------------------------------------------------ */

static int fn_bursts(void *arg)
{
	long i, j, n = (long)arg;

	for (i = 0; i < 3; i++) {
		for (j = 0; j < n; j++)
			tl_tick();
		say("%s%ld", me(), i);
		tl_schedule();
	}
	return 0;
}

static void test_budget(void)
{
	int n = 0, r;

	go("A", fn_bursts, (void *)6L);
	go("B", fn_bursts, (void *)6L);
	tap_is(run_soft(10, 0), TL_RUN_FINISHED, "3.3: soft: each switch starts the budget anew");
	said();
	go("A", fn_bursts, (void *)6L);
	go("B", fn_bursts, (void *)6L);
	tap_is(run_soft(10, TL_RUN_TOTAL), SOFT, "3.3: soft: not so the total budget");
	tap_str(said(), "A0 B0", "3.3: soft: it ends where B, in whose turn it is used up, yields");
	tl_run();
	said();
	/* The loop that needs no insert. */
	go("A", fn_bursts, (void *)20L);
	go("B", fn_bursts, (void *)5L);
	while ((r = run_soft(10, 0)) == SOFT && n < 50)
		n++;
	tap_ok(r == TL_RUN_FINISHED && n == 3, "0: soft: loop { run(10) }: one for each burst of A");
	tap_str(said(), "A0 B0 A1 B1 A2 B2", "0: soft: in turn");
	all_gone("budget");
}

static int fn_atomic(UNUSED void *arg)
{
	tl_atomic(true);
	use_up();
	tl_schedule();
	say("%s%d", me(), tl_atomic(false));
	return 0;
}

static void test_atomic(void)
{
	go("A", fn_atomic, NULL);
	go("B", fn_yield, (void *)1L);
	tap_is(run_soft(10, 0), SOFT, "4: soft interrupts are not held off by atomic");
	tl_run();
	tap_str(said(), "A B1 A1 B.", "4: and it is atomic still when it is back");
	all_gone("atomic");
}

static void callback(struct tl_task *prev, struct tl_task *next, UNUSED void *arg)
{
	say("%s%s", name_of(prev), name_of(next));
}

static void test_callback(void)
{
	go("A", fn_do, (void *)(long)YIELD);
	go("B", fn_yield, (void *)0L);
	tl_set_schedule_callback(callback, NULL, NULL, NULL);
	run_soft(10, 0);
	tl_set_schedule_callback(NULL, NULL, NULL, NULL);
	tap_str(said(), "MA A AM", "3.5: the callback sees the switch to the watchdog, which is the real one");
	tl_run();
	said();
	go("A", fn_do, (void *)(long)END);
	go("B", fn_yield, (void *)0L);
	tl_set_schedule_callback(callback, NULL, NULL, NULL);
	run_soft(10, 0);
	tl_set_schedule_callback(NULL, NULL, NULL, NULL);
	tap_str(said(), "MA A AM", "3.5: at a tasklet's end as well");
	tl_run();
	said();
	all_gone("callback");
}

int main(void)
{
	tap_plan(84);
	if (tl_chan_new(&chan, sizeof(long), 0))
		tap_bail("no channel");
	test_deeds();
	test_kill();
	test_switch_to_watchdog();
	test_preference();
	test_postponed();
	test_budget();
	test_atomic();
	test_callback();
	tl_chan_unref(chan);
	tap_is(tl_sched_end(), 0, "sched.h: nothing is left");
	return tap_exit();
}
