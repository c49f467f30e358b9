/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Floating point control words (sched.h: tl_fpenv_private): they belong to the thread, and a tasklet that asks for its
 * own has them whenever it runs and nobody else ever does, whether it yields, blocks, is killed, exits or just ends.
 * Looks at the rounding mode, and on x86-64 at the x87 control word and mxcsr themselves.
 */
#include <fenv.h>
#include <pthread.h>

#include <tasklet/tasklet.h>

#include "check.h"

static struct tl_chan *chan;

/* The rounding mode as the processor has it, in all units that have one: "up", "near" or what is wrong. */
static const char *mode(void)
{
	volatile double one = 1, three = 3;
	double q = one / three;	/* 0x3fd5555555555555 to nearest, ...56 upwards */
	uint64_t bits;
	int sse;

	memcpy(&bits, &q, sizeof(bits));
	sse = bits == 0x3fd5555555555556 ? FE_UPWARD : FE_TONEAREST;
	if (sse != fegetround())
		return "SSE and x87 differ";
	return sse == FE_UPWARD ? "up" : "near";
}

#if defined(__x86_64__)
/* x87 precision and mxcsr's flush to zero: not part of fegetround(). */
static void set_more(void)
{
	uint16_t cw;
	uint32_t mxcsr;

	__asm__ volatile("fnstcw %0" : "=m"(cw));
	cw &= 0xfcff;	/* single precision */
	__asm__ volatile("fldcw %0" : : "m"(cw));
	__asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
	mxcsr |= 0x8000;
	__asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
}

static int more(void)
{
	uint16_t cw;
	uint32_t mxcsr;

	__asm__ volatile("fnstcw %0\n\tstmxcsr %1" : "=m"(cw), "=m"(mxcsr));
	return ((cw & 0x300) == 0) + 2 * ((mxcsr & 0x8000) != 0);
}
#else
static void set_more(void) {}
static int more(void) { return 0; }
#endif

#if defined(__x86_64__)
#define MORE 3
#else
#define MORE 0
#endif

static void look(const char *who)
{
	say("%s:%s%s", who, mode(), more() == (mode()[0] == 'u' ? MORE : 0) ? "" : "!");
}

static void own_mode(void)
{
	tl_fpenv_private(true);
	fesetround(FE_UPWARD);
	set_more();
}

static void defer_look(UNUSED void *arg)
{
	look("d");
}

enum way { YIELD, BLOCK, PAUSE, EXIT, THROWN };

static int fn_own(void *arg)
{
	long v = 0;
	int r = 0;

	own_mode();
	tl_defer(defer_look, NULL);
	look("T");
	switch ((long)arg) {
	case YIELD:
		tl_schedule();
		look("T");
		tl_schedule();
		break;
	case BLOCK:
		tl_chan_recv(chan, &v);
		break;
	case PAUSE:
		tl_schedule_remove();
		break;
	case EXIT:
		tl_exit(0);
	case THROWN:
		r = tl_chan_recv(chan, &v);
		break;
	}
	look("T");
	return r;
}

static int fn_look(UNUSED void *arg)
{
	look("A");
	return 0;
}

static void test_ways(void)
{
	static const char *const name[] = { "yields", "blocks", "pauses", "exits", "is killed" };
	static const char *const want[] = {
		"T:up A:near M:near T:up M:near T:up d:up M:near",
		"T:up A:near M:near T:up d:up M:near",
		"T:up A:near M:near T:up d:up M:near",
		"T:up d:up A:near M:near M:near",
		"T:up A:near M:near T:up d:up M:near",
	};
	struct tl_task *t;
	int i;

	for (i = YIELD; i <= THROWN; i++) {
		t = mk("T", fn_own, (void *)(long)i);
		go("A", fn_look, NULL);
		tl_schedule();
		look("M");
		if (i == YIELD) {
			tl_schedule();
			look("M");
		}
		if (i == BLOCK)
			tl_chan_send(chan, &(long){ 1 });
		if (i == THROWN)
			tl_task_kill(t);
		if (tl_task_is_paused(t))
			tl_task_run(t);
		tl_schedule();
		look("M");
		tap_str(said(), want[i], "sched.h: private control words of one that %s", name[i]);
		tl_task_unref(t);
	}
	all_gone("ways");
}

static int fn_shared(UNUSED void *arg)
{
	fesetround(FE_UPWARD);
	set_more();
	return 0;
}

static void restore(void)
{
	fesetenv(FE_DFL_ENV);
}

static int fn_setting(UNUSED void *arg)
{
	say("%d", tl_fpenv_private(true));
	say("%d", tl_fpenv_private(true));
	own_mode();
	look("T");
	say("%d", tl_fpenv_private(false));
	look("T");
	say("%d", tl_fpenv_private(false));
	return 0;
}

static void test_shared(void)
{
	go("A", fn_shared, NULL);
	tl_schedule();
	look("M");
	tap_str(said(), "M:up", "sched.h: whoever does not ask changes the thread's");
	go("B", fn_look, NULL);
	tl_schedule();
	tap_str(said(), "A:up", "sched.h: which a new tasklet has as well");
	restore();
	look("M");
	tap_str(said(), "M:near", "sched.h: (restored)");
	go("T", fn_setting, NULL);
	tl_schedule();
	look("M");
	tap_str(said(), "0 1 T:up 1 T:near 0 M:near",
		"sched.h: the previous setting is returned; off restores the thread's");
	all_gone("shared");
}

/* Two private ones and a thread that changes its own meanwhile. */
static int fn_back(UNUSED void *arg)
{
	tl_fpenv_private(true);
	tl_schedule();
	look("N");
	return 0;
}

static void test_two(void)
{
	go("T", fn_own, (void *)(long)YIELD);
	go("N", fn_back, NULL);
	tl_schedule();
	look("M");
	fesetround(FE_UPWARD);
	set_more();
	tl_schedule();
	look("M");
	restore();
	tl_schedule();
	look("M");
	tap_str(said(), "T:up M:near T:up N:near M:up T:up d:up M:near",
		"sched.h: each of two private ones has its own, the thread its own");
	all_gone("two");
}

/* Main can have its own too; then the others have what the thread had before. */
static void test_main(void)
{
	own_mode();
	look("M");
	go("A", fn_look, NULL);
	tl_schedule();
	look("M");
	tl_sleep(1000);
	look("M");
	tl_fpenv_private(false);
	look("M");
	tap_str(said(), "M:up A:near M:up M:up M:near", "sched.h: main's own");
	all_gone("main");
}

/* In a thread that starts with words of its own, these are the thread's. */
static void *thread_up(UNUSED void *arg)
{
	fesetround(FE_UPWARD);
	set_more();
	go("A", fn_look, NULL);
	go("T", fn_setting, NULL);
	tl_schedule();
	look("M");
	return NULL;
}

static void test_thread(void)
{
	pthread_t t;

	if (pthread_create(&t, NULL, thread_up, NULL))
		tap_bail("no thread");
	pthread_join(t, NULL);
	tap_str(said(), "A:up 0 1 T:up 1 T:up 0 M:up", "sched.h: the thread's words are those of its first switch");
	look("M");
	tap_str(said(), "M:near", "sched.h: and no other thread's");
}

/* A random mix: whoever is private is never wrong, and nobody else either. */
static long bad, turns;

static int fn_mix(void *arg)
{
	bool own = (long)arg & 1;
	int i;

	if (own)
		own_mode();
	for (i = 0; i < 200; i++) {
		bad += (mode()[0] == 'u') != own || more() != (own ? MORE : 0);
		turns++;
		if (i % 3)
			tl_schedule();
		else
			tl_sleep_until(0);
	}
	return 0;
}

static void test_mix(void)
{
	long i;

	for (i = 0; i < 20; i++)
		go("X", fn_mix, (void *)i);
	tl_run();
	tap_ok(!bad && turns == 4000, "sched.h: twenty tasklets, half of them private, 200 switches each");
	all_gone("mix");
}

/* Valgrind, for one, rounds to nearest whatever it is told. */
static bool processor_obeys(void)
{
	bool up;

	fesetround(FE_UPWARD);
	set_more();
	up = !strcmp(mode(), "up") && more() == MORE;
	restore();
	return up && !strcmp(mode(), "near") && more() == 0;
}

int main(void)
{
	if (!processor_obeys())
		tap_skip_all("this processor does not round as it is told");
	tap_plan(20);
	if (tl_chan_new(&chan, sizeof(long), 0))
		tap_bail("no channel");
	test_ways();
	test_shared();
	test_two();
	test_main();
	test_thread();
	test_mix();
	tl_chan_unref(chan);
	tap_is(tl_sched_end(), 0, "sched.h: nothing is left");
	return tap_exit();
}
