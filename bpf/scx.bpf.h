/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a scheduler in BPF needs of sched_ext: its types, as far as they are used, and
 * the kernel's functions under the names that they have had since Linux 6.12.
 *
 * All of it is declared here and nothing is taken from the builder's kernel, which
 * may have no sched_ext; the loader looks for what the running kernel has. The
 * numbers are the same in 6.12 to 7.3.
 */
#ifndef TL_BPF_SCX_BPF_H
#define TL_BPF_SCX_BPF_H

#include "vmlinux-minimal.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

/* Has more; only that it is one must agree. */
enum scx_exit_kind {
	SCX_EXIT_NONE,
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct scx_exit_info {
	enum scx_exit_kind kind;
	__s64 exit_code;
	const char *reason;
	char *msg;
};

#pragma clang attribute pop

struct scx_init_task_args;
struct scx_exit_task_args;

/* The kernel's has more; libbpf matches what is here by name. */
struct sched_ext_ops {
	__s32 (*select_cpu)(struct task_struct *p, __s32 prev_cpu, __u64 wake_flags);
	void (*enqueue)(struct task_struct *p, __u64 enq_flags);
	void (*dispatch)(__s32 cpu, struct task_struct *prev);
	void (*running)(struct task_struct *p);
	void (*stopping)(struct task_struct *p, bool runnable);
	void (*quiescent)(struct task_struct *p, __u64 deq_flags);
	void (*exit_task)(struct task_struct *p, struct scx_exit_task_args *args);
	void (*enable)(struct task_struct *p);
	void (*disable)(struct task_struct *p);
	__s32 (*init)(void);
	void (*exit)(struct scx_exit_info *info);
	__u64 flags;
	__u32 timeout_ms;
	char name[128];
};

#define SCX_OPS_SWITCH_PARTIAL	(1ULL << 3)	/* only threads that ask */
#define SCX_DSQ_LOCAL		(1ULL << 63 | 2)
#define SCX_ENQ_WAKEUP		1ULL
#define SCX_ENQ_HEAD		(1ULL << 16)
#define SCX_DEQ_SLEEP		1ULL
#define SCX_WAKE_SYNC		16ULL
#define SCX_KICK_IDLE		1ULL
#define SCX_KICK_PREEMPT	2ULL
#define SCX_TASK_QUEUED		1u

/* libbpf 1.1 has no bpf_ksym_exists(). */
#define scx_has(function) (!!(function))

__s32 scx_bpf_create_dsq(__u64 dsq_id, __s32 node) __ksym;
__s32 scx_bpf_dsq_nr_queued(__u64 dsq_id) __ksym;
__s32 scx_bpf_select_cpu_dfl(struct task_struct *p, __s32 prev_cpu, __u64 wake_flags, bool *is_idle) __ksym;
__s32 scx_bpf_pick_idle_cpu(const struct cpumask *allowed, __u64 flags) __ksym;
__s32 scx_bpf_task_cpu(const struct task_struct *p) __ksym;
void scx_bpf_kick_cpu(__s32 cpu, __u64 flags) __ksym;
bool bpf_cpumask_test_cpu(__u32 cpu, const struct cpumask *mask) __ksym;

/* 6.12; since 6.13; since 6.19, with a result. */
void scx_bpf_dispatch(struct task_struct *p, __u64 dsq_id, __u64 slice, __u64 enq_flags) __ksym __weak;
void scx_bpf_dsq_insert(struct task_struct *p, __u64 dsq_id, __u64 slice, __u64 enq_flags) __ksym __weak;
bool scx_bpf_dsq_insert___v2(struct task_struct *p, __u64 dsq_id, __u64 slice, __u64 enq_flags) __ksym __weak;

static __always_inline void scx_insert(struct task_struct *p, __u64 dsq_id, __u64 slice, __u64 enq_flags)
{
	if (scx_has(scx_bpf_dsq_insert___v2))
		scx_bpf_dsq_insert___v2(p, dsq_id, slice, enq_flags);
	else if (scx_has(scx_bpf_dsq_insert))
		scx_bpf_dsq_insert(p, dsq_id, slice, enq_flags);
	else
		scx_bpf_dispatch(p, dsq_id, slice, enq_flags);
}

/* 6.12; since 6.13; since 7.1, with flags. */
bool scx_bpf_consume(__u64 dsq_id) __ksym __weak;
bool scx_bpf_dsq_move_to_local(__u64 dsq_id) __ksym __weak;
bool scx_bpf_dsq_move_to_local___v2(__u64 dsq_id, __u64 enq_flags) __ksym __weak;

/* The first thread of the queue that may run here is the next to; false: there is none. */
static __always_inline bool scx_move_to_local(__u64 dsq_id)
{
	if (scx_has(scx_bpf_dsq_move_to_local___v2))
		return scx_bpf_dsq_move_to_local___v2(dsq_id, 0);
	if (scx_has(scx_bpf_dsq_move_to_local))
		return scx_bpf_dsq_move_to_local(dsq_id);
	return scx_bpf_consume(dsq_id);
}

#endif
