/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the threads of a server do: accept, serve, compute; each call that may block
 * lets go of the GIL.
 *
 * A connection that is late, or whose server stops, is shut down by whoever sees
 * that: then the call that it waits in comes back, and finds out why.
 */
#include <errno.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include <tasklet/gil.h>

#include "base/num.h"
#include "os/clock.h"
#include "pool.h"

#define BURN_BYTECODES 64

/* --- IO ------------------------------------------------------------------- */

/* Why the call came back, if it isn't for what it was called for. With the GIL. */
static int why_back(const struct conn *c)
{
	return pool_stopped(c->server->pool) ? -ECANCELED :
	       c->late ? -ETIMEDOUT : 0;
}

static ssize_t thread_recv(struct conn *c, void *buf, size_t size)
{
	ssize_t n;
	int why;

	tl_gil_block_begin();
	do {
		n = recv(c->fd, buf, size, 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		n = -errno;
	tl_gil_block_end();
	why = n <= 0 ? why_back(c) : 0;
	return why ? why : n;
}

static ssize_t thread_sendmsg(struct conn *c, const struct msghdr *msg)
{
	ssize_t n;
	int why;

	tl_gil_block_begin();
	do {
		n = sendmsg(c->fd, msg, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		n = -errno;
	tl_gil_block_end();
	why = n < 0 ? why_back(c) : 0;
	return why ? why : n;
}

static ssize_t thread_send(struct conn *c, const void *buf, size_t size)
{
	struct iovec iov = { (void *)buf, size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	while (iov.iov_len) {
		n = thread_sendmsg(c, &msg);
		if (n < 0)
			return n;
		iov.iov_base = (char *)iov.iov_base + n;
		iov.iov_len -= (size_t)n;
	}
	return (ssize_t)size;
}

static int thread_shutdown(struct conn *c, int how)
{
	return shutdown(c->fd, how) ? -errno : 0;
}

/* Ends early where the connection does: nobody is there to be answered. */
static int thread_sleep(struct conn *c, uint64_t ns)
{
	struct pollfd fd = { .fd = c->fd };
	uint64_t until = tl__now() + ns, now;
	struct timespec ts;
	int r = 0;

	tl_gil_block_begin();
	while (r <= 0 && (now = tl__now()) < until) {
		ts = tl__timespec(until - now);
		r = ppoll(&fd, 1, &ts, NULL);
	}
	tl_gil_block_end();
	return r <= 0 ? 0 : why_back(c) ? why_back(c) : -ECONNRESET;
}

static void thread_compute(struct conn *c)
{
	work_run(c->work, c->server->pool->config.work);
}

static const struct conn_io thread_io = {
	.recv = thread_recv,
	.send = thread_send,
	.sendmsg = thread_sendmsg,
	.shutdown = thread_shutdown,
	.sleep = thread_sleep,
	.compute = thread_compute,
};

void pool_throw_late(struct conn *c)
{
	c->late = true;
	/* A request that is late gets an answer: only the way in is shut. */
	shutdown(c->fd, c->phase == CONN_SEND ? SHUT_RDWR : SHUT_RD);
}

/* --- the queue ------------------------------------------------------------ */

/*
 * One condition for both ends: while the acceptor waits for room nobody waits for
 * a connection, and so the one that is notified is one that it is for.
 */

/* Returns whether it went in; if not, the pool stops. */
static bool put(struct pool *pool, int fd)
{
	bool room;

	cond_acquire(&pool->cond);
	while (pool->queued == POOL_QUEUE_MAX && !pool_stopped(pool))
		cond_await(&pool->cond);
	room = pool->queued < POOL_QUEUE_MAX;
	if (room) {
		pool->fds[(pool->first + pool->queued) % POOL_QUEUE_MAX] = fd;
		pool->queued++;
		cond_notify(&pool->cond);
	}
	cond_release(&pool->cond);
	return room;
}

/* The next one, or -1: the pool stops. */
static int take(struct pool *pool)
{
	int fd = -1;

	cond_acquire(&pool->cond);
	while (!pool->queued && !pool_stopped(pool))
		cond_await(&pool->cond);
	if (!pool_stopped(pool)) {
		fd = pool->fds[pool->first];
		pool->first = (pool->first + 1) % POOL_QUEUE_MAX;
		if (pool->queued-- == POOL_QUEUE_MAX)
			cond_notify(&pool->cond);
	}
	cond_release(&pool->cond);
	return fd;
}

/* --- threads -------------------------------------------------------------- */

static void pause_accepting(void)
{
	struct timespec ts = tl__timespec(TL__NS_PER_MS);

	tl_gil_block_begin();
	nanosleep(&ts, NULL);
	tl_gil_block_end();
}

void pool_accept(struct pool_thread *t)
{
	struct pool *pool = t->pool;
	struct server *s = pool->server;
	int fd;

	while (!pool_stopped(pool)) {
		tl_gil_block_begin();
		fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			fd = -errno;
		tl_gil_block_end();
		if (fd >= 0) {
			if (!put(pool, fd))
				close(fd);
		} else if (pool_stopped(pool) || fd == -EINTR) {
			continue;
		} else if (server_accepts_after(fd) || fd == -EMFILE ||
			   fd == -ENFILE) {
			s->counters.faults[FAULT_ACCEPT]++;
			pause_accepting();
		} else {
			s->error = fd;
			break;
		}
	}
}

void pool_serve(struct pool_thread *t)
{
	struct server *s = t->pool->server;
	struct conn c;
	int fd;

	while ((fd = take(t->pool)) >= 0) {
		c.fd = fd;
		c.task = NULL;
		c.io = &thread_io;
		c.work = &t->work;
		conn_begin(&c, s);
		conn_serve(&c);
		conn_end(&c);
		close(fd);
	}
}

void pool_compute(struct pool_thread *t)
{
	while (!pool_stopped(t->pool))
		work_run(&t->work, BURN_BYTECODES);
}
