/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * time.h: deadlines are those of the monotonic clock, sleepers wake in the order of their deadlines and, where these are
 * equal, in the order in which they went to sleep; never early; a deadline that has passed lets the others run once.
 * Nothing here depends on how long anything takes.
 */
#include <time.h>

#include <tasklet/time.h>
#include <tasklet/tasklet.h>

#include "check.h"

#define HOUR (3600ull * 1000000000)

static void test_clock(void)
{
	struct timespec ts;
	uint64_t a = tl_now(), b, c;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	b = (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
	c = tl_now();
	tap_ok(a <= b && b <= c, "time.h: tl_now() is CLOCK_MONOTONIC in nanoseconds");
	a = tl_now();
	b = tl_after(1000);
	c = tl_now();
	tap_ok(a + 1000 <= b && b <= c + 1000, "time.h: tl_after() counts from now");
	tap_ok(tl_after(TL_FOREVER) == TL_FOREVER && tl_after(TL_FOREVER - 1) == TL_FOREVER,
	       "time.h: and saturates at for ever");
}

static uint64_t base, last_to_bed;

/* Sleeps until base + arg. */
static int fn_until(void *arg)
{
	uint64_t deadline = base + (uint64_t)(uintptr_t)arg;
	int r;

	last_to_bed = tl_now();
	r = tl_sleep_until(deadline);
	say("%s%d%s", name_of(tl_current()), r, tl_now() >= deadline ? "" : "early");
	return 0;
}

static void test_order(void)
{
	uint64_t margin;
	int r;

	/* Once more with more time, where this machine was not quick enough to have all asleep before the first is due. */
	for (margin = 2000000;; margin *= 4) {
		base = tl_after(margin);
		go("A", fn_until, (void *)3000000L);
		go("B", fn_until, (void *)1000000L);
		go("C", fn_until, (void *)2000000L);
		go("D", fn_until, (void *)1000000L);
		go("E", fn_until, (void *)3000000L);
		go("F", fn_until, (void *)1000000L);
		r = tl_run();
		if (last_to_bed < base || margin > 1000000000)
			break;
		said();
	}
	tap_is(r, 0, "time.h: run() waits for them");
	tap_str(said(), "B0 D0 F0 C0 A0 E0", "time.h: by deadline, and first come first served among equals");
	all_gone("order");
}

static int fn_past(void *arg)
{
	say("%s", name_of(tl_current()));
	say("%s%d", name_of(tl_current()), tl_sleep_until((uint64_t)(uintptr_t)arg));
	return 0;
}

static void test_past(void)
{
	int i;

	tap_is(tl_sleep(0), 0, "time.h: a deadline that has passed, alone: at once");
	go("A", fn_past, (void *)0L);
	go("B", fn_past, (void *)1L);
	go("C", fn_yield, (void *)1L);
	tl_schedule();
	tap_str(said(), "A B C1", "time.h: a deadline that has passed lets the others run once");
	/* The clock is looked at every few rounds only. */
	for (i = 0; i < 1000 && stats().timers; i++)
		tl_schedule();
	tl_schedule();
	tap_str(said(), "C. A0 B0", "time.h: and comes back soon, although others go on");
	all_gone("past");
}

static int fn_sleep_say(void *arg)
{
	say("%d", tl_sleep((uint64_t)(uintptr_t)arg));
	return 0;
}

static void test_thrown(void)
{
	struct tl_task *t = mk("T", fn_sleep_say, (void *)(uintptr_t)HOUR);

	tl_schedule();
	tap_ok(tl_task_is_blocked(t) && !tl_task_channel(t) && !tl_task_direction(t) && !tl_task_next(t) &&
	       !tl_task_prev(t) && stats().timers == 1, "1.7: a sleeper is blocked, but on no channel");
	tl_task_throw(t, mk_error(EIO, "wake up"));
	tap_str(said(), "-5", "1.5: what is thrown at it ends the sleep");
	tap_is((long long)stats().timers, 0, "9: with its timer");
	tl_task_unref(t);
	all_gone("thrown");
}

/* While main sleeps the others run, with or without anything to do. */
static int fn_busy(void *arg)
{
	long *turns = arg;

	while (tl_schedule() == 0)
		++*turns;
	return 0;
}

static void test_main(void)
{
	uint64_t deadline = tl_after(3000000);
	struct tl_task *t;
	long turns = 0;

	t = mk("B", fn_busy, &turns);
	tap_is(tl_sleep_until(deadline), 0, "time.h: main sleeps while another one is busy");
	tap_ok(tl_now() >= deadline && turns > 0, "time.h: which it does not hold up, and not for too short a time");
	tl_task_kill(t);
	tl_task_unref(t);
	deadline = tl_after(1000000);
	tap_is(tl_sleep_until(deadline), 0, "time.h: main sleeps alone");
	tap_ok(tl_now() >= deadline, "time.h: not for too short a time");
	all_gone("main");
}

/* Whoever switches by hand goes past the ring, but must not keep timers from being looked at. */
static struct tl_task *ping, *pong;
static bool awake;

static int fn_pingpong(void *arg)
{
	while (stats().timers && !tl_task_switch(arg ? pong : ping))
		;
	tl_task_insert(ping);
	tl_task_insert(pong);
	return 0;
}

static int fn_wake(UNUSED void *arg)
{
	tl_sleep(1000000);
	awake = true;
	return 0;
}

static int fn_run_main(UNUSED void *arg)
{
	while (stats().timers)
		tl_task_run(tl_main());
	return 0;
}

static int fn_chat(void *arg)
{
	struct tl_chan *c = arg;
	long v;

	while (tl_chan_recv(c, &v) == 0)
		;
	return 0;
}

static void test_no_starvation(void)
{
	struct tl_chan *c;
	struct tl_task *t;
	long v = 0;

	go("S", fn_wake, NULL);
	tl_schedule();
	ping = mk_paused("P", fn_pingpong, (void *)1L);
	pong = mk_paused("Q", fn_pingpong, NULL);
	tl_task_run(ping);
	tl_run();
	tl_task_unref(ping);
	tl_task_unref(pong);
	tap_ok(awake, "3.2: timers end while two tasklets switch to each other");

	awake = false;
	go("S", fn_wake, NULL);
	tl_schedule();
	t = mk("R", fn_run_main, NULL);
	while (stats().timers)
		tl_task_run(t);
	tl_run();
	tl_task_unref(t);
	tap_ok(awake, "3.2: or run each other");

	awake = false;
	tl_chan_new(&c, sizeof(long), 0);
	go("S", fn_wake, NULL);
	go("C", fn_chat, c);
	tl_schedule();
	while (stats().timers)
		tl_chan_send(c, &v);
	tl_chan_close(c);
	tl_run();
	tl_chan_unref(c);
	tap_ok(awake, "3.2: or pass values to each other");
	all_gone("starvation");
}

#define MANY 5000

static uint64_t woke[MANY];
static int nwoke;

static int fn_many(void *arg)
{
	uint64_t deadline = (uint64_t)(uintptr_t)arg;

	last_to_bed = tl_now();
	if (tl_sleep_until(deadline) == 0 && tl_now() >= deadline)
		woke[nwoke++] = deadline;
	return 0;
}

static void test_many(void)
{
	uint64_t rnd = tap_seed(), start = tl_after(100000000);
	int i, bad = 0, compared = 0;

	for (i = 0; i < MANY; i++)
		if (tl_spawn(NULL, fn_many, (void *)(uintptr_t)(start + tap_random(&rnd) % 5000000)))
			tap_bail("no tasklet");
	tl_run();
	/* On a machine so slow that some were due before all slept, these came in another order. */
	for (i = 1; i < nwoke; i++)
		if (woke[i - 1] > last_to_bed && woke[i] > last_to_bed) {
			bad += woke[i - 1] > woke[i];
			compared++;
		}
	tap_is(nwoke, MANY, "time.h: %d sleepers all wake, none early", MANY);
	tap_is(bad, 0, "time.h: and in order (%d neighbours compared)", compared);
	all_gone("many");
}

int main(void)
{
	tap_plan(27);
	test_clock();
	test_order();
	test_past();
	test_thrown();
	test_main();
	test_no_starvation();
	test_many();
	tap_is(tl_sched_end(), 0, "sched.h: nothing is left");
	return tap_exit();
}
