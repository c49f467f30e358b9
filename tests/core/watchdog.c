/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * run() with a budget of ticks in the hard mode (section 3.3): who is interrupted and when, where everybody is in the
 * ring then, what holds an interrupt off, and nested runs. watchdog-soft.c has the soft mode, watchdog-ns.c time.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>

#include <tasklet/tasklet.h>

#include "check.h"
#include "core/remote.h"
#include "core/task.h"
#include "core/tick.h"

static struct tl_chan *chan;
static long ticks;	/* that have come back */

static int run_ticks(uint64_t n, uint64_t flags, struct tl_task **victim)
{
	struct tl_run_options o = { .size = sizeof(o), .ticks = n, .flags = flags };

	return tl_run_with(&o, victim);
}

/* Ticks as often as its argument says. */
static int fn_spin(void *arg)
{
	long i, n = (long)arg;
	int r;

	for (i = 0; i < n; i++) {
		r = tl_tick();
		if (r) {
			say("%s%d", me(), r);
			return r == -ECANCELED ? r : 0;
		}
		ticks++;
	}
	say("%s.", me());
	return 0;
}

static void go_on(struct tl_task *t)
{
	tl_task_insert(t);
	tl_task_unref(t);
}

/* --- who, when, where --------------------------------------------------------------------------------------------- */

static void test_interrupt(void)
{
	struct tl_task *a, *victim = NULL;

	ticks = 0;
	a = mk("A", fn_spin, (void *)250L);
	tap_is(run_ticks(100, 0, &victim), TL_RUN_INTERRUPTED, "3.3: a tasklet that uses the budget up is interrupted");
	tap_ok(victim == a, "3.3: run() returns it");
	tap_is(ticks, 99, "3.3: it is taken at its 100th tick");
	tap_ok(tl_task_is_paused(a) && tl_task_is_alive(a), "3.3: it is paused and alive");
	tap_str(ring(), "M", "3.3: and out of the ring");
	tap_ok(tl__tick_word == 0, "watchdog.h: after the run ticks cost nothing again");
	tl_task_unref(a);
	tap_ok(tl_task_is_paused(victim), "watchdog.h: run() has given a handle of its own");
	tap_is(run_ticks(100, 0, &a), TL_RUN_FINISHED, "3.3: nobody has inserted it: it stays paused");
	tap_ok(!a, "watchdog.h: and there is no victim");
	go_on(victim);
	tap_is(run_ticks(100, 0, &victim), TL_RUN_INTERRUPTED, "3.3: inserted, it goes on and has the budget anew");
	tap_is(ticks, 199, "3.3: 100 more ticks");
	go_on(victim);
	tap_is(run_ticks(100, 0, &victim), TL_RUN_FINISHED, "3.3: and ends");
	tap_ok(ticks == 250 && !victim, "3.3: all its ticks have come back");
	said();
	tap_is(tl_tick(), 0, "watchdog.h: a tick without a budget");
	all_gone("interrupt");
}

static void test_ring(void)
{
	struct tl_task *victim;

	go("A", fn_yield, (void *)1L);
	go("B", fn_spin, (void *)20L);
	go("C", fn_yield, (void *)2L);
	tap_is(run_ticks(10, 0, &victim), TL_RUN_INTERRUPTED, "3.3: the second of three is interrupted");
	tap_str(name_of(victim), "B", "3.3: B it is");
	tap_str(ring(), "M C A", "3.3: the caller has its place in the ring, the others keep theirs");
	tl_task_insert(victim);
	tap_str(ring(), "M C A B", "3.3: insert() puts it at the end");
	tl_task_unref(victim);
	tap_is(run_ticks(100, 0, &victim), TL_RUN_FINISHED, "3.3: all end");
	tap_str(said(), "A1 C1 A. B. C2 C.", "3.3: in turn");

	/* A caller that somebody has made runnable before. */
	go("A", fn_spin, (void *)20L);
	go("B", fn_yield, (void *)1L);
	tl_task_insert(tl_main());
	all_gone("ring");
}

static int fn_insert_spin(void *arg)
{
	tl_task_insert(arg);
	say("[%s]", ring());
	return fn_spin((void *)20L);
}

static void test_ring_runnable(void)
{
	struct tl_task *victim;

	go("A", fn_insert_spin, tl_main());
	go("B", fn_yield, (void *)1L);
	tap_is(run_ticks(10, 0, &victim), TL_RUN_INTERRUPTED, "3.3: interrupted while the caller waits for its turn");
	tap_str(ring(), "M B", "3.3: it has the victim's place, the others keep theirs");
	tap_str(said(), "[A B M]", "3.3: it was behind them");
	go_on(victim);
	all_gone("ring, runnable");
}

/* The seed's loop. */
static void test_idiom(void)
{
	struct tl_task *victim;
	int r, n = 0, reported[3] = { 0 };

	ticks = 0;
	go("A", fn_spin, (void *)450L);
	go("B", fn_spin, (void *)150L);
	go("C", fn_spin, (void *)50L);
	while ((r = run_ticks(100, 0, &victim)) == TL_RUN_INTERRUPTED && n < 50) {
		reported[*name_of(victim) - 'A']++;
		tl_task_insert(victim);
		tl_task_unref(victim);
		n++;
	}
	tap_is(r, TL_RUN_FINISHED, "0: loop { run(100); report; insert }: comes to its end");
	tap_ok(reported[0] == 4 && reported[1] == 1 && !reported[2], "0: each is reported as often as it uses 100 up");
	tap_is(ticks, 650, "0: no tick is lost");
	tap_str(said(), "C. B. A.", "0: the shorter ones are not kept");
	all_gone("idiom");
}

/* n ticks, then yields, three times. */
static int fn_bursts(void *arg)
{
	long i, j, n = (long)arg;

	for (i = 0; i < 3; i++) {
		for (j = 0; j < n; j++)
			tl_tick();
		tl_schedule();
	}
	say("%s.", me());
	return 0;
}

static void test_budget(void)
{
	struct tl_task *victim;

	go("A", fn_bursts, (void *)9L);
	go("B", fn_bursts, (void *)9L);
	tap_is(run_ticks(10, 0, &victim), TL_RUN_FINISHED, "3.3: each switch starts the budget anew");
	said();
	go("A", fn_bursts, (void *)9L);
	go("B", fn_bursts, (void *)9L);
	tap_is(run_ticks(10, TL_RUN_TOTAL, &victim), TL_RUN_INTERRUPTED, "3.3: not so the total budget");
	tap_str(name_of(victim), "B", "3.3: who runs when it is used up is the victim");
	go_on(victim);
	tap_is(run_ticks(1000, TL_RUN_TOTAL, &victim), TL_RUN_FINISHED, "3.3: a total that is enough");
	said();
	go("A", fn_bursts, (void *)1L);
	tap_is(run_ticks(1, 0, &victim), TL_RUN_INTERRUPTED, "3.3: a budget of one tick");
	tl_task_kill(victim);
	tl_task_unref(victim);
	said();
	go("A", fn_spin, (void *)1000L);
	tap_is(run_ticks(0, 0, NULL), TL_RUN_FINISHED, "3.3: 0 is no limit");
	go("A", fn_spin, (void *)1000L);
	tap_is(tl_run_with(NULL, NULL), TL_RUN_FINISHED, "watchdog.h: nor is NULL");
	go("A", fn_spin, (void *)1000L);
	tap_is(tl_run(), TL_RUN_FINISHED, "3.3: tl_run() has no budget");
	all_gone("budget");
}

/* --- other ends of a run with a budget --------------------------------------------------------------------------- */

static int fn_fail(UNUSED void *arg)
{
	return -EIO;
}

static int fn_recv(UNUSED void *arg)
{
	long v;

	say("%s%d", me(), tl_chan_recv(chan, &v));
	return 0;
}

static void test_ends(void)
{
	struct tl_task *victim = tl_main(), *t;

	go("X", fn_fail, NULL);
	go("A", fn_spin, (void *)20L);
	tap_is(run_ticks(10, 0, &victim), -EIO, "3.3: an error that nobody caught ends it");
	tap_ok(!victim && caught() == EIO && tl__tick_word == 0, "3.3: without a victim, and the budget is gone");
	tap_is(run_ticks(0, 0, &victim), TL_RUN_FINISHED, "3.3: the others went on");
	t = mk("R", fn_recv, NULL);
	tap_is(run_ticks(10, 0, &victim), TL_RUN_DEADLOCK, "3.3: a deadlock is one, with a budget too");
	tl_task_kill(t);
	tl_task_unref(t);
	said();
	all_gone("ends");
}

/* --- what is thrown ----------------------------------------------------------------------------------------------- */

static void test_thrown(void)
{
	struct tl_task *victim;

	go("A", fn_spin, (void *)20L);
	run_ticks(10, 0, &victim);
	tap_is(tl_task_kill(victim), 0, "1.5: a victim can be killed");
	tap_str(said(), "A-125", "1.5: its tick says so");
	tap_ok(!tl_task_is_alive(victim), "1.5: and it ends");
	tl_task_unref(victim);

	go("A", fn_spin, (void *)20L);
	run_ticks(10, 0, &victim);
	tl_task_throw(victim, mk_error(EPROTO, "thrown"));
	tap_str(said(), "A-71", "1.5: so it is with another error");
	tl_task_unref(victim);

	go("A", fn_spin, (void *)20L);
	run_ticks(10, 0, &victim);
	tl_task_unref(victim);
	tap_str(said(), "A-125", "1.6: the last handle of a victim is given up: it is killed");
	all_gone("thrown");
}

static int fn_kill_main_spin(UNUSED void *arg)
{
	say("%d", tl_task_kill_later(tl_main()));
	return fn_spin((void *)20L);
}

static void test_thrown_at_caller(void)
{
	struct tl_task *victim = tl_main(), *t = mk("A", fn_kill_main_spin, NULL);

	tap_is(run_ticks(10, 0, &victim), -ECANCELED, "1.5: the caller was killed before it was interrupted for");
	tap_ok(!victim && caught() == ECANCELED, "watchdog.h: then it has no victim");
	tap_str(ring(), "M A", "watchdog.h: who goes on");
	tl_run();
	tap_str(said(), "0 A.", "watchdog.h: to its end");
	tap_ok(t->refs == 1, "watchdog.h: no handle is lost");
	tl_task_unref(t);
	all_gone("thrown at the caller");
}

/* --- what holds an interrupt off --------------------------------------------------------------------------------- */

/* Ten ticks at a level, so that the budget of 5 is used up twice; then two without. */
static int fn_nested(void *arg)
{
	int i;

	say("%d", tl_nesting(1));
	say("%d", tl_nesting(1));
	if (arg)
		say("i%d", tl_set_ignore_nesting(true));
	for (i = 0; i < 10; i++)
		tl_tick();
	say("in");
	say("%d", tl_nesting(-1));
	tl_tick();
	say("one");
	say("%d", tl_nesting(-1));
	say("off");
	tl_tick();
	say("tick");
	return 0;
}

static void test_nesting(void)
{
	struct tl_task *victim;

	go("A", fn_nested, NULL);
	tap_is(run_ticks(5, 0, &victim), TL_RUN_INTERRUPTED, "3.3: interrupted in spite of nesting, but later");
	tap_str(said(), "0 1 in 2 one 1 off", "3.3: at the next tick after the lowest level is back");
	go_on(victim);
	tl_run();
	said();

	go("A", fn_nested, NULL);
	tap_is(run_ticks(5, TL_RUN_IGNORE_NESTING, &victim), TL_RUN_INTERRUPTED, "3.3: the run ignores nesting");
	tap_str(said(), "0 1", "3.3: interrupted inside");
	go_on(victim);
	tl_run();
	said();

	go("A", fn_nested, (void *)1);
	tap_is(run_ticks(5, 0, &victim), TL_RUN_INTERRUPTED, "1.7: the tasklet ignores nesting");
	tap_str(said(), "0 1 i0", "1.7: interrupted inside");
	go_on(victim);
	tl_run();
	said();

	tap_is(tl_nesting(-1), -ERANGE, "1.7: the level is never below 0");
	tap_is(tl_nesting(4096), -ERANGE, "watchdog.h: nor above 4095");
	tap_is(tl_nesting(4095), 0, "watchdog.h: which it may be");
	tap_is(tl_nesting(1), -ERANGE, "watchdog.h: one more is too many");
	tap_is(tl_nesting(-4095), 4095, "watchdog.h: the old level comes back");
	tap_is(tl_nesting(0), 0, "watchdog.h: no errors have changed it");
	all_gone("nesting");
}

/* Becomes due by ignoring, in the middle of a nested section. */
static int fn_ignore_later(UNUSED void *arg)
{
	int i;

	tl_nesting(1);
	for (i = 0; i < 7; i++)
		tl_tick();
	say("in");
	tl_set_ignore_nesting(true);
	say("set");
	tl_tick();
	say("tick");
	return 0;
}

static void test_ignore_later(void)
{
	struct tl_task *victim;

	go("A", fn_ignore_later, NULL);
	tap_is(run_ticks(5, 0, &victim), TL_RUN_INTERRUPTED, "1.7: setting ignore_nesting looks at what is pending");
	tap_str(said(), "in set", "1.7: which comes at the next tick, not in the call");
	go_on(victim);
	tl_run();
	tap_str(said(), "tick", "1.7: then it goes on");
	all_gone("ignore_nesting");
}

static int fn_trapped(UNUSED void *arg)
{
	int i;

	tl_switch_trap(1);
	for (i = 0; i < 7; i++)
		tl_tick();
	/* Looks at what is pending, and the trap is in its way. */
	tl_atomic(false);
	tl_switch_trap(-1);
	ticks = 0;
	for (i = 0; i < 10; i++) {
		tl_tick();
		ticks++;
	}
	return 0;
}

static void test_trap(void)
{
	struct tl_task *victim;

	go("A", fn_trapped, NULL);
	tap_is(run_ticks(5, 0, &victim), TL_RUN_INTERRUPTED, "3.5: a switch trap holds the interrupt off");
	tap_is(ticks, 2, "3.3: it is not taken up at once: the slice begun at the fifth tick must be used up");
	go_on(victim);
	tl_run();
	all_gone("trap");
}

static void tick_callback(UNUSED struct tl_task *prev, struct tl_task *next, UNUSED void *arg)
{
	int i;

	if (tl_task_is_main(next))
		return;
	for (i = 0; i < 20; i++)
		tl_tick();
	say("cb");
}

static void test_callback(void)
{
	struct tl_task *victim;

	go("A", fn_yield, (void *)1L);
	go("B", fn_spin, (void *)5L);
	tl_set_schedule_callback(tick_callback, NULL, NULL, NULL);
	tap_is(run_ticks(10, 0, &victim), TL_RUN_FINISHED, "3.3: no interrupt in a callback");
	tl_set_schedule_callback(NULL, NULL, NULL, NULL);
	tap_str(said(), "cb A1 cb B. cb A.", "3.3: all go on");
	tap_ok(!(tl_main()->flags & TL__INTERRUPTED), "3.3: nothing is left pending with the caller");
	all_gone("callback");
}

/* --- nested runs -------------------------------------------------------------------------------------------------- */

static int fn_run_ticks(void *arg)
{
	struct tl_task *victim = NULL;
	int r = run_ticks((uint64_t)(long)arg, 0, &victim);

	say("%s%d%s[%s]", me(), r, name_of(victim), ring());
	if (victim)
		go_on(victim);
	return 0;
}

static void test_nested_runs(void)
{
	struct tl_task *victim;

	go("R", fn_run_ticks, (void *)10L);
	go("A", fn_spin, (void *)50L);
	tap_is(tl_run(), TL_RUN_FINISHED, "3.3: an inner run with the only budget");
	tap_str(said(), "R2A[R] A.", "3.3: interrupts");

	go("R", fn_run_ticks, (void *)10L);
	go("A", fn_spin, (void *)50L);
	tap_is(run_ticks(1000, 0, &victim), TL_RUN_FINISHED, "3.3: inside a run with a budget, another budget");
	tap_str(said(), "A. R0-[R]", "3.3: is ignored");

	go("R", fn_run_ticks, (void *)10L);
	go("S", fn_run_ticks, (void *)0L);
	go("A", fn_spin, (void *)50L);
	go("B", fn_yield, (void *)1L);
	tap_is(run_ticks(20, 0, &victim), TL_RUN_INTERRUPTED, "3.3: the outermost budget interrupts over inner runs");
	tap_str(name_of(victim), "A", "3.3: whoever runs");
	tap_str(ring(), "M B S R", "3.3: the inner ones are runnable, innermost first");
	go_on(victim);
	tap_is(tl_run(), TL_RUN_FINISHED, "3.3: and go on");
	tap_str(said(), "B1 S0-[S R A B] R0-[R A B] A. B.", "3.3: their runs return FINISHED");

	/* The caller of the budget is an inner one and is woken by the outer one's return. */
	go("R", fn_run_ticks, (void *)10L);
	go("A", fn_insert_spin, tl_main());
	go("B", fn_yield, (void *)1L);
	tap_is(tl_run(), TL_RUN_FINISHED, "3.3: main's run() is left by insert, but first R's budget is used up");
	tap_str(said(), "[A B M] R2A[R B M] B1", "3.3: which counts until main is back");
	tap_str(ring(), "M A B", "3.3: all are runnable");
	tl_run();
	said();
	go("R", fn_run_ticks, (void *)10L);
	go("I", fn_insert_spin, tl_main());
	tl_schedule();
	tl_run();
	said();
	all_gone("nested runs");
}

static int fn_insert_main(UNUSED void *arg)
{
	tl_task_insert(tl_main());
	return 0;
}

static void test_popped_budget(void)
{
	struct tl_task *victim;

	/* Main's run, without a budget, ends by insert; R's budget ends with that. */
	go("R", fn_run_ticks, (void *)10L);
	go("I", fn_insert_main, NULL);
	go("A", fn_yield, (void *)1L);
	tap_is(tl_run(), TL_RUN_FINISHED, "3.3: an outer run is left before the inner one with the budget");
	tap_ok(tl__tick_word == 0, "3.3: the inner one's budget is out of force");
	tap_str(ring(), "M A R", "3.3: its caller runnable");
	go("B", fn_spin, (void *)15L);
	tap_is(run_ticks(12, 0, &victim), TL_RUN_INTERRUPTED, "3.3: main may have a budget of its own at once");
	tap_str(said(), "A1 A. R0-[R B]", "3.3: and the inner run returns FINISHED, having interrupted nobody");
	go_on(victim);
	all_gone("popped budget");
}

static int fn_watch_main(UNUSED void *arg)
{
	struct tl_task *victim;
	int r = run_ticks(10, 0, &victim);

	say("%d%s", r, name_of(victim));
	go_on(victim);
	return 0;
}

static void test_main_victim(void)
{
	int i;

	go("W", fn_watch_main, NULL);
	tl_schedule();
	for (i = 0; i < 15; i++)
		tl_tick();
	tap_str(said(), "2M", "3.3: any tasklet may be the watchdog, and main the victim");
	all_gone("main");
}

/* --- arguments ---------------------------------------------------------------------------------------------------- */

static void test_arguments(void)
{
	struct tl_task *victim = tl_main();
	struct { struct tl_run_options o; uint64_t more; } later = {
		.o = { .size = sizeof(later), .ticks = 5 },
	};
	struct tl_run_options o = { .size = sizeof(o), .ticks = 5 };
	struct picture before;

	go("A", fn_spin, (void *)7L);
	before = picture();
	tap_is(tl_run_with(&o, NULL), -EINVAL, "watchdog.h: nobody would take the victim");
	o.size--;
	tap_is(tl_run_with(&o, &victim), -EINVAL, "watchdog.h: too small");
	o.size = 5000;
	tap_is(tl_run_with(&o, &victim), -EINVAL, "watchdog.h: too large");
	o.size = sizeof(o);
	o.flags = UINT64_C(1) << 4;
	tap_is(tl_run_with(&o, &victim), -EINVAL, "3.3: an unknown flag");
	o.flags = UINT64_C(1) << 63;
	tap_is(tl_run_with(&o, &victim), -EINVAL, "3.3: any of them");
	o.flags = 0;
	later.more = 1;
	tap_is(tl_run_with(&later.o, &victim), -E2BIG, "watchdog.h: an option from the future");
	tl_switch_trap(1);
	tap_is(tl_run_with(&o, &victim), -EPERM, "3.5: a switch trap");
	tl_switch_trap(-1);
	tl_task_set_block_trap(tl_current(), true);
	tap_is(tl_run_with(&o, &victim), -EPERM, "3.5: a block trap");
	tl_task_set_block_trap(tl_current(), false);
	tap_ok(same_picture(&before) && victim == tl_main() && tl__tick_word == 0, "watchdog.h: nothing has changed");
	later.more = 0;
	tap_is(tl_run_with(&later.o, &victim), TL_RUN_INTERRUPTED, "watchdog.h: of which nothing is used: it works");
	go_on(victim);
	tl_run();
	said();
	all_gone("arguments");
}

/* --- ticks elsewhere ---------------------------------------------------------------------------------------------- */

static struct tl_task *spinner;

static bool seemed_idle;

static void deliver_kill(struct tl_sched *s, UNUSED struct tl__message *message)
{
	seemed_idle = s->polled_idle;
	tl_task_kill_later(spinner);
}

static int ask_for[2];
static bool spins;

/* A thread without a scheduler; then one that asks the other. */
static void *other_thread(void *arg)
{
	static struct tl__message message = { .deliver = deliver_kill };
	struct tl_sched *s = arg;

	ask_for[0] = tl_tick();
	ask_for[1] = tl__sched_self != NULL;
	/* acquire: pairs with fn_spin_for_ever() */
	while (!__atomic_load_n(&spins, __ATOMIC_ACQUIRE))
		sched_yield();
	tl__inbox_push(s, &message);
	tl__tick_request(s);
	return NULL;
}

static int fn_spin_for_ever(UNUSED void *arg)
{
	int r;

	tl__sched_self->polled_idle = true;	/* as the poll left it that found us */
	/* release: pairs with other_thread() */
	__atomic_store_n(&spins, true, __ATOMIC_RELEASE);
	do
		r = tl_tick();
	while (!r);
	say("%d", r);
	return r;
}

static void *other_thread_kills(UNUSED void *arg)
{
	/* acquire: pairs with fn_spin_for_ever() */
	while (!__atomic_load_n(&spins, __ATOMIC_ACQUIRE))
		sched_yield();
	ask_for[0] = tl_task_kill(spinner);
	tl_task_unref(spinner);
	return NULL;
}

static void test_thread_kills(void)
{
	pthread_t thread;

	spins = false;
	spinner = mk("S", fn_spin_for_ever, NULL);
	if (pthread_create(&thread, NULL, other_thread_kills, NULL))
		tap_bail("no thread");
	tap_is(tl_run(), TL_RUN_FINISHED, "1.5: tl_task_kill() of another thread's does that");
	pthread_join(thread, NULL);
	tap_str(said(), "-125", "1.5: and its tick says so");
	tap_is(ask_for[0], 0, "1.5: the killer was told so");
	tl_tick();
	all_gone("thread kills");
}

static void test_threads(void)
{
	pthread_t thread;

	spinner = mk("S", fn_spin_for_ever, NULL);
	if (pthread_create(&thread, NULL, other_thread, tl__sched_self))
		tap_bail("no thread");
	tap_is(tl_run(), TL_RUN_FINISHED, "1.5: a kill from another thread ends one that computes");
	tap_str(said(), "-125", "watchdog.h: by its tick");
	pthread_join(thread, NULL);
	tap_ok(!ask_for[0] && !ask_for[1], "watchdog.h: a tick on a thread without a scheduler does nothing");
	tap_ok(tl__tick_word == 0, "watchdog.h: what was asked is done");
	tap_ok(!seemed_idle, "1.4: what another thread makes run comes behind the one that computes");
	tl_task_unref(spinner);
	all_gone("threads");
}

static void say_deferred(UNUSED void *arg)
{
	say("deferred");
}

static int fn_unwound(void *arg)
{
	tl_defer(say_deferred, NULL);
	if (arg) {	/* killed before, and now it is asked to look */
		tl_shield(true);
		tl_task_kill(tl_current());
		tl_shield(false);
		tl__tick_request(tl__sched_self);
		tl_tick();
	} else {
		fn_spin((void *)10L);
	}
	say("back");
	return 0;
}

static void test_unwind(void)
{
	struct tl_task_attr attr = { .size = sizeof(attr), .flags = TL_UNWIND };
	struct tl_task *t, *victim;

	if (tl_spawn_attr(&t, &attr, fn_unwound, NULL)) {
		tap_skip("no unwinder");
		tap_skip("no unwinder");
		return;
	}
	run_ticks(5, 0, &victim);
	tl_task_kill(victim);
	tl_task_unref(victim);
	tl_task_unref(t);
	tap_str(said(), "deferred", "watchdog.h: a kill of a victim unwinds it at its tick");
	tl_spawn_attr(&t, &attr, fn_unwound, (void *)1);
	tl_run();
	tl_task_unref(t);
	tap_str(said(), "deferred", "watchdog.h: so does one that a tick finds");
}

static bool delivered;

static void deliver_nothing(UNUSED struct tl_sched *s, UNUSED struct tl__message *message)
{
	delivered = true;
}

static void ask_callback(UNUSED struct tl_task *prev, UNUSED struct tl_task *next, UNUSED void *arg)
{
	static struct tl__message message = { .deliver = deliver_nothing };
	struct tl_sched *s = tl__sched_self;

	if (delivered || tl__tick_word)
		return;
	tl__inbox_push(s, &message);
	tl__tick_request(s);
	tl_tick();
	tap_ok(!delivered && tl__tick_word, "watchdog.h: in a callback a tick does not look at what was asked");
}

static void test_asked(void)
{
	int r;

	go("A", fn_nop, NULL);
	tl_set_schedule_callback(ask_callback, NULL, NULL, NULL);
	tl_schedule();
	tl_set_schedule_callback(NULL, NULL, NULL, NULL);
	tl_tick();
	tap_ok(delivered && !tl__tick_word, "watchdog.h: the next one outside does");

	tl_shield(true);
	tl_task_kill(tl_current());
	tl__tick_request(tl__sched_self);
	r = tl_tick();
	tap_is(r, 0, "watchdog.h: a tick of one that is shielded");
	tl_shield(false);
	tl__tick_request(tl__sched_self);
	r = tl_tick();
	tap_is(r, -ECANCELED, "watchdog.h: and when it is not any more");
	tl__tick_request(tl__sched_self);
	r = tl_tick();
	tap_is(r, -ECANCELED, "watchdog.h: that does not catch it");
	tap_is(caught(), ECANCELED, "watchdog.h: tl_catch() does");
	tl__tick_request(tl__sched_self);
	tap_is(tl_tick(), 0, "watchdog.h: then nothing is left to be said");
	all_gone("asked");
}

static void test_function(void)
{
	int (*volatile tick)(void) = tl_tick;
	struct tl_task *victim;

	go("A", fn_yield, (void *)0L);
	tap_is(tick(), 0, "watchdog.h: tl_tick is a function too");
	go("A", fn_spin, (void *)5L);
	run_ticks(2, 0, &victim);
	tap_str(name_of(victim), "A", "watchdog.h: victim");
	tick();
	go_on(victim);
	tl_run();
	said();
	all_gone("function");
}

int main(void)
{
	tap_plan(139);
	if (tl_chan_new(&chan, sizeof(long), 0))
		tap_bail("no channel");
	test_interrupt();
	test_ring();
	test_ring_runnable();
	test_idiom();
	test_budget();
	test_ends();
	test_thrown();
	test_thrown_at_caller();
	test_nesting();
	test_ignore_later();
	test_trap();
	test_callback();
	test_nested_runs();
	test_popped_budget();
	test_main_victim();
	test_arguments();
	test_threads();
	test_thread_kills();
	test_unwind();
	test_asked();
	test_function();
	tl_chan_unref(chan);
	tap_is(tl_sched_end(), 0, "sched.h: nothing is left");
	tl__tick_word = TL__TICK_POLL;	/* asked too late */
	tap_is(tl_tick(), 0, "watchdog.h: a tick after the end of the scheduler");
	tap_ok(!tl__tick_word && !tl__sched_self, "watchdog.h: which makes none");
	return tap_exit();
}
