/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Semaphores within one thread (section 6.2): tokens, order, bounds, and that no token is lost with a tasklet.
 */
#include "../core/check.h"
#include "core/task.h"
#include "sync/wait.h"

static struct tl_sem sem;

static int fn_acquire(UNUSED void *arg)
{
	say("%s%d", me(), tl_sem_acquire(&sem));
	return 0;
}

static int fn_acquire_until(void *arg)
{
	say("%s%d", me(), tl_sem_acquire_until(&sem, (uint64_t)(uintptr_t)arg));
	return 0;
}

static bool untouched(uint32_t value)
{
	return sem.tl__word == (uint64_t)value << 32 && !sem.tl__queue;
}

static void test_basics(void)
{
	struct tl_sem a = TL_SEM_INIT(3), b = TL_SEM_BOUNDED_INIT(2);

	tap_is(tl_sem_value(&a), 3, "6.2: as many tokens as it was told");
	tap_ok(!tl_sem_acquire(&a) && !tl_sem_acquire_until(&a, 1) && !tl_sem_try_acquire(&a), "6.2: one each time");
	tap_is(tl_sem_try_acquire(&a), -EAGAIN, "6.2: non-blocking");
	tap_is(tl_sem_acquire_until(&a, 1), -ETIMEDOUT, "6.2: with a deadline");
	tap_is(tl_sem_acquire(&a), -EDEADLK, "6.2: nobody could ever release it");
	tap_is(tl_sem_release(&a, 5), 0, "6.2: release may bring more than there were");
	tap_is(tl_sem_value(&a), 5, "6.2: five now");
	tap_is(tl_sem_release(&a, 0), 0, "semaphore.h: none");
	tap_is(tl_sem_release(&a, TL_SEM_MAX - 4), -EOVERFLOW, "9: the count does not wrap");
	tap_is(tl_sem_value(&a), 5, "9: nothing has changed");
	tap_is(tl_sem_release(&b, 1), -EOVERFLOW, "6.2: bounded: a release beyond the initial value is refused");
	tap_is(tl_sem_value(&b), 2, "6.2: nothing has changed");
	tl_sem_acquire(&b);
	tap_is(tl_sem_release(&b, 2), -EOVERFLOW, "6.2: also of several");
	tap_is(tl_sem_release(&b, 1), 0, "6.2: within the bound");
	tap_is(tl_sem_init(&sem, 3, 2), -EINVAL, "semaphore.h: more than it may have");
	tap_ok(!tl_sem_init(&sem, 0, 2) && tl_sem_release(&sem, 3) == -EOVERFLOW && !tl_sem_release(&sem, 2),
	       "semaphore.h: a bound that isn't the first value");
}

static void test_order(void)
{
	tl_sem_init(&sem, 0, TL_SEM_MAX);
	go("A", fn_acquire, NULL);
	go("B", fn_acquire, NULL);
	go("C", fn_acquire, NULL);
	go("D", fn_acquire, NULL);
	tl_schedule();
	tl_sem_release(&sem, 2);
	tap_str(ring(), "M A B", "6.2: release signals as many as it has tokens, and goes on");
	tap_is(tl_sem_try_acquire(&sem), 0, "6.2: barging is allowed");
	tl_schedule();
	tap_str(said(), "A0", "6.2: one has lost");
	tl_sem_release(&sem, 3);
	tl_run();
	tap_str(said(), "B0 C0 D0", "semaphore.h: and has kept its place");
	tap_ok(untouched(0), "semaphore.h: nothing is left in it");
	all_gone("order");
}

static void test_end(void)
{
	struct tl_task *a, *b;
	int i;

	a = mk("A", fn_acquire, NULL);
	b = mk("B", fn_acquire, NULL);
	go("C", fn_acquire, NULL);
	go("T", fn_acquire_until, (void *)1L);
	for (i = 0; i < 8; i++)
		tl_schedule();
	tap_str(said(), "T-110", "6.2: timed out");
	tl_task_kill(a);
	tap_str(said(), "A-125", "6.2: killed");
	tl_sem_release(&sem, 1);
	tl_sem_try_acquire(&sem);
	tl_task_kill_later(b);
	tl_sem_release(&sem, 1);
	tl_sem_try_acquire(&sem);
	tl_schedule();
	tap_str(said(), "B-125", "6.2: woken, lost, killed");
	tl_sem_release(&sem, 1);
	tl_run();
	tap_str(said(), "C0", "9: (pymongo 471) the next token goes to who waits");
	tap_ok(untouched(0), "semaphore.h: nothing is left in it");
	tl_task_unref(a);
	tl_task_unref(b);

	/* The pump: of two that were woken for two tokens the first is killed; the third gets its token. */
	a = mk("A", fn_acquire, NULL);
	b = mk("B", fn_acquire_until, (void *)(uintptr_t)tl_after(UINT64_C(3600000000000)));
	go("C", fn_acquire, NULL);
	tl_schedule();
	tl_sem_release(&sem, 1);
	tl_sem_try_acquire(&sem);
	tl_task_kill_later(a);
	tl_schedule();
	tap_str(said(), "A-125", "6.2: woken, lost, killed, with others that wait");
	tl_sem_release(&sem, 2);
	tl_run();
	tap_str(said(), "B0 C0", "6.2: errors while waiting pass the wake-up on");
	tap_ok(untouched(0) && !stats().timers, "semaphore.h: nothing is left in it");
	tl_task_unref(a);
	tl_task_unref(b);
	all_gone("end");
}

static void test_last_try(void)
{
	go("A", fn_acquire_until, (void *)1L);
	tl_schedule();
	tl__poll(tl__sched_self);
	tap_str(ring(), "M A", "(its time is up, but it has not run)");
	tl_sem_release(&sem, 1);
	tl_run();
	tap_str(said(), "A0", "6.2: a wait whose time is up tries once more");
	tap_ok(untouched(0), "semaphore.h: nothing is left in it");
	all_gone("last try");
}

static bool has_it;

static int fn_starved(UNUSED void *arg)
{
	int r = tl_sem_acquire(&sem);

	has_it = true;
	say("%s%d", me(), r);
	return 0;
}

static int barge(void)
{
	int rounds = 0;

	while (!has_it && rounds < 1000) {
		tl_sem_release(&sem, 1);
		if (tl_sem_try_acquire(&sem))
			break;
		rounds++;
		tl_schedule();
	}
	return rounds;
}

static void test_starvation(void)
{
	struct tl_task *a, *b;
	int rounds;

	has_it = false;
	go("A", fn_starved, NULL);
	tl_schedule();
	rounds = barge();
	tap_ok(rounds >= TL__LOSSES && rounds <= TL__LOSSES + 2, "9: (#1744) barging ends after %d losses", rounds);
	tl_sem_release(&sem, 2);
	tap_is(tl_sem_try_acquire(&sem), -EAGAIN, "9: newcomers get none of three tokens");
	a = mk("B", fn_acquire, NULL);
	b = mk("C", fn_acquire, NULL);
	tl_task_run(a);
	tl_task_run(b);
	tap_str(said(), "", "9: nor do those that wait for it");
	tl_run();
	tap_str(said(), "A0 B0 C0", "9: until it has had its turn; then all of them do");
	tl_task_unref(a);
	tl_task_unref(b);
	tap_ok(untouched(0), "semaphore.h: nothing is left in it");

	has_it = false;
	a = mk("A", fn_starved, NULL);
	tl_schedule();
	while (!(sem.tl__word & 2)) {	/* KEEP_OFF */
		tl_sem_release(&sem, 1);
		tl_sem_try_acquire(&sem);
		tl_schedule();
	}
	go("B", fn_acquire, NULL);
	tl_schedule();
	tl_task_kill(a);
	tl_sem_release(&sem, 1);
	tl_run();
	tap_str(said(), "A-125 B0", "9: one that is killed keeps nobody off");
	tap_ok(untouched(0), "semaphore.h: nothing is left in it");
	tl_task_unref(a);
	all_gone("starvation");
}

int main(void)
{
	tap_plan(44);
	test_basics();
	test_order();
	test_end();
	test_last_try();
	test_starvation();
	tap_is(tl_sched_end(), 0, "nothing is left");
	return tap_exit();
}
