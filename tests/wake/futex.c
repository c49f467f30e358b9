/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The futex implementation from the inside: what its words say; that one that loses again and again gets the mutex after
 * a bounded number of losses; that hand-overs don't starve those who sleep on the mutex; locks with a deadline; the
 * wait in its parts, and cut short by a cancellation, which loses no signal; the semaphore that a handler interrupts.
 */
#include <signal.h>

#include "waketest.h"

#include "os/futex.h"
#include "wake/futex.h"

#define LOSSES 30	/* as in futex-mutex.c */

static struct tl__wake_mutex m;
static struct tl__wake_cond c;
static _Atomic int entered, left;

static uint32_t word(void)
{
	return atomic_load(&m.word);
}

static bool sleeps(void)
{
	uint64_t end = in_ns(PATIENCE_NS);

	while (!(word() & TL__WAKE_SLEEPERS)) {
		if (now_by(CLOCK_MONOTONIC) > end)
			return false;
		sched_yield();
	}
	/* It has said so; by now it most likely does. */
	nap(MS);
	return true;
}

static void *fn_lock(UNUSED void *arg)
{
	tl__wake_mutex_lock(&m);
	atomic_fetch_add(&entered, 1);
	tl__wake_mutex_unlock(&m);
	return NULL;
}

/* --- the bound on losses ------------------------------------------------------------------------------------------------ */

/*
 * What an unlock looks like to the one that is woken, when a newcomer was quicker: the owner is there again. Whether
 * somebody slept.
 */
static bool unlock_and_take_again(void)
{
	uint32_t old = word();

	while (!atomic_compare_exchange_weak(&m.word, &old, old & ~TL__WAKE_SLEEPERS))
		;
	return syscall(SYS_futex, &m.word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) == 1;
}

static void test_losses(void)
{
	pthread_t victim;
	int losses = 0;

	atomic_store(&entered, 0);
	tl__wake_mutex_lock(&m);
	victim = start(fn_lock, NULL);
	while (sleeps() && !(word() & TL__WAKE_KEEP_OFF) && losses < 10 * LOSSES)
		losses += unlock_and_take_again();
	tap_is(losses, LOSSES, "one that was woken and lost so often keeps newcomers off");
	tl__wake_mutex_unlock(&m);
	pthread_join(victim, NULL);
	tap_is(word(), 0, "when it has had its turn all is as before");
}

/* Somebody has lost often, and is on his way; or is not, which a fork's child may find. */
static void test_kept_off(void)
{
	uint64_t deadline;

	atomic_store(&m.word, TL__WAKE_KEEP_OFF);
	tap_is(tl__wake_mutex_try_lock(&m), -EAGAIN, "a newcomer does not get a mutex that is free, but kept");
	deadline = in_ns(MS);
	tap_ok(!tl__wake_mutex_lock_until(&m, CLOCK_MONOTONIC, deadline) && now_by(CLOCK_MONOTONIC) >= deadline,
	       "... before his time is up");
	tl__wake_mutex_unlock(&m);
	atomic_store(&m.word, TL__WAKE_KEEP_OFF);
	tl__wake_mutex_lock(&m);
	tap_is(word() & TL__WAKE_KEEP_OFF, 0, "... or for a while, if nobody comes: then it is kept no more");
	tl__wake_mutex_unlock(&m);
	tap_is(word(), 0, "it is free");
}

/* --- the list and the sleepers ------------------------------------------------------------------------------------------ */

static long turn, rounds;

/* Each unlock hands over to the other one. */
static void *fn_ping_pong(void *arg)
{
	long mine = arg != NULL;

	tl__wake_mutex_lock(&m);
	while (!atomic_load(&entered) && rounds < 300000) {
		while ((turn & 1) != mine && !atomic_load(&entered))
			tl__wake_cond_wait(&c, &m, CLOCK_MONOTONIC, TL_FOREVER);
		turn++;
		rounds += atomic_load(&left);
		tl__wake_cond_signal(&c);
	}
	tl__wake_cond_broadcast(&c);
	tl__wake_mutex_unlock(&m);
	return NULL;
}

static void test_turns(void)
{
	pthread_t a, b, sleeper;

	atomic_store(&entered, 0);
	atomic_store(&left, 0);
	rounds = 0;
	tl__wake_mutex_lock(&m);
	a = start(fn_ping_pong, NULL);
	b = start(fn_ping_pong, &m);
	sleeper = start(fn_lock, NULL);
	nap(10 * MS);
	atomic_store(&left, 1);
	tl__wake_mutex_unlock(&m);
	pthread_join(sleeper, NULL);
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	tap_ok(rounds < 300000, "those who sleep on the mutex get it though it is handed over all the time");
	tap_diag("after %ld hand-overs", rounds);
}

static void *fn_wait(void *arg)
{
	tl__wake_mutex_lock(&m);
	atomic_fetch_add(&entered, 1);
	tl__wake_cond_wait(&c, &m, CLOCK_MONOTONIC, TL_FOREVER);
	atomic_fetch_add(&left, 1);
	tl__wake_mutex_unlock(&m);
	return arg;
}

/* A signal with the mutex moves the waiter; nobody is woken before the unlock, and then one. */
static void test_morphing(void)
{
	pthread_t threads[3];
	struct tl__wake_node *first;
	int i;

	atomic_store(&entered, 0);
	atomic_store(&left, 0);
	for (i = 0; i < 3; i++)
		threads[i] = start(fn_wait, NULL);
	reaches(&entered, 3);
	tl__wake_mutex_lock(&m);
	first = atomic_load(&c.first);
	tl__wake_cond_signal(&c);
	tap_ok(m.first == first && atomic_load(&first->state) == TL__WAKE_CLAIMED && atomic_load(&c.first) != first,
	       "a signal with the mutex moves the first to the mutex' list");
	tl__wake_cond_broadcast(&c);
	tap_ok(m.first == first && first->next->next->next == first && tl__wake_cond_is_empty(&c),
	       "a broadcast moves the others behind it");
	nap(2 * MS);
	tap_is(word(), tl__wake_self(), "nobody was woken: nobody wants the mutex");
	tl__wake_mutex_unlock(&m);
	for (i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	tap_ok(!m.first && !(m.flags & TL__WAKE_ON_WAY) && !word(), "each unlock wakes the next");
}

static void *fn_signal(void *arg)
{
	tl__wake_cond_signal(&c);
	return arg;
}

/* Somebody has the mutex, but not the one that signals: the waiter is woken, and sleeps on the mutex; the list is not his. */
static void test_others_mutex(void)
{
	struct tl__wake_node *node;
	pthread_t thread;

	atomic_store(&entered, 0);
	atomic_store(&left, 0);
	thread = start(fn_wait, NULL);
	reaches(&entered, 1);
	tl__wake_mutex_lock(&m);
	node = atomic_load(&c.first);
	pthread_join(start(fn_signal, NULL), NULL);
	tap_ok(!m.first && atomic_load(&node->state) == TL__WAKE_DONE && sleeps(),
	       "a signal without the mutex wakes, though another thread has it");
	tl__wake_mutex_unlock(&m);
	pthread_join(thread, NULL);
}

/*
 * One in the list, and a sleeper, or SLEEPERS that says so without need: whichever turn it is, nobody is forgotten by the
 * unlock and by those that it leads to.
 */
static void test_list_and_sleepers(bool sleeper, uint32_t flags)
{
	pthread_t threads[2];
	int n = 1;

	atomic_store(&entered, 0);
	atomic_store(&left, 0);
	threads[0] = start(fn_wait, NULL);
	reaches(&entered, 1);
	tl__wake_mutex_lock(&m);
	tl__wake_cond_signal(&c);
	if (sleeper) {
		threads[n++] = start(fn_lock, NULL);
		sleeps();
	} else {
		atomic_fetch_or(&m.word, TL__WAKE_SLEEPERS);
	}
	m.flags = flags;
	tl__wake_mutex_unlock(&m);
	tap_ok(reaches(&left, 1) && reaches(&entered, n), "%s turn: the list, and %s", flags ? "the sleepers'" : "the list's",
	       sleeper ? "one that sleeps" : "nobody that sleeps");
	if (atomic_load(&left) < 1 || atomic_load(&entered) < n)
		tap_bail("they wait for ever");
	while (n--)
		pthread_join(threads[n], NULL);
}

/* --- deadlines ---------------------------------------------------------------------------------------------------------- */

static void *fn_lock_until(void *arg)
{
	int clock = arg ? CLOCK_REALTIME : CLOCK_MONOTONIC;
	int r = tl__wake_mutex_lock_until(&m, clock, now_by(clock) + 3 * MS);

	if (!r)
		tl__wake_mutex_unlock(&m);
	return (void *)(intptr_t)-r;
}

static void test_lock_until(void)
{
	pthread_t sleeper;
	void *a, *b;

	tl__wake_mutex_lock(&m);
	pthread_join(start(fn_lock_until, NULL), &a);
	pthread_join(start(fn_lock_until, &m), &b);
	tap_ok((intptr_t)a == ETIMEDOUT && (intptr_t)b == ETIMEDOUT, "a lock with a deadline, by both clocks");
	tap_is(tl__wake_mutex_lock_until(&m, CLOCK_TAI, 0), -EINVAL, "by no other");
	atomic_store(&entered, 0);
	sleeper = start(fn_lock, NULL);
	sleeps();
	pthread_join(start(fn_lock_until, NULL), &a);
	tl__wake_mutex_unlock(&m);
	tap_ok(reaches(&entered, 1), "one that gives up leaves those that sleep where they are");
	pthread_join(sleeper, NULL);
	pthread_join(start(fn_lock_until, NULL), &a);
	tap_ok(!a && !word(), "a free mutex is had at once");
}

/* Many that time out and many that don't: whoever is woken in vain passes it on. */
static void *fn_mixed(void *arg)
{
	uint64_t seed = tap_seed() ^ (uintptr_t)&arg;
	int i;

	for (i = 0; i < turns(4000); i++) {
		bool timed = arg && tap_random(&seed) % 2;

		if (timed && tl__wake_mutex_lock_until(&m, CLOCK_MONOTONIC, in_ns(tap_random(&seed) % 20000)))
			continue;
		if (!timed)
			tl__wake_mutex_lock(&m);
		rounds++;
		if (i % 64 == 0)
			sched_yield();
		tl__wake_mutex_unlock(&m);
	}
	return NULL;
}

static void test_mixed(void)
{
	pthread_t threads[5];
	int i;

	for (i = 0; i < 5; i++)
		threads[i] = start(fn_mixed, i < 3 ? &m : NULL);
	for (i = 0; i < 5; i++)
		pthread_join(threads[i], NULL);
	tap_ok(!(word() & TL__WAKE_OWNER), "locks that time out lose no wake-up of the others");
	atomic_store(&m.word, 0);
}

/* --- the wait in its parts, and cancelled ------------------------------------------------------------------------------- */

struct parts {
	struct tl__wake_cond c;
	struct tl__wake_mutex m;
	_Atomic int entered, woken, cancelled;
};

struct part {
	struct parts *p;
	struct tl__wake_node node;
};

static void on_cancel(void *arg)
{
	struct part *part = arg;

	tl__wake_cond_abandon(&part->p->c, &part->node);
	if (!tl__wake_mutex_is_mine(&part->p->m))
		tap_bail("the mutex is not taken again");
	tl__wake_mutex_unlock(&part->p->m);
	atomic_fetch_add(&part->p->cancelled, 1);
}

static void *fn_parts(void *arg)
{
	struct part part = { .p = arg };
	struct parts *p = arg;
	int old;

	tl__wake_mutex_lock(&p->m);
	atomic_fetch_add(&p->entered, 1);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
	tl__wake_cond_enter(&p->c, &p->m, &part.node);
	pthread_cleanup_push(on_cancel, &part);
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old);
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &old);
	while (tl__wake_cond_sleep(&part.node, CLOCK_MONOTONIC, TL_FOREVER))
		;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
	pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &old);
	pthread_cleanup_pop(0);
	tl__wake_cond_leave(&p->c, &part.node);
	tl__wake_mutex_unlock(&p->m);
	atomic_fetch_add(&p->woken, 1);
	return NULL;
}

/* Three signals and three cancellations for six: who is cancelled passes his signal on, so three are woken. */
static void test_cancel(void)
{
	uint64_t seed = tap_seed();
	int round, i, lost = 0, both = 0;

	for (round = 0; round < turns(300) && !lost; round++) {
		struct parts p = { 0 };
		pthread_t threads[6];

		for (i = 0; i < 6; i++)
			threads[i] = start(fn_parts, &p);
		if (!reaches(&p.entered, 6))
			tap_bail("they do not come");
		for (i = 0; i < 3; i++) {
			bool first = tap_random(&seed) % 2;

			if (first)
				pthread_cancel(threads[i]);
			if (tap_random(&seed) % 2) {
				tl__wake_mutex_lock(&p.m);
				tl__wake_cond_signal(&p.c);
				tl__wake_mutex_unlock(&p.m);
			} else {
				tl__wake_cond_signal(&p.c);
			}
			if (!first)
				pthread_cancel(threads[i]);
		}
		lost += !reaches(&p.woken, 3);
		both += atomic_load(&p.cancelled);
		do {
			tl__wake_cond_broadcast(&p.c);
			nap(MS / 10);
		} while (atomic_load(&p.woken) + atomic_load(&p.cancelled) < 6);
		for (i = 0; i < 6; i++)
			pthread_join(threads[i], NULL);
	}
	tap_is(lost, 0, "cancelled waits lose no signal");
	tap_diag("%d rounds; %d were cancelled before their three were woken", round, both);
}

/* Cancelled for certain after it was claimed: the next one has the signal. */
static void test_pass_on(void)
{
	struct parts p = { 0 };
	pthread_t threads[2];
	int i;

	for (i = 0; i < 2; i++) {
		threads[i] = start(fn_parts, &p);
		reaches(&p.entered, i + 1);
		tl__wake_mutex_lock(&p.m);
		tl__wake_mutex_unlock(&p.m);
	}
	tl__wake_mutex_lock(&p.m);
	tl__wake_cond_signal(&p.c);
	pthread_cancel(threads[0]);
	nap(5 * MS);
	tl__wake_mutex_unlock(&p.m);
	tap_ok(reaches(&p.cancelled, 1) && reaches(&p.woken, 1), "one that is cancelled and was signalled passes it on");
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	tap_ok(tl__wake_cond_is_empty(&p.c) && !p.m.first && !atomic_load(&p.m.word), "and all is as before");
}

struct gone {
	struct tl__wake_cond *c;
	struct tl__wake_mutex m;
	_Atomic int entered, go;
};

/* In place of a cancelled sleep: it was left, and the wait is abandoned. */
static void *fn_gone(void *arg)
{
	struct gone *g = arg;
	struct tl__wake_node n;

	tl__wake_mutex_lock(&g->m);
	atomic_fetch_add(&g->entered, 1);
	tl__wake_cond_enter(g->c, &g->m, &n);
	if (!reaches(&g->go, 1))
		return NULL;
	tl__wake_cond_abandon(g->c, &n);
	tl__wake_mutex_unlock(&g->m);
	return arg;
}

/* The one that was signalled is about to pass the signal on, and the condition is gone: nobody waits for it. */
static void test_gone(void)
{
	struct gone g = { .c = map_page() };
	pthread_t thread = start(fn_gone, &g);
	void *there;

	reaches(&g.entered, 1);
	tl__wake_mutex_lock(&g.m);
	tl__wake_cond_signal(g.c);
	unmap_page(g.c);
	tl__wake_mutex_unlock(&g.m);
	atomic_store(&g.go, 1);
	pthread_join(thread, &there);
	tap_ok(there, "one that is cancelled does not look at a condition that is gone");
}

/* --- the semaphore ------------------------------------------------------------------------------------------------------ */

static struct tl__wake_sem sem;

static void on_signal(UNUSED int number)
{
}

static void *fn_sem(UNUSED void *arg)
{
	int r;

	atomic_fetch_add(&entered, 1);
	r = tl__wake_sem_wait(&sem, CLOCK_MONOTONIC, TL_FOREVER, true);
	atomic_fetch_add(&left, 1);
	return (void *)(intptr_t)-r;
}

static void test_sem(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	pthread_t thread;
	void *r;

	atomic_store(&entered, 0);
	atomic_store(&left, 0);
	sigaction(SIGUSR1, &action, NULL);
	thread = start(fn_sem, NULL);
	reaches(&entered, 1);
	do {
		pthread_kill(thread, SIGUSR1);
		nap(MS);
	} while (!atomic_load(&left));
	pthread_join(thread, &r);
	tap_is((intptr_t)r, EINTR, "a handler ends the wait for a token, where that is wanted");
	tap_is(atomic_load(&sem.value), 0, "and nobody is counted as waiting");
	tap_ok(!tl__wake_sem_post(&sem, 3) && tl__wake_sem_value(&sem) == 3 &&
	       tl__wake_sem_post(&sem, TL__WAKE_SEM_MAX - 2) == -EOVERFLOW && tl__wake_sem_value(&sem) == 3,
	       "several tokens at once, or none");
}

int main(void)
{
	int i;

	tap_plan(2 + 4 + 1 + 4 + 1 + 4 + 4 + 1 + 1 + 2 + 1 + 3);
	tap_seed();	/* the first call is no thread's */
	test_losses();
	test_kept_off();
	test_turns();
	test_morphing();
	test_others_mutex();
	for (i = 0; i < 4; i++)
		test_list_and_sleepers(i % 2, i / 2 ? TL__WAKE_TURN : 0);
	test_lock_until();
	test_mixed();
	test_cancel();
	test_pass_on();
	test_gone();
	test_sem();
	return tap_exit();
}
