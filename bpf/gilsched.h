/* SPDX-License-Identifier: GPL-2.0-only OR LGPL-2.1-or-later OR MIT */
/*
 * What the scheduler and its loader share: what it is told, what it counts, and how
 * it ended.
 */
#ifndef TL_BPF_GILSCHED_H
#define TL_BPF_GILSCHED_H

#include <linux/types.h>

/* The queues, in the order in which they are served; each has its rank's number. */
enum gilsched_rank {
	GILSCHED_IO,		/* comes back from a call that may block */
	GILSCHED_GIL,		/* waited for a global lock, as one that computes */
	GILSCHED_OWNER,		/* has one */
	GILSCHED_CPU,		/* all others */
	GILSCHED_RANKS
};

/* A thread's class by hand; the map `tl_marks`, by thread. */
enum gilsched_mark {
	GILSCHED_UNMARKED,
	GILSCHED_MARK_CPU,
	GILSCHED_MARK_IO,
};

struct gilsched_settings {
	__u64 slice_ns;
	__u64 starve_ns;
	__u32 hold;		/* for tests: whoever comes is never run */
	__u32 cpus;		/* possible ones */
};

struct gilsched_stats {
	__u64 dispatched[GILSCHED_RANKS];
	__u64 starved;		/* dispatched because they had waited too long */
	__u64 kicks;		/* a thread had to stop for another one */
	__u64 spared;		/* ... did not, for it has the lock that the other one waits for */
	__u64 used_up;		/* IO threads that computed for a slice */
	__u64 asked, left;	/* threads that came under it, and that went */
};

struct gilsched_exit {
	__s32 kind;		/* the kernel's enum scx_exit_kind; 0: it runs */
	__u32 reserved;
	__s64 code;
	char reason[64];
	char message[512];
};

/* Of the kernel's kinds: its loader has taken it away; and errors, from here on. */
#define GILSCHED_EXIT_UNREG	64
#define GILSCHED_EXIT_ERROR	1024

#define GILSCHED_NAME "tasklet_gil"

#endif
