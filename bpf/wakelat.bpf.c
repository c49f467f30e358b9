// SPDX-License-Identifier: GPL-2.0-only
/*
 * wakelat: how long it takes from a wake-up's beginning until the thread runs, by
 * what it waited in.
 *
 *	sched_waking	in the waker: somebody begins to wake the thread
 *	sched_wakeup	it is in a run queue
 *	sched_switch	it runs
 *
 * What it waited in is told from the registers that it sleeps with (syscalls.bpf.h).
 * Futexes are told apart by those uprobes that our loader attaches: a thread that
 * enters sem_wait() and its like leaves the object's address, and the futex that it
 * then sleeps on must lie in it; and a thread of ours that wakes says by a USDT probe
 * whom (wakelat_usdt.bpf.c). Without these a futex is a futex. What comes before that
 * and after it, in both threads' system calls, is for wakelat_calls.bpf.c.
 *
 * There are kernels that do not tell of each switch: not of those away from certain
 * threads (seen in a virtual machine, where tracefs does not show them either). A thread
 * that was woken while it was off, and is switched out or woken once more, has run in
 * between: its wake-up is counted as lost.
 *
 * Owns the maps of its name. Invariant: a thread's state says that a wake-up is
 * under way only from its waking to its being switched in: if it never was off its
 * processor there is nothing to measure.
 */
#include "vmlinux.h"

#include "task.bpf.h"
#include "hist.bpf.h"
#include "rows.bpf.h"
#include "syscalls.bpf.h"
#include "wakelat.bpf.h"

/* Of the kernel's own threads, and of those that work for a process in its stead. */
#define PF_NO_USER 0x00204010	/* PF_KTHREAD, PF_USER_WORKER, PF_IO_WORKER */
#define PF_FORKNOEXEC_ 0x00000040

/* By the registers that @p entered the kernel with. Raw tracepoints have no way to them. */
#ifdef TL_RAW_TP
static __always_inline void looks_at_calls(struct task_struct *p, struct wake_state *state)
{
	state->primitive = WAKELAT_OTHER;
}
#else
static __always_inline const struct pt_regs *registers_of(struct task_struct *p)
{
	return (const struct pt_regs *)bpf_task_pt_regs(p);
}

/* The state of the thread that wakes, if it says anything. */
static __always_inline struct wake_state *waker(void)
{
	const struct tl_trace_settings *s = tl_settings_get();

	return s && s->says ? TL_TASK_GET(wakelat_state, TL_CURRENT()) : NULL;
}

static __always_inline enum wakelat_primitive kind_of_futex(struct wake_state *state, struct wake_state *me,
							    __u64 futex)
{
	if (me && me->wakes == futex)
		return me->wakes_as;
	if (futex - state->waits_on < state->waits_size)
		return state->waits_as;
	return WAKELAT_FUTEX;
}

static __always_inline void looks_at_calls(struct task_struct *p, struct wake_state *state)
{
	const struct pt_regs *regs;
	struct wake_state *me;
	__u64 futex;

	state->primitive = WAKELAT_OTHER;
	state->called_ns = 0;
	if (p->flags & PF_NO_USER)
		return;
	me = waker();
	regs = registers_of(p);
	state->primitive = kind_of_wait(p, regs, &futex);
	if (futex)
		state->primitive = kind_of_futex(state, me, futex);
	/* An interrupt that comes in between calls is nobody's call. */
	if (me && call_may_sleep(regs) && call_may_wake(registers_of(TL_CURRENT())))
		state->called_ns = me->entered_ns;
}
#endif

/* It is our loader still, that waits to become the command. */
static __always_inline bool is_before_exec(struct task_struct *p)
{
	const struct tl_trace_settings *s = tl_settings_get();

	return s && s->after_exec && (TL_FIELD(p, flags) & PF_FORKNOEXEC_) && TL_FIELD(p, pid) == TL_FIELD(p, tgid);
}

/* Of a thread that is seen to do what only one does that has run since it was woken. */
static __always_inline void has_run(struct wake_state *state)
{
	if (!state->waking_ns || !state->is_off)
		return;
	tl_count(TL_TRACE_LOST_SWITCHES);
	state->waking_ns = 0;
	state->is_off = 0;
}

TL_TP(sched_waking)
int BPF_PROG(wakelat_waking, struct task_struct *p)
{
	struct wake_state *state;

	/* One that wakes itself is about to sleep, and does not. */
	if (!tl_is_traced(TL_FIELD(p, tgid)) || p == (void *)bpf_get_current_task() || is_before_exec(p))
		return 0;
	state = state_of(p);
	if (!state)
		return 0;
	has_run(state);
	/* If not, it may be on its way: then the switch away is still to be told of. */
	if (!TL_FIELD(p, on_cpu))
		state->is_off = 1;
	looks_at_calls(p, state);
	state->waker_cpu = bpf_get_smp_processor_id();
	state->wakeup_ns = 0;
	state->waking_ns = bpf_ktime_get_ns();
	return 0;
}

TL_TP(sched_wakeup)
int BPF_PROG(wakelat_wakeup, struct task_struct *p)
{
	struct wake_state *state;

	if (!tl_is_traced(TL_FIELD(p, tgid)))
		return 0;
	state = TL_TASK_GET(wakelat_state, p);
	if (state && state->waking_ns)
		state->wakeup_ns = bpf_ktime_get_ns();
	return 0;
}

/* It may have been woken before it was off: if it @stays, its sleep has not come about. */
static __always_inline void leaves(struct wake_state *state, bool stays)
{
	has_run(state);
	if (stays)
		state->waking_ns = 0;
	state->is_off = !stays;
}

static __always_inline void runs(struct task_struct *p, struct wake_state *state, bool preempted)
{
	const struct tl_trace_settings *s = tl_settings_get();
	__u64 now = bpf_ktime_get_ns(), began = state->waking_ns, queued = state->wakeup_ns;
	struct wakelat_row *row;

	state->waking_ns = 0;
	state->returns_from_ns = state->called_ns;
	state->key = (struct wakelat_key){
		.tgid = TL_FIELD(p, tgid),
		.tid = s && s->by_thread ? TL_FIELD(p, pid) : 0,
		.primitive = state->primitive,
		.cross = state->waker_cpu != bpf_get_smp_processor_id(),
		.preempted = preempted,
	};
	row = TL_ROW(wakelat_rows, &state->key, p);
	if (!row)
		return;
	tl_count(TL_TRACE_EVENTS);
	tl_hist_add(&row->total, now - began);
	/* It may be switched in by a processor that has not told of the wake-up yet. */
	if (queued < began || queued > now)
		queued = now;
	tl_hist_add(&row->issue, queued - began);
	tl_hist_add(&row->queue, now - queued);
}

TL_TP(sched_switch)
int BPF_PROG(wakelat_switch, bool preempt, struct task_struct *prev, struct task_struct *next,
	     unsigned int prev_state)
{
	/* One that is preempted on its way to sleep has the state of a sleeper. */
	bool stays = preempt || !prev_state;
	struct wake_state *state;

	if (tl_is_traced(TL_FIELD(prev, tgid))) {
		state = TL_TASK_GET(wakelat_state, prev);
		if (state)
			leaves(state, stays);
	}
	if (!tl_is_traced(TL_FIELD(next, tgid)))
		return 0;
	state = TL_TASK_GET(wakelat_state, next);
	if (!state)
		return 0;
	state->is_off = 0;
	if (state->waking_ns)
		runs(next, state, stays && TL_FIELD(prev, pid));
	return 0;
}

/* --- attached by our loader, by offset: no target is named ------------------------------------------------------------- */

/* sem_wait(), sem_timedwait(), sem_clockwait() */
SEC("uprobe")
int BPF_KPROBE(wakelat_sem, void *sem)
{
	waits_on((__u64)sem, 32, WAKELAT_SEMAPHORE);
	return 0;
}

/* pthread_cond_wait(), _timedwait(), _clockwait() of the C library */
SEC("uprobe")
int BPF_KPROBE(wakelat_pthread_cond, void *cond)
{
	waits_on((__u64)cond, 48, WAKELAT_PTHREAD_COND);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
