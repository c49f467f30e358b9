/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Storms: tasklets of several threads lock, wait, release and are killed and timed out at random (TL_SEED). What must
 * come out (section 6.2, section 9: tokens lost on kill and timeout): nobody is ever inside with another, every token is
 * there, each notification that was counted ended one wait and no other wait ended so, and all objects are as new.
 */
#include <pthread.h>
#include <sched.h>

#include "../core/check.h"
#include "core/task.h"

#if CHECK_TSAN || CHECK_ASAN || defined(__aarch64__)
#define OPS 150
#else
#define OPS 1500
#endif
#define THREADS 3
#define TASKS 6
#define TOKENS 2

static struct tl_mutex m = TL_MUTEX_INIT;
static struct tl_rlock rl = TL_RLOCK_INIT;
static struct tl_rwlock rw = TL_RWLOCK_INIT;
static struct tl_sem sem = TL_SEM_BOUNDED_INIT(TOKENS);
static struct tl_cond c = TL_COND_INIT, rc = TL_COND_INIT, nc = TL_COND_INIT;
static struct tl_event e = TL_EVENT_INIT;
static struct tl_barrier b = TL_BARRIER_INIT(3);

static _Atomic long in_m, in_rl, readers, writers, in_sem, wrong;
static _Atomic long notified, woken, kills, timeouts, done_ops, deaths;
static _Atomic int busy;	/* threads whose tasklets are not done */

struct worker {
	struct tl_task *task;
	uint64_t rnd;
};

static void check(bool ok)
{
	if (!ok)
		wrong++;
}

static uint64_t deadline(struct worker *w)
{
	switch (tap_random(&w->rnd) % 4) {
	case 0:
		return 1;
	case 1:
		return tl_after(tap_random(&w->rnd) % 200000);
	default:
		return TL_FOREVER;
	}
}

/* Whether the call has succeeded. */
static bool got(int r)
{
	timeouts += r == -ETIMEDOUT;
	check(r == 0 || r == -ETIMEDOUT || r == -ECANCELED || r == -EPIPE);
	return r == 0;
}

static void pause_inside(struct worker *w)
{
	if (tap_random(&w->rnd) % 4 == 0)
		tl_schedule();
}

static void op_mutex(struct worker *w)
{
	if (!got(tl_mutex_lock_until(&m, deadline(w))))
		return;
	check(++in_m == 1);
	pause_inside(w);
	check(--in_m == 0);
	check(tl_mutex_unlock(&m) == 0);
}

static void op_rlock(struct worker *w)
{
	if (!got(tl_rlock_lock_until(&rl, deadline(w))))
		return;
	check(++in_rl == 1);
	pause_inside(w);
	if (tl_rlock_lock(&rl) == 0) {	/* not if it was killed */
		check(tl_rlock_depth(&rl) == 2);
		check(tl_rlock_unlock(&rl) == 0);
	}
	check(--in_rl == 0);
	check(tl_rlock_unlock(&rl) == 0);
}

static void op_read(struct worker *w)
{
	if (!got(tl_rwlock_rdlock_until(&rw, deadline(w))))
		return;
	readers++;
	check(!writers);
	pause_inside(w);
	check(!writers);
	readers--;
	check(tl_rwlock_rdunlock(&rw) == 0);
}

static void op_write(struct worker *w)
{
	if (!got(tl_rwlock_wrlock_until(&rw, deadline(w))))
		return;
	check(++writers == 1 && !readers);
	pause_inside(w);
	check(!readers && --writers == 0);
	check(tl_rwlock_wrunlock(&rw) == 0);
}

static void op_sem(struct worker *w)
{
	if (!got(tl_sem_acquire_until(&sem, deadline(w))))
		return;
	check(++in_sem <= TOKENS);
	pause_inside(w);
	in_sem--;
	check(tl_sem_release(&sem, 1) == 0);
}

static void op_cond(struct worker *w)
{
	if (!got(tl_mutex_lock_until(&m, deadline(w))))
		return;
	check(++in_m == 1);
	in_m--;
	woken += got(tl_cond_wait_until(&c, &m, deadline(w)));
	check(++in_m == 1 && tl_mutex_is_owned(&m));
	in_m--;
	check(tl_mutex_unlock(&m) == 0);
}

static void op_rcond(struct worker *w)
{
	if (!got(tl_rlock_lock_until(&rl, deadline(w))))
		return;
	woken += got(tl_cond_rwait_until(&rc, &rl, deadline(w)));
	check(++in_rl == 1 && tl_rlock_depth(&rl) == 1);
	in_rl--;
	check(tl_rlock_unlock(&rl) == 0);
}

static void notify(struct worker *w)
{
	uint32_t n = (uint32_t)(tap_random(&w->rnd) % 3);

	notified += tl_cond_notify(&c, n);
	notified += tl_cond_notify(&rc, n);
	notified += tl_cond_notify(&nc, n);
}

static void op_event(struct worker *w)
{
	if (tap_random(&w->rnd) % 2)
		got(tl_event_wait_until(&e, deadline(w)));
	else
		tl_event_set(&e);
	tl_event_clear(&e);
}

static void op_barrier(struct worker *w)
{
	int r = tl_barrier_wait_until(&b, tl_after(tap_random(&w->rnd) % 200000));

	check(r < 3);
	if (!got(r < 0 ? r : 0))
		tl_barrier_reset(&b);
}

static int fn_work(void *arg)
{
	struct worker *w = arg;
	int i;

	for (i = 0; i < OPS; i++) {
		switch (tap_random(&w->rnd) % 12) {
		case 0: case 1: op_mutex(w); break;
		case 2: op_rlock(w); break;
		case 3: case 4: op_read(w); break;
		case 5: op_write(w); break;
		case 6: op_sem(w); break;
		case 7: op_cond(w); break;
		case 8: op_rcond(w); break;
		case 9: woken += got(tl_cond_wait_until(&nc, NULL, deadline(w))); break;
		case 10: op_event(w); break;
		case 11: op_barrier(w); break;
		}
		notify(w);
		done_ops++;
		if (tl_schedule() && caught() == ECANCELED) {
			kills++;
			if (tap_random(&w->rnd) % 256 == 0) {
				deaths++;
				break;
			}
		}
	}
	return 0;
}

static void *storm(void *arg)
{
	struct worker w[TASKS + 1];
	uint64_t *rnd = &w[TASKS].rnd;
	int i, left = TASKS;

	memset(w, 0, sizeof(w));
	for (i = 0; i <= TASKS; i++)
		w[i].rnd = tap_seed() + (uint64_t)(long)arg * 100 + (uint64_t)i;
	for (i = 0; i < TASKS; i++)
		w[i].task = mk("W", fn_work, &w[i]);
	/* Goes on until all are done everywhere: others wait for our notifications. */
	while (busy) {
		if (left) {
			i = (int)(tap_random(rnd) % TASKS);
			if (tl_task_is_alive(w[i].task) && tap_random(rnd) % 4 == 0)
				tl_task_kill_later(w[i].task);
			for (left = i = 0; i < TASKS; i++)
				left += tl_task_is_alive(w[i].task);
			if (!left)
				busy--;
		}
		notify(&w[TASKS]);
		tl_event_set(&e);
		if (tl_schedule())
			tap_bail("main was thrown at");
		if (tap_random(rnd) % 8 == 0)
			tl_sleep(1000);
	}
	for (i = 0; i < TASKS; i++) {
		check(!tl_task_is_blocked(w[i].task));
		tl_task_unref(w[i].task);
	}
	tl_schedule();
	if (tl_sched_end())
		tap_bail("tl_sched_end");
	return NULL;
}

int main(void)
{
	pthread_t t[THREADS];
	long i;

	tap_plan(9);
	tap_seed();
	busy = THREADS;
	for (i = 0; i < THREADS; i++)
		if (pthread_create(&t[i], NULL, storm, (void *)i))
			tap_bail("no thread");
	for (i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	tap_diag("%ld operations, %ld kills, %ld timeouts, %ld notifications, %ld deaths", (long)done_ops, (long)kills,
		 (long)timeouts, (long)notified, (long)deaths);
	tap_is(wrong, 0, "9: never two inside, never a wrong result, never a lock that is not held");
	tap_is(notified, woken, "6.2: each notification ended one wait");
	tap_ok(sem.tl__word == (uint64_t)TOKENS << 32 && !sem.tl__queue, "9: (pymongo 471) all tokens are there");
	tap_ok(!m.tl__word && !m.tl__queue && !m.tl__owner, "9: the mutex is as new");
	tap_ok(!rl.tl__mutex.tl__word && !rl.tl__mutex.tl__queue, "9: the rlock");
	tap_ok(!rw.tl__mutex.tl__word && !rw.tl__mutex.tl__queue && !rw.tl__writers, "9: the rwlock");
	tap_ok(!c.tl__queue && !rc.tl__queue && !nc.tl__queue && !c.tl__waiters && !rc.tl__waiters && !nc.tl__waiters,
	       "6.2: the conditions count nobody");
	tap_ok(!e.tl__queue && e.tl__word <= 1, "9: the event");
	tap_ok(!b.tl__queue && !b.tl__outside && !b.tl__count, "9: the barrier");
	return tap_exit();
}
