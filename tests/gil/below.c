/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the floors below make of the lock: a thread that ends has it while its tasklets are killed; who is asked for it and
 * forks is not asked in the child; a wait for it is no stall of the tasklet that waits, nor part of its slice.
 */
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gil.h"

#include "core/task.h"
#include "core/tick.h"

static struct tl_gil *the_gil;
static _Atomic int wrong, ended;

/* --- the end of a thread ------------------------------------------------------------------------------------------ */

static struct tl_chan *nothing;

static int waits_for_ever(void *arg)
{
	if (tl_chan_recv(arg, NULL) != -ECANCELED || !tl_gil_is_held())
		atomic_fetch_add(&wrong, 1);
	atomic_fetch_add(&ended, 1);
	return 0;
}

static void leaves_tasklets(void)
{
	come_in(the_gil);
	tl_task_unref(spawn(waits_for_ever, nothing));
	tl_schedule();
}

static void *ends_inside(UNUSED void *arg)
{
	leaves_tasklets();
	return NULL;
}

static void *ends_outside(UNUSED void *arg)
{
	leaves_tasklets();
	tl_gil_block_begin();
	tl_gil_block_begin();
	return NULL;
}

/* The order of the two destructors depends on who was first in the process: a lock, as here, or a scheduler. */
static void test_ends(struct tl_gil *gil)
{
	the_gil = gil;
	atomic_store(&wrong, 0);
	atomic_store(&ended, 0);
	nothing = new_chan(0, 0);
	in_thread(ends_inside, NULL);
	in_thread(ends_outside, NULL);
	tl_chan_unref(nothing);
	tap_ok(!atomic_load(&wrong) && atomic_load(&ended) == 2, "%s: tasklets that end with their thread hold it",
	       tl_gil_name(gil));
}

/* --- forks ---------------------------------------------------------------------------------------------------------- */

static void *waits(UNUSED void *arg)
{
	come_in(the_gil);
	tl_gil_detach();
	return NULL;
}

/* Hangs if somebody is waited for who is not there. */
static int child(bool at_tick)
{
	if (at_tick)
		tl_tick();
	tl_gil_block_begin();
	tl_gil_block_end();
	tl_gil_yield();
	return tl_gil_detach() || tl_gil_free(the_gil);
}

static void asked_and_forks(const char *policy, bool at_tick)
{
	pthread_t thread;
	int status = -1;
	char spec[64];
	pid_t pid;

	snprintf(spec, sizeof(spec), "%s,interval=1us", policy);
	the_gil = new_gil(spec);
	come_in(the_gil);
	thread = start(waits, NULL);
	await(tl__tick_bits() & TL__TICK_GIL);
	pid = fork();
	if (!pid)
		_exit(child(at_tick));
	waitpid(pid, &status, 0);
	tap_ok(!status, "%s: asked for it, and forks%s", policy, at_tick ? ", and ticks" : "");
	tl_gil_block_begin();
	pthread_join(thread, NULL);
	tl_gil_detach();
	tl_gil_free(the_gil);
}

static void test_forks(void)
{
	unsigned int i;

	for (i = 0; tl_gil_policy_at(i); i++) {
		asked_and_forks(tl_gil_policy_at(i), false);
		asked_and_forks(tl_gil_policy_at(i), true);
	}
}

/* --- stalls ----------------------------------------------------------------------------------------------------------- */

#define REPORTS 3

static _Atomic int waiter_tid, witness_tid, waiter_reports, witness_reports;

static void on_stall(const struct tl_stall *stall, UNUSED void *arg)
{
	if (stall->tid == atomic_load(&waiter_tid))
		atomic_fetch_add(&waiter_reports, 1);
	if (stall->tid == atomic_load(&witness_tid))
		atomic_fetch_add(&witness_reports, 1);
}

static int idles(UNUSED void *arg)
{
	return 0;
}

/* Two tasklets: one waits for the lock, in one way or the other, and holds up the other one. */
static void *waits_with_tasklets(void *arg)
{
	struct tl_task *t = spawn(idles, NULL);

	atomic_store(&waiter_tid, (int)syscall(SYS_gettid));
	come_in(the_gil);
	if (arg) {
		reach(1);
		while (!tl_gil_yield())
			nap();
	} else {
		tl_gil_detach();
	}
	tl_task_unref(t);
	return NULL;
}

/* As long as the other one waits this one stalls, and is reported. */
static void *stalls(UNUSED void *arg)
{
	struct tl_task *t = spawn(idles, NULL);

	atomic_store(&witness_tid, (int)syscall(SYS_gettid));
	await(atomic_load(&witness_reports) >= REPORTS);
	tl_task_unref(t);
	return NULL;
}

static void test_stall(bool yields)
{
	pthread_t waiter;

	the_gil = new_gil("handoff");
	reach(0);
	atomic_store(&waiter_reports, 0);
	atomic_store(&witness_reports, 0);
	atomic_store(&waiter_tid, 0);
	if (!yields)
		come_in(the_gil);
	waiter = start(waits_with_tasklets, yields ? &waiter : NULL);
	if (yields) {
		await_step(1);
		come_in(the_gil);
	}
	await(atomic_load(&waiter_tid));
	if (tl_stall_detect(MS, on_stall, NULL))
		tap_bail("no stall detector");
	in_thread(stalls, NULL);
	tl_stall_detect(0, NULL, NULL);
	tl_gil_detach();
	pthread_join(waiter, NULL);
	tl_gil_free(the_gil);
	tap_is(atomic_load(&waiter_reports), 0, "a wait for it is no stall, %s", yields ? "at a yield" : "at first");
}

/* --- slices ------------------------------------------------------------------------------------------------------------- */

static uint64_t waited_ns, extended_ns;

static bool add_waits(const struct tl_gil_stats *stats, UNUSED void *arg)
{
	if (stats->tid == (int)syscall(SYS_gettid))
		waited_ns = stats->waits[TL_GIL_CPU].sum_ns;
	return true;
}

static void *comes_once(UNUSED void *arg)
{
	come_in(the_gil);
	atomic_store(&ended, 1);
	nap();
	tl_gil_detach();
	return NULL;
}

static int yields(UNUSED void *arg)
{
	uint64_t end = tl__sched_self->watch.end_ns;
	pthread_t thread = start(comes_once, NULL);

	while (!atomic_load(&ended))
		tl_gil_yield();
	extended_ns = tl__sched_self->watch.end_ns - end;
	tl_gil_stats(the_gil, add_waits, NULL);
	tl_gil_block_begin();
	pthread_join(thread, NULL);
	tl_gil_block_end();
	return 0;
}

static void run_yields(struct tl_gil *gil, uint64_t flags)
{
	struct tl_run_options o = { .size = sizeof(o), .flags = flags, .ns = 3600 * 1000 * MS };
	struct tl_task *victim;

	the_gil = gil;
	atomic_store(&ended, 0);
	come_in(gil);
	tl_task_unref(spawn(yields, NULL));
	if (tl_run_with(&o, &victim))
		tap_bail("no run");
	tl_gil_detach();
}

static void test_slice(struct tl_gil *gil)
{
	bool ok;

	run_yields(gil, 0);
	ok = waited_ns && extended_ns == waited_ns;
	run_yields(gil, TL_RUN_TOTAL);
	tap_ok(ok && waited_ns && !extended_ns, "%s: what a tasklet waits is no part of its slice, but of the whole run",
	       tl_gil_name(gil));
}

int main(void)
{
	tap_plan(2 * count_gils() + 2 * 4 + 2);
	each_gil(test_ends);
	test_forks();
	test_stall(false);
	test_stall(true);
	each_gil(test_slice);
	tl_sched_end();
	return tap_exit();
}
