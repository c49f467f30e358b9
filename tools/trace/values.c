/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* See values.h. */
#include "values.h"

void values_between(struct tl_hist *out, const struct tl_bpf_hist *now,
		    const struct tl_bpf_hist *before)
{
	unsigned int i;

	tl_hist_init(out, "ns");
	for (i = 0; i < TL_BPF_HIST_SLOTS; i++) {
		__u64 n = now->slots[i] - (before ? before->slots[i] : 0);
		__u64 value = tl_bpf_hist_high(i);

		/* The last slot has no end. */
		if (value > now->max || i == TL_BPF_HIST_SLOTS - 1)
			value = now->max;
		tl_hist_record_n(out, value, n);
	}
}
