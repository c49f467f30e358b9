// SPDX-License-Identifier: GPL-2.0-only
/* iopri's part for our own lock, for loaders that know USDT. */
#include "vmlinux.h"

#define TL_PART

#include "task.bpf.h"
#include "iopri.bpf.h"
#include "gil-usdt.bpf.h"

char LICENSE[] SEC("license") = "GPL";
