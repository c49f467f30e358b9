/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A thread that is flooded by messages: its own tasklets, timers and ticks have their turn all the same, and what it
 * was sent before counts when it looks whether anything can run. The flood is a message that sends itself again when
 * it is delivered, as a sender who is never slower than the one who takes it would.
 */
#include "core/remote.h"
#include "core/tick.h"

#include "threads.h"

#define FLOOD_MAX 3000000

static long delivered;
static bool stop;
static struct tl__message flood;

static void flood_delivered(struct tl_sched *s, struct tl__message *message)
{
	if (!stop && ++delivered < FLOOD_MAX)
		tl__inbox_push(s, message);
}

static void begin(void)
{
	stop = false;
	delivered = 0;
	flood.deliver = flood_delivered;
	tl__inbox_push(tl__sched(), &flood);
}

static int fn_stop(UNUSED void *arg)
{
	stop = true;
	return 0;
}

static int fn_sleep(UNUSED void *arg)
{
	stop = !tl_sleep(MS);
	return 0;
}

static int fn_tick(UNUSED void *arg)
{
	tl__tick_request(tl__sched());
	tl_tick();
	stop = true;
	return 0;
}

static void test_turns(void)
{
	static const struct { tl_task_fn *fn; const char *who; } s[] = {
		{ fn_stop, "a tasklet" }, { fn_sleep, "a timer" }, { fn_tick, "a tasklet that ticks" },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(s); i++) {
		begin();
		tl_spawn(NULL, s[i].fn, NULL);
		while (!stop)
			tl_schedule();
		tap_ok(delivered < FLOOD_MAX, "3.2: %s has its turn in a flood (%ld messages)", s[i].who, delivered);
		tl_schedule();
	}
}

static void test_idle(void)
{
	begin();
	tl_sleep(MS);
	stop = true;
	tap_ok(delivered < FLOOD_MAX, "3.2: an idle thread's timer too (%ld messages)", delivered);
	tl_schedule();
}

/* --- what was sent before ----------------------------------------------------------------------------------------- */

#define AHEAD 5000

static struct tl_chan *c;
static struct tl__message ahead[AHEAD];
static long nahead;

static void nothing_delivered(UNUSED struct tl_sched *s, UNUSED struct tl__message *message)
{
	delivered++;
}

static int fn_recv(void *arg)
{
	long v;

	*(bool *)arg = !tl_chan_recv(c, &v) && v == 7;
	return 0;
}

static void *sends_last(void *arg)
{
	long i, v = 7;

	for (i = 0; i < nahead; i++) {
		ahead[i].deliver = nothing_delivered;
		tl__inbox_push(arg, &ahead[i]);
	}
	tl_chan_send(c, &v);
	return NULL;
}

/* That many, and behind them the wake-up of a tasklet that receives. */
static void send_ahead(long n, bool *got)
{
	c = new_chan(sizeof(long), 0);
	delivered = 0;
	*got = false;
	nahead = n;
	tl_spawn(NULL, fn_recv, got);
	tl_schedule();
	in_thread(sends_last, tl__sched());
}

static void test_run(void)
{
	bool got;

	send_ahead(AHEAD, &got);
	tap_is(tl_run(), TL_RUN_FINISHED, "3.3: run() is not over before all that had been sent is taken in");
	tap_ok(got && delivered == AHEAD, "3.3: the last of %d messages too", AHEAD + 1);
	tl_chan_unref(c);
}

/* One message is left over, wherever a look ends. */
static void test_rest(void)
{
	static const long counts[] = { 63, 64, 255, 256, 1023, 1024, 4095, 4096 };
	size_t i, right = 0;
	int turns;
	bool got;

	for (i = 0; i < ARRAY_LEN(counts); i++) {
		send_ahead(counts[i], &got);
		for (turns = 0; turns < 10000 && !got; turns++)
			tl_schedule();
		right += got && delivered == counts[i];
		tl_run();
		tl_chan_unref(c);
	}
	tap_is(right, ARRAY_LEN(counts), "3.2: nor is one left behind by a thread that never sleeps");
}

int main(void)
{
	tap_plan(8);
	test_turns();
	test_idle();
	test_run();
	test_rest();
	tap_is(tl_sched_end(), 0, "sched.h: nothing is left");
	return tap_exit();
}
