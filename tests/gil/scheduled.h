/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * scheduled.h: how the kernel schedules a thread, as others see it.
 */
#ifndef TESTS_GIL_SCHEDULED_H
#define TESTS_GIL_SCHEDULED_H

#include <sys/syscall.h>

#include "gil.h"
#include "gil/gil.h"

struct scheduled {
	struct tl__sched by;
	cpu_set_t on;
};

/* @tid 0: the caller. */
static UNUSED struct scheduled scheduled(int tid)
{
	struct scheduled s = { 0 };

	if (syscall(SYS_sched_getattr, tid, &s.by, sizeof(s.by), 0) || sched_getaffinity(tid, sizeof(s.on), &s.on))
		tap_bail("how %d is scheduled can't be seen", tid);
	return s;
}

static UNUSED bool is_same(const struct scheduled *s, const struct scheduled *to)
{
	return tl__sched_is(&s->by, &to->by) && s->by.flags == to->by.flags && CPU_EQUAL(&s->on, &to->on);
}

static UNUSED void show(const char *who, const struct scheduled *s)
{
	tap_diag("%s: policy %u, flags %#llx, nice %d, priority %u, slice %llu ns, on %d processors", who, s->by.policy,
		 (unsigned long long)s->by.flags, s->by.nice, s->by.priority, (unsigned long long)s->by.slice_ns,
		 CPU_COUNT(&s->on));
}

/* Whether the calling thread is scheduled so now. */
static UNUSED bool is_still(const struct scheduled *before)
{
	struct scheduled now = scheduled(0);

	return is_same(&now, before);
}

/* Of a lock that is made for this: the thread comes in, and leaves. */
static UNUSED int try_attach(const char *spec)
{
	struct tl_gil *gil = new_gil(spec);
	int r = tl_gil_attach(gil);

	if (!r)
		tl_gil_detach();
	tl_gil_free(gil);
	return r;
}

#endif
