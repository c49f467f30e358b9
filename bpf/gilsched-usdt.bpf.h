/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What threads are, by the library's probes: tasklet_tracing(7). Each program runs in
 * the thread that it is about.
 */
#ifndef TL_BPF_GILSCHED_USDT_BPF_H
#define TL_BPF_GILSCHED_USDT_BPF_H

#include <bpf/usdt.bpf.h>

#include "gilsched.bpf.h"

static __always_inline void set_owns(struct thread *t, __u64 lock)
{
	struct cpu *c = cpu_of(bpf_get_smp_processor_id());

	t->owns = lock;
	if (c && c->tid == (__u32)bpf_get_current_pid_tgid())
		c->owns = lock;
}

static __always_inline void set_waits(struct thread *t, __u64 lock)
{
	if (!t->waits && lock)
		__sync_fetch_and_add(&waiting, 1);
	else if (t->waits && !lock)
		__sync_fetch_and_add(&waiting, -1ULL);
	t->waits = lock;
}

/* It has no lock from now on; @io: what it comes for one as; @waits: for which, or 0. */
static __always_inline int has_none(bool io, __u64 waits)
{
	struct thread *t = thread_me();

	if (t) {
		t->io = io;
		set_owns(t, 0);
		set_waits(t, waits);
	}
	return 0;
}

SEC("usdt")
int BPF_USDT(tasklet_gil_wait, __u64 lock, __u64 class)
{
	return has_none(class, lock);
}

/*
 * It will wait for it, and may have to stop before it says so: if the lock is given back
 * to it by then, nobody must run before it.
 */
SEC("usdt")
int BPF_USDT(tasklet_gil_yield, __u64 lock)
{
	return has_none(false, lock);
}

/* To block, or to leave: if that is to compute, it will use up a slice. */
SEC("usdt")
int BPF_USDT(tasklet_gil_release, __u64 lock)
{
	return has_none(true, 0);
}

/* It has let go of it in a way that it can undo: for others that is a release. */
SEC("usdt")
int BPF_USDT(tasklet_gil_keep, __u64 lock)
{
	return has_none(true, 0);
}

SEC("usdt")
int BPF_USDT(tasklet_gil_acquire, __u64 lock, __u64 class)
{
	struct thread *t = thread_me();

	if (t) {
		t->io = class;
		t->used_up = false;
		set_waits(t, 0);
		set_owns(t, lock);
	}
	return 0;
}

SEC("usdt")
int BPF_USDT(tasklet_gil_regain, __u64 lock, __u64 ok)
{
	struct thread *t = thread_me();

	if (t && ok)
		set_owns(t, lock);
	return 0;
}

#endif
