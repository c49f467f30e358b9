/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What each call of the lock says and does: names and settings, also wrong ones; who is attached and who holds it;
 * nested calls that block; threads that end inside one; no memory; statistics; the child of a fork.
 */
#include <sys/wait.h>

#include "gil.h"
#include "base/alloc.h"
#include "emulated.h"

/* --- words ------------------------------------------------------------------------------------------------------------ */

#define NO_PROCESSOR "neither first, here nor the number of a processor that this thread may use"

static const struct {
	const char *spec, *says;
} wrong[] = {
	{ "fair", "there is no policy 'fair', but: handoff, priority, interval, ticks" },
	{ "handoff:", NULL },
	{ "handoff:spin", "there is no lock 'spin', but: futex, emulated, pthread, birrell" },
	{ "Handoff", "there is no policy 'Handoff', but: handoff, priority, interval, ticks" },
	{ "handoff,often=1", "there is no setting 'often', but: interval, least, ticks, yields, starve, slice, sched, nice, cpuslice, pin" },
	{ "handoff,interval", "there is no NAME=VALUE 'interval', but: interval, least, ticks, yields, starve, slice, sched, nice, cpuslice, pin" },
	{ "handoff,", "there is no NAME=VALUE '', but: interval, least, ticks, yields, starve, slice, sched, nice, cpuslice, pin" },
	{ "handoff,interval=", "interval=: not a time from 1us to 1h, as 5ms" },
	{ "handoff,interval=0", "interval=0: not a time from 1us to 1h, as 5ms" },
	{ "interval,interval=2h", "interval=2h: not a time from 1us to 1h, as 5ms" },
	{ "interval,interval=5ms,interval=5 ms", "interval=5 ms: not a time from 1us to 1h, as 5ms" },
	{ "ticks,ticks=0", "ticks=0: not a number from 1 to 1000000000" },
	{ "ticks,ticks=10x", "ticks=10x: not a number from 1 to 1000000000" },
	{ "ticks,ticks=1000000001", "ticks=1000000001: not a number from 1 to 1000000000" },
	{ "handoff,sched=rr", "sched=rr: none of normal, ext, fifo" },
	{ "handoff,nice=", "nice=: not a number from -20 to -1" },
	{ "handoff,nice=0", "nice=0: not a number from -20 to -1" },
	{ "handoff,nice=-0", "nice=-0: not a number from -20 to -1" },
	{ "handoff,nice=5", "nice=5: not a number from -20 to -1" },
	{ "handoff,nice=-21", "nice=-21: not a number from -20 to -1" },
	{ "handoff,nice=-5x", "nice=-5x: not a number from -20 to -1" },
	{ "handoff,cpuslice=99us", "cpuslice=99us: not a time from 100us to 100ms, as 100us" },
	{ "handoff,cpuslice=101", "cpuslice=101: not a time from 100us to 100ms, as 100us" },
	{ "handoff,cpuslice=", "cpuslice=: not a time from 100us to 100ms, as 100us" },
	{ "handoff,pin=", "pin=: " NO_PROCESSOR },
	{ "handoff,pin=there", "pin=there: " NO_PROCESSOR },
	{ "handoff,pin=-1", "pin=-1: " NO_PROCESSOR },
	{ "handoff,pin=1023", "pin=1023: " NO_PROCESSOR },
	{ "handoff,pin=1024", "pin=1024: " NO_PROCESSOR },
	{ "priority,yields=-1", "yields=-1: not a number from 1 to 1000000000" },
};

static const char *const right[][2] = {
	{ "", "handoff:futex" },
	{ "handoff", "handoff:futex" },
	{ ":pthread", "handoff:pthread" },
	{ ",slice=2ms", "handoff:futex" },
	{ "handoff:", "handoff:futex" },
	{ "ticks:emulated,ticks=1", "ticks:emulated" },
	{ "interval,interval=1us", "interval:futex" },
	{ "priority:birrell,yields=3,ticks=1000000000", "priority:birrell" },
	{ "handoff,sched=ext", "handoff:futex" },
	{ "handoff,sched=normal", "handoff:futex" },
	{ "ticks,sched=fifo,nice=-20,cpuslice=100,pin=here", "ticks:futex" },
	{ "ticks,nice=-1,cpuslice=0.1,pin=first", "ticks:futex" },
	{ "handoff:futex,interval=5,slice=1.5ms,starve=1h", "handoff:futex" },
};

static void test_wrong(void)
{
	struct tl_error *error;
	struct tl_gil *gil = (void *)1;
	char longest[400];
	unsigned int i;
	int r;

	for (i = 0; i < ARRAY_LEN(wrong); i++) {
		if (!wrong[i].says)
			continue;
		gil = (void *)1;
		r = tl_gil_new(&gil, wrong[i].spec, &error);
		tap_ok(r == -EINVAL && !gil && error && !strcmp(tl_error_message(error), wrong[i].says),
		       "'%s' is refused in words", wrong[i].spec);
		if (error && strcmp(tl_error_message(error), wrong[i].says))
			tap_diag("%s", tl_error_message(error));
		tl_error_free(error);
		tap_is(tl_gil_new(&gil, wrong[i].spec, NULL), -EINVAL, "and without");
	}
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	r = tl_gil_new(&gil, longest, &error);
	tap_ok(r == -EINVAL && !gil && error, "a long one is refused");
	tl_error_free(error);
}

static void test_right(void)
{
	struct tl_gil *gil;
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(right); i++) {
		gil = new_gil(right[i][0]);
		tap_ok(!strcmp(tl_gil_name(gil), right[i][1]), "'%s' is %s", right[i][0], right[i][1]);
		tl_gil_free(gil);
	}
	setenv("TL_GIL", "ticks:pthread", 1);
	gil = new_gil(NULL);
	tap_ok(!strcmp(tl_gil_name(gil), "ticks:pthread"), "TL_GIL is the default");
	tl_gil_free(gil);
	gil = new_gil("interval");
	tap_ok(!strcmp(tl_gil_name(gil), "interval:futex"), "of the whole");
	tl_gil_free(gil);
}

static void test_wrong_environment(void)
{
	struct tl_error *error;
	struct tl_gil *gil;

	setenv("TL_GIL", "best", 1);
	tap_is(tl_gil_new(&gil, NULL, &error), -EINVAL, "TL_GIL=best is refused");
	tap_ok(error && !strncmp(tl_error_message(error), "TL_GIL: there is no policy 'best'", 33),
	       "by its name");
	tl_error_free(error);
	unsetenv("TL_GIL");
}

/* --- states ------------------------------------------------------------------------------------------------------------- */

static void test_states(struct tl_gil *gil)
{
	bool ok = tl_gil_detach() == -EINVAL && !tl_gil_current() && !tl_gil_is_held() && !tl_gil_yield();

	tl_gil_block_begin();	/* nothing happens */
	tl_gil_block_end();
	tl_tick();
	errno = 4711;
	ok &= !tl_gil_attach(gil) && tl_gil_attach(gil) == -EBUSY && tl_gil_free(gil) == -EBUSY;
	ok &= tl_gil_current() == gil && tl_gil_is_held();
	tl_gil_block_end();	/* of no begin() */
	ok &= tl_gil_is_held();
	tl_gil_block_begin();
	ok &= !tl_gil_is_held() && !tl_gil_yield();
	tl_gil_block_begin();
	tl_gil_block_end();
	ok &= !tl_gil_is_held();
	tl_tick();
	tl_gil_block_end();
	ok &= tl_gil_is_held() && stats_of(gil).holds;
	ok &= !tl_gil_detach() && !tl_gil_is_held() && !tl_gil_current() && !stats_of(gil).holds;
	ok &= errno == 4711;
	tap_ok(ok, "%s: who is in, who holds it", tl_gil_name(gil));
}

static void *ends_outside(void *arg)
{
	come_in(arg);
	tl_gil_block_begin();
	return NULL;
}

static void *ends_holding(void *arg)
{
	come_in(arg);
	return NULL;
}

static void test_ends(struct tl_gil *gil)
{
	in_thread(ends_outside, gil);
	in_thread(ends_holding, gil);
	in_thread(ends_outside, gil);
	tap_ok(!tl_gil_attach(gil) && !tl_gil_detach(), "%s: threads that end without a word", tl_gil_name(gil));
}

/* --- statistics ---------------------------------------------------------------------------------------------------------- */

struct seen {
	int threads, holders, stop_after;
	uint64_t count;
};

static bool see(const struct tl_gil_stats *stats, void *arg)
{
	struct seen *seen = arg;

	if (stats->size != sizeof(*stats))
		return false;
	if (!stats->tid) {
		seen->count = stats->waits[0].count;
	} else {
		seen->threads++;
		seen->holders += stats->holds;
	}
	return seen->threads != seen->stop_after;
}

static struct tl_gil *shared;

static void *waits_once(UNUSED void *arg)
{
	reach(1);
	come_in(shared);	/* held by main */
	tl_gil_block_begin();
	reach(2);
	await_step(3);
	tl_gil_block_end();
	return NULL;
}

static void test_stats(struct tl_gil *gil)
{
	struct seen all = { .stop_after = -1 }, first = { .stop_after = 1 }, after = { .stop_after = -1 };
	struct tl_gil_stats stats;
	pthread_t thread;

	shared = gil;
	reach(0);
	come_in(gil);
	thread = start(waits_once, NULL);
	await_step(1);
	nap();
	tl_gil_block_begin();
	await_step(2);
	tl_gil_block_end();
	tl_gil_stats(gil, see, &all);
	tl_gil_stats(gil, see, &first);
	reach(3);
	tl_gil_block_begin();
	pthread_join(thread, NULL);
	tl_gil_block_end();
	tl_gil_stats(gil, see, &after);
	tl_gil_detach();
	stats = stats_of(gil);
	tap_ok(all.threads == 2 && all.holders == 1 && first.threads == 1 && after.threads == 1,
	       "%s: the threads that there are", tl_gil_name(gil));
	tap_ok(after.count >= all.count && stats.waits[0].count >= after.count &&
	       stats.waits[0].max_ns <= stats.waits[0].sum_ns,
	       "%s: what is counted is not lost with its thread", tl_gil_name(gil));
}

/* --- no memory ------------------------------------------------------------------------------------------------------------ */

static void test_memory(void)
{
	struct tl_error *error = NULL;
	struct tl_gil *gil;
	unsigned long n, failures = 0;

	for (n = 1; n < 10; n++) {
		tl__fault_arm(n, false);
		if (!tl_gil_new(&gil, "handoff", &error)) {
			tl__fault_arm(0, false);
			tl_gil_free(gil);
			break;
		}
		tl__fault_arm(0, false);
		failures += !gil && !error;
	}
	tap_ok(failures == n - 1 && n > 1, "tl_gil_new() without memory");
	tl__fault_arm(2, false);
	n = (unsigned long)tl_gil_new(&gil, "bad", &error);
	tl__fault_arm(0, false);
	tap_ok((int)n == -EINVAL && !gil && !error, "and no words for an error");
	gil = new_gil("handoff");
	for (n = 1, failures = 0; n < 10; n++) {
		tl__fault_arm(n, false);
		if (!tl_gil_attach(gil))
			break;
		tl__fault_arm(0, false);
		failures += !tl_gil_current();
	}
	tl__fault_arm(0, false);
	tap_ok(failures == n - 1 && n > 1, "tl_gil_attach() likewise");
	tl_gil_detach();
	tl_gil_free(gil);
	tap_is(tl_gil_free(NULL), 0, "nothing is freed");
}

/* --- forks ------------------------------------------------------------------------------------------------------------------ */

static void *waits_for_it(UNUSED void *arg)
{
	reach(1);
	come_in(shared);
	return NULL;
}

/* What a child finds: the lock is its own, or free, and nobody else is there. */
static int child(bool attached)
{
	struct seen seen = { .stop_after = -1 };

	if (!attached)
		come_in(shared);
	else if (!tl_gil_is_held())
		tl_gil_block_end();
	tl_gil_stats(shared, see, &seen);
	tl_gil_yield();
	if (seen.threads != 1 || !tl_gil_is_held() || tl_gil_detach())
		return 1;
	if (!no_threads_in_child())
		in_thread(ends_holding, shared);
	return tl_gil_free(shared) ? 2 : 0;
}

static bool forks_well(bool attached)
{
	int status = -1;
	pid_t pid = fork();

	if (!pid)
		_exit(child(attached));
	waitpid(pid, &status, 0);
	return status == 0;
}

static void test_fork(struct tl_gil *gil)
{
	pthread_t thread;
	bool ok;

	shared = gil;
	reach(0);
	come_in(gil);
	thread = start(waits_for_it, NULL);
	await_step(1);
	nap();
	ok = forks_well(true);
	tl_gil_block_begin();
	pthread_join(thread, NULL);
	ok &= forks_well(true);
	tl_gil_block_end();
	tl_gil_detach();
	ok &= forks_well(false);
	tap_ok(ok, "%s: in the child of a fork", tl_gil_name(gil));
}

int main(void)
{
	tap_plan(5 * count_gils() + 2 * (ARRAY_LEN(wrong) - 1) + ARRAY_LEN(right) + 9);
	test_wrong();
	test_right();
	test_wrong_environment();
	each_gil(test_states);
	each_gil(test_ends);
	each_gil(test_stats);
	test_memory();
	each_gil(test_fork);
	return tap_exit();
}
