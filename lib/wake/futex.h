/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Ours: mutex, condition and semaphore made of futexes. To be called directly,
 * where the table of <tasklet/wake.h> is too far away; the table's `futex` is
 * these functions.
 *
 * Owns the three structures, which also fit into pthread's of 64 bits: a mutex
 * uses the word at offset 0 and the bytes from 24 to 39, and never looks at what
 * is between; a condition 16 bytes of 48; a semaphore 8 of 32. All bytes zero is
 * an object that is free and empty.
 *
 * The mutex's word (Drepper, "Futexes Are Tricky", and a bit more). "Missed": may
 * it be clear though what it says is so; "stale": may it be set though that isn't
 * so.
 *
 * bits      it says          set by               cleared by         missed stale
 *
 * OWNER     who has it;      who takes it         its holder         no     no
 *           0: free
 * SLEEPERS  somebody may     who is about to      an unlock, that    (1)    yes
 *           sleep on the     sleep; one that      wakes somebody
 *           word             was woken, when he
 *                            takes it
 * KEEP_OFF  one has lost     that one, when he    that one, when he  yes    (2)
 *           often: new-      sleeps again         takes it or gives
 *           comers wait                           up
 *
 * (1) while somebody who was woken is on his way to the mutex: he sets it again.
 * (2) in the child of a fork: whoever sees it there ends it, see lock_slow().
 *
 * The hand-over list: waiters of a condition that were signalled while the
 * signaller had the mutex. Only the mutex' holder touches it, and so it needs
 * no lock of its own. An unlock takes the first one off and wakes him, after it
 * has given the mutex up; no second one while that one is on his way (ON_WAY).
 * Nothing is handed over but the turn: whoever comes first has the mutex.
 *
 *	While the mutex is free, and somebody sleeps on its word or is in
 *	its list, somebody is awake who will take it, and then unlock it.
 *
 * He may be slow to run, and those behind him wait for that though the mutex is free:
 * the price of not waking them all.
 *
 * Where there are both, the sleepers are not forgotten over the list: every other
 * unlock wakes one of each.
 *
 * A condition is a queue of nodes on its waiters' stacks, first come, first
 * served. It is guarded by one of a few static locks, by its address: whoever
 * times out can look whether he was chosen without touching the condition,
 * which after a broadcast may be gone; and with each lock are the queues that it
 * guards, so that whoever has to pass a signal on finds out whether anybody waits
 * for that condition, and so whether it is there.
 *
 * The life of a node: QUEUED, in the queue; CLAIMED, taken off by a signal, so
 * that the signal is his whatever happens to the clock; DONE, woken. Who stores
 * DONE touches the node no more: it may be gone by then, the wake is by address.
 * A claimed waiter will lock the mutex, so the mutex lives until he has: that is
 * why whoever has claimed him may look at the mutex, until he stores DONE or
 * has put the node into the list.
 *
 * Locks: a condition's static lock is a leaf: nothing is taken with it, and
 * the caller may have any mutex.
 *
 * Fork: a child has neither the other threads nor their stacks. Lists and
 * queues carry the number of forks that their process has come from; who finds
 * another number drops what is in there. A mutex that another thread had at the
 * time of the fork stays locked: tl__wake_mutex_reset().
 */
#ifndef TL_WAKE_FUTEX_H
#define TL_WAKE_FUTEX_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <tasklet/base.h>

#include "base/compiler.h"

#define TL__WAKE_SLEEPERS	(1u << 31)
#define TL__WAKE_KEEP_OFF	(1u << 30)
#define TL__WAKE_OWNER		(TL__WAKE_KEEP_OFF - 1)

/* tl__wake_mutex.flags; the holder's */
#define TL__WAKE_ON_WAY		(1u << 0)	/* one of the list is woken */
#define TL__WAKE_TURN		(1u << 1)	/* the sleepers' turn comes */

/* tl__wake_node.state */
#define TL__WAKE_QUEUED		0u
#define TL__WAKE_CLAIMED	1u
#define TL__WAKE_DONE		2u	/* and with it: */
#define TL__WAKE_HANDED		4u	/* ... by an unlock, from the list */
#define TL__WAKE_PASS		8u	/* ... that leaves its sleepers to you */

struct tl__wake_node {
	struct tl__wake_node *next, *prev;	/* a ring */
	_Atomic uint32_t state;
	bool by_broadcast;
	struct tl__wake_mutex *mutex;
	struct tl__wake_node *chain;	/* take them along to the mutex */
	/* The first of a queue is known by the queue's lock, too. */
	const void *cond;
	struct tl__wake_node *next_queue, **prev_queue;
};

struct tl__wake_mutex {
	_Atomic uint32_t word;
	uint32_t not_ours[5];		/* count, owner, kind ... of pthread's */
	struct tl__wake_node *first;	/* the hand-over list */
	uint32_t flags;
	uint32_t forks;
} __attribute__((may_alias));

struct tl__wake_cond {
	_Atomic(struct tl__wake_node *) first;
	uint32_t forks;
	uint32_t spare;
} __attribute__((may_alias));

/* The low half counts tokens, the high half those who may sleep. */
struct tl__wake_sem {
	_Atomic uint64_t value;
} __attribute__((may_alias));

#define TL__WAKE_SEM_MAX	UINT32_C(0x7fffffff)
#define TL__WAKE_SEM_WAITER	(UINT64_C(1) << 32)

_Static_assert(offsetof(struct tl__wake_mutex, first) == 24 &&
	       sizeof(struct tl__wake_mutex) == 40 &&
	       sizeof(struct tl__wake_cond) <= 40 &&
	       sizeof(struct tl__wake_sem) <= 24,
	       "they fit into pthread's objects");

/* --- who we are -------------------------------------------------------------- */

/* The thread's number in the kernel; 0: not asked yet, or forked since. */
extern __thread uint32_t tl__wake_id
	__attribute__((tls_model("initial-exec")));
/* How often the process' line has forked. Written where it has one thread. */
extern uint32_t tl__wake_forks;

uint32_t tl__wake_new_id(void);

/*
 * In the child of a fork, before anything else here: what belongs to the other
 * threads is dropped from now on. pthread_atfork() knows it from the time at which
 * the library is loaded; for who has to be sure to be first. Once more does no harm.
 */
void tl__wake_forked(void);

static inline uint32_t tl__wake_self(void)
{
	uint32_t id = tl__wake_id;

	return likely(id) ? id : tl__wake_new_id();
}

/* Whether time-outs go by @clock. */
static inline bool tl__wake_clock_ok(int clock)
{
	return clock == CLOCK_MONOTONIC || clock == CLOCK_REALTIME;
}

/* --- the mutex --------------------------------------------------------------- */

/*
 * Out of the way: locks it until @deadline_ns. @pass: PASS if the caller was
 * woken in place of the sleepers; @woken: he is no newcomer.
 */
int tl__wake_mutex_lock_slow(struct tl__wake_mutex *m, int clock,
			     uint64_t deadline_ns, uint32_t pass, bool woken);
void tl__wake_mutex_unlock_slow(struct tl__wake_mutex *m);

/* 0 or -EAGAIN */
static inline int tl__wake_mutex_try_lock(struct tl__wake_mutex *m)
{
	uint32_t old = 0;

	/*
	 * acquire: pairs with tl__wake_mutex_unlock(): all that was done with
	 * the mutex; relaxed: nothing was taken
	 */
	if (likely(atomic_compare_exchange_strong_explicit(
		    &m->word, &old, tl__wake_self(), memory_order_acquire,
		    memory_order_relaxed)))
		return 0;
	/* Free, with bits of sleepers on their way; they may be overtaken. */
	while (!(old & (TL__WAKE_OWNER | TL__WAKE_KEEP_OFF)))
		/* as above */
		if (atomic_compare_exchange_strong_explicit(
			    &m->word, &old, old | tl__wake_self(),
			    memory_order_acquire, memory_order_relaxed))
			return 0;
	return -EAGAIN;
}

static inline void tl__wake_mutex_lock(struct tl__wake_mutex *m)
{
	uint32_t old = 0;

	/* as in tl__wake_mutex_try_lock() */
	if (unlikely(!atomic_compare_exchange_strong_explicit(
		    &m->word, &old, tl__wake_self(), memory_order_acquire,
		    memory_order_relaxed)))
		tl__wake_mutex_lock_slow(m, CLOCK_MONOTONIC, TL_FOREVER, 0,
					 false);
}

/* 0, -ETIMEDOUT, or -EINVAL for a clock that we don't know, if it has to wait. */
static inline int tl__wake_mutex_lock_until(struct tl__wake_mutex *m, int clock,
					    uint64_t deadline_ns)
{
	uint32_t old = 0;

	/* as in tl__wake_mutex_try_lock() */
	if (likely(atomic_compare_exchange_strong_explicit(
		    &m->word, &old, tl__wake_self(), memory_order_acquire,
		    memory_order_relaxed)))
		return 0;
	if (!tl__wake_clock_ok(clock))
		return -EINVAL;
	return tl__wake_mutex_lock_slow(m, clock, deadline_ns, 0, false);
}

/*
 * The list is looked at while the mutex is held; the exchange that gives it up
 * is the last access: the next holder may free it.
 */
static inline void tl__wake_mutex_unlock(struct tl__wake_mutex *m)
{
	/* relaxed: the owner's part is ours; the rest the exchange checks */
	uint32_t old = atomic_load_explicit(&m->word, memory_order_relaxed);

	/* release: pairs with tl__wake_mutex_lock() and its like */
	if (unlikely(m->first || (old & ~TL__WAKE_OWNER) ||
		     !atomic_compare_exchange_strong_explicit(
			     &m->word, &old, 0, memory_order_release,
			     memory_order_relaxed)))
		tl__wake_mutex_unlock_slow(m);
}

/* Whether the calling thread has it; not across a fork, see tl__wake_id. */
static inline bool tl__wake_mutex_is_mine(struct tl__wake_mutex *m)
{
	/* relaxed: only we ourselves write our number there */
	return (atomic_load_explicit(&m->word, memory_order_relaxed) &
		TL__WAKE_OWNER) == tl__wake_self();
}

/* In the child of a fork, for a mutex that nobody is left to unlock: free. */
void tl__wake_mutex_reset(struct tl__wake_mutex *m);

/* --- the condition ----------------------------------------------------------- */

/*
 * Gives @m, which the caller has, up; waits; takes it again. 0, -ETIMEDOUT, or
 * -EINVAL for a clock that we don't know, at once.
 */
int tl__wake_cond_wait(struct tl__wake_cond *c, struct tl__wake_mutex *m,
		       int clock, uint64_t deadline_ns);

/*
 * The same in its parts, for one whose sleep may be cut short by force: enter();
 * sleep() as often as is liked; then leave(), or abandon() if the sleep was left
 * in another way. @n is on the caller's stack, and in use until one of these
 * has returned.
 */

/* Queues @n and gives @m up. */
void tl__wake_cond_enter(struct tl__wake_cond *c, struct tl__wake_mutex *m,
			 struct tl__wake_node *n);
/*
 * Sleeps until it is woken: 0; else -ETIMEDOUT or, for a signal handler that
 * ran, -EINTR. Holds nothing and changes nothing but its own stack, so it may be
 * left at any instruction: by a cancellation of the asynchronous type.
 */
int tl__wake_cond_sleep(struct tl__wake_node *n, int clock,
			uint64_t deadline_ns);
/*
 * The wait is over. Takes the mutex again. 0 if it was signalled, even if that was
 * after the sleep had timed out; else -ETIMEDOUT.
 */
int tl__wake_cond_leave(struct tl__wake_cond *c, struct tl__wake_node *n);
/*
 * The thread is to end. Takes the mutex again. If it was signalled, somebody else
 * who waits is in its place, unless a broadcast did it. The condition may be gone
 * if it was.
 */
void tl__wake_cond_abandon(struct tl__wake_cond *c, struct tl__wake_node *n);

void tl__wake_cond_signal_slow(struct tl__wake_cond *c);
void tl__wake_cond_broadcast_slow(struct tl__wake_cond *c);

/*
 * Who waits has queued himself before he gave the mutex up. Whoever has had the
 * mutex since sees it; to others it is open whether they came first.
 *
 * acquire: pairs with the queue's last store by one who left it with his time over:
 * a broadcast that finds nobody may be followed by the condition's end.
 */
static inline bool tl__wake_cond_is_empty(struct tl__wake_cond *c)
{
	return !atomic_load_explicit(&c->first, memory_order_acquire);
}

static inline void tl__wake_cond_signal(struct tl__wake_cond *c)
{
	if (!tl__wake_cond_is_empty(c))
		tl__wake_cond_signal_slow(c);
}

static inline void tl__wake_cond_broadcast(struct tl__wake_cond *c)
{
	if (!tl__wake_cond_is_empty(c))
		tl__wake_cond_broadcast_slow(c);
}

/* In the child of a fork: nobody waits. It would be found out anyway. */
void tl__wake_cond_reset(struct tl__wake_cond *c);

/* --- the semaphore ----------------------------------------------------------- */

/*
 * Takes a token, when there is one. 0, -ETIMEDOUT, -EINVAL for a clock that we
 * don't know, if it has to wait; -EINTR only if @interruptible: a handler ran.
 */
int tl__wake_sem_wait_slow(struct tl__wake_sem *s, int clock,
			   uint64_t deadline_ns, bool interruptible);

/* 0 or -EAGAIN */
static inline int tl__wake_sem_try_wait(struct tl__wake_sem *s)
{
	/* relaxed: a guess that the exchange checks */
	uint64_t old = atomic_load_explicit(&s->value, memory_order_relaxed);

	while ((uint32_t)old)
		/* acquire: pairs with tl__wake_sem_post(): what came before it */
		if (atomic_compare_exchange_weak_explicit(
			    &s->value, &old, old - 1, memory_order_acquire,
			    memory_order_relaxed))
			return 0;
	return -EAGAIN;
}

static inline int tl__wake_sem_wait(struct tl__wake_sem *s, int clock,
				    uint64_t deadline_ns, bool interruptible)
{
	if (likely(!tl__wake_sem_try_wait(s)))
		return 0;
	return tl__wake_sem_wait_slow(s, clock, deadline_ns, interruptible);
}

/*
 * Adds @count tokens: 0, or -EOVERFLOW and nothing is changed. Async-signal-safe.
 * The exchange is the last access: who takes the token may free the semaphore.
 */
int tl__wake_sem_post(struct tl__wake_sem *s, uint32_t count);

/* relaxed: it may have changed when the caller looks at it */
static inline uint32_t tl__wake_sem_value(struct tl__wake_sem *s)
{
	return (uint32_t)atomic_load_explicit(&s->value, memory_order_relaxed);
}

#endif
