/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The settings nice, sched=fifo and cpuslice: threads that come back from blocking are favoured, those that compute are
 * not, and nobody is any more who has left; nor what a favoured one makes. sched=ext where there is none.
 */
#include <sys/resource.h>
#include <sys/wait.h>

#include "actors.h"
#include "scheduled.h"

static struct scheduled before;	/* what every thread here begins with */

static const struct favour {
	const char *setting;
	uint32_t policy;
	int nice;
	uint64_t slice_ns;	/* 0: as it was */
} favours[] = {
	{ "nice=-10", SCHED_OTHER, -10, 0 },
	{ "sched=fifo", SCHED_FIFO, 0, 0 },
	{ "cpuslice=100us", SCHED_OTHER, 0, 100000 },
	{ "nice=-20,cpuslice=20ms,sched=ext", SCHED_OTHER, -20, 20000000 },
};

static bool is_favoured(const struct scheduled *s, const struct favour *f)
{
	bool is_fifo = s->by.policy == SCHED_FIFO;

	/* What asks for a scheduler has it, where there are such. */
	return (s->by.policy == f->policy || (s->by.policy == TL__SCHED_EXT && f->policy == SCHED_OTHER)) &&
	       s->by.nice == f->nice && s->by.priority == is_fifo &&
	       (is_fifo || s->by.slice_ns == (f->slice_ns ? f->slice_ns : before.by.slice_ns)) &&
	       s->by.flags == TL__SCHED_RESET_ON_FORK;
}

static bool has_favour(const struct actor *actor, const struct favour *f)
{
	struct scheduled now = scheduled(actor->t->tid);

	return is_favoured(&now, f);
}

/* Or by another scheduler, if it has asked for that. */
static bool is_as_before(const struct scheduled *now)
{
	struct scheduled normal = *now;

	if (now->by.policy == TL__SCHED_EXT)
		normal.by.policy = SCHED_OTHER;
	return is_same(&normal, &before);
}

static bool has_none(const struct actor *actor)
{
	struct scheduled now = scheduled(actor->t->tid);

	return is_as_before(&now);
}

/* Longer than a call takes that does not block. */
static void blocks(struct actor *actor)
{
	uint64_t end;

	let(actor, BEGIN);
	end = tl_after(MS);
	await(tl_now() >= end);
	let(actor, END);
}

/* The calling thread does. */
static void blocks_here(void)
{
	tl_gil_block_begin();
	tl_sleep(MS);
	tl_gil_block_end();
}

/* Ticks until @next has it, who waits. */
static void tick_over(struct actor *actor, struct actor *next)
{
	while (!has_it(next)) {
		if (is_done(actor))
			tell(actor, TICK);
		nap();
	}
	done(next);
}

/* --- when ------------------------------------------------------------------------------------------------------------- */

/* Whoever computes is asked at once, and nobody has had it for too long. */
#define EAGER "interval=1us,ticks=1,yields=1,least=1us,starve=1h,slice=1h"

/* a comes in to be favoured so. Returns its tid. */
static int first_comes(const char *spec)
{
	open_scene(spec);
	comes_new(&a);
	done(&a);
	return a.t->tid;
}

static void open_favoured(const char *policy, const struct favour *f)
{
	char spec[160];

	snprintf(spec, sizeof(spec), "%s," EAGER ",%s", policy, f->setting);
	first_comes(spec);
}

/* While it waits for the lock, has it, blocks, and comes back. */
static void test_contended(const struct favour *f)
{
	bool ok;

	open_favoured("handoff", f);
	ok = has_none(&a);
	let(&a, BEGIN);
	comes_new(&b);
	done(&b);	/* takes what a keeps */
	ok &= has_none(&a);
	tell(&a, END);
	await(has_favour(&a, f));
	ok &= !has_it(&a) && has_none(&b);
	tap_ok(ok, "%s: who comes back is favoured before it has the lock", f->setting);
	tick_over(&b, &a);
	ok = has_favour(&a, f);
	let(&a, BEGIN);
	done(&b);
	ok &= has_favour(&a, f) && has_none(&b);
	let(&b, DETACH);
	let(&a, END);
	tap_ok(ok && has_favour(&a, f), "%s: and when it has it, and in its next call", f->setting);
	close_scene();
}

/* Nobody wants the lock, so it never had to wait for it; then somebody does. */
static void test_lets_go(const char *policy, const struct favour *f)
{
	bool ok;

	open_favoured(policy, f);
	ok = has_none(&a);
	blocks(&a);
	ok &= has_favour(&a, f);
	comes_new(&b);
	tick_over(&a, &b);
	await(has_none(&a));
	let(&b, DETACH);
	done(&a);
	tap_ok(ok && has_none(&a), "%s, %s: until it is made to let go", policy, f->setting);
	close_scene();
}

/* How a new thread begins. */
static void *is_made(void *arg)
{
	struct scheduled *made = arg;

	*made = scheduled(0);
	return NULL;
}

/* A thread of its own, which can be seen after it has left. */
static void *comes_and_goes(void *arg)
{
	const struct favour *f = arg;
	struct scheduled now, made;
	struct tl_gil *gil;
	char spec[96];
	int status = -1, tries = 0;
	pid_t pid;
	bool ok;

	snprintf(spec, sizeof(spec), "handoff,%s", f->setting);
	gil = new_gil(spec);
	come_in(gil);
	do {
		tl_sleep(2 * MS);	/* its scheduler does, if that is not over before it comes to it */
		now = scheduled(0);
	} while (!is_favoured(&now, f) && tries++ < 100);
	if (!tap_ok(is_favoured(&now, f), "%s: who sleeps as a tasklet is favoured too", f->setting))
		show("it", &now);
	in_thread(is_made, &made);
	made.by.slice_ns = before.by.slice_ns;	/* the kernel's for a thread that has none of its own */
	if (!tap_ok(is_as_before(&made), "%s: threads that it makes are not", f->setting))
		show("one of them", &made);
	pid = fork();
	if (!pid) {
		ok = is_still(&before) && tl_gil_is_held();
		blocks_here();
		ok &= is_still(&before) && !tl_gil_detach() && is_still(&before);
		_exit(!ok);
	}
	waitpid(pid, &status, 0);
	tap_is(status, 0, "%s: nor the child of its fork", f->setting);
	ok = !tl_gil_detach() && is_still(&before);
	tap_ok(ok, "%s: nor itself after it has left", f->setting);
	tl_gil_free(gil);
	return NULL;
}

/* It computes while nobody wants the lock: some ticks after a while end it, and coming back begins it again. */
static void test_computes(const struct favour *f)
{
	open_favoured("handoff", f);
	blocks(&a);
	while (!has_none(&a))
		let(&a, TICKS);
	blocks(&a);
	tap_ok(has_favour(&a, f), "%s: not when it computes; again when it has blocked", f->setting);
	close_scene();
}

/* --- when not --------------------------------------------------------------------------------------------------------- */

/* Tells only if all happened within less time than that takes. */
static bool in_time(uint64_t since, uint64_t ns)
{
	return tl_now() - since < ns;
}

static void *calls_quickly(UNUSED void *arg)
{
	struct tl_gil *gil = new_gil("handoff,nice=-3");
	struct scheduled quick, early;
	uint64_t since;
	int i;

	do {
		tl_gil_detach();
		come_in(gil);
		since = tl_now();
		tl_gil_block_begin();
		tl_gil_block_end();
		quick = scheduled(0);
	} while (!in_time(since, 50000));
	tap_ok(is_as_before(&quick), "a call that does not block is none to come back from");
	do {
		blocks_here();
		since = tl__computed();
		for (i = 0; i < 600; i++) {
			if (!(i % 200))
				clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){ 0, 2 * MS }, NULL);
			tl_tick();
		}
		early = scheduled(0);
	} while (tl__computed() - since >= MS);
	tap_is(early.by.nice, -3, "who computes for less than 1 ms keeps its favour, however long that takes");
	tl_gil_detach();
	tl_gil_free(gil);
	return NULL;
}

static void renice(int tid, int nice)
{
	if (setpriority(PRIO_PROCESS, (id_t)tid, nice))
		tap_bail("can't renice a thread");
}

/* What others do to a thread is not undone: to one that is not favoured at the time, */
static void test_reniced(void)
{
	int tid = first_comes("handoff,nice=-10");
	bool ok;

	renice(tid, 3);
	blocks(&a);
	ok = scheduled(tid).by.nice == 3;
	let(&a, DETACH);
	tap_ok(ok && scheduled(tid).by.nice == 3, "who was reniced is left alone");
	renice(tid, 0);
	close_scene();
}

/* and to one that is. */
static void test_reniced_favoured(void)
{
	int tid = first_comes("handoff,nice=-10");
	uint64_t end;
	bool ok;

	blocks(&a);
	ok = scheduled(tid).by.nice == -10;
	renice(tid, -7);
	end = tl_after(3 * MS);
	do
		let(&a, TICKS);
	while (tl_now() < end);
	ok &= scheduled(tid).by.nice == -7;
	let(&a, DETACH);
	tap_ok(ok && scheduled(tid).by.nice == -7, "also if it was favoured");
	close_scene();
	dismiss();	/* it has a flag that is not taken away any more */
	cast();
}

static bool is_left_alone(const char *spec)
{
	struct tl_gil *gil = new_gil(spec);
	struct scheduled now = scheduled(0);
	bool ok;

	come_in(gil);
	ok = is_still(&now);
	blocks_here();
	ok &= is_still(&now);
	tl_gil_detach();
	tl_gil_free(gil);
	return ok && is_still(&now);
}

/* A nice value that is less already, and a policy of its own. */
static void *has_its_own(UNUSED void *arg)
{
	struct tl__sched own = before.by;

	own.nice = -15;
	if (tl__sched_set(&own))
		tap_bail("can't renice");
	tap_ok(is_left_alone("handoff,nice=-10"), "who has better than that keeps it");
	own.nice = 0;
	own.slice_ns = 0;
	own.policy = SCHED_RR;
	own.priority = 2;
	if (tl__sched_set(&own))
		tap_bail("can't have a policy");
	tap_ok(is_left_alone("handoff,sched=fifo") && is_left_alone("handoff,sched=ext"),
	       "who has a real-time policy keeps that");
	return NULL;
}

static void *ends_favoured(void *arg)
{
	come_in(arg);
	blocks_here();
	return NULL;
}

static bool can_have(const struct favour *f)
{
	char spec[64];
	int r;

	snprintf(spec, sizeof(spec), "handoff,%s", f->setting);
	r = try_attach(spec);
	return r != -EPERM && r != -EOPNOTSUPP && r != -ENOSYS;
}

#define TESTS_EACH 8

static void test_each(const struct favour *f)
{
	int i;

	if (!can_have(f)) {
		for (i = 0; i < TESTS_EACH; i++)
			tap_skip("%s can't be had here", f->setting);
		return;
	}
	test_contended(f);
	test_lets_go("handoff", f);
	test_computes(f);
	in_thread(comes_and_goes, (void *)(uintptr_t)f);
}

int main(void)
{
	size_t i;

	before = scheduled(0);
	tap_plan(TESTS_EACH * ARRAY_LEN(favours) + 10);
	cast();
	for (i = 0; i < ARRAY_LEN(favours); i++)
		test_each(&favours[i]);
	if (!can_have(&favours[0])) {
		dismiss();
		tap_skip_rest("nice=-10 can't be had here");
		return tap_exit();
	}
	for (i = 1; tl_gil_policy_at((unsigned int)i); i++)
		test_lets_go(tl_gil_policy_at((unsigned int)i), &favours[0]);
	in_thread(calls_quickly, NULL);
	test_reniced();
	test_reniced_favoured();
	in_thread(has_its_own, NULL);
	the_gil = new_gil("handoff,sched=fifo");
	in_thread(ends_favoured, the_gil);
	tap_is(tl_gil_free(the_gil), 0, "one that ends favoured");
	dismiss();
	return tap_exit();
}
