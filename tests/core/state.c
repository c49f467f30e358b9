/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A tasklet's states and what may be asked of it: the table of section 1.1, making and binding with each of their
 * errors (1.2), handles (1.2 and task.h), and the attributes of 1.7 that this library has.
 */
#include <tasklet/tasklet.h>

#include "check.h"

static struct tl_chan *chan;

/* --- 1.1: the table of states ------------------------------------------------------------------------------------- */

/* alive, paused, blocked, scheduled, main, current as one word; '-' for false. */
static const char *predicates(const struct tl_task *t)
{
	static char ring_of_texts[4][8];
	static unsigned int next;
	char *text = ring_of_texts[next++ % 4];

	snprintf(text, 8, "%c%c%c%c%c%c", tl_task_is_alive(t) ? 'a' : '-', tl_task_is_paused(t) ? 'p' : '-',
		 tl_task_is_blocked(t) ? 'b' : '-', tl_task_is_scheduled(t) ? 's' : '-',
		 tl_task_is_main(t) ? 'm' : '-', tl_task_is_current(t) ? 'c' : '-');
	return text;
}

static int fn_look(void *arg)
{
	say("%s %s", predicates(tl_current()), predicates(tl_main()));
	if (arg)
		say("%s", predicates(arg));
	return 0;
}

static int fn_recv(UNUSED void *arg)
{
	long v;

	return tl_chan_recv(chan, &v) ? 0 : 0;
}

static int fn_send(UNUSED void *arg)
{
	long v = 1;

	tl_chan_send(chan, &v);
	return 0;
}

static int fn_select(UNUSED void *arg)
{
	long v;
	struct tl_select_case c[1] = { TL_CASE_RECV(chan, &v) };

	tl_select(c, 1);
	return 0;
}

static int fn_sleep(UNUSED void *arg)
{
	tl_sleep(3600ull * 1000000000);
	return 0;
}

static int fn_pause(UNUSED void *arg)
{
	int r = tl_schedule_remove();

	say("%s:%d", name_of(tl_current()), r);
	return 0;
}

static int fn_run(UNUSED void *arg)
{
	int r = tl_run();

	say("%s:%d", name_of(tl_current()), r);
	return 0;
}

/* Starts one that blocks in fn, looks at it, and kills it. */
static void blocked_in(const char *where, tl_task_fn *fn, int direction, bool on_channel)
{
	struct tl_task *t = mk("A", fn, NULL);

	tl_schedule();
	tap_str(predicates(t), "a-bs--", "1.1: one that waits in %s is alive, blocked and scheduled", where);
	tap_ok(tl_task_direction(t) == direction && tl_task_channel(t) == (on_channel ? chan : NULL),
	       "1.1: and the direction and the channel of %s are known", where);
	tl_task_kill(t);
	tap_str(predicates(t), "------", "1.1: killed in %s it is dead", where);
	tap_ok(!tl_task_direction(t) && !tl_task_channel(t) && !tl_chan_balance(chan),
	       "1.1: a dead one is on no channel");
	tl_task_unref(t);
}

static void test_table(void)
{
	struct tl_task *t, *u;

	tap_str(predicates(tl_main()), "a--smc", "1.1: main is alive, scheduled, main and current");
	tap_ok(tl_main() == tl_current(), "3.1: main is current on a thread that has just begun");
	tap_is(tl_runcount(), 1, "3.1: the run count of a fresh thread is 1");

	tl_task_new(&t, NULL);
	tap_str(predicates(t), "------", "1.1: an unbound one is nothing");
	tl_task_bind(t, fn_nop);
	tap_str(predicates(t), "------", "1.1: nor is a bound one");
	tl_task_bind_arg(t, NULL, NULL);
	tap_str(predicates(t), "ap----", "1.1: with an argument it is alive and paused");
	tl_task_insert(t);
	tap_str(predicates(t), "a--s--", "1.1: inserted it is runnable, that is alive and scheduled");
	tap_is(tl_runcount(), 2, "3.1: and counts");
	tl_task_remove(t);
	tap_str(predicates(t), "ap----", "1.1: removed it is paused again");
	tap_is(tl_runcount(), 1, "3.1: and does not count");
	tl_task_insert(t);
	tl_schedule();
	tap_str(predicates(t), "------", "1.1: when its function has ended it is dead");

	tl_task_bind_arg(t, fn_look, NULL);
	tl_task_run(t);
	tap_str(said(), "a--s-c a--sm-", "1.1: the running one is scheduled and current, main is scheduled only");
	tl_task_unref(t);

	blocked_in("recv", fn_recv, -1, true);
	blocked_in("send", fn_send, +1, true);
	blocked_in("select", fn_select, 0, false);
	blocked_in("sleep", fn_sleep, 0, false);

	t = mk("A", fn_pause, NULL);
	tl_schedule();
	tap_str(predicates(t), "ap----", "1.1: schedule_remove leaves it paused");
	tl_task_insert(t);
	tl_schedule();
	tap_str(said(), "A:0", "1.4: until it is inserted");
	tl_task_unref(t);

	/* Main in run(): paused, for it is in no list (3.3). */
	t = mk("A", fn_look, NULL);
	tl_run();
	tap_str(said(), "a--s-c ap--m-", "3.3: main in run() is alive and paused");
	tl_task_unref(t);
	t = mk("A", fn_run, NULL);
	u = mk("B", fn_look, t);
	tl_run();
	tap_str(said(), "a--s-c ap--m- ap---- A:0", "3.3: so is a tasklet in a nested run()");
	tl_task_unref(t);
	tl_task_unref(u);
	all_gone("states");
}

/* --- 1.2: making and binding -------------------------------------------------------------------------------------- */

static int fn_add(void *arg)
{
	say("%s", (const char *)arg);
	return 0;
}

static int fn_sub(void *arg)
{
	say("-%s", (const char *)arg);
	return 0;
}

static void test_new(void)
{
	struct tl_task_attr attr = { .size = sizeof(attr) };
	struct { struct tl_task_attr known; char later[64]; } future;
	struct picture before = picture();
	struct tl_task *t = NULL, *u = NULL;

	tap_is(tl_spawn(&t, NULL, NULL), -EINVAL, "1.2: spawn without a function is refused");
	tap_is(tl_spawn_attr(&t, &attr, NULL, NULL), -EINVAL, "1.2: spawn_attr too");
	tap_is(tl_spawn_run(&t, NULL, NULL), -EINVAL, "1.2: and spawn_run");
	attr.size = sizeof(attr) - 1;
	tap_is(tl_spawn_attr(&t, &attr, fn_nop, NULL), -EINVAL, "task.h: attributes of too small a size are refused");
	tap_is(tl_task_new(&t, &attr), -EINVAL, "task.h: by tl_task_new() as well");
	attr.size = sizeof(attr);
	attr.stack_size = ((size_t)1 << 30) + 1;
	tap_is(tl_spawn_attr(&t, &attr, fn_nop, NULL), -EINVAL, "task.h: a stack over 1 GiB is refused");
	attr.stack_size = SIZE_MAX;
	tap_is(tl_task_new(&t, &attr), -EINVAL, "task.h: and one of SIZE_MAX");
	memset(&future, 0, sizeof(future));
	future.known.size = sizeof(future);
	future.later[0] = 1;
	tap_is(tl_spawn_attr(&t, &future.known, fn_nop, NULL), -E2BIG, "task.h: so is an attribute that is not known");
	future.known.size = 4097;
	tap_is(tl_task_new(&t, &future.known), -EINVAL, "task.h: and a size beyond reason");
	tap_ok(!t, "task.h: *out is not written then");
	tap_is(tl_task_new(NULL, NULL), -EINVAL, "task.h: nor is a tasklet made without a place for its handle");
	tap_ok(same_picture(&before), "task.h: nothing has changed after all that");
	future.known.size = sizeof(future);
	future.later[0] = 0;
	tap_is(tl_task_new(&t, &future.known), 0, "task.h: attributes of a later version that are zero are fine");
	tl_task_unref(t);

	tap_is(tl_spawn(NULL, fn_add, "x"), 0, "1.2: a handle is not needed, the ring keeps it alive");
	t = mk("A", fn_add, "a");
	u = mk("B", fn_add, "b");
	tap_str(ring(), "M ? A B", "1.2, 3.2: a new one is linked at the end of the ring");
	tl_schedule();
	tap_str(said(), "x a b", "3.2: and they run first in, first out");
	tl_task_unref(t);
	tl_task_unref(u);
	all_gone("new");
}

static void test_bind(void)
{
	struct tl_task *t;

	tl_task_new(&t, NULL);
	tap_is(tl_task_setup(t, NULL), -EINVAL, "1.2: setup of an unbound one is refused");
	tap_is(tl_task_insert(t), -ESRCH, "1.3: insert too");
	tap_is(tl_task_run(t), -ESRCH, "1.4: and run");
	tap_is(tl_task_switch(t), -ESRCH, "1.4: and switch");
	tap_is(tl_task_bind(t, NULL), -EINVAL, "task.h: binding nothing is refused");
	tap_is(tl_task_bind_arg(t, NULL, NULL), -EINVAL, "1.2: an argument without a function ever bound is refused");
	tap_is(tl_task_unbind(t), 0, "1.2: unbinding an unbound one does no harm");

	tap_is(tl_task_bind(t, fn_add), 0, "1.2: bind");
	tap_is(tl_task_insert(t), -ESRCH, "1.3: a bound one has no argument yet and can't be inserted");
	tap_is(tl_task_bind_arg(t, NULL, "1"), 0, "1.2: with only an argument it keeps its function");
	tap_is(tl_task_setup(t, NULL), -EBUSY, "1.2: setup of a live one is refused");
	tap_is(tl_task_bind_arg(t, fn_sub, "2"), 0, "1.2: a paused one that has not begun can be bound again");
	tap_is((long long)stats().paused, 1, "1.2: and is still one paused tasklet");
	tap_is(tl_task_run(t), 0, "1.4: it can be run");
	tap_str(said(), "-2", "1.2: it has the last function and argument");
	tap_is(tl_task_setup(t, "3"), 0, "1.2: a dead one keeps its function and can be set up");
	tap_str(ring(), "M ?", "1.2: setup links it at the end");
	tl_schedule();
	tap_str(said(), "-3", "1.2: it has run a second time");

	tap_is(tl_task_bind_arg(t, fn_add, "4"), 0, "1.2: a dead one can be bound");
	tap_is(tl_task_unbind(t), 0, "1.2: unbind of a paused one");
	tap_ok(!tl_task_is_alive(t) && stats().alive == 1 && !stats().paused, "1.2: it is not alive any more");
	tap_is(tl_task_setup(t, NULL), -EINVAL, "1.2: and has no function any more");
	tap_is(tl_task_bind_arg(t, fn_add, "5") || tl_task_bind(t, fn_add), 0, "1.2: bind of a paused one");
	tap_ok(!tl_task_is_alive(t) && stats().alive == 1, "1.2: takes it back to bound");
	tl_task_unref(t);
	all_gone("bind");
}

/* All three give the same answer. */
static int bind_errors(struct tl_task *t)
{
	int a = tl_task_bind(t, fn_nop);
	int b = tl_task_bind_arg(t, fn_nop, NULL);
	int c = tl_task_unbind(t);

	return a == b && b == c ? a : -9999;
}

static int fn_bind_errors(UNUSED void *arg)
{
	say("%d %d", bind_errors(tl_current()), bind_errors(tl_main()));
	return 0;
}

static void test_bind_errors(void)
{
	struct picture before;
	struct tl_task *t;

	tap_is(bind_errors(tl_main()), -EINVAL, "1.2: the main tasklet can't be bound or unbound");
	tap_is(tl_task_setup(tl_main(), NULL), -EBUSY, "1.2: nor set up");
	t = mk("A", fn_bind_errors, NULL);
	before = picture();
	tap_is(bind_errors(t), -EBUSY, "1.2: nor a runnable one");
	tap_is(tl_task_setup(t, NULL), -EBUSY, "1.2: setup neither");
	tap_ok(same_picture(&before), "1.2: nothing has changed");
	tl_schedule();
	tap_str(said(), "-22 -22", "1.2: nor the current one, nor main from a tasklet");
	tl_task_unref(t);

	t = mk("A", fn_recv, NULL);
	tl_schedule();
	before = picture();
	tap_is(bind_errors(t), -EBUSY, "1.2: nor a blocked one");
	tap_is(tl_task_setup(t, NULL), -EBUSY, "1.2: setup neither");
	tap_ok(same_picture(&before) && tl_chan_queue(chan) == t, "1.2: it still waits");
	tl_task_kill(t);
	tl_task_unref(t);

	t = mk("A", fn_pause, NULL);
	tl_schedule();
	before = picture();
	tap_is(bind_errors(t), -EBUSY, "1.2: nor one that is paused in the middle of its function");
	tap_is(tl_task_setup(t, NULL), -EBUSY, "1.2: setup neither");
	tap_ok(same_picture(&before), "1.2: nothing has changed");
	tl_task_kill(t);
	tap_is(bind_errors(t), 0, "1.2: when it is dead it can be");
	tl_task_unref(t);
	all_gone("bind errors");
}

/* --- handles ------------------------------------------------------------------------------------------------------ */

static void defer_say(void *arg)
{
	say("%s", (const char *)arg);
}

static int fn_pause_defer(void *arg)
{
	tl_defer(defer_say, arg);
	say("%d", tl_schedule_remove());
	return 0;
}

static struct tl_task *kept;

/* Killed, it keeps a handle to itself. */
static int fn_keep_self(UNUSED void *arg)
{
	tl_schedule_remove();
	kept = tl_task_ref(tl_current());
	return 0;
}

/* Survives some kills, pausing again after each. */
static int fn_stubborn(void *arg)
{
	long left = (long)arg;

	while (left-- > 0) {
		say("%d", tl_schedule_remove());
		caught();
	}
	return 0;
}

static int fn_wait_run(UNUSED void *arg)
{
	say("%d", tl_run());
	return 0;
}

static void test_handles(void)
{
	uint64_t cached;
	struct tl_task *t;

	tl_task_unref(NULL);
	tap_ok(true, "task.h: unref of NULL");

	cached = stats().stacks_cached;
	tl_task_new(&t, NULL);
	tap_ok(tl_task_ref(t) == t, "task.h: ref returns the tasklet");
	tl_task_unref(t);
	tap_is(tl_task_bind(t, fn_nop), 0, "task.h: the second handle keeps it");
	tl_task_unref(t);
	tap_ok(stats().stacks_cached >= cached && stats().stacks_cached == stats().stacks,
	       "task.h: the last handle of a bound one frees it");
	tl_task_new(&t, NULL);
	tl_task_unref(t);
	tap_is((long long)stats().stacks_cached, (long long)stats().stacks, "task.h: as that of an unbound one");
	t = mk_paused("A", fn_add, "never");
	tl_task_unref(t);
	tap_ok(stats().alive == 1 && !stats().paused && stats().stacks_cached == stats().stacks,
	       "task.h: and of one that never started, which does not run");
	t = mk("A", fn_add, "a");
	tl_schedule();
	tap_is((long long)stats().stacks_cached, (long long)stats().stacks - 1, "task.h: a handle keeps a dead one");
	tl_task_unref(t);
	tap_is((long long)stats().stacks_cached, (long long)stats().stacks, "task.h: until it is given up");
	tap_str(said(), "a", "task.h: only that one has run");

	go("A", fn_recv, NULL);
	tl_schedule();
	tap_is(tl_chan_balance(chan), -1, "1.2: a blocked one needs no handle");
	tl_chan_send(chan, &(long){ 1 });
	all_gone("no handle");

	t = mk("A", fn_pause_defer, "deferred");
	tl_schedule();
	say("unref");
	tl_task_unref(t);
	say("done");
	tap_str(said(), "unref -125 deferred done", "1.6: a paused one without any handle is killed at once");
	all_gone("killed by unref");

	go("A", fn_pause_defer, "deferred");
	tl_schedule();
	tap_str(said(), "-125 deferred", "task.h: schedule_remove without a handle kills at once");
	all_gone("killed by schedule_remove");

	t = mk("A", fn_keep_self, NULL);
	tl_schedule();
	tl_task_unref(t);
	tap_ok(kept == t && !tl_task_is_alive(kept) && stats().stacks_cached == stats().stacks - 1,
	       "task.h: a handle that is taken while it dies keeps it");
	tap_is(tl_task_bind_arg(kept, fn_add, "again"), 0, "task.h: and it can be bound again");
	tl_task_run(kept);
	tap_str(said(), "again", "task.h: and run");
	tl_task_unref(kept);
	tap_is((long long)stats().stacks_cached, (long long)stats().stacks, "task.h: and freed");

	t = mk("A", fn_stubborn, (void *)3L);
	tl_schedule();
	tl_task_unref(t);
	tap_str(said(), "-125 -125 -125", "1.6: one that pauses again is killed again");
	all_gone("stubborn");

	t = mk("A", fn_wait_run, NULL);
	go("B", fn_yield, (void *)1L);
	tl_schedule();
	tl_task_unref(t);
	tap_str(said(), "B1", "3.3: a tasklet in run() that loses its handle is not killed");
	tl_schedule_remove();
	tap_str(said(), "B. 0", "3.3: its run() ends as ever when the ring is empty");
	all_gone("unref in run");
}

/* --- attributes --------------------------------------------------------------------------------------------------- */

static int fn_value(UNUSED void *arg)
{
	say("%s", (char *)tl_task_value(tl_current()));
	tl_task_set_value(tl_current(), "out");
	return 0;
}

static void test_value(void)
{
	struct tl_task *t;

	tl_task_new(&t, NULL);
	tap_ok(!tl_task_value(t), "1.7: a new one's value is NULL");
	tl_task_set_value(t, "x");
	tl_task_bind(t, fn_value);
	tap_ok(!tl_task_value(t), "task.h: binding clears it");
	tl_task_set_value(t, "in");
	tl_task_setup(t, NULL);
	tap_ok(tl_task_value(t), "task.h: setup binds nothing, so the value stays");
	if (!tl_task_value(t))
		tl_task_set_value(t, "lost");
	tl_schedule();
	tap_str(said(), "in", "task.h: the tasklet finds it");
	tap_str((char *)tl_task_value(t), "out", "task.h: and it survives the tasklet's end");
	tl_task_bind(t, fn_nop);
	tap_ok(!tl_task_value(t), "task.h: but not being bound anew");
	tl_task_unref(t);
	tl_spawn(&t, fn_nop, NULL);
	tap_ok(!tl_task_value(t), "1.7: a stack that is used again brings no value with it");
	tl_schedule();
	tl_task_unref(t);
}

static void test_names(void)
{
	char text[] = "reader";
	struct tl_task_attr attr = { .size = sizeof(attr), .name = text };
	struct tl_task *t;

	tl_task_new(&t, &attr);
	text[0] = 'X';
	tap_str(tl_task_name(t), "reader", "task.h: the name is copied");
	tap_is(tl_task_set_name(t, "writer"), 0, "task.h: it can be changed");
	tap_str(tl_task_name(t), "writer", "task.h: and is");
	tl_task_bind_arg(t, fn_nop, NULL);
	tl_task_run(t);
	tap_str(tl_task_name(t), "writer", "task.h: it lasts as long as the handle");
	tap_is(tl_task_set_name(t, NULL), 0, "task.h: it can be taken away");
	tap_str(tl_task_name(t), "", "task.h: then it is \"\"");
	tl_task_set_name(t, "leak?");
	tl_task_unref(t);
	tl_spawn(&t, fn_nop, NULL);
	tap_str(tl_task_name(t), "", "task.h: a stack that is used again brings no name with it");
	tl_schedule();
	tl_task_unref(t);
	tap_str(tl_task_name(tl_main()), "", "task.h: main has none");
	tl_task_set_name(tl_main(), "main");
	tap_str(tl_task_name(tl_main()), "main", "task.h: but can be given one");
}

#define MANY 10000

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void test_ids(void)
{
	static uint64_t ids[MANY + 1];
	struct tl_task *t;
	bool unique = true;
	uint64_t id;
	int i;

	for (i = 0; i < MANY; i++) {
		tl_spawn(&t, fn_nop, NULL);
		ids[i] = tl_task_id(t);
		tl_task_unref(t);
		if (i % 1000 == 999)
			tl_run();
	}
	ids[MANY] = tl_task_id(tl_main());
	qsort(ids, MANY + 1, sizeof(ids[0]), by_value);
	for (i = 0; i < MANY; i++)
		unique &= ids[i] != ids[i + 1];
	tap_ok(unique && ids[0], "task.h: no two of %d tasklets have the same number, and none has 0", MANY);

	tl_task_new(&t, NULL);
	id = tl_task_id(t);
	tl_task_bind_arg(t, fn_nop, NULL);
	tl_task_run(t);
	tl_task_setup(t, NULL);
	tl_run();
	tap_ok(id == tl_task_id(t), "1.1: one that is bound again keeps its identity");
	tl_task_unref(t);
}

static int fn_flags(UNUSED void *arg)
{
	say("%d", tl_task_block_trap(tl_current()));
	return 0;
}

static void test_flags(void)
{
	struct tl_task *t;

	tl_task_set_block_trap(tl_current(), true);
	t = mk("A", fn_flags, NULL);
	tl_schedule();
	tap_str(said(), "0", "1.2: flags start at zero, they are not inherited");
	tap_is(tl_task_set_block_trap(tl_current(), false), true, "1.7: setting a flag returns the previous value");
	tap_is(tl_task_set_block_trap(tl_current(), false), false, "1.7: of each time");
	tap_ok(!tl_task_set_block_trap(t, true) && tl_task_block_trap(t), "1.7: another one's can be set");
	tl_task_unref(t);
	tl_spawn(&t, fn_flags, NULL);
	tl_schedule();
	tl_task_unref(t);
	tap_str(said(), "0", "1.2: a stack that is used again brings no flags with it");
}

static void test_neighbours(void)
{
	struct tl_task *a = mk("A", fn_recv, NULL), *b = mk("B", fn_recv, NULL), *c = mk("C", fn_recv, NULL);
	struct tl_task *d;

	tap_ok(tl_task_next(tl_main()) == a && tl_task_next(c) == tl_main() && tl_task_prev(a) == tl_main() &&
	       tl_task_prev(c) == b, "1.7: next and prev go round the ring");
	tl_schedule();
	tap_ok(tl_task_next(tl_main()) == tl_main() && tl_task_prev(tl_main()) == tl_main(),
	       "1.7: who is alone in the ring is its own neighbour");
	tap_ok(tl_chan_queue(chan) == a && tl_task_next(a) == b && tl_task_next(b) == c && !tl_task_next(c),
	       "1.7: next follows a channel's queue to its end");
	tap_ok(tl_task_prev(c) == b && tl_task_prev(b) == a && !tl_task_prev(a), "1.7: and prev back");
	tl_task_kill(b);
	tap_ok(tl_task_next(a) == c && tl_task_prev(c) == a && tl_chan_balance(chan) == -2,
	       "1.7: one that is killed is out of the queue");
	tap_ok(!tl_task_next(b) && !tl_task_prev(b), "1.7: a dead one has no neighbours");
	tl_task_kill(a);
	tl_task_kill(c);
	tl_task_unref(a);
	tl_task_unref(b);
	tl_task_unref(c);
	d = mk_paused("D", fn_nop, NULL);
	tap_ok(!tl_task_next(d) && !tl_task_prev(d), "1.7: nor has a paused one");
	tl_task_unref(d);

	a = mk("A", fn_send, NULL);
	b = mk("B", fn_send, NULL);
	tl_schedule();
	tap_ok(tl_task_next(a) == b && !tl_task_next(b) && tl_task_prev(b) == a && !tl_task_prev(a),
	       "1.7: the same among senders");
	tl_task_kill(a);
	tl_task_kill(b);
	tl_task_unref(a);
	tl_task_unref(b);
	all_gone("neighbours");
}

static void test_stats(void)
{
	struct tl_stats s = { .size = sizeof(s) - 1 };
	struct tl_task *a, *b, *c;

	tap_is(tl_stats(&s), -EINVAL, "sched.h: statistics of too small a size are refused");
	a = mk("A", fn_recv, NULL);
	b = mk("B", fn_pause, NULL);
	tl_schedule();
	c = mk("C", fn_nop, NULL);
	s = stats();
	tap_ok(s.alive == 4 && s.runnable == 2 && s.paused == 1 && s.blocked == 1,
	       "sched.h: alive, runnable, paused and blocked are counted");
	tap_ok(s.stacks == s.stacks_cached + 3 && s.stack_bytes >= s.stacks * 65536 && !s.stacks_unguarded,
	       "sched.h: so are the stacks");
	tl_task_kill(a);
	tl_task_kill(b);
	tl_task_kill(c);
	tl_task_unref(a);
	tl_task_unref(b);
	tl_task_unref(c);
	all_gone("statistics");
}

/* --- errno -------------------------------------------------------------------------------------------------------- */

static int fn_errno(UNUSED void *arg)
{
	return -EDOM;
}

/* Calls that do system calls inside, of which some fail. */
static void test_errno(void)
{
	struct tl_task_attr attr = { .size = sizeof(attr), .stack_size = 1 << 20, .name = "errno" };
	struct tl_task *t[20];
	struct tl_chan *c;
	size_t i;
	long v;

	errno = 123;
	for (i = 0; i < ARRAY_LEN(t); i++)
		tl_spawn_attr(&t[i], &attr, fn_sleep, NULL);
	tl_chan_new(&c, sizeof(long), 1000);
	tl_schedule();
	tl_sleep(1000);
	tl_chan_recv_until(c, &v, tl_after(1000));
	tl_chan_send(c, &v);
	tl_chan_unref(c);
	for (i = 0; i < ARRAY_LEN(t); i++) {
		tl_task_kill(t[i]);
		tl_task_unref(t[i]);
	}
	tl_spawn(NULL, fn_errno, NULL);
	tl_run();
	tl_error_free(tl_catch());
	tl_trim();
	tap_is(errno, 123, "base.h: errno is left as it was");
	tl_sched_end();
	tl_schedule();
	tap_is(errno, 123, "base.h: by the end and the making of a scheduler too");
}

int main(void)
{
	tap_plan(152);
	if (tl_chan_new(&chan, sizeof(long), 0))
		tap_bail("no channel");
	test_table();
	test_new();
	test_bind();
	test_bind_errors();
	test_handles();
	test_value();
	test_names();
	test_ids();
	test_flags();
	test_neighbours();
	test_stats();
	tl_chan_unref(chan);
	test_errno();
	tap_is(tl_sched_end(), 0, "sched.h: nothing is left");
	return tap_exit();
}
