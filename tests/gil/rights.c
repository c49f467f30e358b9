/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The setting pin; and what a thread finds that may not have what its lock's settings ask for: an error, and nothing
 * has changed. Who may have it by a limit, without being root.
 */
#include <sys/resource.h>
#include <sys/wait.h>

#include "scheduled.h"
#include "base/alloc.h"

static struct scheduled before;

/* --- pin -------------------------------------------------------------------------------------------------------------- */

static bool is_on(const struct scheduled *s, int processor)
{
	return CPU_COUNT(&s->on) == 1 && CPU_ISSET(processor, &s->on);
}

/* The nth that may be used. */
static int processor(int n)
{
	int i = 0;

	while (!CPU_ISSET(i, &before.on) || n--)
		i++;
	return i;
}

static bool is_pinned_in(const char *spec, int to)
{
	struct tl_gil *gil = new_gil(spec);
	struct scheduled now;
	bool ok;

	come_in(gil);
	now = scheduled(0);
	ok = is_on(&now, to) && tl__sched_is(&now.by, &before.by);
	tl_gil_block_begin();
	now = scheduled(0);
	ok &= is_on(&now, to);
	tl_gil_block_end();
	tl_gil_detach();
	tl_gil_free(gil);
	return ok && is_still(&before);
}

/* pin=here: where it was made, wherever its threads are. */
static void *pins_here(UNUSED void *arg)
{
	int last = processor(CPU_COUNT(&before.on) - 1);
	struct tl_gil *gil;
	struct scheduled now;
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(last, &one);
	sched_setaffinity(0, sizeof(one), &one);
	gil = new_gil("handoff,pin=here");
	sched_setaffinity(0, sizeof(before.on), &before.on);
	come_in(gil);
	now = scheduled(0);
	tap_ok(is_on(&now, last), "pin=here");
	tl_gil_detach();
	tl_gil_free(gil);
	return NULL;
}

static void test_pin(void)
{
	char spec[32];
	int last = processor(CPU_COUNT(&before.on) - 1);

	tap_ok(is_pinned_in("handoff,pin=first", processor(0)), "pin=first, and where it blocks, until it leaves");
	snprintf(spec, sizeof(spec), "interval,pin=%d", last);
	tap_ok(is_pinned_in(spec, last), "pin=NUMBER");
	in_thread(pins_here, NULL);
}

/* Its child may use all of them, and so may it itself. */
static void test_pin_fork(struct tl_gil *gil)
{
	int status = -1;
	pid_t pid;

	come_in(gil);
	pid = fork();
	if (!pid)
		_exit(!is_still(&before) || !tl_gil_is_held() || tl_gil_detach() || !is_still(&before));
	waitpid(pid, &status, 0);
	tl_gil_detach();
	tap_is(status, 0, "the child of a fork is not pinned");
}

/* A processor that it may not use, any more; and one that somebody else has chosen meanwhile. */
static void test_pin_others(struct tl_gil *first)
{
	int last = processor(CPU_COUNT(&before.on) - 1);
	struct tl_error *error;
	struct scheduled now;
	struct tl_gil *gil;
	cpu_set_t one;
	bool ok;

	if (CPU_COUNT(&before.on) < 2) {
		tap_skip("one processor");
		tap_skip("one processor");
		return;
	}
	CPU_ZERO(&one);
	CPU_SET(last, &one);
	come_in(first);
	sched_setaffinity(0, sizeof(one), &one);
	tl_gil_detach();
	now = scheduled(0);
	tap_ok(is_on(&now, last), "who has been moved meanwhile stays there");
	ok = tl_gil_new(&gil, "handoff,pin=0", &error) == -EINVAL && error;
	ok &= !strcmp(tl_error_message(error), "pin=0: neither first, here nor the number of a processor that this thread may use");
	tl_error_free(error);
	sched_setaffinity(0, sizeof(before.on), &before.on);
	tap_ok(ok || processor(0), "a processor that may not be used is refused in words");
}

/* --- rights ----------------------------------------------------------------------------------------------------------- */

static bool is_refused(const char *spec, int error)
{
	struct tl_gil *gil = new_gil(spec), *other = new_gil("handoff");
	bool ok;

	errno = 4711;
	ok = tl_gil_attach(gil) == error && errno == 4711 && is_still(&before) && !tl_gil_current();
	ok &= tl_gil_detach() == -EINVAL;
	/* There is nothing left of it. */
	ok &= !tl_gil_attach(other) && !tl_gil_detach();
	ok &= !tl_gil_free(gil) && !tl_gil_free(other);
	return ok;
}

/* Not everybody, root included, may have more than there was. */
static bool can_limit(int what, rlim_t to)
{
	struct rlimit limit = { to, to };

	return !setrlimit((__rlimit_resource_t)what, &limit);
}

/* With these limits. */
static bool can_become_nobody(rlim_t nice, rlim_t real_time)
{
	return can_limit(RLIMIT_NICE, nice) && can_limit(RLIMIT_RTPRIO, real_time) && (geteuid() || !setuid(65534));
}

static void become_nobody(void)
{
	if (!can_become_nobody(0, 0))
		tap_bail("can't become nobody");
}

/* Comes back from blocking and leaves. What is left is a flag that only root takes away. */
static bool is_favoured_once(const char *spec, uint32_t policy, int nice)
{
	struct tl_gil *gil = new_gil(spec);
	struct scheduled now;
	bool ok;

	come_in(gil);
	now = scheduled(0);
	ok = tl__sched_is(&now.by, &before.by);
	tl_gil_block_begin();
	tl_sleep(MS);
	tl_gil_block_end();
	now = scheduled(0);
	ok &= now.by.policy == policy && now.by.nice == nice;
	tl_gil_detach();
	now = scheduled(0);
	return ok && tl__sched_is(&now.by, &before.by) && !tl_gil_free(gil);
}

/* Exit statuses: 0, 1, or TAP_EXIT_SKIP. */
static int has_no_rights(void)
{
	become_nobody();
	return !(is_refused("handoff,nice=-1", -EPERM) && is_refused("handoff,sched=fifo", -EPERM) &&
	       is_refused("interval,pin=first,nice=-20,cpuslice=3ms", -EPERM) &&
	       is_refused("handoff,sched=fifo,pin=first", -EPERM) && !try_attach("handoff,sched=ext"));
}

static int has_limits(void)
{
	if (!can_become_nobody(25, 1))
		return TAP_EXIT_SKIP;
	return !(is_refused("handoff,nice=-6", -EPERM) && is_favoured_once("handoff,nice=-5", SCHED_OTHER, -5) &&
	       is_favoured_once("handoff,sched=fifo", SCHED_FIFO, 0));
}

/* What it was allowed once, and is not any more. */
static int loses_rights(void)
{
	struct tl_gil *gil = new_gil("handoff,nice=-5");

	come_in(gil);
	become_nobody();
	tl_gil_block_begin();
	tl_sleep(MS);
	tl_gil_block_end();
	return !(is_still(&before) && !tl_gil_detach() && is_still(&before));
}

/* While it was favoured: it goes back all the same. */
static int loses_rights_favoured(void)
{
	struct tl_gil *gil = new_gil("handoff,sched=fifo");
	struct scheduled now;

	come_in(gil);
	tl_gil_block_begin();
	tl_sleep(MS);
	tl_gil_block_end();
	become_nobody();
	now = scheduled(0);
	if (now.by.policy != SCHED_FIFO || tl_gil_detach())
		return 1;
	now = scheduled(0);
	return !tl__sched_is(&now.by, &before.by);
}

static void in_child(int (*fn)(void), const char *name)
{
	int status = -1;
	pid_t pid = fork();

	if (!pid)
		_exit(fn());
	waitpid(pid, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == TAP_EXIT_SKIP)
		tap_skip("%s: can't be had here", name);
	else
		tap_is(status, 0, "%s", name);
}

/* --- failures --------------------------------------------------------------------------------------------------------- */

/* Each call of the kernel fails once: then the thread is outside, or inside, and in the end as it was. */
static void test_failures(const char *spec)
{
	struct tl_gil *gil = new_gil(spec);
	unsigned long n;
	bool ok = true;
	int r;

	for (n = 1; n < 20; n++) {
		tl__fault_arm(n, false);
		r = tl_gil_attach(gil);
		tl__fault_arm(0, false);
		ok &= r ? is_still(&before) && !tl_gil_current() : !tl_gil_detach() && is_still(&before);
	}
	tap_ok(ok && !tl_gil_free(gil), "%s: attach, where the kernel fails", spec);
}

int main(void)
{
	struct tl_gil *gil;

	tap_plan(12);
	before = scheduled(0);
	test_pin();
	gil = new_gil("handoff,pin=first");
	test_pin_fork(gil);
	test_pin_others(gil);
	tl_gil_free(gil);
	in_child(has_no_rights, "without any right");
	if (try_attach("handoff,nice=-1,sched=fifo")) {
		tap_skip_rest("no right to favour a thread");
		return tap_exit();
	}
	in_child(has_limits, "with limits that allow it");
	in_child(loses_rights, "whose rights are taken away meanwhile");
	in_child(loses_rights_favoured, "and in the midst of it");
	test_failures("handoff,nice=-5,pin=first");
	test_failures("handoff,sched=fifo");
	return tap_exit();
}
