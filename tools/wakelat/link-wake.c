/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Links over the mutexes and conditions of tasklet/wake.h.
 *
 * Invariant: the slots and the count belong to who has locked the mutex.
 */
#include <errno.h>
#include <time.h>

#include "link.h"

static int wake_open(struct link *link)
{
	link->u.wake.wake = tl_wake_find(link->primitive->wake);
	return link->u.wake.wake ? 0 : -ENOSYS;
}

static void wake_close(struct link *link)
{
	(void)link;
}

static void unlock_and_signal(struct link *link, struct tl_wake_cond *cond)
{
	const struct tl_wake *wake = link->u.wake.wake;

	if (!link->primitive->after)
		wake->cond_signal(cond);
	wake->mutex_unlock(&link->u.wake.mutex);
	if (link->primitive->after)
		wake->cond_signal(cond);
}

static int await(struct link *link, struct tl_wake_cond *cond)
{
	return link->u.wake.wake->cond_wait(cond, &link->u.wake.mutex,
					    CLOCK_MONOTONIC, TL_FOREVER);
}

static int wake_put(struct link *link, uint64_t value)
{
	const struct tl_wake *wake = link->u.wake.wake;
	int r = 0;

	wake->mutex_lock(&link->u.wake.mutex);
	while (!r && link->capacity && link->u.wake.count == link->capacity)
		r = await(link, &link->u.wake.room);
	if (r) {
		wake->mutex_unlock(&link->u.wake.mutex);
		return r;
	}
	link_push(&link->slots, value);
	link->u.wake.count++;
	unlock_and_signal(link, &link->u.wake.items);
	return 0;
}

static int wake_get(struct link *link, uint64_t *value)
{
	const struct tl_wake *wake = link->u.wake.wake;
	int r = 0;

	wake->mutex_lock(&link->u.wake.mutex);
	while (!r && !link->u.wake.count)
		r = await(link, &link->u.wake.items);
	if (r) {
		wake->mutex_unlock(&link->u.wake.mutex);
		return r;
	}
	*value = link_pop(&link->slots);
	link->u.wake.count--;
	if (link->capacity)
		unlock_and_signal(link, &link->u.wake.room);
	else
		wake->mutex_unlock(&link->u.wake.mutex);
	return 0;
}

#define WAKE_FUNCTIONS .open = wake_open, .close = wake_close, \
		       .put = wake_put, .get = wake_get

const struct primitive link_cond = {
	.name = "cond",
	.what = "libtasklet's futex condition, signalled under the mutex",
	.wake = "futex",
	WAKE_FUNCTIONS,
};

const struct primitive link_cond_after = {
	.name = "cond-after",
	.what = "... signalled after the unlock",
	.wake = "futex",
	.after = true,
	WAKE_FUNCTIONS,
};

const struct primitive link_emulated = {
	.name = "emulated",
	.what = "libtasklet's condition made of a semaphore, under the mutex",
	.wake = "emulated",
	WAKE_FUNCTIONS,
};

const struct primitive link_emulated_after = {
	.name = "emulated-after",
	.what = "... signalled after the unlock",
	.wake = "emulated",
	.after = true,
	WAKE_FUNCTIONS,
};

const struct primitive link_birrell = {
	.name = "birrell",
	.what = "the textbook's condition made of semaphores, under the mutex",
	.wake = "birrell",
	WAKE_FUNCTIONS,
};
