/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What defines the policies that others invented: interval (who waits asks after a while, and a holder that was asked
 * waits until somebody else has had it), priority (those that blocked always get the yield, one that computes one in so
 * many), ticks (a yield every so many ticks).
 */
#include "actors.h"

static uint64_t forced(void)
{
	return stats_of(the_gil).forced;
}

/* How many ticks until the holder has been made to let go, up to @max. */
static int ticks_until_forced(struct actor *actor, int max)
{
	uint64_t before = forced();
	int n = 0;

	while (forced() == before && n++ < max)
		let(actor, TICK);
	return n;
}

/* --- interval ----------------------------------------------------------------------------------------------------- */

static unsigned int waiting_for_interval(void)
{
	struct tl__gil_interval *g = &the_gil->interval;
	unsigned int n;

	the_gil->wake->mutex_lock(&g->mutex);
	n = g->waiting;
	the_gil->wake->mutex_unlock(&g->mutex);
	return n;
}

static void test_interval(void)
{
	bool ok;

	open_scene("interval,interval=1h");
	comes_new(&a);
	done(&a);
	comes_new(&e);
	await(waiting_for_interval() == 1);
	let(&a, TICKS);
	tap_ok(has_it(&a) && !is_asked(&a) && !forced(), "interval: nobody is asked before it is over");
	let(&a, BEGIN);
	done(&e);
	tell(&a, END);
	await(waiting_for_interval() == 1);
	let(&e, TICKS);
	tap_ok(has_it(&e) && !is_asked(&e) && !forced(), "interval: nor by one that comes back from blocking");
	close_scene();

	open_scene("interval,interval=1us");
	comes_new(&a);
	done(&a);
	ok = !is_asked(&a);
	comes_new(&e);
	await(is_asked(&a));
	tell(&a, TICK);
	done(&e);
	tap_ok(ok && has_it(&e) && !is_done(&a), "interval: then the holder is asked, and lets go at its next tick");
	await(is_asked(&e));
	let(&e, BEGIN);
	/* It has come back from its begin(), so somebody else has had it. */
	tap_ok(the_gil->interval.last == a.t, "interval: who was asked waits until another one has had it");
	done(&a);
	close_scene();
}

/* Several wait: all are served, and a switch to one sets the others' intervals anew. */
static void test_interval_many(void)
{
	int served = 0, i;

	open_scene("interval,interval=1us");
	comes_new(&a);
	done(&a);
	for (i = 1; i < ACTORS; i++)
		comes_new(actors[i]);
	await(waiting_for_interval() == ACTORS - 1);
	await(is_asked(&a));
	let(&a, BEGIN);
	while (served < ACTORS - 1) {
		for (i = 1; !is_done(actors[i]) || !has_it(actors[i]); i = 1 + i % (ACTORS - 1))
			nap();
		let(actors[i], BEGIN);
		served++;
	}
	tap_is(waiting_for_interval(), 0, "interval: all who wait have it in the end");
	close_scene();
}

/* --- priority ------------------------------------------------------------------------------------------------------- */

static unsigned int waiting_for_priority(bool io)
{
	struct tl__gil_priority *g = &the_gil->priority;
	unsigned int n;

	the_gil->wake->mutex_lock(&g->mutex);
	n = io ? g->io_waiting : g->cpu_waiting;
	the_gil->wake->mutex_unlock(&g->mutex);
	return n;
}

static void test_priority(void)
{
	bool ok;
	int n;

	open_scene("priority,ticks=10,yields=3");
	comes_new(&b);
	done(&b);
	let(&b, BEGIN);
	comes_new(&a);
	done(&a);
	n = ticks_until_forced(&a, 100);
	tap_ok(n > 100 && has_it(&a), "priority: nobody yields where nobody waits");
	comes_new(&e);
	await(waiting_for_priority(false) == 1);
	tell(&b, END);
	await(waiting_for_priority(true) == 1);
	let(&a, DETACH);
	comes_new(&a);	/* whatever its counters were */
	done(&b);
	tap_ok(has_it(&b) && !is_done(&e), "priority: who has blocked is before who computes, who came first");
	let(&b, BEGIN);
	done(&e);
	let(&e, DETACH);
	done(&a);
	ok = has_it(&a);
	comes_new(&e);
	await(waiting_for_priority(false) == 1);
	for (n = 1; n < 30; n++)
		let(&a, TICK);
	ok &= has_it(&a);
	tell(&a, TICK);
	done(&e);
	tap_ok(ok && has_it(&e) && !is_done(&a), "priority: who computes has one yield in `yields`, each `ticks` ticks");
	tell(&b, END);
	await(waiting_for_priority(true) == 1);
	for (n = 1; n < 10; n++)
		let(&e, TICK);
	ok = has_it(&e);
	tell(&e, TICK);
	done(&b);
	tap_ok(ok && has_it(&b), "priority: who has blocked has the first one");
	close_scene();
}

/* However often: one that computes does not get in between. */
static void test_priority_starves(void)
{
	bool ok = true;
	int i;

	open_scene("priority,ticks=1,yields=1");
	comes_new(&b);
	done(&b);
	let(&b, BEGIN);
	comes_new(&c);
	done(&c);
	let(&c, BEGIN);
	comes_new(&a);
	done(&a);
	tell(&b, END);
	await(waiting_for_priority(true) == 1);
	tell(&a, TICK);
	done(&b);
	for (i = 0; i < 20; i++) {
		tell(&c, END);
		await(waiting_for_priority(true) == 1);
		let(&b, BEGIN);
		done(&c);
		tell(&b, END);
		await(waiting_for_priority(true) == 1);
		let(&c, BEGIN);
		done(&b);
		ok &= has_it(&b) && !is_done(&a);
	}
	tap_ok(ok, "priority: nothing bounds that");
	let(&b, BEGIN);
	done(&a);
	close_scene();
}

/* --- ticks ------------------------------------------------------------------------------------------------------------ */

static void test_ticks(void)
{
	int n, m;

	open_scene("ticks,ticks=7");
	comes_new(&a);
	done(&a);
	n = ticks_until_forced(&a, 100);
	m = ticks_until_forced(&a, 100);
	tap_ok(n == 7 && m == 7 && has_it(&a), "ticks: let go of every so many ticks, and taken again");
	let(&a, TICK);
	let(&a, BEGIN);
	let(&a, END);
	n = ticks_until_forced(&a, 100);
	tap_is(n, 7, "ticks: counted anew by one who comes back");
	close_scene();
}

int main(void)
{
	tap_plan(12);
	cast();
	test_interval();
	test_interval_many();
	test_priority();
	test_priority_starves();
	test_ticks();
	dismiss();
	return tap_exit();
}
