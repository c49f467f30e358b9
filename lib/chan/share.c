/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * How a channel of one thread becomes one that all use.
 *
 * Whoever comes from another thread takes the lock of core/threads.c, which
 * keeps the owner's scheduler alive, stops the owner's work on local channels,
 * and marks the channel. If a select waits on it, the select's other channels
 * are marked along with it, and so on: a select's waiters are claimed in one way
 * or in the other. A thread that ends leaves its channels shared.
 */
#include "chan/channel.h"
#include "core/threads.h"
#include "os/membarrier.h"

/*
 * @c is to be shared; puts it where its waiters will be looked at. Whether it was
 * marked before, its list says: `owner` still names the thread.
 */
static void mark(struct tl_chan *c, struct tl_chan **todo)
{
	if (!c->in_locals.next)
		return;
	tl__list_del(&c->in_locals);
	c->to_share = *todo;
	*todo = c;
}

static void mark_select(struct tl__select *select, struct tl_chan **todo)
{
	int i;

	select->shared = true;
	for (i = 0; i < select->count; i++)
		if (select->cases[i].chan)
			mark(select->cases[i].chan, todo);
}

static void mark_waiters(struct tl_chan *c, const struct tl__waiter *queue,
			 struct tl_chan **todo)
{
	const struct tl__waiter *w;

	for (w = queue->next; w != queue; w = w->next) {
		tl__chan_hold(c);	/* as if it had come to a shared one */
		if (w->select && !w->select->shared)
			mark_select(w->select, todo);
	}
}

/*
 * With the lock, and the owner stopped. Only when the waiters of all of them have
 * been seen to may anybody take one's lock: a deadline of the owner, who waits
 * outside for it, ends a wait as that of a shared channel.
 */
static void share(struct tl_chan *c)
{
	struct tl_chan *todo = NULL, *ready = NULL;

	mark(c, &todo);
	while ((c = todo)) {
		todo = c->to_share;
		mark_waiters(c, &c->receivers, &todo);
		mark_waiters(c, &c->senders, &todo);
		c->to_share = ready;
		ready = c;
	}
	while ((c = ready)) {
		ready = c->to_share;
		/* release: pairs with tl__chan_enter_slow(): all of that */
		atomic_store_explicit(&c->owner, TL__SHARED,
				      memory_order_release);
	}
}

void tl__chan_share(struct tl_chan *c)
{
	struct tl_sched *owner;

	/* acquire: pairs with share(); it stays so, and needs no lock */
	if (atomic_load_explicit(&c->owner, memory_order_acquire) == TL__SHARED)
		return;
	tl__threads_lock();
	/* relaxed: written with the lock that we have */
	owner = atomic_load_explicit(&c->owner, memory_order_relaxed);
	if (owner != TL__SHARED) {
		tl__local_stop(owner);
		share(c);
		/* relaxed: written with the lock only; see begins_shared() */
		__atomic_store_n(&owner->locals_shared,
				 owner->locals_shared + 1, __ATOMIC_RELAXED);
		tl__local_resume(owner);
	}
	tl__threads_unlock();
}

/* A scheduler ends; it is the calling thread's, which has the lock. */
static void share_all(struct tl_sched *s)
{
	struct tl__list *link;

	while ((link = tl__list_first(&s->locals)))
		share(tl__container_of(link, struct tl_chan, in_locals));
}

/*
 * Whether a new channel had better be shared from the beginning: the thread's
 * earlier ones mostly became so, one membarrier each; or there is none to be had.
 */
static bool begins_shared(const struct tl_sched *s)
{
	/*
	 * relaxed is what a plain load is: others write locals_shared while we
	 * are stopped, and a wrong guess does no harm
	 */
	unsigned int shared = __atomic_load_n(&s->locals_shared,
					      __ATOMIC_RELAXED);

	return (shared >= 16 && shared > s->locals_made / 4) ||
	       !tl__membarrier_works();
}

void tl__chan_make_local(struct tl_sched *s, struct tl_chan *c)
{
	/* relaxed, both: nobody else knows the channel */
	if (begins_shared(s)) {
		atomic_store_explicit(&c->owner, TL__SHARED,
				      memory_order_relaxed);
		return;
	}
	atomic_store_explicit(&c->owner, s, memory_order_relaxed);
	s->share_locals = share_all;
	s->locals_made++;
	while (!tl__local_enter(s))
		tl__local_wait();
	tl__list_add_tail(&s->locals, &c->in_locals);
	tl__local_leave(s);
}

tl__cold bool tl__chan_enter_slow(struct tl_sched *s, struct tl_chan *c)
{
	struct tl_sched *owner;

	/* acquire: pairs with share(): what was done while it was local */
	while ((owner = atomic_load_explicit(&c->owner,
					     memory_order_acquire)) !=
	       TL__SHARED) {
		if (owner != s) {
			tl__chan_share(c);
			continue;
		}
		if (tl__local_enter(s)) {
			if (tl__chan_is_local(s, c))
				return true;
			tl__local_leave(s);
		} else {
			tl__local_wait();
		}
	}
	tl__lock(&c->lock);
	return false;
}
