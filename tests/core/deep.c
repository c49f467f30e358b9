/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Large numbers: a hundred thousand tasklets in a chain of spawn_run(), in a daisy chain of channels, in a random tree;
 * runs nested ten thousand deep; as many deferred handlers and hidden errors. What is walked or freed one by one must
 * not recurse, counts must be right at the end, and each stack must be its tasklet's own at any depth.
 *
 * Sanitizers and valgrind get smaller numbers, for each tasklet costs them much more.
 */
#include <tasklet/tasklet.h>

#include "check.h"

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

static long many;

static struct tl_task_attr small = { .size = sizeof(small), .stack_size = 16384 };

/* --- a chain ------------------------------------------------------------------------------------------------------ */

static long deepest;

static int fn_chain(void *arg)
{
	long depth = (long)arg, mark = depth * 31;
	volatile long *here = &mark;

	if (depth > deepest)
		deepest = depth;
	if (depth < many && tl_spawn_run(NULL, fn_chain, (void *)(depth + 1)))
		return -EIO;
	return *here == depth * 31 ? 0 : -EFAULT;
}

static void test_chain(void)
{
	tap_is(tl_spawn_run(NULL, fn_chain, (void *)1L), 0, "6.3: a chain of spawn_run(), each inside the one before");
	tap_is(deepest, many, "6.3: is %ld deep", many);
	all_gone("chain");
	tap_ok(stats().stacks_cached <= 8192, "sched.h: it does not leave all its stacks behind");
	tl_trim();
}

/* --- a daisy chain ------------------------------------------------------------------------------------------------ */

struct link {
	struct tl_chan *from, *to;
};

static int fn_link(void *arg)
{
	struct link *l = arg;
	long v;

	if (tl_chan_recv(l->from, &v))
		return -EIO;
	v++;
	return tl_chan_send(l->to, &v);
}

static void test_daisy(void)
{
	struct link *l = calloc((size_t)many, sizeof(*l));
	struct tl_chan *first, *c;
	bool ok = true;
	long i, v = 0;

	if (!l || tl_chan_new(&first, sizeof(long), 0))
		tap_bail("no memory");
	c = first;
	for (i = 0; i < many; i++) {
		l[i].to = c;
		ok &= !tl_chan_new(&c, sizeof(long), 0);
		l[i].from = c;
		ok &= !tl_spawn_attr(NULL, &small, fn_link, &l[i]);
	}
	tap_ok(ok, "2: %ld tasklets, each between two channels", many);
	tl_schedule();
	tap_is((long long)stats().blocked, many, "2: all of them wait");
	tap_is(tl_chan_send(c, &v), 0, "2: a value goes in at one end");
	tap_ok(!tl_chan_recv(first, &v) && v == many, "2: and comes out at the other, after %ld steps", many);
	tl_run();
	tl_chan_unref(first);
	for (i = 0; i < many; i++)
		tl_chan_unref(l[i].from);
	free(l);
	all_gone("daisy chain");
}

/* --- a random tree ------------------------------------------------------------------------------------------------ */

struct node {
	uint64_t rnd;
	long size;		/* of the subtree, itself included */
	struct tl_chan *done;	/* gets the size when all of it has ended */
};

static long nodes, wrong;

/* A few frames, so that each tasklet blocks at another depth, and looks at them when it is back. */
static __attribute__((noinline)) int give_way(int depth, uint64_t *rnd)
{
	volatile long frame[8];
	int i, r;

	for (i = 0; i < 8; i++)
		frame[i] = depth * 8 + i;
	if (depth)
		r = give_way(depth - 1, rnd);
	else
		r = tap_random(rnd) % 4 ? tl_schedule() : tl_sleep_until(0);
	for (i = 0; i < 8; i++)
		wrong += frame[i] != depth * 8 + i;
	return r;
}

static int fn_node(void *arg)
{
	struct node me = *(struct node *)arg;	/* the parent's is gone when it goes on */
	long left = me.size - 1, sum = 1, v, kids = 0;
	struct tl_chan *done;

	nodes++;
	if (tl_chan_new(&done, sizeof(long), tap_random(&me.rnd) % 3))
		return -ENOMEM;
	while (left) {
		struct node kid = { .rnd = tap_random(&me.rnd), .done = done };

		kid.size = left < 3 ? left : 1 + (long)(tap_random(&me.rnd) % (uint64_t)left);
		left -= kid.size;
		kids++;
		/* Started at once: it copies what it is told before it does anything else. */
		if (tl_spawn_run(NULL, fn_node, &kid))
			return -ENOMEM;
		if (tap_random(&me.rnd) % 4 == 0)
			give_way((int)(tap_random(&me.rnd) % 20), &me.rnd);
	}
	while (kids--) {
		if (tl_chan_recv(done, &v))
			return -EIO;
		sum += v;
	}
	tl_chan_unref(done);
	wrong += sum != me.size;
	return tl_chan_send(me.done, &sum);
}

static void test_tree(void)
{
	struct node root = { .rnd = tap_seed(), .size = many };
	long sum = 0;

	if (tl_chan_new(&root.done, sizeof(long), 0))
		tap_bail("no channel");
	tap_is(tl_spawn_run(NULL, fn_node, &root), 0, "3.2: a random tree of %ld tasklets", many);
	tap_is(tl_chan_recv(root.done, &sum), 0, "3.2: reports its size");
	tap_ok(sum == many && nodes == many && !wrong, "3.2: all have run, no stack was disturbed");
	tl_run();
	tl_chan_unref(root.done);
	all_gone("tree");
	tl_trim();
}

/* --- nested runs -------------------------------------------------------------------------------------------------- */

static long inner, outer;

static int fn_nested(void *arg)
{
	long depth = (long)arg;
	int r = 0;

	inner++;
	if (depth) {
		tl_spawn_attr(NULL, &small, fn_nested, (void *)(depth - 1));
		r = tl_run();
	}
	outer += !r;
	return 0;
}

static void test_nested(void)
{
	long depth = many / 10;
	struct tl_task *t;

	tl_spawn_attr(NULL, &small, fn_nested, (void *)depth);
	tap_is(tl_run(), 0, "3.3: runs nested %ld deep", depth);
	tap_ok(inner == depth + 1 && outer == depth + 1, "3.3: each comes back");

	/* The outermost is woken first: all inner ones become runnable, at one go. */
	inner = outer = 0;
	tl_spawn_attr(&t, &small, fn_nested, (void *)depth);
	while (tl_runcount() > 1)
		tl_schedule();
	tap_ok(inner == depth + 1 && outer == 1 && tl_task_is_paused(t), "3.3: the same once more");
	tl_task_insert(t);
	/* Main's run() is one of the inner ones: it comes back at once. */
	tap_is(tl_run(), 0, "3.3: the outermost one is woken from outside");
	tap_is(tl_runcount(), depth, "3.3: and makes all inner ones runnable");
	tl_run();
	tap_is(outer, depth + 1, "3.3: each comes back");
	tl_task_unref(t);
	all_gone("nested");
}

/* --- handlers and errors ------------------------------------------------------------------------------------------ */

static long next_handler, order_wrong;

static void handler(void *arg)
{
	order_wrong += (long)arg != --next_handler;
}

static int fn_defers(UNUSED void *arg)
{
	long i;

	for (i = 0; i < many; i++)
		if (tl_defer(handler, (void *)i))
			return -ENOMEM;
	next_handler = many;
	return 0;
}

static int freed;

static int fn_errors(void *arg)
{
	long v, i;

	for (i = 0; i < many; i++)
		if (tl_chan_recv(arg, &v) != -EIO)
			return -EFAULT;
	return 0;
}

static void test_lists(void)
{
	struct tl_chan *c;
	long i;

	go("D", fn_defers, NULL);
	tap_is(tl_run(), 0, "1.6: %ld deferred handlers", many);
	tap_ok(!next_handler && !order_wrong, "1.6: run last in, first out");

	tl_chan_new(&c, sizeof(long), 0);
	go("E", fn_errors, c);
	for (i = 0; i < many; i++)
		tl_chan_send_error(c, mk_counted(EIO, "one of many", &freed));
	tap_is(tl_run(), 0, "error.h: %ld errors received and never caught", many);
	tap_is(freed, many, "error.h: are all freed");
	tl_chan_unref(c);
	all_gone("lists");
}

/* --- killing many ------------------------------------------------------------------------------------------------- */

static long killed;

static int fn_wait(void *arg)
{
	long v;

	killed += tl_chan_recv(arg, &v) == -ECANCELED;
	return 0;
}

static void test_end(void)
{
	struct tl_chan *c;
	long i;

	tl_chan_new(&c, sizeof(long), 0);
	for (i = 0; i < many; i++)
		tl_spawn_attr(NULL, &small, fn_wait, c);
	tl_schedule();
	tap_is(tl_chan_balance(c), -many, "2: %ld wait in one channel's queue", many);
	tap_is(tl_sched_end(), 0, "1.6: and the end kills them");
	tap_is(killed, many, "1.6: all");
	tl_chan_unref(c);
}

int main(void)
{
	many = CHECK_ASAN || CHECK_TSAN ? 5000 : RUNNING_ON_VALGRIND ? 2000 : 100000;
	/* The sanitizers' frames do not fit the smallest stacks; thread ones' fibers are few. */
	if (CHECK_ASAN || CHECK_TSAN)
		small.stack_size = 0;
	tap_plan(28);
	test_chain();
	test_daisy();
	test_tree();
	test_nested();
	test_lists();
	test_end();
	return tap_exit();
}
