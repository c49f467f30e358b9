/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * tl_call_async() and tl_call(): functions on the offload pool, with a future for
 * what they come to.
 *
 * The call and its future are one object. The pool has a reference from the
 * submission until the function is over, or was taken back. Whether the call was
 * abandoned is settled under the future's lock, at the very moment when its
 * result would be published.
 */
#include <errno.h>

#include "base/alloc.h"
#include "core/future.h"
#include "core/unwind.h"
#include "io/io.h"

struct call {
	struct tl_future future;
	struct tl__job job;
	tl_call_fn *fn;
	void *arg;
	void (*on_abandoned)(void *arg);
};

static struct call *call_of(struct tl_future *f)
{
	return tl__container_of(f, struct call, future);
}

static void destroy(struct tl_future *f)
{
	tl__free(call_of(f));
}

static void abandoned(struct call *c)
{
	if (c->on_abandoned)
		c->on_abandoned(c->arg);
	tl__future_let_go(&c->future);
}

static void cancelled(struct tl_future *f)
{
	struct call *c = call_of(f);

	if (tl__pool_take_back(&c->job))
		abandoned(c);
}

static const struct tl__future_ops call_ops = {
	.cancelled = cancelled,
	.destroy = destroy,
};

/* On the pool's thread. */
static void call_run(struct tl__job *job)
{
	struct call *c = tl__container_of(job, struct call, job);
	struct tl_error *error = NULL;
	long result = 0;

	/* Cancelled, but not taken back in time: it does not begin. */
	if (tl_future_start(&c->future)) {
		abandoned(c);
		return;
	}
	result = c->fn(c->arg, &error);
	if (tl__future_finish(&c->future, result, error)) {
		tl__future_let_go(&c->future);
		return;
	}
	tl_error_free(error);
	abandoned(c);
}

static struct call *call_new(tl_call_fn *fn, void *arg,
			     void (*on_abandoned)(void *arg))
{
	struct call *c = tl__calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	tl__future_init(&c->future, &call_ops);
	c->future.by_pool = true;
	c->job.run = call_run;
	c->fn = fn;
	c->arg = arg;
	c->on_abandoned = on_abandoned;
	return c;
}

int tl_call_async(struct tl_future **out, tl_call_fn *fn, void *arg,
		  void (*on_abandoned)(void *arg))
{
	struct call *c;
	int r;

	if (!fn)
		return -EINVAL;
	c = call_new(fn, arg, on_abandoned);
	if (!c)
		return -ENOMEM;
	if (!out)
		c->future.handles = 0;
	r = tl__pool_submit_alone(&c->job);
	if (r) {
		tl__free(c);
		return r;
	}
	if (out)
		*out = &c->future;
	else
		tl__future_let_go(&c->future);
	return 0;
}

/* What the future, which is done, has for its only owner. */
static int harvest(struct tl_task *me, struct tl_future *f, long *result)
{
	struct tl_error *error = tl__future_take_error(f);
	int code;

	if (!error)
		return tl_future_result(f, result);
	code = tl_error_code(error);
	tl__error_set_origin(error, "an offloaded call");
	tl__caught_set(me, error);
	return -code;
}

int tl_call_until(tl_call_fn *fn, void *arg, void (*on_abandoned)(void *arg),
		  long *result, uint64_t deadline_ns)
{
	struct tl_sched *s = tl__sched();
	struct tl_future *f;
	struct tl_task *me;
	int r;

	if (!s)
		return tl__sched_error();
	me = tl__me(s);
	r = tl__block_check(s, me, true);
	if (!r)
		r = tl_call_async(&f, fn, arg, on_abandoned);
	if (r)
		return r;
	r = tl__future_wait(s, me, &f, 1, deadline_ns);
	/* It may be done after all: then it was not abandoned. */
	if (!r || tl_future_cancel(f))
		r = harvest(me, f, result);
	tl_future_unref(f);
	return tl__unwind_return(me, r);
}

int tl_call(tl_call_fn *fn, void *arg, void (*on_abandoned)(void *arg),
	    long *result)
{
	return tl_call_until(fn, arg, on_abandoned, result, TL_FOREVER);
}
