/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * tl_async(): a tasklet whose end completes a future.
 *
 * The future is the tasklet's keeper (core/extra.h), with a reference until the
 * tasklet has ended. Invariant, under the future's lock: `task` is alive, and
 * the keeper's handle of it is good for making another, or it is NULL.
 */
#include <errno.h>

#include "base/alloc.h"
#include "core/end.h"
#include "core/extra.h"
#include "core/future.h"

struct async {
	struct tl_future future;
	struct tl_task *task;
};

static struct async *async_of(struct tl_future *f)
{
	return tl__container_of(f, struct async, future);
}

static void destroy(struct tl_future *f)
{
	tl__free(async_of(f));
}

static void cancelled(struct tl_future *f)
{
	struct async *a = async_of(f);
	struct tl_task *t;

	tl__lock(&f->lock);
	t = a->task ? tl_task_ref(a->task) : NULL;
	tl__unlock(&f->lock);
	if (!t)
		return;
	tl_task_kill_later(t);
	tl_task_unref(t);
}

static const struct tl__future_ops async_ops = {
	.cancelled = cancelled,
	.destroy = destroy,
};

/* Without a handle of the future the error is everybody's. */
static struct tl_error *take(struct tl_task *t, struct tl_error *error)
{
	struct async *a = tl__extra(t)->keeper.object;

	return tl__future_settle(&a->future, error);
}

static void ended(struct tl_task *t, int result, bool killed)
{
	struct async *a = tl__extra(t)->keeper.object;
	struct tl_future *f = &a->future;

	tl__lock(&f->lock);
	a->task = NULL;
	tl__unlock(&f->lock);
	if (killed)
		tl_future_cancel(f);
	else
		tl__future_end(f, result);
	tl__future_let_go(f);
}

static const struct tl__keeper_ops keeper_ops = {
	.take = take,
	.ended = ended,
};

int tl_async(struct tl_future **out, tl_task_fn *fn, void *arg)
{
	struct tl_sched *s = tl__sched();
	struct tl__keeper *keeper;
	struct async *a;
	int r;

	if (!s)
		return tl__sched_error();
	if (!out || !fn)
		return -EINVAL;
	a = tl__calloc(1, sizeof(*a));
	if (!a)
		return -ENOMEM;
	r = tl__task_make_kept(s, &a->task, NULL, fn);
	if (r) {
		tl__free(a);
		return r;
	}
	tl__future_init(&a->future, &async_ops);
	a->future.state = TL_FUTURE_RUNNING;
	keeper = &tl__extra(a->task)->keeper;
	keeper->ops = &keeper_ops;
	keeper->object = a;
	tl__task_start(s, a->task, arg);
	*out = &a->future;
	return 0;
}
