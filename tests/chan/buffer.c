/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Channels with a capacity (channel.h, and section 6.3's QueueChannel): values wait inside, first in, first out, mixed
 * with errors; a send blocks when the buffer is full, and the first that waits fills the room that a receive makes, in
 * its turn and without a switch. Elements of 0, 1, 8, 24 and 4096 bytes, capacities from 1 on, the ring buffer's seam.
 */
#include <tasklet/tasklet.h>

#include "../core/one-chan.h"

static int freed;

static void fill(unsigned char *value, size_t size, unsigned long n)
{
	size_t i;

	for (i = 0; i < size; i++)
		value[i] = (unsigned char)(n * 7 + i * 13 + (i >> 8));
}

static bool is(const unsigned char *value, size_t size, unsigned long n)
{
	unsigned char want[4096];

	fill(want, size, n);
	return !memcmp(value, want, size);
}

/* --- sizes and capacities ----------------------------------------------------------------------------------------- */

static void test_sizes(void)
{
	static const size_t sizes[] = { 0, 1, 2, 7, 8, 9, 16, 17, 24, 4096 };
	static const size_t capacities[] = { 1, 2, 3, 7 };
	static unsigned char value[4096 + 1];
	size_t s, c;

	for (s = 0; s < ARRAY_LEN(sizes); s++) {
		size_t size = sizes[s];
		bool ok = true;

		for (c = 0; c < ARRAY_LEN(capacities); c++) {
			unsigned long in = 0, out = 0, room = capacities[c], step;

			new_chan(size, room);
			/* Over the seam many times, with every number of values inside. */
			for (step = 0; step < 100; step++) {
				unsigned long n = step % (room + 1);

				while (in - out < n) {
					fill(value, size, in++);
					ok &= !tl_chan_send(chan, value);
				}
				ok &= tl_chan_balance(chan) == (long)(in - out) && !tl_chan_queue(chan);
				while (in - out > n / 2) {
					memset(value, 0xee, sizeof(value));
					ok &= !tl_chan_recv(chan, value) && is(value, size, out++) && value[size] == 0xee;
				}
			}
			while (in - out < room) {
				fill(value, size, in++);
				ok &= !tl_chan_try_send(chan, value);
			}
			ok &= tl_chan_try_send(chan, value) == -EAGAIN && tl_chan_balance(chan) == (long)room;
			while (in - out)
				ok &= !tl_chan_try_recv(chan, value) && is(value, size, out++);
			ok &= tl_chan_try_recv(chan, value) == -EAGAIN && !tl_chan_balance(chan);
			tl_chan_unref(chan);
		}
		tap_ok(ok, "6.3: elements of %zu bytes, capacities 1 to 7", size);
	}
	new_chan(0, 3);
	tap_ok(!tl_chan_send(chan, NULL) && !tl_chan_send(chan, NULL) && !tl_chan_recv(chan, NULL) &&
	       tl_chan_balance(chan) == 1, "channel.h: elements of 0 bytes are signals and need no memory");
	tl_chan_unref(chan);
	all_gone("sizes");
}

/* Rendezvous of all sizes, in both directions. */
static size_t elem;

static int fn_echo(void *arg)
{
	struct tl_chan **c = arg;
	unsigned char value[4097];

	value[elem] = 0xcc;
	while (!tl_chan_recv(c[0], value) && value[elem] == 0xcc)
		if (tl_chan_send(c[1], value))
			break;
	return 0;
}

static void test_rendezvous(void)
{
	static const size_t sizes[] = { 0, 1, 3, 8, 16, 24, 4096 };
	static unsigned char value[4097];
	struct tl_chan *c[2];
	size_t s;

	for (s = 0; s < ARRAY_LEN(sizes); s++) {
		unsigned long n;
		bool ok = true;

		elem = sizes[s];
		if (tl_chan_new(&c[0], elem, 0) || tl_chan_new(&c[1], elem, 0))
			tap_bail("no channels");
		go("E", fn_echo, c);
		for (n = 0; n < 20; n++) {
			fill(value, elem, n);
			ok &= !tl_chan_send(c[0], value);
			memset(value, 0xdd, sizeof(value));
			ok &= !tl_chan_recv(c[1], value) && is(value, elem, n) && value[elem] == 0xdd;
		}
		tl_chan_close(c[0]);
		tl_run();
		tl_chan_unref(c[0]);
		tl_chan_unref(c[1]);
		tap_ok(ok, "2: elements of %zu bytes without a buffer", elem);
	}
	all_gone("rendezvous");
}

/* --- who runs ----------------------------------------------------------------------------------------------------- */

/* Also says who runs when it is back. */
static int fn_send_ring(void *arg)
{
	int r = tl_chan_send(chan, &arg);

	say("%s%d[%s]", me(), r, ring());
	return 0;
}

static void test_refill(void)
{
	int preference;
	long v = 0;

	for (preference = -1; preference <= 1; preference++) {
		new_chan(sizeof(long), 2);
		tl_chan_set_preference(chan, preference);
		tl_chan_set_schedule_all(chan, preference == 0);
		go("A", fn_send_ring, (void *)1L);
		go("B", fn_send_ring, (void *)2L);
		go("C", fn_send_ring, (void *)3L);
		go("D", fn_send_ring, (void *)4L);
		tl_schedule();
		tap_str(said(), "A0[A B C D M] B0[B C D M]", "6.3: a send that finds room does not switch");
		tap_is(tl_chan_balance(chan), 4, "6.3: the balance counts what is inside and who waits");
		tap_str(name_of(tl_chan_queue(chan)), "C", "6.3: the queue is of those that wait");
		tap_is(tl_chan_recv(chan, &v), 0, "6.3: a receive takes the oldest");
		tap_ok(v == 1 && tl_chan_balance(chan) == 3, "6.3: and the first that waits fills the room");
		tap_str(ring(), "M C", "6.3: which makes it runnable, and switches to nobody, whatever the preference");
		go("N", fn_send_ring, (void *)5L);
		tl_schedule();
		tap_str(said(), "C0[C N M]", "6.3: one that comes now waits behind those that were there before");
		say("%d:%ld", tl_chan_recv(chan, &v), 0L);
		say("%ld", v);
		tl_chan_recv(chan, &v);
		say("%ld", v);
		tl_chan_recv(chan, &v);
		say("%ld", v);
		tl_chan_recv(chan, &v);
		say("%ld", v);
		tap_str(said(), "0:0 2 3 4 5", "6.3: all in order");
		tl_run();
		said();
		tl_chan_unref(chan);
	}
	all_gone("refill");
}

/* A receiver that waits gets the value directly, by the rules of a channel without a buffer. */
static void test_direct(void)
{
	static const char *const want[] = { "A0:7 M", "M A0:7", "M A0:7" };
	int preference;
	long v = 7;

	for (preference = -1; preference <= 1; preference++) {
		new_chan(sizeof(long), 3);
		tl_chan_set_preference(chan, preference);
		go("A", fn_recv, NULL);
		tl_schedule();
		tap_is(tl_chan_balance(chan), -1, "6.3: a receiver waits at an empty buffer");
		tl_chan_send(chan, &v);
		say("M");
		tap_ok(!tl_chan_balance(chan), "6.3: a send goes past the buffer");
		tl_run();
		tap_str(said(), want[preference + 1], "2: and switches as the preference %d says", preference);
		tl_chan_unref(chan);
	}
	all_gone("direct");
}

static void test_killed_sender(void)
{
	struct tl_task *a, *b;
	long v = 0;

	new_chan(sizeof(long), 1);
	tl_chan_send(chan, &v);
	a = mk("A", fn_send_ring, (void *)1L);
	b = mk("B", fn_send_ring, (void *)2L);
	tl_schedule();
	tl_task_kill(a);
	tap_is(tl_chan_balance(chan), 2, "1.5: a sender that is killed takes its value with it");
	tl_chan_recv(chan, &v);
	tl_task_kill(b);
	tap_is(tl_chan_balance(chan), 1, "9: one whose value went into the buffer has sent it, though it is killed");
	tap_ok(!tl_chan_recv(chan, &v) && v == 2, "9: the value is there");
	said();
	tl_task_unref(a);
	tl_task_unref(b);
	tl_chan_unref(chan);
	all_gone("killed senders");
}

/* --- errors inside ------------------------------------------------------------------------------------------------ */

static int fn_send_error(UNUSED void *arg)
{
	struct tl_error *e = mk_counted(ENOSPC, "waited", &freed);
	int r = tl_chan_send_error(chan, e);

	say("%s%d", me(), r);
	if (r)
		tl_error_free(e);
	return 0;
}

static void test_errors(void)
{
	static const size_t sizes[] = { 0, 1, 8, 24 };
	unsigned char value[24];
	struct tl_error *e;
	struct tl_task *t;
	size_t i;

	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		bool ok = true;

		freed = 0;
		new_chan(sizes[i], 3);
		fill(value, sizes[i], 1);
		ok &= !tl_chan_send(chan, value);
		ok &= !tl_chan_send_error(chan, mk_counted(EDOM, "in the buffer", &freed));
		fill(value, sizes[i], 2);
		ok &= !tl_chan_send(chan, value);
		ok &= tl_chan_balance(chan) == 3;
		e = mk_counted(EIO, "no room", &freed);
		ok &= tl_chan_try_send_error(chan, e) == -EAGAIN && !freed;
		tl_error_free(e);
		t = mk("E", fn_send_error, NULL);
		tl_schedule();
		ok &= tl_chan_balance(chan) == 4;
		memset(value, 0xee, sizeof(value));
		ok &= !tl_chan_recv(chan, value) && is(value, sizes[i], 1);
		memset(value, 0xee, sizeof(value));
		ok &= tl_chan_recv(chan, value) == -EDOM && value[0] == 0xee;
		e = tl_catch();
		ok &= e && !strcmp(tl_error_message(e), "in the buffer") && freed == 1;
		tl_error_free(e);
		ok &= !tl_chan_recv(chan, value) && is(value, sizes[i], 2);
		ok &= tl_chan_try_recv(chan, value) == -ENOSPC && freed == 2;
		ok &= caught() == ENOSPC && freed == 3 && !tl_chan_balance(chan);
		tl_run();
		said();
		tl_task_unref(t);
		tl_chan_unref(chan);
		tap_ok(ok, "6.3: errors in the buffer keep their place among values of %zu bytes", sizes[i]);
	}

	freed = 0;
	new_chan(sizeof(long), 4);
	tl_chan_send_error(chan, mk_counted(EIO, "1", &freed));
	tl_chan_send(chan, &(long){ 2 });
	tl_chan_send_error(chan, mk_counted(EIO, "3", &freed));
	tl_chan_unref(chan);
	tap_is(freed, 2, "channel.h: errors that are left in a channel are destroyed with it");
	all_gone("errors");
}

/* --- closing ------------------------------------------------------------------------------------------------------ */

static void test_close(void)
{
	struct tl_task *a;
	long v = 1;

	new_chan(sizeof(long), 2);
	tl_chan_send(chan, &v);
	v = 2;
	tl_chan_send(chan, &v);
	a = mk("A", fn_send_ring, (void *)3L);
	tl_schedule();
	tl_chan_close(chan);
	tap_ok(tl_chan_is_closing(chan) && !tl_chan_is_closed(chan),
	       "2: closing, but not closed: there are values inside");
	tl_run();
	tap_str(said(), "A-32[A]", "channel.h: who waited for room gets -EPIPE");
	tap_is(tl_chan_balance(chan), 2, "channel.h: its value is not inside");
	tap_is(tl_chan_send(chan, &v), -EPIPE, "channel.h: nobody can send any more");
	tl_chan_recv(chan, &v);
	tap_is(v, 1, "channel.h: what is inside can still be received");
	tap_is(tl_chan_send(chan, &v), -EPIPE, "channel.h: nor is there room for more");
	tl_chan_recv(chan, &v);
	tap_is(v, 2, "channel.h: all of it");
	tap_ok(tl_chan_is_closed(chan), "2: now it is closed");
	tap_is(tl_chan_recv(chan, &v), -EPIPE, "2: and says so");
	tl_chan_open(chan);
	tap_ok(!tl_chan_send(chan, &v) && tl_chan_balance(chan) == 1, "2: open, it works again");
	tl_task_unref(a);
	tl_chan_unref(chan);
	all_gone("close");
}

int main(void)
{
	tap_plan(77);
	test_sizes();
	test_rendezvous();
	test_refill();
	test_direct();
	test_killed_sender();
	test_errors();
	test_close();
	tap_is(tl_sched_end(), 0, "sched.h: nothing is left");
	return tap_exit();
}
