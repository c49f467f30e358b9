/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Stacks: where they come from and where they go back to.
 *
 * A stack and its tasklet are one object. Stacks of a size class lie side by
 * side in slabs; each has a guard page at its low end and its struct tl_task
 * near its high end, at one of sixteen offsets, so that the hot lines of many
 * tasklets do not fall into the same few cache sets:
 *
 *	| guard | ... grows down <-- | struct tl_task | colour |
 */
#ifndef TL_CORE_STACK_H
#define TL_CORE_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

struct tl_sched;
struct tl_task;

#define TL__STACK_SHIFT_MIN	14	/* 16 KiB: class 0 */
#define TL__STACK_CLASSES	17	/* up to 1 GiB */
#define TL__STACK_CLASS_DEFAULT	2	/* 64 KiB */

/* Bytes of free stacks whose memory is kept, all classes together. */
#define TL__STACK_CACHE_MAX	((size_t)64 << 20)

#define TL__SLAB_SLOTS_MAX 512

struct tl__slab {
	struct tl__slab *next;
	char *base;
	size_t slot_size;
	int size_class;
	unsigned int slots, carved, used, ncold;
	bool dropped;			/* chosen to be unmapped */
	uint64_t cold[TL__SLAB_SLOTS_MAX / 64];
	uint64_t guarded[TL__SLAB_SLOTS_MAX / 64];
};

struct tl__stack_cache {
	struct tl_task *free[TL__STACK_CLASSES];	/* through next */
	unsigned int nfree;
	size_t free_bytes;
	struct tl__slab *slabs[TL__STACK_CLASSES];
	uint64_t nstacks, unguarded, bytes;
};

/* The class for a stack of @size bytes in all. -EINVAL if there is none. */
int tl__stack_class(size_t size);

/*
 * A stack from the cache or a new one; the fields that a fresh tasklet needs
 * are as tl__stack_free() wants them back. NULL: no memory.
 */
struct tl_task *tl__stack_alloc_slow(struct tl_sched *s, int class);

/* Where @task's stack begins, and its lowest usable byte. */
void *tl__stack_top(const struct tl_task *task);
char *tl__stack_low(const struct tl_task *task);

/* Gives free stacks beyond @keep bytes back to the kernel. Returns the bytes. */
size_t tl__stack_trim(struct tl_sched *s, size_t keep);

/* No slab is unmapped from here on, whoever gives up his handle. */
void tl__stack_keep(struct tl_sched *s);

/*
 * The scheduler ends; no tasklet is alive. Unmaps every slab without a dead
 * tasklet that has handles; the others are nobody's from here on, and each goes
 * with the last of them, but not before tl__stack_fini().
 */
void tl__stack_orphan(struct tl_sched *s);
void tl__stack_fini(struct tl_sched *s);

/* The last handle of a tasklet whose scheduler has ended is gone. Any thread. */
void tl__stack_orphan_release(struct tl_task *task);

/* In the child of a fork: whoever was giving such a handle up is gone. */
void tl__stack_after_fork(void);

/* Calls @fn for each stack that ever held a tasklet; stops when it says so. */
void tl__stack_each(struct tl_sched *s,
		    bool (*fn)(struct tl_task *task, void *arg), void *arg);

/* The tasklet in whose guard page @addr lies, or NULL. Async-signal-safe. */
const struct tl_task *tl__stack_guard_hit(const struct tl_sched *s,
					  const void *addr);

/* "madvise", "mprotect" or "none": what the last guard was made with. */
const char *tl__stack_guard_method(void);

#endif
