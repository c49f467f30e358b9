/* SPDX-License-Identifier: GPL-2.0-only OR LGPL-2.1-or-later OR MIT */
/*
 * Histograms that programs in the kernel fill and user space reads: 16 buckets for
 * each power of two, so that a bucket is at most 1/16 of its values wide; those
 * below 16 have one each, and the last takes all that is beyond. Shared by both
 * sides; user space turns them into struct tl_hist for all that is computed.
 */
#ifndef TL_BPF_HIST_H
#define TL_BPF_HIST_H

#ifndef __VMLINUX_H__	/* which has these types for the kernel's side */
#include <linux/types.h>
#endif

#define TL_BPF_HIST_BITS	4	/* 1 << 4 buckets for a power of two */
#define TL_BPF_HIST_OCTAVES	34	/* up to 2^37 ns, two minutes */
#define TL_BPF_HIST_SLOTS	(TL_BPF_HIST_OCTAVES << TL_BPF_HIST_BITS)

struct tl_bpf_hist {
	__u64 slots[TL_BPF_HIST_SLOTS];
	__u64 sum;
	__u64 max;
};

/* The least and the greatest value of a slot. */
static inline __u64 tl_bpf_hist_low(unsigned int slot)
{
	unsigned int octave = slot >> TL_BPF_HIST_BITS;
	__u64 part = slot & ((1u << TL_BPF_HIST_BITS) - 1);

	return octave ? (part + (1u << TL_BPF_HIST_BITS)) << (octave - 1) : part;
}

static inline __u64 tl_bpf_hist_high(unsigned int slot)
{
	return tl_bpf_hist_low(slot + 1) - 1;
}

#endif
