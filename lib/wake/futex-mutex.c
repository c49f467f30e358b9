/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The futex mutex' slow paths, and what a fork changes; see futex.h for the bits
 * and the invariant.
 */
#include "wake/futex-list.h"

#include <pthread.h>

#include "os/log.h"
#include "os/pause.h"

/*
 * So often one that was woken may find the mutex taken again, before it keeps
 * newcomers off. Each time is a whole wake-up long.
 */
#define LOSSES 30

/*
 * So many looks, with a pause between them, a newcomer takes at the most before he
 * goes to sleep: as long as the mutex is often given up meanwhile, which on one
 * processor, or where it is held for long, it is not. A sleep and a wake-up cost
 * some 100 looks; measured on two processors it doubles what two threads do that
 * hold it for 100 ns.
 */
#define LOOKS_MAX 128
#define LOOKS_MIN 8		/* fewer are not worth it: */
#define LOOKS_TRIED 32		/* then so many, now and then */
#define TRIED_ONCE_IN 32

/* In a forked child the one that keeps others off may be gone: wait no longer. */
#define KEPT_OFF_NS UINT64_C(5000000)

__thread uint32_t tl__wake_id;
uint32_t tl__wake_forks;

tl__cold uint32_t tl__wake_new_id(void)
{
	tl__wake_id = (uint32_t)syscall(SYS_gettid);
	return tl__wake_id;
}

/* --- lock -------------------------------------------------------------------- */

struct taking {
	uint32_t set;		/* SLEEPERS: we were woken in others' place */
	uint32_t clear;		/* KEEP_OFF, if it is we who have set it */
	unsigned int losses;
	bool woken;		/* no newcomer any more: KEEP_OFF isn't for us */
	bool last;		/* the time is up: this is the last look */
};

static __thread struct {
	uint16_t looks;		/* worth the while by what came of the last ones */
	uint16_t left_out;
} patience __attribute__((tls_model("initial-exec"))) = { LOOKS_TRIED, 0 };

/*
 * Looks until the mutex, whose word was @old, is free, or somebody sleeps: he is
 * first. Returns the word. Relaxed: a guess that the exchange checks.
 */
static uint32_t look(struct tl__wake_mutex *m, uint32_t old)
{
	int looks = patience.looks;

	if (looks < LOOKS_MIN) {
		if (++patience.left_out % TRIED_ONCE_IN)
			return old;
		looks = LOOKS_TRIED;
	}
	while (looks--) {
		if (!old)
			patience.looks += (LOOKS_MAX - patience.looks) / 8;
		if (!(old & TL__WAKE_OWNER) || (old & ~TL__WAKE_OWNER))
			return old;
		tl__pause();
		old = atomic_load_explicit(&m->word, memory_order_relaxed);
	}
	patience.looks -= patience.looks / 4;
	return old;
}

/* How long a newcomer stays off a free mutex; the deadline may come before. */
static uint64_t kept_off_until(int clock, uint64_t deadline_ns)
{
	struct timespec now;
	uint64_t end;

	clock_gettime(clock, &now);
	end = (uint64_t)now.tv_sec * TL__NS_PER_SEC + (uint64_t)now.tv_nsec +
	      KEPT_OFF_NS;
	return end < deadline_ns ? end : deadline_ns;
}

/* Sleeps on the word, which is @value. */
static void sleep_once(struct tl__wake_mutex *m, struct taking *t,
		       uint32_t value, int clock, uint64_t deadline_ns)
{
	uint64_t end = deadline_ns;
	int r;

	if (unlikely(!(value & TL__WAKE_OWNER)))
		end = kept_off_until(clock, deadline_ns);
	r = tl__futex_wait_by(&m->word, value, clock, end);
	/* Whoever wanted us off is not coming; or it is our own time that is up. */
	if (r == -ETIMEDOUT && end != deadline_ns)
		t->clear = TL__WAKE_KEEP_OFF;
	else
		t->last = r == -ETIMEDOUT;
	/* The word has changed before we slept: we are what we were. */
	if (r == -EAGAIN)
		return;
	t->woken = true;
	if (!r) {
		t->set = TL__WAKE_SLEEPERS;
		t->losses++;
	}
}

tl__cold int tl__wake_mutex_lock_slow(struct tl__wake_mutex *m, int clock,
				      uint64_t deadline_ns, uint32_t pass,
				      bool woken)
{
	struct taking t = {
		.set = pass ? TL__WAKE_SLEEPERS : 0,
		.woken = woken,
	};
	uint32_t self = tl__wake_self();
	/* relaxed: a guess that the exchange checks */
	uint32_t old = atomic_load_explicit(&m->word, memory_order_relaxed);

	if (!woken)
		old = look(m, old);
	for (;;) {
		bool free = !(old & TL__WAKE_OWNER) &&
			    (t.woken || !(old & TL__WAKE_KEEP_OFF));
		uint32_t new = (old | t.set) & ~t.clear;

		if (free)
			new |= self;
		else if (!t.last)
			new |= TL__WAKE_SLEEPERS |
			       (t.losses < LOSSES ? 0 : TL__WAKE_KEEP_OFF);
		/*
		 * acquire: as in tl__wake_mutex_try_lock(); where it only sets
		 * bits it would not be needed
		 */
		if (new != old &&
		    !atomic_compare_exchange_weak_explicit(
			    &m->word, &old, new, memory_order_acquire,
			    memory_order_relaxed))
			continue;
		if (free)
			return 0;
		if (t.last)
			return -ETIMEDOUT;
		t.clear |= new & ~old & TL__WAKE_KEEP_OFF;
		sleep_once(m, &t, new, clock, deadline_ns);
		/* relaxed: as above */
		old = atomic_load_explicit(&m->word, memory_order_relaxed);
	}
}

/* --- unlock ------------------------------------------------------------------ */

/* The first of the list, taken off it; NULL if there is none, or one on his way. */
static struct tl__wake_node *next_of_list(struct tl__wake_mutex *m)
{
	struct tl__wake_node *n = tl__wake_list_of(m);

	if (!n || (m->flags & TL__WAKE_ON_WAY))
		return NULL;
	tl__wake_unlink(&m->first, n);
	m->flags |= TL__WAKE_ON_WAY;
	return n;
}

/*
 * Wakes one: of the list, or else of the sleepers. Where there are both, he gets
 * PASS: to see to the sleepers when he has the mutex. Not each time: whoever is in
 * the list is woken again and again, with others behind him, and they would sleep
 * on; every other time one of them is woken as well. Never in his place, for
 * there may be none: SLEEPERS may be set without need.
 */
tl__cold void tl__wake_mutex_unlock_slow(struct tl__wake_mutex *m)
{
	struct tl__wake_node *n = next_of_list(m);
	/* relaxed: the owner's part is ours; the rest the exchange checks */
	uint32_t old = atomic_load_explicit(&m->word, memory_order_relaxed);
	uint32_t how = TL__WAKE_HANDED;

	if (n && (old & TL__WAKE_SLEEPERS))
		m->flags ^= TL__WAKE_TURN;
	if (!(m->flags & TL__WAKE_TURN))
		how |= TL__WAKE_PASS;
	/* release: pairs with tl__wake_mutex_lock(); relaxed: another look */
	while (!atomic_compare_exchange_weak_explicit(
		       &m->word, &old, old & TL__WAKE_KEEP_OFF,
		       memory_order_release, memory_order_relaxed))
		;
	/* From here on the mutex may be gone, but for the address. */
	if (!(old & TL__WAKE_SLEEPERS))
		how = TL__WAKE_HANDED;
	if (n)
		tl__wake_done(n, how);
	if ((old & TL__WAKE_SLEEPERS) && !(n && (how & TL__WAKE_PASS)))
		tl__wake_word(TL_PROBE_WAKE_FUTEX_MUTEX, &m->word, 1);
}

/* --- fork -------------------------------------------------------------------- */

void tl__wake_mutex_reset(struct tl__wake_mutex *m)
{
	m->first = NULL;
	m->flags = 0;
	m->forks = tl__wake_forks;
	/* relaxed: whoever resets it sees to it that nobody uses it */
	atomic_store_explicit(&m->word, 0, memory_order_relaxed);
}

void tl__wake_forked(void)
{
	tl__wake_id = 0;
	tl__wake_forks++;
	tl__wake_locks_reset();
}

__attribute__((constructor)) static void watch_forks(void)
{
	if (pthread_atfork(NULL, NULL, tl__wake_forked))
		tl__log("no memory for what has to be done at a fork: in a "
			"child, do not use conditions that others waited for");
}
