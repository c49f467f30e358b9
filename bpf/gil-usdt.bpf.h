/* SPDX-License-Identifier: GPL-2.0-only */
/* Our own lock, by the library's probes: tasklet_tracing(7). */
#ifndef TL_BPF_GIL_USDT_BPF_H
#define TL_BPF_GIL_USDT_BPF_H

#include <bpf/usdt.bpf.h>

#include "gil-events.bpf.h"

SEC("usdt")
int BPF_USDT(tasklet_gil_wait, __u64 lock, __u64 class)
{
	struct gil_thread *t = gil_me();

	if (t)
		gil_waits(t, lock, class ? GIL_IO : GIL_CPU);
	return 0;
}

/* Also of one that need not wait. */
SEC("usdt")
int BPF_USDT(tasklet_gil_acquire, __u64 lock, __u64 class)
{
	struct gil_thread *t = gil_me();

	if (t) {
		gil_waits(t, lock, class ? GIL_IO : GIL_CPU);
		gil_has(ctx, t);
	}
	return 0;
}

/* The calling thread, which holds @lock as one of @class: these probes say so. */
static __always_inline struct gil_thread *gil_holder(__u64 lock, __u64 class)
{
	struct gil_thread *t = gil_me();

	if (t) {
		t->lock = lock;
		t->class = class ? GIL_IO : GIL_CPU;
	}
	return t;
}

SEC("usdt")
int BPF_USDT(tasklet_gil_release, __u64 lock, __u64 class)
{
	struct gil_thread *t = gil_holder(lock, class);

	if (t)
		gil_gives(ctx, t, false);
	return 0;
}

SEC("usdt")
int BPF_USDT(tasklet_gil_yield, __u64 lock, __u64 class, __u64 held_ns, __u64 forced)
{
	struct gil_thread *t = gil_holder(lock, class);

	if (t)
		gil_gives(ctx, t, forced);
	return 0;
}

/* These do not tell the class: it is known if the thread was seen with the lock before. */
SEC("usdt")
int BPF_USDT(tasklet_gil_keep, __u64 lock)
{
	struct gil_thread *t = gil_me();

	if (t && t->lock == lock)
		gil_keeps(ctx, t);
	return 0;
}

/* If somebody has taken it, tasklet_gil_acquire() follows. */
SEC("usdt")
int BPF_USDT(tasklet_gil_regain, __u64 lock, __u64 ok)
{
	struct gil_thread *t = gil_me();

	if (t && ok && t->lock == lock)
		t->hold_ns = bpf_ktime_get_ns();
	return 0;
}

#endif
