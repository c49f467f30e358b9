// SPDX-License-Identifier: GPL-2.0-only
/*
 * iopri: whether threads that come back from blocking have the global lock first, and
 * the processor when it is their turn.
 */
#include "vmlinux.h"

#include "task.bpf.h"
#include "iopri.bpf.h"
#include "gil-cpython.bpf.h"

char LICENSE[] SEC("license") = "GPL";
