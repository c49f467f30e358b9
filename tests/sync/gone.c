/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Objects whose memory goes away as soon as their headers allow it: when a wait has returned, or the next holder has
 * unlocked, while the call that ended the wait is on its way out in another thread. A touch after that is seen: the
 * memory is filled at once with bytes that look like a busy object, and must keep them; or, for it takes longer, becomes
 * inaccessible.
 */
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>

#include "../core/check.h"
#include "core/task.h"

#if CHECK_TSAN || CHECK_ASAN || defined(__aarch64__)
#define ROUNDS 500
#else
#define ROUNDS 5000
#endif
#define PAGE 65536
#define FILL 0x5a

static char *page;
static _Atomic int opened, served;	/* rounds */
static uint64_t wake_rnd, wait_rnd;

struct pair {
	struct tl_mutex mutex;
	struct tl_cond cond;
	bool told;
};

/* One side makes the object and waits, the other one ends the wait. */
struct kind {
	const char *name;
	size_t size;
	void (*make)(void *object);
	int (*wait)(void *object);
	int (*wake)(void *object);
};

static void spin(uint64_t *rnd)
{
	uint64_t n = tap_random(rnd) % 4 ? tap_random(rnd) % 300 : 0;

	if (n > 290)
		sched_yield();
	while (n--)
		__asm__ volatile("");
}

/* Without a system call at first: both sides shall be close together. */
static void await(_Atomic int *what, int round)
{
	int i;

	for (i = 0; *what != round; i++)
		if (i > 2000)
			sched_yield();
}

static void make_event(void *o)
{
	*(struct tl_event *)o = (struct tl_event)TL_EVENT_INIT;
}

static int wait_event(void *o)
{
	return tl_event_wait(o);
}

static int wake_event(void *o)
{
	tl_event_set(o);
	return 0;
}

static void make_group(void *o)
{
	*(struct tl_waitgroup *)o = (struct tl_waitgroup)TL_WAITGROUP_INIT;
	tl_waitgroup_add(o, 1);
}

static int wait_group(void *o)
{
	return tl_waitgroup_wait(o);
}

static int wake_group(void *o)
{
	return tl_waitgroup_done(o);
}

static void make_sem(void *o)
{
	*(struct tl_sem *)o = (struct tl_sem)TL_SEM_INIT(0);
}

static int wait_sem(void *o)
{
	return tl_sem_acquire(o);
}

static int wake_sem(void *o)
{
	return tl_sem_release(o, 1);
}

/* The waker's is locked before the waiter knows of it: see fn_waker(). */
static void make_mutex(void *o)
{
	*(struct tl_mutex *)o = (struct tl_mutex)TL_MUTEX_INIT;
}

static int wait_mutex(void *o)
{
	return tl_mutex_lock(o) | tl_mutex_unlock(o);
}

static int wake_mutex(void *o)
{
	return tl_mutex_unlock(o);
}

static void make_rwlock(void *o)
{
	*(struct tl_rwlock *)o = (struct tl_rwlock)TL_RWLOCK_INIT;
}

static int wait_rwlock(void *o)
{
	return tl_rwlock_wrlock(o) | tl_rwlock_wrunlock(o);
}

static int wake_rwlock(void *o)
{
	return tl_rwlock_rdunlock(o);
}

static void make_barrier(void *o)
{
	tl_barrier_init(o, 2, NULL, NULL);
}

static int wait_barrier(void *o)
{
	return tl_barrier_wait(o) < 0;
}

static void make_pair(void *o)
{
	struct pair *p = o;

	*p = (struct pair){ TL_MUTEX_INIT, TL_COND_INIT, false };
}

static int wait_pair(void *o)
{
	struct pair *p = o;
	int r = tl_mutex_lock(&p->mutex);

	while (!r && !p->told)
		r = tl_cond_wait(&p->cond, &p->mutex);
	return r | tl_mutex_unlock(&p->mutex);
}

static int wake_pair(void *o)
{
	struct pair *p = o;
	int r = tl_mutex_lock(&p->mutex);

	p->told = true;
	tl_cond_notify(&p->cond, 1);
	return r | tl_mutex_unlock(&p->mutex);
}

static const struct kind kinds[] = {
	{ "event.h: an event, after a wait", sizeof(struct tl_event), make_event, wait_event, wake_event },
	{ "waitgroup.h: a wait group, after a wait", sizeof(struct tl_waitgroup), make_group, wait_group, wake_group },
	{ "semaphore.h: a semaphore, after an acquire", sizeof(struct tl_sem), make_sem, wait_sem, wake_sem },
	{ "mutex.h: a mutex, after the last unlock", sizeof(struct tl_mutex), make_mutex, wait_mutex, wake_mutex },
	{ "rwlock.h: an rwlock, after the last unlock", sizeof(struct tl_rwlock), make_rwlock, wait_rwlock,
	  wake_rwlock },
	{ "barrier.h: a barrier, after a wait", sizeof(struct tl_barrier), make_barrier, wait_barrier, wait_barrier },
	{ "cond.h: a condition and its mutex, after a wait", sizeof(struct pair), make_pair, wait_pair, wake_pair },
};

static const struct kind *kind;
static _Atomic int locked;	/* a round's object that the waker has taken */

static void *object(void)
{
	return page + PAGE - ((kind->size + 15) & ~(size_t)15);
}

/* Side by side, if there are processors for that. */
static void pin_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	(void)sched_setaffinity(0, sizeof(set), &set);
}

static void *fn_waker(UNUSED void *arg)
{
	int i;

	pin_to(1);
	for (i = 1; i <= ROUNDS; i++) {
		await(&opened, i);
		if (kind->make == make_mutex && tl_mutex_lock(object()))
			tap_bail("tl_mutex_lock");
		if (kind->make == make_rwlock && tl_rwlock_rdlock(object()))
			tap_bail("tl_rwlock_rdlock");
		locked = i;
		spin(&wake_rnd);
		if (kind->wake(object()))
			tap_bail("%s: wake", kind->name);
		served = i;
	}
	return NULL;
}

static bool is_filled(void)
{
	const volatile char *o = object();
	size_t i;

	for (i = 0; i < kind->size; i++)
		if (o[i] != FILL)
			return false;
	return true;
}

/* The object has another use now, until the waker is out of its call. */
static void reuse(int round)
{
	memset(object(), FILL, kind->size);
	if (round % 8 == 0) {
		if (mprotect(page, PAGE, PROT_NONE))
			tap_bail("mprotect");
		await(&served, round);
		return;
	}
	while (served != round) {
		if (!is_filled())
			break;
		sched_yield();
	}
	if (!is_filled())
		tap_bail("%s: written to afterwards, in round %d", kind->name, round);
}

static void rounds(void)
{
	int i, r;

	for (i = 1; i <= ROUNDS; i++) {
		if (i % 8 == 1 && mprotect(page, PAGE, PROT_READ | PROT_WRITE))
			tap_bail("mprotect");
		kind->make(object());
		opened = i;
		await(&locked, i);
		spin(&wait_rnd);
		r = kind->wait(object());
		if (r)
			tap_bail("%s: the wait failed with %d in round %d", kind->name, r, i);
		reuse(i);
	}
}

int main(void)
{
	pthread_t t;
	size_t i;

	tap_plan((long)ARRAY_LEN(kinds) + 1);
	wake_rnd = tap_seed();
	wait_rnd = wake_rnd + 1;
	pin_to(0);
	page = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		tap_bail("mmap");
	for (i = 0; i < ARRAY_LEN(kinds); i++) {
		kind = &kinds[i];
		opened = served = locked = 0;
		if (pthread_create(&t, NULL, fn_waker, NULL))
			tap_bail("no thread");
		rounds();
		pthread_join(t, NULL);
		tap_ok(true, "%s (%d times)", kind->name, ROUNDS);
	}
	tap_is(tl_sched_end(), 0, "nothing is left");
	return tap_exit();
}
