/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Conditions within one thread (section 6.2, and its list of defects): with a mutex, with an rlock, with no lock at all;
 * that a notification goes to one that waits and to nobody else, and that the lock is held again whatever happens.
 */
#include "../core/check.h"
#include "core/task.h"
#include "sync/word.h"

static struct tl_cond c = TL_COND_INIT;
static struct tl_mutex m = TL_MUTEX_INIT;
static struct tl_rlock rl = TL_RLOCK_INIT;
static bool ready;

static bool all_free(void)
{
	return !m.tl__word && !m.tl__queue && !rl.tl__mutex.tl__word && !rl.tl__depth && !c.tl__queue &&
	       !c.tl__waiters;
}

/* Says what the wait returned, and whether the lock is held. */
static int fn_wait(void *arg)
{
	uint64_t deadline = arg ? (uint64_t)(uintptr_t)arg : TL_FOREVER;
	int r;

	if (tl_mutex_lock(&m))
		return 0;
	r = tl_cond_wait_until(&c, &m, deadline);
	say("%s%d%s", me(), r, tl_mutex_is_owned(&m) ? "" : "!");
	tl_mutex_unlock(&m);
	return 0;
}

static int fn_rwait(void *arg)
{
	uint64_t deadline = arg ? (uint64_t)(uintptr_t)arg : TL_FOREVER;
	int r;

	tl_rlock_lock(&rl);
	tl_rlock_lock(&rl);
	tl_rlock_lock(&rl);
	r = tl_cond_rwait_until(&c, &rl, deadline);
	say("%s%d:%u", me(), r, tl_rlock_depth(&rl));
	tl_rlock_unlock(&rl);
	tl_rlock_unlock(&rl);
	tl_rlock_unlock(&rl);
	return 0;
}

static int fn_nl_wait(void *arg)
{
	say("%s%d", me(), tl_cond_wait_until(&c, NULL, arg ? (uint64_t)(uintptr_t)arg : TL_FOREVER));
	return 0;
}

static bool is_ready(void *arg)
{
	if (arg)
		++*(int *)arg;
	return ready;
}

static void test_basics(void)
{
	tap_is(tl_cond_wait(&c, &m), -EPERM, "6.2: wait without owning the lock");
	tap_is(tl_cond_wait_for(&c, &m, is_ready, NULL), -EPERM, "6.2: in each form");
	tap_is(tl_cond_rwait(&c, &rl), -EPERM, "6.2: with an rlock too");
	tap_is(tl_cond_rwait_for(&c, &rl, is_ready, NULL), -EPERM, "6.2: in each form");
	tap_ok(all_free(), "6.2: nothing has changed");
	tap_is(tl_cond_notify(&c, 5) + tl_cond_notify_all(&c), 0, "6.2: nobody waits, nobody is notified");
	go("A", fn_wait, NULL);
	go("B", fn_wait, NULL);
	go("C", fn_wait, NULL);
	go("D", fn_wait, NULL);
	tl_schedule();
	tap_ok(!m.tl__word, "6.2: a wait releases the lock");
	tap_is(tl_cond_notify(&c, 1), 1, "6.2: notify");
	tl_schedule();
	tap_str(said(), "A0", "6.2: the first, which has the lock again");
	tap_is(tl_cond_notify(&c, 2), 2, "6.2: notify two");
	tl_schedule();
	tap_str(said(), "B0 C0", "6.2: the next two");
	tap_is(tl_cond_notify_all(&c), 1, "6.2: all, which is one");
	tl_schedule();
	tap_str(said(), "D0", "6.2: the last");
	tl_mutex_lock(&m);
	tap_is(tl_cond_wait_until(&c, &m, 1), -ETIMEDOUT, "6.2: timed out");
	tap_ok(tl_mutex_is_owned(&m), "6.2: the lock is held");
	tap_is(tl_cond_wait(&c, &m), -EDEADLK, "6.2: nobody could ever notify");
	tap_ok(tl_mutex_is_owned(&m), "6.2: the lock is held");
	tl_switch_trap(1);
	tap_is(tl_cond_wait(&c, &m), -EPERM, "3.5: a trap");
	tl_switch_trap(-1);
	tap_ok(tl_mutex_is_owned(&m), "3.5: the lock is held");
	tl_mutex_unlock(&m);
	tap_ok(all_free(), "cond.h: nothing is left in them");
	all_gone("basics");
}

/* 6.2, defects: nWaiting is not decremented, a later notify leaves a stale token. */
static void test_no_token(void)
{
	struct tl_task *a, *b;

	a = mk("A", fn_wait, NULL);
	b = mk("B", fn_wait, NULL);
	go("T", fn_wait, (void *)1L);
	a_few_turns();
	tap_str(said(), "T-110", "6.2: timed out, and holds the lock");
	tl_task_kill(a);
	tap_str(said(), "A-125", "6.2: killed, and holds the lock");
	tap_is(tl_cond_notify(&c, 2), 1, "6.2: those who left are not counted");
	go("C", fn_wait, NULL);
	tl_run();
	tap_str(said(), "B0", "6.2: and leave no token to one that comes later");
	tap_is(tl_cond_notify_all(&c), 1, "6.2: it still waits");
	tl_run();
	tap_str(said(), "C0", "6.2: for a notification of its own");
	tl_task_unref(a);
	tl_task_unref(b);
	tap_ok(all_free(), "cond.h: nothing is left in them");
	all_gone("no token");
}

/* 6.2, defects: a notified waiter that has not run can lose its token to a later one. */
static void test_notified(void)
{
	struct tl_task *a;

	a = mk("A", fn_wait, NULL);
	tl_schedule();
	tl_mutex_lock(&m);
	tl_cond_notify(&c, 1);
	go("B", fn_wait, NULL);
	tl_schedule();
	tap_is(tl_cond_notify(&c, 1), 0, "6.2: who was notified waits for the lock alone");
	tl_mutex_unlock(&m);
	tl_schedule();
	tap_str(said(), "A0", "6.2: and its notification is its own");
	tl_schedule();
	tl_task_unref(a);
	tl_cond_notify_all(&c);
	tl_run();
	said();

	/* Notified, then killed before it runs. */
	a = mk("A", fn_wait, NULL);
	tl_schedule();
	tl_cond_notify(&c, 1);
	tl_task_kill_later(a);
	tl_run();
	tap_str(said(), "A0", "5: a kill after the notification does not undo it");
	tl_task_unref(a);
	all_gone("notified");
}

/* 6.2, defects: the re-acquire may be killed. */
static int fn_wait_killed(UNUSED void *arg)
{
	int r;

	tl_mutex_lock(&m);
	r = tl_cond_wait(&c, &m);
	say("%s%d%s", me(), r, tl_mutex_is_owned(&m) ? "" : "!");
	tl_mutex_unlock(&m);
	say("%d", tl_mutex_lock(&m));
	return 0;
}

static void test_shielded(void)
{
	struct tl_task *a;
	int i;

	for (i = 0; i < 2; i++) {
		a = mk("A", fn_wait_killed, NULL);
		tl_schedule();
		tl_mutex_lock(&m);
		if (i)
			tl_cond_notify(&c, 1);
		else
			tl_task_kill(a);
		tl_schedule();
		tap_str(said(), "", "6.2: %s, waits for the lock", i ? "notified" : "killed");
		tl_task_kill(a);
		tl_task_kill_later(a);
		tl_schedule();
		tap_str(said(), "", "6.2: a kill does not end that");
		tl_mutex_unlock(&m);
		tl_schedule();
		tap_str(said(), i ? "A0 -125" : "A-125 -125", "6.2: the lock is held on exit; the next call is told");
		tl_task_unref(a);
		tap_ok(all_free(), "cond.h: nothing is left in them");
	}
	all_gone("shielded");
}

static int fn_fails(UNUSED void *arg)
{
	return -EIO;
}

static int fn_unlock(UNUSED void *arg)
{
	tl_mutex_lock(&m);
	tl_cond_notify(&c, 1);
	tl_schedule();
	go("E", fn_fails, NULL);
	tl_schedule();
	tl_schedule();
	tl_mutex_unlock(&m);
	return 0;
}

/* An error that nobody caught comes to main while it takes its lock again. */
static void test_delivered(void)
{
	tl_mutex_lock(&m);
	go("U", fn_unlock, NULL);
	tap_is(tl_cond_wait(&c, &m), 0, "3.2: an error for one that takes its lock again");
	tap_ok(tl_mutex_is_owned(&m), "6.2: the lock is held");
	tl_mutex_unlock(&m);
	tap_is(tl_mutex_lock(&m), -EIO, "3.2: the next call reports it");
	tap_is(caught(), EIO, "3.2: (caught)");
	all_gone("delivered");
}

static int fn_keep(UNUSED void *arg)
{
	tl_mutex_lock(&m);
	tl_cond_notify(&c, 1);
	return 0;
}

static void test_not_recoverable(void)
{
	tl_mutex_lock(&m);
	go("K", fn_keep, NULL);
	tap_is(tl_cond_wait(&c, &m), -ENOTRECOVERABLE, "cond.h: whoever has the lock is dead: it can't be had again");
	tap_ok(!tl_mutex_is_owned(&m), "cond.h: and isn't held");
	m = (struct tl_mutex)TL_MUTEX_INIT;
	all_gone("not recoverable");
}

static void test_rlock(void)
{
	go("A", fn_rwait, NULL);
	go("B", fn_rwait, (void *)1L);
	a_few_turns();
	tap_str(said(), "B-110:3", "6.2: an rlock is held with all its levels after a timeout");
	tap_ok(!rl.tl__mutex.tl__word, "6.2: while one waits all of them are given up");
	tl_cond_notify_all(&c);
	tl_run();
	tap_str(said(), "A0:3", "6.2: and after a notification");
	tap_ok(all_free(), "cond.h: nothing is left in them");
	tl_rlock_lock(&rl);
	tap_is(tl_cond_rwait(&c, &rl), -EDEADLK, "6.2: nobody could notify");
	tap_is(tl_rlock_depth(&rl), 1, "6.2: it is held");
	tl_rlock_unlock(&rl);
	all_gone("rlock");
}

static void test_no_lock(void)
{
	go("A", fn_nl_wait, NULL);
	go("B", fn_nl_wait, (void *)1L);
	go("C", fn_nl_wait, NULL);
	a_few_turns();
	tap_str(said(), "B-110", "6.2: NLCondition: timed out");
	tap_is(tl_cond_notify(&c, 5), 2, "6.2: notify is limited to those that wait now");
	go("D", fn_nl_wait, NULL);
	tl_run();
	tap_str(said(), "A0 C0", "6.2: NLCondition");
	tap_is(tl_cond_notify_all(&c), 1, "6.2: one came later");
	tl_run();
	tap_str(said(), "D0", "6.2: NLCondition");
	tap_ok(all_free(), "cond.h: nothing is left in it");
	all_gone("no lock");
}

static int fn_notify(void *arg)
{
	long n = (long)arg;

	while (n-- > 0) {
		tl_cond_notify_all(&c);
		tl_schedule();
		tl_schedule();
	}
	ready = true;
	tl_cond_notify_all(&c);
	return 0;
}

static void test_wait_for(void)
{
	int asked = 0;

	ready = true;
	tl_mutex_lock(&m);
	tap_is(tl_cond_wait_for(&c, &m, is_ready, &asked), 0, "6.2: wait_for, true at once");
	tap_is(asked, 1, "6.2: it is tested first, without waiting");
	tap_is(tl_cond_wait_for_until(&c, &m, is_ready, NULL, 1), 0, "6.2: whatever the deadline");
	ready = false;
	asked = 0;
	go("N", fn_notify, (void *)2L);
	tap_is(tl_cond_wait_for(&c, &m, is_ready, &asked), 0, "6.2: true at last");
	tap_ok(asked == 4 && tl_mutex_is_owned(&m), "6.2: asked at each notification, with the lock (%d)", asked);
	ready = false;
	tap_is(tl_cond_wait_for_until(&c, &m, is_ready, NULL, tl_after(1000000)), -ETIMEDOUT, "6.2: never true");
	tap_ok(tl_mutex_is_owned(&m), "6.2: the lock is held");
	tl_mutex_unlock(&m);
	tl_rlock_lock(&rl);
	go("N", fn_notify, (void *)1L);
	tap_is(tl_cond_rwait_for(&c, &rl, is_ready, NULL), 0, "6.2: the same with an rlock");
	ready = false;
	tap_is(tl_cond_rwait_for_until(&c, &rl, is_ready, NULL, 1), -ETIMEDOUT, "6.2: and its deadline");
	tap_is(tl_rlock_depth(&rl), 1, "6.2: the lock is held");
	tl_rlock_unlock(&rl);
	go("N", fn_notify, (void *)1L);
	tap_is(tl_cond_wait_for(&c, NULL, is_ready, NULL), 0, "6.2: and without a lock");
	tap_ok(all_free(), "cond.h: nothing is left in them");
	all_gone("wait_for");
}

int main(void)
{
	tap_plan(78);
	test_basics();
	test_no_token();
	test_notified();
	test_shielded();
	test_delivered();
	test_not_recoverable();
	test_rlock();
	test_no_lock();
	test_wait_for();
	tap_is(tl_sched_end(), 0, "nothing is left");
	return tap_exit();
}
