/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The semaphores of the probes, and the one probe that is called; see probe.h.
 *
 * The kernel is told where in the file a semaphore is, and writes to the
 * process's own copy of that page: so they lie in a section with contents. They
 * have a cache line to themselves, which nobody writes to as long as tracers
 * don't come and go.
 */
#include "base/probe.h"

#if TL__PROBES

#define PLACE __attribute__((section(".probes"), no_reorder, used))
#define LINE __attribute__((aligned(64)))

/* Nothing but the limits of that line. */
static char line_begin[0] PLACE LINE;

/* 1: as if somebody listened to all of them. For tests of what is slow then. */
#ifndef TL__PROBES_HEARD
#define TL__PROBES_HEARD 0
#endif
#define DEFINE(name, args) \
	unsigned short tasklet_##name##_semaphore PLACE = TL__PROBES_HEARD;
TL__EACH_PROBE(DEFINE)

static char line_end[0] PLACE LINE;

extern uint32_t tl__probe_switch_word
	__attribute__((alias("tasklet_task_switch_semaphore")));

tl__cold void tl__probe_wake_fire(uint64_t kind, const volatile void *address,
				  int64_t count)
{
	STAP_PROBE3(tasklet, wake, kind, address, count);
}

#else

/* A file of C has to have something in it. */
extern const char tl__no_probes;

#endif
