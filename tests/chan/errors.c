/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Errors in place of values (section 2, channel.h, error.h): whose they are at each moment, that each is destroyed once,
 * when, and on whose stack. And the story of section 0: a destructor that itself switches, sends, receives and allocates,
 * at any place where the library runs one, never disturbs a value or a result that is on its way to a tasklet.
 */
#include <tasklet/tasklet.h>

#include "../core/check.h"

static struct tl_chan *chan, *side;
static int freed;

static void new_chan(size_t size)
{
	if (tl_chan_new(&chan, size, 0))
		tap_bail("no channel");
}

/* --- ownership ---------------------------------------------------------------------------------------------------- */

static int fn_recv_error(UNUSED void *arg)
{
	struct tl_error *e;
	long v = 5;
	int r = tl_chan_recv(chan, &v);

	e = tl_catch();
	say("%s%d:%ld/%s/%d", me(), r, v, e ? tl_error_message(e) : "-", freed);
	tl_error_free(e);
	return 0;
}

static int fn_send_error(UNUSED void *arg)
{
	struct tl_error *e = mk_counted(ENOSPC, "sent", &freed);
	int r = tl_chan_send_error(chan, e);

	say("%s%d/%d", me(), r, freed);
	if (r)
		tl_error_free(e);
	return 0;
}

static int fn_send_error_until(UNUSED void *arg)
{
	struct tl_error *e = mk_counted(ENOSPC, "late", &freed);
	int r = tl_chan_send_error_until(chan, e, 1);

	say("%s%d/%d", me(), r, freed);
	tl_error_free(e);
	return 0;
}

static void test_ownership(void)
{
	char want[64];
	struct tl_error *e;
	struct tl_task *t;
	long v = 6;

	new_chan(sizeof(long));
	tap_is(tl_chan_send_error(chan, NULL), -EINVAL, "channel.h: sending no error is refused");

	/* To a receiver that waits. */
	freed = 0;
	go("R", fn_recv_error, NULL);
	tl_schedule();
	e = mk_counted(EDOM, "hello", &freed);
	tap_is(tl_chan_send_error(chan, e), 0, "2: an error goes to a receiver that waits");
	tap_str(said(), "R-33:5/hello/0", "2: whose call returns its code; catch hands over the very error");
	tap_is(freed, 1, "error.h: freed by the receiver");

	/* From a sender that waits. */
	freed = 0;
	t = mk("S", fn_send_error, NULL);
	tl_schedule();
	tap_is(tl_chan_recv(chan, &v), -ENOSPC, "2: an error from a sender that waits");
	tap_is(v, 6, "channel.h: the value is not written");
	snprintf(want, sizeof(want), "tasklet %llu (S)", (unsigned long long)tl_task_id(t));
	e = tl_catch();
	tap_str(tl_error_origin(e), want, "error.h: it says who sent it");
	tl_error_free(e);
	tl_schedule();
	tap_str(said(), "S0/1", "2: the sender has nothing to do with it any more");
	tl_task_unref(t);

	/* Failures leave it with the sender. */
	e = mk_counted(EIO, "mine", &freed);
	freed = 0;
	tap_is(tl_chan_try_send_error(chan, e), -EAGAIN, "channel.h: nobody there, it stays the caller's");
	tap_is(tl_chan_send_error_until(chan, e, 1), -ETIMEDOUT, "channel.h: after a time-out as well");
	tap_is(tl_chan_send_error(chan, e), -EDEADLK, "channel.h: after a deadlock");
	tl_chan_close(chan);
	tap_is(tl_chan_send_error(chan, e), -EPIPE, "channel.h: on a closed channel");
	tl_chan_open(chan);
	tl_switch_trap(1);
	tap_is(tl_chan_send_error(chan, e), -EPERM, "channel.h: with a trap");
	tl_switch_trap(-1);
	tl_task_kill(tl_current());
	tap_is(tl_chan_send_error(chan, e), -ECANCELED, "channel.h: or killed");
	caught();
	tap_is(freed, 0, "channel.h: it was never freed");
	tap_ok(!tl_chan_balance(chan) && !tl_chan_queue(chan), "channel.h: nothing waits");
	tap_str(tl_error_message(e), "mine", "channel.h: it is as good as new");
	tl_error_free(e);

	freed = 0;
	t = mk("S", fn_send_error, NULL);
	tl_schedule();
	tl_task_kill(t);
	tap_str(said(), "S-125/0", "9: a sender that is killed has its error still");
	tap_is(freed, 1, "9: and frees it");
	tl_task_unref(t);
	freed = 0;
	go("S", fn_send_error_until, NULL);
	tl_run();
	tap_str(said(), "S-110/0", "9: so has one whose time is up");
	tap_is(freed, 1, "9: (freed)");

	/* After a failed error, a plain send of the same tasklet is a plain send. */
	tap_is(tl_chan_balance(chan), 0, "2: nothing waits");
	tl_chan_unref(chan);
	all_gone("ownership");
}

static int fn_error_then_value(UNUSED void *arg)
{
	struct tl_error *e = mk_error(EIO, "not this");
	long v = 8;

	say("%d", tl_chan_send_error_until(chan, e, 1));
	say("%d", tl_chan_send(chan, &v));
	say("%d", tl_chan_send_error(chan, e));
	say("%d", tl_chan_send(chan, &v));
	return 0;
}

static void test_no_mixing(void)
{
	long v = 0;
	int i;

	new_chan(sizeof(long));
	go("S", fn_error_then_value, NULL);
	/* Its time-out passes while main waits for it. */
	for (i = 0; i < 1000 && tl_chan_balance(chan) < 1; i++)
		tl_schedule();
	while (stats().timers)
		tl_schedule();
	tap_ok(tl_chan_recv(chan, &v) == 0 && v == 8, "2: a value after an error that was not sent is a value");
	v = 0;
	tap_is(tl_chan_recv(chan, &v), -EIO, "2: the error is an error");
	caught();
	tap_ok(tl_chan_recv(chan, &v) == 0 && v == 8, "2: and the next value a value");
	tl_run();
	tap_str(said(), "-110 0 0 0", "2: each send has its own result");
	tl_chan_unref(chan);
	all_gone("no mixing");
}

/* --- when, and on whose stack ------------------------------------------------------------------------------------- */

static void destroy_says(void *payload)
{
	say("%s/%s", (const char *)payload, me());
}

static struct tl_error *mk_saying(const char *word)
{
	struct tl_error *e = mk_error(EIO, word);

	tl_error_set_payload(e, (void *)word, destroy_says);
	return e;
}

static int fn_collect(UNUSED void *arg)
{
	long v;
	int i;

	for (i = 0; i < 3; i++) {
		say("recv");
		tl_chan_recv(chan, &v);
	}
	say("end");
	return 0;
}

static void test_when(void)
{
	struct tl_error *e;

	new_chan(sizeof(long));
	/* Each error replaces the one before, which nobody caught. */
	go("R", fn_collect, NULL);
	tl_schedule();
	tl_chan_send_error(chan, mk_saying("1"));
	say("M");
	tl_chan_send_error(chan, mk_saying("2"));
	say("M");
	tl_chan_send_error(chan, mk_saying("3"));
	tap_str(said(), "recv recv M recv 1/R M end 3/R 2/R",
		"0: an error that is hidden by a younger one is destroyed by its own tasklet, with its next call or its end");

	/* With a sender that waits it is the receiver's call itself. */
	tl_chan_send_error_until(chan, e = mk_saying("x"), 1);
	tl_error_free(e);
	tap_str(said(), "x/M", "error.h: freeing destroys at once");

	/* A payload can be replaced. */
	e = mk_saying("first");
	tl_error_set_payload(e, "second", destroy_says);
	tap_str(said(), "first/M", "error.h: a payload that is replaced is destroyed");
	tl_error_set_payload(e, NULL, NULL);
	tap_str(said(), "second/M", "error.h: or taken away");
	tap_ok(!tl_error_payload(e), "error.h: there is none then");
	tl_error_free(e);
	tl_error_free(NULL);
	tap_str(said(), "", "error.h: and nothing left to destroy");
	tl_chan_unref(chan);
	all_gone("when");
}

static void test_error_new(void)
{
	struct tl_error *e = NULL;
	char big[5000];

	tap_is(tl_error_new(&e, 0, "x"), -EINVAL, "error.h: codes are 1..4095: 0 is refused");
	tap_is(tl_error_new(&e, 4096, "x"), -EINVAL, "error.h: and 4096");
	tap_is(tl_error_new(&e, -EIO, "x"), -EINVAL, "error.h: and negative ones");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-security"
	tap_is(tl_error_new(&e, EIO, NULL), -EINVAL, "error.h: and no message");
#pragma GCC diagnostic pop
	tap_ok(!e, "error.h: *out is not written then");
	memset(big, 'm', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	tl_error_new(&e, 4095, "%s", big);
	tap_ok(tl_error_code(e) == 4095 && !strcmp(tl_error_message(e), big), "error.h: a message of any length");
	tap_str(tl_error_origin(e), "", "error.h: it was never raised");
	tl_error_free(e);
	tl_error_new(&e, 1, "%d %s %.2f", 7, "seven", 7.0);
	tap_str(tl_error_message(e), "7 seven 7.00", "error.h: and formatted");
	tl_error_free(e);
}

/* --- section 0: the value in transit ------------------------------------------------------------------------------ */

/* What a destructor may do: all of it, at the worst moment. */
static int busy_calls, wrong;

static int fn_side(UNUSED void *arg)
{
	long v = 0;

	if (tl_chan_recv(side, &v) || v != 0xbad)
		wrong++;
	return 0;
}

static int fn_spin(UNUSED void *arg)
{
	char junk[3000];

	/* Stacks are used again: leave something on them. */
	memset(junk, 0x99, sizeof(junk));
	__asm__ volatile("" : : "r"(junk) : "memory");
	tl_schedule();
	return 0;
}

static void destroy_busy(UNUSED void *payload)
{
	struct tl_task *t;
	void *block[10];
	long v = 0xbad;
	char junk[24];
	int i;

	busy_calls++;
	for (i = 0; i < 10; i++)
		block[i] = memset(malloc(64 << i), 0x77, (size_t)64 << i);
	t = mk("d", fn_side, NULL);
	tl_spawn(NULL, fn_spin, NULL);
	tl_schedule();
	if (tl_chan_balance(side) >= 0 || tl_chan_send(side, &v))
		wrong++;
	/* It finds nothing in the channel under test that it could take. */
	if (chan && tl_chan_balance(chan) == 0 && tl_chan_try_recv(chan, junk) != -EAGAIN)
		wrong++;
	tl_sleep_until(0);
	tl_spawn_run(NULL, fn_spin, NULL);
	tl_task_kill(t);
	tl_task_unref(t);
	for (i = 0; i < 10; i++)
		free(block[i]);
}

static struct tl_error *mk_busy(void)
{
	struct tl_error *e = mk_error(EIO, "busy");

	tl_error_set_payload(e, e, destroy_busy);
	return e;
}

static size_t size;

static void fill(unsigned char *v, int n)
{
	size_t i;

	for (i = 0; i < size; i++)
		v[i] = (unsigned char)(n + (int)i * 3);
}

static bool is(const unsigned char *v, int n)
{
	unsigned char want[64];

	fill(want, n);
	return !memcmp(v, want, size);
}

/* Dies with an error that it has not caught, right after it has handed a value over. */
static int fn_sender_dies(void *arg)
{
	unsigned char v[64];
	long dummy;

	/* An error that is its own: thrown at it, reported, never caught. */
	if (tl_chan_recv(side, &dummy) != -EIO)
		wrong++;
	fill(v, (int)(long)arg);
	if (tl_chan_send(chan, v))
		wrong++;
	memset(v, 0xaa, sizeof(v));
	return 0;
}

static int fn_receiver_dies(void *arg)
{
	unsigned char v[64];
	long dummy;

	if (tl_chan_recv(side, &dummy) != -EIO)
		wrong++;
	if (tl_chan_recv(chan, v) || !is(v, (int)(long)arg))
		wrong++;
	return 0;
}

/* Has one error hidden behind another when it receives: they are destroyed on the way. */
static int fn_receiver_lives(void *arg)
{
	unsigned char v[64];
	long dummy;
	int i;

	if (tl_chan_recv(side, &dummy) != -EIO || tl_chan_recv(side, &dummy) != -EIO)
		wrong++;
	for (i = 0; i < 3; i++) {
		memset(v, 0x55, sizeof(v));
		if (tl_chan_recv(chan, v) || !is(v, (int)(long)arg + i))
			wrong++;
	}
	return 0;
}

static int fn_select_lives(void *arg)
{
	unsigned char v[64];
	struct tl_select_case c[2] = { TL_CASE_RECV(NULL, v), TL_CASE_RECV(chan, v) };
	long dummy;
	int i;

	if (tl_chan_recv(side, &dummy) != -EIO || tl_chan_recv(side, &dummy) != -EIO)
		wrong++;
	for (i = 0; i < 3; i++) {
		memset(v, 0x55, sizeof(v));
		c[1].result = -1;
		if (tl_select(c, 2) != 1 || c[1].result || !is(v, (int)(long)arg + i))
			wrong++;
	}
	return 0;
}

static void give_error(void)
{
	if (tl_chan_send_error(side, mk_busy()))
		wrong++;
}

static void test_transit(void)
{
	static const size_t sizes[] = { 8, 1, 24, 64 };
	int preference, all, capacity;
	unsigned char v[64];
	long n = 1;
	size_t i;
	int k;

	if (tl_chan_new(&side, sizeof(long), 0))
		tap_bail("no channel");
	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		wrong = busy_calls = 0;
		size = sizes[i];
		for (preference = -1; preference <= 1; preference++)
		for (all = 0; all < 2; all++)
		for (capacity = 0; capacity < 2; capacity++) {
			if (tl_chan_new(&chan, size, (size_t)capacity))
				tap_bail("no channel");
			tl_chan_set_preference(chan, preference);
			tl_chan_set_schedule_all(chan, all);

			/* The sender dies while the value is on its way to main, who waits, or waits not. */
			for (k = 0; k < 2; k++, n++) {
				go("S", fn_sender_dies, (void *)n);
				tl_schedule();
				give_error();
				if (k)
					tl_schedule();
				memset(v, 0x33, sizeof(v));
				if (tl_chan_recv(chan, v) || !is(v, (int)n))
					wrong++;
				tl_run();
			}
			/* The receiver dies of it. */
			for (k = 0; k < 2; k++, n++) {
				go("R", fn_receiver_dies, (void *)n);
				tl_schedule();
				give_error();
				if (k)
					tl_schedule();
				fill(v, (int)n);
				if (tl_chan_send(chan, v))
					wrong++;
				tl_run();
			}
			/* The receiver destroys hidden errors before, between and after. */
			for (k = 0; k < 4; k++, n += 3) {
				int j;

				go("R", k % 2 ? fn_select_lives : fn_receiver_lives, (void *)n);
				tl_schedule();
				give_error();
				give_error();
				for (j = 0; j < 3; j++) {
					fill(v, (int)n + j);
					if (tl_chan_send(chan, v))
						wrong++;
					memset(v, 0x11, sizeof(v));
					if (k >= 2)
						tl_schedule();
				}
				tl_run();
			}
			if (tl_chan_balance(chan) || tl_chan_balance(side) || stats().alive != 1)
				wrong++;
			tl_chan_unref(chan);
			chan = NULL;
		}
		tap_is(wrong, 0,
		       "0: values of %zu bytes are not disturbed by destructors that switch, send and allocate", size);
		tap_is(busy_calls, 12 * (2 + 2 + 8), "0: which ran");
	}
	tl_chan_unref(side);
	all_gone("transit");
}

/* A receive that itself replaces an error: the destructor runs inside the call, after the exchange. */
static int fn_busy_error(UNUSED void *arg)
{
	say("%d", tl_chan_send_error(chan, mk_busy()));
	return 0;
}

static int fn_second_error(UNUSED void *arg)
{
	say("%d", tl_chan_send_error(chan, mk_counted(ERANGE, "second", &freed)));
	return 0;
}

static void test_replace(void)
{
	long v = 4;

	if (tl_chan_new(&side, sizeof(long), 0))
		tap_bail("no channel");
	new_chan(sizeof(long));
	wrong = busy_calls = freed = 0;
	go("S", fn_busy_error, NULL);
	go("T", fn_second_error, NULL);
	tl_schedule();
	tap_is(tl_chan_recv(chan, &v), -EIO, "0: an error is received");
	tap_is(tl_chan_recv(chan, &v), -ERANGE,
	       "0: and another one, which replaces it: the result is the second one's");
	tap_ok(busy_calls == 1 && !wrong && !freed, "0: the first was destroyed within that call, busily");
	tap_is(caught(), ERANGE, "0: the second is caught");
	tap_ok(freed == 1 && v == 4, "0: once");
	tl_run();
	tap_str(said(), "0 0", "0: the senders are done");
	tl_chan_unref(chan);
	tl_chan_unref(side);
	chan = NULL;
	all_gone("replace");
}

int main(void)
{
	tap_plan(60);
	test_ownership();
	test_no_mixing();
	test_when();
	test_error_new();
	test_transit();
	test_replace();
	tap_is(tl_sched_end(), 0, "sched.h: nothing is left");
	return tap_exit();
}
