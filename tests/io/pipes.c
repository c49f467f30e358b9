/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Pipes and what else is no file and no socket: blocking and not, full and empty, broken (and SIGPIPE never raised),
 * several readers, kills and deadlines; terminals, eventfd, timerfd.
 */
#include "iotest.h"

#include <limits.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <termios.h>

static volatile sig_atomic_t sigpipes;

static void on_sigpipe(UNUSED int sig)
{
	sigpipes++;
}

/* A reader that waits gets what comes, and the end; with O_NONBLOCK on both sides too. */
static void test_read_waits(bool nonblock)
{
	const char *what = nonblock ? "O_NONBLOCK" : "blocking";
	char buf[64];
	struct call c = { .kind = READ, .buf = buf, .size = sizeof(buf) };
	int p[2];

	mkpipe(p);
	if (nonblock) {
		nonblocking(p[0], true);
		nonblocking(p[1], true);
	}
	c.fd = p[0];
	go(fn_call, &c);
	settle();
	tap_ok(!c.done, "%s: a reader of an empty pipe waits", what);
	tap_is(tl_write(p[1], "hello", 5), 5, "%s: a write goes through", what);
	tap_ok(wait_done(&c.done) && c.result == 5 && !memcmp(buf, "hello", 5), "%s: the reader gets it", what);
	c.done = false;
	go(fn_call, &c);
	settle();
	close(p[1]);
	tap_ok(wait_done(&c.done) && c.result == 0, "%s: and then the end", what);
	tap_is(fcntl(p[0], F_GETFL) & O_NONBLOCK, nonblock ? O_NONBLOCK : 0, "%s: the flag is as it was", what);
	close(p[0]);
	all_gone(what);
}

struct stream {
	int fd;
	size_t size, done;
	bool ok;
};

static int fn_drain(void *arg)
{
	struct stream *s = arg;
	char buf[3000];
	ssize_t n;

	s->ok = true;
	while ((n = tl_read(s->fd, buf, sizeof(buf))) > 0) {
		s->ok &= filled(buf, (size_t)n, s->done);
		s->done += (size_t)n;
		if (s->done / 65536 != (s->done - (size_t)n) / 65536)
			tl_sleep(MS / 4);	/* slow */
	}
	s->ok &= n == 0;
	return 0;
}

/* Much more than a pipe holds, to a slow reader; the thread must not block, or this ends in the time-out. */
static void test_full(bool nonblock)
{
	const char *what = nonblock ? "full, O_NONBLOCK" : "full";
	size_t size = 1000000, done = 0;
	char *data = malloc(size);
	struct stream s = { .size = size };
	ssize_t r;
	int p[2];

	must(data);
	fill(data, size, 0);
	mkpipe(p);
	nonblocking(p[1], nonblock);
	s.fd = p[0];
	go(fn_drain, &s);
	r = tl_write_full(p[1], data, size, &done);
	tap_ok(r == (ssize_t)size && done == size, "%s: a megabyte is written", what);
	close(p[1]);
	tl_run();
	tap_ok(s.ok && s.done == size, "%s: and arrives in order", what);
	close(p[0]);
	free(data);
	all_gone(what);
}

/* With writev(), whose pieces are of all sizes. */
static void test_vectors(void)
{
	static char data[300000], back[300000];
	struct iovec out[3] = {
		{ data, 1 }, { data + 1, 0 }, { data + 1, 199999 },
	}, in[2] = {
		{ back, 7 }, { back + 7, 50000 },
	};
	size_t n = 0;
	ssize_t r, w;
	int p[2];

	fill(data, sizeof(data), 3);
	mkpipe(p);
	w = tl_writev(p[1], out, 3);
	tap_ok(w > 0 && w <= 200000, "writev to a pipe that is too small for all writes a part");
	while (n < (size_t)w && (r = tl_readv(p[0], in, 2)) > 0) {
		if (!filled(back, (size_t)r, 3 + n))
			break;
		n += (size_t)r;
	}
	tap_is((long long)n, w, "readv finds all of it");
	close_both(p);
	all_gone("vectors");
}

/* SIGPIPE, which would end the process, or be seen. */
static void test_broken(void)
{
	struct call c = { .kind = WRITE, .size = 100000 };
	static char data[100000];
	struct iovec iov = { data, 10 };
	struct sigaction act = { .sa_handler = on_sigpipe };
	sigset_t set, pending;
	int p[2];

	must(!sigaction(SIGPIPE, &act, NULL));
	mkpipe(p);
	close(p[0]);
	tap_is(tl_write(p[1], "x", 1), -EPIPE, "a write to a broken pipe");
	tap_is(tl_writev(p[1], &iov, 1), -EPIPE, "... with writev");
	nonblocking(p[1], true);
	tap_is(tl_write(p[1], "x", 1), -EPIPE, "... with O_NONBLOCK");
	close(p[1]);

	mkpipe(p);
	while (tl_write_until(p[1], data, sizeof(data), tl_after(MS)) > 0)
		;
	c.fd = p[1];
	c.buf = data;
	go(fn_call, &c);
	go(fn_call, &c);
	settle();
	tap_ok(!c.done, "writers of a full pipe");
	close(p[0]);
	tl_run();
	tap_ok(c.done && c.result == -EPIPE, "are told when it breaks");
	close(p[1]);
	tap_is(sigpipes, 0, "SIGPIPE is never raised");

	/* One that the program has blocked, and that is pending, stays so. */
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	raise(SIGPIPE);
	mkpipe(p);
	close(p[0]);
	tap_is(tl_write(p[1], "x", 1), -EPIPE, "a write while a SIGPIPE of the program's own is pending");
	close(p[1]);
	sigpending(&pending);
	tap_ok(sigismember(&pending, SIGPIPE), "leaves that one alone");
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	tap_is(sigpipes, 1, "it gets through when it is let");
	signal(SIGPIPE, SIG_DFL);
	all_gone("broken");
}

/* Several readers get what there is, one byte each; with epoll in the order in which they came. */
static void test_readers(void)
{
	bool fifo = on_epoll(), ok = true;
	char buf[8][1], seen[9] = "";
	struct call c[8];
	int p[2], i, n = 0;

	mkpipe(p);
	for (i = 0; i < 8; i++) {
		c[i] = (struct call){ .kind = READ, .fd = p[0], .buf = buf[i], .size = 1 };
		go(fn_call, &c[i]);
	}
	settle();
	tap_is(tl_write(p[1], "abc", 3), 3, "three bytes for eight readers");
	tl_sleep(5 * MS);
	for (i = 0; i < 8; i++) {
		n += c[i].done;
		ok &= c[i].done ? c[i].result == 1 : !fifo || i >= 3;
	}
	tap_ok(ok && n == 3, "%sthree of them get one each, the others wait on", fifo ? "the first " : "");
	tl_write(p[1], "defgh", 5);
	tl_run();
	for (i = 0; i < 8; i++) {
		ok &= c[i].done && (!fifo || (buf[i][0] == 'a' + i && (!i || c[i].order == c[i - 1].order + 1)));
		seen[buf[i][0] - 'a'] = buf[i][0];
	}
	tap_ok(ok && !strcmp(seen, "abcdefgh"), "and then the others%s", fifo ? ", in turn" : "");
	close_both(p);
	all_gone("readers");
}

/* Who comes later does not take what is there for those who wait. */
static void test_late(void)
{
	char buf[2][1] = { "", "" };
	struct call c = { .kind = READ, .buf = buf[0], .size = 1 };
	int p[2];

	mkpipe(p);
	c.fd = p[0];
	go(fn_call, &c);
	settle();
	must(write(p[1], "ab", 2) == 2);	/* we know nothing of it */
	tap_is(tl_read(p[0], buf[1], 1), 1, "a reader that comes later");
	wait_done(&c.done);
	tap_ok(buf[0][0] + buf[1][0] == 'a' + 'b' && (!on_epoll() || buf[0][0] == 'a'), "is served later%s",
	       on_epoll() ? "" : ", or not");
	close_both(p);
	all_gone("late");
}

static void test_kill(void)
{
	char buf[16];
	struct call c = { .kind = READ, .buf = buf, .size = sizeof(buf) }, d;
	struct tl_task *t;
	int p[2];

	mkpipe(p);
	c.fd = p[0];
	t = mk(fn_call, &c);
	settle();
	tap_is(tl_task_kill(t), 0, "a reader is killed");
	tap_ok(wait_done(&c.done) && c.result == -ECANCELED, "its read says so");
	tl_task_unref(t);
	tap_is(tl_write(p[1], "abc", 3), 3, "what comes later");
	tap_is(tl_read(p[0], buf, sizeof(buf)), 3, "is the next reader's");

	c.done = false;
	c.deadline = tl_after(5 * MS);
	go(fn_call, &c);
	d = c;
	d.deadline = tl_after(1 * MS);
	go(fn_call, &d);
	tl_run();
	tap_ok(c.result == -ETIMEDOUT && d.result == -ETIMEDOUT && tl_now() >= c.deadline &&
		       (d.order < c.order || d.deadline >= c.deadline),
	       "deadlines of two readers, the later one first in line");
	c.deadline = 1;
	tap_is(tl_read_until(p[0], buf, 1, 1), -ETIMEDOUT, "a deadline that has passed");
	tl_write(p[1], "x", 1);
	tap_is(tl_read_until(p[0], buf, 1, tl_after(1000 * MS)), 1, "a deadline that is not needed");
	close_both(p);
	all_gone("kill");
}

/* A kill while a write waits: what has gone out is told. */
static void test_kill_writer(void)
{
	static char data[1000000], back[65536];
	struct call c = { .kind = WRITE, .buf = data, .size = sizeof(data) };
	struct tl_task *t;
	ssize_t r, total = 0;
	int p[2];

	mkpipe(p);
	c.fd = p[1];
	while ((r = tl_write_until(p[1], data, sizeof(data), tl_after(MS))) > 0)
		total += r;
	tap_is(r, -ETIMEDOUT, "a full pipe makes a write wait");
	t = mk(fn_call, &c);
	settle();
	tl_task_kill(t);
	wait_done(&c.done);
	tl_task_unref(t);
	tap_is(c.result, -ECANCELED, "until it is killed");
	close(p[1]);
	while ((r = tl_read(p[0], back, sizeof(back))) > 0)
		total -= r;
	tap_ok(r == 0 && total == 0, "the pipe holds what the writes said, to a byte");
	close(p[0]);
	all_gone("kill a writer");
}

static void test_named(void)
{
	char path[] = "/tmp/tl-pipes-XXXXXX", fifo[64], buf[8];
	struct call c = { .kind = READ, .buf = buf, .size = sizeof(buf) };
	int in, out;

	must(mkdtemp(path));
	snprintf(fifo, sizeof(fifo), "%s/fifo", path);
	must(!mkfifo(fifo, 0600));
	in = tl_open(fifo, O_RDWR | O_CLOEXEC, 0);
	out = tl_open(fifo, O_WRONLY | O_CLOEXEC, 0);
	tap_ok(in >= 0 && out >= 0, "a named pipe");
	c.fd = in;
	go(fn_call, &c);
	settle();
	tap_is(tl_write(out, "abc", 3), 3, "is written");
	tap_ok(wait_done(&c.done) && c.result == 3, "and read");
	tap_is(tl_pread_until(in, buf, 1, 0, tl_after(MS)), -ESPIPE, "but not at an offset");
	tap_is(tl_pwrite_until(out, buf, 1, 0, tl_after(MS)), -ESPIPE, "nor written");
	tl_close(in);
	tl_close(out);
	unlink(fifo);
	rmdir(path);
	all_gone("named");
}

static void test_pointers(void)
{
	char buf[8], *bad = (char *)8;
	int p[2];

	mkpipe(p);
	tap_is(tl_write(p[1], bad, 10), -EFAULT, "a write of memory that is not there");
	tl_write(p[1], "abc", 3);
	tap_is(tl_read(p[0], bad, 10), -EFAULT, "a read to memory that is not there");
	tap_is(tl_read(p[0], buf, sizeof(buf)), 3, "which takes nothing");
	tap_is(tl_write(p[1], buf, 0), 0, "a write of nothing");
	tap_is(tl_read_until(p[0], buf, 0, tl_after(MS)), 0, "a read of nothing");
	tap_is(tl_write(p[0], "x", 1), -EBADF, "the wrong end: write");
	tap_is(tl_read(p[1], buf, 1), -EBADF, "the wrong end: read");
	close_both(p);
	all_gone("pointers");
}

static void test_eventfd(void)
{
	uint64_t value = 0, max = UINT64_MAX - 1, one = 1;
	struct call c = { .kind = READ, .buf = &value, .size = 8 }, w = { .kind = WRITE, .buf = &max, .size = 8 };
	int fd = eventfd(0, EFD_CLOEXEC);

	c.fd = w.fd = fd;
	go(fn_call, &c);
	settle();
	tap_ok(!c.done, "a reader of an eventfd waits");
	tap_is(tl_write(fd, &one, 8), 8, "it is written");
	tap_ok(wait_done(&c.done) && c.result == 8 && value == 1, "and read");
	tap_is(tl_write(fd, &one, 8), 8, "it counts 1");
	tap_is(tl_read(fd, &value, 4), -EINVAL, "its errors come through");
	go(fn_call, &w);
	settle();
	tap_ok(!w.done, "a writer that does not fit waits");
	tap_is(tl_read(fd, &value, 8), 8, "until it is read");
	tap_ok(wait_done(&w.done) && w.result == 8, "and then fits");
	close(fd);
	all_gone("eventfd");
}

static void test_timerfd(void)
{
	struct itimerspec ts = { .it_value.tv_nsec = 2000000 };
	uint64_t count = 0, start = tl_now();
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);

	must(!timerfd_settime(fd, 0, &ts, NULL));
	tap_ok(tl_read(fd, &count, 8) == 8 && count == 1 && tl_now() - start >= 2 * MS, "a timerfd");
	close(fd);
	all_gone("timerfd");
}

/* A terminal is shared with others, so it stays as it is: no O_NONBLOCK. */
static void test_terminal(void)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave, i;
	static char data[8192], back[8192];
	struct call c = { .kind = READ, .size = 100 }, w = { .kind = WRITE, .buf = data, .size = sizeof(data) };
	struct termios mode;
	struct tl_task *t;
	ssize_t got = 0;
	char buf[100];

	if (master < 0 || grantpt(master) || unlockpt(master) ||
	    (slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0) {
		for (i = 0; i < 7; i++)
			tap_skip("no terminal can be had: %s", strerror(errno));
		return;
	}
	must(!tcgetattr(slave, &mode));
	cfmakeraw(&mode);
	must(!tcsetattr(slave, TCSANOW, &mode));
	c.fd = slave;
	c.buf = buf;
	t = mk(fn_call, &c);
	settle();
	tap_ok(!c.done, "a reader of a terminal waits");
	tap_is(tl_write(master, "key", 3), 3, "somebody types");
	tap_ok(wait_done(&c.done) && c.result == 3, "it reads");
	tl_task_unref(t);
	c.done = false;
	t = mk(fn_call, &c);
	settle();
	tl_task_kill(t);
	tap_ok(wait_done(&c.done) && c.result == -ECANCELED, "and is killed while it waits");
	tl_task_unref(t);
	tap_ok(!(fcntl(slave, F_GETFL) & O_NONBLOCK) && !(fcntl(master, F_GETFL) & O_NONBLOCK),
	       "the terminal is not made O_NONBLOCK");

	fill(data, sizeof(data), 0);
	w.fd = slave;
	go(fn_call, &w);
	while (got < (ssize_t)sizeof(data)) {
		ssize_t n = tl_read_until(master, back + got, sizeof(back) - (size_t)got, tl_after(10000 * MS));

		if (n <= 0 || (w.done && w.result < (ssize_t)sizeof(data) && got + n >= w.result)) {
			got += n > 0 ? n : 0;
			break;
		}
		got += n;
	}
	wait_done(&w.done);
	tap_ok(w.result > 0 && got == w.result && filled(back, (size_t)got, 0), "a lot of output, %zd of %zd bytes",
	       got, w.result);
	close(master);
	close(slave);
	all_gone("terminal");
}

static void test_devices(void)
{
	int null = tl_open("/dev/null", O_RDWR | O_CLOEXEC, 0), zero = tl_open("/dev/zero", O_RDONLY | O_CLOEXEC, 0);
	int proc = tl_open("/proc/version", O_RDONLY | O_CLOEXEC, 0);
	char buf[4096] = "x";

	tap_ok(tl_write(null, buf, sizeof(buf)) == sizeof(buf) && tl_read(null, buf, 1) == 0, "/dev/null");
	tap_ok(tl_read(zero, buf, sizeof(buf)) == sizeof(buf) && !buf[0], "/dev/zero");
	tap_ok(tl_read(proc, buf, sizeof(buf)) > 10 && tl_read(proc, buf, sizeof(buf)) == 0, "/proc");
	tap_is(tl_write(proc, buf, 1), -EBADF, "which is read-only");
	tl_close(null);
	tl_close(zero);
	tl_close(proc);
	all_gone("devices");
}

int main(void)
{
	iotest_begin(87);
	test_read_waits(false);
	test_read_waits(true);
	test_full(false);
	test_full(true);
	test_vectors();
	test_broken();
	test_readers();
	test_late();
	test_kill();
	test_kill_writer();
	test_named();
	test_pointers();
	test_eventfd();
	test_timerfd();
	test_terminal();
	test_devices();
	return iotest_end();
}
