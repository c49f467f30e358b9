/* SPDX-License-Identifier: GPL-2.0-only OR LGPL-2.1-or-later OR MIT */
/*
 * The rows of gilhandoff and iopri: shared by the programs in the kernel and their
 * readers. Times are nanoseconds.
 */
#ifndef TL_BPF_GIL_H
#define TL_BPF_GIL_H

#include "hist.h"

/* What a thread comes for the lock as; as enum tl_gil_class. */
enum gil_class {
	GIL_CPU,	/* it had to give it up while it computed, or is new */
	GIL_IO,		/* it comes back from a call that may block */
	GIL_CLASSES
};

struct gil_key {
	__u32 tgid;
	__u32 tid;		/* 0: all of the process's threads */
	__u32 class;		/* enum gil_class */
};

/*
 * The parts of a handoff, from its release by the last holder to the next one's
 * having it, of a waiter that slept: until its wake-up begins, until it is in a run
 * queue, until it runs, until it has the lock.
 */
enum gil_part { GIL_RELEASE, GIL_WAKE, GIL_QUEUE, GIL_TAKE, GIL_PARTS };

/* Each row begins with the name of the thread that came first: rows.bpf.h. */
struct gil_row {
	char comm[16];
	struct tl_bpf_hist wait;
	struct tl_bpf_hist hold;
	struct tl_bpf_hist handoff;
	struct tl_bpf_hist part[GIL_PARTS];
	__u64 forced;		/* releases that were asked for, by those that came back */
	__u64 convoy;		/* waits from one to two intervals long */
};

/* Who held the lock, and where, for how long while an IO thread waited. */
struct gil_stack_key {
	__u32 tgid;
	__u32 tid;
	__s32 stack;		/* in gil_stacks; negative: there is none */
	__u32 reserved;
	__u64 caller;		/* where the function was called that a probe is at; or 0 */
};

struct gil_stack {
	char comm[16];
	__u64 ns;
	__u64 count;
};

#define GIL_STACK_DEPTH 24

/* iopri: one for each process. */
struct iopri_row {
	char comm[16];
	struct tl_bpf_hist queue[GIL_CLASSES];	/* run-queue wait of the next owner */
	__u64 served[GIL_CLASSES];
	/* A CPU thread got the lock while an IO thread had waited for longer. */
	__u64 overtaken;
	/* The next owner was ready, and its processor ran a thread without the lock. */
	__u64 inverted;
	__u64 inverted_ns;
};

#endif
