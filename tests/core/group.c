/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Groups: who is a member and until when, kill and wait, those who swallow a kill, errors that stay with the group, and
 * members of several threads. Also who a thread's end names when somebody swallows that kill.
 */
#include <pthread.h>

#include "base/alloc.h"
#include "check.h"
#include "child.h"

static struct tl_group *group;
static struct tl_chan *chan;

static struct tl_task *member(const char *name, tl_task_fn *fn, void *arg)
{
	struct tl_task_attr attr = { .size = sizeof(attr), .name = name };
	struct tl_task *t;
	int r = tl_group_spawn(group, &t, &attr, fn, arg);

	if (r)
		tap_bail("tl_group_spawn: %d", r);
	return t;
}

static void new_group(void)
{
	if (tl_group_new(&group))
		tap_bail("tl_group_new");
}

/* --- members --------------------------------------------------------------------------------------------------------- */

static int fn_recv(UNUSED void *arg)
{
	say("%s%d", name_of(tl_current()), tl_chan_recv(chan, NULL));
	return 0;
}

static int fn_wait(UNUSED void *arg)
{
	say("w%d", tl_group_wait(group));
	return 0;
}

static int fn_wait_inside(UNUSED void *arg)
{
	say("in%d", tl_group_wait(group));
	return 0;
}

static void test_members(void)
{
	struct tl_task *t;

	tap_is(tl_group_new(NULL), -EINVAL, "tl_group_new() wants a place for the result");
	new_group();
	tap_is(tl_group_spawn(group, NULL, NULL, NULL, NULL), -EINVAL, "tl_group_spawn() wants a function");
	tap_is(tl_group_wait(group), 0, "an empty group: nobody to wait for");
	tap_is(tl_group_spawn(group, NULL, NULL, fn_recv, NULL), 0, "a member without a handle or attributes");
	tl_task_unref(member("A", fn_recv, NULL));
	tap_is(tl_group_count(group), 2, "two members");
	tl_schedule();
	tap_is(tl_group_wait(group), -EDEADLK, "nobody will ever wake them: a deadlock");
	tap_is(tl_group_wait_until(group, tl_now() + 1000), -ETIMEDOUT, "and a deadline passes");
	go("W", fn_wait, NULL);
	go("W", fn_wait, NULL);
	tl_schedule();
	tl_chan_send(chan, NULL);
	tap_is(tl_group_count(group), 1, "one has ended");
	tl_chan_send(chan, NULL);
	tl_run();
	tap_str(said(), "?0 A0 w0 w0", "whoever waits goes on after the last one's end");

	tl_task_unref(member("I", fn_wait_inside, NULL));
	tl_schedule();
	tap_str(said(), "in-35", "a member that waits for its own group: -EDEADLK at once");

	/* The group's handle keeps a paused one. */
	t = member("P", fn_recv, NULL);
	tap_is(tl_task_remove(t), 0, "a member is paused");
	tl_task_unref(t);
	tap_is(tl_group_count(group), 1, "and stays alive without another handle");
	tap_is(tl_group_kill(group), 0, "until its group is killed");
	tap_is(tl_group_count(group), 0, "it is gone then");
	tl_group_unref(group);
	tl_group_unref(NULL);
	said();
	all_gone("members");
}

static void test_bound_anew(void)
{
	struct tl_task *t;

	new_group();
	t = member("A", fn_nop, NULL);
	tl_task_remove(t);
	tap_is(tl_task_unbind(t), 0, "a paused member is unbound");
	tap_is(tl_group_count(group), 0, "and is none any more");
	tl_task_bind_arg(t, fn_recv, NULL);
	tl_task_insert(t);
	tl_schedule();
	tl_group_kill(group);
	tap_ok(tl_task_is_blocked(t), "nor is it later, with another function");
	tl_task_kill(t);
	tl_task_unref(t);
	tl_group_unref(group);
	said();
	all_gone("bound anew");
}

/* --- kill ------------------------------------------------------------------------------------------------------------ */

static int spawned;

/* Spawns into the group when it is killed. */
static int fn_breeds(UNUSED void *arg)
{
	tl_chan_recv(chan, NULL);
	spawned = tl_group_spawn(group, NULL, NULL, fn_recv, NULL);
	return 0;
}

static int fn_swallows(void *arg)
{
	int i, kills = (int)(long)arg;

	for (i = 0; i < kills; i++) {
		tl_chan_recv(chan, NULL);
		tl_error_free(tl_catch());
	}
	say("%s%d", name_of(tl_current()), tl_chan_recv(chan, NULL));
	return 0;
}

static int fn_kills(UNUSED void *arg)
{
	say("k%d", tl_group_kill(group));
	say("r%d", tl_schedule());
	return 0;
}

static void handler(UNUSED void *arg)
{
	say("d%d", tl_group_count(group));
}

static int fn_defers(UNUSED void *arg)
{
	tl_defer(handler, NULL);
	tl_schedule_remove();
	return 0;
}

static void test_kill(void)
{
	struct tl_task_attr attr = { .size = sizeof(attr), .name = "U" };
	struct tl_group *g;
	int i;

	new_group();
	g = tl_group_ref(group);
	tap_ok(g == group, "tl_group_ref() returns its argument");
	tl_group_unref(g);
	tl_task_unref(member("A", fn_recv, NULL));
	tl_task_unref(member("B", fn_defers, NULL));
	tl_task_unref(member("C", fn_breeds, NULL));
	tl_schedule();
	tl_task_unref(member("N", fn_recv, NULL));
	tap_is(tl_group_kill(group), 0, "killed: blocked, paused, not begun");
	tap_is(tl_group_count(group), 3, "who has not begun is gone");
	tap_is(tl_group_wait(group), 0, "the others end");
	tap_str(said(), "A-125 d2", "each call failed, and deferred handlers ran while it was a member");
	tap_is(spawned, -EPIPE, "nobody gets in any more");
	tap_is(tl_group_spawn(group, NULL, NULL, fn_recv, NULL), -EPIPE, "not afterwards either");
	tap_is(tl_group_kill(group), 0, "an empty group can be killed again");
	tl_group_unref(group);

	new_group();
	for (i = 0; i < 3; i++)
		tl_task_unref(member("S", fn_swallows, (void *)(long)i));
	tl_schedule();
	tl_group_kill(group);
	tap_is(tl_group_swallowed(group), 0, "before they had their turn nobody has swallowed it");
	tl_schedule();
	tap_is(tl_group_wait(group), -EDEADLK, "some swallow the kill");
	tap_is(tl_group_count(group), 2, "those are left");
	tap_is(tl_group_swallowed(group), 2, "and counted");
	tl_group_kill(group);
	tl_schedule();
	tap_is(tl_group_wait(group), -EDEADLK, "killed once more");
	tap_is(tl_group_swallowed(group), 1, "one is left");
	tl_group_kill(group);
	tap_is(tl_group_wait(group), 0, "none is left");
	tap_is(tl_group_swallowed(group), 0, "... and counted");
	tl_group_unref(group);
	said();

	new_group();
	tl_task_unref(member("K", fn_kills, NULL));
	tl_task_unref(member("A", fn_recv, NULL));
	tl_task_unref(member("B", fn_nop, NULL));
	tap_is(tl_group_wait(group), 0, "a member kills its group");
	tap_str(said(), "k-125 r-125", "itself last; those that had not begun never ran");
	tl_group_unref(group);

	/* One that does not come back from its own kill. */
	attr.flags = TL_UNWIND;
	new_group();
	tl_task_unref(member("A", fn_recv, NULL));
	tl_schedule();
	tl_group_spawn(group, NULL, &attr, fn_kills, NULL);
	tl_task_unref(member("B", fn_recv, NULL));
	tap_is(tl_group_wait(group), 0, "a member that is unwound by its own kill");
	tap_str(said(), "A-125", "has killed the others before");
	tl_group_unref(group);
	all_gone("kill");
}

/* --- errors ---------------------------------------------------------------------------------------------------------- */

static int fn_fails(void *arg)
{
	tl_exit_error(arg);
}

static int freed;

static void test_errors(void)
{
	struct tl_error *e;

	new_group();
	freed = 0;
	tap_ok(!tl_group_first_error(group), "no error");
	tl_task_unref(member("A", fn_fails, mk_counted(EIO, "first", &freed)));
	tl_task_unref(member("B", fn_fails, mk_counted(EBADF, "second", &freed)));
	tap_is(tl_run(), TL_RUN_FINISHED, "members' errors do not come out of tl_run()");
	tap_is(freed, 1, "the second one is freed");
	e = tl_group_first_error(group);
	tap_ok(e && tl_error_code(e) == EIO && strstr(tl_error_origin(e), "(A)"), "the first one is the group's");
	tl_error_free(e);
	tap_ok(!tl_group_first_error(group) && freed == 2, "and can be had once");

	tl_task_unref(member("C", fn_fails, mk_counted(EIO, "third", &freed)));
	tl_run();
	tl_group_unref(group);
	tap_is(freed, 3, "nobody asked: freed with the last handle");

	new_group();
	tl_task_unref(member("D", fn_fails, mk_counted(EDOM, "fourth", &freed)));
	tl_group_unref(group);
	tap_is(tl_run(), -EDOM, "without a handle of the group the error is everybody's");
	tap_is(caught(), EDOM, "who can catch it");
	all_gone("errors");
}

/* --- no memory --------------------------------------------------------------------------------------------------------- */

static void test_memory(void)
{
	struct tl_task_attr attr = { .size = sizeof(attr), .name = "named" };
	struct tl_group *g = NULL;

	tl__fault_arm(1, false);
	tap_is(tl_group_new(&g), -ENOMEM, "no memory for a group");
	tl__fault_arm(0, false);
	new_group();
	tl__fault_arm(1, false);
	tap_is(tl_group_spawn(group, NULL, &attr, fn_nop, NULL), -ENOMEM, "nor for a member");
	tl__fault_arm(0, false);
	tap_is(tl_group_count(group), 0, "which is none then");
	tl_group_unref(group);
	all_gone("memory");
}

/* --- threads ------------------------------------------------------------------------------------------------------------ */

static _Atomic int ready, killed_there;

static int fn_there(UNUSED void *arg)
{
	if (tl_sleep_until(TL_FOREVER - 1) == -ECANCELED)
		killed_there++;
	return 0;
}

static void *other_thread(UNUSED void *arg)
{
	int i;

	for (i = 0; i < 20; i++)
		if (tl_group_spawn(group, NULL, NULL, fn_there, NULL))
			tap_bail("spawn");
	tl_schedule();
	ready++;
	tl_run();
	tl_sched_end();
	return NULL;
}

static void *other_killer(UNUSED void *arg)
{
	while (ready < 2)
		sched_yield();
	tl_group_kill(group);
	tl_sched_end();
	return NULL;
}

/* --- a wait that outlives the last handle --- */

static _Atomic int may_end;

static int fn_until_told(UNUSED void *arg)
{
	ready++;
	while (!may_end)
		sched_yield();
	return 0;
}

static void *with_member(UNUSED void *arg)
{
	if (tl_group_spawn(group, NULL, NULL, fn_until_told, NULL))
		tap_bail("spawn");
	tl_run();
	tl_sched_end();
	return NULL;
}

/* The group is gone when its waiter is killed, who was woken but does not know yet: his thread has not looked. */
static void test_gone(void)
{
	struct tl_task *t;
	pthread_t thread;

	new_group();
	ready = may_end = 0;
	pthread_create(&thread, NULL, with_member, NULL);
	while (!ready)
		sched_yield();
	t = mk("W", fn_wait, NULL);
	tl_schedule();
	tl_group_unref(group);
	may_end = 1;
	pthread_join(thread, NULL);
	tl_task_kill(t);
	tl_run();
	tap_str(said(), "w0", "a group stays until those that wait for it are back");
	tl_task_unref(t);
	all_gone("gone");
}

static void test_threads(bool elsewhere)
{
	pthread_t threads[3];
	int i;

	new_group();
	ready = killed_there = 0;
	for (i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, other_thread, NULL);
	for (i = 0; i < 20; i++)
		tl_group_spawn(group, NULL, NULL, fn_there, NULL);
	tl_schedule();
	if (elsewhere)
		pthread_create(&threads[2], NULL, other_killer, NULL);
	while (ready < 2)
		sched_yield();
	if (!elsewhere)
		tl_group_kill(group);
	tap_is(tl_group_wait(group), 0, "members of three threads end, killed by %s", elsewhere ? "a fourth" : "one");
	tap_is(killed_there, 60, "each was killed");
	for (i = 0; i < 2 + elsewhere; i++)
		pthread_join(threads[i], NULL);
	tl_group_unref(group);
	all_gone("threads");
}

static void *late_thread(UNUSED void *arg)
{
	int i;

	while (!ready)
		sched_yield();
	for (i = 0; i < 3; i++)
		sched_yield();
	tl_group_kill(group);
	tl_sched_end();
	return NULL;
}

/* The one who waits knows of its own thread's members only when it begins. */
static void *late_member(UNUSED void *arg)
{
	tl_group_spawn(group, NULL, NULL, fn_there, NULL);
	tl_schedule();
	ready = 1;
	tl_run();
	tl_sched_end();
	return NULL;
}

static int fn_brings_thread(void *arg)
{
	pthread_create(arg, NULL, late_member, NULL);
	while (!ready)
		sched_yield();
	return 0;
}

static void test_late(void)
{
	pthread_t threads[2];

	new_group();
	ready = 0;
	pthread_create(&threads[0], NULL, late_thread, NULL);
	tl_group_spawn(group, NULL, NULL, fn_brings_thread, &threads[1]);
	tap_is(tl_group_wait(group), 0, "one from another thread joined while we waited: no deadlock");
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	tl_group_unref(group);
	all_gone("late members");
}

/* --- who is named ------------------------------------------------------------------------------------------------------- */

static int fn_never_ends(UNUSED void *arg)
{
	for (;;) {
		tl_schedule_remove();
		tl_error_free(tl_catch());
	}
	return 0;
}

static void child_stubborn(void)
{
	int i;

	for (i = 0; i < 7; i++)
		mk("stubborn", fn_never_ends, NULL);
	tl_schedule();
	_exit(tl_sched_end());
}

static void test_named(void)
{
	int status = in_child(child_stubborn);

	tap_ok(WIFEXITED(status) && WEXITSTATUS(status) == 7, "tl_sched_end() says how many have swallowed it");
	tap_ok(strstr(child_said, "(stubborn) has swallowed its kill"), "names them on stderr");
	tap_ok(strstr(child_said, "... and 3 more"), "the first four");
}

int main(void)
{
	tap_plan(67);
	if (tl_chan_new(&chan, 0, 0))
		tap_bail("no channel");
	test_members();
	test_bound_anew();
	test_kill();
	test_errors();
	test_memory();
	test_threads(false);
	test_threads(true);
	test_gone();
	test_late();
	test_named();
	tl_chan_unref(chan);
	tap_is(tl_sched_end(), 0, "the scheduler ends");
	return tap_exit();
}
