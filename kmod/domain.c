// SPDX-License-Identifier: GPL-2.0-only
/*
 * Domains: who is in them, and the slots' lives.
 *
 * A slot is taken by a thread that registers, and free again when it unregisters, or
 * has ended and is noticed: that is looked for when as many are taken as twice those
 * that were found alive the last time, so that the looking costs each registration the
 * same. Where nobody registers any more the dead ones stay, a struct pid each, until the
 * domain ends.
 */
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/pid.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "handoff.h"

#define SWEEP_AT_LEAST 64u

struct handoff_domain *handoff_domain_new(void)
{
	struct handoff_domain *domain;

	if (!current->mm)
		return ERR_PTR(-EINVAL);
	domain = kvzalloc(sizeof(*domain), GFP_KERNEL_ACCOUNT);
	if (!domain)
		return ERR_PTR(-ENOMEM);
	/* The structure, not what it maps: its address isn't another's meanwhile. */
	mmgrab(current->mm);
	domain->mm = current->mm;
	mutex_init(&domain->mutex);
	INIT_LIST_HEAD(&domain->free);
	hash_init(domain->by_thread);
	domain->sweep_at = SWEEP_AT_LEAST;
	return domain;
}

static struct handoff_slot *slot_at(struct handoff_domain *domain, u32 index)
{
	return &domain->chunks[index / HANDOFF_CHUNK][index % HANDOFF_CHUNK];
}

void handoff_domain_free(struct handoff_domain *domain)
{
	struct handoff_slot *slot;
	u32 i;

	for (i = 0; i < domain->chunks_made * HANDOFF_CHUNK; i++) {
		slot = slot_at(domain, i);
		put_pid(slot->thread);
	}
	for (i = 0; i < domain->chunks_made; i++)
		kvfree(domain->chunks[i]);
	mmdrop(domain->mm);
	kvfree(domain);
}

struct handoff_slot *handoff_find(struct handoff_domain *domain, u64 handle)
{
	u32 index = handle;
	struct handoff_slot *chunk;

	if (!handoff_generation(handle) || index >= HANDOFF_CHUNKS * HANDOFF_CHUNK)
		return NULL;
	/* Not beyond the table, what is guessed before that is known to be so. */
	index = array_index_nospec(index, HANDOFF_CHUNKS * HANDOFF_CHUNK);
	/* Pairs with new_chunk(). */
	chunk = smp_load_acquire(&domain->chunks[index / HANDOFF_CHUNK]);
	return chunk ? &chunk[index % HANDOFF_CHUNK] : NULL;
}

/* --- all with the mutex ---------------------------------------------------- */

static struct handoff_slot *slot_of_caller(struct handoff_domain *domain)
{
	struct handoff_slot *slot;

	/* The reference keeps its address from being another's. */
	hash_for_each_possible(domain->by_thread, slot, by_thread,
			       (unsigned long)task_pid(current))
		if (slot->thread == task_pid(current))
			return slot;
	return NULL;
}

/* Whoever has its number finds it gone. */
static void free_slot(struct handoff_domain *domain, struct handoff_slot *slot)
{
	struct pid *thread;

	spin_lock(&slot->lock);
	thread = slot->thread;
	WRITE_ONCE(slot->thread, NULL);
	spin_unlock(&slot->lock);
	put_pid(thread);
	hash_del(&slot->by_thread);
	domain->taken--;
	list_add(&slot->free, &domain->free);
}

/* Frees those of threads that have ended. */
static void sweep(struct handoff_domain *domain)
{
	struct handoff_slot *slot;
	u32 i;

	for (i = 0; i < domain->chunks_made * HANDOFF_CHUNK; i++) {
		slot = slot_at(domain, i);
		if (slot->thread && !handoff_is_alive(slot))
			free_slot(domain, slot);
		cond_resched();
	}
	domain->sweep_at = max(SWEEP_AT_LEAST, 2 * domain->taken);
}

/* Some more, which belong to nobody. */
static int new_chunk(struct handoff_domain *domain)
{
	struct handoff_slot *chunk;
	u32 i;

	if (domain->chunks_made == HANDOFF_CHUNKS)
		return -ENOSPC;
	chunk = kvcalloc(HANDOFF_CHUNK, sizeof(*chunk), GFP_KERNEL_ACCOUNT);
	if (!chunk)
		return -ENOMEM;
	for (i = 0; i < HANDOFF_CHUNK; i++) {
		spin_lock_init(&chunk[i].lock);
		INIT_HLIST_NODE(&chunk[i].by_thread);
		/* Anywhere, so that no domain's numbers are another's. */
		chunk[i].generation = get_random_u32();
		chunk[i].index = domain->chunks_made * HANDOFF_CHUNK + i;
		list_add_tail(&chunk[i].free, &domain->free);
	}
	/* Pairs with handoff_find(): what is in it. */
	smp_store_release(&domain->chunks[domain->chunks_made], chunk);
	domain->chunks_made++;
	return 0;
}

/* One that belongs to nobody. */
static struct handoff_slot *get_slot(struct handoff_domain *domain)
{
	struct handoff_slot *slot;

	int ret = 0;

	if (domain->taken >= domain->sweep_at ||
	    (list_empty(&domain->free) && domain->chunks_made == HANDOFF_CHUNKS))
		sweep(domain);
	if (list_empty(&domain->free))
		ret = new_chunk(domain);
	if (ret)
		return ERR_PTR(ret);
	slot = list_first_entry(&domain->free, struct handoff_slot, free);
	list_del_init(&slot->free);
	return slot;
}

static void take_slot(struct handoff_domain *domain, struct handoff_slot *slot)
{
	spin_lock(&slot->lock);
	WRITE_ONCE(slot->thread, get_pid(task_pid(current)));
	/* After 2^32 lives its numbers come again. */
	if (!++slot->generation)
		slot->generation = 1;
	slot->posted = 0;
	slot->posted_ns = 0;
	spin_unlock(&slot->lock);
	hash_add(domain->by_thread, &slot->by_thread,
		 (unsigned long)slot->thread);
	domain->taken++;
}

/* --- the calls ------------------------------------------------------------- */

int handoff_register(struct handoff_domain *domain, u64 *handle)
{
	struct handoff_slot *slot;
	int ret = -EEXIST;

	if (mutex_lock_killable(&domain->mutex))
		return -EINTR;
	slot = slot_of_caller(domain);
	if (!slot) {
		slot = get_slot(domain);
		ret = PTR_ERR_OR_ZERO(slot);
		if (!ret)
			take_slot(domain, slot);
	}
	if (!IS_ERR(slot))
		*handle = handoff_handle(slot, slot->generation);
	mutex_unlock(&domain->mutex);
	return ret;
}

int handoff_unregister(struct handoff_domain *domain)
{
	struct handoff_slot *slot;

	if (mutex_lock_killable(&domain->mutex))
		return -EINTR;
	slot = slot_of_caller(domain);
	if (slot)
		free_slot(domain, slot);
	mutex_unlock(&domain->mutex);
	return slot ? 0 : -ENOENT;
}
