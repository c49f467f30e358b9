// SPDX-License-Identifier: GPL-2.0-only
/*
 * The one mechanism: to wake the thread of a slot on this processor, and to sleep,
 * in one call.
 *
 * A slot's thread decides to sleep with the slot's lock held: it has looked at
 * `posted`, and says in `sleeper` and its own state that it sleeps. Whoever wakes it
 * has the lock when it sets `posted` and looks at `sleeper`. So one of them sees
 * the other. Only the thread itself waits on its slot.
 */
#include <linux/hrtimer.h>
#include <linux/nsproxy.h>
#include <linux/overflow.h>
#include <linux/pid.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/time_namespace.h>
#include <linux/version.h>
#include <linux/wait.h>

#include "handoff.h"

/*
 * The scheduler's flags for a wake-up are its own (kernel/sched/sched.h), but
 * default_wake_function() takes them: it is what wait queues wake with. SYNC: the
 * waker is about to sleep. CURRENT_CPU: put it on this processor, if it may run there;
 * that one has been there since 6.6. That it still is what it was is for the test
 * kmod/placement to see.
 */
#define WAKE_SYNC 0x10
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
#define WAKE_CURRENT_CPU 0x40
const u32 handoff_features = TL_HANDOFF_F_HERE;
#else
#define WAKE_CURRENT_CPU 0
const u32 handoff_features;
#endif

/* Comes @a before @b? They are sequence numbers. */
static bool is_before(u64 a, u64 b)
{
	return (s64)(a - b) < 0;
}

bool handoff_is_alive(const struct handoff_slot *slot)
{
	struct task_struct *task;
	bool alive;

	rcu_read_lock();
	task = pid_task(slot->thread, PIDTYPE_PID);
	alive = task && !(READ_ONCE(task->flags) & PF_EXITING);
	rcu_read_unlock();
	return alive;
}

/* With the lock: who is to be woken, a reference. Once. */
static struct task_struct *take_sleeper(struct handoff_slot *slot)
{
	struct task_struct *sleeper = get_task_struct(slot->sleeper);

	slot->sleeper = NULL;
	slot->posted_ns = handoff_latency_wanted() ? ktime_get_ns() : 0;
	return sleeper;
}

static void wake_task(struct task_struct *task, bool anywhere)
{
	struct wait_queue_entry entry = { .private = task };
	int flags = 0;

	/* Where it may not run the hint would only cost. It may change: no matter. */
	if (!anywhere && cpumask_test_cpu(raw_smp_processor_id(), task->cpus_ptr))
		flags = WAKE_SYNC | WAKE_CURRENT_CPU;
	default_wake_function(&entry, TASK_INTERRUPTIBLE, flags, NULL);
}

/*
 * It is woken without the lock, which it takes first of all: on another processor it
 * would do so while we still had it. So it may be up by itself before that, and asleep
 * somewhere else: whoever sleeps in the kernel looks again for what he sleeps for.
 */
int handoff_wake(struct handoff_slot *slot, u32 generation, u64 cookie,
		 bool anywhere)
{
	struct task_struct *sleeper = NULL;
	int ret = 0;

	spin_lock(&slot->lock);
	if (slot->generation != generation || !slot->thread ||
	    (!slot->sleeper && !handoff_is_alive(slot))) {
		ret = -ESRCH;
	} else if (is_before(slot->posted, cookie)) {
		slot->posted = cookie;
		if (slot->sleeper && !is_before(cookie, slot->wanted))
			sleeper = take_sleeper(slot);
	}
	spin_unlock(&slot->lock);
	if (sleeper) {
		wake_task(sleeper, anywhere);
		put_task_struct(sleeper);
	}
	return ret;
}

/* With the lock: the caller has been woken, and when, if somebody wants to know. */
static u64 take_wakeup(struct handoff_slot *slot)
{
	u64 posted_ns = slot->posted_ns;

	slot->sleeper = NULL;
	slot->posted_ns = 0;
	return posted_ns;
}

/*
 * Whether the caller has been woken; if not, and it @may_sleep, says that it is about
 * to, to others and the scheduler.
 */
static bool is_woken(struct handoff_slot *slot, u64 cookie, bool may_sleep)
{
	u64 posted_ns = 0;
	bool woken;

	spin_lock(&slot->lock);
	woken = !is_before(slot->posted, cookie);
	if (woken || !may_sleep)
		posted_ns = take_wakeup(slot);
	if (!woken && may_sleep) {
		slot->wanted = cookie;
		slot->sleeper = current;
		set_current_state(TASK_INTERRUPTIBLE | TASK_FREEZABLE);
	}
	spin_unlock(&slot->lock);
	if (posted_ns)
		handoff_latency_record(slot, posted_ns);
	return woken;
}

/* A deadline of the caller's clock, which its time namespace may have moved. */
static ktime_t to_host(s64 deadline_ns)
{
#ifdef CONFIG_TIME_NS
	s64 offset = timespec64_to_ns(&current->nsproxy->time_ns->offsets.monotonic);

	/* The furthest are as good as none: what is beyond them is, too. */
	if (check_sub_overflow(deadline_ns, offset, &deadline_ns))
		deadline_ns = offset < 0 ? KTIME_MAX : 0;
	deadline_ns = max(deadline_ns, 0LL);
#endif
	return ns_to_ktime(deadline_ns);
}

/* Sleeps once. 0, -ETIMEDOUT, -ERESTARTSYS */
static int sleep_until(s64 deadline_ns)
{
	ktime_t expires;

	if (signal_pending(current))
		return -ERESTARTSYS;
	if (deadline_ns < 0) {
		schedule();
		return 0;
	}
	expires = to_host(deadline_ns);
	return schedule_hrtimeout_range(&expires, current->timer_slack_ns,
					HRTIMER_MODE_ABS) ? 0 : -ETIMEDOUT;
}

/*
 * The one that we have woken may be wanted here at once: so it comes before we sleep.
 * It often has an answer soon, and then neither of us has to leave the queue of those
 * that run, and to be put there again: most of what a handoff costs on one processor.
 */
static void let_it_run(void)
{
	bool wanted = need_resched();

#ifdef TIF_NEED_RESCHED_LAZY
	wanted |= test_thread_flag(TIF_NEED_RESCHED_LAZY);
#endif
	if (wanted)
		schedule();
}

int handoff_wait(struct handoff_slot *slot, u64 cookie, s64 deadline_ns,
		 const struct handoff_target *target)
{
	int ret = 0;

	if (target) {
		ret = handoff_wake(target->slot, target->generation,
				   target->cookie, target->anywhere);
		if (ret)
			return ret;
		let_it_run();
	}
	while (!is_woken(slot, cookie, true)) {
		ret = sleep_until(deadline_ns);
		if (ret) {
			__set_current_state(TASK_RUNNING);
			/* At the last moment? That tells more than why it wasn't. */
			return is_woken(slot, cookie, false) ? 0 : ret;
		}
	}
	return 0;
}
