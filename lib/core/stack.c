/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Slabs of stacks, guard pages and the cache of free stacks.
 *
 * A stack is in use, warm (free, in the cache's list, its pages in place), cold
 * (free, its pages given back, a bit in the slab), or not yet carved from its
 * slab. Invariants: slab->used counts those in use; the cache's nfree counts the
 * warm ones of all classes, whose free_bytes stay within the limit but for the
 * moment until the next poll trims it.
 *
 * Guards: MADV_GUARD_INSTALL (Linux 6.13) makes any number of them inside one
 * mapping. With mprotect() each one splits the mapping, and the kernel's limit
 * (vm.max_map_count, 65,530) ends that at about 32,000 stacks; what comes after
 * is unguarded, counted in tl_stats(), and said once on stderr.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "core/remote.h"
#include "core/ring.h"
#include "core/task.h"
#include "os/log.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

#define COLOURS 16
#define COLOUR_STEP 128

enum guard_method { GUARD_MADVISE, GUARD_MPROTECT, GUARD_NONE };

/* Relaxed: a stale value costs one failing system call. */
static _Atomic int guard_method = GUARD_MADVISE;

static size_t page_size(void)
{
	static _Atomic size_t cached;	/* relaxed: all write the same value */
	size_t size = atomic_load_explicit(&cached, memory_order_relaxed);

	if (!size) {
		size = (size_t)sysconf(_SC_PAGESIZE);
		atomic_store_explicit(&cached, size, memory_order_relaxed);
	}
	return size;
}

const char *tl__stack_guard_method(void)
{
	static const char *const names[] = { "madvise", "mprotect", "none" };

	return names[atomic_load_explicit(&guard_method, memory_order_relaxed)];
}

int tl__stack_class(size_t size)
{
	int class = 0;

	if (!size)
		return TL__STACK_CLASS_DEFAULT;
	while (class < TL__STACK_CLASSES &&
	       ((size_t)1 << (TL__STACK_SHIFT_MIN + class)) < size)
		class++;
	/* The guard must leave room: 64 KiB pages rule the small classes out. */
	while (class < TL__STACK_CLASSES &&
	       ((size_t)1 << (TL__STACK_SHIFT_MIN + class)) < 3 * page_size())
		class++;
	return class < TL__STACK_CLASSES ? class : -EINVAL;
}

static char *slot_low(const struct tl__slab *slab, unsigned int i)
{
	return slab->base + i * slab->slot_size;
}

static struct tl_task *slot_task(const struct tl__slab *slab, unsigned int i)
{
	uintptr_t top = (uintptr_t)slot_low(slab, i) + slab->slot_size;

	top -= sizeof(struct tl_task) + i % COLOURS * COLOUR_STEP;
	return (struct tl_task *)(top & ~(uintptr_t)63);
}

static unsigned int slot_index(const struct tl__slab *slab, const void *addr)
{
	return (unsigned int)(((uintptr_t)addr - (uintptr_t)slab->base) /
			      slab->slot_size);
}

static bool bit_get(const uint64_t *map, unsigned int i)
{
	return map[i / 64] >> (i % 64) & 1;
}

static void bit_set(uint64_t *map, unsigned int i)
{
	map[i / 64] |= UINT64_C(1) << (i % 64);
}

static void bit_clear(uint64_t *map, unsigned int i)
{
	map[i / 64] &= ~(UINT64_C(1) << (i % 64));
}

void *tl__stack_top(const struct tl_task *task)
{
	return (void *)((uintptr_t)task & ~(uintptr_t)15);
}

char *tl__stack_low(const struct tl_task *task)
{
	const struct tl__slab *slab = task->slab;

	return slot_low(slab, slot_index(slab, task)) + page_size();
}

static bool guard_install(char *page)
{
	int method = atomic_load_explicit(&guard_method, memory_order_relaxed);

	if (method == GUARD_MADVISE) {
		if (!tl__fault() &&
		    madvise(page, page_size(), MADV_GUARD_INSTALL) == 0)
			return true;
		atomic_store_explicit(&guard_method, GUARD_MPROTECT,
				      memory_order_relaxed);
		method = GUARD_MPROTECT;
	}
	if (method == GUARD_MPROTECT) {
		if (!tl__fault() &&
		    mprotect(page, page_size(), PROT_NONE) == 0)
			return true;
		/* Not for good: stacks that end make room for new guards. */
		tl__log_once("no guard page for some stacks: %s "
			     "(vm.max_map_count?); see tl_stats()", "mprotect");
	}
	return false;
}

static struct tl__slab *slab_new(struct tl_sched *s, int class)
{
	size_t slot_size = (size_t)1 << (TL__STACK_SHIFT_MIN + class);
	struct tl__slab *last = s->stacks.slabs[class];
	unsigned int slots = last ? last->slots * 2 : 16;
	struct tl__slab *slab;

	if (slots > TL__SLAB_SLOTS_MAX)
		slots = TL__SLAB_SLOTS_MAX;
	slab = tl__calloc(1, sizeof(*slab));
	if (!slab)
		return NULL;

	/* Large stacks may not fit sixteen at a time: ask for fewer. */
	for (;; slots /= 2) {
		if (!slots) {
			tl__free(slab);
			return NULL;
		}
		slab->base = tl__fault() ? MAP_FAILED :
			mmap(NULL, slots * slot_size, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
			     MAP_STACK, -1, 0);
		if (slab->base != MAP_FAILED)
			break;
	}
	/* A huge page would make 32 stacks resident at the first touch. */
	madvise(slab->base, slots * slot_size, MADV_NOHUGEPAGE);
	slab->slot_size = slot_size;
	slab->size_class = class;
	slab->slots = slots;
	slab->next = last;
	s->stacks.slabs[class] = slab;
	s->stacks.bytes += slots * slot_size;
	return slab;
}

/* Makes slot @i a stack in use. Its page was never touched, or is zero again. */
static struct tl_task *slot_open(struct tl_sched *s, struct tl__slab *slab,
				 unsigned int i)
{
	struct tl_task *task = slot_task(slab, i);
	char *low = slot_low(slab, i);

	if (!bit_get(slab->guarded, i)) {
		if (guard_install(low))
			bit_set(slab->guarded, i);
		else
			s->stacks.unguarded++;
	}
	memset(task, 0, sizeof(*task));
	task->sched = s;
	task->slab = slab;
	task->stack_class = (uint8_t)slab->size_class;
	task->waiter.task = task;
	tl__annotate_map(&task->annotation, low + page_size(),
			 (size_t)((char *)tl__stack_top(task) - low) -
			 page_size());
	slab->used++;
	return task;
}

static struct tl_task *slot_reopen_cold(struct tl_sched *s,
					struct tl__slab *slab)
{
	unsigned int i;

	for (i = 0; !bit_get(slab->cold, i); i++)
		;
	bit_clear(slab->cold, i);
	slab->ncold--;
	if (!bit_get(slab->guarded, i))
		s->stacks.unguarded--;	/* slot_open() tries again */
	return slot_open(s, slab, i);
}

static struct tl_task *stack_make(struct tl_sched *s, int class)
{
	struct tl__slab *slab = s->stacks.slabs[class];
	struct tl_task *task = s->stacks.free[class];

	if (task) {
		s->stacks.free[class] = task->next;
		s->stacks.nfree--;
		s->stacks.free_bytes -= task->slab->slot_size;
		task->slab->used++;
		return task;
	}
	for (; slab; slab = slab->next)
		if (slab->ncold || slab->carved < slab->slots)
			break;
	if (!slab) {
		slab = slab_new(s, class);
		if (!slab)
			return NULL;
	}
	s->stacks.nstacks++;
	if (slab->ncold)
		return slot_reopen_cold(s, slab);
	return slot_open(s, slab, slab->carved++);
}

struct tl_task *tl__stack_alloc_slow(struct tl_sched *s, int class)
{
	int saved = errno;
	struct tl_task *task = stack_make(s, class);

	errno = saved;
	return task;
}

/* Unmaps a slab none of whose stacks is in use or in the list of warm ones. */
static size_t slab_unmap(struct tl_sched *s, struct tl__slab *slab)
{
	size_t bytes = slab->slots * slab->slot_size;
	unsigned int i;

	for (i = 0; i < slab->carved; i++)
		if (!bit_get(slab->guarded, i))
			s->stacks.unguarded--;
	munmap(slab->base, bytes);
	s->stacks.bytes -= bytes;
	tl__free(slab);
	return bytes;
}

/* Gives the pages of a warm stack back; the guard stays. */
static size_t slot_cool(struct tl_task *task)
{
	struct tl__slab *slab = task->slab;
	unsigned int i = slot_index(slab, task);
	char *low = slot_low(slab, i) + page_size();
	size_t bytes = slab->slot_size - page_size();

	tl__annotate_unmap(&task->annotation);
	madvise(low, bytes, MADV_DONTNEED);
	bit_set(slab->cold, i);
	slab->ncold++;
	return bytes;
}

/* Unmaps the slabs that were chosen; their stacks are not in the list any more. */
static size_t slabs_drop(struct tl_sched *s, int class)
{
	struct tl__slab **link = &s->stacks.slabs[class];
	struct tl__slab *slab;
	size_t bytes = 0;

	while ((slab = *link)) {
		if (!slab->dropped) {
			link = &slab->next;
			continue;
		}
		*link = slab->next;
		bytes += slab_unmap(s, slab);
	}
	return bytes;
}

/* The stacks of @slab that are in the list of warm ones, in bytes. */
static size_t slab_warm_bytes(const struct tl__slab *slab)
{
	return (slab->carved - slab->ncold - slab->used) * slab->slot_size;
}

/*
 * Chooses slabs that nobody uses, to be unmapped whole, until no more than
 * *@excess bytes go: one system call for up to 512 stacks.
 */
static void choose_slabs(struct tl_sched *s, int class, size_t *excess)
{
	struct tl__slab *slab;

	for (slab = s->stacks.slabs[class]; slab; slab = slab->next) {
		size_t bytes = slab_warm_bytes(slab);

		slab->dropped = !slab->used && bytes <= *excess;
		if (slab->dropped)
			*excess -= bytes;
	}
}

/* Takes @task out of the list of warm stacks; @link is where it hangs. */
static void warm_remove(struct tl_sched *s, struct tl_task **link,
			struct tl_task *task)
{
	*link = task->next;
	s->stacks.nfree--;
	s->stacks.nstacks--;
	s->stacks.free_bytes -= task->slab->slot_size;
}

static size_t trim_class(struct tl_sched *s, int class, size_t *keep)
{
	size_t warm = 0, kept = 0, bytes = 0, excess;
	struct tl_task **link, *task;
	struct tl__slab *slab;

	for (slab = s->stacks.slabs[class]; slab; slab = slab->next)
		warm += slab_warm_bytes(slab);
	excess = warm > *keep ? warm - *keep : 0;
	choose_slabs(s, class, &excess);
	/* Of the others the newest stay: they are the likeliest in a cache. */
	for (link = &s->stacks.free[class]; (task = *link);) {
		slab = task->slab;
		if (slab->dropped) {
			warm_remove(s, link, task);
			tl__annotate_unmap(&task->annotation);
		} else if (kept + slab->slot_size > *keep) {
			warm_remove(s, link, task);
			bytes += slot_cool(task);
		} else {
			kept += slab->slot_size;
			link = &task->next;
		}
	}
	*keep -= kept;
	return bytes + slabs_drop(s, class);
}

size_t tl__stack_trim(struct tl_sched *s, size_t keep)
{
	size_t bytes = 0;
	int saved = errno;
	int class;

	for (class = 0; class < TL__STACK_CLASSES; class++)
		if (s->stacks.slabs[class])
			bytes += trim_class(s, class, &keep);
	errno = saved;
	return bytes;
}

/* Dead tasklets with handles, whose scheduler has ended; any thread. */
static pthread_mutex_t orphans_lock = PTHREAD_MUTEX_INITIALIZER;

void tl__stack_after_fork(void)
{
	pthread_mutex_init(&orphans_lock, NULL);
}

/* One use of @slab less, after its scheduler's end. */
static void orphan_unuse(struct tl__slab *slab)
{
	bool last;

	/* Two threads may hold handles to different stacks of one slab. */
	pthread_mutex_lock(&orphans_lock);
	last = !--slab->used;
	pthread_mutex_unlock(&orphans_lock);
	if (!last)
		return;
	munmap(slab->base, slab->slots * slab->slot_size);
	tl__free(slab);
}

void tl__stack_orphan_release(struct tl_task *task)
{
	tl__free(task->name);
	tl__annotate_unmap(&task->annotation);
	orphan_unuse(task->slab);
}

static bool close_mail(struct tl_task *task, void *arg)
{
	(void)arg;
	tl__mail_close(task);
	return true;
}

void tl__stack_keep(struct tl_sched *s)
{
	struct tl__slab *slab;
	int class;

	for (class = 0; class < TL__STACK_CLASSES; class++)
		for (slab = s->stacks.slabs[class]; slab; slab = slab->next)
			slab->used++;
}

void tl__stack_orphan(struct tl_sched *s)
{
	tl__stack_trim(s, 0);
	tl__stack_keep(s);	/* while we still look at them */
	tl__stack_each(s, close_mail, NULL);
}

void tl__stack_fini(struct tl_sched *s)
{
	struct tl__slab *slab, *next;
	int class;

	for (class = 0; class < TL__STACK_CLASSES; class++)
		for (slab = s->stacks.slabs[class]; slab; slab = next) {
			next = slab->next;
			orphan_unuse(slab);
		}
}

void tl__stack_each(struct tl_sched *s,
		    bool (*fn)(struct tl_task *task, void *arg), void *arg)
{
	const struct tl__slab *slab;
	unsigned int i;
	int class;

	for (class = 0; class < TL__STACK_CLASSES; class++)
		for (slab = s->stacks.slabs[class]; slab; slab = slab->next)
			for (i = 0; i < slab->carved; i++)
				if (!bit_get(slab->cold, i) &&
				    !fn(slot_task(slab, i), arg))
					return;
}

const struct tl_task *tl__stack_guard_hit(const struct tl_sched *s,
					  const void *addr)
{
	const struct tl__slab *slab;
	unsigned int i;
	int class;

	for (class = 0; class < TL__STACK_CLASSES; class++)
		for (slab = s->stacks.slabs[class]; slab; slab = slab->next) {
			if ((const char *)addr < slab->base)
				continue;
			i = slot_index(slab, addr);
			if (i >= slab->carved || bit_get(slab->cold, i))
				continue;
			if ((const char *)addr < slot_low(slab, i) + page_size())
				return slot_task(slab, i);
		}
	return NULL;
}
