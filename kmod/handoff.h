/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Inside the module: domains, the slots in them, and who may touch what.
 *
 * A domain is an open file. It ends with its last reference, and a call holds one:
 * so a domain, and each slot that it has had, outlives all calls. Slots are reused,
 * never freed before; who has an old number of one is told by its generation.
 *
 * Locks: domain->mutex is for who registers; a slot's lock may be taken with it,
 * and is else taken alone.
 */
#ifndef KMOD_HANDOFF_H
#define KMOD_HANDOFF_H

#include <linux/hashtable.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/pid.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#include <tasklet/uapi/handoff.h>

/* They are made by chunks, which stay where they are. */
#define HANDOFF_CHUNK 64
#define HANDOFF_CHUNKS 1024

/*
 * A thread is known by its struct pid, which is small, and stays when the thread is gone
 * and its other memory with it.
 */
struct handoff_slot {
	spinlock_t lock;		/* for what follows, as it says */
	/* With the lock: */
	struct pid *thread;		/* a reference; NULL: nobody's */
	u32 generation;
	struct task_struct *sleeper;	/* it, in handoff_wait(), not woken yet */
	u64 posted;		/* the latest cookie that it was woken with */
	u64 wanted;		/* ... that it sleeps for */
	u64 posted_ns;		/* when it was woken, if somebody wants to know */
	/* With the domain's mutex: */
	struct list_head free;
	struct hlist_node by_thread;
	/* Never changes: */
	u32 index;
};

struct handoff_domain {
	struct mm_struct *mm;		/* who may call; never changes */
	struct mutex mutex;
	/* With the mutex; whoever looks for a slot reads them without it: */
	struct handoff_slot *chunks[HANDOFF_CHUNKS];
	/* With the mutex: */
	u32 chunks_made;
	struct list_head free;
	DECLARE_HASHTABLE(by_thread, 8); /* those that are somebody's */
	u32 taken;			/* so many */
	u32 sweep_at;			/* so many: look for those that are gone */
};

/* A slot's number as user space knows it. No generation is 0. */
static inline u64 handoff_handle(const struct handoff_slot *slot, u32 generation)
{
	return (u64)generation << 32 | slot->index;
}

static inline u32 handoff_generation(u64 handle)
{
	return handle >> 32;
}

/* domain.c */
struct handoff_domain *handoff_domain_new(void);
void handoff_domain_free(struct handoff_domain *domain);
/* 0, or -EEXIST, and the caller's slot; -ENOSPC, -ENOMEM, -EINTR */
int handoff_register(struct handoff_domain *domain, u64 *handle);
/* 0, -ENOENT, -EINTR */
int handoff_unregister(struct handoff_domain *domain);
/* The slot that has, or had, this number; NULL: none. */
struct handoff_slot *handoff_find(struct handoff_domain *domain, u64 handle);

/* slot.c */
extern const u32 handoff_features;
/* Whether its thread is not ending, nor has it. With its lock, or the mutex. */
bool handoff_is_alive(const struct handoff_slot *slot);
/* 0, -ESRCH */
int handoff_wake(struct handoff_slot *slot, u32 generation, u64 cookie,
		 bool anywhere);
struct handoff_target {
	struct handoff_slot *slot;
	u32 generation;
	u64 cookie;
	bool anywhere;
};

/*
 * The caller's slot: until it is woken with @cookie. Wakes @target, which may be NULL,
 * on its way to sleep. 0, -ETIMEDOUT, -ERESTARTSYS, or why the target was not woken.
 */
int handoff_wait(struct handoff_slot *slot, u64 cookie, s64 deadline_ns,
		 const struct handoff_target *target);

/* latency.c */
int handoff_latency_init(void);
void handoff_latency_exit(void);
/* Whether anybody wants to know when slots are woken. */
bool handoff_latency_wanted(void);
/* The caller goes on; it was woken at @posted_ns. */
void handoff_latency_record(const struct handoff_slot *slot, u64 posted_ns);

#endif
