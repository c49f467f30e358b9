/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Tasklets that end by forced unwinding (TL_UNWIND, task.h) and are killed where they wait: what they had is given up by
 * their clean-up, and a wake-up that had come to them is passed on before they are unwound.
 */
#include "../core/check.h"
#include "core/task.h"
#include "sync/word.h"

static struct tl_mutex m = TL_MUTEX_INIT;
static struct tl_rlock rl = TL_RLOCK_INIT;
static struct tl_sem sem = TL_SEM_INIT(0);
static struct tl_cond c = TL_COND_INIT;
static struct tl_event e = TL_EVENT_INIT;
static struct tl_waitgroup g = TL_WAITGROUP_INIT;
static struct tl_barrier b = TL_BARRIER_INIT(2);

static void cleaned(UNUSED void *arg)
{
	say("%s.", name_of(tl_current()));
}

static void unlock(UNUSED void *arg)
{
	say("%d", tl_mutex_unlock(&m));
}

static void runlock(UNUSED void *arg)
{
	say("%u", tl_rlock_depth(&rl));
	while (!tl_rlock_unlock(&rl))
		;
}

static int fn_mutex(UNUSED void *arg)
{
	tl_defer(cleaned, NULL);
	say("%d", tl_mutex_lock(&m));
	tl_mutex_unlock(&m);
	return 0;
}

static int fn_sem(UNUSED void *arg)
{
	tl_defer(cleaned, NULL);
	say("%d", tl_sem_acquire(&sem));
	return 0;
}

static int fn_cond(UNUSED void *arg)
{
	tl_mutex_lock(&m);
	tl_defer(unlock, NULL);
	say("%d", tl_cond_wait(&c, &m));
	return 0;
}

static int fn_rcond(UNUSED void *arg)
{
	tl_rlock_lock(&rl);
	tl_rlock_lock(&rl);
	tl_defer(runlock, NULL);
	say("%d", tl_cond_rwait(&c, &rl));
	return 0;
}

static int fn_event(UNUSED void *arg)
{
	tl_defer(cleaned, NULL);
	say("%d", tl_event_wait(&e));
	return 0;
}

static int fn_group(UNUSED void *arg)
{
	tl_defer(cleaned, NULL);
	say("%d", tl_waitgroup_wait(&g));
	return 0;
}

static int fn_barrier(UNUSED void *arg)
{
	tl_defer(cleaned, NULL);
	say("%d", tl_barrier_wait(&b));
	return 0;
}

/* Has had its first turn. */
static struct tl_task *unwinding(const char *name, tl_task_fn *fn)
{
	struct tl_task *t = mk_flags(name, TL_UNWIND, fn, NULL);

	tl_schedule();
	return t;
}

/* Killed where it waits. */
static void test_killed(tl_task_fn *fn, const char *what, const char *want)
{
	struct tl_task *t = unwinding("A", fn);

	tl_task_kill(t);
	tap_str(said(), want, "%s: a kill unwinds it", what);
	tap_ok(!tl_task_is_alive(t), "%s: it is dead", what);
	tl_task_unref(t);
}

/* Woken, has lost, killed. */
static void test_woken(void)
{
	struct tl_task *t;

	tl_mutex_lock(&m);
	t = unwinding("A", fn_mutex);
	go("B", fn_mutex, NULL);
	tl_schedule();
	tl_mutex_unlock(&m);
	tl_mutex_try_lock(&m);
	tl_task_kill_later(t);
	tl_schedule();
	tap_str(said(), "A.", "6.2: woken, lost, killed, unwound");
	tl_mutex_unlock(&m);
	tl_run();
	tap_str(said(), "0 B.", "6.2: the wake-up is passed on");
	tl_task_unref(t);

	t = unwinding("A", fn_sem);
	go("B", fn_sem, NULL);
	tl_schedule();
	tl_sem_release(&sem, 1);
	tl_sem_try_acquire(&sem);
	tl_task_kill_later(t);
	tl_schedule();
	tap_str(said(), "A.", "6.2: woken, lost, killed, unwound");
	tl_sem_release(&sem, 1);
	tl_run();
	tap_str(said(), "0 B.", "6.2: a semaphore's too");
	tl_task_unref(t);
	tap_ok(!m.tl__word && !sem.tl__word, "6.2: nothing is left in them");
}

int main(void)
{
	struct tl_task *t = unwinding("A", fn_nop);

	tl_task_unref(t);
	tap_plan(22);
	tl_mutex_lock(&m);
	test_killed(fn_mutex, "mutex.h", "A.");
	tl_mutex_unlock(&m);
	test_killed(fn_sem, "semaphore.h", "A.");
	test_killed(fn_cond, "cond.h, with its mutex", "0");
	test_killed(fn_rcond, "cond.h, with all levels of its rlock", "2");
	test_killed(fn_event, "event.h", "A.");
	tl_waitgroup_add(&g, 1);
	test_killed(fn_group, "waitgroup.h", "A.");
	test_killed(fn_barrier, "barrier.h", "A.");
	tap_ok(!m.tl__word && !m.tl__queue && !rl.tl__mutex.tl__word && !c.tl__queue && !c.tl__waiters && !e.tl__queue &&
	       !g.tl__queue && !b.tl__queue && !b.tl__count, "6.2: nothing is left in them");
	test_woken();
	all_gone("unwind");
	tap_is(tl_sched_end(), 0, "nothing is left");
	return tap_exit();
}
