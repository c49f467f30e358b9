/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The floor: what CPU threads get of a GIL however many IO threads there are.
 *
 * Owns owed_ns, stamp_ns and cpu_phase of a GIL. Time counts while a CPU thread
 * holds the GIL or waits for it. In that time they are due floor %; owed_ns is what
 * they are due minus what they had. When it exceeds SLACK, IO threads have to stand
 * back until it is paid (cpu_phase). It never falls below -CREDIT, so that a long
 * time without IO does not give IO threads a long time without CPU threads. Hence
 * the bound, over any stretch of time T in which CPU threads want the GIL all the
 * time and take it when it is theirs:
 *
 *	they have it for at least floor * T - (SLACK + CREDIT) - D
 *
 * where D is the time that holders of the last phase take to see that they should
 * drop it, or their threads to be run. Time in which an IO thread does not come
 * back from native code that keeps the GIL can't be bounded by anybody.
 */
#include "preload/gil.h"

#define SLACK_NS INT64_C(300000)
#define CREDIT_NS INT64_C(3000000)

unsigned int tl__cpu_floor = 30;
struct tl__gil_stats tl__gil_stats;

bool tl__gil_cpu_holds(const struct tl__gil *g, uint64_t now)
{
	return g->held && now - g->taken_ns + g->burst_ns >= TL__IO_BURST_NS;
}

void tl__gil_account(struct tl__gil *g, uint64_t now)
{
	int64_t dt = (int64_t)(now - g->stamp_ns);
	bool cpu_holds = tl__gil_cpu_holds(g, now);

	if (dt <= 0)
		return;
	g->stamp_ns = now;
	if (!(cpu_holds || g->cpu_waiters))
		return;
	tl__gil_stat_add(wanted_ns, (uint64_t)dt);
	if (cpu_holds)
		tl__gil_stat_add(cpu_ns, (uint64_t)dt);
	if (dt > 100 * CREDIT_NS)
		dt = 100 * CREDIT_NS;
	if (cpu_holds)
		g->owed_ns -= dt * (100 - tl__cpu_floor) / 100;
	else
		g->owed_ns += dt * tl__cpu_floor / 100;
	if (g->owed_ns < -CREDIT_NS)
		g->owed_ns = -CREDIT_NS;
	if (g->owed_ns > SLACK_NS) {
		if (!g->cpu_phase)
			tl__gil_stat(phases);
		g->cpu_phase = true;
	} else if (g->owed_ns <= 0) {
		g->cpu_phase = false;
	}
}

uint64_t tl__gil_phase_end(const struct tl__gil *g, uint64_t now)
{
	if (!g->cpu_phase || g->owed_ns <= 0)
		return now;
	return now + (uint64_t)g->owed_ns * 100 / (100 - tl__cpu_floor);
}
