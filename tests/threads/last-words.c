/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What is still to be done when a scheduler ends (section 1.6, 3.6): clean-up that waits for a time or for another thread
 * is waited for; what was thrown from elsewhere at tasklets that have not begun, and at the main one, is freed; and
 * destructors that let others run, and give memory back, are in nobody's way.
 */
#include "threads.h"

#include "../core/check.h"

static struct tl_chan *never;
static struct tl_mutex mutex;
static int done, freed;

static int fn_wait(UNUSED void *arg)
{
	long v;

	return tl_chan_recv(never, &v);
}

/* --- clean-up that waits ----------------------------------------------------------------------------------------------- */

static void clean_sleeping(UNUSED void *arg)
{
	if (!tl_sleep(20 * MS))
		done++;
}

static void clean_locking(UNUSED void *arg)
{
	if (tl_mutex_lock(&mutex))
		return;
	done++;
	tl_mutex_unlock(&mutex);
}

static int fn_shielded(UNUSED void *arg)
{
	tl_shield(true);
	if (!tl_sleep(20 * MS))
		done++;
	tl_shield(false);
	return 0;
}

static int fn_cleans(void *arg)
{
	void (*clean)(void *) = *(void (**)(void *))arg;

	if (tl_defer(clean, NULL))
		return -ENOMEM;
	return fn_wait(NULL);
}

static void *holds(UNUSED void *arg)
{
	tl_mutex_lock(&mutex);
	reach(1);
	await_step(2);
	nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
	tl_mutex_unlock(&mutex);
	return NULL;
}

static void *ends_with(void *arg)
{
	tl_task_unref(spawn(fn_cleans, arg));
	tl_schedule();
	return NULL;
}

static void test_clean_up(void)
{
	void (*clean)(void *) = clean_sleeping;
	pthread_t t;

	done = 0;
	go("A", fn_cleans, &clean);
	tl_schedule();
	tap_ok(tl_sched_end() == 0 && done == 1, "1.6: the end waits for a deferred handler that sleeps");
	go("A", fn_shielded, NULL);
	tl_schedule();
	tap_ok(tl_sched_end() == 0 && done == 2, "1.6: and for one that sleeps behind a shield");

	clean = clean_locking;
	go("A", fn_cleans, &clean);
	tl_schedule();
	t = start(holds, NULL);
	await_step(1);
	reach(2);
	tap_ok(tl_sched_end() == 0 && done == 3, "1.6: and for one that waits for a lock that another thread has");
	pthread_join(t, NULL);

	clean = clean_sleeping;
	in_thread(ends_with, &clean);
	tap_is(done, 4, "1.6: so does the end of a thread");
}

static int fn_deaf(UNUSED void *arg)
{
	tl_shield(true);
	fn_wait(NULL);
	done++;
	return 0;
}

static void test_alone(void)
{
	uint64_t began = tl_now();
	struct tl_task *t = mk("A", fn_deaf, NULL);

	done = 0;
	tl_schedule();
	tap_is(tl_sched_end(), 1, "1.6: one that can't be woken by anybody is not waited for");
	/* Generously: the ten seconds of those that may. */
	tap_ok(tl_now() - began < 5000 * MS, "... but told of at once");
	tl_chan_close(never);
	tl_schedule();
	tap_ok(done == 1 && !tl_task_is_alive(t), "... and goes on where it was");
	tl_task_unref(t);
	tl_chan_unref(never);
	never = new_chan(sizeof(long), 0);
}

/* --- errors that come late ----------------------------------------------------------------------------------------------- */

static struct tl_task *target;

static void *throws(UNUSED void *arg)
{
	int i;

	for (i = 1; i <= 2; i++) {
		if (tl_task_throw(target, mk_counted(EIO, "late", &freed)))
			tap_bail("not thrown");
		reach(2 * i - 1);
		await_step(2 * i);
	}
	return NULL;
}

static void test_unstarted(bool by_end)
{
	pthread_t t;

	freed = 0;
	reach(0);
	target = mk("A", fn_nop, NULL);
	t = start(throws, NULL);
	await_step(1);
	tl_tick();
	reach(2);
	await_step(3);
	tl_tick();
	reach(4);
	pthread_join(t, NULL);
	if (!by_end)
		tap_is(tl_task_kill(target), 0, "3.6: one that two errors were thrown at, and that has not begun, is killed");
	tl_task_unref(target);
	tap_is(tl_sched_end(), 0, "... its scheduler ends");
	tap_is(freed, 2, "... and both errors are freed");
}

static void *kills_and_throws(UNUSED void *arg)
{
	if (tl_task_kill(target) || tl_task_throw(target, mk_counted(EIO, "late", &freed)))
		tap_bail("not thrown");
	return NULL;
}

static void test_main_hit(void)
{
	freed = 0;
	target = tl_task_ref(tl_main());
	go("A", fn_nop, NULL);
	tl_schedule();
	in_thread(kills_and_throws, NULL);
	tap_is(tl_sched_end(), 0, "3.6: a kill and an error for a main tasklet come when its scheduler ends");
	tap_is(freed, 1, "... the error is freed");
	tl_task_unref(target);
}

static void let_run_and_trim(void *payload)
{
	++*(int *)payload;
	tl_schedule();
	tl_trim();
}

static void test_destructors(void)
{
	struct tl_error *e;
	int i;

	freed = 0;
	for (i = 0; i < 3000; i++) {
		struct tl_task *t = mk("A", fn_nop, NULL);

		if (i % 1000 == 0) {
			e = mk_error(EIO, "switches");
			tl_error_set_payload(e, &freed, let_run_and_trim);
			if (tl_task_throw_later(t, e))
				tap_bail("not thrown");
		}
		tl_task_unref(t);
	}
	tap_is(tl_sched_end(), 0, "6.5: destructors let others run and give stacks back while all are killed");
	tap_is(freed, 3, "... each ran once");
}

int main(void)
{
	tap_plan(17);
	never = new_chan(sizeof(long), 0);
	test_alone();
	test_clean_up();
	test_unstarted(false);
	test_unstarted(true);
	test_main_hit();
	test_destructors();
	tl_chan_unref(never);
	tap_is(tl_sched_end(), 0, "nothing is left");
	return tap_exit();
}
