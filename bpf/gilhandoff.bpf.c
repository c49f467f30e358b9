// SPDX-License-Identifier: GPL-2.0-only
/*
 * gilhandoff: how long the threads of a process wait for its global lock and hold it,
 * and where the time of a handoff goes. CPython's is told by uprobes; ours by the
 * part with the USDT probes (gilhandoff_usdt.bpf.c).
 */
#include "vmlinux.h"

#include "task.bpf.h"
#include "gilhandoff.bpf.h"
#include "gil-cpython.bpf.h"

char LICENSE[] SEC("license") = "GPL";
