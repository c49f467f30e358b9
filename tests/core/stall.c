/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The stall detector (section 9: gevent #1143, #1665): a tasklet that computes, or sits in a system call, for longer than
 * the limit is reported with its name and backtrace, and again when the time has doubled; nobody else is: not who sleeps,
 * not who switches, not a thread without tasklets, not the monitor. By call and by TL_STALL, also in a forked child.
 *
 * Every stall here lasts until its report has come.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unwind.h>

#include <tasklet/tasklet.h>

#include "check.h"
#include "emulated.h"
#include "core/monitor.h"

#define MS UINT64_C(1000000)
#define PATIENCE_NS (60 * 1000 * MS)

#define REPORTS 64

static struct report {
	uint64_t id, held_ns;
	char name[64];
	int tid;
	unsigned int number;
	size_t npc;
	void *pc[64];
} reports[REPORTS];
static int nreports;		/* released by the monitor's thread */
static int again;		/* what tl_stall_detect() says in a report */
static bool monitor_known;
static int release_fd = -1;	/* a byte for each report goes there */

static int count(void)
{
	return __atomic_load_n(&nreports, __ATOMIC_ACQUIRE);
}

static void on_stall(const struct tl_stall *stall, void *arg)
{
	struct report *r = &reports[nreports % REPORTS];

	*r = (struct report){ .id = stall->task_id, .held_ns = stall->held_ns, .tid = stall->tid,
			      .number = stall->report };
	snprintf(r->name, sizeof(r->name), "%s", stall->task_name);
	for (; r->npc < stall->npc && r->npc < ARRAY_LEN(r->pc); r->npc++)
		r->pc[r->npc] = stall->pc[r->npc];
	again = tl_stall_detect(0, NULL, NULL);
	monitor_known = tl__monitor_owns_tid((int)syscall(SYS_gettid)) && arg == &reports;
	if (release_fd >= 0 && write(release_fd, "", 1) != 1)
		abort();
	__atomic_store_n(&nreports, nreports + 1, __ATOMIC_RELEASE);
}

static void detect(uint64_t limit_ns)
{
	int r = tl_stall_detect(limit_ns, on_stall, &reports);

	if (r)
		tap_bail("tl_stall_detect: %d", r);
}

/* Computes until so many reports have come. */
static __attribute__((noinline, noclone)) int spin(long want)
{
	uint64_t deadline = tl_after(PATIENCE_NS);
	volatile long n = 0;

	while (count() < want) {
		n++;
		/* Where signals come at certain calls only, this is one. */
		if (tl_now() > deadline)
			return -ETIMEDOUT;
	}
	return 0;
}

static int fn_spin(void *arg)
{
	int r = spin((long)arg);

	__asm__ volatile("" : "+r"(r));
	return r ? 1 : 0;
}

static bool has_frame(const struct report *r, const void *fn)
{
	size_t i;

	for (i = 0; i < r->npc; i++)
		if (_Unwind_FindEnclosingFunction((char *)r->pc[i] + 1) == fn)
			return true;
	return false;
}

static void test_spin(void)
{
	struct tl_task *t = NULL;
	unsigned int i;
	int tries;

	/* On a machine that is busy elsewhere a thread may take too long to answer. */
	for (tries = 0; tries < 5; tries++) {
		tl_task_unref(t);
		nreports = 0;
		detect(20 * MS);
		t = mk("cruncher", fn_spin, (void *)3);
		tl_schedule();
		tl_stall_detect(0, NULL, NULL);	/* nobody is in a report any more */
		if (reports[0].id && reports[1].id && reports[2].id)
			break;
	}
	if (!tap_ok(count() >= 3, "9: a tasklet that computes is reported, again and again")) {
		tap_skip_rest("no report comes");
		return;
	}
	tap_is(reports[0].id, tl_task_id(t), "9: its number");
	tap_str(reports[0].name, "cruncher", "9: its name");
	tap_is(reports[0].tid, (int)syscall(SYS_gettid), "9: its thread");
	tap_ok(reports[0].held_ns >= 20 * MS, "9: for the limit at least");
	tap_ok(has_frame(&reports[0], (const void *)spin) && has_frame(&reports[0], (const void *)fn_spin),
	       "9: its backtrace");
	for (i = 1; i < 3; i++)
		tap_ok(reports[i].number == i + 1 && reports[i].id == reports[0].id &&
		       reports[i].held_ns >= 2 * reports[i - 1].held_ns,
		       "9: report %u: when the time has doubled", i + 1);
	tap_ok(monitor_known, "9 (gevent #1665): the monitor's thread is known as such");
	tap_is(again, -EBUSY, "9: a report can't turn the detector off");
	tl_task_unref(t);
}

/* --- in a system call ------------------------------------------------------------------------------------------------- */

static int fn_read(void *arg)
{
	ssize_t n;
	char c;

	do
		n = read((int)(long)arg, &c, 1);
	while (n < 0 && errno == EINTR);
	return 0;
}

static void test_system_call(void)
{
	int fd[2], tries;

	if (pipe(fd))
		tap_bail("no pipe");
	tl_stall_detect(0, NULL, NULL);
	release_fd = fd[1];
	for (tries = 0; tries < (CHECK_TSAN ? 1 : 5); tries++) {
		nreports = 0;
		detect(20 * MS);
		go("reader", fn_read, (void *)(long)fd[0]);
		tl_schedule();
		tl_stall_detect(0, NULL, NULL);
		if (reports[0].id)
			break;
	}
	release_fd = -1;
	tap_ok(count() >= 1, "9: one in a system call is reported, which is restarted");
	if (CHECK_TSAN)
		tap_skip("ThreadSanitizer keeps signals back in this system call");
	else
		tap_str(reports[0].name, "reader", "9: with its name");
	close(fd[0]);
	close(fd[1]);
}

/* --- who is not reported ---------------------------------------------------------------------------------------------- */

static int stop, ready, tids[3];

static bool stopped(void)
{
	return __atomic_load_n(&stop, __ATOMIC_ACQUIRE);
}

static void be(int i)
{
	tids[i] = (int)syscall(SYS_gettid);
	__atomic_fetch_add(&ready, 1, __ATOMIC_RELEASE);
}

static int fn_naps(void *arg)
{
	if (arg)
		be(0);
	while (!stopped())
		tl_sleep(700 * MS);
	return 0;
}

static void *thread_naps(UNUSED void *arg)
{
	go("nap", fn_naps, (void *)1);
	go("nap", fn_naps, NULL);
	tl_run();
	return NULL;
}

/* The counter that is sampled has the same value each time it is asleep. */
static int fn_turns(void *arg)
{
	if (arg)
		be(1);
	while (!stopped()) {
		tl_schedule();
		tl_sleep(1);
		usleep(100);
	}
	return 0;
}

static void *thread_turns(UNUSED void *arg)
{
	go("turn", fn_turns, (void *)1);
	tl_run();
	return NULL;
}

static bool disturbed;

/* A thread that has a scheduler, but never a tasklet: it keeps nobody from running. */
static void *thread_lone(UNUSED void *arg)
{
	tl_schedule();
	be(2);
	while (!stopped())
		if (poll(NULL, 0, 100))
			__atomic_store_n(&disturbed, true, __ATOMIC_RELAXED);
	return NULL;
}

static void test_others(void)
{
	static void *(*const fn[])(void *) = { thread_naps, thread_turns, thread_lone };
	pthread_t threads[ARRAY_LEN(fn)];
	int i, j, mine = 0, others = 0;

	nreports = 0;
	for (i = 0; i < (int)ARRAY_LEN(fn); i++)
		if (pthread_create(&threads[i], NULL, fn[i], NULL))
			tap_bail("no thread");
	while (__atomic_load_n(&ready, __ATOMIC_ACQUIRE) < (int)ARRAY_LEN(fn))
		usleep(1000);
	detect(100 * MS);
	go("cruncher", fn_spin, (void *)2);
	tl_schedule();
	tl_stall_detect(0, NULL, NULL);
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	for (i = 0; i < (int)ARRAY_LEN(fn); i++)
		pthread_join(threads[i], NULL);
	for (i = 0; i < count() && i < REPORTS; i++) {
		bool sleeps = false;

		for (j = 0; j < 3; j += 2)
			sleeps |= reports[i].tid == tids[j];
		others += sleeps;
		mine += reports[i].tid == (int)syscall(SYS_gettid);
	}
	tap_ok(mine >= 2, "9: while one is reported");
	tap_is(others, 0, "9: a thread that sleeps is not, nor one that has never had tasklets");
	tap_ok(!disturbed, "9: nor are its system calls interrupted");
	/* A machine that is busy for 100 ms makes it look like one that holds its thread: it does, then. */
	tap_diag("%d of %d reports were about others", count() - mine, count());
}

/*
 * One that sleeps, for a bit at a time: what the monitor sees would be the same picture each time it looks, unless the
 * sleeps count.
 */
static int fn_dozes(UNUSED void *arg)
{
	uint64_t end = tl_after(600 * MS);

	while (tl_now() < end)
		tl_sleep(MS);
	return 0;
}

/* One that is alone, and would let others run if there were any. */
static int fn_alone(UNUSED void *arg)
{
	uint64_t end = tl_after(600 * MS), turn;

	while (tl_now() < end) {
		turn = tl_after(MS / 10);
		while (tl_now() < turn)
			;
		tl_schedule();
	}
	return 0;
}

/* A machine that is busy elsewhere may stop a thread for the whole limit just when it is awake: not five times. */
static bool not_reported(tl_task_fn *fn)
{
	int i;

	for (i = 0; i < 5; i++) {
		nreports = 0;
		detect(200 * MS);
		go("innocent", fn, NULL);
		tl_run();
		tl_stall_detect(0, NULL, NULL);
		if (!count())
			return true;
	}
	return false;
}

static void test_innocent(void)
{
	tap_ok(not_reported(fn_dozes), "9: one that sleeps for a bit at a time is not reported");
	tap_ok(not_reported(fn_alone), "9: nor one that yields, though it is alone");
}

/* One with nobody else left keeps nobody waiting: no report, and no number either. */
static void test_nobody_waits(void)
{
	uint64_t end;

	nreports = 0;
	detect(20 * MS);
	end = tl_after(200 * MS);
	while (tl_now() < end)
		;
	tap_is(count(), 0, "9: nor one that is the last of its thread");
	go("waiter", fn_nop, NULL);
	spin(1);
	tl_stall_detect(0, NULL, NULL);
	tl_run();
	tap_is(reports[0].number, 1, "9: the first report is the first that was made");
}

static void test_arguments(void)
{
	tap_is(tl_stall_detect(1, NULL, NULL), -EINVAL, "9: a limit below 1 ms");
	tap_is(tl_stall_detect(0, NULL, NULL), 0, "9: off when it is off");
	tap_is(tl_stall_detect(TL_FOREVER, NULL, NULL), 0, "9: a limit that is never reached");
	tap_is(tl_stall_detect(0, NULL, NULL), 0, "9: and off again");
}

/* --- on stderr, by the environment, after a fork ---------------------------------------------------------------------- */

static char said_there[65536];

/* Runs @fn in a child whose stderr is a file; what is there in the end. Returns the child's status. */
static int in_child(int (*fn)(int fd), const char *environment)
{
	int fd = memfd_create("stderr", 0);
	int status = -1;
	ssize_t n;
	pid_t pid;

	if (fd < 0)
		tap_bail("no memfd");
	pid = fork();
	if (!pid) {
		if (environment)
			setenv("TL_STALL", environment, 1);
		dup2(fd, STDERR_FILENO);
		_exit(fn(fd));
	}
	waitpid(pid, &status, 0);
	n = pread(fd, said_there, sizeof(said_there) - 1, 0);
	said_there[n > 0 ? n : 0] = '\0';
	close(fd);
	return status;
}

/* Computes until there is something on stderr. */
static int fn_spin_until_said(void *arg)
{
	uint64_t deadline = tl_after(PATIENCE_NS);
	struct stat st = { 0 };

	while (!st.st_size && tl_now() < deadline)
		if (fstat((int)(long)arg, &st))
			break;
	return 0;
}

static int child_spins(int fd)
{
	go("child", fn_spin_until_said, (void *)(long)fd);
	return tl_run() != TL_RUN_FINISHED;
}

static int child_forks(int fd)
{
	int status = -1;
	pid_t pid = fork();

	if (!pid)
		_exit(child_spins(fd));
	waitpid(pid, &status, 0);
	return status;
}

/* Without a poll before it computes. */
static int child_spins_soon(int fd)
{
	go("child", fn_spin_until_said, (void *)(long)fd);
	return tl_schedule();
}

static int child_ends(UNUSED int fd)
{
	go("child", fn_nop, NULL);
	return tl_run() != TL_RUN_FINISHED;
}

static bool is_report(void)
{
	return !strncmp(said_there, "libtasklet: tasklet ", 20) && strstr(said_there, " (child) has held thread ") &&
	       strstr(said_there, " ms\n    #0 ");
}

/* Once more where the thread took too long to answer. */
static bool reported(int (*fn)(int fd), const char *environment)
{
	int i, status = -1;

	for (i = 0; i < 5; i++) {
		status = in_child(fn, environment);
		if (!strstr(said_there, "libtasklet: a tasklet has held"))
			break;
	}
	return status == 0 && is_report();
}

#define said_ok(cond, ...)				\
	do {						\
		if (!tap_ok(cond, __VA_ARGS__))		\
			tap_diag("%.900s", said_there);	\
	} while (0)

/* Before this process makes its first tasklet: TL_STALL is read once. */
static void test_environment(void)
{
	static const char *const bad[] = { "often", "-1", "10 ms", "", "1ns", "20d", "99999999999999999999" };
	char want[64];
	size_t i;

	said_ok(reported(child_spins, "20ms"), "9: TL_STALL=20ms: a report on stderr");
	said_ok(reported(child_spins, "15"), "9: TL_STALL=15: a number is milliseconds");
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		snprintf(want, sizeof(want), "libtasklet: TL_STALL=%s: ", bad[i]);
		said_ok(in_child(child_ends, bad[i]) == 0 && !strncmp(said_there, want, strlen(want)) &&
			strstr(said_there, "; ignored\n"), "9: TL_STALL=%s is refused in words", bad[i]);
	}
	said_ok(in_child(child_ends, "0") == 0 && !*said_there, "9: TL_STALL=0 is off");
	said_ok(in_child(child_ends, NULL) == 0 && !*said_there, "9: as it is without it");
}

static void test_fork(void)
{
	const char *none = no_threads_in_child();
	int r = tl_stall_detect(20 * MS, NULL, NULL);

	tap_is(r, 0, "9: on, and then a fork");
	if (none)
		tap_skip("%s can't start a thread in a forked child", none);
	else
		said_ok(reported(child_spins, NULL), "9: the detector is on in the child as well");
	tl_current();
	if (none) {
		tap_skip("the same");
		tap_skip("the same");
	} else {
		said_ok(reported(child_spins, NULL), "9: in one that has tasklets already");
		said_ok(reported(child_spins_soon, NULL), "9: from its first switch on");
	}
	if (none) {
		tap_skip("the same");
		tap_skip("the same");
	} else {
		struct tl_features f = { .size = sizeof(f) };

		said_ok(reported(child_forks, NULL), "9: in a child of a child that has not switched");
		tl_features(&f);
		said_ok(reported(child_spins, NULL), "9: in one whose parent has IO");
	}
	tl_stall_detect(0, NULL, NULL);
}

int main(void)
{
	tap_plan(40);
	test_environment();
	test_arguments();
	test_fork();
	test_others();
	test_innocent();
	test_nobody_waits();
	test_system_call();
	test_spin();
	tl_stall_detect(0, NULL, NULL);
	tl_sched_end();
	return tap_exit();
}
