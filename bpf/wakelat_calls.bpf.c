// SPDX-License-Identifier: GPL-2.0-only
/*
 * wakelat's part that sees system calls: when the waker entered the one that wakes, and
 * when the thread that was woken returns from the one in which it slept. So what the
 * program itself sees of a wake-up is measured as a whole. A part of its own, for it
 * makes each system call of the machine go the kernel's longer way.
 */
#include "vmlinux.h"

#include "task.bpf.h"
#include "hist.bpf.h"
#include "syscalls.bpf.h"
#include "wakelat.bpf.h"

TL_TP(sys_enter)
int BPF_PROG(wakelat_enter, struct pt_regs *regs)
{
	struct wake_state *me;

	if (!call_may_wake(regs))
		return 0;
	me = my_state();
	if (me)
		me->entered_ns = bpf_ktime_get_ns();
	return 0;
}

TL_TP(sys_exit)
int BPF_PROG(wakelat_exit, struct pt_regs *regs)
{
	struct wake_state *me;
	struct wakelat_row *row;

	if (!tl_is_traced(bpf_get_current_pid_tgid() >> 32) || !call_may_sleep(regs))
		return 0;
	me = TL_TASK_GET(wakelat_state, TL_CURRENT());
	if (!me || !me->returns_from_ns)
		return 0;
	row = bpf_map_lookup_elem(&wakelat_rows, &me->key);
	if (row)
		tl_hist_add(&row->call, bpf_ktime_get_ns() - me->returns_from_ns);
	me->returns_from_ns = 0;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
