/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Pools: how jobs and pools end. Cancelled, killed, closed with work queued, left without a handle, forked.
 */
#include "emulated.h"
#include "pool.h"

#include <sys/syscall.h>
#include <sys/wait.h>

static struct tl_chan *never;
static _Atomic int ran, dropped, cleaned, blocked;

static int fn_count(UNUSED void *arg)
{
	atomic_fetch_add(&ran, 1);
	return 0;
}

static void on_dropped(void *arg)
{
	atomic_fetch_add(&dropped, (int)(long)arg);
}

static const struct tl_pool_attr with_drop = { .size = sizeof(with_drop), .on_dropped = on_dropped };

static void clean(UNUSED void *arg)
{
	atomic_fetch_add(&cleaned, 1);
}

static int fn_blocks(UNUSED void *arg)
{
	long v;
	int r = tl_defer(clean, NULL);

	atomic_fetch_add(&blocked, 1);
	return r ? r : tl_chan_recv(never, &v);
}

static void reset(void)
{
	atomic_store(&ran, 0);
	atomic_store(&dropped, 0);
	atomic_store(&cleaned, 0);
	atomic_store(&blocked, 0);
}

static struct tl_future *put_dropped(struct tl_pool *pool, tl_task_fn *fn)
{
	struct tl_future *f;

	if (tl_pool_spawn_attr(pool, &f, &with_drop, fn, (void *)1L))
		tap_bail("no job");
	return f;
}

static void test_cancel(void)
{
	struct tl_pool *pool = new_pool(1, TL_POOL_ROUND_ROBIN, 0);
	_Atomic int go = 0;
	struct tl_future *b, *f;
	int i;

	reset();
	b = put(pool, fn_busy, &go);
	await(atomic_load(&busy) == 1);
	f = put_dropped(pool, fn_count);
	tap_is(tl_future_cancel(f), 0, "tl_future_cancel: of a job that waits");
	tap_is(dropped, 1, "... drops it at once");
	tap_is(result_of(f), -ECANCELED, "... and it is cancelled");
	tap_ok(stats_of(pool, 0).dropped == 1 && !stats_of(pool, 0).queued, "... which is counted");
	atomic_store(&go, 1);
	result_of(b);
	f = put_dropped(pool, fn_blocks);
	await(atomic_load(&blocked) == 1);
	tap_is(tl_future_cancel(f), 0, "tl_future_cancel: of one that has begun");
	tap_is(result_of(f), -ECANCELED, "... cancels the future");
	tap_is(tl_pool_wait(pool), 0, "... and the tasklet ends");
	tap_ok(cleaned == 1 && dropped == 1 && !ran, "... with its handlers run, and is not dropped");
	atomic_store(&dropped, 0);
	for (i = 0; i < 200; i++) {
		f = put_dropped(pool, fn_count);
		tl_future_cancel(f);
		tl_future_unref(f);
	}
	tl_pool_wait(pool);
	tap_is(dropped + ran, 200, "tl_future_cancel: at any moment, each runs or is dropped");
	tap_is(end_pool(pool), 0, "... the pool goes on and ends");
}

/* Cancelled by one that runs before it in the very round in which it begins: it is a tasklet without a step then. */
static struct tl_future *target;

static int fn_cancels(UNUSED void *arg)
{
	/* Until the job behind us is begun: our own thread does that when we let it run. */
	while (stats_of(tl_pool_current(), 0).running < 3)
		tl_schedule();
	return tl_future_cancel(target);
}

static int fn_turns(UNUSED void *arg)
{
	tl_schedule();
	tl_schedule();
	return 0;
}

static void test_cancel_unstarted(void)
{
	struct tl_pool *pool = new_pool(1, TL_POOL_ROUND_ROBIN, 0);
	_Atomic int go = 0;
	struct tl_future *b, *f[2];

	reset();
	b = put(pool, fn_busy, &go);
	await(atomic_load(&busy) == 1);
	f[0] = put(pool, fn_cancels, NULL);
	f[1] = put(pool, fn_turns, NULL);
	target = put_dropped(pool, fn_count);
	atomic_store(&go, 1);
	tap_is(result_of(f[0]), 0, "tl_future_cancel: of one that is a tasklet, but has not run");
	tap_is(result_of(target), -ECANCELED, "... cancels it");
	tl_pool_wait(pool);
	tap_ok(dropped == 1 && !ran, "... and it is dropped");
	result_of(b);
	result_of(f[1]);
	tap_is(end_pool(pool), 0, "... and the pool ends");
}

/* --- kill --------------------------------------------------------------------------------------------------------- */

static int fn_swallows(UNUSED void *arg)
{
	long v;

	atomic_fetch_add(&blocked, 1);
	while (tl_chan_recv(never, &v)) {
		tl_error_free(tl_catch());
		if (atomic_fetch_add(&ran, 1) == 1)
			return 0;
	}
	return -EIO;
}

static int fn_spawns_late(void *arg)
{
	long v;

	atomic_fetch_add(&blocked, 1);
	tl_chan_recv(never, &v);
	return tl_pool_spawn(arg, NULL, fn_count, NULL);
}

static void test_kill(void)
{
	struct tl_pool *pool = new_pool(2, TL_POOL_ROUND_ROBIN, 0);
	struct tl_future *f[4], *q[4], *b[2], *late;
	_Atomic int go = 0;
	int i, right = 0;

	reset();
	for (i = 0; i < 4; i++)
		f[i] = put_dropped(pool, fn_blocks);
	late = put(pool, fn_spawns_late, pool);
	await(atomic_load(&blocked) == 5);
	for (i = 0; i < 2; i++)
		b[i] = put_on(pool, i, fn_busy, &go);
	await(atomic_load(&busy) == 2);
	for (i = 0; i < 4; i++)
		q[i] = put_dropped(pool, fn_count);
	tap_is(tl_pool_kill(pool), 0, "tl_pool_kill");
	tap_is(dropped, 4, "tl_pool_kill: what was queued is dropped");
	tap_is(tl_pool_spawn(pool, NULL, fn_count, NULL), -EPIPE, "tl_pool_kill: nothing is taken any more");
	atomic_store(&go, 1);
	for (i = 0; i < 4; i++)
		right += (result_of(f[i]) == -ECANCELED) + (result_of(q[i]) == -ECANCELED);
	tap_is(right, 8, "tl_pool_kill: all are cancelled");
	tap_is(tl_pool_wait(pool), 0, "tl_pool_wait: until all have ended, and the threads too");
	tap_is(result_of(late), -EPIPE, "tl_pool_kill: not from its own threads either");
	tap_ok(cleaned == 4 && dropped == 4 && !ran, "tl_pool_kill: the handlers of those that had begun have run");
	for (i = 0; i < 2; i++)
		result_of(b[i]);
	tap_is(tl_pool_kill(pool), 0, "tl_pool_kill: of nothing");
	tl_pool_unref(pool);
}

static void test_kill_swallowed(void)
{
	struct tl_pool *pool = new_pool(1, TL_POOL_ROUND_ROBIN, 0);

	reset();
	tl_pool_spawn(pool, NULL, fn_swallows, NULL);
	await(atomic_load(&blocked) == 1);
	tl_pool_kill(pool);
	await(atomic_load(&ran) == 1 && tl_chan_balance(never) == -1);
	tap_is(tl_pool_wait_until(pool, AT_ONCE), -ETIMEDOUT, "tl_pool_kill: one that takes it goes on");
	tl_pool_kill(pool);
	tap_is(tl_pool_wait(pool), 0, "tl_pool_kill: once more");
	tap_is(ran, 2, "... kills it once more");
	tl_pool_unref(pool);
}

static int fn_kills(void *arg)
{
	int r = tl_pool_kill(arg);

	atomic_fetch_add(&ran, r == -ECANCELED);
	return r;
}

static void test_kill_inside(void)
{
	struct tl_pool *pool = new_pool(2, TL_POOL_ROUND_ROBIN, 0);

	reset();
	tl_pool_spawn(pool, NULL, fn_blocks, NULL);
	await(atomic_load(&blocked) == 1);
	tap_is(result_of(put(pool, fn_kills, pool)), -ECANCELED, "tl_pool_kill: by a job of the pool");
	tap_is(tl_pool_wait(pool), 0, "... ends it all");
	tap_ok(ran == 1 && cleaned == 1, "... itself last");
	tl_pool_unref(pool);
}

/* --- close -------------------------------------------------------------------------------------------------------- */

static int fn_again(void *arg)
{
	atomic_fetch_add(&ran, 1);
	return tl_pool_spawn(arg, NULL, fn_count, NULL);
}

static void test_close(void)
{
	struct tl_pool *pool = new_pool(2, TL_POOL_ROUND_ROBIN, 0);
	struct tl_future *b[2];
	_Atomic int go = 0;
	int i;

	reset();
	for (i = 0; i < 2; i++)
		b[i] = put_on(pool, i, fn_busy, &go);
	await(atomic_load(&busy) == 2);
	for (i = 0; i < 10; i++)
		tl_pool_spawn(pool, NULL, fn_again, pool);
	tap_is(tl_pool_close(pool), 0, "tl_pool_close: with work queued");
	tap_is(tl_pool_spawn(pool, NULL, fn_count, NULL), -EPIPE, "tl_pool_close: no more");
	tap_is(tl_pool_wait_until(pool, AT_ONCE), -ETIMEDOUT, "tl_pool_wait_until: there are some still");
	atomic_store(&go, 1);
	tap_is(tl_pool_wait(pool), 0, "tl_pool_wait: until all is done");
	tap_is(ran, 20, "tl_pool_close: what was queued is done, and what that has spawned");
	for (i = 0; i < 2; i++)
		result_of(b[i]);
	tap_is(tl_pool_close(pool), 0, "tl_pool_close: again");
	tl_pool_unref(pool);
}

static int fn_ordinary(UNUSED void *arg)
{
	int i;

	if (tl_defer(clean, NULL))
		return -ENOMEM;
	for (i = 0; i < 10; i++)
		tl_schedule();
	atomic_fetch_add(&ran, 1);
	return 0;
}

static int fn_leaves(UNUSED void *arg)
{
	if (tl_spawn(NULL, fn_ordinary, NULL) || tl_spawn(NULL, fn_blocks, NULL))
		return -ENOMEM;
	tl_schedule();
	return 0;
}

static void test_close_ordinary(void)
{
	struct tl_pool *pool = new_pool(1, TL_POOL_ROUND_ROBIN, 0);

	reset();
	result_of(put(pool, fn_leaves, NULL));
	tap_is(end_pool(pool), 0, "tl_pool_close: with tasklets that are no jobs");
	tap_ok(ran == 1 && cleaned == 2, "... which run as long as they can, and are killed then");
}

static void test_unref(void)
{
	struct tl_pool *pool = new_pool(2, TL_POOL_ROUND_ROBIN, 0);
	struct tl_future *b;
	_Atomic int go = 0;

	reset();
	b = put_on(pool, 0, fn_busy, &go);
	await(atomic_load(&busy) == 1);
	tl_pool_spawn_on(pool, 0, NULL, NULL, fn_count, NULL);
	tl_pool_spawn_on(pool, 1, NULL, NULL, fn_leaves, NULL);
	tl_pool_unref(tl_pool_ref(pool));
	tl_pool_unref(pool);
	tl_pool_unref(NULL);
	atomic_store(&go, 1);
	result_of(b);
	await(atomic_load(&ran) == 2 && atomic_load(&cleaned) == 2);
	tap_ok(true, "tl_pool_unref: the last one closes it, its jobs are done, and its threads end");
}

static int fn_unref(void *arg)
{
	struct tl_pool *pool = arg;

	await_step(1);
	tl_pool_unref(pool);
	atomic_fetch_add(&ran, 1);
	return tl_pool_current() == pool ? 0 : -EIO;
}

static int waited;

static int fn_wait_for(void *arg)
{
	waited = tl_pool_wait(arg);
	return 0;
}

static char thread_path[64];

/* Says how to see whether its thread is there. */
static int fn_named(void *arg)
{
	snprintf(thread_path, sizeof(thread_path), "/proc/self/task/%ld", syscall(SYS_gettid));
	return fn_busy(arg);
}

/* The pool is gone when its waiter is killed, who was woken but does not know yet: his thread has not looked. */
static void test_wait_outlives(void)
{
	struct tl_pool *pool = new_pool(1, TL_POOL_ROUND_ROBIN, 0);
	_Atomic int go = 0;
	struct tl_task *t;

	tl_future_unref(put(pool, fn_named, &go));
	await(atomic_load(&busy) == 1);
	t = spawn(fn_wait_for, pool);
	tl_schedule();
	tl_pool_unref(pool);
	waited = 1;
	atomic_store(&go, 1);
	await(access(thread_path, F_OK));
	tl_task_kill(t);
	tl_run();
	tap_is(waited, 0, "tl_pool_unref: the pool stays until those that wait for it are back");
	tl_task_unref(t);
}

static void test_unref_inside(void)
{
	struct tl_pool *pool = new_pool(2, TL_POOL_ROUND_ROBIN, 0);
	struct tl_future *f;

	reset();
	atomic_store(&step, 0);
	f = put(pool, fn_unref, tl_pool_ref(pool));
	tl_pool_unref(pool);
	reach(1);
	tap_is(result_of(f), 0, "tl_pool_unref: the last one may be given up by a job");
}

/* --- fork --------------------------------------------------------------------------------------------------------- */

static int child(struct tl_pool *pool, struct tl_future *f)
{
	struct tl_pool_stats s = { .size = sizeof(s) };
	struct tl_pool *own;
	bool right;

	right = tl_pool_spawn(pool, NULL, fn_count, NULL) == -ESRCH &&
		tl_pool_spawn_attr(pool, NULL, &with_drop, fn_count, NULL) == -ESRCH &&
		tl_pool_spawn_on(pool, 0, NULL, NULL, fn_count, NULL) == -ESRCH && tl_pool_wait(pool) == -ESRCH &&
		tl_pool_wait_until(pool, AT_ONCE) == -ESRCH && tl_pool_close(pool) == -ESRCH &&
		tl_pool_kill(pool) == -ESRCH && tl_pool_stats(pool, -1, &s) == -ESRCH && tl_pool_threads(pool) == 2;
	right = right && tl_future_cancel(f) == 0;
	tl_pool_unref(tl_pool_ref(pool));
	/* One of its own works. */
	own = new_pool(2, TL_POOL_ROUND_ROBIN, 0);
	right = right && result_of(put(own, fn_index, NULL)) >= 0 && end_pool(own) == 0;
	return !right;
}

static int fn_forks(void *arg)
{
	int status = -1;
	pid_t pid = fork();

	if (!pid)
		_exit(tl_pool_current() || tl_pool_index() != -1 || tl_pool_spawn(arg, NULL, fn_count, NULL) != -ESRCH);
	waitpid(pid, &status, 0);
	return status;
}

/* The child goes on as a tasklet of the one thread that it has, to its end. */
static UNUSED int fn_forks_and_returns(void *arg)
{
	int i, status = -1;
	pid_t pid;

	/* Either the thread's main tasklet is runnable then, or it waits for jobs. */
	for (i = 0; arg && i < 4; i++)
		tl_schedule();
	pid = fork();
	if (!pid) {
		tl_sleep(MS);
		return 0;
	}
	waitpid(pid, &status, 0);
	return status;
}

static void test_fork(void)
{
	struct tl_pool *pool = new_pool(2, TL_POOL_ROUND_ROBIN, 0);
	struct tl_future *f;
	int status = -1;
	pid_t pid;

	reset();
	f = put(pool, fn_blocks, NULL);
	await(atomic_load(&blocked) == 1);
	pid = fork();
	if (!pid)
		_exit(child(pool, f));
	waitpid(pid, &status, 0);
	tap_is(status, 0, "fork: the pool is the parent's: -ESRCH; a new one works");
	tap_is(tl_future_state(f), TL_FUTURE_RUNNING, "... and the parent's is as it was");
	tap_is(result_of(put(pool, fn_forks, pool)), 0, "fork in a job: likewise");
#if defined(__SANITIZE_ADDRESS__)
	tap_skip("what the other threads had counts as leaked there: ... whose child ends when its tasklets have");
	tap_skip("what the other threads had counts as leaked there: ... whose child ends when its tasklets have");
#else
	tap_is(result_of(put(pool, fn_forks_and_returns, NULL)), 0, "... whose child ends when its tasklets have");
	tap_is(result_of(put(pool, fn_forks_and_returns, pool)), 0, "... whose child ends when its tasklets have");
#endif
	tl_future_cancel(f);
	tl_future_unref(f);
	tap_is(end_pool(pool), 0, "... and the pool ends");
}

int main(void)
{
	bool forks = !no_threads_in_child();

	tap_plan(forks ? 46 : 40);
	never = new_chan(sizeof(long), 0);
	test_cancel();
	test_cancel_unstarted();
	test_kill();
	test_kill_swallowed();
	test_kill_inside();
	test_close();
	test_close_ordinary();
	test_unref();
	test_unref_inside();
	test_wait_outlives();
	if (forks)
		test_fork();
	tl_chan_unref(never);
	tap_is(tl_sched_end(), 0, "sched.h: nothing is left");
	return tap_exit();
}
