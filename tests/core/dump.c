/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * tl_dump(): all tasklets of the process, in all states, of all threads: of those that sleep, those that switch, those
 * that compute and those that sit in a system call; to good and to bad descriptors; from several threads at once.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <tasklet/tasklet.h>

#include "base/alloc.h"
#include "check.h"

static char text[1 << 20];
static size_t text_len;

/* tl_dump() into `text`; returns what it returns. */
static int dump(void)
{
	int fd = memfd_create("dump", MFD_CLOEXEC);
	ssize_t n;
	int r;

	if (fd < 0)
		tap_bail("no memfd: %s", strerror(errno));
	r = tl_dump(fd);
	n = pread(fd, text, sizeof(text) - 1, 0);
	text_len = n > 0 ? (size_t)n : 0;
	text[text_len] = '\0';
	close(fd);
	return r;
}

static bool has(const char *fmt, ...)
{
	char want[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(want, sizeof(want), fmt, ap);
	va_end(ap);
	return strstr(text, want) != NULL;
}

static int lines_with(const char *what)
{
	const char *p = text;
	int n = 0;

	while ((p = strstr(p, what))) {
		n++;
		p++;
	}
	return n;
}

#define dump_ok(cond, ...)				\
	do {						\
		if (!tap_ok(cond, __VA_ARGS__))		\
			tap_diag("%.900s", text);	\
	} while (0)

static bool wait_for(int *word)
{
	long i;

	for (i = 0; i < 60000 && !__atomic_load_n(word, __ATOMIC_ACQUIRE); i++)
		usleep(1000);
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static pthread_t start(void *(*fn)(void *), void *arg)
{
	pthread_t t;

	if (pthread_create(&t, NULL, fn, arg))
		tap_bail("no thread");
	return t;
}

/* --- the calling thread's --------------------------------------------------------------------------------------------- */

static struct tl_chan *chan;

static int fn_recv(UNUSED void *arg)
{
	long value;

	return tl_chan_recv(chan, &value);
}

static int fn_pause(UNUSED void *arg)
{
	return tl_schedule_remove();
}

static int fn_sleep(UNUSED void *arg)
{
	return tl_sleep(3600ull * 1000000000);
}

/* The line of the tasklet with this name, without what stands before it. */
static const char *line_of(const char *name)
{
	static char line[512];
	char want[64], *at;

	snprintf(want, sizeof(want), " (%s) ", name);
	at = strstr(text, want);
	if (!at)
		return "not there";
	snprintf(line, sizeof(line), "%.*s", (int)strcspn(at, "\n"), at);
	return line + strlen(want);
}

static void test_states(void)
{
	struct tl_task *paused, *never, *dead, *unbound;
	struct picture before;
	char want[128];
	int i;

	if (tl_chan_new(&chan, sizeof(long), 0))
		tap_bail("no channel");
	go("receiver", fn_recv, NULL);
	paused = mk("paused", fn_pause, NULL);
	tl_task_ref(paused);
	go("sleeper", fn_sleep, NULL);
	go("yielder", fn_yield, (void *)2);
	dead = mk("dead", fn_nop, NULL);
	for (i = 0; i < 3; i++)
		go("ghost", fn_nop, NULL);
	tl_schedule();
	never = mk_paused("never", fn_nop, NULL);
	unbound = NULL;
	if (tl_task_new(&unbound, NULL) || tl_task_set_name(unbound, "un\nbound\x1b"))
		tap_bail("no tasklet");

	before = picture();
	tl__fault_arm((unsigned long)-1, false);
	tap_is(dump(), 0, "9: all is written");
	tap_is(tl__fault_count(), 0, "9: nothing is allocated for it");
	tl__fault_arm(0, false);
	tap_ok(same_picture(&before), "9: nobody is run");

	snprintf(want, sizeof(want), "process %d (", (int)getpid());
	dump_ok(!strncmp(text, want, strlen(want)) && has("), libtasklet %s\n", tl_version()), "9: the first line");
	dump_ok(has("\nthread %d (", (int)syscall(SYS_gettid)) &&
		has("): 6 tasklets: 1 running, 1 runnable, 2 blocked, 2 paused\n"), "9: a line for the thread");
	dump_ok(has("  tasklet %llu (main) running\n", (unsigned long long)tl_task_id(tl_main())), "9: the one that runs");
	snprintf(want, sizeof(want), "blocked: receives from %p", (void *)chan);
	dump_ok(!strncmp(line_of("receiver"), want, strlen(want)), "9 (gevent #368): who waits, for what object");
	dump_ok(!strncmp(line_of("sleeper"), "blocked: sleeps, 3599", 21) && strstr(line_of("sleeper"), " ms left"),
		"9: how long at most");
	dump_ok(!strcmp(line_of("paused"), "paused, 2 handles"), "9: a paused one, and its handles");
	dump_ok(!strcmp(line_of("yielder"), "runnable"), "9: a runnable one");
	dump_ok(!strcmp(line_of("never"), "paused, not started, 1 handle") && has("\n    function "),
		"9: one that has not begun: what it will run");
	dump_ok(!strcmp(line_of("dead"), "dead, 1 handle"), "9: one that is dead, while somebody has a handle");
	dump_ok(lines_with(") dead") == 1 && lines_with(" dead") == 1 && !has("ghost"), "9: and not without one");
	dump_ok(!strcmp(line_of("un?bound?"), "unbound, 1 handle"), "9: a name can't break a line");
	dump_ok(lines_with("\n    #0 ") + lines_with("\n    function ") == 6,
		"9: each that lives has its backtrace, or its function");
	dump_ok(has("\ntotal: 1 thread, 6 tasklets: 1 running, 1 runnable, 2 blocked, 2 paused\n") &&
		text[text_len - 1] == '\n', "9: the last line");

	tl_task_unref(unbound);
	tl_task_unref(dead);
	tl_task_unref(never);
	tl_task_kill(paused);
	tl_task_unref(paused);
	tl_task_unref(paused);
	tap_is(tl_sched_end(), 0, "9: it ends as ever");
	tl_chan_unref(chan);
	said();
}

static int fn_dump(UNUSED void *arg)
{
	return dump();
}

static void test_in_tasklet(void)
{
	struct tl_task_attr attr = { .size = sizeof(attr), .name = "dumper", .stack_size = 16384 };

	if (CHECK_ASAN || CHECK_TSAN)
		attr.stack_size = 0;
	if (tl_spawn_attr(NULL, &attr, fn_dump, NULL))
		tap_bail("no tasklet");
	text[0] = '\0';
	tap_is(tl_run(), TL_RUN_FINISHED, "9: in a tasklet with a small stack");
	dump_ok(!strcmp(line_of("dumper"), "running") && has("(main) paused, in tl_run()\n    #0 "),
		"9: which runs, while main waits for it");
}

/* --- descriptors ------------------------------------------------------------------------------------------------------ */

static void *slow_reader(void *arg)
{
	int fd = (int)(long)arg;
	long total = 0;
	char buf[1000];
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		total += n;
		usleep(100);
	}
	return (void *)total;
}

/* A file that takes a part of the last line, and no more. */
static void test_short_write(void)
{
	struct rlimit old, limit;
	int fd = memfd_create("short", MFD_CLOEXEC), i;

	for (i = 0; i < 100; i++)
		go("many", fn_sleep, NULL);
	tl_schedule();
	getrlimit(RLIMIT_FSIZE, &old);
	limit = old;
	tl_dump(fd);
	limit.rlim_cur = (rlim_t)lseek(fd, 0, SEEK_END) - 10;
	if (ftruncate(fd, 0))
		tap_bail("no memfd");
	lseek(fd, 0, SEEK_SET);
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &limit);
	tap_is(tl_dump(fd), -EFBIG, "9: what a short write has left is written, and fails");
	setrlimit(RLIMIT_FSIZE, &old);
	signal(SIGXFSZ, SIG_DFL);
	tap_is(lseek(fd, 0, SEEK_END), (long)limit.rlim_cur, "9: up to where it failed");
	close(fd);
	tl_sched_end();
}

static void test_descriptors(void)
{
	void *total;
	pthread_t reader;
	int fd[2], i;

	tap_is(tl_dump(-1), -EBADF, "9: a bad descriptor");
	if (pipe(fd))
		tap_bail("no pipe");
	tap_is(tl_dump(fd[0]), -EBADF, "9: one that can't be written to");
	close(fd[0]);
	tap_is(tl_dump(fd[1]), -EPIPE, "9: a broken pipe, and no signal");
	close(fd[1]);

	for (i = 0; i < 100; i++)
		go("many", fn_sleep, NULL);
	tl_schedule();
	if (pipe2(fd, O_NONBLOCK) || fcntl(fd[1], F_SETPIPE_SZ, 4096) < 0 || fcntl(fd[0], F_SETFL, 0))
		tap_bail("no pipe");
	reader = start(slow_reader, (void *)(long)fd[0]);
	tap_is(tl_dump(fd[1]), 0, "9: a pipe that is full now and then, non-blocking");
	close(fd[1]);
	pthread_join(reader, &total);
	close(fd[0]);
	dump();
	tap_ok(lines_with("(many)") == 100 && (long)total > 5000, "9: gets it all");
	tl_sched_end();
}

/* --- other threads ---------------------------------------------------------------------------------------------------- */

static int up, stop, tid;

static void thread_up(void)
{
	__atomic_store_n(&tid, (int)syscall(SYS_gettid), __ATOMIC_RELAXED);
	__atomic_store_n(&up, 1, __ATOMIC_RELEASE);
}

static bool stopped(void)
{
	return __atomic_load_n(&stop, __ATOMIC_ACQUIRE);
}

static pthread_t start_and_wait(void *(*fn)(void *), void *arg)
{
	pthread_t t;

	__atomic_store_n(&up, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&stop, 0, __ATOMIC_RELAXED);
	t = start(fn, arg);
	if (!wait_for(&up))
		tap_bail("the thread does not start");
	return t;
}

static void stop_and_join(pthread_t t)
{
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	pthread_join(t, NULL);
}

static int fn_naps(UNUSED void *arg)
{
	thread_up();
	while (!stopped())
		tl_sleep(20 * 1000000);
	return 0;
}

static int fn_turns(UNUSED void *arg)
{
	thread_up();
	while (!stopped())
		tl_schedule();
	return 0;
}

static __attribute__((noinline, noclone)) int fn_computes(UNUSED void *arg)
{
	thread_up();
	/* ThreadSanitizer delivers a signal at the next call that it knows. */
	while (!stopped())
		if (CHECK_TSAN)
			tl_now();
	return 0;
}

static int pipe_fd[2];

static int fn_reads(UNUSED void *arg)
{
	char c;

	thread_up();
	return read(pipe_fd[0], &c, 1) == 1 ? 0 : -EIO;
}

static void *thread_of(void *fn)
{
	tl_task_fn *f = fn;

	go("worker", f, NULL);
	go("other", f, NULL);
	tl_run();
	return NULL;
}

/* Until it has answered in full: it may be that the machine is busy elsewhere for 100 ms. */
static bool dumps_in_full(void)
{
	int i;

	for (i = 0; i < 200; i++)
		if (!dump() && has("\nthread %d (", tid) && !has("busy") && !has("does not answer"))
			return true;
	return false;
}

static void test_threads(void)
{
	pthread_t t = start_and_wait(thread_of, fn_naps);

	tap_ok(tl_current() != NULL, "9: here is a main tasklet as well");
	dump_ok(dumps_in_full() && lines_with("\nthread ") == 2, "9: a thread that sleeps describes its own");
	dump_ok(dumps_in_full(), "9: again");
	dump_ok(has("(main) paused, in tl_run()") && !strncmp(line_of("worker"), "blocked: sleeps", 15) &&
		has("\ntotal: 2 threads, 4 tasklets: "), "9: all of them");
	stop_and_join(t);
	t = start_and_wait(thread_of, fn_turns);
	dump_ok(dumps_in_full() && (!strcmp(line_of("worker"), "runnable") || !strcmp(line_of("worker"), "running")),
		"9: so does one that switches");
	stop_and_join(t);
	tap_is(dump(), 0, "9: threads that are gone");
	dump_ok(lines_with("\nthread ") == 1, "9: ... are not in it");
}

/* On a machine that is busy elsewhere a thread may take too long to answer even a signal: once more, then. */
static int dump_patiently(void)
{
	int i, r = 0;

	for (i = 0; i < (CHECK_TSAN ? 3 : 20); i++) {
		r = dump();
		if (r || !has("does not answer"))
			break;
	}
	return r;
}

static void test_silent(void)
{
	static const char byte;
	pthread_t t;

	t = start_and_wait(thread_of, fn_computes);
	tap_is(dump_patiently(), 0, "9: a thread that computes does not hold us up");
	dump_ok(has("\nthread %d (", tid) && has("3 tasklets: 1 running, 1 runnable, 0 blocked, 1 paused; busy, so only "
						 "this one\n") &&
		!strcmp(line_of("worker"), "running") && has(" (worker) running\n    #0 "),
		"9: it shows the one that runs, and its backtrace");
	dump_ok(has("; 1 thread not in full\n"), "9: and the last line says so");

	tap_is(tl_dump_set_signal(0), 0, "9: without a signal");
	tap_is(dump(), 0, "9: ... there is a dump as well");
	dump_ok(has("\nthread %d (", tid) && has("): does not answer\n") && has("; 1 thread not in full\n"),
		"9: of such a thread it says only that");
	tap_is(tl_dump_set_signal(SIGKILL), -EINVAL, "9: a signal that can't be caught");
	tap_is(tl_dump_set_signal(-1), -EINVAL, "9: ... that there isn't");
	signal(SIGUSR1, SIG_IGN);
	tap_is(tl_dump_set_signal(SIGUSR1), -EBUSY, "9: ... that the program uses");
	tap_is(tl_dump_set_signal(SIGUSR2), 0, "9: a free one");
	tap_is(tl_dump_set_signal(SIGUSR2), 0, "9: once more");
	dump_patiently();
	dump_ok(!strcmp(line_of("worker"), "running"), "9: serves as well");
	signal(SIGUSR2, SIG_DFL);
	dump();
	dump_ok(has("): does not answer\n"), "9: one that was taken from us is not sent");
	signal(SIGUSR1, SIG_DFL);
	tap_is(tl_dump_set_signal(SIGUSR1), 0, "9: and another one can be had");
	stop_and_join(t);

	if (pipe(pipe_fd))
		tap_bail("no pipe");
	t = start_and_wait(thread_of, fn_reads);
	tap_is(dump_patiently(), 0, "9: a thread in a system call");
	if (CHECK_TSAN)
		tap_skip("ThreadSanitizer keeps signals back in this system call");
	else
		dump_ok(!strcmp(line_of("worker"), "running") && has(" (worker) running\n    #0 "), "9: shows it");
	if (write(pipe_fd[1], &byte, 1) != 1 || write(pipe_fd[1], &byte, 1) != 1)
		tap_bail("no pipe");
	stop_and_join(t);
}

/*
 * A thread that answers when another one is asked: it was asked before, and could not answer. It must not answer in the
 * other's place.
 */
static int late_go, late_up;

static int fn_late(UNUSED void *arg)
{
	uint64_t end;

	__atomic_store_n(&late_up, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&late_go, __ATOMIC_ACQUIRE))
		if (CHECK_TSAN)
			tl_now();
	/* Some time into the next dump; how much decides nothing. */
	end = tl_after(20 * 1000000);
	while (tl_now() < end)
		;
	while (!stopped())
		tl_sleep(1000000);
	return 0;
}

static void *thread_late(UNUSED void *arg)
{
	go("late", fn_late, NULL);
	tl_run();
	return NULL;
}

static void test_late(void)
{
	pthread_t first = start_and_wait(thread_of, fn_computes), second = start(thread_late, NULL);
	char line[64];

	if (!wait_for(&late_up))
		tap_bail("no thread");
	tap_is(dump(), 0, "9: two threads that compute");
	dump_ok(has("; 2 threads not in full\n"), "9: are not described in full");
	__atomic_store_n(&late_go, 1, __ATOMIC_RELEASE);
	dump();
	snprintf(line, sizeof(line), "\nthread %d (", tid);
	dump_ok(lines_with("\nthread ") == 3 && lines_with(line) == 1 && lines_with("(late)") == 1,
		"9: one that comes back while the other is asked answers for itself");
	stop_and_join(first);
	pthread_join(second, NULL);
}

/* --- many at once ----------------------------------------------------------------------------------------------------- */

static int dumps_failed;

static void *dumps(void *arg)
{
	int fd = open("/dev/null", O_WRONLY);
	int i;

	if (arg)
		go("worker", fn_nop, NULL);
	for (i = 0; i < 5; i++)
		if (tl_dump(fd))
			__atomic_fetch_add(&dumps_failed, 1, __ATOMIC_RELAXED);
	close(fd);
	if (arg)
		tl_run();
	return NULL;
}

static void *comes_and_goes(UNUSED void *arg)
{
	while (!stopped()) {
		go("short", fn_nop, NULL);
		tl_run();
		tl_sched_end();
	}
	return NULL;
}

static void test_at_once(void)
{
	pthread_t with, without, brief;
	int i;

	__atomic_store_n(&stop, 0, __ATOMIC_RELAXED);
	brief = start(comes_and_goes, NULL);
	with = start(dumps, (void *)1);
	without = start(dumps, NULL);
	for (i = 0; i < 20; i++)
		/* A thread that comes again and again is not shown each time. */
		if (dump() || !has("\ntotal: ") || lines_with("\nthread ") > 3)
			__atomic_fetch_add(&dumps_failed, 1, __ATOMIC_RELAXED);
	pthread_join(with, NULL);
	pthread_join(without, NULL);
	stop_and_join(brief);
	tap_is(dumps_failed, 0, "9: several threads at once, with and without tasklets, while others come and go");
}

static void test_fork(void)
{
	pthread_t t = start_and_wait(thread_of, fn_computes);
	int status = -1;
	pid_t pid;

	tl_current();
	dump();
	pid = fork();
	if (!pid) {
		tap_is(dump(), 0, "9: in the child of a fork");
		dump_ok(lines_with("\nthread ") == 1 && has("\nthread %d (", (int)getpid()), "9: there is one thread");
		_exit(tap_exit());
	}
	waitpid(pid, &status, 0);
	tap_is(status, 0, "9: the child of a fork has one thread to show");
	stop_and_join(t);
}

int main(void)
{
	tap_plan(54);
	test_states();
	test_in_tasklet();
	test_descriptors();
	test_short_write();
	test_threads();
	test_late();
	test_silent();
	test_at_once();
	test_fork();
	tl_sched_end();
	return tap_exit();
}
