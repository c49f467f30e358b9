// SPDX-License-Identifier: GPL-2.0-only
/*
 * What wakelat is told by the library's own probes (tasklet_tracing(7)): that a
 * thread is about to wake whoever sleeps on a word, and what that word belongs to. A
 * part of its own, for a loader that does not know USDT could not load it.
 */
#include "vmlinux.h"

#include "task.bpf.h"
#include <bpf/usdt.bpf.h>
#include "wakelat.bpf.h"
#include "../lib/base/probe-kinds.h"

static __always_inline enum wakelat_primitive primitive_of(__u64 kind)
{
	switch (kind) {
	case TL_PROBE_WAKE_FUTEX_COND:
		return WAKELAT_TL_COND;
	case TL_PROBE_WAKE_FUTEX_MUTEX:
		return WAKELAT_TL_MUTEX;
	case TL_PROBE_WAKE_SEM:
		return WAKELAT_TL_SEMAPHORE;
	case TL_PROBE_WAKE_INBOX:
		return WAKELAT_TASKLET;
	}
	return WAKELAT_FUTEX;
}

SEC("usdt")
int BPF_USDT(wakelat_wake, __u64 kind, __u64 address)
{
	struct wake_state *me = my_state();

	if (me) {
		me->wakes = address;
		me->wakes_as = primitive_of(kind);
	}
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
