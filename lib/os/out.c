/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Text that goes to a descriptor; see out.h.
 */
#include "os/out.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 5000	/* of one wait for a non-blocking descriptor */

void tl__out_init(struct tl__out *out, int fd)
{
	out->fd = fd;
	out->error = 0;
	out->len = 0;
}

static int wait_writable(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };
	int r;

	do
		r = poll(&pfd, 1, PATIENCE_MS);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	return r ? 0 : -EAGAIN;
}

static int write_all(int fd, const char *p, size_t len)
{
	int r;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n > 0) {
			p += n;
			len -= (size_t)n;
			continue;
		}
		if (n == 0)
			return -EIO;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return -errno;
		r = wait_writable(fd);
		if (r)
			return r;
	}
	return 0;
}

/* A write to a broken pipe raises SIGPIPE: takes ours, leaves one of others. */
static int write_quietly(int fd, const char *p, size_t len)
{
	static const struct timespec now = { 0, 0 };
	sigset_t pipe, old, pending;
	int r;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	sigemptyset(&pending);
	sigpending(&pending);
	if (pthread_sigmask(SIG_BLOCK, &pipe, &old))
		return write_all(fd, p, len);
	r = write_all(fd, p, len);
	if (r == -EPIPE && !sigismember(&pending, SIGPIPE))
		while (sigtimedwait(&pipe, NULL, &now) < 0 && errno == EINTR)
			;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return r;
}

int tl__out_flush(struct tl__out *out)
{
	int saved = errno;

	if (!out->error && out->len)
		out->error = write_quietly(out->fd, out->buf, out->len);
	out->len = 0;
	errno = saved;
	return out->error;
}

static void put(struct tl__out *out, char c)
{
	if (out->len == sizeof(out->buf))
		tl__out_flush(out);
	out->buf[out->len++] = c;
}

void tl__out_str(struct tl__out *out, const char *s)
{
	while (*s)
		put(out, *s++);
}

void tl__out_name(struct tl__out *out, const char *s)
{
	for (; *s; s++)
		put(out, (unsigned char)*s < ' ' || *s == 127 ? '?' : *s);
}

static void number(struct tl__out *out, uint64_t n, unsigned int base)
{
	char text[24];
	char *p = text + sizeof(text);

	*--p = '\0';
	do
		*--p = "0123456789abcdef"[n % base];
	while (n /= base);
	tl__out_str(out, p);
}

void tl__out_u64(struct tl__out *out, uint64_t n)
{
	number(out, n, 10);
}

void tl__out_hex(struct tl__out *out, uint64_t n)
{
	tl__out_str(out, "0x");
	number(out, n, 16);
}

void tl__out_blanks(struct tl__out *out, int n)
{
	while (n-- > 0)
		put(out, ' ');
}
