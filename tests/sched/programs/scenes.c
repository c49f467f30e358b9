/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * scenes NAME: threads of which it is known who has to run before whom, for a scheduler that is told of them by the
 * library's probes, and by `tl-sched mark` ($TL_SCHED). Prints what came of it; the exit status is 0 if that is as it
 * has to be.
 *
 * Who has to be on one processor is on the last one; whoever directs is on the others, and is not the scheduler's.
 */
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <tasklet/tasklet.h>

#define MS UINT64_C(1000000)
#define EXT 7

static struct tl_gil *gil;
static _Atomic bool stop;

/* --- threads --------------------------------------------------------------------------------------------------------- */

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

static void set_policy(int policy, int priority)
{
	struct sched_param param = { .sched_priority = priority };

	must(!sched_setscheduler(0, policy, &param), "sched_setscheduler");
}

static void pin(bool last)
{
	int i, n = (int)sysconf(_SC_NPROCESSORS_ONLN);
	cpu_set_t set;

	CPU_ZERO(&set);
	for (i = 0; i < n; i++)
		if ((i == n - 1) == last)
			CPU_SET(i, &set);
	must(!sched_setaffinity(0, sizeof(set), &set), "sched_setaffinity");
}

static pthread_t start(void *(*fn)(void *), void *arg)
{
	pthread_t thread;

	must(!pthread_create(&thread, NULL, fn, arg), "pthread_create");
	return thread;
}

static void new_gil(const char *spec)
{
	must(!tl_gil_new(&gil, spec, NULL), "tl_gil_new");
}

/* Nowhere else: at a probe that is new to the kernel, it may sleep as well. */
static bool in_futex(pid_t tid)
{
	char path[64];
	long call = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", tid);
	f = fopen(path, "r");
	must(f, path);
	if (fscanf(f, "%ld", &call) != 1)
		call = -1;
	fclose(f);
	return call == SYS_futex;
}

static void await_sleep(_Atomic pid_t *tid)
{
	while (!atomic_load(tid) || !in_futex(atomic_load(tid)))
		usleep(1000);
}

static void await(_Atomic bool *flag)
{
	while (!atomic_load(flag))
		usleep(1000);
}

/* A count of what a thread got done: each step is one millisecond of its own time. */
static uint64_t own_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000 * MS + (uint64_t)t.tv_nsec;
}

static void step(void)
{
	uint64_t end = own_ns() + MS;

	while (own_ns() < end)
		;
}

static void mark(const char *as, pid_t tid)
{
	char command[200];

	snprintf(command, sizeof(command), "%s mark %s %d", getenv("TL_SCHED"), as, tid);
	must(!system(command), command);
}

/* --- order: three threads become ready while none of them can run; who comes first? ------------------------------------ */

static _Atomic unsigned int go[2];
static _Atomic bool spins, ready_to_give, give;
static _Atomic pid_t sleeper[3];
static char came[4];
static _Atomic int count;

static void comes(char who)
{
	came[atomic_fetch_add(&count, 1)] = who;
}

static void nap(int i)
{
	sleeper[i] = (pid_t)syscall(SYS_gettid);
	while (!atomic_load(&go[i]))
		syscall(SYS_futex, &go[i], FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
}

static void wake(int i)
{
	atomic_store(&go[i], 1);
	syscall(SYS_futex, &go[i], FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *computes(void *arg)
{
	pin(true);
	set_policy(EXT, 0);
	nap(0);
	comes('C');
	return arg;
}

static void *blocks(void *arg)
{
	pin(true);
	must(!tl_gil_attach(gil), "attach");
	tl_gil_block_begin();
	nap(1);
	comes('I');
	tl_gil_block_end();
	tl_gil_detach();
	return arg;
}

static void *waits(void *arg)
{
	pin(true);
	sleeper[2] = (pid_t)syscall(SYS_gettid);
	must(!tl_gil_attach(gil), "attach");
	comes('G');
	tl_gil_detach();
	return arg;
}

static void *owns(void *arg)
{
	pin(false);
	must(!tl_gil_attach(gil), "attach");
	atomic_store(&ready_to_give, true);
	while (!atomic_load(&give))
		;
	tl_gil_detach();
	return arg;
}

/* Nothing of the scheduler's runs meanwhile. */
static void *spin(void *arg)
{
	pin(true);
	set_policy(SCHED_FIFO, 1);
	atomic_store(&spins, true);
	while (!atomic_load(&stop))
		;
	return arg;
}

/* It is the scheduler's own, and comes before all others until it is over. */
static void *spin_within(void *arg)
{
	pid_t tid = (pid_t)syscall(SYS_gettid);

	mark("io", tid);
	pin(true);
	set_policy(EXT, 0);
	usleep(1000);
	atomic_store(&spins, true);
	while (!atomic_load(&stop))
		;
	return arg;
}

static int order_of(void *(*gate)(void *), bool io_first)
{
	pthread_t t[5];

	/* With a lock whose waiters sleep until they are woken. */
	new_gil("ticks:futex,sched=ext");
	t[0] = start(computes, NULL);
	t[1] = start(blocks, NULL);
	await_sleep(&sleeper[0]);
	await_sleep(&sleeper[1]);
	t[2] = start(owns, NULL);
	await(&ready_to_give);
	t[3] = start(waits, NULL);
	await_sleep(&sleeper[2]);
	t[4] = start(gate, NULL);
	await(&spins);
	wake(0);
	if (io_first)
		wake(1);
	atomic_store(&give, true);
	pthread_join(t[2], NULL);
	if (!io_first)
		wake(1);
	atomic_store(&stop, true);
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	pthread_join(t[3], NULL);
	pthread_join(t[4], NULL);
	printf("came %s\n", came);
	return strcmp(came, "IGC");
}

static int order(void)
{
	return order_of(spin, false);
}

/* The other way round, it comes to the same. */
static int order_io_first(void)
{
	return order_of(spin, true);
}

/* By the queues alone. */
static int order_within(void)
{
	return order_of(spin_within, false);
}

/* --- shares: what a thread gets done beside others ---------------------------------------------------------------------- */

#define OTHERS 3
#define STEPS 40

static _Atomic pid_t tids[OTHERS];
static _Atomic bool begin;
static _Atomic long done[OTHERS + 1];

static void *burns(void *arg)
{
	long i = (long)arg;

	pin(true);
	set_policy(EXT, 0);
	if (i < OTHERS)
		tids[i] = (pid_t)syscall(SYS_gettid);
	await(&begin);
	while (!atomic_load(&stop)) {
		step();
		atomic_fetch_add(&done[i], 1);
	}
	return NULL;
}

static void print_shares(void)
{
	int i;

	for (i = 0; i <= OTHERS; i++)
		printf("%s%ld", i ? " " : "done ", atomic_load(&done[i]));
	putchar('\n');
}

/* IO threads that never sleep don't keep one that computes from its steps; but they have most of the time. */
static int starve(void)
{
	pthread_t t[OTHERS + 1];
	long i, others = 0;

	for (i = 0; i <= OTHERS; i++)
		t[i] = start(burns, (void *)i);
	for (i = 0; i < OTHERS; i++) {
		while (!atomic_load(&tids[i]))
			usleep(1000);
		mark("io", atomic_load(&tids[i]));
	}
	atomic_store(&begin, true);
	while (atomic_load(&done[OTHERS]) < STEPS / 4)
		usleep(10000);
	for (i = 0; i < OTHERS; i++)
		others += atomic_load(&done[i]);
	atomic_store(&stop, true);
	for (i = 0; i <= OTHERS; i++)
		pthread_join(t[i], NULL);
	print_shares();
	return others < STEPS;
}

/* Between calls that may block it computes, for long. */
static void *computes_outside(void *arg)
{
	pin(true);
	must(!tl_gil_attach(gil), "attach");
	tl_gil_block_begin();
	usleep(1000);
	atomic_store(&begin, true);
	while (!atomic_load(&stop)) {
		step();
		atomic_fetch_add(&done[0], 1);
	}
	tl_gil_block_end();
	tl_gil_detach();
	return arg;
}

/* One that has let go of the lock to compute is no IO thread for longer than a slice. */
static int outside(void)
{
	pthread_t t[2];

	new_gil("handoff:futex,sched=ext");
	t[0] = start(computes_outside, NULL);
	t[1] = start(burns, (void *)(long)OTHERS);
	while (atomic_load(&done[OTHERS]) < 2 * STEPS)
		usleep(10000);
	print_shares();
	atomic_store(&stop, true);
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	return atomic_load(&done[0]) > 6 * STEPS;
}

/* --- who has to stop ------------------------------------------------------------------------------------------------------- */

static _Atomic bool holds;

/* Has the lock for so long, whoever asks. */
static void *keeps(void *arg)
{
	pin(true);
	must(!tl_gil_attach(gil), "attach");
	atomic_store(&holds, true);
	for (int i = 0; i < 2 * STEPS; i++)
		step();
	tl_gil_detach();
	return arg;
}

static void *asks(void *arg)
{
	pin(true);
	await(&holds);
	must(!tl_gil_attach(gil), "attach");
	tl_gil_detach();
	return arg;
}

/* The waiter wakes up each millisecond, to see whether the lock has changed hands. */
static int spared(void)
{
	pthread_t t[2];

	new_gil("interval:futex,interval=1ms,sched=ext");
	t[0] = start(keeps, NULL);
	t[1] = start(asks, NULL);
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	return 0;
}

static void *wakes_up(void *arg)
{
	int i;

	pin(true);
	must(!tl_gil_attach(gil), "attach");
	for (i = 0; i < STEPS; i++) {
		tl_gil_block_begin();
		usleep(2000);
		tl_gil_block_end();
	}
	tl_gil_detach();
	atomic_store(&stop, true);
	return arg;
}

/*
 * An IO thread wakes up 40 times beside one that computes, which has a slice of 200 ms and does not get to the end of it.
 */
static int kicks(void)
{
	pthread_t t[2];

	new_gil("handoff:futex,sched=ext");
	atomic_store(&begin, true);
	t[0] = start(burns, (void *)(long)OTHERS);
	while (!atomic_load(&done[OTHERS]))
		usleep(1000);
	t[1] = start(wakes_up, NULL);
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	print_shares();
	return atomic_load(&done[OTHERS]) > 40 * STEPS;
}

/* --- a thread of the kernel's own scheduler asks ---------------------------------------------------------------------------- */

static int question[2], answer[2];
static _Atomic unsigned long turns;	/* of one that computes, on the same processor */
static int overtaken;

static void *turns_round(void *arg)
{
	pin(true);
	set_policy(EXT, 0);
	while (!atomic_load(&stop))
		atomic_fetch_add(&turns, 1);
	return arg;
}

static void *answers(void *arg)
{
	unsigned long before;
	ssize_t n;

	pin(true);
	must(!tl_gil_attach(gil), "attach");
	for (;;) {
		tl_gil_block_begin();
		n = read(question[0], &before, sizeof(before));
		if (n <= 0)
			break;
		overtaken += atomic_load(&turns) != before;
		must(write(answer[1], "", 1) == 1, "write");
		tl_gil_block_end();
	}
	tl_gil_block_end();
	tl_gil_detach();
	return arg;
}

/* When it has asked, who answers is next, and not who computed before. */
static int asked(void)
{
	unsigned long now;
	pthread_t t[2];
	char byte;
	int i;

	must(!pipe(question) && !pipe(answer), "pipe");
	new_gil("handoff:futex,sched=ext");
	t[0] = start(answers, NULL);
	t[1] = start(turns_round, NULL);
	pin(true);
	for (i = 0; i < STEPS; i++) {
		usleep(2000);
		now = atomic_load(&turns);
		must(write(question[1], &now, sizeof(now)) == sizeof(now) && read(answer[0], &byte, 1) == 1, "asks");
	}
	atomic_store(&stop, true);
	close(question[1]);
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	printf("overtaken %d\n", overtaken);
	return overtaken > STEPS / 4;
}

/* --- who is not concerned ---------------------------------------------------------------------------------------------------- */

static void *works(void *arg)
{
	int i;

	must(!tl_gil_attach(gil), "attach");
	for (i = 0; i < STEPS; i++) {
		tl_gil_block_begin();
		usleep(500);
		tl_gil_block_end();
		step();
	}
	tl_gil_detach();
	must(sched_getscheduler(0) == SCHED_OTHER, "policy");
	return arg;
}

/* Threads that did not ask, with a lock all the same. */
static int untouched(void)
{
	pthread_t t[4];
	int i;

	new_gil("handoff:futex");
	for (i = 0; i < 4; i++)
		t[i] = start(works, NULL);
	for (i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	return 0;
}

/* As long as it is attached. */
static int attached(void)
{
	int in, out;

	set_policy(SCHED_OTHER, 0);
	new_gil(NULL);
	must(!tl_gil_attach(gil), "attach");
	in = sched_getscheduler(0);
	tl_gil_detach();
	out = sched_getscheduler(0);
	printf("policy %d %d\n", in, out);
	return 0;
}

static int policy(void)
{
	printf("policy %d\n", sched_getscheduler(0));
	return 0;
}

/* A command whose probes are found some time after it began. */
static int late(void)
{
	usleep(500000);
	return kicks();
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(void);
		bool as_it_is;	/* not taken out of the scheduler, to direct */
	} scenes[] = {
		{ "order", order, false }, { "order-io-first", order_io_first, false },
		{ "order-within", order_within, false }, { "asked", asked, false }, { "starve", starve, false }, { "outside", outside, false },
		{ "spared", spared, false }, { "kicks", kicks, false }, { "late", late, false },
		{ "untouched", untouched, false }, { "attached", attached, false }, { "policy", policy, true },
	};
	size_t i;

	for (i = 0; argc == 2 && i < sizeof(scenes) / sizeof(scenes[0]); i++) {
		if (strcmp(scenes[i].name, argv[1]))
			continue;
		if (!scenes[i].as_it_is) {
			set_policy(SCHED_OTHER, 0);
			pin(false);
		}
		return scenes[i].run();
	}
	return 2;
}
