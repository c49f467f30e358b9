/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A scheduler for each thread, its end, and the end of its thread (sections 3.1, 3.6 and 1.6): tl_sched_end() kills all
 * tasklets and counts those that can't be killed; a thread that simply ends does the same; the calls that make no sense
 * for another thread's tasklets are refused with -EXDEV; schedulers of several threads do not touch each other. What
 * threads do to each other's tasklets is in tests/threads.
 */
#include <pthread.h>

#include <tasklet/tasklet.h>

#include "check.h"

static struct tl_chan *chan;

static void defer_say(void *arg)
{
	say("%s", (const char *)arg);
}

static int fn_recv(void *arg)
{
	long v;

	if (arg)
		tl_defer(defer_say, arg);
	tl_chan_recv(chan, &v);
	return 0;
}

static int fn_pause(void *arg)
{
	tl_defer(defer_say, arg);
	tl_schedule_remove();
	return 0;
}

static int fn_loop(void *arg)
{
	tl_defer(defer_say, arg);
	while (!tl_schedule())
		;
	return 0;
}

static int fn_sleep(void *arg)
{
	tl_defer(defer_say, arg);
	tl_sleep(3600ull * 1000000000);
	return 0;
}

static int fn_run(void *arg)
{
	tl_defer(defer_say, arg);
	tl_run();
	return 0;
}

static void in_thread(void *(*fn)(void *), void *arg)
{
	pthread_t t;

	if (pthread_create(&t, NULL, fn, arg))
		tap_bail("no thread");
	pthread_join(t, NULL);
}

/* --- tl_sched_end() ----------------------------------------------------------------------------------------------- */

static void new_chan(void)
{
	if (tl_chan_new(&chan, sizeof(long), 0))
		tap_bail("no channel");
}

static void test_end(void)
{
	uint64_t id = tl_task_id(tl_main());
	struct tl_task *p, *dead;

	new_chan();
	go("A", fn_recv, "recv");
	p = mk("P", fn_pause, "pause");
	go("L", fn_loop, "loop");
	go("S", fn_sleep, "sleep");
	tl_schedule();
	go("N", fn_recv, "never");
	tap_is(tl_sched_end(), 0, "3.6: the end of a scheduler with tasklets in all states");
	tap_str(said(), "loop recv pause sleep",
		"1.6: each was killed and ran its handlers, but for one that had not begun");
	tap_ok(!tl_task_is_alive(p), "1.6: a handle is still good");
	tap_is(tl_task_insert(p), -ESRCH, "3.6: its tasklet is nobody's now");
	tap_ok(tl_task_kill(p) == 0 && tl_task_run(p) == -ESRCH, "3.6: killing it is done already");
	tl_task_unref(p);
	tap_ok(tl_task_id(tl_main()) != id && stats().alive == 1 && tl_runcount() == 1 && !stats().stacks,
	       "3.1: the next call makes a new scheduler, with a new main tasklet");
	tap_is(tl_sched_end(), 0, "3.6: which ends too");
	tap_is(tl_sched_end(), 0, "3.6: without a scheduler there is nothing to end");
	tl_chan_unref(chan);

	/* A dead one that has a handle, and one that has none, on stacks of several slabs. */
	dead = mk_paused("D", fn_nop, NULL);
	tl_task_run(dead);
	tap_is(tl_sched_end(), 0, "3.6: the end with a handle of a dead one");
	tap_ok(!tl_task_is_alive(dead) && !strcmp(tl_task_name(dead), "D") && !tl_task_is_current(dead),
	       "3.6: which can still be asked");
	tl_task_unref(dead);
}

static int fn_end(UNUSED void *arg)
{
	say("%d", tl_sched_end());
	return 0;
}

static struct tl_task *resting;

static int fn_run_end(UNUSED void *arg)
{
	say("r%d", tl_run());
	return 0;
}

static void test_not_main(void)
{
	new_chan();
	go("A", fn_end, NULL);
	tl_schedule();
	tap_str(said(), "-22", "sched.h: only the main tasklet can end the scheduler");
	/* Main runs inside another tasklet's run(), which is killed like all others. */
	go("R", fn_run_end, NULL);
	go("A", fn_recv, "recv");
	tl_schedule();
	tap_is(tl_sched_end(), 0, "sched.h: main ends it although another tasklet is in run()");
	tap_str(said(), "r-125 recv", "sched.h: that run() is killed as well");
	tl_chan_unref(chan);
}

/* Swallows each kill. */
static bool give_up;

static int fn_immortal(UNUSED void *arg)
{
	while (!give_up) {
		tl_schedule_remove();
		caught();
	}
	return 0;
}

/* Dies of the nth kill only, starting another one each time. */
static int fn_hard(void *arg)
{
	long n = (long)arg;
	int v;

	while (n-- > 0) {
		tl_chan_recv(chan, &v);
		caught();
	}
	say("%s", me());
	return 0;
}

static int fn_heir(void *arg)
{
	long v, n = (long)arg;

	tl_chan_recv(chan, &v);
	if (n)
		go("H", fn_heir, (void *)(n - 1));
	say("h%ld", n);
	return 0;
}

static int fn_fails(UNUSED void *arg)
{
	tl_schedule_remove();
	return -EIO;
}

static void test_survivors(void)
{
	struct tl_task *a, *b;

	new_chan();
	a = mk("A", fn_immortal, NULL);
	b = mk("B", fn_immortal, NULL);
	go("C", fn_recv, "recv");
	tl_schedule();
	tap_is(tl_sched_end(), 2, "sched.h: tasklets that swallow every kill are counted");
	tap_str(said(), "recv", "sched.h: the others are dead");
	tap_ok(tl_task_is_alive(a) && tl_task_is_paused(b) && stats().alive == 3,
	       "sched.h: they and the scheduler stay");
	give_up = true;
	tl_task_insert(a);
	tl_task_insert(b);
	tl_run();
	tap_ok(!tl_task_is_alive(a) && !tl_task_is_alive(b), "sched.h: and can go on and end");
	tl_task_unref(a);
	tl_task_unref(b);
	go("A", fn_hard, (void *)5L);
	tl_schedule();
	tap_is(tl_sched_end(), 0, "sched.h: there is more than one round of kills");
	tap_str(said(), "A", "sched.h: this one needed five");
	tl_chan_unref(chan);
	new_chan();	/* a channel is its scheduler's */
	go("H", fn_heir, (void *)3L);
	tl_schedule();
	tap_is(tl_sched_end(), 0, "sched.h: some start others when they are killed");
	tap_str(said(), "h3 h2 h1 h0", "sched.h: which die in the rounds that follow");
	tl_chan_unref(chan);
	new_chan();
	resting = mk("A", fn_fails, NULL);
	go("B", fn_recv, "recv");
	tl_schedule();
	tap_is(tl_sched_end(), 0, "sched.h: an error out of one of them does not stop the end");
	tap_str(said(), "recv", "sched.h: nor the others");
	tl_task_unref(resting);
	tl_chan_unref(chan);
}

/* Swallows each kill and goes on: must not keep the end from coming. */
static int fn_swallows(UNUSED void *arg)
{
	while (!give_up) {
		tl_schedule();
		caught();
	}
	return 0;
}

static int fn_survives_one(UNUSED void *arg)
{
	long v;

	tl_chan_recv(chan, &v);
	caught();
	while (!tl_schedule())
		;
	say("%s", me());
	return 0;
}

static void test_busy_survivors(void)
{
	new_chan();
	give_up = false;
	go("A", fn_swallows, NULL);
	go("B", fn_recv, "recv");
	go("C", fn_survives_one, NULL);
	tl_schedule();
	tap_is(tl_sched_end(), 1, "sched.h: one that swallows its kills and goes on does not keep the end");
	tap_str(said(), "recv C", "sched.h: nor the others, though one needs a second kill");
	give_up = true;
	tl_run();
	tap_is(tl_sched_end(), 0, "sched.h: when it has ended, so does the scheduler");
	tl_chan_unref(chan);
}

static void test_main_outlives(void)
{
	struct tl_task *m = tl_task_ref(tl_main());
	uint64_t id = tl_task_id(m);

	tl_task_set_name(m, "old");
	tap_is(tl_sched_end(), 0, "3.6: the end with a handle of the main tasklet");
	tap_ok(!tl_task_is_alive(m) && tl_task_is_main(m) && !tl_task_is_current(m) && tl_task_id(m) == id &&
	       tl_task_insert(m) == -ESRCH && tl_task_kill(m) == 0, "3.6: it is dead, and nobody's");
	tap_ok(tl_main() != m, "3.6: the new one is another");
	tl_task_unref(m);
}

static void test_end_state(void)
{
	int freed = 0;
	struct tl_task *t;

	/* Main has been killed, has errors waiting, and traps are set. */
	new_chan();
	t = mk("A", fn_recv, "recv");
	tl_schedule();
	tl_task_kill(tl_current());
	tl_switch_trap(3);
	tl_task_set_block_trap(tl_current(), true);
	tap_is(tl_sched_end(), 0, "sched.h: neither traps nor a kill of main prevent the end");
	tap_str(said(), "recv", "sched.h: the others are dead");
	tl_task_unref(t);
	tap_is(tl_switch_trap(0), 0, "3.5: a new scheduler has no trap");
	tl_task_throw(tl_current(), mk_counted(EIO, "thrown", &freed));
	tap_is(tl_sched_end(), 0, "sched.h: nor does another error");
	tap_is(freed, 1, "sched.h: which is freed");
	tl_shield(true);
	tl_task_throw(tl_current(), mk_counted(EIO, "thrown", &freed));
	tap_is(tl_sched_end(), 0, "sched.h: nor a shielded one");
	tap_is(freed, 2, "sched.h: which is freed");
	tl_chan_unref(chan);
}

/* --- a thread that ends ------------------------------------------------------------------------------------------- */

static void defer_unref(UNUSED void *arg)
{
	tl_chan_unref(chan);
}

/* Has the channel's handle: only its own thread can give it up, and this is the last of it that runs. */
static int fn_recv_owner(void *arg)
{
	tl_defer(defer_unref, NULL);
	return fn_recv(arg);
}

static void *thread_leaves(UNUSED void *arg)
{
	new_chan();
	go("A", fn_recv_owner, "recv");
	go("P", fn_loop, "loop");
	go("S", fn_sleep, "sleep");
	tl_schedule();
	go("R", fn_run, "run");
	tl_schedule();
	go("N", fn_recv, "never");
	return NULL;
}

static void *thread_exits(UNUSED void *arg)
{
	thread_leaves(NULL);
	pthread_exit(NULL);
}

/* A destructor of thread-specific data that uses the library after it has ended. */
static void key_ends(UNUSED void *arg)
{
	new_chan();
	go("K", fn_recv_owner, "late");
	tl_schedule();
}

static void *thread_key(UNUSED void *arg)
{
	static pthread_key_t key;

	tl_schedule();
	if (pthread_key_create(&key, key_ends))
		tap_bail("no key");
	pthread_setspecific(key, &key);
	return NULL;
}

static void test_thread_end(void)
{
	in_thread(thread_leaves, NULL);
	tap_str(said(), "loop recv sleep run", "3.6: a thread that ends kills its tasklets, which run their handlers");
	in_thread(thread_exits, NULL);
	tap_str(said(), "loop recv sleep run", "3.6: pthread_exit() as well");
	in_thread(thread_key, NULL);
	tap_str(said(), "late", "3.6: and one whose own destructors begin anew");
}

/* --- each thread its own ------------------------------------------------------------------------------------------ */

#define THREADS 4
#define ROUNDS 2000

struct worker {
	pthread_t thread;
	struct tl_task *main;
	long sum;
	int runcount, r;
	bool main_is_current;
};

static int fn_sum(void *arg)
{
	void **a = arg;
	long v;

	while (tl_chan_next(a[0], &v) > 0)
		*(long *)a[1] += v;
	return 0;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	void *a[2];
	long i;

	w->runcount = tl_runcount();
	w->main = tl_main();
	w->main_is_current = tl_main() == tl_current();
	if (tl_chan_new((struct tl_chan **)&a[0], sizeof(long), 0))
		return NULL;
	a[1] = &w->sum;
	for (i = 0; i < 3; i++)
		tl_spawn(NULL, fn_sum, a);
	for (i = 1; i <= ROUNDS; i++)
		tl_chan_send(a[0], &i);
	tl_chan_close(a[0]);
	w->r = tl_run();
	tl_chan_unref(a[0]);
	return NULL;
}

static void test_threads(void)
{
	static struct worker w[THREADS];
	struct tl_task *here = tl_main();
	bool ok = true, own = true;
	int i;

	for (i = 0; i < THREADS; i++)
		if (pthread_create(&w[i].thread, NULL, work, &w[i]))
			tap_bail("no thread");
	for (i = 0; i < THREADS; i++)
		pthread_join(w[i].thread, NULL);
	for (i = 0; i < THREADS; i++) {
		ok &= w[i].sum == (long)ROUNDS * (ROUNDS + 1) / 2 && !w[i].r;
		own &= w[i].runcount == 1 && w[i].main_is_current && w[i].main != here;
	}
	tap_ok(own, "3.1: each of %d threads has a main tasklet of its own, and a run count of 1", THREADS);
	tap_ok(ok, "3.6: they run side by side and do not meet");
}

/* Numbers are unique over threads. */
static void *take_ids(void *arg)
{
	uint64_t *ids = arg;
	struct tl_task *t;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		tl_spawn(&t, fn_nop, NULL);
		ids[i] = tl_task_id(t);
		tl_task_unref(t);
		if (i % 100 == 99)
			tl_run();
	}
	return NULL;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void test_ids(void)
{
	static uint64_t ids[THREADS * ROUNDS];
	pthread_t t[THREADS];
	bool unique = true;
	int i;

	for (i = 0; i < THREADS; i++)
		if (pthread_create(&t[i], NULL, take_ids, ids + i * ROUNDS))
			tap_bail("no thread");
	for (i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	qsort(ids, THREADS * ROUNDS, sizeof(ids[0]), by_value);
	for (i = 0; i < THREADS * ROUNDS - 1; i++)
		unique &= ids[i] != ids[i + 1];
	tap_ok(unique && ids[0], "task.h: no two tasklets of the process have the same number");
}

/* --- -EXDEV ------------------------------------------------------------------------------------------------------- */

struct foreign {
	struct tl_task *runnable, *paused, *blocked, *dead, *main;
	int refused, calls;
};

static void refused(struct foreign *f, int r)
{
	f->calls++;
	f->refused += r == -EXDEV;
	if (r != -EXDEV)
		tap_diag("call %d gave %d", f->calls, r);
}

static void *touch_foreign(void *arg)
{
	struct foreign *f = arg;
	struct tl_task *t[] = { f->runnable, f->paused, f->blocked, f->dead, f->main };
	size_t i;

	for (i = 0; i < ARRAY_LEN(t); i++) {
		refused(f, tl_task_bind(t[i], fn_nop));
		refused(f, tl_task_bind_arg(t[i], fn_nop, NULL));
		refused(f, tl_task_unbind(t[i]));
		refused(f, tl_task_setup(t[i], NULL));
		if (t[i] != f->dead)	/* nothing to remove: 0 */
			refused(f, tl_task_remove(t[i]));
		refused(f, tl_task_switch(t[i]));
	}
	refused(f, tl_task_set_name(f->paused, "mine"));
	return NULL;
}

/* The same where the calling thread has no scheduler yet: it is not taken for the owner of what has none. */
static void *touch_first(void *arg)
{
	struct foreign *f = arg;

	refused(f, tl_task_remove(f->runnable));
	refused(f, tl_task_bind(f->dead, fn_nop));
	refused(f, tl_task_setup(f->dead, NULL));
	return NULL;
}

static void test_foreign(void)
{
	struct foreign f = { .main = tl_main() };
	struct picture before;

	new_chan();
	f.blocked = mk("B", fn_recv, NULL);
	f.paused = mk("P", fn_pause, "pause");
	f.dead = mk("D", fn_nop, NULL);
	tl_schedule();
	f.runnable = mk("R", fn_nop, NULL);
	before = picture();
	in_thread(touch_first, &f);
	tap_is(f.refused, f.calls,
	       "3.6: what is another thread's is refused with -EXDEV, on a thread without a scheduler");
	f.refused = f.calls = 0;
	in_thread(touch_foreign, &f);
	tap_is(f.refused, f.calls, "3.6: and by each of the %d calls on one with a scheduler", f.calls);
	tap_ok(same_picture(&before) && tl_chan_queue(chan) == f.blocked && tl_chan_balance(chan) == -1 &&
	       !tl_chan_is_closing(chan), "3.6: nothing has changed");
	tl_task_kill(f.blocked);
	tl_task_kill(f.paused);
	tl_task_unref(f.blocked);
	tl_task_unref(f.paused);
	tl_task_unref(f.dead);
	tl_task_unref(f.runnable);
	tl_chan_unref(chan);
	all_gone("foreign");
}

/* --- handles that outlive their thread ---------------------------------------------------------------------------- */

static void *leave_dead(void *arg)
{
	struct tl_task **t = arg;
	int i;

	for (i = 0; i < 40; i++) {
		t[i] = mk_paused("D", i % 2 ? fn_loop : fn_nop, "loop");
		tl_task_insert(t[i]);
	}
	tl_schedule();
	return NULL;
}

static void test_outlive(void)
{
	struct tl_task *t[40];
	bool ok = true;
	int i;

	in_thread(leave_dead, t);
	said();
	for (i = 0; i < 40; i++) {
		ok &= !tl_task_is_alive(t[i]) && !tl_task_is_scheduled(t[i]) && !tl_task_is_current(t[i]) &&
		      !strcmp(tl_task_name(t[i]), "D") && tl_task_kill(t[i]) == 0 && tl_task_insert(t[i]) == -ESRCH &&
		      tl_task_bind(t[i], fn_nop) == -EXDEV && tl_task_setup(t[i], NULL) == -EXDEV;
	}
	tap_ok(ok, "3.6: handles of tasklets whose thread has ended: dead, and nobody's");
	for (i = 0; i < 40; i++)
		tl_task_unref(t[(i * 7) % 40]);
	tap_ok(true, "3.6: given up in any order");
}

int main(void)
{
	tap_plan(49);
	test_end();
	test_not_main();
	test_survivors();
	test_busy_survivors();
	test_main_outlives();
	test_end_state();
	test_thread_end();
	test_threads();
	test_ids();
	test_foreign();
	test_outlive();
	tap_is(tl_sched_end(), 0, "sched.h: nothing is left");
	return tap_exit();
}
