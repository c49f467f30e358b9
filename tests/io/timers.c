/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Timers and IO together: both go on while tasklets do nothing but yield, or compute for long between yields; thousands
 * of deadlines, in order, never early, and given up; which of the two ends a wait.
 */
#include "iotest.h"

#define MANY 5000

static bool stop;

static int fn_busy(void *arg)
{
	uint64_t burn = (uint64_t)(uintptr_t)arg;

	while (!stop) {
		if (burn) {
			uint64_t until = tl_after(burn);

			while (tl_now() < until)
				;
		}
		if (tl_schedule())
			break;
	}
	return 0;
}

static int fn_echo(void *arg)
{
	int fd = (int)(long)arg;
	char c;

	while (tl_recv(fd, &c, 1, 0) == 1)
		tl_send(fd, &c, 1, 0);
	return 0;
}

struct pinger {
	int fd, rounds;
	uint64_t worst;
	bool done;
};

static int fn_ping(void *arg)
{
	struct pinger *p = arg;
	int i;

	for (i = 0; i < p->rounds; i++) {
		uint64_t start = tl_now(), t;
		char c = 'x';

		if (tl_send(p->fd, &c, 1, 0) != 1 || tl_recv(p->fd, &c, 1, 0) != 1)
			return -EIO;
		t = tl_now() - start;
		if (t > p->worst)
			p->worst = t;
	}
	tl_shutdown(p->fd, SHUT_RDWR);
	p->done = true;
	return 0;
}

struct sleeper {
	uint64_t late, early;
	bool done;
};

static int fn_sleeper(void *arg)
{
	struct sleeper *s = arg;
	int i;

	for (i = 0; i < 20; i++) {
		uint64_t deadline = tl_after(MS), now;

		tl_sleep_until(deadline);
		now = tl_now();
		if (now < deadline)
			s->early++;
		else if (now - deadline > s->late)
			s->late = now - deadline;
	}
	s->done = true;
	return 0;
}

/* Tasklets that are always runnable must neither stop the clock nor the kernel. */
static void test_busy(const char *what, int n, uint64_t burn, int rounds)
{
	struct pinger p = { .rounds = rounds };
	struct sleeper s = { 0 };
	uint64_t until = tl_after(15000 * MS);
	int fd[2], i;

	unix_pair(fd, SOCK_STREAM);
	stop = false;
	for (i = 0; i < n; i++)
		go(fn_busy, (void *)(uintptr_t)burn);
	go(fn_echo, (void *)(long)fd[0]);
	p.fd = fd[1];
	go(fn_ping, &p);
	go(fn_sleeper, &s);
	while ((!p.done || !s.done) && tl_now() < until)
		tl_schedule();
	stop = true;
	tap_ok(p.done, "%s: IO goes on", what);
	tap_ok(s.done && !s.early, "%s: timers too, and never early", what);
	tap_diag("%s: worst round trip %.3f ms, worst lateness %.3f ms", what, (double)p.worst / 1e6,
		 (double)s.late / 1e6);
	all_gone(what);
	close_both(fd);
}

static struct {
	uint64_t deadline[MANY], woken[MANY];
	int order[MANY], n;
} many;

static int fn_many(void *arg)
{
	int i = (int)(long)arg;

	if (tl_sleep_until(many.deadline[i]))
		return 0;
	many.woken[i] = tl_now();
	many.order[many.n++] = i;
	return 0;
}

static void test_many(void)
{
	uint64_t rnd = tap_seed(), start = tl_now();
	int i, early = 0, disorder = 0;

	for (i = 0; i < MANY; i++) {
		many.deadline[i] = start + tap_random(&rnd) % 100 * MS / 2;
		go(fn_many, (void *)(long)i);
	}
	tl_run();
	tap_is(many.n, MANY, "%d sleepers wake", MANY);
	for (i = 0; i < MANY; i++)
		early += many.woken[i] < many.deadline[i];
	tap_is(early, 0, "none is early");
	/* Those that went to sleep after their deadline wake at once, in any order. */
	for (i = 1; i < many.n; i++) {
		int a = many.order[i - 1], b = many.order[i];

		if (many.deadline[a] < start + 25 * MS || many.deadline[b] < start + 25 * MS)
			continue;
		disorder += many.deadline[a] > many.deadline[b] || (many.deadline[a] == many.deadline[b] && a > b);
	}
	tap_is(disorder, 0, "by deadline, and by arrival among equals");
	all_gone("many");
}

static void test_cancel(void)
{
	static struct tl_task *t[MANY];
	uint64_t start;
	int i;

	many.n = 0;
	for (i = 0; i < MANY; i++)
		t[i] = mk(fn_many, (void *)(long)i);
	/* From here on: to make that many may take its time. */
	start = tl_now();
	for (i = 0; i < MANY; i++)
		many.deadline[i] = start + (i % 2 ? 2000 * MS : 3600000 * MS);
	tl_schedule();
	tap_is((long long)stats().timers, MANY, "%d timers", MANY);
	for (i = 0; i < MANY; i += 2)
		tl_task_kill_later(t[i]);
	tap_is((long long)stats().timers, MANY / 2, "half of them are given up");
	tl_run();
	tap_is(many.n, MANY / 2, "the other half passes");
	for (i = 0; i < MANY; i++)
		tl_task_unref(t[i]);
	all_gone("cancel");
}

/* IO with a deadline: the first of both ends it, and the other one is forgotten. */
static int ended_by_io, ended_by_time, wrong;

static int fn_race(void *arg)
{
	int *p = arg;
	uint64_t rnd = (uint64_t)p[0] * 77, deadline;
	ssize_t r;
	char c;
	int i;

	for (i = 0; i < 20; i++) {
		deadline = tl_after(tap_random(&rnd) % (2 * MS));
		r = tl_recv_until(p[0], &c, 1, 0, deadline);
		if (r == -ETIMEDOUT) {
			ended_by_time++;
			wrong += tl_now() < deadline;
		} else {
			ended_by_io++;
			wrong += r != 1;
		}
	}
	return 0;
}

static int fn_feed(void *arg)
{
	int *p = arg, sent = 0;
	uint64_t rnd = (uint64_t)p[1] * 99;

	while (!stop) {
		tl_sleep(tap_random(&rnd) % (2 * MS));
		if (tl_send(p[1], "x", 1, MSG_DONTWAIT) == 1)
			sent++;
	}
	return 0;
}

static void test_race(void)
{
	struct tl_task *t[20];
	int p[20][2], i;

	stop = false;
	for (i = 0; i < 20; i++) {
		unix_pair(p[i], SOCK_STREAM);
		t[i] = mk(fn_race, p[i]);
		go(fn_feed, p[i]);
	}
	for (i = 0; i < 20; i++)
		while (tl_task_is_alive(t[i]))
			tl_sleep(MS);
	stop = true;
	tl_run();
	tap_ok(!wrong && ended_by_io + ended_by_time == 400, "IO and deadlines race: %d and %d", ended_by_io,
	       ended_by_time);
	for (i = 0; i < 20; i++) {
		tl_task_unref(t[i]);
		close_both(p[i]);
	}
	all_gone("race");
}

/* A wait without any timer, and one that ends long before its timer. */
static void test_idle(void)
{
	struct call c = { .kind = RECV }, d = { .kind = RECV };
	uint64_t start = tl_now();
	struct timespec cpu[2];
	char buf[2];
	double burnt;
	int p[2];

	unix_pair(p, SOCK_STREAM);
	c.fd = d.fd = p[0];
	c.buf = buf;
	d.buf = buf + 1;
	c.size = d.size = 1;
	d.deadline = tl_after(3600000 * MS);
	go(fn_call, &c);
	go(fn_call, &d);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu[0]);
	tl_sleep(100 * MS);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu[1]);
	burnt = (double)(cpu[1].tv_sec - cpu[0].tv_sec) + 1e-9 * (double)(cpu[1].tv_nsec - cpu[0].tv_nsec);
	tap_ok(burnt < 0.05, "who waits costs nothing (%.4f s of 0.1)", burnt);
	tl_send(p[1], "ab", 2, 0);
	tl_run();
	tap_ok(c.result == 1 && d.result == 1 && tl_now() - start < 20000 * MS, "the wait ends with the data");
	tap_is((long long)stats().timers, 0, "and its timer with it");
	close_both(p);
	all_gone("idle");
}

static long turns, turns_at_end;

static int fn_count(UNUSED void *arg)
{
	while (!stop) {
		turns++;
		if (tl_schedule())
			break;
	}
	return 0;
}

/* One whose calls never have to wait. */
static int fn_greedy(UNUSED void *arg)
{
	int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC), i;
	char c;

	for (i = 0; i < 10000; i++)
		if (tl_read(fd, &c, 1) != 1)
			break;
	turns_at_end = i == 10000 ? turns : -1;
	close(fd);
	return 0;
}

static void test_greedy(void)
{
	struct tl_task *t;

	stop = false;
	go(fn_count, NULL);
	t = mk(fn_greedy, NULL);
	while (tl_task_is_alive(t))
		tl_schedule();
	stop = true;
	tl_task_unref(t);
	tap_ok(turns_at_end > 100, "calls that never wait let others run (%ld times)", turns_at_end);
	all_gone("greedy");
}

int main(void)
{
	iotest_begin(28);
	test_busy("one that yields", 1, 0, 200);
	test_busy("a thousand that yield", 1000, 0, 20);
	test_busy("one that computes for 1 ms", 1, MS, 20);
	test_busy("20 that compute for 0.1 ms", 20, MS / 10, 20);
	test_many();
	test_cancel();
	test_race();
	test_idle();
	test_greedy();
	return iotest_end();
}
