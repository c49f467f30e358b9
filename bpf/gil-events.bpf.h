/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What happens to a global lock, whoever tells it: a thread begins to wait, has it,
 * gives it up; and what the scheduler does with it meanwhile. Each tracer defines
 * what is counted then: on_acquired(), on_released(), on_runs().
 *
 * Owns the state of threads and of locks. Invariants: a thread waits or holds, or
 * neither; of a lock's waiters each is counted once; the times of the scheduler are
 * those of the thread's last sleep in this wait.
 */
#ifndef TL_BPF_GIL_EVENTS_BPF_H
#define TL_BPF_GIL_EVENTS_BPF_H

#include "gil.h"
#include "hist.bpf.h"

struct gil_thread {
	__u64 lock;
	__u64 wait_ns;		/* waits since; 0: does not wait */
	__u64 hold_ns;		/* holds it since; 0: does not, or nobody saw it begin */
	__u64 gave_ns;		/* when it gave it up last */
	__u64 waking_ns, wakeup_ns, runs_ns;
	__u32 class;		/* as what it waits or holds */
	__u8 in_restore;	/* in a call that takes it after a call that may block */
	__u8 in_save;		/* has given it up for such a call */
	__u8 was_asked;		/* to give it up; not so if it never comes back */
	__u8 place;		/* where it is among the lock's IO waiters, from 1; 0: nowhere */
};

/* More than so many IO threads that wait for a lock at once are not told apart. */
#define GIL_PLACES 32

struct gil_lock {
	__u64 released_ns;	/* 0: it was taken since */
	__u64 io_since_ns[GIL_PLACES];	/* an IO thread waits since; 0: a free place */
};

struct gil_lock_key {
	__u64 lock;
	__u32 tgid;
	__u32 reserved;
};

TL_TASK_MAP(gil_threads, struct gil_thread);

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct gil_lock_key);
	__type(value, struct gil_lock);
} gil_locks SEC(".maps");

/* What each tracer defines. @l may be NULL. */
static __always_inline void on_acquired(void *ctx, struct gil_thread *t, struct gil_lock *l, __u64 now);
static __always_inline void on_released(void *ctx, struct gil_thread *t, struct gil_lock *l, __u64 now);
static __always_inline void on_runs(struct task_struct *prev, struct task_struct *next, struct gil_thread *t,
				    __u64 now);

static __always_inline struct gil_thread *gil_me(void)
{
	struct gil_thread *t;

	if (!tl_is_traced(bpf_get_current_pid_tgid() >> 32))
		return NULL;
	t = TL_TASK_MAKE(gil_threads, TL_CURRENT());
	if (!t)
		tl_count(TL_TRACE_LOST_STATE);
	return t;
}

static __always_inline struct gil_lock *gil_lock_of(struct gil_thread *t)
{
	struct gil_lock_key key = { .lock = t->lock, .tgid = bpf_get_current_pid_tgid() >> 32 };
	struct gil_lock zero = {}, *l = bpf_map_lookup_elem(&gil_locks, &key);

	if (l)
		return l;
	bpf_map_update_elem(&gil_locks, &key, &zero, BPF_NOEXIST);
	return bpf_map_lookup_elem(&gil_locks, &key);
}

/* An IO thread begins to wait. Those that find no place are not seen by others. */
static __always_inline void gil_comes(struct gil_thread *t, struct gil_lock *l, __u64 now)
{
	__u32 i;

	for (i = 0; i < GIL_PLACES; i++)
		if (!l->io_since_ns[i] && !__sync_val_compare_and_swap(&l->io_since_ns[i], 0, now)) {
			t->place = i + 1;
			return;
		}
	tl_count(TL_TRACE_LOST_STATE);
}

static __always_inline void gil_goes(struct gil_thread *t, struct gil_lock *l)
{
	__u32 i = t->place - 1U;

	if (i < GIL_PLACES)
		l->io_since_ns[i] = 0;
	t->place = 0;
}

/* Since when the IO thread waits that has waited longest; 0: none does. */
static __always_inline __u64 gil_io_since(struct gil_lock *l)
{
	__u64 first = 0, since;
	__u32 i;

	for (i = 0; l && i < GIL_PLACES; i++) {
		since = l->io_since_ns[i];
		if (since && (!first || since < first))
			first = since;
	}
	return first;
}

/* The calling thread wants the lock. */
static __always_inline void gil_waits(struct gil_thread *t, __u64 lock, __u32 class)
{
	__u64 now = bpf_ktime_get_ns();
	struct gil_lock *l;

	if (t->wait_ns)		/* it says so again */
		return;
	t->lock = lock;
	t->class = class;
	t->wait_ns = now;
	t->hold_ns = 0;
	t->waking_ns = t->wakeup_ns = t->runs_ns = 0;
	l = gil_lock_of(t);
	if (l && class == GIL_IO)
		gil_comes(t, l, now);
}

/* The calling thread has it. */
static __always_inline void gil_has(void *ctx, struct gil_thread *t)
{
	__u64 now = bpf_ktime_get_ns();
	struct gil_lock *l;

	if (!t->wait_ns)
		return;
	l = gil_lock_of(t);
	if (l)
		gil_goes(t, l);
	tl_count(TL_TRACE_EVENTS);
	on_acquired(ctx, t, l, now);
	if (l)
		l->released_ns = 0;
	t->wait_ns = t->waking_ns = 0;
	t->hold_ns = now;
	t->in_save = t->was_asked = 0;
}

/* The calling thread gives it up. */
static __always_inline void gil_gives(void *ctx, struct gil_thread *t, bool forced)
{
	__u64 now = bpf_ktime_get_ns();
	struct gil_lock *l = gil_lock_of(t);

	/* It had it after all: nobody saw that its wait ended. */
	if (t->wait_ns && l)
		gil_goes(t, l);
	t->wait_ns = 0;
	on_released(ctx, t, l, now);
	if (l)
		l->released_ns = now;
	t->hold_ns = 0;
	t->gave_ns = now;
	t->was_asked = forced;
}

/*
 * The calling thread lets go in a way that it can undo. It holds nothing meanwhile, but
 * nothing is handed over either: who takes it is not woken for that.
 */
static __always_inline void gil_keeps(void *ctx, struct gil_thread *t)
{
	__u64 now = bpf_ktime_get_ns();

	on_released(ctx, t, gil_lock_of(t), now);
	t->hold_ns = 0;
	t->gave_ns = now;
	t->was_asked = 0;
}

/* The part of an object for USDT takes the rest from it. */
#ifndef TL_PART

/* --- the scheduler ----------------------------------------------------------------------------------------------------- */

TL_TP(sched_waking)
int BPF_PROG(gil_waking, struct task_struct *p)
{
	struct gil_thread *t;

	if (!tl_is_traced(TL_FIELD(p, tgid)) || p == (void *)bpf_get_current_task())
		return 0;
	t = TL_TASK_GET(gil_threads, p);
	if (t && t->wait_ns) {
		t->waking_ns = bpf_ktime_get_ns();
		t->wakeup_ns = t->runs_ns = 0;
	}
	return 0;
}

TL_TP(sched_wakeup)
int BPF_PROG(gil_wakeup, struct task_struct *p)
{
	struct gil_thread *t;

	if (!tl_is_traced(TL_FIELD(p, tgid)))
		return 0;
	t = TL_TASK_GET(gil_threads, p);
	if (t && t->waking_ns && !t->wakeup_ns)
		t->wakeup_ns = bpf_ktime_get_ns();
	return 0;
}

TL_TP(sched_switch)
int BPF_PROG(gil_switch, bool preempt, struct task_struct *prev, struct task_struct *next,
	     unsigned int prev_state)
{
	struct gil_thread *t;
	__u64 now;

	/* It was woken before it was off: its sleep has not come about. */
	if ((preempt || !prev_state) && tl_is_traced(TL_FIELD(prev, tgid))) {
		t = TL_TASK_GET(gil_threads, prev);
		if (t && !t->runs_ns)
			t->waking_ns = 0;
	}
	if (!tl_is_traced(TL_FIELD(next, tgid)))
		return 0;
	t = TL_TASK_GET(gil_threads, next);
	if (!t || !t->wait_ns || !t->waking_ns || t->runs_ns)
		return 0;
	now = bpf_ktime_get_ns();
	t->runs_ns = now;
	if (t->wakeup_ns < t->waking_ns)
		t->wakeup_ns = now;
	on_runs(prev, next, t, now);
	return 0;
}

/* One that ends while it waits, or after it has given the lock up for good. */
TL_TP(sched_process_exit)
int BPF_PROG(gil_exit, struct task_struct *p)
{
	struct gil_lock *l;
	struct gil_thread *t;

	if (!tl_is_traced(TL_FIELD(p, tgid)))
		return 0;
	t = TL_TASK_GET(gil_threads, p);
	if (!t || !t->wait_ns)
		return 0;
	l = gil_lock_of(t);
	if (l)
		gil_goes(t, l);
	t->wait_ns = 0;
	return 0;
}

#endif /* TL_PART */
#endif
