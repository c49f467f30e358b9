/* SPDX-License-Identifier: GPL-2.0-only OR LGPL-2.1-or-later OR MIT */
/*
 * What the tracers are told, in a map of one element, and what they could not
 * count. All zero bytes are settings that are of use: all processes, together.
 * So an object can be loaded without a loader of ours.
 */
#ifndef TL_BPF_SETTINGS_H
#define TL_BPF_SETTINGS_H

#ifndef __VMLINUX_H__	/* which has these types for the kernel's side */
#include <linux/types.h>
#endif

struct tl_trace_settings {
	__u32 tgid;		/* only this process; 0: all */
	__u32 by_thread;	/* a row for each thread, not for each process */
	__u64 interval_ns;	/* of the global lock; 0: 5 ms */
	__u32 off;		/* nothing is counted */
	__u32 after_exec;	/* nor a process's first thread before its exec */
	__u32 says;		/* threads that wake say more of it: by probes, at system calls */
	__u32 reserved;
};

enum tl_trace_counter {
	TL_TRACE_EVENTS,	/* that were counted */
	/* All others are of what was lost. */
	TL_TRACE_LOST_STATE,	/* no room to remember the beginning */
	TL_TRACE_LOST_ROWS,	/* no room for one more row */
	TL_TRACE_LOST_SWITCHES,	/* the kernel did not tell of a switch, but it must have been */
	TL_TRACE_COUNTERS
};

#endif
