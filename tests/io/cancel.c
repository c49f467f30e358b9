/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Kills, deadlines and thrown errors that meet IO: the call ends with them, or with what it has done in spite of them;
 * the kernel has let go of its memory; no byte and no descriptor is lost when they cross with the event that was
 * waited for.
 */
#include "iotest.h"

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
	while (send(w->fds[0], big, sizeof(big), MSG_DONTWAIT) > 0)
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

/* --- storms --- */

#define STREAMS 48

struct stream {
	struct tl_task *reader, *writer;
	int in, out;
	bool socket;
	size_t size, sent, got;
	uint64_t rnd;
	unsigned int killed, timed_out, spurious, wrong;
};

/* What a call that was told to stop may say. Whether it is to be tried again. */
static bool interrupted(struct stream *s, ssize_t r, uint64_t deadline)
{
	struct tl_error *error;

	if (r == -ETIMEDOUT) {
		s->spurious += tl_now() < deadline;
		s->timed_out++;
		return true;
	}
	if (r != -ECANCELED)
		return false;
	error = tl_catch();
	s->spurious += !error;
	tl_error_free(error);
	s->killed++;
	return true;
}

static uint64_t some_deadline(struct stream *s)
{
	uint64_t x = tap_random(&s->rnd);

	return x % 2 ? TL_FOREVER : tl_after(x / 2 % (MS / 5));
}

static int fn_storm_reader(void *arg)
{
	struct stream *s = arg;
	unsigned char buf[5000];
	uint64_t deadline;
	size_t size;
	ssize_t r;

	for (;;) {
		size = 1 + tap_random(&s->rnd) % sizeof(buf);
		deadline = some_deadline(s);
		if (s->socket)
			r = tl_recv_until(s->in, buf, size, 0, deadline);
		else
			r = tl_read_until(s->in, buf, size, deadline);
		if (r > 0) {
			s->wrong += !filled(buf, (size_t)r, s->got);
			s->got += (size_t)r;
		} else if (!interrupted(s, r, deadline)) {
			s->wrong += r != 0;
			return 0;
		}
	}
}

static int fn_storm_writer(void *arg)
{
	struct stream *s = arg;
	unsigned char buf[9000];
	uint64_t deadline;
	size_t size;
	ssize_t r;

	while (s->sent < s->size) {
		size = 1 + tap_random(&s->rnd) % sizeof(buf);
		fill(buf, size, s->sent);
		deadline = some_deadline(s);
		if (s->socket)
			r = tl_send_until(s->out, buf, size, 0, deadline);
		else
			r = tl_write_until(s->out, buf, size, deadline);
		if (r > 0)
			s->sent += (size_t)r;
		else if (!interrupted(s, r, deadline)) {
			s->wrong++;
			break;
		}
		if (tap_random(&s->rnd) % 8 == 0)
			tl_sleep(tap_random(&s->rnd) % MS);
	}
	while (tl_close(s->out) == -ECANCELED)
		s->wrong++;
	return 0;
}

static struct stream streams[STREAMS];

static void open_stream(struct stream *s, int kind, uint64_t seed)
{
	int p[2];

	*s = (struct stream){ .socket = kind != 0, .rnd = seed };
	s->size = 30000 + tap_random(&s->rnd) % 200000;
	if (kind == 0)
		mkpipe(p);
	else if (kind == 1)
		unix_pair(p, SOCK_STREAM);
	else
		tcp_pair(p);
	s->in = p[0];
	s->out = p[1];
	s->reader = mk(fn_storm_reader, s);
	s->writer = mk(fn_storm_writer, s);
}

static void kill_some(uint64_t *rnd)
{
	struct stream *s = &streams[tap_random(rnd) % STREAMS];
	struct tl_task *t = tap_random(rnd) % 2 ? s->reader : s->writer;

	if (tl_task_is_alive(t))
		tl_task_kill_later(t);
}

static void test_storm(int kind, const char *what)
{
	unsigned int killed = 0, timed_out = 0, spurious = 0, wrong = 0, i;
	uint64_t rnd = tap_seed() + (uint64_t)kind;
	size_t bytes = 0, lost = 0;
	int fds = count_fds();

	for (i = 0; i < STREAMS; i++)
		open_stream(&streams[i], kind, tap_random(&rnd));
	tl_schedule();	/* one that has not begun would not even run */
	while (stats().alive > 1) {
		for (i = tap_random(&rnd) % 24; i; i--)
			kill_some(&rnd);
		if (tap_random(&rnd) % 4)
			tl_schedule();
		else
			tl_sleep(tap_random(&rnd) % (MS / 10));
	}
	for (i = 0; i < STREAMS; i++) {
		struct stream *s = &streams[i];

		killed += s->killed;
		timed_out += s->timed_out;
		spurious += s->spurious;
		wrong += s->wrong;
		bytes += s->got;
		lost += s->sent != s->got;
		tl_task_unref(s->reader);
		tl_task_unref(s->writer);
		close(s->in);
	}
	tap_diag("%s: %zu bytes, %u kills and %u deadlines hit a call", what, bytes, killed, timed_out);
	tap_ok(!wrong && !lost, "%s: no byte is lost, doubled or moved", what);
	tap_ok(!spurious, "%s: no call is told of a kill or a deadline that was not its own", what);
	tap_is(count_fds(), fds, "%s: no descriptor is left", what);
	all_gone(what);
}

/* --- connections that come while nobody wants them any more --- */

static int accepted, accept_errors;

static int fn_accept(void *arg)
{
	struct tl_error *error;
	int fd;

	for (;;) {
		fd = tl_accept_until((int)(intptr_t)arg, NULL, NULL, SOCK_CLOEXEC, tl_after(2 * MS));
		if (fd >= 0) {
			accepted++;
			tl_close(fd);
		} else if (fd == -ECANCELED) {
			error = tl_catch();
			accept_errors += !error;
			tl_error_free(error);
		} else if (fd == -EBADF) {
			return 0;
		} else if (fd != -ETIMEDOUT) {
			accept_errors++;
			return 0;
		}
	}
}

static void test_accept_storm(void)
{
	uint64_t rnd = tap_seed();
	struct sockaddr_in addr;
	struct tl_task *t[4];
	int fds = count_fds(), lfd, i, k, clients[500];

	lfd = tcp_listen(&addr, 1000);
	for (k = 0; k < 4; k++)
		t[k] = mk(fn_accept, (void *)(intptr_t)lfd);
	settle();
	for (i = 0; i < (int)ARRAY_LEN(clients); i++) {
		if (tap_random(&rnd) % 2)
			tl_task_kill_later(t[tap_random(&rnd) % 4]);
		clients[i] = tcp_socket();
		must(!connect(clients[i], (struct sockaddr *)&addr, sizeof(addr)));
		if (tap_random(&rnd) % 2)
			tl_task_kill_later(t[tap_random(&rnd) % 4]);
		if (tap_random(&rnd) % 3 == 0)
			tl_sleep(tap_random(&rnd) % (MS / 5));
		close(clients[i]);
	}
	/* As long as it takes; then a little longer, for one too many. */
	for (i = 0; i < 20000 && accepted < (int)ARRAY_LEN(clients); i++)
		tl_sleep(MS);
	tl_sleep(20 * MS);
	tap_is(accepted, (int)ARRAY_LEN(clients), "each connection is accepted once");
	tap_is(accept_errors, 0, "and nothing else is reported");
	for (k = 0; k < 4; k++)
		tl_task_kill_later(t[k]);
	tl_close(lfd);
	tl_run();
	for (k = 0; k < 4; k++)
		tl_task_unref(t[k]);
	tap_is(count_fds(), fds, "no descriptor is left");
	all_gone("accept storm");
}

int main(void)
{
	int kind;

	tap_plan(N_KINDS * TESTS_A_KIND + 4 + 1 + 2 + 2 + 3 + 3 * 4 + 4);
	signal(SIGPIPE, SIG_DFL);
	for (kind = 0; kind < N_KINDS; kind++)
		test_kind(kind);
	test_shield();
	test_many();
	test_stacks();
	test_direct();
	test_open();
	test_storm(0, "storm on pipes");
	test_storm(1, "storm on unix sockets");
	test_storm(2, "storm on TCP");
	test_accept_storm();
	tl_sched_end();
	return tap_exit();
}
