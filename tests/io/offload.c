/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Calls on other threads: results, many at a time, kills and deadlines of those that queue and those that run, name
 * look-ups, how many threads there are and that they end, and what happens when none can be had.
 */
#include "iotest.h"

#include <limits.h>
#include <netdb.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "base/alloc.h"
#include "io/io.h"

#define THREADS_MAX 64

/* Those of the program, and of sanitizers and emulators. */
static int base_threads;

static long fn_add(void *arg)
{
	return (long)arg + 1;
}

static long fn_tid(void *arg)
{
	sigset_t set;

	pthread_sigmask(SIG_SETMASK, NULL, &set);
	*(bool *)arg = sigismember(&set, SIGTERM) && sigismember(&set, SIGALRM) && !sigismember(&set, SIGSEGV);
	return syscall(SYS_gettid);
}

static void test_result(void)
{
	bool blocked = false;
	long r = 0;

	tap_is(tl_offload(fn_add, (void *)41, &r), 0, "a call");
	tap_is(r, 42, "its result");
	tap_is(tl_offload(fn_add, (void *)LONG_MIN, NULL), 0, "a call whose result nobody wants");
	tap_is(tl_offload(NULL, NULL, &r), -EINVAL, "no function");
	tap_is(tl_offload_until(fn_add, (void *)-1, &r, tl_after(10000 * MS)), 0, "with a deadline that is not needed");
	tap_is(r, 0, "its result");
	tap_ok(tl_offload(fn_tid, &blocked, &r) == 0 && r != syscall(SYS_gettid), "it ran on another thread");
	tap_ok(blocked, "where signals are blocked, but those that tell of faults");
	tap_is(tl_switch_trap(1), 0, "a trap");
	tap_is(tl_offload(fn_add, NULL, &r), -EPERM, "forbids a call");
	tl_switch_trap(-1);
	all_gone("result");
}

static long fn_nap(void *arg)
{
	usleep(1000);
	return (long)arg * 2;
}

static long many_sum;

static int fn_many(void *arg)
{
	long r = 0;
	int i;

	for (i = 0; i < 5; i++) {
		if (tl_offload(fn_nap, arg, &r) || r != (long)arg * 2)
			return -EIO;
		many_sum += r;
	}
	return 0;
}

static void test_many(void)
{
	long i;

	for (i = 0; i < 200; i++)
		go(fn_many, (void *)i);
	tap_is(tl_run(), TL_RUN_FINISHED, "200 tasklets with 5 calls each");
	tap_is(many_sum, 5 * 200 * 199, "all results are right");
	tap_ok(count_threads() <= base_threads + THREADS_MAX, "there are no more than %d threads", THREADS_MAX);
	all_gone("many");
}

/* A call that another one lets go on. */
struct gate {
	sem_t open;
	_Atomic int begun, ended;
};

static long fn_gate(void *arg)
{
	struct gate *g = arg;

	atomic_fetch_add(&g->begun, 1);
	while (sem_wait(&g->open))
		;
	atomic_fetch_add(&g->ended, 1);
	return 7;
}

struct caller {
	struct gate *gate;
	uint64_t deadline;
	int r;
	long result;
	bool done;
};

static int fn_caller(void *arg)
{
	struct caller *c = arg;

	c->r = tl_offload_until(fn_gate, c->gate, &c->result, c->deadline ? c->deadline : TL_FOREVER);
	c->done = true;
	return 0;
}

/* Lets time pass until that many have begun. */
static void wait_begun(struct gate *g, int n)
{
	while (atomic_load(&g->begun) < n)
		tl_sleep(MS / 5);
}

static void test_running(void)
{
	struct gate g = { .begun = 0 };
	struct caller c = { .gate = &g }, d = { .gate = &g };
	struct tl_task *t, *u;

	sem_init(&g.open, 0, 0);
	t = mk(fn_caller, &c);
	d.deadline = tl_after(30 * MS);
	u = mk(fn_caller, &d);
	settle();
	wait_begun(&g, 2);
	tap_is(tl_task_kill(t), 0, "a call that runs is killed");
	tl_sleep(40 * MS);
	tap_ok(!c.done && !d.done && tl_now() > d.deadline, "it goes on, as does one whose deadline passes");
	sem_post(&g.open);
	sem_post(&g.open);
	tap_ok(wait_done(&c.done) && c.r == 0 && c.result == 7, "its result is told");
	tap_ok(wait_done(&d.done) && d.r == 0 && d.result == 7, "the other's too");
	tl_task_unref(t);
	tl_task_unref(u);
	sem_destroy(&g.open);
	all_gone("running");
}

static void test_queued(void)
{
	struct gate g = { .begun = 0 };
	struct caller c[THREADS_MAX + 6];
	struct tl_task *t[THREADS_MAX + 6];
	int i, n = THREADS_MAX;
	bool ok = true;

	sem_init(&g.open, 0, 0);
	for (i = 0; i < n + 6; i++) {
		c[i] = (struct caller){ .gate = &g, .deadline = i == n + 3 ? tl_after(200 * MS) : 0 };
		t[i] = mk(fn_caller, &c[i]);
		if (i == n - 1) {
			settle();
			wait_begun(&g, n);
		}
	}
	settle();
	tap_is(atomic_load(&g.begun), n, "%d calls run, 6 queue", n);
	tl_task_kill(t[n + 1]);
	tap_ok(c[n + 1].done && c[n + 1].r == -ECANCELED, "one that queues is killed, at once");
	tl_task_kill(t[n + 5]);
	tap_ok(c[n + 5].done && c[n + 5].r == -ECANCELED, "the last one too");
	tap_ok(wait_done(&c[n + 3].done) && c[n + 3].r == -ETIMEDOUT, "a deadline passes");
	for (i = 0; i < n + 6; i++)
		sem_post(&g.open);
	tl_run();
	for (i = 0; i < n + 6; i++) {
		if (i != n + 1 && i != n + 3 && i != n + 5)
			ok &= c[i].done && c[i].r == 0;
		tl_task_unref(t[i]);
	}
	tap_ok(ok && atomic_load(&g.begun) == n + 3, "the others run, and those three never");
	sem_destroy(&g.open);
	all_gone("queued");
}

/* First come, first served. */
static int order[20], norder;

static long fn_order(void *arg)
{
	order[norder++] = (int)(long)arg;
	return 0;
}

static int ordered;

static int fn_ordered(void *arg)
{
	int r = tl_offload(fn_order, arg, NULL);

	ordered++;
	return r;
}

static void test_order(void)
{
	struct gate g = { .begun = 0 };
	struct caller c[THREADS_MAX];
	bool ok = true;
	long i;

	sem_init(&g.open, 0, 0);
	for (i = 0; i < THREADS_MAX; i++) {
		c[i] = (struct caller){ .gate = &g };
		go(fn_caller, &c[i]);
	}
	settle();
	wait_begun(&g, THREADS_MAX);
	for (i = 0; i < 20; i++)
		go(fn_ordered, (void *)i);
	settle();
	sem_post(&g.open);	/* one thread for all of them */
	while (ordered < 20)
		tl_sleep(MS);
	for (i = 0; i < 20; i++)
		ok &= order[i] == i;
	tap_ok(ok, "those that queue are served in order");
	for (i = 1; i < THREADS_MAX; i++)
		sem_post(&g.open);
	tl_run();
	sem_destroy(&g.open);
	all_gone("order");
}

/* Threads that a load does not need end, though one is used all the time. */
static void test_idle(void)
{
	struct gate g = { .begun = 0 };
	struct caller c[30];
	int i, most, left;
	long r;

	sem_init(&g.open, 0, 0);
	for (i = 0; i < 30; i++) {
		c[i] = (struct caller){ .gate = &g };
		go(fn_caller, &c[i]);
	}
	settle();
	wait_begun(&g, 30);
	for (i = 0; i < 30; i++)
		sem_post(&g.open);
	tl_run();
	most = count_threads();
	for (i = 0; i < 5000 && count_threads() > base_threads + 2; i++) {
		tl_sleep(2 * MS);
		tl_offload(fn_add, NULL, &r);
	}
	left = count_threads();
	tap_ok(most >= base_threads + 30 && left <= base_threads + 2 && left > base_threads, "threads end when idle: %d, then %d",
	       most, left);
	sem_destroy(&g.open);
	all_gone("idle");
}

static void test_no_threads(void)
{
	struct gate g = { .begun = 0 };
	struct caller c[3];
	int i, r, threads;
	long result;

	for (i = 0; i < 1500 && count_threads() > base_threads; i++)
		tl_sleep(10 * MS);
	tap_is(count_threads(), base_threads, "all threads have ended");

	tl__fault_arm(1, true);
	r = tl_offload(fn_add, NULL, &result);
	tl__fault_arm(0, false);
	tap_is(r, -EAGAIN, "no thread can be started");
	tap_is(tl_offload(fn_add, (void *)1, &result), 0, "later one can");

	/* With one thread there, another one that can't be had is no error. */
	sem_init(&g.open, 0, 0);
	for (i = 0; i < 3; i++)
		c[i] = (struct caller){ .gate = &g };
	go(fn_caller, &c[0]);
	settle();
	wait_begun(&g, 1);
	threads = count_threads();
	tl__fault_arm(1, true);
	go(fn_caller, &c[1]);
	go(fn_caller, &c[2]);
	settle();
	tl__fault_arm(0, false);
	tap_is(count_threads(), threads, "when no further thread can be started");
	for (i = 0; i < 3; i++)
		sem_post(&g.open);
	tl_run();
	tap_ok(!c[0].r && !c[1].r && !c[2].r, "those that are there do all calls");
	sem_destroy(&g.open);
	all_gone("no threads");
}

/* --- names --- */

struct lookup {
	const char *node, *service;
	struct addrinfo hints, *list;
	uint64_t deadline;
	int r;
	bool done;
};

static int fn_lookup(void *arg)
{
	struct lookup *l = arg;

	l->r = tl_getaddrinfo_until(l->node, l->service, &l->hints, &l->list, l->deadline ? l->deadline : TL_FOREVER);
	l->done = true;
	return 0;
}

static void test_names(void)
{
	struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST };
	struct addrinfo *list = NULL;
	struct sockaddr_in *in;
	int r;

	tap_is(tl_getaddrinfo("127.0.0.1", "80", &hints, &list), 0, "an address in numbers");
	in = list ? (struct sockaddr_in *)(void *)list->ai_addr : NULL;
	tap_ok(in && in->sin_addr.s_addr == htonl(INADDR_LOOPBACK) && in->sin_port == htons(80) && !list->ai_next,
	       "is what it says");
	freeaddrinfo(list);
	hints.ai_flags = AI_PASSIVE;
	list = NULL;
	tap_is(tl_getaddrinfo(NULL, "80", &hints, &list), 0, "any address");
	freeaddrinfo(list);
	hints.ai_flags = AI_NUMERICHOST;
	list = (void *)1;
	tap_is(tl_getaddrinfo("no.number", "80", &hints, &list), -EAI_NONAME, "no number");
	tap_ok(list == (void *)1 && -EAI_NONAME > 0 && *gai_strerror(-(-EAI_NONAME)), "is a positive result");
	tap_is(tl_getaddrinfo(NULL, NULL, NULL, &list), -EAI_NONAME, "nothing at all");
	tap_is(tl_getaddrinfo("127.0.0.1", NULL, NULL, NULL), -EINVAL, "and nowhere to put it");
	hints.ai_family = 12345;
	tap_is(tl_getaddrinfo("127.0.0.1", NULL, &hints, &list), -EAI_FAMILY, "a family that is none");
	tl__fault_arm(1, false);
	r = tl_getaddrinfo("127.0.0.1", NULL, NULL, &list);
	tl__fault_arm(0, false);
	tap_is(r, -ENOMEM, "no memory");
	list = NULL;
	r = tl_getaddrinfo("localhost", "80", NULL, &list);
	if (r)	/* a statically linked program may have no name service */
		tap_skip("localhost: %s", r > 0 ? gai_strerror(-r) : strerror(-r));
	else
		tap_ok(list && list->ai_addr, "localhost");
	freeaddrinfo(list);
	all_gone("names");
}

/* A look-up is given up at once, whatever it is doing; what comes of it is freed (as a leak checker sees). */
static void test_give_up(void)
{
	struct lookup l[50];
	struct tl_task *t[50];
	uint64_t rnd = tap_seed();
	int round, i, given_up = 0;
	bool ok = true;

	for (round = 0; round < 20; round++) {
		for (i = 0; i < 50; i++) {
			l[i] = (struct lookup){ .node = "127.0.0.1", .service = "80", .hints.ai_flags = AI_NUMERICHOST,
						.deadline = i % 3 ? 0 : tl_after(tap_random(&rnd) % MS) };
			t[i] = mk(fn_lookup, &l[i]);
		}
		tl_schedule();
		for (i = tap_random(&rnd) % 100; i; i--)
			sched_yield();
		for (i = 0; i < 50; i++) {
			if (i % 3 == 1) {
				(round % 4 ? tl_task_kill_later : tl_task_kill)(t[i]);
				ok &= !tl_task_is_blocked(t[i]);
			}
		}
		tl_run();
		for (i = 0; i < 50; i++) {
			if (l[i].done && !l[i].r)
				freeaddrinfo(l[i].list);
			else
				given_up++;
			ok &= !l[i].done || !l[i].r || l[i].r == -ETIMEDOUT || l[i].r == -ECANCELED;
			tl_task_unref(t[i]);
		}
	}
	tap_diag("%d of 1000 were given up", given_up);
	tap_ok(ok, "look-ups are killed and time out at once");
	all_gone("give up");
}

static void *fn_nothing(void *arg)
{
	return arg;
}

int main(void)
{
	pthread_t t;

	must(!pthread_create(&t, NULL, fn_nothing, NULL));
	pthread_join(t, NULL);
	usleep(50000);	/* it takes a moment to be gone */
	base_threads = count_threads();
	iotest_begin(49);
	atomic_store(&tl__pool_idle_ns, 300 * MS);
	test_result();
	test_many();
	test_running();
	test_queued();
	test_order();
	test_names();
	test_give_up();
	test_idle();
	test_no_threads();
	return iotest_end();
}
