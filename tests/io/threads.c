/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Schedulers that live only for one call, so that their end races with the threads that served them; and the pool
 * across fork(): the child begins with an empty one, and the parent does not notice.
 */
#include "iotest.h"

#include <limits.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/wait.h>

#if IOTEST_TSAN
#define LIVES 150
#elif IOTEST_ASAN
#define LIVES 400
#else
#define LIVES 1500
#endif
#define AT_A_TIME 4

static _Atomic int wrong;

static void expect(bool ok)
{
	if (!ok)
		atomic_fetch_add(&wrong, 1);
}

static long fn_add(void *arg)
{
	return (long)arg + 1;
}

/* The shortest life: no IO, so that the thread sleeps on a word. */
static void *fn_once(void *arg)
{
	long r = 0;

	expect(tl_offload(fn_add, arg, &r) == 0 && r == (long)arg + 1);
	return NULL;
}

static int fn_task(void *arg)
{
	return tl_offload(fn_add, arg, NULL);
}

/* Several calls, a timer that wakes the thread besides, and an end by hand. */
static void *fn_several(void *arg)
{
	uint64_t rnd = (uint64_t)(uintptr_t)arg;
	int i;

	for (i = 0; i < 3; i++)
		go(fn_task, arg);
	tl_sleep(tap_random(&rnd) % 100000);
	expect(tl_run() == TL_RUN_FINISHED);
	expect(tl_sched_end() == 0);
	return NULL;
}

/* With IO: the thread sleeps in its ring or epoll set. */
static void *fn_with_io(void *arg)
{
	int p[2];
	char c;

	mkpipe(p);
	go(fn_task, arg);
	expect(tl_read_until(p[0], &c, 1, tl_after(50000)) == -ETIMEDOUT);
	expect(tl_write(p[1], "x", 1) == 1 && tl_read(p[0], &c, 1) == 1);
	fn_once(arg);
	tl_close(p[0]);
	tl_close(p[1]);
	return NULL;
}

/* Given up, and gone: the look-up comes to nothing, or to a scheduler that waits for it. */
static void *fn_lookup(void *arg)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST }, *list;
	uint64_t rnd = (uint64_t)(uintptr_t)arg;
	int r;

	r = tl_getaddrinfo_until("127.0.0.1", "80", &hints, &list, tl_after(tap_random(&rnd) % 60000));
	if (!r)
		freeaddrinfo(list);
	expect(!r || r == -ETIMEDOUT);
	return NULL;
}

/* Ended with calls under way: each is taken back, or waited for. */
static void *fn_cut_short(void *arg)
{
	int i;

	for (i = 0; i < 5; i++)
		go(fn_task, arg);
	tl_schedule();
	expect(tl_sched_end() == 0);
	return NULL;
}

static void test_lives(const char *what, void *(*fn)(void *arg))
{
	pthread_t t[AT_A_TIME];
	uint64_t rnd = tap_seed();
	int i;

	for (i = 0; i < AT_A_TIME; i++)
		must(!pthread_create(&t[i], NULL, fn, (void *)(uintptr_t)(tap_random(&rnd) % INT_MAX)));
	for (; i < LIVES; i++) {
		pthread_join(t[i % AT_A_TIME], NULL);
		must(!pthread_create(&t[i % AT_A_TIME], NULL, fn, (void *)(uintptr_t)(tap_random(&rnd) % INT_MAX)));
	}
	for (i = 0; i < AT_A_TIME; i++)
		pthread_join(t[i], NULL);
	tap_is(atomic_exchange(&wrong, 0), 0, "%s: %d threads", what, LIVES);
}

/* --- fork --- */

static _Atomic bool open_gate;
static _Atomic int begun;

static long fn_gate(UNUSED void *arg)
{
	atomic_fetch_add(&begun, 1);
	while (!atomic_load(&open_gate))
		usleep(500);
	return 3;
}

struct caller {
	int r;
	long result;
	bool done;
};

static int fn_caller(void *arg)
{
	struct caller *c = arg;

	c->r = tl_offload(fn_gate, NULL, &c->result);
	c->done = true;
	return 0;
}

#define CALLS 70	/* more than there are threads: some queue */

#define check(x) \
	do { if (!(x)) { tap_diag("child: line %d: %s", __LINE__, #x); return 1; } } while (0)

static int child(struct tl_task **t, struct caller *c)
{
	struct addrinfo *list = NULL, hints = { .ai_flags = AI_NUMERICHOST };
	long r = 0;
	int i;

	check(stats().io_pending == 0);
	check(tl_offload(fn_add, (void *)1, &r) == 0 && r == 2);
	check(tl_getaddrinfo("127.0.0.1", "80", &hints, &list) == 0);
	freeaddrinfo(list);
	for (i = 0; i < CALLS / 2; i++) {
		check(!c[i].done);
		tl_task_kill(t[i]);
		check(c[i].done && c[i].r == -ECANCELED);
	}
	atomic_store(&open_gate, true);
	fn_caller(c);
	check(!c->r && c->result == 3);
	check(tl_run() == TL_RUN_DEADLOCK);	/* the rest of them wait for ever */
	check(!tl_sched_end());
	check(!tl_offload(fn_add, (void *)5, &r) && r == 6);
	check(!tl_sched_end());
	return 0;
}

static int wait_child(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0)
		must(errno == EINTR);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void test_fork(void)
{
	static struct caller c[CALLS];
	static struct tl_task *t[CALLS];
	bool ok = true;
	pid_t pid;
	int i;

	for (i = 0; i < CALLS; i++)
		t[i] = mk(fn_caller, &c[i]);
	settle();
	while (atomic_load(&begun) < 64)	/* then there is quiet */
		tl_sleep(MS);
	pid = fork();
	must(pid >= 0);
	if (!pid)
		_exit(child(t, c));
	tap_is(wait_child(pid), 0, "the child of a fork has a pool of its own");
	atomic_store(&open_gate, true);
	tl_run();
	for (i = 0; i < CALLS; i++) {
		ok &= c[i].done && !c[i].r && c[i].result == 3;
		tl_task_unref(t[i]);
	}
	tap_ok(ok, "the parent's calls end as if nothing had been");
	all_gone("fork");
}

static _Atomic bool stop;

static void *fn_traffic(UNUSED void *arg)
{
	while (!atomic_load(&stop))
		fn_once((void *)1);
	return NULL;
}

/* Forks while other threads have the pool's lock every now and then. */
static void test_fork_traffic(void)
{
	pthread_t t[3];
	int i, bad = 0;
	long r;

	for (i = 0; i < 3; i++)
		must(!pthread_create(&t[i], NULL, fn_traffic, NULL));
	for (i = 0; i < 30; i++) {
		pid_t pid = fork();

		must(pid >= 0);
		if (!pid) {
			alarm(30);	/* a lock that nobody has would hang it */
			_exit(tl_offload(fn_add, (void *)1, &r) || r != 2);
		}
		bad += wait_child(pid) != 0;
	}
	atomic_store(&stop, true);
	for (i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	tap_is(bad, 0, "30 forks in the middle of traffic");
	tap_is(atomic_load(&wrong), 0, "which goes on");
	all_gone("traffic");
}

static void tap_skip_n(int n, const char *what)
{
	while (n--)
		tap_skip("%s: not under this sanitizer", what);
}

int main(void)
{
	iotest_begin(11);
	test_lives("one call", fn_once);
	test_lives("several calls", fn_several);
	/* TSan does not see that the kernel unmaps and maps a ring's memory: the next thread's is the same to it. */
	if (IOTEST_TSAN && !on_epoll())
		tap_skip_n(1, "calls and IO");
	else
		test_lives("calls and IO", fn_with_io);
	test_lives("look-ups given up", fn_lookup);
	test_lives("ended with calls under way", fn_cut_short);
	/* The sanitizers' own locks and shadows do not survive a fork of many threads: no such test with them. */
	if (IOTEST_TSAN)
		tap_skip_n(3, "fork");
	else
		test_fork();
	if (IOTEST_TSAN || IOTEST_ASAN)
		tap_skip_n(3, "fork in traffic");
	else
		test_fork_traffic();
	return iotest_end();
}
