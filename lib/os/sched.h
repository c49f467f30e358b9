/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * How the kernel schedules the calling thread: its policy, nice value and slice, and on
 * which processors.
 */
#ifndef TL_OS_SCHED_H
#define TL_OS_SCHED_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

/* That of schedulers in BPF (sched_ext); the C library's headers do not have it yet. */
#define TL__SCHED_EXT 7

/* What the thread makes is scheduled as any: it inherits none of this. */
#define TL__SCHED_RESET_ON_FORK UINT64_C(1)

/* The slices that the kernel takes (Linux 6.12); it makes others one of these. */
#define TL__SCHED_SLICE_MIN_NS UINT64_C(100000)
#define TL__SCHED_SLICE_MAX_NS UINT64_C(100000000)

/* The kernel's struct sched_attr, as it was first. */
struct tl__sched {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;		/* of policies that are not real-time */
	uint32_t priority;	/* of those that are */
	uint64_t slice_ns;	/* of SCHED_OTHER; reads as 0 before Linux 6.12 */
	uint64_t deadline_ns, period_ns;
};

/* 0 or -errno. errno is kept, by all of these. */
int tl__sched_get(struct tl__sched *s);

/*
 * Who is not allowed to take it away again keeps TL__SCHED_RESET_ON_FORK. A kernel
 * that knows no slices ignores them.
 */
int tl__sched_set(const struct tl__sched *s);

/* Whether they are the same, but for the flags. */
bool tl__sched_is(const struct tl__sched *a, const struct tl__sched *b);

/*
 * tl__sched_pin(): to that processor and no other; @before: where it might run. Returns
 * 0; -ENODEV: it can't run there; or -errno. tl__sched_unpin(): as it was, unless
 * somebody else has changed it.
 */
int tl__sched_pin(int processor, cpu_set_t *before);
void tl__sched_unpin(int processor, const cpu_set_t *before);

#endif
