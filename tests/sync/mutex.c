/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Mutex and rlock within one thread (section 6.2, and section 9's list of what went wrong elsewhere): who gets it in
 * which order, what is refused, and that a wait that ends without the lock leaves nothing behind.
 */
#include "../core/check.h"
#include "core/task.h"
#include "sync/word.h"

static struct tl_mutex m = TL_MUTEX_INIT;
static struct tl_rlock rl = TL_RLOCK_INIT;

static bool is_free(const struct tl_mutex *mutex)
{
	static const struct tl_mutex zero;

	return !memcmp(mutex, &zero, sizeof(zero));
}

/* Until a deadline that has passed is seen. */
/* Locks, says so, gives way as often as it was told, unlocks. */
static int fn_lock(void *arg)
{
	long n = (long)arg;
	int r = tl_mutex_lock(&m);

	say("%s%d", me(), r);
	if (r)
		return 0;
	while (n-- > 0)
		tl_schedule();
	tl_mutex_unlock(&m);
	return 0;
}

static int fn_lock_until(void *arg)
{
	int r = tl_mutex_lock_until(&m, (uint64_t)(uintptr_t)arg);

	say("%s%d", me(), r);
	if (!r)
		tl_mutex_unlock(&m);
	return 0;
}

static int fn_stranger(UNUSED void *arg)
{
	int r = tl_mutex_unlock(&m);

	say("%d %d %d", r, tl_mutex_try_lock(&m), tl_mutex_is_owned(&m));
	return 0;
}

static void test_basics(void)
{
	struct tl_mutex zero;

	memset(&zero, 0, sizeof(zero));
	tap_ok(!memcmp(&zero, &m, sizeof(m)), "mutex.h: zeroed memory is a free mutex");
	tap_is(tl_mutex_unlock(&m), -EPERM, "6.2: release of an unlocked mutex is refused (9: #1345)");
	tap_ok(is_free(&m), "6.2: and does not make it a lock for two");
	tap_is(tl_mutex_lock(&m), 0, "6.2: lock");
	tap_ok(tl_mutex_is_owned(&m), "mutex.h: the caller holds it");
	tap_is(tl_mutex_lock(&m), -EDEADLK, "mutex.h: its holder can't have it twice");
	tap_is(tl_mutex_lock_until(&m, tl_after(1000)), -EDEADLK, "mutex.h: not with a deadline either");
	tap_is(tl_mutex_try_lock(&m), -EAGAIN, "mutex.h: try says that it is taken");
	go("A", fn_stranger, NULL);
	tl_schedule();
	tap_str(said(), "-1 -11 0", "mutex.h: a stranger can't unlock it, nor have it");
	tap_ok(tl_mutex_is_owned(&m), "mutex.h: that has changed nothing");
	tap_is(tl_mutex_unlock(&m), 0, "6.2: unlock");
	tap_ok(is_free(&m), "mutex.h: nothing is left in it");
	tap_is(tl_mutex_try_lock(&m), 0, "6.2: non-blocking");
	tap_is(tl_mutex_lock_until(&m, 1), -EDEADLK, "mutex.h: (held)");
	tl_mutex_unlock(&m);
	tap_is(tl_mutex_lock_until(&m, 1), 0, "6.2: a deadline that has passed is no matter where it is free");
	tl_mutex_unlock(&m);
	all_gone("basics");
}

static void test_order(void)
{
	tl_mutex_lock(&m);
	go("A", fn_lock, NULL);
	go("B", fn_lock, (void *)2L);
	go("C", fn_lock, NULL);
	tl_schedule();
	tap_is((int)stats().blocked, 3, "6.2: three wait");
	tl_mutex_unlock(&m);
	tap_str(ring(), "M A", "mutex.h: an unlock makes the first runnable, and goes on");
	tap_is(tl_mutex_try_lock(&m), 0, "6.2: nothing is handed over: who comes first has it");
	tl_schedule();
	tap_str(said(), "", "6.2: the one that was woken has lost, and waits again");
	tl_mutex_unlock(&m);
	tl_run();
	tap_str(said(), "A0 B0 C0", "mutex.h: at the place that it had");
	tap_ok(is_free(&m), "mutex.h: nothing is left in it");
	all_gone("order");
}

static void test_end(void)
{
	struct tl_task *a, *b;

	tl_mutex_lock(&m);
	a = mk("A", fn_lock, NULL);
	b = mk("B", fn_lock, NULL);
	go("C", fn_lock_until, (void *)1L);
	a_few_turns();
	tap_str(said(), "C-110", "6.2: a deadline that has passed");
	tl_task_kill(a);
	tap_str(said(), "A-125", "6.2: a wait that is killed");
	tl_mutex_unlock(&m);
	tap_str(ring(), "M B", "9: (pymongo 471, 633) those that left hold nothing up");
	tl_task_kill_later(b);
	tl_schedule();
	tap_str(said(), "B0", "5: a kill after the wake-up finds the lock free: the call succeeds");
	tap_ok(is_free(&m), "mutex.h: nothing is left in it");
	tl_task_unref(a);
	tl_task_unref(b);
	all_gone("end");
}

static void test_pass_on(void)
{
	struct tl_task *a;

	tl_mutex_lock(&m);
	a = mk("A", fn_lock, NULL);
	go("B", fn_lock, NULL);
	tl_schedule();
	tl_mutex_unlock(&m);
	tap_is(tl_mutex_try_lock(&m), 0, "(taken again)");
	tl_task_kill_later(a);
	tl_schedule();
	tap_str(said(), "A-125", "6.2: killed after it was woken, and it has lost: the call fails");
	tl_mutex_unlock(&m);
	tap_str(ring(), "M B", "6.2: the next unlock wakes the next");
	tl_run();
	tap_str(said(), "B0", "6.2: which gets it");
	tl_task_unref(a);

	/* Woken and killed while the lock is free again: its first try succeeds. */
	tl_mutex_lock(&m);
	a = mk("A", fn_lock, NULL);
	go("B", fn_lock, NULL);
	tl_schedule();
	tl_mutex_unlock(&m);
	tl_task_kill_later(a);
	tl_run();
	tap_str(said(), "A0 B0", "6.2: killed after it was woken: has it, and the next one after it");
	tap_ok(is_free(&m), "mutex.h: nothing is left in it");
	tl_task_unref(a);
	all_gone("pass on");
}

static void test_last_try(void)
{
	tl_mutex_lock(&m);
	go("A", fn_lock, NULL);
	go("B", fn_lock_until, (void *)1L);
	tl_schedule();
	tl__poll(tl__sched_self);
	tap_str(ring(), "M B", "(its time is up, but it has not run)");
	tl_mutex_unlock(&m);
	tl_run();
	tap_str(said(), "B0 A0", "6.2: a wait whose time is up tries once more");
	tap_ok(is_free(&m), "mutex.h: nothing is left in it");
	all_gone("last try");
}

static int fn_killed(UNUSED void *arg)
{
	tl_task_kill(tl_current());
	say("%d", tl_mutex_lock(&m));
	say("%d", tl_mutex_try_lock(&m));
	say("%d", tl_mutex_unlock(&m));
	say("%d", tl_rlock_lock(&rl));
	say("%d", caught());
	say("%d", tl_mutex_lock(&m));
	tl_mutex_unlock(&m);
	return 0;
}

static void test_killed(void)
{
	go("A", fn_killed, NULL);
	tl_run();
	tap_str(said(), "-125 0 0 -125 125 0", "5: a killed tasklet's calls fail until it has caught that; try works");
	all_gone("killed");
}

/* --- bounded starvation ------------------------------------------------------------------------------------------- */

static bool has_it;

static int fn_starved(UNUSED void *arg)
{
	int r = tl_mutex_lock(&m);

	has_it = true;
	say("%d", r);
	tl_mutex_unlock(&m);
	return 0;
}

/* Always has the lock when others run. */
static int barge(int limit)
{
	int rounds = 0;

	while (!has_it && rounds < limit) {
		tl_mutex_unlock(&m);
		if (tl_mutex_try_lock(&m))
			break;
		rounds++;
		tl_schedule();
	}
	return rounds;
}

static void test_starvation(void)
{
	struct tl_task *a;
	int rounds;

	has_it = false;
	tl_mutex_lock(&m);
	go("A", fn_starved, NULL);
	tl_schedule();
	rounds = barge(1000);
	tap_ok(rounds >= TL__LOSSES && rounds <= TL__LOSSES + 2, "9: (#1744) barging ends after %d losses (%d)",
	       TL__LOSSES, rounds);
	tap_ok(!has_it && tl_mutex_try_lock(&m) == -EAGAIN, "9: a newcomer does not get the free lock then");
	go("B", fn_lock, NULL);
	tl_run();
	tap_str(said(), "0 B0", "9: but the one that was starved, and then the newcomer");
	tap_ok(is_free(&m), "mutex.h: nothing is left in it");

	/* The one that kept the others off dies. */
	has_it = false;
	tl_mutex_lock(&m);
	a = mk("A", fn_starved, NULL);
	tl_schedule();
	barge(TL__LOSSES + 1);
	tap_ok(m.tl__word & TL__KEEP_OFF, "(keeps off)");
	go("B", fn_lock, NULL);
	tl_schedule();
	tl_task_kill(a);
	tap_str(said(), "-125", "(killed)");
	tap_ok(!(m.tl__word & TL__KEEP_OFF), "9: nobody is kept off for one that is dead");
	tl_mutex_unlock(&m);
	tl_run();
	tap_str(said(), "B0", "9: the others go on");
	tap_ok(is_free(&m), "mutex.h: nothing is left in it");
	tl_task_unref(a);
	has_it = true;
	all_gone("starvation");
}

/* --- refusals ----------------------------------------------------------------------------------------------------- */

static int fn_leaves_locked(UNUSED void *arg)
{
	return tl_mutex_lock(&m);
}

static void test_refused(void)
{
	struct picture p;

	go("A", fn_leaves_locked, NULL);
	tl_run();
	p = picture();
	tap_is(tl_mutex_lock(&m), -EDEADLK, "9: its holder is dead and nobody else is there: a deadlock");
	tl_switch_trap(1);
	tap_is(tl_mutex_lock(&m), -EPERM, "3.5: a trap forbids to block");
	tl_switch_trap(-1);
	tap_is(tl_mutex_lock_until(&m, 1), -ETIMEDOUT, "6.2: a deadline");
	tap_ok(same_picture(&p) && m.tl__word == TL__LOCKED && !m.tl__queue, "3.5: nothing has changed");
	m = (struct tl_mutex)TL_MUTEX_INIT;
}

static void test_describe(void)
{
	struct tl_task *a;
	char text[128], want[128];

	tl_mutex_lock(&m);
	a = mk("A", fn_lock, NULL);
	tl_schedule();
	a->wait_ops->describe(a, text, sizeof(text));
	tap_str(text, "a lock held by a thread's main tasklet", "9: what it waits for, in words");
	tl_mutex_unlock(&m);
	tl_run();
	tl_task_unref(a);

	go("A", fn_lock, (void *)2L);
	tl_schedule();
	a = mk("B", fn_lock, NULL);
	tl_schedule();
	snprintf(want, sizeof(want), "a lock held by tasklet %llu", (unsigned long long)m.tl__owner);
	a->wait_ops->describe(a, text, sizeof(text));
	tap_str(text, want, "9: and who has it");
	tl_task_unref(a);
	tl_run();
	all_gone("describe");
}

/* --- rlock -------------------------------------------------------------------------------------------------------- */

static int fn_rlock(UNUSED void *arg)
{
	int r = tl_rlock_unlock(&rl);

	say("%s%d,%d", me(), r, tl_rlock_try_lock(&rl));
	r = tl_rlock_lock(&rl);
	say("%s%d,%u", me(), r, tl_rlock_depth(&rl));
	tl_rlock_unlock(&rl);
	return 0;
}

static void test_rlock(void)
{
	tap_is(tl_rlock_unlock(&rl), -EPERM, "6.2: release of an un-acquired rlock");
	tap_is(tl_rlock_lock(&rl) + tl_rlock_lock(&rl) + tl_rlock_lock_until(&rl, 1) + tl_rlock_try_lock(&rl), 0,
	       "6.2: its owner takes it again");
	tap_is(tl_rlock_depth(&rl), 4, "6.2: four times");
	go("A", fn_rlock, NULL);
	tl_schedule();
	tap_str(said(), "A-1,-11", "6.2: the owner is the tasklet: another one of the thread is a stranger");
	tl_rlock_unlock(&rl);
	tl_rlock_unlock(&rl);
	tl_rlock_unlock(&rl);
	tl_schedule();
	tap_str(said(), "", "6.2: each lock needs its unlock");
	tap_is(tl_rlock_unlock(&rl), 0, "6.2: the last one");
	tap_is(tl_rlock_depth(&rl), 0, "6.2: is none of the caller's any more");
	tl_run();
	tap_str(said(), "A0,1", "6.2: and another one's now");
	tl_rlock_lock(&rl);
	rl.tl__depth = UINT32_MAX;
	tap_ok(tl_rlock_lock(&rl) == -EOVERFLOW && tl_rlock_try_lock(&rl) == -EOVERFLOW && rl.tl__depth == UINT32_MAX,
	       "9: the depth does not wrap");
	rl.tl__depth = 1;
	tl_rlock_unlock(&rl);
	tap_ok(is_free(&rl.tl__mutex) && !rl.tl__depth, "mutex.h: nothing is left in it");
	all_gone("rlock");
}

int main(void)
{
	tap_plan(71);
	test_basics();
	test_order();
	test_end();
	test_pass_on();
	test_last_try();
	test_killed();
	test_starvation();
	test_refused();
	test_describe();
	test_rlock();
	tap_is(tl_sched_end(), 0, "nothing is left");
	return tap_exit();
}
