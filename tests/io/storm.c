/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Kills and deadlines at random, in the middle of traffic: each byte that a call says it has moved arrives once and in
 * order, each connection is accepted once, and nobody is told of what was meant for another call. That is what would
 * go wrong first if the kernel still had an operation, or its cancellation, when its tasklet goes on.
 */
#include "iotest.h"

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
	tap_plan(3 * 4 + 4);
	tap_diag("%s", backend());	/* so that its descriptors are there */
	test_storm(0, "storm on pipes");
	test_storm(1, "storm on unix sockets");
	test_storm(2, "storm on TCP");
	test_accept_storm();
	tl_sched_end();
	return tap_exit();
}
