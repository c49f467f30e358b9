/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the scheduler knows of threads and processors.
 *
 * A thread's state is written by programs that run in its context, at the library's
 * probes; nobody who is not root can. It is in a table with room made in advance, not
 * in the task itself: since 7.x the kernel can allocate nothing for that at a probe on
 * processors without a double-word compare-and-swap.
 *
 * A processor's state is what its present thread is, for those who look for one to
 * stop. A probe's program stays on its processor, but may be preempted: it writes the
 * thread's state before the processor's, which is filled in from the thread's whenever
 * that goes on.
 */
#ifndef TL_BPF_GILSCHED_BPF_H
#define TL_BPF_GILSCHED_BPF_H

#include "scx.bpf.h"
#include "gilsched.h"

struct thread {
	__u64 owns;		/* the lock's address; 0: none */
	__u64 waits;
	bool io;		/* what it comes, or came, for the lock as */
	bool used_up;		/* a slice, since it slept or had the lock */
};

struct cpu {
	__u64 owns;		/* the present thread's */
	__u32 tgid;
	__u32 tid;		/* 0: it runs none of ours */
	__u32 rank;		/* as it was when it began to run */
	bool owed;		/* its slice is the bound on starvation: not to be cut */
	bool owes;		/* the next one's is */
	bool kicked;		/* it had to stop for another one: its slice was cut */
	bool io_next;		/* an IO thread is next, whatever the queues have */
	__u64 served_ns[GILSCHED_RANKS];
};

/* By its number; an entry is there from its first probe to its end. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, struct thread);
} threads SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);		/* the loader knows how many */
	__type(key, __u32);
	__type(value, struct cpu);
} cpus SEC(".maps");

/* By thread: enum gilsched_mark. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, __u32);
} tl_marks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct gilsched_settings);
} settings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct gilsched_stats);
} stats SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct gilsched_exit);
} exits SEC(".maps");

static __u64 waiting;				/* threads, for any lock */
static __u64 since_ns[GILSCHED_RANKS];		/* the queue was empty last */

#define FIRST(map) ({ __u32 zero__ = 0; bpf_map_lookup_elem(&(map), &zero__); })

/* Preempted by none that counts, too; but for the programs at probes, which don't. */
#define COUNT(field) do {						\
	struct gilsched_stats *stats__ = FIRST(stats);			\
	if (stats__)							\
		stats__->field++;					\
} while (0)

static __always_inline struct cpu *cpu_of(__u32 number)
{
	return bpf_map_lookup_elem(&cpus, &number);
}

static __always_inline struct thread *thread_of(struct task_struct *p)
{
	__u32 tid = p->pid;

	return bpf_map_lookup_elem(&threads, &tid);
}

static __always_inline struct thread *thread_me(void)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid();
	struct thread zero = {}, *t = bpf_map_lookup_elem(&threads, &tid);

	if (t)
		return t;
	bpf_map_update_elem(&threads, &tid, &zero, BPF_NOEXIST);
	return bpf_map_lookup_elem(&threads, &tid);
}

#endif
