/* SPDX-License-Identifier: GPL-2.0-only OR LGPL-2.1-or-later OR MIT */
/* The rows of wakelat: shared by the programs in the kernel and their readers. */
#ifndef TL_BPF_WAKELAT_H
#define TL_BPF_WAKELAT_H

#include "hist.h"

/* What the thread that is woken waits in. */
enum wakelat_primitive {
	WAKELAT_OTHER,		/* nothing of these, and page faults and the like */
	WAKELAT_FUTEX,		/* a futex, and no more is known of it */
	WAKELAT_SEMAPHORE,	/* sem_t */
	WAKELAT_PTHREAD_COND,
	WAKELAT_TL_COND,	/* ours: lib/wake, and libtasklet-preload */
	WAKELAT_TL_MUTEX,
	WAKELAT_TL_SEMAPHORE,
	WAKELAT_TASKLET,	/* a scheduler that sleeps on its futex word */
	WAKELAT_EVENTFD,
	WAKELAT_PIPE,
	WAKELAT_SOCKET,
	WAKELAT_IO_URING,
	WAKELAT_EPOLL,
	WAKELAT_POLL,		/* and select */
	WAKELAT_SLEEP,
	WAKELAT_PRIMITIVES
};

struct wakelat_key {
	__u32 tgid;
	__u32 tid;		/* 0: all of the process's threads */
	__u8 primitive;
	__u8 cross;		/* woken from another processor than it then ran on */
	__u8 preempted;		/* somebody else had to stop running for it */
	__u8 reserved;
};

/*
 * Nanoseconds. Total is from the wake-up's beginning, in the waker, to the thread's
 * being switched in; of that, issue is until it is in a run queue, and queue the rest.
 * Call is the time around that: from the waker's entering its system call to the other
 * one's return from that in which it slept, where both were seen.
 */
struct wakelat_row {
	char comm[16];		/* of the thread that came first */
	struct tl_bpf_hist total;
	struct tl_bpf_hist issue;
	struct tl_bpf_hist queue;
	struct tl_bpf_hist call;
};

#endif
