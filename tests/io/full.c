/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * More operations than any queue holds: more begun in one round than there are submission entries, more completions at
 * one time than there is room for, cancellations and closes on top of that. The same on rings of a few entries and on
 * those that older kernels would have.
 */
#include "iochild.h"

#include <sys/eventfd.h>
#ifndef TL_NO_URING
#include "os/uring.h"
#endif

/* More than the largest ring has. ThreadSanitizer sets up 768 KiB for each tasklet that begins. */
#if defined(__SANITIZE_THREAD__)
#define MANY 500
#else
#define MANY 2000
#endif

static int failures;
static int file_fd, event_fd, end_fd;
static char file_data[65536];

static int fn_pread(void *arg)
{
	size_t at = (uintptr_t)arg * 29 % (sizeof(file_data) - 100);
	char buf[100];
	int i;

	for (i = 0; i < 3; i++)
		failures += tl_pread(file_fd, buf, 100, (off_t)at) != 100 || memcmp(buf, file_data + at, 100) != 0;
	return 0;
}

static int fn_poll(UNUSED void *arg)
{
	failures += tl_poll(event_fd, POLLIN) != POLLIN;
	return 0;
}

static int fn_poll_killed(UNUSED void *arg)
{
	failures += tl_poll(event_fd, POLLIN) != -ECANCELED;
	return 0;
}

static int fn_poll_late(UNUSED void *arg)
{
	failures += tl_poll_until(event_fd, POLLIN, tl_after(MS)) != -ETIMEDOUT;
	return 0;
}

static int fn_read_closed(UNUSED void *arg)
{
	char c;

	failures += tl_read(end_fd, &c, 1) != -ECANCELED;
	return 0;
}

static void many(tl_task_fn *fn)
{
	uintptr_t i;

	for (i = 0; i < MANY; i++)
		go(fn, (void *)i);
}

static bool well(const char *what)
{
	struct tl_stats s;
	bool ok = tl_run() == TL_RUN_FINISHED && !failures;

	s = stats();
	ok &= s.alive == 1 && !s.io_pending && !s.timers;
	if (!ok)
		tap_diag("%s: %d failures, %d alive, %d under way", what, failures, (int)s.alive, (int)s.io_pending);
	failures = 0;
	return ok;
}

static bool reads(void)
{
	many(fn_pread);
	return well("reads");
}

/* All complete at the same time. */
static bool polls(void)
{
	uint64_t value = 1;

	many(fn_poll);
	settle();
	tl_sleep(MS);
	must(write(event_fd, &value, 8) == 8);
	if (!well("polls"))
		return false;
	must(read(event_fd, &value, 8) == 8);
	return true;
}

static bool kills(void)
{
	static struct tl_task *t[MANY];
	int i;

	for (i = 0; i < MANY; i++)
		t[i] = mk(fn_poll_killed, NULL);
	tl_schedule();
	/* One half before the kernel can have heard of it. */
	for (i = 0; i < MANY; i += 2)
		tl_task_kill_later(t[i]);
	tl_sleep(MS);
	for (i = 1; i < MANY; i += 2)
		tl_task_kill_later(t[i]);
	for (i = 0; i < MANY; i++)
		tl_task_unref(t[i]);
	return well("kills");
}

static bool deadlines(void)
{
	many(fn_poll_late);
	return well("deadlines");
}

static bool closes(bool at_once)
{
	int p[2];

	mkpipe(p);
	end_fd = p[0];
	many(fn_read_closed);
	tl_schedule();
	if (!at_once)
		tl_sleep(MS);
	failures += tl_close(end_fd) != 0;
	failures += fcntl(end_fd, F_GETFD) != -1;
	close(p[1]);
	return well("closes");
}

static void open_files(void)
{
	char path[] = "/tmp/tl-full-XXXXXX";

	file_fd = mkstemp(path);
	must(file_fd >= 0);
	unlink(path);
	fill(file_data, sizeof(file_data), 11);
	must(write(file_fd, file_data, sizeof(file_data)) == sizeof(file_data));
	event_fd = eventfd(0, EFD_CLOEXEC);
	must(event_fd >= 0);
}

/* Other threads ring the doorbell while the queue is full. */
static long short_call(void *arg)
{
	return (long)(intptr_t)arg;
}

static int fn_offload(void *arg)
{
	long result = -1;
	char buf[100];
	int i;

	for (i = 0; i < 4; i++) {
		failures += tl_offload(short_call, arg, &result) != 0 || result != (long)(intptr_t)arg;
		failures += tl_pread(file_fd, buf, 100, 0) != 100;
	}
	return 0;
}

static bool offloads(void)
{
	uintptr_t i;

	for (i = 0; i < 200; i++)
		go(fn_offload, (void *)i);
	return well("offloads");
}

/* A whole number of queues is done at once, and the one behind it waits for the last of them. */
static int left;

static int fn_read_last(UNUSED void *arg)
{
	uint64_t value = 1;
	char buf[100];

	failures += tl_pread(file_fd, buf, 100, 0) != 100;
	if (!--left)
		must(write(event_fd, &value, 8) == 8);
	return 0;
}

static int fn_poll_last(UNUSED void *arg)
{
	uint64_t value;

	failures += tl_poll_until(event_fd, POLLIN, tl_after(5000 * MS)) != POLLIN;
	must(read(event_fd, &value, 8) == 8);
	return 0;
}

static bool whole_queues(void)
{
	struct tl_features f = { .size = sizeof(f) };
	int entries, n, i;

	must(!tl_features(&f));
	entries = f.io_uring_entries ? (int)f.io_uring_entries : 256;
	for (n = entries > 2 ? entries - 2 : 1; n <= entries + 2; n++) {
		left = n;
		for (i = 0; i < n; i++)
			go(fn_read_last, NULL);
		go(fn_poll_last, NULL);
		if (!well("whole queues"))
			return false;
	}
	return true;
}

#define N_LOADS 8

static void test_here(void)
{
	tap_ok(reads(), "%d tasklets read at once", MANY);
	tap_ok(polls(), "%d polls come true at once", MANY);
	tap_ok(kills(), "%d polls are killed", MANY);
	tap_ok(deadlines(), "%d deadlines pass", MANY);
	tap_ok(closes(true), "a descriptor with %d reads that have hardly begun is closed", MANY);
	tap_ok(closes(false), "... and that have begun");
	tap_ok(offloads(), "200 tasklets offload and read");
	tap_ok(whole_queues(), "who is done with a full queue goes on, though one behind it waits");
}

#ifndef TL_NO_URING
struct shape {
	const char *what;
	unsigned int entries;
	uint32_t refused;
	bool old;
};

static const struct shape shapes[] = {
	{ "2 entries", 2, 0, false },
	{ "16 entries", 16, 0, false },
	{ "256 entries, and room for as many completions", 256, 0, false },
	{ "COOP_TASKRUN, 8 entries", 8, IORING_SETUP_DEFER_TASKRUN, true },
	{ "SUBMIT_ALL, 8 entries", 8, IORING_SETUP_TASKRUN_FLAG, true },
	{ "no flags, 8 entries", 8, IORING_SETUP_SUBMIT_ALL, true },
	{ "no flags, 1 entry", 1, IORING_SETUP_SUBMIT_ALL, true },
};

static int in_shape(void *arg)
{
	const struct shape *shape = arg;

	tl__uring_test_entries = shape->entries;
	tl__uring_test_refused = shape->refused;
	tl__uring_test_old = shape->old;
	child_check(!strcmp(backend(), "io_uring"), "%s", backend());
	child_check(reads() && polls() && kills() && deadlines() && closes(true) && closes(false) &&
		    offloads() && whole_queues(), "%s", shape->what);
	child_check(!tl_sched_end(), "%s", shape->what);
	return 0;
}

/* An io_uring can be had, and is wanted. The children are forked before their parent has IO. */
static int look(UNUSED void *arg)
{
	return strcmp(backend(), "io_uring") != 0;
}

static void test_shapes(void)
{
	bool none = in_child(look, NULL);
	size_t i;

	for (i = 0; i < ARRAY_LEN(shapes); i++)
		if (none)
			tap_skip("%s: no io_uring here", shapes[i].what);
		else
			tap_is(in_child(in_shape, (void *)&shapes[i]), 0, "a ring of %s", shapes[i].what);
}
#define N_SHAPES ((int)ARRAY_LEN(shapes))
#else
#define N_SHAPES 0
static void test_shapes(void)
{
}
#endif

int main(void)
{
	tap_plan(N_SHAPES + N_LOADS);
	open_files();
	test_shapes();
	test_here();
	tl_sched_end();
	return tap_exit();
}
