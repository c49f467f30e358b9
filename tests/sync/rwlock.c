/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The rwlock within one thread: who shares it with whom, in which order they come, and that a writer that gives up
 * lets the readers behind it in.
 */
#include "../core/check.h"
#include "core/task.h"
#include "sync/word.h"

static struct tl_rwlock l = TL_RWLOCK_INIT;

static bool is_free(void)
{
	static const struct tl_rwlock zero;

	return !memcmp(&l, &zero, sizeof(zero));
}

/* Has it as @r says, for so many turns. */
static int use(int r, long turns, int (*unlock)(struct tl_rwlock *lock))
{
	say("%s%d", me(), r);
	if (r)
		return 0;
	while (turns-- > 0)
		tl_schedule();
	say("%s.", me());
	unlock(&l);
	return 0;
}

static int fn_read(void *arg)
{
	return use(tl_rwlock_rdlock(&l), (long)arg, tl_rwlock_rdunlock);
}

static int fn_write(void *arg)
{
	return use(tl_rwlock_wrlock(&l), (long)arg, tl_rwlock_wrunlock);
}

static int fn_write_until(void *arg)
{
	say("%s%d", me(), tl_rwlock_wrlock_until(&l, (uint64_t)(uintptr_t)arg));
	return 0;
}

static int fn_try(UNUSED void *arg)
{
	int r = tl_rwlock_try_rdlock(&l), w = tl_rwlock_try_wrlock(&l);

	say("%d %d", r, w);
	if (!r)
		tl_rwlock_rdunlock(&l);
	if (!w)
		tl_rwlock_wrunlock(&l);
	return 0;
}

static void test_basics(void)
{
	tap_is(tl_rwlock_rdunlock(&l), -EPERM, "9: no reader is there to go (#1345)");
	tap_is(tl_rwlock_wrunlock(&l), -EPERM, "9: and no writer");
	tap_ok(is_free(), "rwlock.h: nothing has changed");
	tap_is(tl_rwlock_rdlock(&l), 0, "rwlock.h: a reader");
	tap_is(tl_rwlock_wrunlock(&l), -EPERM, "rwlock.h: is no writer");
	go("A", fn_try, NULL);
	tl_schedule();
	tap_str(said(), "0 -11", "rwlock.h: another reader may, a writer not");
	tap_is(tl_rwlock_rdunlock(&l), 0, "rwlock.h: the reader goes");
	tap_is(tl_rwlock_wrlock(&l), 0, "rwlock.h: a writer");
	tap_is(tl_rwlock_rdunlock(&l), -EPERM, "rwlock.h: is no reader");
	go("A", fn_try, NULL);
	tl_schedule();
	tap_str(said(), "-11 -11", "rwlock.h: nobody else may");
	tap_ok(tl_rwlock_wrlock(&l) == -EDEADLK && tl_rwlock_rdlock(&l) == -EDEADLK,
	       "rwlock.h: the writer can't have it twice, in no way");
	tap_is(tl_rwlock_wrunlock(&l), 0, "rwlock.h: the writer goes");
	tap_ok(is_free(), "rwlock.h: nothing is left in it");
	tap_is(tl_rwlock_rdlock_until(&l, 1), 0, "rwlock.h: deadlines");
	tl_rwlock_rdunlock(&l);
	tap_is(tl_rwlock_wrlock_until(&l, 1), 0, "rwlock.h: are no matter where it is free");
	tl_rwlock_wrunlock(&l);
	all_gone("basics");
}

static void test_order(void)
{
	tl_rwlock_wrlock(&l);
	go("R", fn_read, (void *)1L);
	go("S", fn_read, (void *)1L);
	go("W", fn_write, (void *)1L);
	go("T", fn_read, (void *)1L);
	tl_schedule();
	tl_rwlock_wrunlock(&l);
	tap_str(ring(), "M R S", "rwlock.h: the first is a reader: those behind it up to the writer are woken too");
	tl_run();
	tap_str(said(), "R0 S0 R. S. W0 W. T0 T.", "rwlock.h: the readers together, the writer alone, the next reader");
	tap_ok(is_free(), "rwlock.h: nothing is left in it");

	tl_rwlock_rdlock(&l);
	go("W", fn_write, NULL);
	tl_schedule();
	tap_is(tl_rwlock_try_rdlock(&l), -EAGAIN, "rwlock.h: a writer that waits keeps new readers away");
	go("R", fn_read, NULL);
	tl_schedule();
	tap_str(said(), "", "rwlock.h: they wait as well");
	tl_rwlock_rdunlock(&l);
	tl_run();
	tap_str(said(), "W0 W. R0 R.", "rwlock.h: first the writer");
	tap_ok(is_free(), "rwlock.h: nothing is left in it");
	all_gone("order");
}

static void test_end(void)
{
	struct tl_task *w, *v;

	tl_rwlock_rdlock(&l);
	w = mk("W", fn_write, NULL);
	go("R", fn_read, NULL);
	go("S", fn_read, NULL);
	tl_schedule();
	tl_task_kill(w);
	tl_run();
	tap_str(said(), "W-125 R0 R. S0 S.", "9: a writer that is killed lets the readers behind it in");
	tl_task_unref(w);

	go("W", fn_write_until, (void *)1L);
	go("R", fn_read, NULL);
	tl_run();
	tap_str(said(), "W-110 R0 R.", "9: one that is timed out too");

	w = mk("W", fn_write, NULL);
	v = mk("V", fn_write, NULL);
	go("R", fn_read, NULL);
	tl_schedule();
	tl_task_kill(w);
	tl_schedule();
	tap_str(said(), "W-125", "9: where there is another writer they stay");
	tl_rwlock_rdunlock(&l);
	tap_str(ring(), "M V", "9: until it has had its turn");
	tap_is(tl_rwlock_try_rdlock(&l), 0, "(a reader comes between)");
	tl_task_kill_later(v);
	tl_run();
	tap_str(said(), "V-125 R0 R.", "6.2: woken, lost, and killed: the wake-up is passed on");
	tl_rwlock_rdunlock(&l);
	tap_ok(is_free(), "rwlock.h: nothing is left in it");
	tl_task_unref(w);
	tl_task_unref(v);
	all_gone("end");
}

static bool has_it;

static int fn_starved(void *arg)
{
	int r = arg ? tl_rwlock_wrlock(&l) : tl_rwlock_rdlock(&l);

	has_it = true;
	say("%d", r);
	if (arg)
		tl_rwlock_wrunlock(&l);
	else
		tl_rwlock_rdunlock(&l);
	return 0;
}

static void test_starvation(void)
{
	int i, rounds;

	/* A writer against readers, a reader against writers. */
	for (i = 1; i >= 0; i--) {
		has_it = false;
		tl_rwlock_wrlock(&l);
		go("A", fn_starved, i ? &l : NULL);
		tl_schedule();
		for (rounds = 0; !has_it && rounds < 1000; rounds++) {
			if (!rounds || !i)
				tl_rwlock_wrunlock(&l);
			else
				tl_rwlock_rdunlock(&l);
			if (i ? tl_rwlock_try_rdlock(&l) : tl_rwlock_try_wrlock(&l))
				break;
			tl_schedule();
		}
		tap_ok(rounds >= TL__LOSSES && rounds <= TL__LOSSES + 2, "9: (#1744) %s, barging ends after %d losses",
		       i ? "writer" : "reader", rounds);
		tl_run();
		tap_str(said(), "0", "9: it gets its turn");
		tap_ok(is_free(), "rwlock.h: nothing is left in it");
	}
	all_gone("starvation");
}

int main(void)
{
	tap_plan(40);
	test_basics();
	test_order();
	test_end();
	test_starvation();
	tap_is(tl_sched_end(), 0, "nothing is left");
	return tap_exit();
}
