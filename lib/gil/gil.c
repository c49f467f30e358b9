/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The global interpreter lock as its users see it: makes locks, lets threads in
 * and out, and keeps each thread's books around what its policy does.
 *
 * Invariants: a thread is in the list of its lock from attach to detach, and
 * nobody else writes to its books; `holds` is set after its policy has given it the
 * lock and cleared before it gives it away (at a yield: soon after, for others who
 * look at that). Locks: that of all locks (for forks) is
 * taken before that of one.
 */
#include "gil/gil.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/compiler.h"
#include "base/probe.h"
#include "core/ask.h"
#include "core/gil-hooks.h"
#include "gil/checked.h"
#include "os/clock.h"

static struct tl__lock all_lock = TL__LOCK_INIT;
static struct tl__list all = TL__LIST_INIT(all);

static __thread struct tl__gil_thread *self
	__attribute__((tls_model("initial-exec")));

/* --- books ------------------------------------------------------------------- */

void tl__gil_time(struct tl__gil_times *times, uint64_t ns)
{
	tl__gil_count(&times->count, 1);
	tl__gil_count(&times->sum_ns, ns);
	/* relaxed, both: numbers, one writer */
	if (ns > atomic_load_explicit(&times->max_ns, memory_order_relaxed))
		atomic_store_explicit(&times->max_ns, ns, memory_order_relaxed);
}

static void set_holds(struct tl__gil_thread *me, bool holds)
{
	/* relaxed: for the statistics, and ourselves */
	atomic_store_explicit(&me->holds, holds, memory_order_relaxed);
}

static bool does_hold(const struct tl__gil_thread *me)
{
	/* relaxed: ourselves */
	return atomic_load_explicit(&me->holds, memory_order_relaxed);
}

/* It has the lock, and has waited for it since @began. */
static void begin_hold(struct tl__gil_thread *me, uint64_t began, uint64_t now)
{
	me->held_since_ns = now;
	set_holds(me, true);
	TL__PROBE3(gil_acquire, me->gil, (uint64_t)tl__gil_class(me),
		   now - began);
}

static uint64_t held_ns(const struct tl__gil_thread *me, uint64_t now)
{
	return me->held_since_ns ? now - me->held_since_ns : 0;
}

static void end_hold(struct tl__gil_thread *me, uint64_t now)
{
	if (me->held_since_ns)
		tl__gil_time(&me->counters.holds[tl__gil_class(me)],
			     now - me->held_since_ns);
	set_holds(me, false);
}

/* --- taking and giving ---------------------------------------------------------- */

/*
 * Waits by @wait, the policy's. The tasklets of the thread wait too: they are not
 * stuck, nor is it part of a slice that one of them may run.
 */
static void wait_and_hold(struct tl__gil_thread *me, uint64_t began,
			  void (*wait)(struct tl_gil *gil,
				       struct tl__gil_thread *me))
{
	struct tl_sched *s = tl__sched_self;
	uint64_t now;

	TL__PROBE2(gil_wait, me->gil, (uint64_t)tl__gil_class(me));
	if (s)
		tl__ask_progress(&s->ask, 1);	/* odd: it sleeps */
	wait(me->gil, me);
	now = tl__now();
	if (s) {
		tl__ask_progress(&s->ask, UINT64_MAX);	/* and has not got anywhere */
		if (s->watch.run && !(s->watch.run->flags & TL_RUN_TOTAL))
			s->watch.end_ns += now - began;
	}
	tl__gil_time(&me->counters.waits[tl__gil_class(me)], now - began);
	begin_hold(me, began, now);
}

static void acquire(struct tl__gil_thread *me, enum tl_gil_class class)
{
	struct tl_gil *gil = me->gil;
	uint64_t began;
	bool mine;

	/* What was asked of the holder that we were. */
	tl__tick_clear(TL__TICK_GIL);
	tl__gil_set_class(me, class);
	began = tl__now();
	mine = gil->policy->try(gil, me);
	tl__gil_favour_follow(&me->favour, tl__gil_class(me), began);
	if (mine)
		begin_hold(me, began, began);
	else
		wait_and_hold(me, began, gil->policy->acquire);
}

static void release(struct tl__gil_thread *me)
{
	uint64_t now = tl__now();

	end_hold(me, now);
	/* Before others can have it. */
	TL__PROBE3(gil_release, me->gil, (uint64_t)tl__gil_class(me),
		   held_ns(me, now));
	me->gil->policy->release(me->gil, me);
}

void tl__gil_yields(const struct tl__gil_thread *me, bool any)
{
	TL__PROBE4(gil_yield, me->gil, (uint64_t)tl__gil_class(me),
		   held_ns(me, tl__now()), (uint64_t)!any);
}

static bool yield(struct tl__gil_thread *me, bool any)
{
	struct tl_gil *gil = me->gil;
	enum tl_gil_class class = tl__gil_class(me);
	uint64_t began;

	set_holds(me, false);
	if (!gil->policy->yield(gil, me, any)) {
		set_holds(me, true);
		return false;
	}
	began = tl__now();
	if (me->held_since_ns)
		tl__gil_time(&me->counters.holds[class],
			     began - me->held_since_ns);
	tl__gil_set_class(me, TL_GIL_CPU);
	tl__gil_favour_follow(&me->favour, TL_GIL_CPU, began);
	wait_and_hold(me, began, gil->policy->back);
	return true;
}

static void block_begin(struct tl__gil_thread *me, const void *site)
{
	struct tl_gil *gil = me->gil;

	if (me->out++)
		return;
	me->kept = site && gil->policy->keep &&
		   gil->policy->keep(gil, me, site);
	if (me->kept) {
		set_holds(me, false);
		tl__gil_favour_keep(&me->favour);
		TL__PROBE1(gil_keep, gil);
		return;
	}
	release(me);
}

/* Whether what block_begin() has kept is still there. */
static bool regain(struct tl__gil_thread *me)
{
	bool ok = me->gil->policy->regain(me->gil, me);

	TL__PROBE2(gil_regain, me->gil, (uint64_t)ok);
	return ok;
}

static void block_end(struct tl__gil_thread *me)
{
	if (!me->out || --me->out)
		return;
	if (me->kept) {
		if (regain(me)) {
			tl__gil_count(&me->counters.kept, 1);
			set_holds(me, true);
			tl__gil_favour_kept(&me->favour);
			return;
		}
		tl__gil_count(&me->counters.stolen, 1);
	}
	acquire(me, TL_GIL_IO);
}

/* --- what the floors below ask ---------------------------------------------------- */

/* A sleep of the scheduler's: it has been tried without one before. */
static void sleep_begin(void)
{
	struct tl__gil_thread *me = self;

	if (me)
		block_begin(me, NULL);
}

static void sleep_end(void)
{
	struct tl__gil_thread *me = self;

	if (me)
		block_end(me);
}

static void at_tick(void)
{
	struct tl__gil_thread *me = self;
	int saved = errno;

	if (!me || !does_hold(me))
		tl__tick_clear(TL__TICK_GIL);
	else if (yield(me, false))
		tl__gil_count(&me->counters.forced, 1);
	errno = saved;
}

static void at_favoured_tick(void)
{
	struct tl__gil_thread *me = self;

	if (me && does_hold(me))
		tl__gil_favour_tick(&me->favour, me->held_since_ns);
	else
		tl__tick_clear(TL__TICK_FAVOUR);
}

static const struct tl__gil_hooks hooks = {
	.sleep_begin = sleep_begin,
	.sleep_end = sleep_end,
	.tick = at_tick,
	.favoured_tick = at_favoured_tick,
};

/* --- the calls --------------------------------------------------------------------- */

void tl_gil_block_begin(void)
{
	struct tl__gil_thread *me = self;
	int saved = errno;

	if (me)
		block_begin(me, __builtin_return_address(0));
	errno = saved;
}

void tl_gil_block_end(void)
{
	struct tl__gil_thread *me = self;
	int saved = errno;

	if (me)
		block_end(me);
	errno = saved;
}

bool tl_gil_yield(void)
{
	struct tl__gil_thread *me = self;
	int saved = errno;
	bool gave;

	gave = me && does_hold(me) && yield(me, true);
	errno = saved;
	return gave;
}

struct tl_gil *tl_gil_current(void)
{
	return self ? self->gil : NULL;
}

bool tl_gil_is_held(void)
{
	return self && does_hold(self);
}

const char *tl_gil_name(const struct tl_gil *gil)
{
	return tl__gil_is_gone(gil) ? "" : gil->name;
}

/* --- threads come and go -------------------------------------------------------------- */

static void detach(struct tl__gil_thread *me)
{
	struct tl_gil *gil = me->gil;

	/* Its last call has not come back: what it gave away is not its own. */
	if (me->out && me->kept)
		set_holds(me, regain(me));
	if (does_hold(me))
		release(me);
	tl__gil_favour_leave(&me->favour);
	tl__lock(&gil->lock);
	tl__list_del(&me->link);
	tl__gil_stats_keep(me);
	tl__unlock(&gil->lock);
	self = NULL;
	tl__tick_clear(TL__TICK_GIL);
	tl__free(me);
}

static pthread_key_t thread_key;
static int key_error;

/*
 * The thread's scheduler has a destructor too, which may come after this one, and
 * its tasklets run for the last time there: so not before that, if need be in the
 * C library's next round. It is asked for once, then what is left is left.
 */
static void thread_ends(void *arg)
{
	struct tl__gil_thread *me = arg;

	if (me != self)
		return;
	if (tl__sched_self && !me->ends) {
		me->ends = true;
		if (me->out) {	/* it ends in a call that does not come back */
			me->out = 1;
			block_end(me);
		}
		if (!pthread_setspecific(thread_key, me))
			return;
	}
	detach(me);
}

static struct tl__gil_thread *thread_new(struct tl_gil *gil)
{
	struct tl__gil_thread *me = tl__calloc(1, sizeof(*me));

	if (!me)
		return NULL;
	if (tl__fault() || pthread_setspecific(thread_key, me)) {
		tl__free(me);
		return NULL;
	}
	me->gil = gil;
	me->tick_word = &tl__tick_word;
	me->tid = (int)syscall(SYS_gettid);
	tl__list_init(&me->waiter.link);
	return me;
}

int tl_gil_attach(struct tl_gil *gil)
{
	struct tl__gil_thread *me;
	int saved = errno, r;

	if (self)
		return -EBUSY;
	if (tl__gil_is_gone(gil))
		return -EINVAL;
	me = thread_new(gil);
	errno = saved;
	if (!me)
		return -ENOMEM;
	r = tl__gil_favour_enter(&me->favour, &gil->settings);
	if (r) {
		pthread_setspecific(thread_key, NULL);
		tl__free(me);
		return r;
	}
	tl__lock(&gil->lock);
	me->number = ++gil->numbers;
	tl__list_add_tail(&gil->threads, &me->link);
	tl__unlock(&gil->lock);
	self = me;
	acquire(me, TL_GIL_CPU);
	errno = saved;
	return 0;
}

int tl_gil_detach(void)
{
	struct tl__gil_thread *me = self;
	int saved = errno;

	if (!me)
		return -EINVAL;
	detach(me);
	pthread_setspecific(thread_key, NULL);
	errno = saved;
	return 0;
}

/* --- forks: the child has one thread ------------------------------------------------------ */

static void before_fork(void)
{
	struct tl__list *link;

	tl__lock(&all_lock);
	for (link = all.next; link != &all; link = link->next)
		tl__lock(&tl__container_of(link, struct tl_gil, link)->lock);
}

static void after_fork_in_parent(void)
{
	struct tl__list *link;

	for (link = all.next; link != &all; link = link->next)
		tl__unlock(&tl__container_of(link, struct tl_gil, link)->lock);
	tl__unlock(&all_lock);
}

/* Those that are not here any more, with what they held. */
static void drop_others(struct tl_gil *gil)
{
	struct tl__gil_thread *me = self && self->gil == gil ? self : NULL;
	struct tl__list *link, *next;

	tl__list_for_each_safe(link, next, &gil->threads) {
		struct tl__gil_thread *t = tl__container_of(
			link, struct tl__gil_thread, link);

		if (t == me)
			continue;
		tl__list_del(link);
		tl__gil_stats_keep(t);
		tl__free(t);
	}
	gil->policy->reset(gil, me && does_hold(me) ? me : NULL);
}

static void after_fork_in_child(void)
{
	struct tl__list *link;

	if (self) {
		self->tid = (int)syscall(SYS_gettid);
		tl__gil_favour_forked(&self->favour);
	}
	for (link = all.next; link != &all; link = link->next) {
		struct tl_gil *gil = tl__container_of(link, struct tl_gil, link);

		drop_others(gil);
		tl__unlock(&gil->lock);
	}
	tl__unlock(&all_lock);
}

/* --- locks ------------------------------------------------------------------------------------ */

static void init(void)
{
	key_error = pthread_key_create(&thread_key, thread_ends);
	if (!key_error)
		key_error = pthread_atfork(before_fork, after_fork_in_parent,
					   after_fork_in_child);
	/* release: pairs with tl__gil_hooks_get() */
	atomic_store_explicit(&tl__gil_hooks, &hooks, memory_order_release);
}

int tl_gil_new(struct tl_gil **out, const char *spec, struct tl_error **error)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct tl_gil *gil;
	int saved = errno;
	int r;

	*out = NULL;
	if (error)
		*error = NULL;
	pthread_once(&once, init);
	gil = key_error ? NULL : tl__calloc(1, sizeof(*gil));
	errno = saved;
	if (!gil)
		return -ENOMEM;
	r = tl__gil_parse(gil, spec, error);
	errno = saved;
	if (r) {
		tl__free(gil);
		return r;
	}
	tl__list_init(&gil->threads);
	gil->policy->reset(gil, NULL);
	tl__lock(&all_lock);
	tl__list_add_tail(&all, &gil->link);
	tl__unlock(&all_lock);
	*out = gil;
	return 0;
}

#ifdef TL_CHECKED
bool tl__gil_exists(const struct tl_gil *gil)
{
	struct tl__list *link;

	tl__lock(&all_lock);
	for (link = all.next; link != &all && link != &gil->link;)
		link = link->next;
	tl__unlock(&all_lock);
	return link != &all;
}
#endif

int tl_gil_free(struct tl_gil *gil)
{
	bool busy;

	if (!gil)
		return 0;
	if (tl__gil_is_gone(gil))
		return -EINVAL;
	tl__lock(&all_lock);
	tl__lock(&gil->lock);
	busy = !tl__list_empty(&gil->threads);
	tl__unlock(&gil->lock);
	if (!busy)
		tl__list_del(&gil->link);
	tl__unlock(&all_lock);
	if (busy)
		return -EBUSY;
	tl__free(gil);
	return 0;
}
