/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Calls on another thread's tasklets (sections 1.3, 1.4, 1.5, 3.6): insert, run, kill, throw and giving a handle up take
 * effect in the tasklet's own thread, which is woken; the caller goes on; what can be known at once is refused at once.
 */
#include "threads.h"

static struct tl_task *task, *other;
static struct tl_chan *never, *ready;
static pthread_t home;
static char journal[256];
static _Atomic int result;

/* Only the home thread writes it. */
static void say(const char *word)
{
	if (!pthread_equal(pthread_self(), home))
		strcat(journal, "!");
	strcat(journal, word);
	strcat(journal, " ");
}

static bool said(const char *words)
{
	bool same = !strcmp(journal, words);

	if (!same)
		tap_diag("got \"%s\", not \"%s\"", journal, words);
	journal[0] = '\0';
	return same;
}

static int fn_pause(void *arg)
{
	int r;

	say(arg);
	r = tl_schedule_remove();
	say(r == -ECANCELED ? "killed" : r == -EIO ? "thrown" : r ? "?" : "on");
	return 0;
}

static int fn_block(UNUSED void *arg)
{
	long v;
	int r = tl_chan_recv(never, &v);

	say(r == -ECANCELED ? "killed" : r == -EIO ? "thrown" : "?");
	return 0;
}

static int fn_say(void *arg)
{
	say(arg);
	return 0;
}

static struct tl_task *paused(const char *word)
{
	struct tl_task *t;

	if (tl_task_new(&t, NULL) || tl_task_bind_arg(t, fn_say, (void *)word))
		tap_bail("no tasklet");
	return t;
}

/* Main sleeps until the other thread says that it is done. */
static void sleep_until_done(pthread_t t)
{
	long v;

	tl_chan_recv(ready, &v);
	pthread_join(t, NULL);
	tl_run();		/* looks at the inbox first; some may stay blocked */
}

static void done(void)
{
	long v = 0;

	tl_chan_send(ready, &v);
}

/* --- insert and run ----------------------------------------------------------------------------------------------- */

static void *inserts(UNUSED void *arg)
{
	atomic_store(&result, tl_task_insert(task));
	done();
	return NULL;
}

static void *runs(UNUSED void *arg)
{
	atomic_store(&result, tl_task_insert(other) | tl_task_run(task));
	reach(1);
	return NULL;
}

static void test_insert(void)
{
	task = spawn(fn_pause, "a");
	tl_schedule();
	tap_ok(said("a ") && tl_task_is_paused(task), "1.1: a paused tasklet");
	sleep_until_done(start(inserts, NULL));
	tap_ok(said("on ") && result == 0, "1.3: another thread inserts it: its own thread, asleep, wakes and runs it");
	tl_task_unref(task);
	task = paused("new");
	sleep_until_done(start(inserts, NULL));
	tap_ok(said("new ") && result == 0, "1.3: one that was not started yet");
	tl_task_unref(task);
}

static int fn_twice(UNUSED void *arg)
{
	say("x");
	tl_schedule();
	say("y");
	return 0;
}

static int fn_spin(UNUSED void *arg)
{
	reach(1);
	await_step(2);
	say("spun");
	return 0;
}

static void *runs_behind(UNUSED void *arg)
{
	await_step(1);
	atomic_store(&result, tl_task_run(task));
	reach(2);
	return NULL;
}

static void test_run(void)
{
	pthread_t t;

	task = paused("t");
	other = paused("o");
	atomic_store(&step, 0);
	t = start(runs, NULL);
	await_step(1);		/* both are in the inbox before anything runs */
	tl_run();
	pthread_join(t, NULL);
	tap_ok(said("t o ") && result == 0, "1.4: run() puts it before those that were inserted: the first when its thread wakes");
	tl_task_unref(task);
	tl_task_unref(other);

	/* While the thread is busy: behind the one that is current when it looks. */
	atomic_store(&step, 0);
	task = paused("t");
	t = start(runs_behind, NULL);
	tl_task_unref(spawn(fn_spin, NULL));
	tl_task_unref(spawn(fn_twice, NULL));
	tl_task_unref(spawn(fn_twice, NULL));
	tl_task_unref(spawn(fn_twice, NULL));
	tl_run();
	pthread_join(t, NULL);
	tap_ok(strstr(journal, "t ") && strstr(journal, "t ") < strrchr(journal, 'y'),
	       "1.4: run() on a thread that is busy: within a round (%s)", journal);
	journal[0] = '\0';
	tl_task_unref(task);
}

/* --- kill and throw ----------------------------------------------------------------------------------------------- */

static void *kills(UNUSED void *arg)
{
	atomic_store(&result, tl_task_kill(task));
	done();
	return NULL;
}

static void *kills_later(UNUSED void *arg)
{
	atomic_store(&result, tl_task_kill_later(task));
	done();
	return NULL;
}

static _Atomic int destroyed;

static void destroy(UNUSED void *payload)
{
	atomic_fetch_add(&destroyed, 1);
}

static struct tl_error *error(void)
{
	struct tl_error *e;

	if (tl_error_new(&e, EIO, "thrown"))
		tap_bail("no error");
	tl_error_set_payload(e, NULL, destroy);
	return e;
}

static void *throws(UNUSED void *arg)
{
	atomic_store(&result, tl_task_throw(task, error()));
	done();
	return NULL;
}

static void test_kill(void)
{
	task = spawn(fn_block, NULL);
	tl_schedule();
	sleep_until_done(start(kills, NULL));
	tap_ok(said("killed ") && result == 0 && !tl_task_is_alive(task), "1.5: a blocked tasklet is killed by another thread");
	tl_task_unref(task);
	task = spawn(fn_pause, "p");
	tl_schedule();
	sleep_until_done(start(kills_later, NULL));
	tap_ok(said("p killed ") && result == 0, "1.5: a paused one");
	tl_task_unref(task);
	task = paused("never");
	sleep_until_done(start(kills, NULL));
	tap_ok(said("") && result == 0 && !tl_task_is_alive(task), "1.5: one that has not begun ends without running");
	sleep_until_done(start(kills, NULL));
	tap_is(result, 0, "1.5: a dead one: nothing to do");
	tl_task_unref(task);
	task = spawn(fn_block, NULL);
	tl_schedule();
	sleep_until_done(start(throws, NULL));
	tap_ok(said("thrown ") && result == 0, "1.5: an error is thrown at a blocked one");
	tap_is(destroyed, 1, "error.h: and freed when it ends");
	tl_task_unref(task);
}

static void *throws_at_main(UNUSED void *arg)
{
	atomic_store(&result, tl_task_throw(tl_task_ref(task), error()));
	tl_task_unref(task);
	return NULL;
}

static void test_main(void)
{
	pthread_t t;
	long v;

	atomic_store(&destroyed, 0);
	task = tl_main();
	t = start(throws_at_main, NULL);
	tap_is(tl_chan_recv(never, &v), -EIO, "1.5: a plain thread that waits is thrown at, as a main tasklet");
	pthread_join(t, NULL);
	tl_error_free(tl_catch());
	tap_is(destroyed, 1, "error.h: it catches and frees the error");
}

static void *ends_thrown_at(UNUSED void *arg)
{
	task = tl_task_ref(tl_current());
	reach(1);
	await_step(2);	/* without a look at what comes */
	tl_sched_end();
	return NULL;
}

static void test_main_ends(void)
{
	pthread_t t;

	atomic_store(&step, 0);
	atomic_store(&destroyed, 0);
	t = start(ends_thrown_at, NULL);
	await_step(1);
	tap_is(tl_task_throw(task, error()), 0, "1.5: an error is thrown at a main tasklet");
	reach(2);
	pthread_join(t, NULL);
	tap_is(destroyed, 1, "error.h: and freed where its thread ends with it in the post");
	tl_task_unref(task);
}

static int fn_shielded(UNUSED void *arg)
{
	long v;
	int r;

	tl_shield(true);
	r = tl_chan_recv(never, &v);
	say(r ? "?" : "received");
	tl_shield(false);
	r = tl_chan_recv(never, &v);
	say(r == -ECANCELED ? "killed" : "?");
	return 0;
}

static void *kills_then_sends(UNUSED void *arg)
{
	long v = 0;

	atomic_store(&result, tl_task_kill(task));
	tl_chan_send(never, &v);
	done();
	return NULL;
}

static void test_shield(void)
{
	task = spawn(fn_shielded, NULL);
	tl_schedule();
	sleep_until_done(start(kills_then_sends, NULL));
	tap_ok(said("received killed "), "9: a shield holds another thread's kill off");
	tl_task_unref(task);
}

/* --- what is refused at once -------------------------------------------------------------------------------------- */

static void *refused(UNUSED void *arg)
{
	struct tl_error *e = error();
	int bad = 0;

	bad += tl_task_insert(task) != -EBUSY;
	bad += tl_task_run(task) != -EBUSY;
	bad += tl_task_insert(other) != -ESRCH;
	bad += tl_task_run(other) != -ESRCH;
	bad += tl_task_throw(other, e) != -ESRCH;
	bad += tl_task_throw_later(other, e) != -ESRCH;
	bad += tl_task_throw(task, NULL) != -EINVAL;
	bad += tl_task_kill(other) != 0;
	bad += tl_task_remove(task) != -EXDEV;
	bad += tl_task_switch(task) != -EXDEV;
	bad += !tl_task_is_alive(task) || !tl_task_is_blocked(task) || tl_task_is_paused(task) ||
	       !tl_task_is_scheduled(task) || tl_task_is_current(task) || tl_task_next(task) || tl_task_channel(task) ||
	       tl_task_direction(task);
	tl_error_free(e);
	atomic_store(&result, bad);
	done();
	return NULL;
}

static void test_refused(void)
{
	task = spawn(fn_block, NULL);
	other = spawn(fn_say, "dead");
	tl_schedule();
	said("dead ");
	sleep_until_done(start(refused, NULL));
	tap_is(result, 0, "1.3, 1.5: what can't be done is refused at once, and the error stays the caller's");
	tl_task_kill(task);
	said("killed ");
	tl_task_unref(task);
	tl_task_unref(other);
}

/* --- handles ------------------------------------------------------------------------------------------------------ */

static void *drops(UNUSED void *arg)
{
	tl_task_unref(task);
	done();
	return NULL;
}

static void test_unref(void)
{
	task = spawn(fn_pause, "p");
	tl_schedule();
	sleep_until_done(start(drops, NULL));
	tap_ok(said("p killed "), "task.h: a paused tasklet whose last handle another thread gives up is killed");
	task = paused("never");
	sleep_until_done(start(drops, NULL));
	tap_ok(said(""), "task.h: one that has not begun is freed");
	task = spawn(fn_say, "dead");
	tl_schedule();
	sleep_until_done(start(drops, NULL));
	tap_ok(said("dead "), "task.h: a dead one as well");
	task = spawn(fn_block, NULL);
	tl_schedule();
	sleep_until_done(start(drops, NULL));
	tap_ok(said("") && tl_chan_balance(never) == -1, "task.h: a blocked one needs none");
	tl_chan_close(never);
	tl_chan_open(never);
	run_all();
	said("? ");
}

/* Many threads take handles and give them up; the stack is given back once. */
#define HOLDERS 4
#define TURNS 2000

static void *holds(UNUSED void *arg)
{
	int i;

	for (i = 0; i < TURNS; i++) {
		tl_task_ref(task);
		if (!tl_task_id(task))
			tap_bail("gone");
		tl_task_unref(task);
	}
	tl_task_unref(task);
	return NULL;
}

static void test_many_handles(void)
{
	struct tl_stats s = { .size = sizeof(s) };
	pthread_t t[HOLDERS];
	int i;

	task = spawn(fn_say, "m");
	for (i = 0; i < HOLDERS; i++) {
		tl_task_ref(task);
		t[i] = start(holds, NULL);
	}
	tl_schedule();
	tl_task_unref(task);
	for (i = 0; i < HOLDERS; i++)
		pthread_join(t[i], NULL);
	tl_run();		/* the last one may have come by mail */
	tl_stats(&s);
	tap_ok(said("m ") && s.alive == 1 && s.stacks == s.stacks_cached,
	       "task.h: %d threads take and give up handles: the stack comes back once", HOLDERS);
}

/* A thread ends while others want something of its tasklets: see remote.c. */
static struct tl_task *_Atomic doomed[8];

static int fn_doomed(UNUSED void *arg)
{
	long v;

	return tl_chan_recv(never, &v);
}

static void *ends(UNUSED void *arg)
{
	int i;

	for (i = 0; i < 8; i++)
		atomic_store(&doomed[i], spawn(fn_doomed, NULL));
	tl_schedule();
	return NULL;
}

static void *pesters(UNUSED void *arg)
{
	int i, k;

	for (i = 0; i < 8; i++) {
		await(atomic_load(&doomed[i]));
		for (k = 0; k < 3; k++) {
			tl_task_insert(doomed[i]);
			tl_task_kill(doomed[i]);
			tl_task_is_current(doomed[i]);
		}
		tl_task_unref(doomed[i]);
	}
	return NULL;
}

static void test_end(void)
{
	struct tl_chan *lasting = never;
	int i, k;

	for (k = 0; k < 50; k++) {
		pthread_t a, b;

		for (i = 0; i < 8; i++)
			atomic_store(&doomed[i], NULL);
		never = new_chan(sizeof(long), 0);
		a = start(pesters, NULL);
		b = start(ends, NULL);
		pthread_join(a, NULL);
		pthread_join(b, NULL);
		tl_chan_unref(never);
	}
	never = lasting;
	tap_ok(true, "3.6: a thread ends while another kills, inserts and gives up its tasklets");
}

int main(void)
{
	tap_plan(24);
	home = pthread_self();
	never = new_chan(sizeof(long), 0);
	ready = new_chan(sizeof(long), 0);
	test_insert();
	test_run();
	test_kill();
	test_main();
	test_main_ends();
	test_shield();
	test_refused();
	test_unref();
	test_many_handles();
	test_end();
	tl_chan_unref(never);
	tl_chan_unref(ready);
	tap_is(tl_sched_end(), 0, "sched.h: nothing is left");
	return tap_exit();
}
