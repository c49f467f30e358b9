/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The policy "handoff" from the inside: who is next, who is asked when, what is kept, and what bounds it for those that
 * compute. Times are set so short that they have passed, or so long that they never do.
 */
#include "actors.h"

#define NEVER "handoff,interval=1h,starve=1h,slice=1h,least=1us"

/* It is out, and anybody may take it. */
static void goes_out(struct actor *actor)
{
	comes_new(actor);
	done(actor);
	let(actor, BEGIN);
}

/* Comes back, and has to wait for it as one that has blocked. */
static void comes_back(struct actor *actor)
{
	tell(actor, END);
	await(place(actor, TL_GIL_IO) || place(actor, TL_GIL_CPU));
}

static void comes_to_compute(struct actor *actor)
{
	comes_new(actor);
	await(place(actor, TL_GIL_CPU));
}

/* Ticks until it is made to let go: at a tick that it then goes on after, it has it not for a moment. */
static void tick_away(struct actor *actor)
{
	while (!place(actor, TL_GIL_CPU)) {
		if (is_done(actor))
			tell(actor, TICK);
		nap();
	}
}

/* --- IO threads ------------------------------------------------------------------------------------------------------- */

static void test_next_tick(void)
{
	bool ok;

	open_scene(NEVER);
	goes_out(&b);
	comes_new(&a);
	done(&a);	/* took what b keeps */
	ok = has_it(&a) && !is_asked(&a) && !has_it(&b);
	comes_back(&b);
	ok &= place(&b, TL_GIL_IO) == 1;
	await(is_asked(&a));
	tell(&a, TICK);	/* one */
	done(&b);
	tap_ok(ok && has_it(&b) && !is_done(&a) && place(&a, TL_GIL_CPU) == 1,
	       "one that comes back has it at the holder's next tick");
	let(&b, BEGIN);
	done(&a);
	tap_ok(has_it(&a) && !has_it(&b) && !b.t->kept, "and when it blocks, the holder goes on");
	close_scene();
}

static void test_first_come(void)
{
	bool ok;

	open_scene(NEVER);
	goes_out(&b);
	goes_out(&c);
	goes_out(&d);
	comes_new(&a);
	done(&a);
	comes_back(&c);
	comes_back(&b);
	comes_back(&d);
	ok = place(&c, TL_GIL_IO) == 1 && place(&b, TL_GIL_IO) == 2 && place(&d, TL_GIL_IO) == 3;
	tell(&a, TICK);
	done(&c);
	ok &= has_it(&c) && !is_done(&b) && !is_done(&d);
	let(&c, BEGIN);
	done(&b);
	ok &= has_it(&b) && !is_done(&d) && !is_done(&a);
	let(&b, BEGIN);
	done(&d);
	ok &= has_it(&d) && !is_done(&a);
	let(&d, BEGIN);
	done(&a);
	tap_ok(ok && has_it(&a), "those that come back: first come, first served, before one that computes");
	close_scene();
}

/* One that came back and stays is asked as well, after its grace. */
static void test_stays(void)
{
	bool ok;

	open_scene(NEVER);
	goes_out(&b);
	goes_out(&c);
	comes_new(&a);
	done(&a);
	comes_back(&b);
	comes_back(&c);
	tell(&a, TICK);
	done(&b);
	tick_away(&b);
	done(&c);
	ok = has_it(&c) && place(&a, TL_GIL_CPU) == 2;
	tap_ok(ok && place(&b, TL_GIL_CPU) == 1, "one that came back and computes is made to let go, and is one that computes");
	close_scene();
}

/* --- turns ------------------------------------------------------------------------------------------------------------ */

static void scene_interrupted(const char *spec)
{
	open_scene(spec);
	goes_out(&b);
	comes_new(&a);
	done(&a);
	comes_to_compute(&e);
	comes_back(&b);
	tell(&a, TICK);
	done(&b);
}

static void test_turns(void)
{
	scene_interrupted(NEVER);
	tap_ok(has_it(&b) && place(&a, TL_GIL_CPU) == 1 && place(&e, TL_GIL_CPU) == 2,
	       "one that had to give way is the first again for the rest of its turn");
	close_scene();
	scene_interrupted("handoff,interval=1us,starve=1h,slice=1h,least=1us");
	tap_ok(has_it(&b) && place(&e, TL_GIL_CPU) == 1 && place(&a, TL_GIL_CPU) == 2, "and is the last when that is over");
	close_scene();
}

static void test_interval(void)
{
	bool ok;

	open_scene(NEVER);
	comes_new(&a);
	done(&a);
	comes_to_compute(&e);
	let(&a, TICKS);
	ok = has_it(&a) && !is_asked(&a) && stats_of(the_gil).forced == 0;
	tap_ok(ok, "one that computes is not asked by another before its turn is over");
	tell(&a, YIELD);
	done(&e);
	tap_ok(has_it(&e) && place(&a, TL_GIL_CPU) == 1, "but may yield");
	let(&e, BEGIN);
	done(&a);
	tap_ok(a.gave && has_it(&a), "and has it again");
	close_scene();

	open_scene("handoff,interval=1us,starve=1h,slice=1h,least=1us");
	comes_new(&a);
	done(&a);
	comes_to_compute(&e);
	await(is_asked(&a));
	tell(&a, TICK);
	done(&e);
	ok = has_it(&e);
	await(is_asked(&e));
	tell(&e, TICK);
	done(&a);
	tap_ok(ok && has_it(&a) && stats_of(the_gil).forced >= 1, "then it is, and they take turns");
	close_scene();
}

/* --- what is kept ----------------------------------------------------------------------------------------------------- */

static void test_kept(void)
{
	struct tl_gil_stats s;

	open_scene(NEVER);
	comes_new(&a);
	done(&a);
	let(&a, BEGIN);
	tap_ok(a.t->kept && !has_it(&a), "where nobody waits a call keeps it");
	let(&a, END);
	s = stats_of(the_gil);
	tap_ok(has_it(&a) && s.kept == 1 && s.stolen == 0 && s.waits[TL_GIL_IO].count == 0, "and has it again for nothing");
	let(&a, BEGIN);
	comes_new(&b);
	done(&b);
	tap_ok(has_it(&b) && !stats_of(the_gil).waits[TL_GIL_CPU].count, "whoever arrives takes it, without a wait");
	comes_back(&a);
	s = stats_of(the_gil);
	tap_ok(!has_it(&a) && s.kept == 1 && s.stolen == 1 && place(&a, TL_GIL_IO), "and the call has blocked after all");
	let(&b, BEGIN);
	done(&a);
	tap_ok(has_it(&a) && !b.t->kept, "nothing is kept from one that comes back");
	close_scene();
}

static struct tl__gil_sites *sites(void)
{
	return &the_gil->handoff.sites;
}

/* All places are as if those who left there had come back soon. */
static void teach_soon(void)
{
	int i;

	for (i = 0; i < TL__GIL_SITES; i++)
		atomic_store(&sites()->sites[i].counter, 7);
}

/* Those who left at @site have not. */
static void teach_long(uintptr_t site)
{
	int i;

	for (i = 0; i < 8; i++) {
		atomic_store(&sites()->site, site);
		atomic_store(&sites()->left_ns, 1);
		tl__gil_sites_idle(sites());
	}
}

/* a holds it, and e, who computes, waits for it. */
static void scene_watched(void)
{
	comes_new(&a);
	done(&a);
	comes_to_compute(&e);
}

static void leave_both(void)
{
	let(&a, DETACH);
	done(&e);
	let(&e, DETACH);
}

static void test_sites(void)
{
	uintptr_t here, there;

	open_scene(NEVER);
	scene_watched();
	let(&a, BEGIN);
	done(&e);
	here = atomic_load(&sites()->site);
	tap_ok(!a.t->kept && has_it(&e), "a place nobody knows gives it away where somebody waits");
	leave_both();

	teach_soon();
	scene_watched();
	let(&a, BEGIN);
	tap_ok(a.t->kept, "one where the last ones were back soon keeps it");
	done(&e);	/* which looks by itself, every now and then */
	tap_ok(has_it(&e), "until the first that waits finds that this one is not");
	leave_both();

	teach_soon();
	teach_long(here);
	scene_watched();
	let(&a, BEGIN);
	done(&e);
	tap_ok(!a.t->kept && has_it(&e), "one where they were not gives it away at once");
	leave_both();

	teach_soon();
	teach_long(here);
	scene_watched();
	let(&a, BEGIN_THERE);
	there = atomic_load(&sites()->site);
	tap_ok(a.t->kept && there != here, "that was another place than this");
	done(&e);
	leave_both();

	teach_soon();
	goes_out(&b);
	comes_new(&a);
	done(&a);
	comes_back(&b);
	let(&a, BEGIN);
	done(&b);
	tap_ok(!a.t->kept && has_it(&b), "no place keeps it if one that has blocked waits");
	close_scene();
}

/* What is learnt, by the time until somebody is back: whoever it is. */
static void test_learns(void)
{
	uintptr_t here;
	int i;

	open_scene(NEVER);
	teach_soon();
	for (i = 0; i < 8; i++) {
		scene_watched();
		let(&a, BEGIN);
		done(&e);
		nap();	/* longer than any hand-over is worth */
		tell(&a, END);
		await(place(&a, TL_GIL_IO));
		let(&e, DETACH);
		done(&a);
		let(&a, DETACH);
	}
	here = atomic_load(&sites()->site);
	scene_watched();
	let(&a, BEGIN);
	tap_ok(!a.t->kept && here, "a place at which they are not back soon is known as such");
	done(&e);
	close_scene();
}

/* --- what bounds it --------------------------------------------------------------------------------------------------- */

/* a computes and waits, owed a slice; b has it, and has come back. */
static void scene_owed(const char *spec)
{
	open_scene(spec);
	goes_out(&b);
	goes_out(&c);
	comes_new(&a);
	done(&a);
	comes_back(&b);
	tell(&a, TICK);
	done(&b);
	nap();	/* longer than starve=1us */
}

static void test_owed(void)
{
	scene_owed("handoff,interval=1h,starve=1us,slice=1h,least=1us");
	comes_back(&c);
	let(&b, BEGIN);
	done(&a);
	tap_ok(has_it(&a) && place(&c, TL_GIL_IO) == 1, "one that is owed a slice is before those that come back");
	let(&a, TICKS);
	tap_ok(has_it(&a) && place(&c, TL_GIL_IO) == 1, "and keeps it so long");
	close_scene();

	scene_owed(NEVER);
	comes_back(&c);
	let(&b, BEGIN);
	done(&c);
	tap_ok(has_it(&c) && !is_done(&a), "one that is owed nothing is not");
	close_scene();

	scene_owed("handoff,interval=1h,starve=1us,slice=1us,least=1us");
	comes_back(&c);
	let(&b, BEGIN);
	done(&a);
	tick_away(&a);
	done(&c);
	tap_ok(has_it(&c), "when it is over others have it");
	close_scene();
}

/* However it comes that it has it: nobody waits at that moment. */
static void test_owed_alone(void)
{
	scene_owed("handoff,interval=1h,starve=1us,slice=1h,least=1us");
	let(&b, BEGIN);
	done(&a);
	comes_back(&b);
	tell(&a, TICKS);
	/* `holds` is false for a moment in each look. */
	await(is_done(&a) || place(&a, TL_GIL_CPU));
	tap_ok(has_it(&a) && place(&b, TL_GIL_IO) == 1, "one that is owed a slice has it beside a single one that blocks");
	close_scene();
}

/* Two compute, both are owed: not the same one again and again. */
static void test_owed_two(void)
{
	scene_owed("handoff,interval=1h,starve=1us,slice=1us,least=1us");
	comes_to_compute(&e);
	comes_back(&c);
	let(&b, BEGIN);
	done(&a);
	tick_away(&a);
	done(&e);
	tap_ok(has_it(&e) && place(&c, TL_GIL_IO) == 1, "after its slice it is another one's turn, if that is owed one");
	close_scene();
}

/* Ticks that it looked away for are over with the slice. */
static void test_looks_again(void)
{
	uint64_t soon;

	scene_owed("handoff,interval=1h,starve=1us,slice=1h,least=1us");
	comes_back(&c);
	let(&b, BEGIN);
	done(&a);
	let(&a, TICK);
	let(&a, BEGIN);
	done(&c);
	let(&c, BEGIN);
	let(&a, END);	/* has blocked, and has some time without being asked */
	soon = tl_now() + MS;
	await(tl_now() > soon);
	comes_back(&b);
	await(is_asked(&a));
	tell(&a, TICK);
	/* `holds` is false for a moment in each look. */
	await(is_done(&a) || place(&a, TL_GIL_CPU));
	tap_ok(!has_it(&a), "one that looked away during its slice looks at once after it");
	close_scene();
}

/* A slice is not inherited by one who finds the lock free. */
static void test_slice_ends(void)
{
	scene_owed("handoff,interval=1h,starve=1us,slice=1h,least=1us");
	let(&b, BEGIN);
	done(&a);
	let(&a, DETACH);
	comes_new(&d);
	done(&d);
	comes_back(&b);
	tell(&d, TICKS);
	await(is_done(&d) || place(&d, TL_GIL_CPU));
	tap_ok(!has_it(&d), "a slice ends with the one who had it");
	close_scene();
}

/* One who computes has it for a while before it gives way; `least` says how long. */
static void test_least(void)
{
	open_scene("handoff,interval=1h,starve=1h,slice=1h,least=1h");
	goes_out(&b);
	comes_new(&a);
	done(&a);
	comes_back(&b);
	let(&a, TICKS);
	tap_ok(has_it(&a) && !has_it(&b), "one who has just begun to compute does not give way");
	let(&a, BEGIN);
	done(&b);
	tap_ok(has_it(&b), "but when it blocks");
	close_scene();
}

static void scene_hog(const char *spec)
{
	open_scene(spec);
	comes_new(&a);
	done(&a);
	comes_to_compute(&e);
	nap();	/* longer than slice=1us */
	let(&a, BEGIN);
	done(&e);
	comes_back(&a);
}

static void test_hog(void)
{
	scene_hog("handoff,interval=1h,starve=1h,slice=1us,least=1us");
	tap_ok(place(&a, TL_GIL_CPU) == 1, "one that had it for long while others waited comes back as one that computes");
	close_scene();
	scene_hog(NEVER);
	tap_ok(place(&a, TL_GIL_IO) == 1, "one that had it for a short time as one that has blocked");
	close_scene();
}

int main(void)
{
	tap_plan(34);
	cast();
	test_next_tick();
	test_first_come();
	test_stays();
	test_turns();
	test_interval();
	test_kept();
	test_sites();
	test_learns();
	test_owed();
	test_owed_alone();
	test_owed_two();
	test_looks_again();
	test_slice_ends();
	test_least();
	test_hog();
	dismiss();
	return tap_exit();
}
