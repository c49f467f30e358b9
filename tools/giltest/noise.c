/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What else went on, from /proc/stat: all processors' time that was neither idle nor
 * ours. The kernel's own work for us, behind interrupts, counts as others'.
 */
#include "noise.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/num.h"
#include "os/clock.h"

static uint64_t cpu_time(clockid_t clock)
{
	struct timespec ts;

	if (clock_gettime(clock, &ts))
		return 0;
	return (uint64_t)ts.tv_sec * TL__NS_PER_S + (uint64_t)ts.tv_nsec;
}

static bool take(struct noise *n, pid_t child)
{
	uint64_t user, nice, sys, idle, io, irq, soft, steal, hz;
	FILE *f = fopen("/proc/stat", "re");
	clockid_t clock;
	int found;

	if (!f)
		return false;
	found = fscanf(f, "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
		       " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
		       &user, &nice, &sys, &idle, &io, &irq, &soft, &steal);
	fclose(f);
	if (found != 8)
		return false;
	hz = (uint64_t)sysconf(_SC_CLK_TCK);
	n->at_ns = tl__now();
	n->busy_ns = (user + nice + sys + irq + soft) * TL__NS_PER_S / hz;
	n->stolen_ns = steal * TL__NS_PER_S / hz;
	n->own_ns = cpu_time(CLOCK_PROCESS_CPUTIME_ID);
	if (!clock_getcpuclockid(child, &clock))
		n->own_ns += cpu_time(clock);
	return true;
}

void noise_begin(struct noise *n, pid_t child)
{
	n->others = n->stolen = NAN;
	if (!take(n, child))
		n->at_ns = 0;
}

void noise_end(struct noise *n, pid_t child)
{
	struct noise now;
	double all;

	if (!n->at_ns || !take(&now, child) || now.at_ns == n->at_ns)
		return;
	all = (double)(now.at_ns - n->at_ns) *
	      (double)sysconf(_SC_NPROCESSORS_ONLN);
	n->stolen = (double)(now.stolen_ns - n->stolen_ns) / all;
	n->others = ((double)(now.busy_ns - n->busy_ns) -
		     (double)(now.own_ns - n->own_ns)) / all;
	/* The two clocks don't tick together. */
	n->others = fmax(n->others, 0);
}
