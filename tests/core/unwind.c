/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A tasklet's stack can be unwound, and the unwinding ends: from inside, at any depth, with the unwinder that exceptions
 * and backtrace() use. Started with the argument "stop" this is also the program that gdb.sh looks at: one tasklet
 * parked in the middle of a few calls, another one stopped in the middle of others.
 */
#include <unwind.h>

#include <tasklet/tasklet.h>

#include "check.h"
#include "nested.h"
#include "core/switch.h"

#define FRAMES 64

static uintptr_t pc[FRAMES];
static int frames;

static _Unwind_Reason_Code frame(struct _Unwind_Context *context, UNUSED void *arg)
{
	if (frames == FRAMES)
		return _URC_END_OF_STACK;
	pc[frames++] = _Unwind_GetIP(context);
	return _URC_NO_REASON;
}

static bool within(uintptr_t address, void (*fn)(void), size_t size)
{
	return address - (uintptr_t)fn <= size;
}

/* The last frame is the entry in switch.S, the one before it tl__task_main(). */
static bool ends_well(void)
{
	int last = frames - 1;

	/* The unwinder may report an end as a frame without an address. */
	if (last > 0 && !pc[last])
		last--;
	return frames < FRAMES && last > 1 && within(pc[last], tl__switch_entry, 32) &&
	       within(pc[last - 1], (void (*)(void))tl__task_main, 4096);
}

static __attribute__((noinline, noclone)) int nest(int depth)
{
	int r = 0;

	if (depth) {
		r = nest(depth - 1);
	} else {
		frames = 0;
		_Unwind_Backtrace(frame, NULL);
	}
	__asm__ volatile("" : "+r"(r));	/* no tail call: each is a frame */
	return r;
}

static int fn_nest(void *arg)
{
	int r = nest((int)(long)arg);

	__asm__ volatile("" : "+r"(r));
	return r;
}

static int fn_nest_after_switch(void *arg)
{
	int r;

	tl_schedule();
	r = nest((int)(long)arg);
	__asm__ volatile("" : "+r"(r));
	return r;
}

static void test_depths(void)
{
	static const int depth[] = { 0, 1, 5, 40 };
	int flat;
	size_t i;

	go("A", fn_nest, NULL);
	tl_run();
	flat = frames;
	for (i = 0; i < ARRAY_LEN(depth); i++) {
		go("A", fn_nest, (void *)(long)depth[i]);
		tl_run();
		tap_ok(ends_well(), "9: unwinding ends at the tasklet's entry, %d calls deep", depth[i]);
		tap_is(frames - flat, depth[i], "9: and shows each of them");
		go("A", fn_nest_after_switch, (void *)(long)depth[i]);
		tl_run();
		tap_ok(ends_well(), "9: after a switch as well");
	}
	all_gone("unwinding");
}

/* --- for gdb ------------------------------------------------------------------------------------------------------ */

extern struct tl_task *parked_task;	/* gdb.sh knows this name */
struct tl_task *parked_task;
static volatile long stop_count;

static __attribute__((noinline, noclone, used)) void stop_here(void)
{
	stop_count++;
}

static __attribute__((noinline, noclone)) int stop_last(long n)
{
	stop_here();
	return (int)n;
}

NESTED(stop_three, stop_last)
NESTED(stop_two, stop_three)
NESTED(stop_one, stop_two)

static int fn_stopped(UNUSED void *arg)
{
	volatile int r = stop_one(10);

	return r > 0 ? 0 : r;
}

static __attribute__((noinline, noclone)) int park_last(long n)
{
	int r = tl_schedule_remove();

	return (int)n + r;
}

NESTED(park_three, park_last)
NESTED(park_two, park_three)
NESTED(park_one, park_two)

static int fn_parked(UNUSED void *arg)
{
	volatile int r = park_one(20);

	return r > 0 ? 0 : r;
}

static int stop(void)
{
	if (tl_spawn(&parked_task, fn_parked, NULL))
		return 1;
	tl_schedule();
	if (tl_spawn(NULL, fn_stopped, NULL))
		return 1;
	tl_schedule();
	tl_task_unref(parked_task);
	return tl_sched_end() || stop_count != 1;
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "stop"))
		return stop();
	tap_plan(14);
	test_depths();
	tap_is(stop(), 0, "9: what gdb.sh looks at comes to its end");
	return tap_exit();
}
