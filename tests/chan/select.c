/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Select (select.h): exactly one case happens, for 0, 1, 8 and 1000 of them, in both directions, on channels with and
 * without a buffer, with NULL channels and with one channel several times; each ready case has the same chance; the rest
 * of the channels is as if the select had never been there, whether it ended by a partner, a deadline, a kill, a close
 * or the end of a channel; and it follows the switching rules of the channel whose case happened.
 */
#include <math.h>

#include <tasklet/time.h>
#include <tasklet/tasklet.h>

#include "../core/check.h"

#define HOUR (3600ull * 1000000000)

static struct tl_chan *a, *b, *c;

static struct tl_chan *mk_chan(size_t capacity)
{
	struct tl_chan *chan;

	if (tl_chan_new(&chan, sizeof(long), capacity))
		tap_bail("no channel");
	return chan;
}

static void chans(void)
{
	a = mk_chan(0);
	b = mk_chan(0);
	c = mk_chan(0);
}

static void chans_end(void)
{
	tl_chan_unref(a);
	tl_chan_unref(b);
	tl_chan_unref(c);
}

static bool nobody_waits(void)
{
	return !tl_chan_balance(a) && !tl_chan_balance(b) && !tl_chan_balance(c) && !tl_chan_queue(a) &&
	       !tl_chan_queue(b) && !tl_chan_queue(c) && !stats().timers;
}

static int fn_recv(void *arg)
{
	long v = 0;
	int r = tl_chan_recv(arg, &v);

	say("%s%d:%ld", me(), r, v);
	return 0;
}

static int fn_send(void *arg)
{
	long v = 5;

	say("%s%d", me(), tl_chan_send(arg, &v));
	return 0;
}

/* Selects a receive from a, a send of 6 to b, a receive from c. */
static int fn_select(UNUSED void *arg)
{
	long va = 0, vb = 6, vc = 0;
	struct tl_select_case s[3] = { TL_CASE_RECV(a, &va), TL_CASE_SEND(b, &vb), TL_CASE_RECV(c, &vc) };
	int r;

	s[0].result = s[1].result = s[2].result = 77;
	r = tl_select(s, 3);
	say("%s%d/%d %ld,%ld", me(), r, r >= 0 ? s[r].result : 0, va, vc);
	return 0;
}

/* --- errors ------------------------------------------------------------------------------------------------------- */

static void test_errors(void)
{
	long v = 1;
	struct tl_select_case s[2] = { TL_CASE_RECV(NULL, &v), TL_CASE_SEND(NULL, &v) };

	chans();
	tap_is(tl_select(s, -1), -EINVAL, "select.h: a negative count is refused");
	tap_is(tl_try_select(s, -1), -EINVAL, "select.h: by try too");
	tap_is(tl_select(NULL, 1), -EINVAL, "select.h: and no cases where there should be one");
	s[1].op = (enum tl_select_op)2;
	tap_is(tl_select(s, 2), -EINVAL, "select.h: and an op that is none");
	s[1].op = TL_SELECT_SEND;
	tap_is(tl_try_select(NULL, 0), -EAGAIN, "select.h: none of no cases can happen");
	tap_is(tl_select_until(NULL, 0, tl_after(1000)), -ETIMEDOUT, "select.h: but time passes");
	tap_is(tl_select(NULL, 0), -EDEADLK, "select.h: without it, that is for ever");
	tap_is(tl_try_select(s, 2), -EAGAIN, "select.h: cases without a channel never happen");
	tap_is(tl_select_until(s, 2, 0), -ETIMEDOUT, "select.h: not in time");
	tap_is(tl_select(s, 2), -EDEADLK, "select.h: nor ever");
	s[0] = (struct tl_select_case)TL_CASE_RECV(a, &v);
	tap_is(tl_try_select(s, 2), -EAGAIN, "select.h: try does not block");
	tl_task_set_block_trap(tl_current(), true);
	tap_is(tl_select(s, 2), -EPERM, "select.h: nor does one with a block trap");
	tl_task_set_block_trap(tl_current(), false);
	tap_ok(nobody_waits() && v == 1, "select.h: nothing is left of all that");
	chans_end();
	all_gone("errors");
}

/* --- one case happens --------------------------------------------------------------------------------------------- */

static void test_now(void)
{
	long va = 0, vb = 7;
	struct tl_select_case s[3];
	int r;

	chans();
	s[0] = (struct tl_select_case)TL_CASE_RECV(a, &va);
	s[1] = (struct tl_select_case)TL_CASE_SEND(b, &vb);
	s[2] = (struct tl_select_case)TL_CASE_RECV(NULL, NULL);
	go("S", fn_send, a);
	tl_schedule();
	r = tl_select(s, 3);
	tap_ok(r == 0 && s[0].result == 0 && va == 5, "select.h: a receive that can happen now happens");
	go("R", fn_recv, b);
	tl_schedule();
	r = tl_try_select(s, 3);
	tap_ok(r == 1 && s[1].result == 0, "select.h: a send as well");
	tl_run();
	tap_str(said(), "S0 R0:7", "select.h: with its value");
	tap_ok(nobody_waits(), "select.h: nobody waits");
	chans_end();
	all_gone("now");
}

static void test_later(void)
{
	struct tl_task *t;
	long v = 8;

	chans();
	t = mk("T", fn_select, NULL);
	tl_schedule();
	tap_ok(tl_chan_balance(a) == -1 && tl_chan_balance(b) == 1 && tl_chan_balance(c) == -1,
	       "select.h: one that blocks is counted on each channel");
	tap_ok(tl_chan_queue(a) == t && tl_chan_queue(b) == t && tl_chan_queue(c) == t, "select.h: and waits on each");
	tap_ok(!tl_task_channel(t) && !tl_task_direction(t) && !tl_task_next(t) && !tl_task_prev(t) &&
	       tl_task_is_blocked(t), "task.h: it is blocked, and on several channels on none");
	tl_chan_send(c, &v);
	tap_str(said(), "T2/0 0,8", "select.h: the case whose partner comes happens");
	tap_ok(nobody_waits(), "select.h: and it has left the others");

	tl_task_setup(t, NULL);
	tl_schedule();
	v = 0;
	tl_chan_recv(b, &v);
	tl_run();
	tap_ok(v == 6 && nobody_waits(), "select.h: so does a send");
	tap_str(said(), "T1/0 0,0", "select.h: with its index");
	tl_task_unref(t);
	chans_end();
	all_gone("later");
}

/* Two selects meet, on every pairing of directions; and one never meets itself. */
static int fn_both(void *arg)
{
	long in = 0, out = (long)arg;
	struct tl_select_case s[2] = { TL_CASE_SEND(a, &out), TL_CASE_RECV(a, &in) };
	int r = tl_select(s, 2);

	say("%s%d:%ld", me(), r, in);
	return 0;
}

static void test_both(void)
{
	chans();
	go("A", fn_both, (void *)1L);
	tl_schedule();
	tap_is(tl_chan_balance(a), 0, "channel.h: who waits for both directions counts for both");
	tap_ok(tl_chan_queue(a) != NULL, "channel.h: but waits");
	tap_is(tl_run(), TL_RUN_DEADLOCK, "select.h: a select does not meet itself");
	go("B", fn_both, (void *)2L);
	tl_run();
	{
		const char *got = said();

		tap_ok(!strcmp(got, "B0:0 A1:2") || !strcmp(got, "B1:1 A0:0") || !strcmp(got, "A1:2 B0:0") ||
		       !strcmp(got, "A0:0 B1:1"), "select.h: two of them meet in one of the two ways (%s)", got);
	}
	tap_ok(nobody_waits(), "select.h: and nobody waits");

	/* A plain partner in either direction. */
	go("A", fn_both, (void *)1L);
	go("R", fn_recv, a);
	tl_run();
	tap_str(said(), "R0:1 A0:0", "select.h: a receiver meets its send");
	go("A", fn_both, (void *)1L);
	go("S", fn_send, a);
	tl_run();
	tap_str(said(), "A1:5 S0", "select.h: a sender its receive");
	tap_ok(nobody_waits(), "select.h: and nobody waits");

	/* While it waits for both, others wait behind it in their direction. */
	go("A", fn_both, (void *)1L);
	tl_schedule();
	go("R", fn_recv, a);
	tl_schedule();
	tap_str(said(), "R0:1", "select.h: one that comes later meets it at once");
	tl_run();
	said();
	chans_end();
	all_gone("both directions");
}

/* The same channel several times, the same way. */
static void test_twice(void)
{
	long v[3] = { 0 };
	struct tl_select_case s[3];
	struct tl_task *t;
	int r, i;

	chans();
	for (i = 0; i < 3; i++)
		s[i] = (struct tl_select_case)TL_CASE_RECV(a, &v[i]);
	go("S", fn_send, a);
	r = tl_select(s, 3);
	tap_ok(r >= 0 && v[r] == 5 && v[0] + v[1] + v[2] == 5 && nobody_waits(),
	       "select.h: one channel three times: one of them happens");
	go("S", fn_send, a);
	tl_schedule();
	v[0] = v[1] = v[2] = 0;
	r = tl_select(s, 3);
	tap_ok(r >= 0 && v[r] == 5 && v[0] + v[1] + v[2] == 5 && nobody_waits(), "select.h: now as well as later");
	tl_run();
	t = mk("T", fn_recv, a);
	tl_schedule();
	for (i = 0; i < 3; i++)
		s[i].op = TL_SELECT_SEND;
	tap_ok(tl_select(s, 3) >= 0 && nobody_waits(), "select.h: three sends");
	tl_run();
	said();
	tl_task_unref(t);
	chans_end();
	all_gone("one channel several times");
}

/* --- many --------------------------------------------------------------------------------------------------------- */

#define MANY 1000

static struct tl_chan *many[MANY];
static struct tl_select_case cases[MANY];
static long in[MANY];

static int fn_select_many(void *arg)
{
	long n = (long)arg;
	int r = tl_select(cases, (int)n);

	say("%d/%d", r, r >= 0 ? cases[r].result : 0);
	return 0;
}

static void test_many(void)
{
	static const long counts[] = { 1, 8, 1000 };
	struct tl_task *t;
	size_t k;
	long i, v;

	for (i = 0; i < MANY; i++)
		many[i] = mk_chan(0);
	for (k = 0; k < ARRAY_LEN(counts); k++) {
		long n = counts[k], which[] = { 0, n / 2, n - 1 };
		size_t w;

		for (w = 0; w < 3; w++) {
			bool ok = true, waits = true;
			char want[32];

			for (i = 0; i < n; i++) {
				in[i] = i;
				cases[i] = (struct tl_select_case)TL_CASE_RECV(many[i], &in[i]);
				if (i % 2)
					cases[i].op = TL_SELECT_SEND;
			}
			t = mk("T", fn_select_many, (void *)n);
			tl_schedule();
			for (i = 0; i < n; i++)
				waits &= tl_chan_balance(many[i]) == (i % 2 ? 1 : -1) && tl_chan_queue(many[i]) == t;
			v = -1;
			if (which[w] % 2)
				tl_chan_recv(many[which[w]], &v);
			else
				tl_chan_send(many[which[w]], &v);
			tl_run();
			for (i = 0; i < n; i++)
				ok &= !tl_chan_balance(many[i]) && !tl_chan_queue(many[i]) &&
				      in[i] == (i == which[w] && i % 2 == 0 ? -1 : i);
			ok &= which[w] % 2 == 0 || v == which[w];
			snprintf(want, sizeof(want), "%ld/0", which[w]);
			tap_ok(ok && waits && !strcmp(said(), want),
			       "select.h: case %ld of %ld happens, and no other", which[w], n);
			tl_task_unref(t);
		}
	}
	for (i = 0; i < MANY; i++)
		tl_chan_unref(many[i]);
	all_gone("many");
}

/* --- fairness ----------------------------------------------------------------------------------------------------- */

/*
 * Chi-square of n equally likely outcomes over `rounds` rounds. Its mean is n - 1 and its variance 2(n - 1): ten sigmas
 * is what a fair choice exceeds less often than once in 10^12 times, and an unfair one at once.
 */
static bool fair(const long *hits, int n, long rounds)
{
	double want = (double)rounds / n, chi = 0;
	int i;

	for (i = 0; i < n; i++)
		chi += ((double)hits[i] - want) * ((double)hits[i] - want) / want;
	if (chi < n - 1 + 10 * sqrt(2.0 * (n - 1)) + 20)
		return true;
	tap_diag("chi square %f with %d degrees of freedom", chi, n - 1);
	return false;
}

static void test_fairness(void)
{
	static const int counts[] = { 2, 3, 8 };
	long hits[16], round, v;
	struct tl_select_case s[16];
	struct tl_chan *chan[16];
	size_t k;
	int i, r;

	for (k = 0; k < ARRAY_LEN(counts); k++) {
		int n = counts[k];
		long rounds = 3000L * n;

		memset(hits, 0, sizeof(hits));
		for (i = 0; i < n; i++) {
			chan[i] = mk_chan(1);
			s[i] = (struct tl_select_case)TL_CASE_RECV(chan[i], &v);
			tl_chan_send(chan[i], &round);
		}
		for (round = 0; round < rounds; round++) {
			r = tl_select(s, n);
			if (r < 0)
				tap_bail("select: %d", r);
			hits[r]++;
			tl_chan_send(chan[r], &round);
		}
		tap_ok(fair(hits, n, rounds), "select.h: of %d cases that can happen each has the same chance", n);
		/* Half of them ready, and not side by side. */
		memset(hits, 0, sizeof(hits));
		for (i = 0; i < n; i += 2)
			tl_chan_recv(chan[i], &v);
		for (round = 0; round < rounds; round++) {
			r = tl_try_select(s, n);
			if (r < 0)
				tap_bail("select: %d", r);
			hits[r]++;
			tl_chan_send(chan[r], &round);
		}
		for (i = 0; i < n / 2; i++)
			hits[i] = hits[2 * i + 1];
		tap_ok(n < 4 || fair(hits, n / 2, rounds), "select.h: of those of %d that are ready", n);
		for (i = 0; i < n; i++)
			tl_chan_unref(chan[i]);
	}
	all_gone("fairness");
}

/* --- closed channels and errors ----------------------------------------------------------------------------------- */

static void test_closed(void)
{
	long va = 1, vb = 2;
	struct tl_select_case s[2];

	chans();
	s[0] = (struct tl_select_case)TL_CASE_RECV(a, &va);
	s[1] = (struct tl_select_case)TL_CASE_SEND(b, &vb);
	tl_chan_close(b);
	tap_ok(tl_select(s, 2) == 1 && s[1].result == -EPIPE,
	       "select.h: a case on a closed channel happens, with -EPIPE");
	tap_ok(tl_try_select(s, 2) == 1 && s[1].result == -EPIPE, "select.h: for try too");
	tl_chan_open(b);
	tl_chan_close(a);
	tap_ok(tl_select(s, 2) == 0 && s[0].result == -EPIPE && va == 1,
	       "select.h: a receive as well, and writes nothing");
	tl_chan_open(a);
	tap_ok(nobody_waits(), "select.h: nobody waits");

	go("T", fn_select, NULL);
	tl_schedule();
	tl_chan_close(b);
	tap_ok(nobody_waits(), "channel.h: one that is closed while a select waits wakes it");
	tl_run();
	tap_str(said(), "T1/-32 0,0", "select.h: with that case and -EPIPE");
	tl_chan_open(b);

	go("T", fn_select, NULL);
	tl_schedule();
	tl_chan_send_error(c, mk_error(EDOM, "sent"));
	tap_str(said(), "T2/-33 0,0", "select.h: an error that is received is the case's result");
	tap_ok(nobody_waits(), "select.h: nobody waits");
	chans_end();

	/* A closed channel that still has values inside. */
	a = mk_chan(2);
	tl_chan_send(a, &vb);
	tl_chan_close(a);
	s[0] = (struct tl_select_case)TL_CASE_RECV(a, &va);
	tap_ok(tl_select(s, 1) == 0 && !s[0].result && va == 2, "select.h: values inside a closed channel come first");
	tap_ok(tl_select(s, 1) == 0 && s[0].result == -EPIPE, "select.h: then -EPIPE");
	s[0] = (struct tl_select_case)TL_CASE_SEND(a, &va);
	tap_ok(tl_select(s, 1) == 0 && s[0].result == -EPIPE, "select.h: a send gets it whatever the room");
	tl_chan_unref(a);
	all_gone("closed");
}

static int fn_select_error(UNUSED void *arg)
{
	long v = 3;
	struct tl_select_case s[1] = { TL_CASE_RECV(a, &v) };
	struct tl_error *e;
	int r = tl_select(s, 1);

	e = tl_catch();
	say("%d/%d %s %ld", r, s[0].result, e ? tl_error_message(e) : "-", v);
	tl_error_free(e);
	return 0;
}

static int fn_send_error(UNUSED void *arg)
{
	say("%d", tl_chan_send_error(a, mk_error(EDOM, "hello")));
	return 0;
}

static void test_error(void)
{
	int k;

	chans();
	for (k = 0; k < 2; k++) {
		go(k ? "S" : "T", k ? fn_send_error : fn_select_error, NULL);
		tl_schedule();
		go(k ? "T" : "S", k ? fn_select_error : fn_send_error, NULL);
		tl_run();
		tap_str(said(), "0/-33 hello 3 0", "select.h: catch hands the error over, whoever waited");
	}
	chans_end();
	all_gone("error");
}

/* --- how a wait ends ---------------------------------------------------------------------------------------------- */

static int fn_select_until(void *arg)
{
	long v = 0;
	struct tl_select_case s[3] = { TL_CASE_RECV(a, &v), TL_CASE_SEND(b, &v), TL_CASE_SEND(b, &v) };

	say("%s%d", me(), tl_select_until(s, 3, (uint64_t)(uintptr_t)arg));
	return 0;
}

static void test_ends(void)
{
	struct tl_task *t, *r, *r2;
	long v = 1;
	int i;

	chans();
	/* Between two that wait before and behind it. */
	r = mk("R", fn_recv, a);
	t = mk("T", fn_select, NULL);
	r2 = mk("Q", fn_recv, a);
	tl_schedule();
	tap_is(tl_chan_balance(a), -3, "select.h: it waits in the middle of a queue");
	tap_ok(tl_task_next(r) == t && tl_task_prev(r2) == t, "task.h: where its neighbours see it");
	tl_task_kill(t);
	tap_str(said(), "T-125/0 0,0", "1.5: killed, its select fails");
	tap_ok(tl_chan_balance(a) == -2 && !tl_chan_balance(b) && !tl_chan_balance(c),
	       "1.5: and all balances are right");
	tap_ok(tl_task_next(r) == r2 && tl_task_prev(r2) == r, "1.5: and the queue is whole");
	tl_chan_send(a, &v);
	tl_chan_send(a, &v);
	tap_str(said(), "R0:1 Q0:1", "1.5: those who were around it get their values");
	tl_task_unref(t);
	tl_task_unref(r);
	tl_task_unref(r2);

	go("T", fn_select_until, (void *)1L);
	go("U", fn_select_until, (void *)(uintptr_t)(tl_now() + HOUR));
	tl_schedule();
	tap_ok(tl_chan_balance(a) == -2 && tl_chan_balance(b) == 4, "select.h: two wait on the same channels");
	for (i = 0; i < 1000 && stats().timers > 1; i++)
		tl_schedule();
	tap_ok(tl_chan_balance(a) == -1 && tl_chan_balance(b) == 2,
	       "select.h: one's time is up, and it has left all queues");
	tl_schedule();
	tl_chan_send(a, &v);
	tap_str(said(), "T-110 U0", "select.h: the other one goes on");
	tap_ok(nobody_waits(), "select.h: its timer is gone");

	/* The last handle of one of its channels. */
	t = mk("T", fn_select, NULL);
	tl_schedule();
	tl_chan_unref(c);
	c = mk_chan(0);
	tl_run();
	tap_str(said(), "T2/-32 0,0", "channel.h: a channel that goes ends the select");
	tap_ok(nobody_waits(), "select.h: nobody waits");
	tl_task_unref(t);
	chans_end();
	all_gone("ends");
}

/* A value that was handed over is kept, whatever comes then. */
static void test_settled(void)
{
	struct tl_task *t;
	long v = 4;

	chans();
	tl_chan_set_preference(a, 0);
	t = mk("T", fn_select, NULL);
	tl_schedule();
	tl_chan_send(a, &v);
	tap_ok(nobody_waits(), "select.h: a case has happened and T has not run yet: nobody else can find it");
	tap_is(tl_chan_try_recv(b, &v), -EAGAIN, "select.h: not on its other channels");
	tl_task_kill_later(t);
	tl_chan_close(c);
	tl_run();
	tap_str(said(), "T0/0 4,0", "9: neither a kill nor a close takes the value away");
	tl_task_unref(t);
	chans_end();
	all_gone("settled");
}

/* --- switching ---------------------------------------------------------------------------------------------------- */

static int fn_say(UNUSED void *arg)
{
	say("%s", me());
	return 0;
}

static void test_switching(void)
{
	long v = 1;
	struct tl_select_case s[2];

	chans();
	/* The channel whose case happened has the say. */
	tl_chan_set_preference(b, 1);
	go("R", fn_recv, a);
	tl_schedule();
	go("A", fn_say, NULL);
	s[0] = (struct tl_select_case)TL_CASE_SEND(a, &v);
	s[1] = (struct tl_select_case)TL_CASE_RECV(b, &v);
	tl_select(s, 2);
	say("M");
	tap_str(said(), "R0:1 A M", "2: a select's send switches as the channel's preference says");
	go("S", fn_send, b);
	tl_schedule();
	go("A", fn_say, NULL);
	tl_select(s, 2);
	say("M");
	tap_str(said(), "S0 A M", "2: its receive as well");
	go("R", fn_recv, a);
	tl_schedule();
	go("A", fn_say, NULL);
	tl_switch_trap(1);
	tap_is(tl_select(s, 2), -EPERM, "3.5: so a switch trap forbids it");
	tap_is(tl_chan_balance(a), -1, "3.5: and nothing has happened");
	tl_switch_trap(-1);
	tl_try_select(s, 2);
	say("M");
	tl_run();
	tap_str(said(), "M A R0:5", "select.h: a try does not switch");
	chans_end();
	all_gone("switching");
}

/* Many selects against many, on few channels: each value arrives once. */
static long sent, received, sum_in, sum_out;

static int fn_storm(void *arg)
{
	uint64_t rnd = (uint64_t)(uintptr_t)arg;
	struct tl_chan *all[] = { a, b, c, NULL };
	int round;

	for (round = 0; round < 100; round++) {
		struct tl_select_case s[6];
		long v[6];
		int n = 1 + (int)(tap_random(&rnd) % 6), i, r;

		for (i = 0; i < n; i++) {
			v[i] = (long)(tap_random(&rnd) % 1000000);
			s[i].chan = all[tap_random(&rnd) % 4];
			s[i].op = tap_random(&rnd) % 2 ? TL_SELECT_SEND : TL_SELECT_RECV;
			s[i].value = &v[i];
		}
		r = tl_select_until(s, n, tap_random(&rnd) % 10 ? 1 : tl_after(100000));
		if (r < 0)
			continue;
		if (s[r].op == TL_SELECT_SEND) {
			sent++;
			sum_in += v[r];
		} else {
			received++;
			sum_out += v[r];
		}
	}
	return 0;
}

static void test_storm(void)
{
	uint64_t rnd = tap_seed();
	int i;

	a = mk_chan(0);
	b = mk_chan(3);
	c = mk_chan(1);
	tl_chan_set_preference(c, 1);
	tl_chan_set_schedule_all(b, true);
	for (i = 0; i < 50; i++)
		go("X", fn_storm, (void *)(uintptr_t)tap_random(&rnd));
	tl_run();
	{
		long v;

		while (!tl_chan_try_recv(b, &v) || !tl_chan_try_recv(c, &v)) {
			received++;
			sum_out += v;
		}
	}
	tap_ok(sent == received && sum_in == sum_out && sent > 100,
	       "select.h: %ld values in a storm of selects arrive once each", sent);
	tap_ok(nobody_waits(), "select.h: nobody waits");
	chans_end();
	all_gone("storm");
}

int main(void)
{
	tap_plan(100);
	test_errors();
	test_now();
	test_later();
	test_both();
	test_twice();
	test_many();
	test_fairness();
	test_closed();
	test_error();
	test_ends();
	test_settled();
	test_switching();
	test_storm();
	tap_is(tl_sched_end(), 0, "sched.h: nothing is left");
	return tap_exit();
}
