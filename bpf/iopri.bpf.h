/* SPDX-License-Identifier: GPL-2.0-only */
/* What iopri counts, whoever tells it of the lock. */
#ifndef TL_BPF_IOPRI_BPF_H
#define TL_BPF_IOPRI_BPF_H

#include "gil-events.bpf.h"
#include "rows.bpf.h"

TL_ROWS(iopri_rows, __u32, struct iopri_row, 256);	/* by tgid */

static __always_inline struct iopri_row *iopri_row_of(struct task_struct *p)
{
	__u32 tgid = TL_FIELD(p, tgid);

	return TL_ROW(iopri_rows, &tgid, p);
}

/* By then the thread is not counted among the waiters. */
static __always_inline void on_acquired(void *ctx, struct gil_thread *t, struct gil_lock *l, __u64 now)
{
	struct iopri_row *row = iopri_row_of(TL_CURRENT());
	__u64 since = gil_io_since(l);
	/* Not an index: the verifier would want to know its bounds. */
	__u32 class = t->class == GIL_IO;

	if (!row)
		return;
	__sync_fetch_and_add(class ? &row->served[GIL_IO] : &row->served[GIL_CPU], 1);
	if (!class && since && since < t->wait_ns)
		__sync_fetch_and_add(&row->overtaken, 1);
	/* The last sleep of its wait, which was ended for it to have the lock. */
	if (t->runs_ns && t->wakeup_ns)
		tl_hist_add(class ? &row->queue[GIL_IO] : &row->queue[GIL_CPU],
			    t->runs_ns - t->wakeup_ns);
}

static __always_inline void on_released(void *ctx, struct gil_thread *t, struct gil_lock *l, __u64 now)
{
}

/*
 * One that waits for the lock is switched in: since it was in the queue its processor
 * ran @prev. That counts if it is a thread of the same process that has nothing to do
 * with the lock: not its holder, nor one that has given it up since.
 */
static __always_inline void on_runs(struct task_struct *prev, struct task_struct *next, struct gil_thread *t,
				    __u64 now)
{
	struct gil_thread *other;
	struct iopri_row *row;

	if (TL_FIELD(prev, tgid) != TL_FIELD(next, tgid) || now <= t->wakeup_ns)
		return;
	other = TL_TASK_GET(gil_threads, prev);
	if (other && (other->hold_ns || other->wait_ns || other->gave_ns >= t->wait_ns))
		return;
	row = iopri_row_of(next);
	if (!row)
		return;
	__sync_fetch_and_add(&row->inverted, 1);
	__sync_fetch_and_add(&row->inverted_ns, now - t->wakeup_ns);
}

#endif
