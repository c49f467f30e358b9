/* SPDX-License-Identifier: GPL-2.0-only */
/* What gilhandoff counts, whoever tells it of the lock. */
#ifndef TL_BPF_GILHANDOFF_BPF_H
#define TL_BPF_GILHANDOFF_BPF_H

#include "gil-events.bpf.h"
#include "rows.bpf.h"

#define INTERVAL_NS 5000000

TL_ROWS(gil_rows, struct gil_key, struct gil_row, 256);
TL_ROWS(gil_holders, struct gil_stack_key, struct gil_stack, 4096);

struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, 4096);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, GIL_STACK_DEPTH * sizeof(__u64));
} gil_stacks SEC(".maps");

static __always_inline struct gil_row *gil_row_of(__u32 class)
{
	const struct tl_trace_settings *s = tl_settings_get();
	__u64 ids = bpf_get_current_pid_tgid();
	struct gil_key key = {
		.tgid = ids >> 32,
		.tid = s && s->by_thread ? (__u32)ids : 0,
		.class = class,
	};

	return TL_ROW(gil_rows, &key, TL_CURRENT());
}

/* @from and @to in order, where both are known. */
static __always_inline void add_part(struct gil_row *row, enum gil_part part, __u64 from, __u64 to)
{
	tl_hist_add(&row->part[part], to > from ? to - from : 0);
}

static __always_inline void on_acquired(void *ctx, struct gil_thread *t, struct gil_lock *l, __u64 now)
{
	const struct tl_trace_settings *s = tl_settings_get();
	__u64 interval = s && s->interval_ns ? s->interval_ns : INTERVAL_NS;
	struct gil_row *row = gil_row_of(t->class);
	__u64 waited = now - t->wait_ns, released = l ? l->released_ns : 0;

	if (!row)
		return;
	tl_hist_add(&row->wait, waited);
	if (t->was_asked)
		__sync_fetch_and_add(&row->forced, 1);
	if (waited >= interval && waited < 2 * interval)
		__sync_fetch_and_add(&row->convoy, 1);
	/* Of one that slept when the lock was released, and was woken for it. */
	if (released < t->wait_ns || t->waking_ns < released || !t->runs_ns)
		return;
	tl_hist_add(&row->handoff, now - released);
	add_part(row, GIL_RELEASE, released, t->waking_ns);
	add_part(row, GIL_WAKE, t->waking_ns, t->wakeup_ns);
	add_part(row, GIL_QUEUE, t->wakeup_ns, t->runs_ns);
	add_part(row, GIL_TAKE, t->runs_ns, now);
}

/*
 * Programs without frame pointers have stacks of one frame. But at a function's first
 * instruction it is known where it returns to.
 */
static __always_inline __u64 caller_of(struct pt_regs *regs)
{
	__u64 address = 0;

#if defined(TL_PART)
	(void)regs;	/* a USDT probe is in the middle of a function */
#elif defined(__TARGET_ARCH_x86)
	bpf_probe_read_user(&address, sizeof(address), (void *)PT_REGS_SP(regs));
#elif defined(__TARGET_ARCH_arm64)
	address = PT_REGS_RET(regs);
#endif
	return address;
}

/* The holder has kept an IO thread waiting, and is where it gives the lock up. */
static __always_inline void blame(void *ctx, __u64 ns)
{
	__u64 ids = bpf_get_current_pid_tgid();
	struct gil_stack_key key = {
		.tgid = ids >> 32,
		.tid = (__u32)ids,
		.stack = (__s32)bpf_get_stackid(ctx, &gil_stacks, BPF_F_USER_STACK),
		.caller = caller_of(ctx),
	};
	struct gil_stack *stack = TL_ROW(gil_holders, &key, TL_CURRENT());

	if (!stack)
		return;
	__sync_fetch_and_add(&stack->ns, ns);
	__sync_fetch_and_add(&stack->count, 1);
}

static __always_inline void on_released(void *ctx, struct gil_thread *t, struct gil_lock *l, __u64 now)
{
	struct gil_row *row = gil_row_of(t->class);
	__u64 since = gil_io_since(l);

	if (row && t->hold_ns)
		tl_hist_add(&row->hold, now - t->hold_ns);
	if (!since)
		return;
	if (since < t->hold_ns)
		since = t->hold_ns;
	if (now > since)
		blame(ctx, now - since);
}

static __always_inline void on_runs(struct task_struct *prev, struct task_struct *next, struct gil_thread *t,
				    __u64 now)
{
}

#endif
