/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Pools: placement, stealing of jobs that have not begun and of no others, futures, errors, TL_THREADS.
 */
#include "pool.h"

#include <signal.h>

#define JOBS 12

static int fn_add(void *arg)
{
	return (int)(long)arg + 1;
}

static void test_basic(void)
{
	struct tl_pool *pool = new_pool(3, TL_POOL_ROUND_ROBIN, 0);
	struct tl_pool_stats s;
	struct tl_future *f[JOBS];
	long i, right = 0;

	tap_is(tl_pool_threads(pool), 3, "pool.h: as many threads as were asked for");
	for (i = 0; i < JOBS; i++)
		f[i] = put(pool, fn_add, (void *)i);
	for (i = 0; i < JOBS; i++)
		right += result_of(f[i]) == i + 1;
	tap_is(right, JOBS, "tl_pool_spawn: each job's future has what its function returned");
	tap_is(tl_pool_spawn(pool, NULL, fn_add, NULL), 0, "tl_pool_spawn: nobody need ask for it");
	tap_is(tl_pool_wait(pool), 0, "tl_pool_wait: until no job is left");
	s = stats_of(pool, -1);
	tap_ok(s.started == JOBS + 1 && s.ended == JOBS + 1 && !s.running && !s.queued && !s.dropped && !s.errors,
	       "tl_pool_stats: all have begun and ended");
	tap_is(tl_pool_wait(pool), 0, "tl_pool_wait: of none");
	tap_is(tl_pool_spawn(pool, NULL, NULL, NULL), -EINVAL, "tl_pool_spawn: no function");
	tap_is(tl_pool_spawn_on(pool, 3, NULL, NULL, fn_add, NULL), -EINVAL, "tl_pool_spawn_on: no such thread");
	tap_is(tl_pool_stats(pool, 3, &s), -EINVAL, "tl_pool_stats: no such thread");
	tap_ok(!tl_pool_current() && tl_pool_index() == -1, "tl_pool_current: NULL outside");
	tap_is(end_pool(pool), 0, "tl_pool_close: and its threads end");
}

/* --- placement ---------------------------------------------------------------------------------------------------- */

static void test_round_robin(void)
{
	struct tl_pool *pool = new_pool(3, TL_POOL_ROUND_ROBIN, TL_POOL_NO_STEAL);
	struct tl_future *f[JOBS];
	int i, count[3] = { 0 };

	for (i = 0; i < JOBS; i++)
		f[i] = put(pool, fn_index, NULL);
	for (i = 0; i < JOBS; i++)
		count[result_of(f[i])]++;
	tap_ok(count[0] == 4 && count[1] == 4 && count[2] == 4, "round robin: each thread in turn (%d, %d, %d)", count[0],
	       count[1], count[2]);
	tap_is(stats_of(pool, -1).stolen, 0, "TL_POOL_NO_STEAL: none was stolen");
	end_pool(pool);
}

static void test_least_loaded(void)
{
	struct tl_pool *pool = new_pool(3, TL_POOL_LEAST_LOADED, TL_POOL_NO_STEAL);
	struct tl_future *f[4], *b[3];
	_Atomic int go = 0;
	int i, count[3] = { 0 };

	/* Three on thread 0, one on 1, none on 2. */
	b[0] = put_on(pool, 0, fn_busy, &go);
	b[1] = put_on(pool, 0, fn_add, NULL);
	b[2] = put_on(pool, 1, fn_busy, &go);
	await(atomic_load(&busy) == 2);
	f[0] = put(pool, fn_busy, &go);
	await(atomic_load(&busy) == 3);
	tap_is(stats_of(pool, 2).running, 1, "least loaded: where nothing is");
	for (i = 1; i < 3; i++)
		f[i] = put(pool, fn_index, NULL);
	tap_ok(stats_of(pool, 1).queued == 1 && stats_of(pool, 2).queued == 1,
	       "least loaded: then evenly where least is");
	atomic_store(&go, 1);
	result_of(f[0]);
	for (i = 1; i < 3; i++)
		count[result_of(f[i])]++;
	tap_ok(!count[0] && count[1] == 1 && count[2] == 1, "least loaded: that is where they ran");
	for (i = 0; i < 3; i++)
		result_of(b[i]);
	end_pool(pool);
}

/* --- stealing ----------------------------------------------------------------------------------------------------- */

static void test_steal(void)
{
	struct tl_pool *pool = new_pool(2, TL_POOL_ROUND_ROBIN, 0);
	struct tl_future *b, *f[JOBS], *bound;
	_Atomic int go = 0;
	int i, there = 0;

	b = put_on(pool, 0, fn_busy, &go);
	await(atomic_load(&busy) == 1);
	bound = put_on(pool, 0, fn_index, NULL);
	for (i = 0; i < JOBS; i++)
		f[i] = put(pool, fn_index, NULL);
	for (i = 0; i < JOBS; i++)
		there += result_of(f[i]) == 1;
	tap_is(there, JOBS, "a thread that is busy has its jobs stolen, all of them");
	tap_is(stats_of(pool, 1).stolen, JOBS / 2, "... those that were its own");
	tap_is(tl_future_state(bound), TL_FUTURE_PENDING, "tl_pool_spawn_on: never stolen");
	tap_is(stats_of(pool, 0).queued, 1, "... it still waits");
	atomic_store(&go, 1);
	tap_is(result_of(bound), 0, "... and runs where it belongs");
	result_of(b);
	end_pool(pool);
}

/* The first job of a pool goes to thread 0: here it is busy, and the other must be called. */
static void test_idle_called(void)
{
	struct tl_pool *pool = new_pool(2, TL_POOL_ROUND_ROBIN, 0);
	_Atomic int go = 0;
	struct tl_future *b = put_on(pool, 0, fn_busy, &go);

	await(atomic_load(&busy) == 1);
	nap();		/* most likely asleep by now, but any moment will do */
	tap_is(result_of(put(pool, fn_index, NULL)), 1, "an idle thread is called when the one with the job is busy");
	atomic_store(&go, 1);
	result_of(b);
	end_pool(pool);
}

/* Busy, after the thread's main tasklet has seen that there is nothing for it to begin. */
static int fn_busy_later(void *arg)
{
	int i;

	for (i = 0; i < 4; i++)
		tl_schedule();
	return fn_busy(arg);
}

/* Neither thread is idle when the job comes, and the one that has it is told; then the other becomes idle. */
static void test_idle_looks(void)
{
	struct tl_pool *pool = new_pool(2, TL_POOL_ROUND_ROBIN, 0);
	_Atomic int go0 = 0, go1 = 0;
	struct tl_future *b0 = put_on(pool, 0, fn_busy_later, &go0), *b1 = put_on(pool, 1, fn_busy_later, &go1), *f;

	await(atomic_load(&busy) == 2);
	f = put(pool, fn_index, NULL);
	atomic_store(&go1, 1);
	tap_is(result_of(f), 1, "a thread that becomes idle looks for what others have");
	atomic_store(&go0, 1);
	result_of(b0);
	result_of(b1);
	end_pool(pool);
}

static _Atomic int order_next, order[JOBS];

static int fn_order(void *arg)
{
	order[(long)arg] = atomic_fetch_add(&order_next, 1);
	return 0;
}

static void test_steal_oldest(void)
{
	struct tl_pool *pool = new_pool(2, TL_POOL_ROUND_ROBIN, 0);
	_Atomic int go0 = 0, go1 = 0;
	struct tl_future *b0, *b1;
	int i, right = 0;

	b0 = put_on(pool, 0, fn_busy, &go0);
	b1 = put_on(pool, 1, fn_busy, &go1);
	await(atomic_load(&busy) == 2);
	atomic_store(&order_next, 0);
	for (i = 0; i < JOBS; i++)	/* the even ones to thread 0 */
		tl_future_unref(put(pool, fn_order, (void *)(long)i));
	atomic_store(&go1, 1);
	await(atomic_load(&order_next) == JOBS);
	for (i = 0; i < JOBS; i++)
		right += order[i] == (i % 2 ? i / 2 : JOBS / 2 + i / 2);
	tap_is(right, JOBS, "one's own first, then stolen ones, oldest first");
	atomic_store(&go0, 1);
	result_of(b0);
	result_of(b1);
	end_pool(pool);
}

static struct tl_chan *pipe_chan;

/* Blocks in the middle, with its thread's others busy: still there when it is back. */
static int fn_stays(UNUSED void *arg)
{
	pthread_t here = pthread_self();
	int index = tl_pool_index(), i;
	long v;

	for (i = 0; i < 5; i++) {
		if (tl_chan_recv(pipe_chan, &v))
			return -EIO;
		if (!pthread_equal(here, pthread_self()) || index != tl_pool_index())
			return 1;
	}
	return 0;
}

static void test_stays(void)
{
	struct tl_pool *pool = new_pool(3, TL_POOL_ROUND_ROBIN, 0);
	struct tl_future *f[JOBS];
	_Atomic int go = 0;
	struct tl_future *b;
	long moved = 0;
	int i;

	pipe_chan = new_chan(sizeof(long), 0);
	for (i = 0; i < JOBS; i++)
		f[i] = put(pool, fn_stays, NULL);
	await(tl_chan_balance(pipe_chan) == -JOBS);
	/* The other two are idle and may steal whatever can be stolen of the first's. */
	b = put_on(pool, 0, fn_busy, &go);
	await(atomic_load(&busy) == 1);
	for (i = 0; i < JOBS; i++)
		tl_chan_send(pipe_chan, &(long){ 0 });
	atomic_store(&go, 1);
	for (i = 0; i < 4 * JOBS; i++)
		tl_chan_send(pipe_chan, &(long){ 0 });
	for (i = 0; i < JOBS; i++)
		moved += result_of(f[i]);
	tap_is(moved, 0, "one that has begun stays on its thread, whoever is idle");
	result_of(b);
	tl_chan_unref(pipe_chan);
	end_pool(pool);
}

/* What still waits when this one takes its first step; and then it goes on for ever. */
static _Atomic int stop, waiting[4];

static int fn_turns(void *arg)
{
	waiting[(long)arg] = (int)stats_of(tl_pool_current(), 0).queued;
	while (!atomic_load(&stop))
		tl_schedule();
	return 0;
}

static void test_one_a_round(void)
{
	struct tl_pool *pool = new_pool(1, TL_POOL_ROUND_ROBIN, 0);
	struct tl_future *b, *f[4];
	_Atomic int go = 0;
	long i;

	b = put(pool, fn_busy, &go);
	await(atomic_load(&busy) == 1);
	for (i = 0; i < 4; i++)
		f[i] = put(pool, fn_turns, (void *)i);
	tap_ok(stats_of(pool, 0).running == 1 && stats_of(pool, 0).queued == 4,
	       "jobs that wait for a busy thread are no tasklets yet");
	atomic_store(&go, 1);
	await(stats_of(pool, 0).started == 5);
	atomic_store(&stop, 1);
	for (i = 0; i < 4; i++)
		result_of(f[i]);
	tap_ok(waiting[0] == 3 && waiting[1] == 2 && waiting[2] == 1 && !waiting[3],
	       "one begins a round, the others can be stolen as long (%d, %d, %d, %d)", waiting[0], waiting[1],
	       waiting[2], waiting[3]);
	result_of(b);
	end_pool(pool);
}

/* A thread that has tasklets of its own, which run on and on, still steals when its queue is empty. */
static void test_busy_steals(void)
{
	struct tl_pool *pool = new_pool(2, TL_POOL_ROUND_ROBIN, 0);
	struct tl_future *b, *turns;
	_Atomic int go = 0;

	atomic_store(&stop, 0);
	turns = put_on(pool, 1, fn_turns, NULL);
	b = put_on(pool, 0, fn_busy, &go);
	await(atomic_load(&busy) == 1 && stats_of(pool, 1).started == 1);
	tap_is(result_of(put(pool, fn_index, NULL)), 1, "a thread whose queue is empty steals, though it isn't idle");
	atomic_store(&stop, 1);
	atomic_store(&go, 1);
	result_of(turns);
	result_of(b);
	end_pool(pool);
}

/* --- inside ------------------------------------------------------------------------------------------------------- */

static int fn_child(UNUSED void *arg)
{
	return tl_pool_index();
}

static _Atomic int left;

static int fn_ordinary(void *arg)
{
	if (tl_pool_current() == arg)
		atomic_fetch_sub(&left, 1);
	return 0;
}

static int fn_inside(void *arg)
{
	struct tl_pool *pool = arg;
	struct tl_future *f;
	int r = 0;

	if (tl_pool_current() != pool)
		return -1;
	if (tl_pool_wait(pool) != -EDEADLK)
		return -2;
	if (tl_pool_spawn(pool, &f, fn_child, NULL))
		return -3;
	if (tl_spawn(NULL, fn_ordinary, pool))
		return -4;
	if (tl_future_wait(f))
		r = -5;
	tl_future_unref(f);
	return r;
}

static int fn_tree(void *arg)
{
	long depth = (long)arg;
	int i;

	atomic_fetch_add(&left, 1);
	for (i = 0; depth && i < 2; i++)
		if (tl_pool_spawn(tl_pool_current(), NULL, fn_tree, (void *)(depth - 1)))
			return -ENOMEM;
	return 0;
}

static void test_inside(void)
{
	struct tl_pool *pool = new_pool(2, TL_POOL_ROUND_ROBIN, 0);

	atomic_store(&left, 1);
	tap_is(result_of(put(pool, fn_inside, pool)), 0, "tl_pool_current: the pool; its jobs spawn, and can't wait for it");
	await(!atomic_load(&left));
	tap_ok(true, "tl_spawn: an ordinary tasklet of that thread");
	tl_pool_spawn(pool, NULL, fn_tree, (void *)6L);
	tap_is(tl_pool_wait(pool), 0, "tl_pool_wait: for what jobs have spawned too");
	tap_is(left, 127, "... all of it");
	end_pool(pool);
}

static int fn_named(void *arg)
{
	char name[16];
	sigset_t set;

	pthread_getname_np(pthread_self(), name, sizeof(name));
	pthread_sigmask(SIG_SETMASK, NULL, &set);
	if (strcmp(name, "tl-test-1") || !sigismember(&set, SIGTERM) || sigismember(&set, SIGSEGV))
		return 1;
	return strcmp(tl_task_name(tl_current()), "a job") || arg;
}

static void test_attr(void)
{
	struct tl_pool *pool = new_pool(2, TL_POOL_ROUND_ROBIN, TL_POOL_PIN);
	struct tl_task_attr task = { .size = sizeof(task), .stack_size = 32768, .name = "a job" };
	struct tl_pool_attr attr = { .size = sizeof(attr), .task = &task };
	struct tl_future *f;

	tap_is(tl_pool_spawn_on(pool, 1, &f, &attr, fn_named, NULL), 0, "tl_pool_spawn_on: with attributes");
	tap_is(result_of(f), 0, "the tasklet's name, the thread's, and the signals that it blocks");
	task.stack_size = 1;
	tap_is(tl_pool_spawn_attr(pool, NULL, &attr, fn_named, NULL), 0, "a small stack is made larger");
	tl_pool_wait(pool);
	task.flags = ~0ULL;
	tap_is(tl_pool_spawn_attr(pool, NULL, &attr, fn_named, NULL), -EINVAL, "tl_pool_spawn_attr: unknown flags");
	attr.size = 1;
	tap_is(tl_pool_spawn_attr(pool, NULL, &attr, fn_named, NULL), -EINVAL, "tl_pool_spawn_attr: a bad size");
	tap_is(stats_of(pool, -1).started, 2, "... and nothing came of them");
	end_pool(pool);
}

/* --- errors ------------------------------------------------------------------------------------------------------- */

static int fn_fails(UNUSED void *arg)
{
	return -EIO;
}

static bool handler(UNUSED struct tl_task *task, const struct tl_error *error, void *arg)
{
	atomic_fetch_add((_Atomic int *)arg, 1);
	return tl_error_code(error) == EIO;
}

static int fn_fails_beside(UNUSED void *arg)
{
	return tl_spawn(NULL, fn_fails, NULL);
}

static void test_errors(void)
{
	struct tl_pool *pool = new_pool(1, TL_POOL_ROUND_ROBIN, 0);
	struct tl_pool_options o = { .size = sizeof(o), .threads = 2, .error_fn = handler };
	_Atomic int seen = 0;
	struct tl_future *f = put(pool, fn_fails, NULL);

	tl_future_wait(f);
	tap_ok(tl_future_result(f, NULL) == -EIO && tl_future_error(f), "an uncaught error is the future's");
	tl_future_unref(f);
	tap_is(stats_of(pool, -1).errors, 0, "... and counts as taken");
	tap_diag("two uncaught errors are logged now:");
	tl_pool_spawn(pool, NULL, fn_fails, NULL);
	tap_is(tl_pool_wait(pool), 0, "without one it is logged, and all go on");
	tap_is(stats_of(pool, 0).errors, 1, "... and counted");
	tap_is(result_of(put(pool, fn_fails_beside, NULL)), 0, "a tasklet that is no job fails");
	await(stats_of(pool, 0).errors == 2);
	tap_is(result_of(put(pool, fn_add, NULL)), 1, "... which is logged, and all go on");
	end_pool(pool);

	o.error_arg = &seen;
	tap_is(tl_pool_new(&pool, &o), 0, "tl_pool_new: with an error handler");
	tl_pool_spawn(pool, NULL, fn_fails, NULL);
	tl_pool_wait(pool);
	tap_ok(seen == 1 && !stats_of(pool, -1).errors, "... which deals with it");
	end_pool(pool);
}

/* --- options ------------------------------------------------------------------------------------------------------ */

static int threads_with(const char *value)
{
	struct tl_pool *pool;
	int n;

	if (value)
		setenv("TL_THREADS", value, 1);
	else
		unsetenv("TL_THREADS");
	if (tl_pool_new(&pool, NULL))
		return -1;
	n = tl_pool_threads(pool);
	end_pool(pool);
	unsetenv("TL_THREADS");
	return n;
}

static int fn_fails_then(void *arg)
{
	await(atomic_load((_Atomic int *)arg));
	return -EBADF;
}

static void count_free(void *payload)
{
	++*(int *)payload;
}

/* The program has completed a job's future before the job fails. */
static void test_taken(void)
{
	struct tl_pool *pool = new_pool(1, TL_POOL_ROUND_ROBIN, 0);
	_Atomic int go = 0;
	struct tl_future *f = put(pool, fn_fails_then, &go);
	struct tl_error *e;
	int freed = 0;

	if (tl_error_new(&e, EDOM, "the program's"))
		tap_bail("no error");
	tl_error_set_payload(e, &freed, count_free);
	await(tl_future_state(f) == TL_FUTURE_RUNNING);
	tap_is(tl_future_set_error(f, e), 0, "tl_future_set_error: of a job that runs");
	atomic_store(&go, 1);
	tap_is(end_pool(pool), 0, "... which fails afterwards");
	tap_ok(tl_future_error(f) == e && tl_future_result(f, NULL) == -EDOM, "... is what its future came to");
	tl_future_unref(f);
	tap_is(freed, 1, "... and is freed with it, once");
}

static void test_options(void)
{
	static const char *const bad[] = { "", "0", "-1", "3x", " 3", "1025", "99999999999999999999" };
	struct tl_pool_options o = { .size = sizeof(o), .threads = 2 };
	struct tl_pool *pool = NULL;
	int wrong = 0, n = threads_with(NULL);
	struct { struct tl_pool_options o; char more; } larger = { .o = o, .more = 1 };
	cpu_set_t set;

	sched_getaffinity(0, sizeof(set), &set);
	tap_is(n, CPU_COUNT(&set), "as many threads as the process may use processors");
	tap_is(threads_with("3"), 3, "TL_THREADS");
	tap_diag("%zu messages about TL_THREADS follow:", ARRAY_LEN(bad));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		wrong += threads_with(bad[i]) != n;
	tap_is(wrong, 0, "TL_THREADS: bad values are ignored, with a message");
	setenv("TL_THREADS", "7", 1);
	tap_is(tl_pool_new(&pool, &o), 0, "an explicit number");
	tap_is(tl_pool_threads(pool), 2, "... counts more than TL_THREADS");
	unsetenv("TL_THREADS");
	end_pool(pool);
	tap_is(tl_pool_new(NULL, &o), -EINVAL, "tl_pool_new: no out");
	o.flags = 1 << 10;
	tap_is(tl_pool_new(&pool, &o), -EINVAL, "tl_pool_new: unknown flags");
	o.flags = 0;
	o.threads = TL_POOL_THREADS_MAX + 1;
	tap_is(tl_pool_new(&pool, &o), -EINVAL, "tl_pool_new: too many threads");
	o.threads = 2;
	o.placement = (enum tl_pool_placement)7;
	tap_is(tl_pool_new(&pool, &o), -EINVAL, "tl_pool_new: unknown placement");
	larger.o.size = sizeof(larger);
	memset((char *)&larger + sizeof(o), 1, sizeof(larger) - sizeof(o));
	tap_is(tl_pool_new(&pool, &larger.o), -E2BIG, "tl_pool_new: an option of a later version");
}

int main(void)
{
	tap_plan(61);
	test_basic();
	test_round_robin();
	test_least_loaded();
	test_steal();
	test_idle_called();
	test_idle_looks();
	test_steal_oldest();
	test_stays();
	test_one_a_round();
	test_busy_steals();
	test_inside();
	test_attr();
	test_errors();
	test_taken();
	test_options();
	tap_is(tl_sched_end(), 0, "sched.h: nothing is left");
	return tap_exit();
}
