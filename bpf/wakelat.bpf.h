/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a futex belongs to, as the threads say that use it. Shared by wakelat.bpf.c,
 * which asks, and whatever is attached to say it.
 */
#ifndef TL_BPF_WAKELAT_BPF_H
#define TL_BPF_WAKELAT_BPF_H

#include "wakelat.h"

/* Of a thread: the object that it waits on last, and the word that it woke last. */
struct wakelat_tag {
	__u64 waits_on, waits_size;
	__u64 wakes;
	__u32 waits_as, wakes_as;	/* enum wakelat_primitive */
};

TL_TASK_MAP(wakelat_tags, struct wakelat_tag);

static __always_inline void waits_on(__u64 object, __u64 size, enum wakelat_primitive as)
{
	struct wakelat_tag *tag;

	if (!tl_is_traced(bpf_get_current_pid_tgid() >> 32))
		return;
	tag = TL_TASK_MAKE(wakelat_tags, TL_CURRENT());
	if (!tag) {
		tl_count(TL_TRACE_LOST_STATE);
		return;
	}
	tag->waits_on = object;
	tag->waits_size = size;
	tag->waits_as = as;
}

static __always_inline enum wakelat_primitive kind_of_futex(struct task_struct *p, __u64 futex)
{
	struct wakelat_tag *tag = TL_TASK_GET(wakelat_tags, TL_CURRENT());

	if (tag && tag->wakes == futex)
		return tag->wakes_as;
	tag = TL_TASK_GET(wakelat_tags, p);
	if (tag && futex - tag->waits_on < tag->waits_size)
		return tag->waits_as;
	return WAKELAT_FUTEX;
}

#endif
