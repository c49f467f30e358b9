/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What wakelat keeps of a thread, in one place for all that is asked of it; and what a
 * futex belongs to, as the threads say that use it.
 */
#ifndef TL_BPF_WAKELAT_BPF_H
#define TL_BPF_WAKELAT_BPF_H

#include "rows.bpf.h"
#include "task.bpf.h"
#include "wakelat.h"

struct wake_state {
	/* That it is woken; waking_ns is 0 if no wake-up is under way. */
	__u64 waking_ns, wakeup_ns;
	__u64 called_ns;	/* when the waker entered the call that does it; 0: is not known */
	__u32 waker_cpu;
	__u32 primitive;
	/* That it is off its processor: is told of, or seen when it was woken; and not that it runs again. */
	__u32 is_off;
	/* That it runs since, and has not returned from the call in which it slept. */
	__u64 returns_from_ns;	/* called_ns of then; 0: it has, or that is not known */
	struct wakelat_key key;
	/* That it wakes: when it entered the call in which it is. */
	__u64 entered_ns;
	/* What it says of futexes: the object that it waits on last, and the word that it woke last. */
	__u64 waits_on, waits_size;
	__u64 wakes;
	__u32 waits_as, wakes_as;	/* enum wakelat_primitive */
};

TL_TASK_MAP(wakelat_state, struct wake_state);
TL_ROWS(wakelat_rows, struct wakelat_key, struct wakelat_row, 512);

static __always_inline struct wake_state *state_of(struct task_struct *p)
{
	struct wake_state *state = TL_TASK_MAKE(wakelat_state, p);

	if (!state)
		tl_count(TL_TRACE_LOST_STATE);
	return state;
}

/* Of the calling thread, if it is traced. */
static __always_inline struct wake_state *my_state(void)
{
	return tl_is_traced(bpf_get_current_pid_tgid() >> 32) ? state_of(TL_CURRENT()) : NULL;
}

static __always_inline void waits_on(__u64 object, __u64 size, enum wakelat_primitive as)
{
	struct wake_state *me = my_state();

	if (!me)
		return;
	me->waits_on = object;
	me->waits_size = size;
	me->waits_as = as;
}

#endif
