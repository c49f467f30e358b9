/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Futures: states, results, and waiting for them; see include/tasklet/future.h.
 *
 * Invariants, under a future's lock: once it is done its state, result and error
 * do not change; nobody queues any more, and the queue is empty. Once it is
 * settled its error does not change, unless the last handle takes it along, and
 * none but the end of its tasklet makes it done.
 *
 * Who waits for several futures has a node in the queue of each. Whoever sets
 * wait->claimed ends the wait, and wakes it once, without a lock: the first
 * future that is done, the deadline or a kill. The nodes lie in the waiter's
 * frame; it takes those that are left off the queues when it is back, under each
 * lock in turn, so nobody else can have hold of one afterwards.
 *
 * A future has no error without a handle: the last handle takes it along. So the
 * last reference, which may be that of a tasklet in its end, runs no destructor.
 *
 * No two locks are held at once.
 */
#include "core/future.h"

#include <errno.h>

#include "base/alloc.h"
#include "base/error.h"
#include "core/park.h"
#include "core/remote.h"
#include "core/unwind.h"

#define NODES_IN_FRAME 8

struct wait;

struct node {
	struct tl__list link;
	struct wait *wait;
	struct tl_future *future;	/* with a reference; NULL: unused */
	int index;
	bool is_queued;		/* under the future's lock */
};

/* One call that waits; lies in its frame. */
struct wait {
	struct tl_task *task;
	_Atomic bool claimed;
	int index;		/* of the future that has claimed it */
	struct wait *next;	/* claimed by the same */
};

static bool is_done(const struct tl_future *f)
{
	return f->state >= TL_FUTURE_CANCELLED;
}

void tl__future_init(struct tl_future *f, const struct tl__future_ops *ops)
{
	/* relaxed: nobody else knows it */
	atomic_store_explicit(&f->refs, 2, memory_order_relaxed);
	f->handles = 1;
	f->ops = ops;
	tl__list_init(&f->waiters);
}

void tl__future_let_go(struct tl_future *f)
{
	/* release: what we did with it; acquire: what the others did */
	if (atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) == 1)
		f->ops->destroy(f);
}

static void plain_destroy(struct tl_future *f)
{
	tl__free(f);
}

static const struct tl__future_ops plain_ops = {
	.destroy = plain_destroy,
};

int tl_future_new(struct tl_future **out)
{
	struct tl_future *f;

	if (!out)
		return -EINVAL;
	f = tl__calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	tl__future_init(f, &plain_ops);
	tl__future_let_go(f);	/* nobody but handles brings its result */
	*out = f;
	return 0;
}

struct tl_future *tl_future_ref(struct tl_future *f)
{
	/* relaxed: the caller has one */
	atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
	tl__lock(&f->lock);
	f->handles++;
	tl__unlock(&f->lock);
	return f;
}

void tl_future_unref(struct tl_future *f)
{
	struct tl_error *error = NULL;

	if (!f)
		return;
	tl__lock(&f->lock);
	if (!--f->handles) {
		error = f->error;
		f->error = NULL;
	}
	tl__unlock(&f->lock);
	tl__future_let_go(f);
	tl_error_free(error);	/* last: it may do anything */
}

/* --- completion ----------------------------------------------------------------- */

/* With the lock. Returns those whose waits end. */
static struct wait *done(struct tl_future *f, enum tl_future_state state)
{
	/* relaxed: the order of the numbers is all; 0 is none */
	static _Atomic uint64_t last;
	struct wait *first = NULL, **end = &first;
	struct tl__list *link;

	f->state = (uint8_t)state;
	f->order = 1 + atomic_fetch_add_explicit(&last, 1,
						 memory_order_relaxed);
	while ((link = tl__list_first(&f->waiters))) {
		struct node *n = tl__container_of(link, struct node, link);

		tl__list_del(link);
		n->is_queued = false;
		/* relaxed: who loses takes nothing; who wins, has a wake-up */
		if (atomic_exchange_explicit(&n->wait->claimed, true,
					     memory_order_relaxed))
			continue;
		n->wait->index = n->index;
		n->wait->next = NULL;
		*end = n->wait;
		end = &n->wait->next;
	}
	return first;
}

static void wake(struct wait *w)
{
	struct wait *next;

	for (; w; w = next) {
		next = w->next;
		tl__wake_any(w->task, 0);
	}
}

static int finish(struct tl_future *f, long result, struct tl_error *error)
{
	struct wait *claimed;

	tl__lock(&f->lock);
	if (is_done(f) || f->is_settled) {
		int r = f->state == TL_FUTURE_CANCELLED ? -ECANCELED : -EALREADY;

		tl__unlock(&f->lock);
		return r;
	}
	f->result = result;
	f->error = error;
	claimed = done(f, TL_FUTURE_FINISHED);
	tl__unlock(&f->lock);
	wake(claimed);
	return 0;
}

struct tl_error *tl__future_settle(struct tl_future *f, struct tl_error *error)
{
	bool is_late;

	tl__lock(&f->lock);
	is_late = is_done(f);
	if (f->handles && !is_late) {
		f->error = error;
		f->is_settled = true;
		error = NULL;
	}
	tl__unlock(&f->lock);
	if (!is_late)
		return error;
	tl_error_free(error);
	return NULL;
}

void tl__future_end(struct tl_future *f, long result)
{
	struct wait *claimed = NULL;

	tl__lock(&f->lock);
	if (!is_done(f)) {
		f->result = f->is_settled ? 0 : result;
		claimed = done(f, TL_FUTURE_FINISHED);
	}
	tl__unlock(&f->lock);
	wake(claimed);
}

bool tl__future_finish(struct tl_future *f, long result, struct tl_error *error)
{
	struct wait *claimed = NULL;
	bool wanted;

	tl__lock(&f->lock);
	wanted = f->handles && !is_done(f);
	if (wanted) {
		f->result = result;
		f->error = error;
		claimed = done(f, TL_FUTURE_FINISHED);
	}
	tl__unlock(&f->lock);
	wake(claimed);
	return wanted;
}

int tl_future_set(struct tl_future *f, long result)
{
	return finish(f, result, NULL);
}

int tl_future_set_error(struct tl_future *f, struct tl_error *error)
{
	return error ? finish(f, 0, error) : -EINVAL;
}

int tl_future_start(struct tl_future *f)
{
	int r = 0;

	tl__lock(&f->lock);
	if (f->state == TL_FUTURE_PENDING)
		f->state = TL_FUTURE_RUNNING;
	else
		r = f->state == TL_FUTURE_CANCELLED ? -ECANCELED : -EALREADY;
	tl__unlock(&f->lock);
	return r;
}

int tl_future_cancel(struct tl_future *f)
{
	struct wait *claimed;

	tl__lock(&f->lock);
	if (is_done(f) || f->is_settled) {
		tl__unlock(&f->lock);
		return -EALREADY;
	}
	claimed = done(f, TL_FUTURE_CANCELLED);
	tl__unlock(&f->lock);
	wake(claimed);
	if (f->ops->cancelled)
		f->ops->cancelled(f);
	return 0;
}

/* --- questions -------------------------------------------------------------------- */

enum tl_future_state tl_future_state(struct tl_future *f)
{
	enum tl_future_state state;

	tl__lock(&f->lock);
	state = (enum tl_future_state)f->state;
	tl__unlock(&f->lock);
	return state;
}

int tl_future_result(struct tl_future *f, long *result)
{
	int r = 0;

	tl__lock(&f->lock);
	if (!is_done(f))
		r = -EAGAIN;
	else if (f->state == TL_FUTURE_CANCELLED)
		r = -ECANCELED;
	else if (f->error)
		r = -tl_error_code(f->error);
	else if (result)
		*result = f->result;
	tl__unlock(&f->lock);
	return r;
}

const struct tl_error *tl_future_error(struct tl_future *f)
{
	const struct tl_error *error;

	tl__lock(&f->lock);
	error = is_done(f) ? f->error : NULL;
	tl__unlock(&f->lock);
	return error;
}

struct tl_error *tl__future_take_error(struct tl_future *f)
{
	struct tl_error *error;

	tl__lock(&f->lock);
	error = f->error;
	f->error = NULL;
	tl__unlock(&f->lock);
	return error;
}

/* --- waiting ------------------------------------------------------------------------ */

static bool wait_abandon(struct tl_task *t, int result)
{
	struct wait *w = t->wait_object;

	/* relaxed: as in done() */
	if (atomic_exchange_explicit(&w->claimed, true, memory_order_relaxed))
		return tl__wake_awaited(t);
	tl__wake(t->sched, t, result);
	return true;
}

static const struct tl__wait_ops future_ops = {
	.verb = "waits for a future",
	.abandon = wait_abandon,
};

/* Returns the index of the one that was done first, or -EAGAIN. */
static int first_done(struct tl_future *const *futures, int count)
{
	uint64_t least = UINT64_MAX;
	int i, first = -EAGAIN;

	for (i = 0; i < count; i++) {
		struct tl_future *f = futures[i];

		if (!f)
			continue;
		tl__lock(&f->lock);
		if (is_done(f) && f->order < least) {
			least = f->order;
			first = i;
		}
		tl__unlock(&f->lock);
	}
	return first;
}

/* Returns whether it is not done yet. */
static bool enqueue(struct tl_future *f, struct node *n)
{
	bool queued;

	/* relaxed: the caller has a handle, but may give it up meanwhile */
	atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
	n->future = f;
	tl__lock(&f->lock);
	queued = n->is_queued = !is_done(f);
	if (queued)
		tl__list_add_tail(&f->waiters, &n->link);
	tl__unlock(&f->lock);
	return queued;
}

static void dequeue_all(struct node *nodes, int count)
{
	int i;

	for (i = 0; i < count; i++) {
		struct tl_future *f = nodes[i].future;

		if (!f)
			continue;	/* not reached, or left out */
		tl__lock(&f->lock);
		if (nodes[i].is_queued)
			tl__list_del(&nodes[i].link);
		tl__unlock(&f->lock);
		tl__future_let_go(f);
	}
}

/*
 * Queues @w everywhere. Returns true if it has to park: if one is done by now,
 * and nobody else has claimed it, that is not so.
 */
static bool enqueue_all(struct wait *w, struct tl_future *const *futures,
			struct node *nodes, int count)
{
	int i;

	for (i = 0; i < count; i++) {
		if (!futures[i])
			continue;
		nodes[i].index = i;
		nodes[i].wait = w;
		if (enqueue(futures[i], &nodes[i]))
			continue;
		/* relaxed: as in done() */
		if (atomic_exchange_explicit(&w->claimed, true,
					     memory_order_relaxed))
			return true;	/* its message is under way */
		w->index = i;
		return false;
	}
	return true;
}

/*
 * Whether one comes from the pool, whose threads have no schedulers: that they are
 * at work is seen by nothing but this.
 */
static bool from_pool(struct tl_future *const *futures, int count)
{
	int i;

	for (i = 0; i < count; i++)
		if (futures[i] && futures[i]->by_pool)
			return true;
	return false;
}

static int wait_for(struct tl_sched *s, struct tl_task *me,
		    struct tl_future *const *futures, struct node *nodes,
		    int count, uint64_t deadline_ns)
{
	bool outside = from_pool(futures, count);
	struct wait w = { .task = me };
	int r = tl__deadline_arm(s, me, deadline_ns);

	if (r)
		return r;
	if (enqueue_all(&w, futures, nodes, count)) {
		s->pool_waits += outside;
		tl__poll_soon(s);
		r = tl__park(s, me, &future_ops, &w);
		s->pool_waits -= outside;
	} else {
		tl__deadline_disarm(s, me);
	}
	dequeue_all(nodes, count);
	return r ? r : w.index;
}

int tl__future_wait(struct tl_sched *s, struct tl_task *me,
		    struct tl_future *const *futures, int count,
		    uint64_t deadline_ns)
{
	struct node few[NODES_IN_FRAME] = { 0 }, *many;
	int r;

	if (count <= NODES_IN_FRAME)
		return wait_for(s, me, futures, few, count, deadline_ns);
	many = tl__calloc((size_t)count, sizeof(*many));
	if (!many)
		return -ENOMEM;
	r = wait_for(s, me, futures, many, count, deadline_ns);
	tl__free(many);
	return r;
}

/* The same with the questions that come first. */
static int wait_any(struct tl_future *const *futures, int count,
		    uint64_t deadline_ns)
{
	struct tl_sched *s = tl__sched();
	struct tl_task *me;
	int r, first;

	if (!s)
		return tl__sched_error();
	me = tl__me(s);
	r = tl__raise_check(me);
	if (r)
		return r;
	first = first_done(futures, count);
	if (first >= 0)
		return first;
	r = tl__block_check(s, me, true);
	if (r)
		return r;
	r = tl__future_wait(s, me, futures, count, deadline_ns);
	return tl__unwind_return(me, r);
}

int tl_future_wait_until(struct tl_future *f, uint64_t deadline_ns)
{
	return f ? wait_any(&f, 1, deadline_ns) : -EINVAL;
}

int tl_future_wait(struct tl_future *f)
{
	return f ? wait_any(&f, 1, TL_FOREVER) : -EINVAL;
}

int tl_wait_any_until(struct tl_future *const *futures, int count,
		      uint64_t deadline_ns)
{
	int i;

	for (i = 0; i < count && !futures[i]; i++)
		;
	if (i >= count)
		return -EINVAL;
	return wait_any(futures, count, deadline_ns);
}

int tl_wait_any(struct tl_future *const *futures, int count)
{
	return tl_wait_any_until(futures, count, TL_FOREVER);
}

int tl_wait_all_until(struct tl_future *const *futures, int count,
		      uint64_t deadline_ns)
{
	int i, r;

	if (count < 0)
		return -EINVAL;
	for (i = 0; i < count; i++) {
		if (!futures[i])
			continue;
		r = wait_any(&futures[i], 1, deadline_ns);
		if (r)
			return r;
	}
	return 0;
}

int tl_wait_all(struct tl_future *const *futures, int count)
{
	return tl_wait_all_until(futures, count, TL_FOREVER);
}
