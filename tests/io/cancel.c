/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Kills, deadlines and thrown errors that meet IO: the call ends with them, or with what it has done in spite of them;
 * the kernel has let go of its memory; no byte and no descriptor is lost when they cross with the event that was
 * waited for.
 */
#include "iotest.h"

#include "emulated.h"

#include <sys/eventfd.h>

/* --- one call of each kind, which would wait for ever --- */

struct waits {
	const char *what;
	struct call call;
	int fds[16], nfds;
};

static char big[1 << 20];
static struct sockaddr_in nowhere;

static void set_up_pipe(struct waits *w)
{
	mkpipe(w->fds);
	w->nfds = 2;
	w->call.fd = w->fds[0];
}

static void set_up_pair(struct waits *w)
{
	unix_pair(w->fds, SOCK_STREAM);
	w->nfds = 2;
	w->call.fd = w->fds[0];
}

static void set_up_full_pipe(struct waits *w)
{
	mkpipe(w->fds);
	w->nfds = 2;
	w->call.fd = w->fds[1];
	nonblocking(w->fds[1], true);
	while (write(w->fds[1], big, 4096) > 0)
		;
	nonblocking(w->fds[1], false);
}

static void set_up_full_socket(struct waits *w)
{
	tcp_pair(w->fds);
	w->nfds = 2;
	w->call.fd = w->fds[0];
	fill_socket(w->fds[0], big, sizeof(big));
}

/* Unix datagrams: the destination's queue is full. poll(2) tells of it if the socket is connected. */
static void set_up_full_datagrams(struct waits *w)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(un);

	w->fds[0] = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	w->fds[1] = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	w->nfds = 2;
	w->call.fd = w->fds[0];
	/* Without a name the kernel gives it one, in the abstract space. */
	must(!bind(w->fds[1], (struct sockaddr *)&un, sizeof(un.sun_family)));
	must(!getsockname(w->fds[1], (struct sockaddr *)&un, &len));
	must(!connect(w->fds[0], (struct sockaddr *)&un, len));
	while (send(w->fds[0], big, 100, MSG_DONTWAIT) > 0)
		;
}

static void set_up_eventfd(struct waits *w)
{
	w->fds[0] = eventfd(0, EFD_CLOEXEC);
	must(w->fds[0] >= 0);
	w->nfds = 1;
	w->call.fd = w->fds[0];
}

static void set_up_listener(struct waits *w)
{
	struct sockaddr_in addr;

	w->fds[0] = tcp_listen(&addr, 5);
	w->nfds = 1;
	w->call.fd = w->fds[0];
}

/* A listener whose queue is full answers to nobody. */
static void set_up_connect(struct waits *w)
{
	struct pollfd p = { .events = POLLOUT };
	int i;

	w->fds[0] = tcp_listen(&nowhere, 0);
	for (i = 1; i < 8; i++) {
		w->fds[i] = tcp_socket();
		nonblocking(w->fds[i], true);
		connect(w->fds[i], (struct sockaddr *)&nowhere, sizeof(nowhere));
		p.fd = w->fds[i];
		if (!poll(&p, 1, 100))
			break;
	}
	must(i < 8);
	w->fds[++i] = tcp_socket();
	w->nfds = i + 1;
	w->call.fd = w->fds[i];
	w->call.buf = &nowhere;
	w->call.size = sizeof(nowhere);
}

static const struct {
	const char *what;
	enum call_kind kind;
	void (*set_up)(struct waits *w);
} kinds[] = {
	{ "read of a pipe", READ, set_up_pipe },
	{ "read of a socket", READ, set_up_pair },
	{ "read of an eventfd", READ, set_up_eventfd },
	{ "recv", RECV, set_up_pair },
	{ "write to a full pipe", WRITE, set_up_full_pipe },
	{ "write to a full socket", WRITE, set_up_full_socket },
	{ "send to a full socket", SEND, set_up_full_socket },
	{ "send to a full destination", SEND, set_up_full_datagrams },
	{ "accept", ACCEPT, set_up_listener },
	{ "connect", CONNECT, set_up_connect },
	{ "poll", POLL, set_up_pipe },
};
#define N_KINDS ((int)ARRAY_LEN(kinds))
#define TESTS_A_KIND 7

static void set_up(struct waits *w, int kind)
{
	*w = (struct waits){
		.what = kinds[kind].what,
		.call = { .kind = kinds[kind].kind, .buf = big, .size = 8 },
	};
	if (w->call.kind == POLL)
		w->call.flags = POLLIN;
	if (w->call.kind == ACCEPT)
		w->call.flags = SOCK_CLOEXEC;
	kinds[kind].set_up(w);
}

static void tear_down(struct waits *w)
{
	while (w->nfds)
		close(w->fds[--w->nfds]);
}

/* Starts the call and sees that it waits, in the kernel too. */
static struct tl_task *start(struct waits *w)
{
	struct tl_task *t = mk(fn_call, &w->call);

	w->call.done = false;
	settle();
	tl_sleep(MS);
	if (w->call.done)
		tap_diag("%s did not wait: %d", w->what, (int)w->call.result);
	return t;
}

static bool ended(struct waits *w, struct tl_task *t, ssize_t result)
{
	bool ok = wait_done(&w->call.done) && w->call.result == result;

	if (!ok)
		tap_diag("%s: done %d, result %zd instead of %zd", w->what, w->call.done, w->call.result, result);
	tl_task_unref(t);
	return ok;
}

static void test_kind(int kind)
{
	struct tl_error *error;
	struct waits w;
	struct tl_task *t;
	uint64_t since;

	set_up(&w, kind);
	t = start(&w);
	tap_is(tl_task_kill(t), 0, "%s: a kill", w.what);
	tap_ok(ended(&w, t, -ECANCELED), "%s: ends it", w.what);
	tear_down(&w);

	set_up(&w, kind);
	since = tl_now();
	w.call.deadline = tl_after(10 * MS);
	t = start(&w);
	tap_ok(ended(&w, t, -ETIMEDOUT) && tl_now() - since >= 10 * MS, "%s: a deadline", w.what);

	/* A kill before the kernel has even heard of the deadline. */
	tear_down(&w);
	set_up(&w, kind);
	w.call.deadline = 1;
	w.call.done = false;
	t = mk(fn_call, &w.call);
	settle();
	tl_task_kill(t);
	tap_ok(wait_done(&w.call.done) && (w.call.result == -ETIMEDOUT || w.call.result == -ECANCELED),
	       "%s: a deadline that has passed, and a kill", w.what);
	tl_task_unref(t);
	tear_down(&w);

	set_up(&w, kind);
	t = start(&w);
	must(!tl_error_new(&error, EIO, "thrown"));
	tap_is(tl_task_throw_later(t, error), 0, "%s: an error is thrown", w.what);
	tl_task_kill_later(t);
	tap_ok(ended(&w, t, -EIO), "%s: and ends it, though a kill comes behind", w.what);
	tear_down(&w);
	all_gone(w.what);
}

/* --- more than one thing at a time --- */

struct shielded {
	int fd;
	ssize_t first, second;
};

static int fn_shielded(void *arg)
{
	struct shielded *s = arg;
	char buf[8];

	tl_shield(true);
	s->first = tl_read(s->fd, buf, sizeof(buf));
	tl_shield(false);
	s->second = tl_read(s->fd, buf, sizeof(buf));
	return 0;
}

static void test_shield(void)
{
	struct shielded s;
	struct tl_task *t;
	int p[2];

	mkpipe(p);
	s.fd = p[0];
	t = mk(fn_shielded, &s);
	settle();
	tl_task_kill(t);
	settle();
	tap_ok(tl_task_is_blocked(t), "under a shield a kill ends nothing");
	tl_write(p[1], "abcdefghij", 10);
	all_gone("shield");
	tap_ok(s.first == 8 && s.second == -ECANCELED, "the call that it hit is done, the next one fails");
	tl_task_unref(t);
	tap_is(tl_read(p[0], big, 8), 2, "and takes nothing");
	close_both(p);
}

/* More than a submission queue holds, killed before they can have been submitted. */
static int fn_reader(void *arg)
{
	char buf[8];

	return (int)tl_read((int)(intptr_t)arg, buf, sizeof(buf)) == -ECANCELED ? -ECANCELED : 1;
}

static void test_many(void)
{
	static struct tl_task *t[1500];
	int p[2];
	size_t i;

	mkpipe(p);
	for (i = 0; i < ARRAY_LEN(t); i++)
		t[i] = mk(fn_reader, (void *)(intptr_t)p[0]);
	tl_schedule();
	for (i = 0; i < ARRAY_LEN(t); i++)
		tl_task_kill_later(t[i]);
	all_gone("1500 readers killed at once");
	for (i = 0; i < ARRAY_LEN(t); i++)
		tl_task_unref(t[i]);
	close_both(p);
}

/*
 * A killed reader ends, and another tasklet takes over its stack at once. If the kernel still had the buffer, or a
 * cancellation the address of the operation, that one would be hit.
 */
static int fn_stack_reader(void *arg)
{
	volatile char buf[3000];

	return tl_read((int)(intptr_t)arg, (void *)buf, sizeof(buf)) < 0 ? 0 : 1;
}

static int bad_stacks;

static int fn_stack_keeper(UNUSED void *arg)
{
	volatile unsigned char mine[6000];
	size_t i;
	int k;

	for (i = 0; i < sizeof(mine); i++)
		mine[i] = (unsigned char)(i * 7);
	for (k = 0; k < 4; k++)
		if (tl_sleep(MS / 20) == -ECANCELED && !tl_catch())
			bad_stacks++;
	for (i = 0; i < sizeof(mine); i++)
		if (mine[i] != (unsigned char)(i * 7)) {
			bad_stacks++;
			break;
		}
	return 0;
}

static void test_stacks(void)
{
	static char junk[3000];
	uint64_t rnd = tap_seed();
	struct tl_task *t;
	int p[2], i;

	memset(junk, 0xee, sizeof(junk));
	unix_pair(p, SOCK_STREAM);
	nonblocking(p[1], true);
	for (i = 0; i < 400; i++) {
		t = mk(fn_stack_reader, (void *)(intptr_t)p[0]);
		settle();
		if (tap_random(&rnd) % 2)
			tl_sleep(MS / 50);
		if (tap_random(&rnd) % 2)
			must(write(p[1], junk, 2000) > 0 || errno == EAGAIN);
		tl_task_kill_later(t);
		tl_task_unref(t);
		if (tap_random(&rnd) % 2)
			must(write(p[1], junk, 2000) > 0 || errno == EAGAIN);
		tl_run();
		go(fn_stack_keeper, NULL);
		tl_run();
		while (recv(p[0], big, sizeof(big), MSG_DONTWAIT) > 0)
			;
	}
	close_both(p);
	tap_is(bad_stacks, 0, "a stack is its next owner's alone");
	all_gone("stacks");
}

/* --- what comes from a disk can't be called back --- */

struct direct {
	int fd;
	ssize_t result;
	char *buf;
};

static int fn_direct(void *arg)
{
	struct direct *d = arg;

	d->result = tl_pread(d->fd, d->buf, 1 << 20, 0);
	return 0;
}

static bool all_bytes(const char *p, size_t n, char c)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (p[i] != c)
			return false;
	return true;
}

static void test_direct(void)
{
	char path[] = "./tl-cancel-XXXXXX";
	struct direct d = { 0 };
	bool ok = true;
	struct tl_task *t;
	int i, fd = mkstemp(path), done = 0;

	must(fd >= 0);
	memset(big, 'd', sizeof(big));
	must(write(fd, big, sizeof(big)) == sizeof(big) && !fsync(fd));
	close(fd);
	d.fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	unlink(path);
	if (d.fd < 0) {
		tap_skip("no O_DIRECT here: %s", strerror(errno));
		tap_skip("so no buffer for it");
		return;
	}
	must(!posix_memalign((void **)&d.buf, 4096, 1 << 20));
	for (i = 0; i < 20; i++) {
		memset(d.buf, 'x', 1 << 20);
		t = mk(fn_direct, &d);
		settle();
		tl_task_kill(t);
		tl_run();
		tl_task_unref(t);
		ok &= d.result == -ECANCELED || d.result == 1 << 20;
		done += d.result > 0;
		/* It is ours again, whatever came of it. */
		if (d.result > 0)
			ok &= all_bytes(d.buf, 1 << 20, 'd');
		memset(d.buf, 'y', 1 << 20);
		tl_sleep(3 * MS);
		ok &= all_bytes(d.buf, 1 << 20, 'y');
	}
	tap_diag("%d of 20 were done all the same", done);
	tap_ok(ok, "a killed O_DIRECT read leaves the buffer alone once it has returned");
	free(d.buf);
	close(d.fd);
	all_gone("direct");
}

/* A named pipe that nobody else opens. */
static int fn_open(void *arg)
{
	int r = tl_open(arg, O_RDONLY | O_CLOEXEC, 0);

	return r == -ECANCELED ? -ECANCELED : 1;
}

static void test_open(void)
{
	char dir[] = "/tmp/tl-cancel-XXXXXX", fifo[64];
	struct tl_task *t;

	must(mkdtemp(dir));
	snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
	must(!mkfifo(fifo, 0600));
	t = mk(fn_open, fifo);
	settle();
	tl_sleep(10 * MS);
	tap_ok(tl_task_is_blocked(t), "open waits for the other end of a named pipe");
	tl_task_kill(t);
	tl_sleep(10 * MS);
	if (tl_task_is_alive(t)) {
		tap_diag("a thread that is in open() can't be called back: let it through");
		tl_close(tl_open(fifo, O_RDWR | O_NONBLOCK | O_CLOEXEC, 0));
	}
	tl_run();
	tap_ok(!tl_task_is_alive(t), "a kill ends that, or the other end does");
	tl_task_unref(t);
	unlink(fifo);
	rmdir(dir);
	all_gone("open");
}

/*
 * The same from a socket that is not connected: to poll(2) it can always send. The call must not burn the processor
 * over that, nor may it send something else than it was told to.
 */
struct sender {
	int fd;
	struct sockaddr_un to;
	socklen_t len;
	uint64_t deadline;
	ssize_t result;
	bool done;
};

static int fn_sendmsg(void *arg)
{
	struct sender *s = arg;
	struct iovec iov[2] = { { big, 40 }, { big + 40, 60 } };
	struct msghdr msg = { .msg_name = &s->to, .msg_namelen = s->len, .msg_iov = iov, .msg_iovlen = 2 };

	s->result = tl_sendmsg_until(s->fd, &msg, 0, s->deadline);
	s->done = true;
	return 0;
}

static double cpu_time(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

static void test_destination(void)
{
	struct sender s = { .to.sun_family = AF_UNIX, .len = sizeof(s.to), .deadline = tl_after(500 * MS) };
	int to = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), n = 0;
	struct tl_task *t;
	double cpu;
	bool ok = true;
	ssize_t r;

	s.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	must(!bind(to, (struct sockaddr *)&s.to, sizeof(s.to.sun_family)));
	must(!getsockname(to, (struct sockaddr *)&s.to, &s.len));
	while (sendto(s.fd, big, 100, MSG_DONTWAIT, (struct sockaddr *)&s.to, s.len) > 0)
		n++;
	cpu = cpu_time();
	go(fn_sendmsg, &s);
	tap_ok(wait_done(&s.done) && s.result == -ETIMEDOUT, "sendmsg to a full destination ends at its deadline");
	cpu = cpu_time() - cpu;
	/* Whoever looks again and again uses all of it; the sanitizer's own share is in it. */
	tap_ok(cpu < (EMULATED_TSAN ? 0.25 : 0.1), "it has used %.3f s of 0.5", cpu);
	s.done = false;
	s.deadline = TL_FOREVER;
	t = mk(fn_sendmsg, &s);
	tl_sleep(20 * MS);
	while ((r = recv(to, big, sizeof(big), MSG_DONTWAIT)) >= 0) {
		ok &= r == 100;
		n--;
	}
	ok &= wait_done(&s.done) && s.result == 100;
	tl_task_unref(t);
	ok &= recv(to, big, sizeof(big), MSG_DONTWAIT) == 100 && n == 0;
	tap_ok(ok, "or sends when there is room, and all of it");
	close(s.fd);
	close(to);
	all_gone("destination");
}

int main(void)
{
	int kind;

	tap_plan(N_KINDS * TESTS_A_KIND + 4 + 1 + 2 + 2 + 3 + 4);
	for (kind = 0; kind < N_KINDS; kind++)
		test_kind(kind);
	test_shield();
	test_many();
	test_stacks();
	test_direct();
	test_open();
	test_destination();
	tl_sched_end();
	return tap_exit();
}
