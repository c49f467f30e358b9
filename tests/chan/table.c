/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The table of section 2: who runs next and where the caller lands when a send or a receive finds a partner, for each
 * preference, with and without schedule_all, for send, receive, the forms with a deadline, the ones that try, and a
 * select of one case; for elements of a word, which have a path of their own, and of another size. Also first come first
 * served, and the balance.
 */
#include <tasklet/tasklet.h>

#include "../core/one-chan.h"

/* --- the table ---------------------------------------------------------------------------------------------------- */

enum form { PLAIN, UNTIL, TRY, SELECT, TRY_SELECT, FORMS };

static const char *const form_name[] = { "", "_until", " (try)", " (select)", " (try_select)" };

static int use(bool send, enum form form, void *value)
{
	struct tl_select_case c[1];
	int r;

	if (form >= SELECT) {
		c[0].chan = chan;
		c[0].op = send ? TL_SELECT_SEND : TL_SELECT_RECV;
		c[0].value = value;
		c[0].result = -1;
		r = form == SELECT ? tl_select(c, 1) : tl_try_select(c, 1);
		return r ? r : c[0].result;
	}
	if (send)
		return form == PLAIN ? tl_chan_send(chan, value) : form == UNTIL ?
			tl_chan_send_until(chan, value, tl_after(3600ull * 1000000000)) : tl_chan_try_send(chan, value);
	return form == PLAIN ? tl_chan_recv(chan, value) : form == UNTIL ?
		tl_chan_recv_until(chan, value, tl_after(3600ull * 1000000000)) : tl_chan_try_recv(chan, value);
}

/* The partner: waits for the other direction, in one form or another. */
struct partner {
	bool send;
	enum form form;
	char value[24];
};

static int fn_partner(void *arg)
{
	struct partner *p = arg;
	int r = use(p->send, p->form, p->value);

	say("%s%d[%s]", me(), r, ring());
	return 0;
}

static int fn_say(UNUSED void *arg)
{
	say("%s", me());
	return 0;
}

/*
 * The ring is M A B, and T waits. Main sends or receives. Each word of the journal: who runs, and what its ring was when
 * it ran first. The three outcomes of the table:
 */
static const char partner_at_the_end[] = "M[M A B T] A B T0[T]";
static const char partner_now[] = "T0[T A B M] A B M[M]";
static const char next_runs[] = "A B T0[T M] M[M]";

static bool one(bool send, int preference, bool schedule_all, enum form form, enum form partner_form, size_t size,
		const char *want)
{
	struct partner p = { .send = !send, .form = partner_form };
	char value[24], expect[24];
	struct tl_task *t;
	const char *got;
	bool ok;
	int r;

	if (tl_chan_new(&chan, size, 0))
		tap_bail("no channel");
	tl_chan_set_preference(chan, preference);
	tl_chan_set_schedule_all(chan, schedule_all);
	memset(expect, 0x40 + (int)form, sizeof(expect));
	memset(send ? p.value : value, 0x20, sizeof(value));
	memcpy(send ? value : p.value, expect, sizeof(value));
	t = mk("T", fn_partner, &p);
	tl_schedule();
	if (tl_chan_balance(chan) != (send ? -1 : 1) || tl_chan_queue(chan) != t)
		tap_bail("T does not wait");
	go("A", fn_say, NULL);
	go("B", fn_say, NULL);
	r = use(send, form, value);
	say("M[%s]", ring());
	ok = !r && !tl_chan_balance(chan) && !stats().timers;
	tl_run();
	ok &= !memcmp(send ? p.value : value, expect, size);
	/* No more than the element was written. */
	ok &= size == 24 || (send ? p.value : value)[size] == 0x20;
	got = said();
	ok &= !strcmp(got, want);
	if (!ok)
		tap_diag("form %d, partner %d, size %zu: r %d, %s, expected %s", form, partner_form, size, r, got, want);
	tl_task_unref(t);
	tl_chan_unref(chan);
	return ok;
}

static void row(bool send, int preference, bool schedule_all, const char *want, const char *why)
{
	static const size_t sizes[] = { 8, 1, 23 };
	int form, partner;
	size_t i;

	for (form = PLAIN; form < FORMS; form++) {
		bool tries = form == TRY || form == TRY_SELECT, ok = true;

		for (partner = PLAIN; partner < FORMS; partner++)
			for (i = 0; i < ARRAY_LEN(sizes); i++)
				if (partner != TRY && partner != TRY_SELECT)
					ok &= one(send, preference, schedule_all, form, partner, sizes[i],
						  tries ? partner_at_the_end : want);
		tap_ok(ok, "2: %s%s, preference %d%s: %s", send ? "send" : "recv", form_name[form], preference,
		       schedule_all ? ", schedule_all" : "", tries ? "a try never switches" : why);
	}
}

static void test_table(void)
{
	int preference;

	row(true, -1, false, partner_now, "the receiver runs now, the sender is last");
	row(true, 0, false, partner_at_the_end, "the receiver goes to the end, the sender goes on");
	row(true, 1, false, partner_at_the_end, "the receiver goes to the end, the sender goes on");
	row(false, -1, false, partner_at_the_end, "the sender goes to the end, the receiver goes on");
	row(false, 0, false, partner_at_the_end, "the sender goes to the end, the receiver goes on");
	row(false, 1, false, partner_now, "the sender runs now, the receiver is last");
	for (preference = -1; preference <= 1; preference++) {
		row(true, preference, true, next_runs, "the next one runs, the receiver goes to the end");
		row(false, preference, true, next_runs, "the next one runs, the sender goes to the end");
	}
	all_gone("table");
}

/* Alone with the partner. */
static void test_alone(void)
{
	struct partner p = { .send = false, .form = PLAIN };
	long v = 1;

	tl_chan_new(&chan, sizeof(long), 0);
	tl_chan_set_schedule_all(chan, true);
	go("T", fn_partner, &p);
	tl_schedule();
	tl_chan_send(chan, &v);
	say("M");
	tap_str(said(), "T0[T M] M", "2: with schedule_all the partner is next only if nobody else is there");
	tl_chan_unref(chan);
	all_gone("alone");
}

/* --- settings ----------------------------------------------------------------------------------------------------- */

static void test_settings(void)
{
	struct tl_chan *other;

	tap_is(tl_chan_new(&chan, 24, 7), 0, "2: a channel");
	tap_ok(tl_chan_elem_size(chan) == 24 && tl_chan_capacity(chan) == 7, "2: its size and capacity");
	tap_ok(tl_chan_preference(chan) == -1 && !tl_chan_schedule_all(chan) && !tl_chan_is_closing(chan) &&
	       !tl_chan_is_closed(chan) && !tl_chan_balance(chan) && !tl_chan_queue(chan), "2: the defaults");
	tap_is(tl_chan_set_preference(chan, 7), -1, "2: the old preference is returned");
	tap_is(tl_chan_set_preference(chan, INT32_MIN), 1, "2: it is clamped to +1");
	tap_is(tl_chan_set_preference(chan, 0), -1, "2: and to -1");
	tap_is(tl_chan_preference(chan), 0, "2: 0 is 0");
	tap_is(tl_chan_set_schedule_all(chan, true), false, "2: the old schedule_all is returned");
	tap_is(tl_chan_set_schedule_all(chan, false), true, "2: each time");
	tap_ok(tl_chan_ref(chan) == chan, "2: ref returns the channel");
	tl_chan_unref(chan);
	tap_is((long long)tl_chan_capacity(chan), 7, "2: the other handle keeps it");
	tl_chan_unref(chan);
	tl_chan_unref(NULL);
	other = NULL;
	tap_is(tl_chan_new(&other, ((size_t)1 << 30) + 1, 0), -EINVAL, "channel.h: elements over 1 GiB are refused");
	tap_is(tl_chan_new(&other, SIZE_MAX, 1), -EINVAL, "channel.h: SIZE_MAX too");
	tap_is(tl_chan_new(&other, 8, SIZE_MAX), -EINVAL, "channel.h: and a buffer that is larger than any memory");
	tap_is(tl_chan_new(&other, 1 << 20, SIZE_MAX >> 19), -EINVAL, "channel.h: in its product as well");
	tap_ok(!other, "channel.h: *out is not written then");
	tap_is(tl_chan_new(NULL, 8, 0), -EINVAL, "channel.h: nor is one made without a place for its handle");
}

/* --- first come, first served ------------------------------------------------------------------------------------- */

static void test_fifo(void)
{
	long v, i;
	char want[128] = "";

	tl_chan_new(&chan, sizeof(long), 0);
	go("A", fn_recv, NULL);
	go("B", fn_recv, NULL);
	go("C", fn_recv, NULL);
	tl_schedule();
	tap_is(tl_chan_balance(chan), -3, "2: three wait to receive: the balance is -3");
	for (i = 1; i <= 3; i++) {
		tl_chan_send(chan, &i);
		tap_is(tl_chan_balance(chan), i - 3, "2: one was served");
	}
	tap_str(said(), "A0:1 B0:2 C0:3", "2: first come, first served");
	go("A", fn_send, (void *)1L);
	go("B", fn_send, (void *)2L);
	go("C", fn_send, (void *)3L);
	tl_schedule();
	tap_is(tl_chan_balance(chan), 3, "2: three wait to send: the balance is +3");
	for (i = 1; i <= 3; i++) {
		tl_chan_recv(chan, &v);
		say("%ld", v);
		tap_is(tl_chan_balance(chan), 3 - i, "2: one was taken");
	}
	tl_run();
	tap_str(said(), "1 2 3 A0 B0 C0", "2: in the order in which they came");

	/* One that leaves and comes again is last. */
	for (i = 0; i < 3; i++)
		mk(i == 0 ? "A" : i == 1 ? "B" : "C", fn_recv, NULL);
	tl_schedule();
	{
		struct tl_task *a = tl_chan_queue(chan), *b = tl_task_next(a), *c = tl_task_next(b);

		tl_task_kill(a);
		tl_task_setup(a, NULL);
		tl_schedule();
		for (i = 1; i <= 3; i++)
			tl_chan_send(chan, &i);
		snprintf(want, sizeof(want), "A-125:0 B0:1 C0:2 A0:3");
		tap_str(said(), want, "2: one that was killed and comes again is last");
		tl_task_unref(a);
		tl_task_unref(b);
		tl_task_unref(c);
	}
	tl_chan_unref(chan);
	all_gone("first come");
}

int main(void)
{
	tap_plan(93);
	test_table();
	test_alone();
	test_settings();
	test_fifo();
	tap_is(tl_sched_end(), 0, "sched.h: nothing is left");
	return tap_exit();
}
