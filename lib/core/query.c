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
	return task->state == TL__PAUSED || task->state == TL__RUNNABLE ||
	       task->state == TL__BLOCKED;
}

bool tl_task_is_paused(const struct tl_task *task)
{
	return task->state == TL__PAUSED;
}

bool tl_task_is_blocked(const struct tl_task *task)
{
	return task->state == TL__BLOCKED;
}

bool tl_task_is_scheduled(const struct tl_task *task)
{
	return task->state == TL__RUNNABLE || task->state == TL__BLOCKED;
}

bool tl_task_is_main(const struct tl_task *task)
{
	return task->flags & TL__MAIN;
}

bool tl_task_is_current(const struct tl_task *task)
{
	return task->sched && tl__me(task->sched) == task;
}

/* Neighbours in a channel's queue are the channel's business: see channel.c. */
struct tl_task *tl_task_next(const struct tl_task *task)
{
	if (task->state == TL__RUNNABLE)
		return task->next;
	if (task->state == TL__BLOCKED && task->wait_ops->neighbour)
		return task->wait_ops->neighbour(task, +1);
	return NULL;
}

struct tl_task *tl_task_prev(const struct tl_task *task)
{
	if (task->state == TL__RUNNABLE)
		return task->prev;
	if (task->state == TL__BLOCKED && task->wait_ops->neighbour)
		return task->wait_ops->neighbour(task, -1);
	return NULL;
}

struct tl_chan *tl_task_channel(const struct tl_task *task)
{
	if (task->state == TL__BLOCKED && task->wait_ops->direction)
		return task->wait_object;
	return NULL;
}

int tl_task_direction(const struct tl_task *task)
{
	return task->state == TL__BLOCKED ? task->wait_ops->direction : 0;
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
	char *copy = NULL;

	if (task->sched && !tl__is_ours(task))
		return -EXDEV;
	if (name) {
		size_t size = strlen(name) + 1;

		copy = tl__malloc(size);
		if (!copy)
			return -ENOMEM;
		memcpy(copy, name, size);
	}
	tl__free(task->name);
	task->name = copy;
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
