// SPDX-License-Identifier: GPL-2.0-only
/*
 * A scheduler for threads that ask for it (SCHED_EXT) and share a global lock.
 *
 * There is a queue for each rank, first come, first served, and they are served in
 * the ranks' order: threads that come back from a call that may block; those that
 * waited for the lock; those that have it; those that compute. A thread that has the
 * lock comes before those that compute only if somebody waits for a lock; if not,
 * they take turns. Who comes with a high rank stops one that computes, or (IO) one
 * that has a lock, but never the owner of the lock that it waits for itself.
 *
 * Bound: each processor gives a slice to each queue that has not been empty for
 * `starve`, and none is taken from it; so no thread waits for ever for those that come
 * before it. An IO thread that has computed for a whole slice is one that computes
 * until it sleeps.
 */
#include "gilsched.bpf.h"
#include "gilsched-usdt.bpf.h"

#define LIMBO GILSCHED_RANKS	/* a queue that nobody serves */
#define LOOK_MAX 32		/* processors, for one to stop */

/* --- ranks ------------------------------------------------------------------------------------------------------------ */

static __always_inline __u32 rank_of(struct task_struct *p, const struct thread *t)
{
	__u32 tid = p->pid, *mark = bpf_map_lookup_elem(&tl_marks, &tid);

	if (mark && *mark)
		return *mark == GILSCHED_MARK_IO ? GILSCHED_IO : GILSCHED_CPU;
	if (!t)
		return GILSCHED_CPU;
	if (t->owns)
		return GILSCHED_OWNER;
	if (t->used_up)
		return GILSCHED_CPU;
	if (t->io)
		return GILSCHED_IO;
	return t->waits ? GILSCHED_GIL : GILSCHED_CPU;
}

static __always_inline void count_dispatch(__u32 rank)
{
	struct gilsched_stats *s = FIRST(stats);

	if (s && rank < GILSCHED_RANKS)
		s->dispatched[rank]++;
}

/* --- who comes ---------------------------------------------------------------------------------------------------------- */

/*
 * The processor runs a thread of another class, as one that has asked it something. When
 * that is over it goes on with the thread that had to stop for it, and looks into no
 * queue, unless somebody is before that one.
 */
static __always_inline bool goes_before(__s32 cpu, __u32 rank)
{
	struct cpu *c = cpu_of(cpu);

	if (!c || c->tid || rank > GILSCHED_GIL || (rank == GILSCHED_GIL && c->io_next))
		return false;
	c->io_next = rank == GILSCHED_IO;
	return true;
}

static __always_inline void insert_before(struct task_struct *p, __u32 rank, __u64 slice_ns)
{
	count_dispatch(rank);
	scx_insert(p, SCX_DSQ_LOCAL, slice_ns, SCX_ENQ_HEAD);
}

SEC("struct_ops/gilsched_select_cpu")
__s32 BPF_PROG(gilsched_select_cpu, struct task_struct *p, __s32 prev_cpu, __u64 wake_flags)
{
	const struct gilsched_settings *s = FIRST(settings);
	__s32 here = bpf_get_smp_processor_id(), cpu;
	__u32 rank = rank_of(p, thread_of(p));
	bool is_idle = false;

	/* Who has asked is about to sleep. Another processor would have to be woken. */
	if (wake_flags & SCX_WAKE_SYNC && s && !s->hold && bpf_cpumask_test_cpu(here, p->cpus_ptr) &&
	    goes_before(here, rank)) {
		insert_before(p, rank, s->slice_ns);
		return here;
	}
	cpu = scx_bpf_select_cpu_dfl(p, prev_cpu, wake_flags, &is_idle);
	if (is_idle && s && !s->hold) {
		count_dispatch(rank);
		scx_insert(p, SCX_DSQ_LOCAL, s->slice_ns, 0);
	}
	return cpu;
}

/* What a thread with that rank may do to the processor's present one. */
enum claim { CLAIM_NONE, CLAIM_SPARED, CLAIM_OWNER, CLAIM_CPU };

static __always_inline enum claim claim(const struct cpu *c, struct task_struct *p, __u32 rank,
					const struct thread *t)
{
	if (!c->tid || c->owed)
		return CLAIM_NONE;
	if (!c->owns)
		return c->rank > GILSCHED_GIL ? CLAIM_CPU : CLAIM_NONE;
	if (t && t->waits == c->owns && c->tgid == (__u32)p->tgid)
		return CLAIM_SPARED;
	return rank == GILSCHED_IO ? CLAIM_OWNER : CLAIM_NONE;
}

struct look {
	struct task_struct *p;
	const struct thread *t;
	__u32 rank, first, cpus;
	enum claim best;
	__s32 victim;
};

/* The verifier takes too long over a plain loop. Returns whether to stop. */
static long look_at(__u32 i, struct look *look)
{
	__u32 cpu = look->first + i;
	enum claim found;
	struct cpu *c;

	if (cpu >= look->cpus)
		cpu -= look->cpus;
	c = cpu_of(cpu);
	if (!c || !bpf_cpumask_test_cpu(cpu, look->p->cpus_ptr))
		return 0;
	found = claim(c, look->p, look->rank, look->t);
	if (found > look->best) {
		look->best = found;
		look->victim = (__s32)cpu;
	}
	return found == CLAIM_CPU;
}

/* Whether a processor stops what it does for it: one that computes, or else one that has a lock. */
static __always_inline bool stop_one(struct task_struct *p, __u32 rank, const struct thread *t, __u32 cpus)
{
	/* Where it ran last comes first: its cache is there. */
	struct look look = {
		.p = p, .t = t, .rank = rank, .first = scx_bpf_task_cpu(p), .cpus = cpus,
	};
	struct cpu *c;

	bpf_loop(cpus < LOOK_MAX ? cpus : LOOK_MAX, look_at, &look, 0);
	if (look.best == CLAIM_SPARED)
		COUNT(spared);
	c = look.best > CLAIM_SPARED ? cpu_of(look.victim) : NULL;
	if (!c)
		return false;
	COUNT(kicks);
	c->kicked = true;
	scx_bpf_kick_cpu(look.victim, SCX_KICK_PREEMPT);
	return true;
}

/* Whether some processor will look into the queues at once. */
static __always_inline bool is_noticed(struct task_struct *p, __u32 rank, __u32 cpus)
{
	__s32 idle = scx_bpf_pick_idle_cpu(p->cpus_ptr, 0);

	/* It has become so since it was looked for, or nobody has looked. */
	if (idle >= 0) {
		scx_bpf_kick_cpu(idle, SCX_KICK_IDLE);
		return true;
	}
	return rank <= GILSCHED_GIL && stop_one(p, rank, thread_of(p), cpus);
}

SEC("struct_ops/gilsched_enqueue")
void BPF_PROG(gilsched_enqueue, struct task_struct *p, __u64 enq_flags)
{
	const struct gilsched_settings *s = FIRST(settings);
	__u32 rank = rank_of(p, thread_of(p));

	if (!s || rank >= GILSCHED_RANKS)
		return;
	if (s->hold) {
		scx_insert(p, LIMBO, s->slice_ns, enq_flags);
		return;
	}
	/* Not one that has just been stopped: the queues come next then. */
	if (!is_noticed(p, rank, s->cpus) && enq_flags & SCX_ENQ_WAKEUP &&
	    goes_before(scx_bpf_task_cpu(p), rank)) {
		insert_before(p, rank, s->slice_ns);
		return;
	}
	if (!scx_bpf_dsq_nr_queued(rank))
		since_ns[rank] = bpf_ktime_get_ns();
	scx_insert(p, rank, s->slice_ns, enq_flags);
}

/* --- who is next ---------------------------------------------------------------------------------------------------------- */

static __always_inline bool move(__u32 rank)
{
	if (!scx_move_to_local(rank))
		return false;
	count_dispatch(rank);
	return true;
}

/* The queue has waited for too long, for this processor to serve it. */
static __always_inline bool starves(const struct cpu *c, __u32 rank, __u64 now, __u64 starve_ns)
{
	__u64 since = since_ns[rank];

	if (c->served_ns[rank] > since)
		since = c->served_ns[rank];
	return now > since + starve_ns && scx_bpf_dsq_nr_queued(rank) > 0;
}

static __always_inline bool move_starved(struct cpu *c, __u64 starve_ns)
{
	__u64 now = bpf_ktime_get_ns();
	__u32 rank;

	#pragma unroll
	for (rank = GILSCHED_RANKS - 1; rank > GILSCHED_IO; rank--) {
		if (!starves(c, rank, now, starve_ns) || !move(rank))
			continue;
		c->owes = true;
		COUNT(starved);
		return true;
	}
	return false;
}

/* It has run until its slice was over: not one that had to stop for another one. */
static __always_inline void note_slice(struct task_struct *p, struct thread *t, const struct cpu *c)
{
	if (p->scx.slice || t->used_up || c->kicked)
		return;
	if (t->io && !t->owns)
		COUNT(used_up);
	t->used_up = true;
}

/* The rank of one that could go on; GILSCHED_RANKS: it can't. */
static __always_inline __u32 rank_of_previous(struct task_struct *prev, const struct cpu *c)
{
	struct thread *t;

	if (!prev || !(prev->scx.flags & SCX_TASK_QUEUED))
		return GILSCHED_RANKS;
	t = thread_of(prev);
	if (t)
		note_slice(prev, t, c);
	return rank_of(prev, t);
}

/* Whether the queue has somebody, or @kept has that rank and goes on: nobody is moved. */
#define SERVE(rank, kept) (move(rank) || (kept) == (rank))

SEC("struct_ops/gilsched_dispatch")
void BPF_PROG(gilsched_dispatch, __s32 cpu, struct task_struct *prev)
{
	const struct gilsched_settings *s = FIRST(settings);
	struct cpu *c = cpu_of(cpu);
	bool owner_first;
	__u32 kept;

	if (!s || !c)
		return;
	kept = rank_of_previous(prev, c);
	if (move_starved(c, s->starve_ns))
		return;
	if (SERVE(GILSCHED_IO, kept) || SERVE(GILSCHED_GIL, kept))
		return;
	owner_first = waiting || c->served_ns[GILSCHED_OWNER] < c->served_ns[GILSCHED_CPU];
	if (owner_first && SERVE(GILSCHED_OWNER, kept))
		return;
	if (SERVE(GILSCHED_CPU, kept))
		return;
	move(GILSCHED_OWNER);
}

/* --- who runs --------------------------------------------------------------------------------------------------------------- */

SEC("struct_ops/gilsched_running")
void BPF_PROG(gilsched_running, struct task_struct *p)
{
	struct cpu *c = cpu_of(scx_bpf_task_cpu(p));
	struct thread *t = thread_of(p);
	__u32 rank = rank_of(p, t);

	if (!c || rank >= GILSCHED_RANKS)
		return;
	c->rank = rank;
	c->owed = c->owes;
	c->owes = c->kicked = c->io_next = false;
	c->served_ns[rank] = bpf_ktime_get_ns();
	c->tgid = p->tgid;
	c->owns = t ? t->owns : 0;
	c->tid = p->pid;
}

SEC("struct_ops/gilsched_stopping")
void BPF_PROG(gilsched_stopping, struct task_struct *p, bool runnable)
{
	struct cpu *c = cpu_of(scx_bpf_task_cpu(p));
	struct thread *t = thread_of(p);

	if (!c)
		return;
	c->tid = 0;
	if (t && runnable)
		note_slice(p, t, c);
}

SEC("struct_ops/gilsched_quiescent")
void BPF_PROG(gilsched_quiescent, struct task_struct *p, __u64 deq_flags)
{
	struct thread *t = thread_of(p);

	if (t && deq_flags & SCX_DEQ_SLEEP)
		t->used_up = false;
}

/* --- who belongs here --------------------------------------------------------------------------------------------------------- */

SEC("struct_ops/gilsched_enable")
void BPF_PROG(gilsched_enable, struct task_struct *p)
{
	COUNT(asked);
}

SEC("struct_ops/gilsched_disable")
void BPF_PROG(gilsched_disable, struct task_struct *p)
{
	COUNT(left);
}

/* Of all threads, also those that did not ask but use a lock. */
SEC("struct_ops/gilsched_exit_task")
void BPF_PROG(gilsched_exit_task, struct task_struct *p, struct scx_exit_task_args *args)
{
	struct thread *t = thread_of(p);
	__u32 tid = p->pid;

	if (t)
		set_waits(t, 0);
	bpf_map_delete_elem(&threads, &tid);
	bpf_map_delete_elem(&tl_marks, &tid);
}

/* --- from begin to end ---------------------------------------------------------------------------------------------------------- */

/* The loader makes it one that may sleep. */
SEC("struct_ops/gilsched_init")
__s32 BPF_PROG(gilsched_init)
{
	__s32 r = 0;
	__u32 dsq;

	for (dsq = 0; dsq <= LIMBO && !r; dsq++)
		r = scx_bpf_create_dsq(dsq, -1);
	return r;
}

SEC("struct_ops/gilsched_exit")
void BPF_PROG(gilsched_exit, struct scx_exit_info *info)
{
	struct gilsched_exit *e = FIRST(exits);

	if (!e)
		return;
	bpf_probe_read_kernel_str(e->reason, sizeof(e->reason), info->reason);
	bpf_probe_read_kernel_str(e->message, sizeof(e->message), info->msg);
	e->code = info->exit_code;
	e->kind = info->kind;
}

SEC(".struct_ops")
struct sched_ext_ops gilsched = {
	.select_cpu = (void *)gilsched_select_cpu,
	.enqueue = (void *)gilsched_enqueue,
	.dispatch = (void *)gilsched_dispatch,
	.running = (void *)gilsched_running,
	.stopping = (void *)gilsched_stopping,
	.quiescent = (void *)gilsched_quiescent,
	.exit_task = (void *)gilsched_exit_task,
	.enable = (void *)gilsched_enable,
	.disable = (void *)gilsched_disable,
	.init = (void *)gilsched_init,
	.exit = (void *)gilsched_exit,
	.flags = SCX_OPS_SWITCH_PARTIAL,
	.timeout_ms = 5000,
	.name = GILSCHED_NAME,
};

char LICENSE[] SEC("license") = "GPL";
