/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The scheduler's tracepoints, in two ways: typed by BTF (tp_btf), where a value is
 * kept in the task itself; or, where the kernel has none of that, raw, with a table
 * by thread. An object is built for each (TL_RAW_TP); a program is written once.
 */
#ifndef TL_BPF_TASK_BPF_H
#define TL_BPF_TASK_BPF_H

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include "settings.h"

#ifdef TL_RAW_TP
#define TL_TP(name) SEC("raw_tp/" #name)
#define TL_FIELD(pointer, field) BPF_CORE_READ(pointer, field)
#define TL_TASK_MAP(map_name, type_name)				\
	struct {							\
		__uint(type, BPF_MAP_TYPE_LRU_HASH);			\
		__uint(max_entries, 16384);				\
		__type(key, __u32);					\
		__type(value, type_name);				\
	} map_name SEC(".maps")
#define TL_TASK_GET(map, task) ({					\
	__u32 tid__ = BPF_CORE_READ(task, pid);				\
	bpf_map_lookup_elem(&(map), &tid__); })
#define TL_TASK_MAKE(map, task) ({					\
	__u32 tid__ = BPF_CORE_READ(task, pid);				\
	typeof(*(map).value) zero__ = {};				\
	void *value__ = bpf_map_lookup_elem(&(map), &tid__);		\
	if (!value__) {							\
		bpf_map_update_elem(&(map), &tid__, &zero__, BPF_NOEXIST); \
		value__ = bpf_map_lookup_elem(&(map), &tid__);		\
	}								\
	value__; })
#define TL_CURRENT() ((struct task_struct *)bpf_get_current_task())
#else
#define TL_TP(name) SEC("tp_btf/" #name)
#define TL_FIELD(pointer, field) ((pointer)->field)
#define TL_TASK_MAP(map_name, type_name)				\
	struct {							\
		__uint(type, BPF_MAP_TYPE_TASK_STORAGE);		\
		__uint(map_flags, BPF_F_NO_PREALLOC);			\
		__type(key, int);					\
		__type(value, type_name);				\
	} map_name SEC(".maps")
#define TL_TASK_GET(map, task) bpf_task_storage_get(&(map), (task), 0, 0)
#define TL_TASK_MAKE(map, task)						\
	bpf_task_storage_get(&(map), (task), 0, BPF_LOCAL_STORAGE_GET_F_CREATE)
#define TL_CURRENT() bpf_get_current_task_btf()
#endif

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tl_trace_settings);
} tl_settings SEC(".maps");

/* By enum tl_trace_counter. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, TL_TRACE_COUNTERS);
	__type(key, __u32);
	__type(value, __u64);
} tl_counters SEC(".maps");

static __always_inline void tl_count(__u32 counter)
{
	__u64 *value = bpf_map_lookup_elem(&tl_counters, &counter);

	/* A uprobe's program may be preempted in here. */
	if (value)
		__sync_fetch_and_add(value, 1);
}

static __always_inline const struct tl_trace_settings *tl_settings_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&tl_settings, &zero);
}

/* Whether what happens to a thread of @tgid is counted. Not for the idle task. */
static __always_inline bool tl_is_traced(__u32 tgid)
{
	const struct tl_trace_settings *s = tl_settings_get();

	return s && !s->off && tgid && (!s->tgid || s->tgid == tgid);
}

#endif
