/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the calls on a GIL's mutex and conditions do; see gil.h.
 *
 * How CPython calls (ceval_gil.c, the same since 3.2). To take: lock; while it is
 * taken, wait with a time-out; signal `switched`, unlock. To drop: lock, signal the
 * condition, unlock; if asked to, wait on `switched`. So a section with the mutex
 * in which the condition is signalled is a drop, and one without is a take; a thread
 * that has the GIL comes to drop it, and one that has not, to take it.
 *
 * That a thread is taken out of a queue and that it may go on are two steps: the
 * second comes when the mutex is free, so that the woken one does not run into it.
 * Between them the waiter is claimed: it stays until it is told, even if its time is
 * over (settle()).
 */
#include "preload/gil.h"

#include <errno.h>
#include <sched.h>
#include <stddef.h>

#include <tasklet/base.h>

#include "os/clock.h"
#include "preload/gil-wait.h"
#include "preload/objects.h"
#include "preload/slice.h"

/* Shorter than that and a call can't have waited for anything. */
#define AWAY_NS 1000

/*
 * One that was made to drop the GIL comes back at once. It may be kept from that, for
 * the one it was dropped for often runs on its processor; so it is taken at its word.
 */
#define AWAY_FORCED_NS 5000000

/* Seen to have left `switched` and not back by then: it went elsewhere. */
#define COMING_NS 20000

/* How long to look for what is expected soon, before sleeping. */
#define SPIN_ASKED_NS 30000	/* CPython's eval loop is about to see the request */
#define SPIN_BACK_NS 50000	/* the IO thread is about to give the GIL back */
#define SPIN_SWITCH_NS 30000	/* the one who asked is about to take it */

__thread struct tl__gil_me tl__gil_me;

static bool is_io(const struct tl__gil_me *me)
{
	return me->burst_ns < TL__IO_BURST_NS;
}

/* --- waiting -------------------------------------------------------------------- */

/* The section ends: those that were taken out of queues may go on. */
static void wake_all(struct tl__gil_me *me)
{
	struct tl__waiter *w = me->wake, *next;

	me->wake = NULL;
	for (; w; w = next) {
		next = tl__container_of(w->link.next, struct tl__waiter, link);
		if (!w->link.next)
			next = NULL;
		tl__waiter_wake(w, TL__GO);
	}
}

/* Takes @w out of its queue; wake_all() tells it. */
static void claim(struct tl__gil_me *me, struct tl__waiter *w)
{
	tl__list_del(&w->link);
	w->queued = false;
	w->link.next = me->wake ? &me->wake->link : NULL;
	me->wake = w;
}

/* The mutex is held again. Whether @w was woken, and not only its time over. */
static bool settle(struct tl__waiter *w)
{
	uint32_t word;

	if (w->queued) {
		tl__list_del(&w->link);
		return false;
	}
	/* acquire: pairs with tl__waiter_wake(): it won't be touched any more */
	while (atomic_load_explicit(&w->word, memory_order_acquire) != TL__GO) {
		word = TL__ASK;
		/*
		 * No store: GO may come just now. relaxed: what was asked for is of
		 * no interest any more.
		 */
		(void)atomic_compare_exchange_strong_explicit(
			&w->word, &word, TL__WAITS, memory_order_relaxed,
			memory_order_relaxed);
		tl__waiter_wait(w, TL_FOREVER, 0);
	}
	return true;
}

/* To look at the word is of use only while the other one runs elsewhere. */
static uint64_t spin_for(int other_cpu, uint64_t ns)
{
	return other_cpu == sched_getcpu() ? 0 : ns;
}

/* The mutex is held, and goes with @g unless that was forgotten meanwhile. */
static void enter_section(struct tl__gil *g, struct tl__gil_me *me,
			  pthread_mutex_t *m)
{
	/* relaxed: who forgets it does so for others, or is this thread */
	bool is_known = atomic_load_explicit(&g->mutex,
					     memory_order_relaxed) == m;

	me->in = is_known ? g : NULL;
	me->mutex = is_known ? m : NULL;
}

static void leave_section(struct tl__gil_me *me)
{
	me->in = NULL;
	me->mutex = NULL;
}

/*
 * Waits in a queue of @g, which is held on to; returns whether it was woken. The
 * objects may be destroyed as soon as it was: @g is then forgotten, but no other's.
 */
static bool wait_in_queue(struct tl__gil *g, struct tl__gil_me *me,
			  pthread_mutex_t *m, bool first, uint64_t until,
			  uint64_t spin_ns)
{
	struct tl__waiter w = { .queued = true, .is_io = is_io(me),
				.asked = me->asked, .thread = me,
				.cpu = sched_getcpu() };
	struct tl__list *queue = w.is_io ? &g->io : &g->cpu;
	bool woken;

	if (first)
		tl__list_add_head(queue, &w.link);
	else
		tl__list_add_tail(queue, &w.link);
	g->cpu_waiters += !w.is_io;
	leave_section(me);
	tl__base_mutex_unlock(m);

	tl__waiter_wait(&w, until, spin_ns);

	tl__base_mutex_lock(m);
	enter_section(g, me, m);
	woken = settle(&w);
	tl__gil_account(g, tl__now());
	g->cpu_waiters -= !w.is_io;
	return woken;
}

/* --- taking ---------------------------------------------------------------------- */

/*
 * Somebody else was woken for a GIL that is free, and has to have it: a CPU thread
 * when it is the turn of these, an IO thread that a CPU thread came before.
 */
static bool must_stand_back(const struct tl__gil *g,
			    const struct tl__gil_me *me)
{
	if (g->held || !g->heir || g->heir == me)
		return false;
	return is_io(me) ? g->cpu_phase && !g->heir_is_io : g->heir_is_io;
}

/* relaxed throughout: a guess, which a wrong answer makes wait an interval at most */
static void arrived(struct tl__gil *g, const struct tl__gil_me *me)
{
	if (atomic_load_explicit(&g->coming, memory_order_relaxed) == me)
		atomic_store_explicit(&g->coming, NULL, memory_order_relaxed);
}

int tl__gil_lock(struct tl__gil *g, pthread_mutex_t *m)
{
	struct tl__gil_me *me = &tl__gil_me;
	uint64_t now = 0, until;
	int r;

	if (me->has != g) {
		now = tl__now();
		if (now - me->left_ns >
		    (me->preempted ? AWAY_FORCED_NS : AWAY_NS))
			me->burst_ns = 0;
	}
	r = tl__base_mutex_lock(m);
	if (r)
		return r;
	enter_section(g, me, m);
	me->drops = false;
	if (!me->in)
		return 0;
	arrived(g, me);
	if (me->has == g || !must_stand_back(g, me) ||
	    !tl__gil_hold(g, NULL, m))
		return 0;
	tl__gil_stat(held_off);
	tl__gil_account(g, now);
	if (is_io(me))
		until = tl__gil_phase_end(g, now);
	else
		until = now + (g->interval_ns ? g->interval_ns : 1000000);
	wait_in_queue(g, me, m, false, until, 0);
	tl__gil_let_go(g);
	return 0;
}

/* A CPU thread that was made to leave within its turn goes on with it. */
static bool has_turn_left(const struct tl__gil *g, const struct tl__gil_me *me)
{
	return g->turn_of == me && g->turn_ns < g->interval_ns;
}

static int wait_as_cpu(struct tl__gil *g, struct tl__gil_me *me,
		       pthread_mutex_t *m, uint64_t now, uint64_t until)
{
	bool back_soon = me->preempted && !tl__gil_cpu_holds(g, now);

	tl__gil_stat(cpu_waits);
	g->interval_ns = until - now;
	if (wait_in_queue(g, me, m, has_turn_left(g, me), until,
			  back_soon ? spin_for(g->holder_cpu, SPIN_BACK_NS) : 0))
		return 0;
	g->forced = true;
	return ETIMEDOUT;
}

/*
 * Returning 0 without having been woken makes CPython look again, and call again:
 * an answer ETIMEDOUT counts only for who held the GIL when the wait began.
 */
static int wait_as_io(struct tl__gil *g, struct tl__gil_me *me,
		      pthread_mutex_t *m, uint64_t now, uint64_t until)
{
	uint64_t ask = until;

	tl__gil_stat(io_waits);
	if (me->asked) {
		/* Who got it then may keep it: looked at again within the interval. */
		ask = until == TL_FOREVER ? until : now + (until - now) / 4;
		if (!wait_in_queue(g, me, m, false, ask,
				   spin_for(g->holder_cpu, SPIN_ASKED_NS)) &&
		    tl__now() >= ask)
			tl__gil_stat(late);
		/* Woken or not: who has it by now was not asked. */
		me->asked = false;
		return 0;
	}
	if (g->cpu_phase) {
		tl__gil_stat(put_off);
		ask = tl__gil_phase_end(g, now);
	} else if (!g->held || tl__gil_cpu_holds(g, now)) {
		me->asked = true;
		g->forced = true;
		tl__gil_stat(early);
		return ETIMEDOUT;
	} else {
		ask = g->taken_ns + TL__IO_BURST_NS - g->burst_ns;
	}
	wait_in_queue(g, me, m, false, ask < until ? ask : until, 0);
	return 0;
}

/* Another one has the GIL now. */
static void took(struct tl__gil *g, struct tl__gil_me *me, uint64_t now)
{
	struct tl__list *first = tl__list_first(&g->io);
	struct tl__waiter *w;

	tl__gil_account(g, now);
	if (g->holder != me)
		tl__gil_stat(switches);
	g->held = true;
	g->holder = me;
	g->holder_cpu = sched_getcpu();
	g->taken_ns = now;
	g->burst_ns = me->burst_ns;
	g->forced = false;
	g->heir = NULL;
	me->has = g;
	me->asked = me->preempted = false;
	tl__gil_stat(takes);
	if (is_io(me) || !first)
		return;
	/*
	 * Its request was to the one before, or it has made none. If it is not to ask
	 * before the phase ends, it wakes by itself then, unless it thinks it has asked.
	 */
	w = tl__container_of(first, struct tl__waiter, link);
	if (g->cpu_phase && !w->asked)
		return;
	tl__gil_stat(asked_again);
	tl__waiter_wake(w, TL__ASK);
}

/* --- dropping -------------------------------------------------------------------- */

/*
 * Whether the CPU thread that was made to leave is about to be back, to go on with
 * its turn: then there is no need to wake another one, which it would be ahead of.
 */
static bool owner_comes(const struct tl__gil *g, uint64_t now)
{
	/* relaxed: see arrived() */
	const void *who = atomic_load_explicit(&g->coming, memory_order_relaxed);
	uint64_t since = atomic_load_explicit(&g->coming_ns,
					      memory_order_relaxed);

	return who && who == g->turn_of && g->turn_ns < g->interval_ns &&
	       (!since || now - since < COMING_NS);
}

static struct tl__waiter *choose(const struct tl__gil *g)
{
	struct tl__list *io = tl__list_first(&g->io);
	struct tl__list *cpu = tl__list_first(&g->cpu);
	struct tl__list *first = g->cpu_phase && cpu ? cpu : io ? io : cpu;

	return first ? tl__container_of(first, struct tl__waiter, link) : NULL;
}

static void drops(struct tl__gil *g, struct tl__gil_me *me)
{
	uint64_t now = tl__now(), held = now - g->taken_ns;
	struct tl__waiter *w;

	tl__gil_account(g, now);
	if (g->holder == me && g->held) {
		me->burst_ns += held;
		if (!is_io(me)) {
			if (g->burst_ns < TL__IO_BURST_NS)
				tl__gil_stat(turned);
			g->turn_ns = g->turn_of == me ? g->turn_ns + held :
							held;
			g->turn_of = me;
		}
	}
	if (g->forced)
		tl__gil_stat(forced);
	me->preempted = g->forced;
	me->drops = true;
	me->left_ns = now;
	g->held = false;
	w = choose(g);
	if (w && !w->is_io && owner_comes(g, now)) {
		tl__gil_stat(owner_back);
		g->heir = g->turn_of;
		g->heir_is_io = false;
		return;
	}
	if (!w) {
		/* Or those that waited before we knew the GIL. */
		tl__base_cond_signal(g->cond);
		return;
	}
	g->heir = w->thread;
	g->heir_is_io = w->is_io;
	/* relaxed: whom to look out for on `switched` */
	atomic_store_explicit(&g->heir_cpu, w->cpu, memory_order_relaxed);
	claim(me, w);
}

/* --- the calls --------------------------------------------------------------------- */

/* @g is NULL for one that was forgotten in the section: others still have to go on. */
int tl__gil_unlock(struct tl__gil *g, pthread_mutex_t *m)
{
	struct tl__gil_me *me = &tl__gil_me;
	int r;

	if (g && me->in == g) {
		if (me->drops)
			me->has = NULL;
		else
			took(g, me, tl__now());
	}
	if (tl__gil_was_mine(m))
		leave_section(me);
	r = tl__base_mutex_unlock(m);
	if (me->wake)
		wake_all(me);
	return r;
}

/* Not before @now, which is the time of CLOCK_MONOTONIC. */
static uint64_t deadline(clockid_t clock, const struct timespec *until,
			 uint64_t now)
{
	struct timespec other;
	uint64_t end, there;

	if (!until)
		return TL_FOREVER;
	end = tl__time_ns(until);
	if (clock != CLOCK_MONOTONIC && end != TL_FOREVER) {
		clock_gettime(clock, &other);
		there = tl__time_ns(&other);
		end = end > there ? now + (end - there) : now;
	}
	return end > now ? end : now;
}

/* For the one that took the GIL from us; the mutex of `switched` protects it all. */
static int wait_switched(struct tl__gil *g, struct tl__gil_me *me,
			 pthread_mutex_t *m, uint64_t until)
{
	struct tl__waiter w = { .queued = true };
	bool woken;

	tl__list_add_tail(&g->leaving, &w.link);
	/* relaxed: see arrived() */
	atomic_store_explicit(&g->coming_ns, 0, memory_order_relaxed);
	atomic_store_explicit(&g->coming, me, memory_order_relaxed);
	tl__base_mutex_unlock(m);
	/* relaxed: as where it is set */
	tl__waiter_wait(&w, until,
			spin_for(atomic_load_explicit(&g->heir_cpu,
						      memory_order_relaxed),
				 SPIN_SWITCH_NS));
	tl__base_mutex_lock(m);
	woken = settle(&w);
	me->left_ns = tl__now();
	/* relaxed: see arrived() */
	atomic_store_explicit(&g->coming_ns, me->left_ns, memory_order_relaxed);
	return woken ? 0 : ETIMEDOUT;
}

int tl__gil_wait(struct tl__gil *g, pthread_cond_t *c, pthread_mutex_t *m,
		 clockid_t clock, const struct timespec *until)
{
	struct tl__gil_me *me = &tl__gil_me;
	uint64_t now = tl__now(), end = deadline(clock, until, now);
	int r;

	if (!tl__gil_hold(g, c, NULL))
		return -1;
	/* relaxed: it is held */
	if (atomic_load_explicit(&g->cond, memory_order_relaxed) != c) {
		r = wait_switched(g, me, m, end);
	} else {
		enter_section(g, me, m);
		me->drops = false;
		tl__slice_short(is_io(me));
		tl__gil_account(g, now);
		r = is_io(me) ? wait_as_io(g, me, m, now, end) :
				wait_as_cpu(g, me, m, now, end);
	}
	tl__gil_let_go(g);
	return r;
}

int tl__gil_signal(struct tl__gil *g, pthread_cond_t *c)
{
	struct tl__gil_me *me = &tl__gil_me;
	struct tl__list *pos, *tmp;

	if (c == g->cond) {
		drops(g, me);
		return 0;
	}
	tl__list_for_each_safe(pos, tmp, &g->leaving)
		claim(me, tl__container_of(pos, struct tl__waiter, link));
	if (me->in != g)
		wake_all(me);
	/* Those that waited before we knew of it. */
	return tl__base_cond_signal(c);
}
