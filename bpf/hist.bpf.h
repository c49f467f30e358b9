/* SPDX-License-Identifier: GPL-2.0-only */
/* Filling the histograms of hist.h, from any context. */
#ifndef TL_BPF_HIST_BPF_H
#define TL_BPF_HIST_BPF_H

#include "hist.h"

/* The exponent of the highest bit; @v is not 0. */
static __always_inline unsigned int tl_log2(__u64 v)
{
	unsigned int r, shift;

	r = (v > 0xffffffffULL) << 5;
	v >>= r;
	shift = (v > 0xffff) << 4;
	v >>= shift;
	r |= shift;
	shift = (v > 0xff) << 3;
	v >>= shift;
	r |= shift;
	shift = (v > 0xf) << 2;
	v >>= shift;
	r |= shift;
	shift = (v > 0x3) << 1;
	v >>= shift;
	r |= shift;
	return r | (unsigned int)(v >> 1);
}

static __always_inline unsigned int tl_hist_slot(__u64 v)
{
	unsigned int e, slot;

	if (v < 1 << TL_BPF_HIST_BITS)
		return (unsigned int)v;
	e = tl_log2(v);
	slot = ((e - TL_BPF_HIST_BITS + 1) << TL_BPF_HIST_BITS) +
	       ((v >> (e - TL_BPF_HIST_BITS)) & ((1 << TL_BPF_HIST_BITS) - 1));
	return slot < TL_BPF_HIST_SLOTS ? slot : TL_BPF_HIST_SLOTS - 1;
}

/* Several processors may do so at once. */
static __always_inline void tl_hist_add(struct tl_bpf_hist *h, __u64 v)
{
	unsigned int slot = tl_hist_slot(v);
	__u64 max, seen;
	int i;

	/* The verifier does not follow the arithmetic. */
	if (slot >= TL_BPF_HIST_SLOTS)
		return;
	__sync_fetch_and_add(&h->slots[slot], 1);
	__sync_fetch_and_add(&h->sum, v);
	max = h->max;
	for (i = 0; i < 4 && v > max; i++) {
		seen = __sync_val_compare_and_swap(&h->max, max, v);
		if (seen == max)
			break;
		max = seen;
	}
}

#endif
