/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What one thread can ask of another's tasklets (sections 1.1, 1.7, 3.1): the state in each state; main and current are
 * relative to the tasklet's own thread; neighbours and channels are told to its own thread only, where those may be of
 * other threads; numbers differ over all threads; what is the own thread's alone is refused.
 */
#include "threads.h"

#include "../core/check.h"

enum { UNBOUND, BOUND, PAUSED, RUNNABLE, BLOCKED, STOPPED, DEAD, RUNS, MAIN, KINDS };

static struct tl_task *kind[KINDS];
static struct tl_chan *chan;
static uint64_t theirs;
static _Atomic int bad;

static int fn_recv(UNUSED void *arg)
{
	long v;

	return tl_chan_recv(chan, &v) == -EPIPE ? 0 : 1;
}

static int fn_pause(UNUSED void *arg)
{
	tl_schedule_remove();
	return 0;
}

static int fn_runs(UNUSED void *arg)
{
	tl_schedule();		/* the others take their places */
	kind[RUNNABLE] = mk("R", fn_nop, NULL);
	reach(1);
	await_step(2);
	return 0;
}

static void *home(UNUSED void *arg)
{
	int i;

	if (tl_task_new(&kind[UNBOUND], NULL) || tl_task_new(&kind[BOUND], NULL) || tl_task_bind(kind[BOUND], fn_nop))
		tap_bail("no tasklet");
	kind[MAIN] = tl_task_ref(tl_main());
	kind[PAUSED] = mk_paused("P", fn_nop, NULL);
	kind[RUNS] = mk("A", fn_runs, NULL);
	kind[BLOCKED] = mk("B", fn_recv, NULL);
	kind[STOPPED] = mk("S", fn_pause, NULL);
	kind[DEAD] = mk("D", fn_nop, NULL);
	theirs = tl_task_id(kind[DEAD]);
	tl_run();
	reach(3);
	await_step(4);
	/* Handles that another thread gave up meanwhile. */
	tl_schedule();
	for (i = 0; i < KINDS; i++)
		tl_task_unref(kind[i]);
	return NULL;
}

static const char *flags(const struct tl_task *t)
{
	static char text[8];

	snprintf(text, sizeof(text), "%s%s%s%s%s%s", tl_task_is_alive(t) ? "a" : "", tl_task_is_paused(t) ? "p" : "",
		 tl_task_is_blocked(t) ? "b" : "", tl_task_is_scheduled(t) ? "s" : "", tl_task_is_main(t) ? "m" : "",
		 tl_task_is_current(t) ? "c" : "");
	return text;
}

static int fn_both(UNUSED void *arg)
{
	long v;

	tl_chan_recv(chan, &v);
	return 0;
}

static void test_states(void)
{
	static const char *const want[] = { "", "", "ap", "as", "abs", "ap", "", "asc", "apm" };
	static const char *const name[] = { "unbound", "bound", "paused", "runnable", "blocked", "paused in the middle",
					    "dead", "the one that runs", "main, which is in run()" };
	struct tl_task *mine, *t;
	int i, wrong = 0;

	for (i = 0; i < KINDS; i++)
		tap_str(flags(kind[i]), want[i], "1.1, 1.7: another thread's tasklet: %s", name[i]);
	tap_str(flags(tl_current()), "asmc", "1.7: meanwhile this thread has a current one of its own");
	for (i = 0; i < KINDS; i++)
		wrong += tl_task_next(kind[i]) || tl_task_prev(kind[i]) || tl_task_channel(kind[i]) ||
			 tl_task_direction(kind[i]);
	tap_is(wrong, 0, "task.h: neighbours, channel and direction are told to its own thread");
	for (i = wrong = 0; i < KINDS; i++)
		wrong += tl_task_id(kind[i]) == 0 || tl_task_id(kind[i]) == tl_task_id(tl_current());
	tap_is(wrong, 0, "1.7: each has a number that is none of this thread's");
	tap_ok(!strcmp(tl_task_name(kind[BLOCKED]), "B"), "task.h: a name that nobody sets can be read");
	for (i = wrong = 0; i < KINDS; i++)
		wrong += tl_task_set_name(kind[i], "x") != -EXDEV || tl_task_bind(kind[i], fn_nop) != -EXDEV ||
			 tl_task_bind_arg(kind[i], fn_nop, NULL) != -EXDEV || tl_task_unbind(kind[i]) != -EXDEV ||
			 tl_task_setup(kind[i], NULL) != -EXDEV;
	tap_is(wrong, 0, "1.2: to name, bind, unbind and set up is refused in each state");
	for (i = wrong = 0; i < KINDS; i++)
		wrong += tl_task_remove(kind[i]) != (tl_task_is_alive(kind[i]) ? -EXDEV : 0);
	tap_is(wrong, 0, "1.3: to remove as well, but where it is not alive there is nothing to remove");
	for (i = wrong = 0; i < KINDS; i++)
		wrong += tl_task_switch(kind[i]) != -EXDEV;
	tap_is(wrong, 0, "1.4: to switch to it as well");
	tap_ok(tl_task_insert(kind[UNBOUND]) == -ESRCH && tl_task_run(kind[BOUND]) == -ESRCH &&
	       tl_task_insert(kind[DEAD]) == -ESRCH && !tl_task_kill(kind[UNBOUND]) && !tl_task_kill(kind[BOUND]) &&
	       !tl_task_insert(kind[RUNNABLE]) && !tl_task_insert(kind[RUNS]) && !tl_task_run(kind[RUNS]),
	       "1.3, 1.4, 1.5: not alive: nothing to insert; nothing to kill; those in the ring are there already");

	/* Of one queue, one end is theirs and one ours. */
	mine = mk("Q", fn_both, NULL);
	tl_schedule();
	t = tl_chan_queue(chan);
	tap_ok(t == kind[BLOCKED] && tl_chan_balance(chan) == -2, "2: tasklets of two threads wait in one queue");
	tap_ok(tl_task_channel(mine) == chan && tl_task_direction(mine) == -1, "1.7: ours tells us its channel");
	tap_ok(tl_task_prev(mine) == kind[BLOCKED] && !tl_task_next(mine), "1.7: and its neighbour, which is theirs");
	tl_task_kill(mine);
	tl_task_unref(mine);
}

/* They are asked while they change; the answers don't matter. */
static void *changes(void *arg)
{
	int i;

	kind[MAIN] = tl_task_ref(tl_main());
	reach(5);
	for (i = 0; i < 3000; i++) {
		tl_shield(i & 1);
		tl_atomic(i & 2);
		tl_task_set_block_trap(tl_current(), i & 4);
		tl_schedule();
	}
	tl_task_set_block_trap(tl_current(), false);
	tl_shield(false);
	return arg;
}

static void test_changing(void)
{
	pthread_t t = start(changes, NULL);
	int i;

	await_step(5);
	for (i = 0; i < 3000; i++)
		if (!tl_task_is_main(kind[MAIN]) || !tl_task_id(kind[MAIN]))
			atomic_fetch_add(&bad, 1);
	pthread_join(t, NULL);
	tap_is(bad, 0, "1.7: asked while its flags change: main is main");
	tl_task_unref(kind[MAIN]);
}

int main(void)
{
	pthread_t t;

	tap_plan(22);
	chan = new_chan(sizeof(long), 0);
	t = start(home, NULL);
	await_step(1);
	test_states();
	reach(2);
	await_step(3);
	tl_chan_close(chan);
	reach(4);
	pthread_join(t, NULL);
	test_changing();
	tl_chan_unref(chan);
	tap_is(tl_sched_end(), 0, "sched.h: nothing is left");
	return tap_exit();
}
