/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Signals that interrupt IO all the time: no call tells of it, none loses a byte, and a handler runs at once although
 * the thread sleeps in the kernel.
 */
#include "iotest.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/time.h>

static volatile sig_atomic_t ticks;
static int wake_pipe[2];

static void on_tick(UNUSED int sig)
{
	ticks++;
}

static void on_wake(UNUSED int sig)
{
	int saved = errno;

	(void)!write(wake_pipe[1], "w", 1);
	errno = saved;
}

/* Handlers without SA_RESTART. */
static void handle(int sig, void (*fn)(int sig))
{
	struct sigaction act = { .sa_handler = fn };

	must(!sigaction(sig, &act, NULL));
}

static void set_timer(long us)
{
	struct itimerval timer = { .it_interval.tv_usec = us, .it_value.tv_usec = us };

	must(!setitimer(ITIMER_REAL, &timer, NULL));
}

static int errors;

#define expect(x)									\
	do {										\
		if (!(x)) {								\
			errors++;							\
			tap_diag("line %d: %s", __LINE__, #x);				\
		}									\
	} while (0)

/* --- the load --- */

struct pair {
	int in, out;
	size_t size, got;
};

static int fn_writer(void *arg)
{
	struct pair *p = arg;
	size_t done = 0, n;
	char buf[5000];
	ssize_t r;

	while (done < p->size) {
		n = p->size - done < sizeof(buf) ? p->size - done : sizeof(buf);
		fill(buf, n, done);
		r = tl_write(p->out, buf, n);
		expect(r > 0);
		if (r <= 0)
			break;
		done += (size_t)r;
	}
	expect(tl_close(p->out) == 0);
	return 0;
}

static int fn_reader(void *arg)
{
	struct pair *p = arg;
	char buf[3000];
	ssize_t r;

	while ((r = tl_read(p->in, buf, sizeof(buf))) > 0) {
		expect(filled(buf, (size_t)r, p->got));
		p->got += (size_t)r;
	}
	expect(r == 0 && p->got == p->size);
	expect(tl_close(p->in) == 0);
	return 0;
}

static int fn_sleeper(UNUSED void *arg)
{
	uint64_t since;
	int i;

	for (i = 0; i < 20; i++) {
		since = tl_now();
		expect(tl_sleep(3 * MS) == 0 && tl_now() - since >= 3 * MS);
	}
	return 0;
}

static int fn_files(UNUSED void *arg)
{
	char path[] = "/tmp/tl-signals-XXXXXX", buf[100];
	int i, fd = mkstemp(path);

	must(fd >= 0);
	close(fd);
	for (i = 0; i < 30; i++) {
		fd = tl_open(path, O_RDWR | O_CLOEXEC, 0);
		expect(fd >= 0);
		if (fd < 0)
			tap_diag("open: %s", strerror(-fd));
		expect(tl_pwrite(fd, path, sizeof(path), 0) == sizeof(path));
		expect(tl_fsync(fd) == 0);
		expect(tl_pread(fd, buf, sizeof(buf), 0) == sizeof(path));
		expect(tl_close(fd) == 0);
	}
	unlink(path);
	return 0;
}

static struct sockaddr_in addr;
static int listen_fd;

static int fn_acceptor(UNUSED void *arg)
{
	int i, fd;

	for (i = 0; i < 100; i++) {
		fd = tl_accept(listen_fd, NULL, NULL, SOCK_CLOEXEC);
		expect(fd >= 0);
		expect(tl_close(fd) == 0);
	}
	return 0;
}

static int fn_dialler(UNUSED void *arg)
{
	char b;
	int i, fd;

	for (i = 0; i < 100; i++) {
		fd = tcp_socket();
		expect(tl_connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0);
		expect(tl_recv(fd, &b, 1, 0) == 0);
		expect(tl_close(fd) == 0);
	}
	return 0;
}

static int fn_deadlines(UNUSED void *arg)
{
	uint64_t deadline;
	int i, p[2];
	char b;

	mkpipe(p);
	for (i = 0; i < 30; i++) {
		deadline = tl_after(2 * MS);
		expect(tl_read_until(p[0], &b, 1, deadline) == -ETIMEDOUT && tl_now() >= deadline);
	}
	close_both(p);
	return 0;
}

static void test_storm(void)
{
	struct pair pairs[6];
	int i, p[2];

	listen_fd = tcp_listen(&addr, 100);
	for (i = 0; i < 6; i++) {
		if (i < 2)
			mkpipe(p);
		else if (i < 4)
			unix_pair(p, SOCK_STREAM);
		else
			tcp_pair(p);
		pairs[i] = (struct pair){ .in = p[0], .out = p[1], .size = 500000 };
		go(fn_writer, &pairs[i]);
		go(fn_reader, &pairs[i]);
	}
	go(fn_sleeper, NULL);
	go(fn_files, NULL);
	go(fn_acceptor, NULL);
	go(fn_dialler, NULL);
	go(fn_deadlines, NULL);
	handle(SIGALRM, on_tick);
	set_timer(150);
	tl_run();
	set_timer(0);
	close(listen_fd);
	tap_diag("%d signals", (int)ticks);
	tap_ok(ticks > 50, "signals came");
	tap_is(errors, 0, "and no call has noticed");
	all_gone("storm");
}

/* A thread that sleeps in the kernel, for nothing but what the handler does. */
static void test_wake(void)
{
	struct itimerval timer = { .it_value.tv_usec = 20000 };
	uint64_t since = tl_now();
	char b;

	mkpipe(wake_pipe);
	handle(SIGALRM, on_wake);
	must(!setitimer(ITIMER_REAL, &timer, NULL));
	tap_ok(tl_read(wake_pipe[0], &b, 1) == 1 && tl_now() - since < 5000 * MS, "a handler runs while all sleep");
	close_both(wake_pipe);
	all_gone("wake");
}

/*
 * A thread's first call that needs a worker of the kernel's: a signal interrupts the making of one, and the kernel then
 * cancels the call.
 */
struct worker {
	int result;
	_Atomic bool started, done;
};

static void *first_open(void *arg)
{
	struct worker *w = arg;

	(void)backend();
	/* seq_cst, both: nothing depends on it but when the signals begin and end */
	atomic_store(&w->started, true);
	w->result = tl_open("/proc/self/exe", O_RDONLY | O_CLOEXEC, 0);
	atomic_store(&w->done, true);
	if (w->result >= 0)
		close(w->result);
	tl_sched_end();
	return NULL;
}

static void test_workers(void)
{
	pthread_t thread;
	bool ok = true;
	int i, sent = 0;

	handle(SIGUSR1, on_tick);
	for (i = 0; i < 100; i++) {
		struct worker w = { 0 };

		must(!pthread_create(&thread, NULL, first_open, &w));
		while (!atomic_load(&w.started))
			sched_yield();
		for (; !atomic_load(&w.done); sent++)
			if (sent % 4)
				pthread_kill(thread, SIGUSR1);
		pthread_join(thread, NULL);
		ok &= w.result >= 0;
		if (w.result < 0)
			tap_diag("open: %s", strerror(-w.result));
	}
	tap_diag("%d signals", sent);
	tap_ok(ok, "signals while the kernel makes itself a thread");
}

int main(void)
{
	tap_plan(6);
	test_storm();
	test_workers();
	test_wake();
	tl_sched_end();
	return tap_exit();
}
