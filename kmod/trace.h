/* SPDX-License-Identifier: GPL-2.0-only */
/* The module's trace event: tasklet:tasklet_handoff, when one that was woken goes on. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM tasklet

#if !defined(KMOD_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define KMOD_TRACE_H

#include <linux/tracepoint.h>

TRACE_EVENT(tasklet_handoff,
	TP_PROTO(u64 slot, u64 latency_ns),
	TP_ARGS(slot, latency_ns),
	TP_STRUCT__entry(
		__field(u64, slot)
		__field(u64, latency_ns)
	),
	TP_fast_assign(
		__entry->slot = slot;
		__entry->latency_ns = latency_ns;
	),
	TP_printk("slot=%llu latency_ns=%llu", __entry->slot,
		  __entry->latency_ns)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
