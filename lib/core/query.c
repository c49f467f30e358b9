/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What one may ask of a tasklet, and the few attributes that may be set: no
 * function here changes who runs.
 */
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "core/task.h"

bool tl_task_is_alive(const struct tl_task *task)
{
	return tl__is_alive(task);
}

bool tl_task_is_paused(const struct tl_task *task)
{
	return tl__state(task) == TL__PAUSED;
}

bool tl_task_is_blocked(const struct tl_task *task)
{
	return tl__state(task) == TL__BLOCKED;
}

bool tl_task_is_scheduled(const struct tl_task *task)
{
	return tl__state(task) == TL__RUNNABLE || tl__state(task) == TL__BLOCKED;
}

bool tl_task_is_main(const struct tl_task *task)
{
	/* Not by its flags: they change, and any thread may ask. */
	return !task->slab;
}

bool tl_task_is_current(const struct tl_task *task)
{
	struct tl_task *t = (struct tl_task *)task;
	bool is = false;

	if (tl__is_ours(task))
		return tl__me(task->sched) == task;
	/* Another thread's scheduler is there as long as we have the lock. */
	tl__lock(&t->mail_lock);
	if (t->sched)
		is = tl__sched_runs(t->sched, t);
	tl__unlock(&t->mail_lock);
	return is;
}

/*
 * Neighbours in a channel's queue are the channel's business: see chan/wait.c. Of
 * another thread's tasklets none is told: they may be gone before one looks.
 */
static struct tl_task *neighbour(const struct tl_task *task, int side)
{
	if (!tl__is_ours(task))
		return NULL;
	if (tl__state(task) == TL__RUNNABLE)
		return side > 0 ? task->next : task->prev;
	if (tl__state(task) == TL__BLOCKED && task->wait_ops->neighbour)
		return task->wait_ops->neighbour(task, side);
	return NULL;
}

struct tl_task *tl_task_next(const struct tl_task *task)
{
	return neighbour(task, +1);
}

struct tl_task *tl_task_prev(const struct tl_task *task)
{
	return neighbour(task, -1);
}

static int direction(const struct tl_task *task)
{
	if (!tl__is_ours(task) || tl__state(task) != TL__BLOCKED)
		return 0;
	return task->wait_ops->direction;
}

struct tl_chan *tl_task_channel(const struct tl_task *task)
{
	return direction(task) ? task->wait_object : NULL;
}

int tl_task_direction(const struct tl_task *task)
{
	return direction(task);
}

uint64_t tl_task_id(const struct tl_task *task)
{
	return task->id;
}

const char *tl_task_name(const struct tl_task *task)
{
	return task->name ? task->name : "";
}

int tl_task_set_name(struct tl_task *task, const char *name)
{
	char *copy = NULL, *old;

	/* relaxed: as in tl__is_ours(); one that has no thread is the caller's */
	if (__atomic_load_n(&task->sched, __ATOMIC_RELAXED) &&
	    !tl__is_ours(task))
		return -EXDEV;
	if (name) {
		size_t size = strlen(name) + 1;

		copy = tl__malloc(size);
		if (!copy)
			return -ENOMEM;
		memcpy(copy, name, size);
	}
	old = task->name;
	/* Never a name that is gone: ask.c may look from a signal handler. */
	__atomic_store_n(&task->name, copy, __ATOMIC_RELAXED);
	atomic_signal_fence(memory_order_seq_cst);
	tl__free(old);
	return 0;
}

void *tl_task_value(const struct tl_task *task)
{
	return task->value;
}

void tl_task_set_value(struct tl_task *task, void *value)
{
	task->value = value;
}

bool tl_task_block_trap(const struct tl_task *task)
{
	return task->flags & TL__BLOCKTRAP;
}

bool tl_task_set_block_trap(struct tl_task *task, bool on)
{
	bool was = task->flags & TL__BLOCKTRAP;

	if (on)
		task->flags |= TL__BLOCKTRAP;
	else
		task->flags &= ~TL__BLOCKTRAP;
	return was;
}
