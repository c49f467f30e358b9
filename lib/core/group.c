/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Groups of tasklets; see include/tasklet/group.h.
 *
 * A member's place is its keeper (core/extra.h), on its stack: tasklets without
 * a group pay nothing. Invariants, under the group's lock:
 *
 *  - a keeper is in `members` from the start of its tasklet until the tasklet's
 *    own thread takes it out, last of all; so what is in the list is alive, and
 *    the group's handle of it is good for making another.
 *  - those that the last kill has reached come behind those that it has not.
 *  - whoever waits is in `waiters`; who takes it off wakes it, without the lock.
 *
 * `refs` counts handles, members and those that wait; `handles` the first of these
 * alone. With the lock no other is taken, nothing is allocated and no foreign code
 * runs.
 */
#include <errno.h>
#include <stdatomic.h>

#include <tasklet/group.h>

#include "base/alloc.h"
#include "core/end.h"
#include "core/extra.h"
#include "core/park.h"
#include "core/remote.h"
#include "core/unwind.h"
#include "os/lock.h"

struct tl_group {
	struct tl__lock lock;
	_Atomic uint32_t refs;
	uint32_t handles;
	int count, swallowed;
	unsigned int round;	/* of kills; 0: none yet */
	struct tl__list members, waiters;
	struct tl_error *error;
};

/* A tl_group_wait() under way; lies in its frame. */
struct wait {
	struct tl__list link;	/* in group->waiters, while is_queued */
	struct tl_group *group;
	struct tl_task *task;
	bool is_queued;		/* false: claimed */
};

int tl_group_new(struct tl_group **out)
{
	struct tl_group *g;

	if (!out)
		return -EINVAL;
	g = tl__calloc(1, sizeof(*g));
	if (!g)
		return -ENOMEM;
	/* relaxed: nobody else knows it */
	atomic_store_explicit(&g->refs, 1, memory_order_relaxed);
	g->handles = 1;
	tl__list_init(&g->members);
	tl__list_init(&g->waiters);
	*out = g;
	return 0;
}

static void hold(struct tl_group *g)
{
	/* relaxed: the caller has one, or finds it through a member */
	atomic_fetch_add_explicit(&g->refs, 1, memory_order_relaxed);
}

static void let_go(struct tl_group *g)
{
	/* release: what we did with it; acquire: what the others did */
	if (atomic_fetch_sub_explicit(&g->refs, 1, memory_order_acq_rel) == 1)
		tl__free(g);
}

struct tl_group *tl_group_ref(struct tl_group *g)
{
	hold(g);
	tl__lock(&g->lock);
	g->handles++;
	tl__unlock(&g->lock);
	return g;
}

void tl_group_unref(struct tl_group *g)
{
	struct tl_error *error = NULL;

	if (!g)
		return;
	tl__lock(&g->lock);
	if (!--g->handles) {
		error = g->error;
		g->error = NULL;
	}
	tl__unlock(&g->lock);
	let_go(g);
	tl_error_free(error);	/* last: it may do anything */
}

/* --- members ------------------------------------------------------------------ */

static struct tl_error *take(struct tl_task *t, struct tl_error *error)
{
	struct tl_group *g = tl__extra(t)->keeper.object;
	struct tl_error *dropped = error;

	tl__lock(&g->lock);
	if (!g->handles) {
		tl__unlock(&g->lock);
		return error;
	}
	if (!g->error) {
		g->error = error;
		dropped = NULL;
	}
	tl__unlock(&g->lock);
	tl_error_free(dropped);
	return NULL;
}

static void wake_all(struct tl__list *claimed)
{
	struct tl__list *link;

	while ((link = tl__list_first(claimed))) {
		struct wait *w = tl__container_of(link, struct wait, link);

		tl__list_del(link);
		tl__wake_any(w->task, 0);
	}
}

static void claim_all(struct tl_group *g, struct tl__list *claimed)
{
	struct tl__list *link;

	while ((link = tl__list_first(&g->waiters))) {
		tl__container_of(link, struct wait, link)->is_queued = false;
		tl__list_del(link);
		tl__list_add_tail(claimed, link);
	}
}

static void ended(struct tl_task *t, int result, bool killed)
{
	struct tl__keeper *keeper = &tl__extra(t)->keeper;
	struct tl_group *g = keeper->object;
	struct tl__list claimed;

	(void)result, (void)killed;
	tl__list_init(&claimed);
	tl__lock(&g->lock);
	tl__list_del(&keeper->link);
	if (keeper->has_swallowed)
		g->swallowed--;
	if (!--g->count)
		claim_all(g, &claimed);
	tl__unlock(&g->lock);
	let_go(g);
	wake_all(&claimed);
}

static void swallowed(struct tl_task *t)
{
	struct tl__keeper *keeper = &tl__extra(t)->keeper;
	struct tl_group *g = keeper->object;

	tl__lock(&g->lock);
	if (!keeper->has_swallowed) {
		keeper->has_swallowed = true;
		g->swallowed++;
	}
	tl__unlock(&g->lock);
}

static const struct tl__keeper_ops member_ops = {
	.take = take,
	.ended = ended,
	.swallowed = swallowed,
};

static bool is_member(const struct tl_task *t, const struct tl_group *g)
{
	return (t->flags & TL__KEPT) && tl__extra(t)->keeper.object == g &&
	       tl__extra(t)->keeper.ops == &member_ops;
}

/* False: the group was killed. */
static bool join(struct tl_sched *s, struct tl_group *g, struct tl_task *t,
		 void *arg)
{
	struct tl__keeper *keeper = &tl__extra(t)->keeper;

	keeper->ops = &member_ops;
	keeper->object = g;
	tl__lock(&g->lock);
	if (g->round) {
		tl__unlock(&g->lock);
		return false;
	}
	/* Alive before it is in the list: or a kill from afar would miss it. */
	tl__task_start(s, t, arg);
	tl__list_add_tail(&g->members, &keeper->link);
	g->count++;
	hold(g);
	tl__unlock(&g->lock);
	return true;
}

int tl_group_spawn(struct tl_group *g, struct tl_task **out,
		   const struct tl_task_attr *attr, tl_task_fn *fn, void *arg)
{
	struct tl_sched *s = tl__sched();
	struct tl_task *t;
	int r;

	if (!s)
		return tl__sched_error();
	if (!fn)
		return -EINVAL;
	r = tl__task_make_kept(s, &t, attr, fn);
	if (r)
		return r;
	if (!join(s, g, t, arg)) {
		t->flags &= ~TL__KEPT;
		tl__refs_set(t, 0);
		tl__stack_release(s, t);
		return -EPIPE;
	}
	if (out)
		*out = tl_task_ref(t);
	return 0;
}

int tl_group_count(struct tl_group *g)
{
	int count;

	tl__lock(&g->lock);
	count = g->count;
	tl__unlock(&g->lock);
	return count;
}

int tl_group_swallowed(struct tl_group *g)
{
	int count;

	tl__lock(&g->lock);
	count = g->swallowed;
	tl__unlock(&g->lock);
	return count;
}

struct tl_error *tl_group_first_error(struct tl_group *g)
{
	struct tl_error *error;

	tl__lock(&g->lock);
	error = g->error;
	g->error = NULL;
	tl__unlock(&g->lock);
	return error;
}

/* --- kill --------------------------------------------------------------------- */

/*
 * The next one that kill number @round has not reached, and neither has one that
 * came after it; NULL: there is none. It goes to the end.
 */
static struct tl_task *next_victim(struct tl_group *g, unsigned int round)
{
	struct tl__list *link;
	struct tl_task *t = NULL;

	tl__lock(&g->lock);
	link = tl__list_first(&g->members);
	if (link) {
		struct tl__keeper *keeper =
			tl__container_of(link, struct tl__keeper, link);

		if (keeper->round < round) {
			keeper->round = round;
			tl__list_del(link);
			tl__list_add_tail(&g->members, link);
			t = tl_task_ref(keeper->task);
		}
	}
	tl__unlock(&g->lock);
	return t;
}

int tl_group_kill(struct tl_group *g)
{
	struct tl_sched *s = tl__sched();
	struct tl_task *me, *t;
	unsigned int round;
	int r, result = 0;

	if (!s)
		return tl__sched_error();
	me = tl__me(s);
	hold(g);	/* destructors of errors may run, and give handles up */
	tl__lock(&g->lock);
	round = ++g->round;
	tl__unlock(&g->lock);
	while ((t = next_victim(g, round))) {
		if (t != me) {
			r = tl_task_kill_later(t);
			if (r)
				result = r;
		}
		tl_task_unref(t);
	}
	r = is_member(me, g);
	let_go(g);
	return r ? tl_task_kill(me) : result;
}

/* --- wait --------------------------------------------------------------------- */

static bool wait_abandon(struct tl_task *t, int result)
{
	struct wait *w = t->wait_object;
	struct tl_group *g = w->group;
	bool was_queued;

	tl__lock(&g->lock);
	was_queued = w->is_queued;
	if (was_queued) {
		w->is_queued = false;
		tl__list_del(&w->link);
	}
	tl__unlock(&g->lock);
	if (!was_queued)
		return tl__wake_awaited(t);
	tl__wake(t->sched, t, result);
	return true;
}

static const struct tl__wait_ops group_ops = {
	.verb = "waits for a group",
	.abandon = wait_abandon,
};

/* Returns whether there is somebody to wait for. */
static bool enqueue(struct tl_group *g, struct wait *w)
{
	bool any;

	tl__lock(&g->lock);
	any = g->count;
	if (any) {
		w->is_queued = true;
		tl__list_add_tail(&g->waiters, &w->link);
	}
	tl__unlock(&g->lock);
	return any;
}

int tl_group_wait_until(struct tl_group *g, uint64_t deadline_ns)
{
	struct tl_sched *s = tl__sched();
	struct wait w = { .group = g };
	struct tl_task *me;
	int r;

	if (!s)
		return tl__sched_error();
	me = tl__me(s);
	if (is_member(me, g))
		return -EDEADLK;
	r = tl__block_check(s, me, tl_group_count(g));
	if (!r)
		r = tl__deadline_arm(s, me, deadline_ns);
	if (r)
		return r;
	w.task = me;
	hold(g);	/* others may give handles up meanwhile */
	if (enqueue(g, &w)) {
		tl__poll_soon(s);
		r = tl__park(s, me, &group_ops, &w);
	} else {
		tl__deadline_disarm(s, me);
	}
	let_go(g);
	return tl__unwind_return(me, r);
}

int tl_group_wait(struct tl_group *g)
{
	return tl_group_wait_until(g, TL_FOREVER);
}
