/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The floor of CPU threads, with a clock of its own: against IO threads that take the
 * GIL whenever they may, the bound that gil-floor.c states holds in every window, for
 * each floor, with drops that come late.
 */
#include <tap.h>

#include "preload/gil.h"

#define US UINT64_C(1000)
#define MS (1000 * US)
#define STEPS 400000

/* What gil-floor.c says that it may fall behind by. */
#define BEHIND (300 * US + 3 * MS)

static uint64_t seed = 1;

static uint64_t below(uint64_t n)
{
	seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (seed >> 33) % n;
}

struct world {
	struct tl__gil g;
	uint64_t now, cpu_ns;	/* what CPU threads had */
	uint64_t late_max;	/* how late a holder drops it, at most */
};

static void hold(struct world *w, bool cpu, uint64_t ns)
{
	tl__gil_account(&w->g, w->now);
	w->g.held = true;
	w->g.taken_ns = w->now;
	w->g.burst_ns = cpu ? TL__IO_BURST_NS : 0;
	w->g.cpu_waiters = !cpu;
	w->now += ns;
	w->cpu_ns += cpu ? ns : 0;
	tl__gil_account(&w->g, w->now);
	w->g.held = false;
	/* As a CPU thread that has dropped it waits for it again. */
	w->g.cpu_waiters = 1;
}

/* An IO thread holds it up to 100 us; a CPU thread until IO may ask, and a bit. */
static void step(struct world *w)
{
	uint64_t late = below(w->late_max + 1), wants;

	if (!w->g.cpu_phase) {
		hold(w, false, 1 + below(100 * US));
		return;
	}
	wants = tl__gil_phase_end(&w->g, w->now) - w->now;
	hold(w, true, wants + late + 1);
}

static void test_floor(unsigned int floor, uint64_t late_max)
{
	static uint64_t times[STEPS + 1], had[STEPS + 1];
	struct world w = { .now = 1000 * MS, .late_max = late_max };
	long worst = 0, behind;
	int i, j, first = 0;

	tl__cpu_floor = floor;
	w.g.stamp_ns = w.now;
	w.g.cpu_waiters = 1;
	for (i = 0; i <= STEPS; i++) {
		times[i] = w.now;
		had[i] = w.cpu_ns;
		step(&w);
	}
	/* The worst window ends at i; it begins where the debt was least. */
	for (i = 1; i <= STEPS; i++) {
		j = first;
		behind = (long)((times[i] - times[j]) * floor / 100) -
			 (long)(had[i] - had[j]);
		if (behind < 0)
			first = i;
		if (behind > worst)
			worst = behind;
	}
	/* One hold of an IO thread may be under way. */
	tap_ok(worst <= (long)(BEHIND + 100 * US), "floor %u%%, drops up to %ju us late: "
	       "never more than %ju us behind (%ld)", floor, (uintmax_t)(late_max / US),
	       (uintmax_t)(BEHIND / US), worst / 1000);
	tap_ok((w.cpu_ns + BEHIND) * 100 >= (w.now - 1000 * MS) * floor,
	       "... %ju ms of %ju in all", (uintmax_t)(w.cpu_ns / MS),
	       (uintmax_t)(w.now / MS - 1000));
	if (late_max == 0)
		tap_ok(w.cpu_ns * 100 <= (w.now - 1000 * MS) * (floor + 2),
		       "... and no more than that while IO threads want it");
}

/* Nothing is owed while nobody wants it, or while CPU threads have it anyway. */
static void test_nothing_owed(void)
{
	struct world w = { .now = 1000 * MS };
	int i;

	tl__cpu_floor = 30;
	w.g.stamp_ns = w.now;
	for (i = 0; i < 1000; i++) {
		tl__gil_account(&w.g, w.now += MS);
		if (w.g.cpu_phase)
			break;
	}
	tap_is(i, 1000, "no CPU thread, no phase");
	hold(&w, true, 1000 * MS);
	tap_ok(!w.g.cpu_phase, "a CPU thread alone is owed nothing");
	w.g.held = false;
	w.g.cpu_waiters = 1;
	for (i = 0; !w.g.cpu_phase && i < 1000; i++)
		hold(&w, false, 100 * US);
	tap_ok(i >= 100 && i <= 120, "a long time alone is credit for 11 ms of IO (%d00 us)",
	       i);
	tl__cpu_floor = 0;
	w.g.cpu_phase = false;
	w.g.owed_ns = 0;
	for (i = 0; !w.g.cpu_phase && i < 1000; i++)
		hold(&w, false, 100 * US);
	tap_is(i, 1000, "a floor of 0 is none");
}

int main(void)
{
	static const unsigned int floors[] = { 1, 10, 30, 50, 90 };
	unsigned int i;

	tap_plan(5 * 5 + 4);
	for (i = 0; i < 5; i++) {
		test_floor(floors[i], 0);
		test_floor(floors[i], 500 * US);
	}
	test_nothing_owed();
	return tap_exit();
}
