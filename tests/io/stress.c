/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Random calls, deadlines and kills on many pipes and sockets at a time. Each call's result says how many bytes it moved,
 * killed or not, so the position in each stream is known to its two ends to a byte, and what arrives is compared with
 * what was sent. TL_SEED repeats a run as far as the kernel does.
 */
#include "iotest.h"

#define STREAMS 24
#if IOTEST_ASAN || IOTEST_TSAN
#define LENGTH 1500000
#else
#define LENGTH 3000000
#endif
#define CHUNK 30000

enum kind { PIPE, PIPE_NONBLOCK, UNIX, UNIX_NONBLOCK, TCP, TCP_NONBLOCK, KINDS };

struct stream {
	enum kind kind;
	int in, out;
	size_t sent, got;
	bool sent_all, got_all, bad;
	struct tl_task *writer, *reader;
	char text[80];		/* what was wrong */
	char out_buf[CHUNK], in_buf[CHUNK];
};

static struct stream streams[STREAMS];
static uint64_t rnd;
static long calls, kills, timeouts, partial;

static uint64_t pick(uint64_t n)
{
	return tap_random(&rnd) % n;
}

static bool is_socket(const struct stream *s)
{
	return s->kind >= UNIX;
}

static void wrong(struct stream *s, const char *what, ssize_t r)
{
	if (!s->bad)
		snprintf(s->text, sizeof(s->text), "%s: %zd", what, r);
	s->bad = true;
}

static uint64_t some_deadline(void)
{
	return pick(3) ? TL_FOREVER : tl_after(pick(300000));
}

static ssize_t send_some(struct stream *s, size_t size)
{
	struct iovec iov[2] = { { s->out_buf, size / 3 }, { s->out_buf + size / 3, size - size / 3 } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	uint64_t until = some_deadline();

	switch (pick(is_socket(s) ? 5 : 3)) {
	case 0:
		return tl_write_until(s->out, s->out_buf, size, until);
	case 1:
		return tl_writev_until(s->out, iov, 2, until);
	case 2:
		if (tl_poll_until(s->out, POLLOUT, until) < 0)
			return -ETIMEDOUT;
		return tl_write_until(s->out, s->out_buf, size, TL_FOREVER);
	case 3:
		return tl_send_until(s->out, s->out_buf, size, 0, until);
	default:
		return tl_sendmsg_until(s->out, &msg, 0, until);
	}
}

static ssize_t recv_some(struct stream *s, size_t size)
{
	struct iovec iov[2] = { { s->in_buf, size / 3 }, { s->in_buf + size / 3, size - size / 3 } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	uint64_t until = some_deadline();

	switch (pick(is_socket(s) ? 7 : 3)) {
	case 0:
		return tl_read_until(s->in, s->in_buf, size, until);
	case 1:
		return tl_readv_until(s->in, iov, 2, until);
	case 2:
		if (tl_poll_until(s->in, POLLIN, until) < 0)
			return -ETIMEDOUT;
		return tl_read_until(s->in, s->in_buf, size, TL_FOREVER);
	case 3:
		return tl_recv_until(s->in, s->in_buf, size, 0, until);
	case 4:
		return tl_recv_until(s->in, s->in_buf, size, MSG_WAITALL, until);
	case 5:
		return tl_recvmsg_until(s->in, &msg, pick(2) ? MSG_WAITALL : 0, until);
	default:
		return tl_recv_until(s->in, s->in_buf, size, MSG_DONTWAIT, until);
	}
}

static size_t some_size(void)
{
	return pick(4) ? 1 + pick(2000) : 1 + pick(CHUNK);
}

/* What a call that moved nothing may have said. True: the tasklet goes on. */
static bool excusable(struct stream *s, const char *what, ssize_t r)
{
	if (r == -ECANCELED)
		return false;
	if (r == -ETIMEDOUT)
		timeouts++;
	else if (r != -EAGAIN)
		wrong(s, what, r);
	if (r == -EAGAIN)
		tl_schedule();
	return !s->bad;
}

static int fn_writer(void *arg)
{
	struct stream *s = arg;

	while (s->sent < LENGTH && !s->bad) {
		size_t size = some_size();
		ssize_t r;

		if (size > LENGTH - s->sent)
			size = LENGTH - s->sent;
		fill(s->out_buf, size, s->sent);
		r = send_some(s, size);
		calls++;
		if (r > 0) {
			s->sent += (size_t)r;
			partial += (size_t)r < size;
		} else if (!excusable(s, "write", r)) {
			return 0;
		}
		if (!pick(8) && tl_sleep(pick(200000)) < 0)
			return 0;
	}
	s->sent_all = true;
	return 0;
}

static int fn_reader(void *arg)
{
	struct stream *s = arg;

	while (!s->bad) {
		size_t size = some_size();
		ssize_t r = recv_some(s, size);

		calls++;
		if (r > 0) {
			if ((size_t)r > size || !filled(s->in_buf, (size_t)r, s->got))
				wrong(s, "what was read is not what was written", (ssize_t)s->got);
			s->got += (size_t)r;
		} else if (!r) {
			s->got_all = true;
			return 0;
		} else if (!excusable(s, "read", r)) {
			return 0;
		}
		if (!pick(16) && tl_sleep(pick(200000)) < 0)
			return 0;
	}
	return 0;
}

static void stream_open(struct stream *s, enum kind kind)
{
	int p[2];

	if (kind <= PIPE_NONBLOCK)
		mkpipe(p);
	else if (kind <= UNIX_NONBLOCK)
		unix_pair(p, SOCK_STREAM);
	else
		tcp_pair(p);
	s->kind = kind;
	s->in = p[0];
	s->out = p[1];
	nonblocking(s->in, kind % 2);
	nonblocking(s->out, kind % 2);
}

/* Keeps the end at @t alive until it is done, and kills it now and then. Returns whether it is done. */
static bool tend(struct stream *s, struct tl_task **t, tl_task_fn *fn, const bool *done)
{
	if (*t && tl_task_is_alive(*t)) {
		if (!pick(5)) {
			(pick(2) ? tl_task_kill : tl_task_kill_later)(*t);
			kills++;
		}
		return false;
	}
	tl_task_unref(*t);
	*t = NULL;
	if (*done || s->bad)
		return true;
	*t = mk(fn, s);
	return false;
}

static bool tend_all(void)
{
	bool all = true;
	int i;

	for (i = 0; i < STREAMS; i++) {
		struct stream *s = &streams[i];
		bool sent = tend(s, &s->writer, fn_writer, &s->sent_all);

		if (sent && s->out >= 0) {
			tl_close(s->out);
			s->out = -1;
		}
		all &= tend(s, &s->reader, fn_reader, &s->got_all) && sent;
	}
	return all;
}

static size_t all_bytes(void)
{
	size_t bytes = 0;
	int i;

	for (i = 0; i < STREAMS; i++)
		bytes += streams[i].got + streams[i].sent;
	return bytes;
}

int main(void)
{
	size_t bytes = 0, before;
	bool all = false;
	uint64_t until;
	int i;

	iotest_begin(STREAMS + 2);
	rnd = tap_seed();
	for (i = 0; i < STREAMS; i++)
		stream_open(&streams[i], (enum kind)(i % KINDS));
	/* However long it takes: but not as long as that without a single byte. */
	until = tl_after(30000 * MS);
	while (!(all = tend_all()) && tl_now() < until) {
		tl_sleep(pick(300000));
		before = bytes;
		bytes = all_bytes();
		if (bytes != before)
			until = tl_after(30000 * MS);
	}
	tap_ok(all, "all streams come to their end");
	tap_diag("%ld calls, %ld kills, %ld deadlines, %ld partial writes", calls, kills, timeouts, partial);
	for (i = 0; i < STREAMS; i++) {
		struct stream *s = &streams[i];

		if (!tap_ok(!s->bad && s->got == LENGTH && s->sent == LENGTH, "stream %d is whole", i))
			tap_diag("kind %d: sent %zu, got %zu of %d; %s", (int)s->kind, s->sent, s->got, LENGTH, s->text);
		tl_close(s->in);
	}
	if (all)
		all_gone("stress");
	else
		tap_ok(false, "stress: nothing is left");
	return iotest_end();
}
