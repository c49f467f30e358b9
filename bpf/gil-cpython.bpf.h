/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * CPython's lock, 3.8 to 3.13. With the interpreter's own symbols take_gil() and
 * drop_gil() say all. Where it is stripped:
 *
 *	PyEval_RestoreThread()	a thread comes back from a call that may block, and
 *				has the lock when it returns
 *	PyEval_SaveThread()	gives it up for such a call
 *	pthread_cond_timedwait() inside the former is a wait for the lock's condition:
 *				so its address is learnt
 *	pthread_cond_signal()	of that condition: the lock is given up. By one that
 *				is in no PyEval_SaveThread(): it was asked to, and
 *				wants it back. Of the condition behind it (and the
 *				mutex between them): somebody has just taken it
 *
 * Attached by our loader by file and offset; the names here are for loaders that
 * attach by themselves, to the distribution's interpreter.
 */
#ifndef TL_BPF_GIL_CPYTHON_BPF_H
#define TL_BPF_GIL_CPYTHON_BPF_H

#include "gil-events.bpf.h"

/* From the lock's condition to that of switches: both are in one struct, glibc's. */
#define TO_SWITCH_COND 88

/*
 * The lock's condition, of each process. All locks of a process are taken for one: with
 * interpreters that have locks of their own (3.12) it is the one that was learnt last.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u64);
} gil_conds SEC(".maps");

static __always_inline __u64 learnt_cond(void)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	__u64 *cond = bpf_map_lookup_elem(&gil_conds, &tgid);

	return cond ? *cond : 0;
}

SEC("uprobe//usr/bin/python3:PyEval_RestoreThread")
int BPF_KPROBE(python_restore)
{
	struct gil_thread *t = gil_me();

	if (t) {
		t->in_restore = 1;
		gil_waits(t, 0, GIL_IO);
	}
	return 0;
}

SEC("uretprobe//usr/bin/python3:PyEval_RestoreThread")
int BPF_KRETPROBE(python_restored)
{
	struct gil_thread *t = gil_me();

	if (t) {
		t->in_restore = 0;
		gil_has(ctx, t);
	}
	return 0;
}

SEC("uprobe//usr/bin/python3:PyEval_SaveThread")
int BPF_KPROBE(python_save)
{
	struct gil_thread *t = gil_me();

	if (t && !t->in_save) {
		t->in_save = 1;
		gil_gives(ctx, t, false);
	}
	return 0;
}

/* PyEval_AcquireThread(): a new thread, or one of another interpreter. */
SEC("uprobe//usr/bin/python3:PyEval_AcquireThread")
int BPF_KPROBE(python_acquire)
{
	struct gil_thread *t = gil_me();

	if (t) {
		t->in_restore = 1;
		gil_waits(t, 0, GIL_CPU);
	}
	return 0;
}

SEC("uprobe")
int BPF_KPROBE(python_cond_timedwait, void *cond)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct gil_thread *t = gil_me();
	__u64 address = (__u64)cond;

	if (t && t->in_restore && learnt_cond() != address)
		bpf_map_update_elem(&gil_conds, &tgid, &address, BPF_ANY);
	return 0;
}

SEC("uprobe")
int BPF_KPROBE(python_cond_signal, void *cond)
{
	__u64 known = learnt_cond();
	struct gil_thread *t;

	if (!known || ((__u64)cond != known && (__u64)cond != known + TO_SWITCH_COND))
		return 0;
	t = gil_me();
	if (!t)
		return 0;
	if ((__u64)cond != known) {
		gil_has(ctx, t);
	} else if (!t->in_save) {
		gil_gives(ctx, t, true);
		gil_waits(t, 0, GIL_CPU);
	}
	return 0;
}

/* --- with the interpreter's symbols -------------------------------------------------------------------------------------- */

SEC("uprobe")
int BPF_KPROBE(python_enters_restore)
{
	struct gil_thread *t = gil_me();

	if (t)
		t->in_restore = 1;
	return 0;
}

SEC("uprobe")
int BPF_KPROBE(python_take)
{
	struct gil_thread *t = gil_me();

	if (t)
		gil_waits(t, 0, t->in_restore ? GIL_IO : GIL_CPU);
	return 0;
}

SEC("uretprobe")
int BPF_KRETPROBE(python_taken)
{
	struct gil_thread *t = gil_me();

	if (t) {
		gil_has(ctx, t);
		t->in_restore = 0;
	}
	return 0;
}

SEC("uprobe")
int BPF_KPROBE(python_enters_save)
{
	struct gil_thread *t = gil_me();

	if (t)
		t->in_save = 1;
	return 0;
}

SEC("uprobe")
int BPF_KPROBE(python_drop)
{
	struct gil_thread *t = gil_me();

	if (t)
		gil_gives(ctx, t, !t->in_save);
	return 0;
}

#endif
