/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The policy "handoff": whoever gives the lock away says who has it next.
 *
 * Two queues wait: those that come back from blocking (IO), first come, first
 * served, and those that compute (CPU). An arrival asks the holder at once, by
 * its tick; it hands the lock over there, and is the first of the CPU queue for
 * what is left of its turn (`interval`). So nothing is ever contended for, and
 * there is no convoy: an IO thread waits for one tick, not for an interval.
 *
 * What bounds it for the others:
 *	- A thread that computes and has had less than `slice` in the last
 *	  `starve` is owed a slice: it is the next, before IO threads, and is not
 *	  to be asked before that slice is over.
 *	- An IO thread that holds it for GRACE_NS is asked as others are; one that
 *	  held it for `slice` while somebody waited comes back as a CPU thread.
 *	- A thread that computes is not asked in the first moments after it got
 *	  the lock (`least`): threads that come back from blocking all the time
 *	  would have it go to and fro and do nothing else.
 *	- CPU threads take turns of `interval`: the first of them asks when it has
 *	  waited so long.
 *
 * A blocking call may keep the lock (KEPT): any arrival takes it, but nobody is
 * woken for it. It always does where nobody waits. Where CPU threads wait, the place
 * that makes the call counts (sites.h): it keeps the lock if somebody mostly comes
 * back soon, and gives it away at once otherwise, or if a waiter spins. The first CPU
 * thread takes it if it finds that the holder is away (AWAY_NS). While an IO thread
 * waits, or a CPU thread whose turn is due, nothing is kept (URGENT).
 *
 * Only these write to the word: who takes it while it is free or KEPT, by a
 * compare-and-swap; the holder, its KEPT bit, by one too; who waits, the other
 * bits, with the lock; and the holder hands it on with the lock when there are
 * waiters. So a holder that somebody waits for can't leave while he has the lock.
 */
#include <sched.h>

#include "gil/gil.h"
#include "gil/handoff-wait.h"
#include "os/clock.h"

#define KEPT ((uintptr_t)1)
#define WAITERS ((uintptr_t)2)
#define URGENT ((uintptr_t)4)
#define BITS (KEPT | WAITERS | URGENT)

#define GRACE_NS 200000u
/*
 * So often the first of its queue looks whether the lock is kept by one who is away.
 * Not sooner: to set the hardware's timer, where it is a virtual one, may cost more
 * than all else, and is needed for what comes before the kernel's next tick.
 */
#define AWAY_NS 4000000u
/* One who is the nth in its queue looks after n turns, but not after more. */
#define TURNS_MAX 4
/* In its slice a thread looks at the clock once in so many ticks. */
#define TICKS_A_LOOK 32

static struct tl__gil_thread *holder_of(uintptr_t word)
{
	return (struct tl__gil_thread *)(word & ~BITS);
}

static struct tl__gil_thread *first(struct tl_gil *gil, enum tl_gil_class class)
{
	struct tl__list *link = tl__list_first(&gil->handoff.waiting[class]);

	return link ? tl__container_of(link, struct tl__gil_thread,
				       waiter.link) : NULL;
}

static uintptr_t waiting_bits(struct tl_gil *gil)
{
	if (first(gil, TL_GIL_IO))
		return WAITERS | URGENT;
	return first(gil, TL_GIL_CPU) ? WAITERS : 0;
}

static void reset(struct tl_gil *gil, struct tl__gil_thread *holder)
{
	struct tl__gil_handoff *h = &gil->handoff;

	tl__list_init(&h->waiting[TL_GIL_CPU]);
	tl__list_init(&h->waiting[TL_GIL_IO]);
	h->slice_until_ns = 0;
	/* relaxed, both: nobody else has seen it */
	atomic_store_explicit(&h->spinning, 0, memory_order_relaxed);
	atomic_store_explicit(&h->word, (uintptr_t)holder, memory_order_relaxed);
}

static bool is_owed(const struct tl_gil *gil, const struct tl__gil_thread *t,
		    uint64_t now)
{
	return now - t->waiter.owed_since_ns >= gil->settings.starve_ns;
}

/* @me is to have it: if it is owed a slice, nobody makes it give way before that. */
static void begin_slice(struct tl_gil *gil, const struct tl__gil_thread *me,
			uint64_t now)
{
	bool owed = tl__gil_class(me) == TL_GIL_CPU &&
		    me->waiter.owed_since_ns && is_owed(gil, me, now);

	gil->handoff.slice_until_ns = owed ? now + gil->settings.slice_ns : 0;
}

/* --- waiting: all with the lock --------------------------------------------- */

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* When the first of its queue asks the holder, whoever that is. */
static uint64_t due_ns(const struct tl_gil *gil, const struct tl__gil_thread *t)
{
	uint64_t turn = t->waiter.since_ns + gil->settings.interval_ns;

	return tl__gil_class(t) == TL_GIL_IO ? turn :
	       earlier(turn, t->waiter.owed_since_ns + gil->settings.starve_ns);
}

/* When the nth of its queue looks by itself, if it isn't handed the lock before. */
static void set_look(struct tl_gil *gil, struct tl__gil_thread *me)
{
	struct tl__gil_waiter *w = &me->waiter;
	struct tl__list *link;
	unsigned int turns = 1;

	for (link = w->link.prev; turns < TURNS_MAX &&
	     link != &gil->handoff.waiting[tl__gil_class(me)]; link = link->prev)
		turns++;
	w->next_ns = turns == 1 ? earlier(due_ns(gil, me), w->since_ns + AWAY_NS) :
		     w->since_ns + turns * gil->settings.interval_ns;
}

/* Not with the lock: the first time it is system calls. */
static struct tl__seat find_seat(const struct tl_gil *gil)
{
	static const struct tl__seat none;

	return gil->by_futex ? tl__handoff_seat() : none;
}

/* @head: it goes on with its turn as soon as it can. */
static void enqueue(struct tl_gil *gil, struct tl__gil_thread *me, bool head,
		    struct tl__seat seat, uint64_t now)
{
	struct tl__gil_waiter *w = &me->waiter;
	struct tl__list *queue = &gil->handoff.waiting[tl__gil_class(me)];

	w->since_ns = now;
	if (tl__gil_class(me) == TL_GIL_CPU && !w->owed_since_ns)
		w->owed_since_ns = now;
	if (head)
		tl__list_add_head(queue, &w->link);
	else
		tl__list_add_tail(queue, &w->link);
	set_look(gil, me);
	tl__gil_waiter_begin(w, seat);
}

/* Whether a wait for @holder is short, and it runs on another processor. */
static bool worth_spinning(const struct tl__gil_thread *holder, bool asked)
{
	/* relaxed: a hint */
	return (asked || tl__gil_class(holder) == TL_GIL_IO) &&
	       atomic_load_explicit(&holder->waiter.cpu,
				    memory_order_relaxed) != sched_getcpu();
}

/*
 * Takes it, if it is free or its holder keeps it and others don't come first; or
 * says that somebody waits.
 */
static bool take_or_say(struct tl_gil *gil, struct tl__gil_thread *me)
{
	bool io = tl__gil_class(me) == TL_GIL_IO;
	/* relaxed: a guess, the exchange says */
	uintptr_t word = atomic_load_explicit(&gil->handoff.word,
					      memory_order_relaxed);
	uintptr_t wanted;
	bool take;

	do {
		take = !word || ((word & KEPT) && (io || !(word & WAITERS)));
		wanted = take ? (uintptr_t)me | (word & (WAITERS | URGENT)) :
				word | WAITERS | (io ? URGENT : 0);
		/* acquire: pairs with keep() and release(): what the last holder
		 * did; relaxed: once more */
	} while (!atomic_compare_exchange_weak_explicit(
		&gil->handoff.word, &word, wanted, memory_order_acquire,
		memory_order_relaxed));
	if (take)
		begin_slice(gil, me, tl__now());
	return take;
}

/* Asks the holder; false if it is away, and may leave that to others. */
static bool ask_holder(struct tl_gil *gil)
{
	/* relaxed: as above */
	uintptr_t word = atomic_load_explicit(&gil->handoff.word,
					      memory_order_relaxed);

	do {
		if (word & KEPT)
			return false;
		/* relaxed, both: nothing comes with it; the holder can't leave
		 * while we have the lock */
	} while (!atomic_compare_exchange_weak_explicit(
		&gil->handoff.word, &word, word | URGENT, memory_order_relaxed,
		memory_order_relaxed));
	tl__gil_ask(holder_of(word));
	return true;
}

static bool take_kept(struct tl_gil *gil, struct tl__gil_thread *me)
{
	/* relaxed: as above */
	uintptr_t word = atomic_load_explicit(&gil->handoff.word,
					      memory_order_relaxed);

	tl__list_del_init(&me->waiter.link);
	/* acquire, relaxed: as in take_or_say() */
	while (word & KEPT)
		if (atomic_compare_exchange_weak_explicit(
			    &gil->handoff.word, &word,
			    (uintptr_t)me | waiting_bits(gil),
			    memory_order_acquire, memory_order_relaxed)) {
			begin_slice(gil, me, tl__now());
			tl__gil_sites_idle(&gil->handoff.sites);
			return true;
		}
	tl__list_add_head(&gil->handoff.waiting[tl__gil_class(me)], &me->waiter.link);
	return false;
}

/* The time that @me had set itself has come. Returns whether it has the lock. */
static bool look(struct tl_gil *gil, struct tl__gil_thread *me)
{
	struct tl__gil_waiter *w = &me->waiter;
	uint64_t now = tl__now(), due = due_ns(gil, me);
	bool is_first = first(gil, tl__gil_class(me)) == me;
	/* relaxed: as above */
	uintptr_t word = atomic_load_explicit(&gil->handoff.word,
					      memory_order_relaxed);

	w->spins = false;
	if (tl__list_empty(&w->link)) {	/* it has been handed over meanwhile */
		w->next_ns = now + gil->settings.interval_ns;
		return false;
	}
	if (is_first && (word & KEPT) && take_kept(gil, me))
		return true;
	if (now < due) {
		w->next_ns = earlier(due, now + AWAY_NS);
		return false;
	}
	w->next_ns = now + gil->settings.interval_ns;
	if (ask_holder(gil)) {
		word = atomic_load_explicit(&gil->handoff.word,
					    memory_order_relaxed);
		w->spins = worth_spinning(holder_of(word), true);
	}
	return false;
}

/* Until it is handed over to @me, which is in its queue, or it takes it. */
static void wait_for_turn(struct tl_gil *gil, struct tl__gil_thread *me)
{
	bool mine = false;

	while (!mine && !tl__gil_waiter_wait(&gil->handoff, gil->wake,
					    &me->waiter)) {
		tl__lock(&gil->lock);
		mine = look(gil, me);
		tl__unlock(&gil->lock);
	}
	/* relaxed: a hint */
	atomic_store_explicit(&me->waiter.cpu, sched_getcpu(),
			      memory_order_relaxed);
}

/* --- who is next: all with the lock ------------------------------------------ */

/* Hands it on to @next, who waits; tl__gil_waiter_wake() follows. */
static void hand_on(struct tl_gil *gil, struct tl__gil_thread *next, uint64_t now)
{
	struct tl__gil_handoff *h = &gil->handoff;

	tl__list_del_init(&next->waiter.link);
	begin_slice(gil, next, now);
	if (first(gil, TL_GIL_IO))
		tl__gil_ask(next);
	/* relaxed: that it has it, and sees what we did, is for
	 * tl__gil_waiter_wake() to say; who waits has the lock */
	atomic_store_explicit(&h->word, (uintptr_t)next | waiting_bits(gil),
			      memory_order_relaxed);
}

static struct tl__gil_thread *choose(struct tl_gil *gil, uint64_t now)
{
	struct tl__gil_thread *io = first(gil, TL_GIL_IO);
	struct tl__gil_thread *cpu = first(gil, TL_GIL_CPU);

	return io && !(cpu && is_owed(gil, cpu, now)) ? io : cpu;
}

/* --- the policy ---------------------------------------------------------------- */

static bool try_acquire(struct tl_gil *gil, struct tl__gil_thread *me)
{
	/* relaxed: as in take_or_say() */
	uintptr_t word = atomic_load_explicit(&gil->handoff.word,
					      memory_order_relaxed);

	if (me->waiter.hog)
		tl__gil_set_class(me, TL_GIL_CPU);
	if (tl__gil_class(me) == TL_GIL_IO)
		tl__gil_sites_back(&gil->handoff.sites);
	if (word && (word & BITS) != KEPT)
		return false;
	/* acquire, relaxed: as in take_or_say() */
	if (!atomic_compare_exchange_strong_explicit(
		    &gil->handoff.word, &word, (uintptr_t)me,
		    memory_order_acquire, memory_order_relaxed))
		return false;
	gil->handoff.slice_until_ns = 0;	/* it was the last holder's */
	return true;
}

static void acquire(struct tl_gil *gil, struct tl__gil_thread *me)
{
	struct tl__seat seat = find_seat(gil);
	uint64_t now = tl__now();
	struct tl__gil_thread *holder;
	bool mine;

	tl__lock(&gil->lock);
	mine = take_or_say(gil, me);
	if (!mine) {
		enqueue(gil, me, false, seat, now);
		/* relaxed: take_or_say() has seen it, and it can't leave */
		holder = holder_of(atomic_load_explicit(&gil->handoff.word,
							memory_order_relaxed));
		if (tl__gil_class(me) == TL_GIL_IO)
			tl__gil_ask(holder);
		me->waiter.spins = worth_spinning(holder,
						  tl__gil_class(me) == TL_GIL_IO);
	}
	tl__unlock(&gil->lock);
	if (!mine)
		wait_for_turn(gil, me);
}

/* It blocks: what it had, and missed, while it computed does not count any more. */
static void forget_turn(struct tl__gil_thread *me)
{
	struct tl__gil_waiter *w = &me->waiter;

	w->hog = false;
	w->turn_ns = w->owed_ns = w->owed_since_ns = 0;
	me->ticks_left = 0;
}

static void release(struct tl_gil *gil, struct tl__gil_thread *me)
{
	uintptr_t word = (uintptr_t)me;
	struct tl__gil_waiter *w = &me->waiter;
	struct tl__gil_thread *next;
	uint64_t now;

	forget_turn(me);
	/* release: pairs with take_or_say(); relaxed: somebody waits */
	if (atomic_compare_exchange_strong_explicit(&gil->handoff.word, &word, 0,
						    memory_order_release,
						    memory_order_relaxed))
		return;
	now = tl__now();
	w->hog = me->held_since_ns &&
		 now - me->held_since_ns >= gil->settings.slice_ns;
	tl__lock(&gil->lock);
	next = choose(gil, now);
	hand_on(gil, next, now);
	tl__unlock(&gil->lock);
	tl__gil_waiter_wake(gil->wake, &next->waiter);
}

/* Until when the holder is not made to let go, whoever asks. */
static uint64_t immune_until(const struct tl_gil *gil,
			     const struct tl__gil_thread *me)
{
	/* Nobody else writes to it while we hold it. */
	uint64_t until = gil->handoff.slice_until_ns;
	uint64_t least = tl__gil_class(me) == TL_GIL_IO ? GRACE_NS :
				gil->settings.least_ns;

	if (me->held_since_ns && until < me->held_since_ns + least)
		until = me->held_since_ns + least;
	return until;
}

/* Adds up what it had, as one that computes. Returns whether its turn is over. */
static bool turn_over(const struct tl_gil *gil, struct tl__gil_thread *me,
		      uint64_t now)
{
	struct tl__gil_waiter *w = &me->waiter;
	uint64_t had = me->held_since_ns ? now - me->held_since_ns : 0;

	w->turn_ns += had;
	w->owed_ns += had;
	if (w->owed_ns >= gil->settings.slice_ns) {
		w->owed_ns = 0;
		w->owed_since_ns = now;
	}
	if (w->turn_ns < gil->settings.interval_ns)
		return false;
	w->turn_ns = 0;
	return true;
}

/* Who is to have it in our stead, or NULL. With the lock. */
static struct tl__gil_thread *successor(struct tl_gil *gil, uint64_t now,
					bool any)
{
	struct tl__gil_thread *next = choose(gil, now);

	if (next && tl__gil_class(next) == TL_GIL_CPU && !first(gil, TL_GIL_IO) &&
	    !any && now < due_ns(gil, next))
		return NULL;
	return next;
}

static bool yield(struct tl_gil *gil, struct tl__gil_thread *me, bool any)
{
	struct tl__gil_thread *next, *cpu;
	struct tl__seat seat;
	bool over;
	uint64_t now;

	if (!any && me->ticks_left) {
		me->ticks_left--;
		return false;
	}
	now = tl__now();
	if (!any && now < immune_until(gil, me)) {
		me->ticks_left = TICKS_A_LOOK;
		return false;
	}
	seat = find_seat(gil);
	tl__lock(&gil->lock);
	tl__tick_clear(TL__TICK_GIL);
	next = successor(gil, now, any);
	if (next) {
		tl__gil_yields(me, any);
		over = turn_over(gil, me, now) || any;
		tl__gil_set_class(me, TL_GIL_CPU);
		me->ticks_left = 0;
		tl__list_del_init(&next->waiter.link);
		/* Nor before one who is owed more than we had. */
		cpu = first(gil, TL_GIL_CPU);
		over |= cpu && is_owed(gil, cpu, now);
		enqueue(gil, me, !over, seat, now);
		me->waiter.spins = worth_spinning(next, false);
		hand_on(gil, next, now);
	}
	tl__unlock(&gil->lock);
	if (next)
		tl__gil_waiter_pass(gil->wake, &me->waiter, &next->waiter);
	return next;
}

/* --- blocking calls that may keep it ---------------------------------------------- */

/* Where somebody waits: one that spins gets it at once, it costs next to nothing. */
static bool gives_away(struct tl_gil *gil, const void *site)
{
	/* relaxed: a hint */
	return atomic_load_explicit(&gil->handoff.spinning,
				    memory_order_relaxed) ||
	       !tl__gil_sites_keep(&gil->handoff.sites, site);
}

static bool keep(struct tl_gil *gil, struct tl__gil_thread *me, const void *site)
{
	/* relaxed: as in take_or_say() */
	uintptr_t word = atomic_load_explicit(&gil->handoff.word,
					      memory_order_relaxed);
	bool gives = (word & URGENT) ||
		     ((word & WAITERS) && gives_away(gil, site));

	tl__gil_sites_left(&gil->handoff.sites, site, word & WAITERS);
	me->waiter.watched = word & WAITERS;
	/* One who comes to wait in between wakes up by himself, if he must. */
	while (!gives && !(word & URGENT))
		/* release: pairs with take_or_say(); relaxed: once more */
		if (atomic_compare_exchange_weak_explicit(
			    &gil->handoff.word, &word, word | KEPT,
			    memory_order_release, memory_order_relaxed))
			return true;
	return false;
}

static bool regain(struct tl_gil *gil, struct tl__gil_thread *me)
{
	/* relaxed: as in take_or_say() */
	uintptr_t word = atomic_load_explicit(&gil->handoff.word,
					      memory_order_relaxed);

	do {
		if (holder_of(word) != me) {
			forget_turn(me);
			return false;
		}
		/* acquire: that nothing we do comes before; relaxed: once more */
	} while (!atomic_compare_exchange_weak_explicit(
		&gil->handoff.word, &word, word & ~KEPT, memory_order_acquire,
		memory_order_relaxed));
	if (me->waiter.watched)
		tl__gil_sites_back(&gil->handoff.sites);
	else
		me->held_since_ns = 0;	/* nobody wanted it: who knows how long */
	return true;
}

const struct tl__gil_policy tl__gil_handoff = {
	.name = "handoff",
	.reset = reset,
	.try = try_acquire,
	.acquire = acquire,
	.release = release,
	.yield = yield,
	.back = wait_for_turn,
	.keep = keep,
	.regain = regain,
};
