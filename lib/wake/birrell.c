/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The textbook's condition made of semaphores (Birrell, "Implementing Condition
 * Variables with Semaphores", 2003), whose signal waits until somebody has taken
 * its token: the handshake. To compare with. Time-outs are ours.
 *
 * Owns struct birrell. Lock order: the user's mutex, `entry`, `lock`. `entry` is
 * held while a signal waits for its handshake, so that nobody comes to wait
 * meanwhile, and takes what was meant for others; those that are to shake hands
 * do not need it. `lock` guards the counter alone, for those that time out.
 *
 * The last that a waiter does with the condition, if it was signalled, is the
 * handshake, which a broadcast waits for.
 */
#include "os/lock.h"
#include "wake/checked.h"
#include "wake/futex.h"
#include "wake/impl.h"

struct birrell {
	struct tl__lock entry;
	struct tl__lock lock;
	uint32_t waiting;		/* wait, and were not signalled */
	struct tl__wake_sem tokens;
	struct tl__wake_sem taken;	/* the handshake */
	const void *mutex;		/* theirs; for the checked build */
} __attribute__((may_alias));

_Static_assert(sizeof(struct birrell) <= sizeof(struct tl_wake_cond),
	       "it has room");

static struct birrell *cond_of(struct tl_wake_cond *cond)
{
	return (struct birrell *)cond;
}

static void take(struct tl__wake_sem *s)
{
	tl__wake_sem_wait(s, CLOCK_MONOTONIC, TL_FOREVER, false);
}

static void arrive(struct birrell *c, const void *mutex)
{
	tl__lock(&c->entry);
	tl__lock(&c->lock);
	tl__wake_checked_mutex(c, mutex, c->waiting ? c->mutex : mutex);
	c->mutex = mutex;
	c->waiting++;
	tl__unlock(&c->lock);
	tl__unlock(&c->entry);
}

/* How many of those that wait, @most at the most, are signalled now. */
static uint32_t choose(struct birrell *c, uint32_t most)
{
	uint32_t n;

	tl__lock(&c->lock);
	n = c->waiting < most ? c->waiting : most;
	c->waiting -= n;
	tl__unlock(&c->lock);
	return n;
}

static int wait(struct tl_wake_cond *cond, struct tl_wake_mutex *mutex,
		int clock, uint64_t deadline_ns)
{
	struct birrell *c = cond_of(cond);
	int r;

	if (unlikely(!tl__wake_clock_ok(clock)))
		return -EINVAL;
	arrive(c, mutex);
	tl__wake_table_unlock(mutex);
	r = tl__wake_sem_wait(&c->tokens, clock, deadline_ns, false);
	/* Out of time. If not all were chosen, he was not; else there is a token. */
	if (r && !choose(c, 1)) {
		take(&c->tokens);
		r = 0;
	}
	if (!r)
		tl__wake_sem_post(&c->taken, 1);
	tl__wake_table_lock(mutex);
	return r;
}

static void send(struct birrell *c, uint32_t most)
{
	uint32_t n;

	tl__lock(&c->entry);
	n = choose(c, most);
	if (n)
		tl__wake_sem_post(&c->tokens, n);
	while (n--)
		take(&c->taken);
	tl__unlock(&c->entry);
}

static void send_one(struct tl_wake_cond *cond)
{
	send(cond_of(cond), 1);
}

static void send_all(struct tl_wake_cond *cond)
{
	send(cond_of(cond), UINT32_MAX);
}

const struct tl_wake tl__wake_birrell = {
	.name = "birrell",
	.mutex_lock = tl__wake_table_lock,
	.mutex_try_lock = tl__wake_table_try_lock,
	.mutex_unlock = tl__wake_table_unlock,
	.cond_wait = wait,
	.cond_signal = send_one,
	.cond_broadcast = send_all,
	.cond_destroy = tl__wake_table_cond_done,
	.sem_wait = tl__wake_table_sem_wait,
	.sem_try_wait = tl__wake_table_sem_try_wait,
	.sem_post = tl__wake_table_sem_post,
};
