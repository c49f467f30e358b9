/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Listeners: one accept that goes on and on where the backend has it, else one
 * at a time while somebody waits; a queue of what was accepted; and a line of
 * tasklets that wait for it, first come first served.
 *
 * Invariants:
 *  - The accept belongs to the backend while `armed`. The listener's memory
 *    stays until it ends, also when its owner has freed it (`gone`).
 *  - Nothing is queued while the first in line is asleep.
 *  - While tasklets are in line and no accept is armed, the first of them does
 *    something about it: it is runnable, or sleeps until `retry_at`.
 *  - The accept does not count in s->io_pending, for without anybody in line it
 *    wakes nobody. The line does: `counted`.
 *  - `io` is only compared: when it is not the scheduler's, the process has
 *    forked, and what it held stayed the parent's.
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include <tasklet/io.h>

#include "base/alloc.h"
#include "core/unwind.h"
#include "io/io.h"
#include "os/clock.h"

#define QUEUE_MAX	1024	/* then accepting pauses */
#define QUEUE_MIN	16
#define BACK_OFF_MIN	UINT64_C(10000000)
#define BACK_OFF_MAX	UINT64_C(100000000)
/* How often to look for the end of a cancelled accept before leaving it. */
#define FREE_POLLS	4

/* A place in line; in the frame of the tasklet. */
struct place {
	struct tl__list link;
	struct tl_listener *listener;	/* NULL: it was freed */
	struct tl_task *task;
	bool asleep;
	bool roused;		/* woken to look after the accept */
	bool retries;		/* its deadline is l->retry_at */
};

struct tl_listener {
	struct tl__io_op op;
	struct tl_sched *sched;
	struct tl__io *io;
	pid_t pid;			/* whose `io` is */
	struct tl__list line;		/* of struct place */
	int *fds;			/* a ring buffer: count from first on */
	unsigned int room, first, count;
	uint64_t retry_at;		/* 0, or when to try again */
	uint64_t back_off;
	bool armed;
	bool pausing;			/* it was cancelled, the queue is full */
	bool counted;
	bool gone;
};

/* --- the queue -------------------------------------------------------------- */

static bool queue_grow(struct tl_listener *l)
{
	unsigned int room = l->room ? l->room * 2 : QUEUE_MIN, i;
	int *fds = tl__malloc(room * sizeof(*fds));

	if (!fds)
		return false;
	for (i = 0; i < l->count; i++)
		fds[i] = l->fds[(l->first + i) % l->room];
	tl__free(l->fds);
	l->fds = fds;
	l->room = room;
	l->first = 0;
	return true;
}

static void queue_put(struct tl_listener *l, int fd)
{
	if (l->count == l->room && !queue_grow(l)) {
		close(fd);	/* as if it had been lost on the way */
		return;
	}
	l->fds[(l->first + l->count++) % l->room] = fd;
}

static int queue_take(struct tl_listener *l)
{
	int fd = l->fds[l->first];

	l->first = (l->first + 1) % l->room;
	l->count--;
	return fd;
}

static void queue_drop(struct tl_listener *l)
{
	int saved = errno;

	while (l->count)
		close(queue_take(l));
	tl__free(l->fds);
	l->fds = NULL;
	l->room = 0;
	errno = saved;
}

/* --- the line --------------------------------------------------------------- */

static struct place *first_in_line(const struct tl_listener *l)
{
	struct tl__list *link = tl__list_first(&l->line);

	return link ? tl__container_of(link, struct place, link) : NULL;
}

/* Keeps s->io_pending true to the line. */
static void count(struct tl_listener *l)
{
	bool wanted = !tl__list_empty(&l->line);

	if (l->io != l->sched->reactor)
		return;		/* in the child of a fork it began anew */
	if (wanted && !l->counted)
		l->sched->io_pending++;
	else if (!wanted && l->counted)
		l->sched->io_pending--;
	l->counted = wanted;
}

static void join_line(struct tl_listener *l, struct place *p)
{
	tl__list_add_tail(&l->line, &p->link);
	count(l);
}

static void leave_line(struct tl_listener *l, struct place *p)
{
	tl__list_del(&p->link);
	count(l);
}

/* Ends the wait of the first in line, which is asleep. */
static void serve(struct tl_listener *l, struct place *p, int result)
{
	leave_line(l, p);
	p->asleep = false;
	tl__wake(l->sched, p->task, result);
}

/* @p, asleep, is to go through stay() again without losing its place. */
static void rouse(struct place *p)
{
	p->asleep = false;
	p->roused = true;
	tl__wake(p->listener->sched, p->task, 0);
}

static void cancel(struct tl_listener *l);

/* The line has moved: restores what is said of it at the head of this file. */
static void settle(struct tl_listener *l)
{
	struct place *p;

	while ((p = first_in_line(l)) && p->asleep && l->count)
		serve(l, p, queue_take(l));
	if (p && p->asleep && !l->armed)
		rouse(p);
	/* Only the one that goes on and on is to accept ahead. */
	if (!p && l->armed && !l->op.multishot && !l->pausing)
		cancel(l);
}

static bool accept_abandon(struct tl_task *t, int result)
{
	struct place *p = t->wait_object;
	struct tl_listener *l = p->listener;

	if (result == -ETIMEDOUT && p->retries) {
		rouse(p);
		return true;
	}
	serve(l, p, result);
	if (l->io == l->sched->reactor)
		settle(l);
	return true;
}

static const struct tl__wait_ops accept_ops = {
	.verb = "accepts from",
	.abandon = accept_abandon,
};

/* --- the accept ------------------------------------------------------------- */

static void listener_end(struct tl_listener *l)
{
	queue_drop(l);
	tl__free(l);
}

static void cancel(struct tl_listener *l)
{
	l->pausing = true;
	if (!l->io->backend->cancel(l->io, &l->op, -ECANCELED))
		return;
	l->armed = l->pausing = false;
	l->sched->io_pending++;		/* it was counted off, but never on */
}

static void on_connection(struct tl_listener *l, int fd)
{
	struct place *p = first_in_line(l);

	l->back_off = 0;
	if (l->gone) {
		close(fd);
	} else if (p && p->asleep) {
		serve(l, p, fd);
	} else {
		queue_put(l, fd);
		if (l->count >= QUEUE_MAX && l->armed && !l->pausing)
			cancel(l);
	}
}

/* Whether @error is no reason to fail; it may be one to wait. */
static bool is_transient(struct tl_listener *l, int error)
{
	switch (error) {
	case -ECONNABORTED:
	case -EPROTO:
		return true;	/* the client has thought better of it */
	case -EMFILE:
	case -ENFILE:
	case -ENOBUFS:
	case -ENOMEM:
		break;
	default:
		return false;
	}
	l->back_off *= 2;
	if (l->back_off < BACK_OFF_MIN)
		l->back_off = BACK_OFF_MIN;
	if (l->back_off > BACK_OFF_MAX)
		l->back_off = BACK_OFF_MAX;
	l->retry_at = tl__now() + l->back_off;
	return true;
}

/* The accept has ended with @error. */
static void on_error(struct tl_listener *l, int error)
{
	struct place *p;

	if (is_transient(l, error) || (error == -ECANCELED && l->pausing))
		return;
	/* -ECANCELED: the socket is being closed, and that concerns all. */
	while ((p = first_in_line(l)) && p->asleep) {
		serve(l, p, error);
		if (error != -ECANCELED)
			break;
	}
}

static void on_accept(struct tl__io_op *op, int result, bool more)
{
	struct tl_listener *l = tl__container_of(op, struct tl_listener, op);

	if (!more) {
		l->armed = false;
		l->sched->io_pending++;	/* as in cancel() */
	}
	if (result >= 0)
		on_connection(l, result);
	else if (!l->gone)
		on_error(l, result);
	if (more)
		return;
	l->pausing = false;
	if (l->gone)
		listener_end(l);
	else
		settle(l);
}

/* Returns 0, if only for now, or -errno. */
static int arm(struct tl_listener *l)
{
	struct tl_features features = { 0 };
	int r;

	l->io->backend->features(l->io, &features);
	l->op.multishot = features.multishot_accept;
	l->op.io = l->io;
	l->op.given_up = 0;
	r = l->io->backend->submit(l->io, &l->op);
	if (r == 0)
		l->armed = true;
	if (r > 0) {
		r = l->op.result;
		if (r >= 0)
			on_connection(l, r);
	}
	return r >= 0 || is_transient(l, r) ? 0 : r;
}

/*
 * The first in line sees to it that an accept is armed. Returns 0, perhaps with
 * an earlier deadline, or -errno.
 */
static int attend(struct tl_listener *l, struct place *p, uint64_t *deadline_ns)
{
	int r = 0;

	p->retries = false;
	while (!r && !l->armed && !l->count) {
		if (l->retry_at > tl__now()) {
			if (l->retry_at < *deadline_ns) {
				*deadline_ns = l->retry_at;
				p->retries = true;
			}
			return 0;
		}
		l->retry_at = 0;
		r = arm(l);
	}
	return r;
}

/* --- the calls -------------------------------------------------------------- */

int tl_listener_new(struct tl_listener **out, int fd, int flags)
{
	socklen_t size = sizeof(int);
	struct tl_listener *l;
	int saved = errno;
	int listens = 0;
	int r = 0;

	if (!out || (flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK)))
		return -EINVAL;
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size)) {
		r = -errno;
		errno = saved;
	} else if (!listens) {
		r = -EINVAL;
	}
	if (r)
		return r;
	l = tl__calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->op.code = TL__IO_ACCEPT;
	l->op.fd = fd;
	l->op.flags = flags;
	l->op.complete = on_accept;
	tl__list_init(&l->line);
	*out = l;
	return 0;
}

/* The listener is idle, or what it had under way is another process's. */
static void start_afresh(struct tl_listener *l, struct tl_sched *s,
			 struct tl__io *io)
{
	pid_t pid = getpid();

	if (l->pid && l->pid != pid) {
		/* The parent serves what it has accepted. */
		queue_drop(l);
		l->armed = l->pausing = false;
	}
	l->pid = pid;
	l->sched = s;
	l->io = io;
	l->counted = false;
	count(l);
	settle(l);
}

/* In line, until there is a connection or an error. */
static int stay(struct tl_sched *s, struct tl_listener *l, struct place *p,
		uint64_t deadline_ns)
{
	for (;;) {
		uint64_t until = deadline_ns;
		uint32_t hold;
		int r;

		/* The place in line lies here: no unwinding now. */
		hold = tl__unwind_hold(p->task);
		r = tl__block_check(s, p->task, !l->count);
		tl__unwind_unhold(p->task, hold);
		if (!r && first_in_line(l) == p) {
			r = attend(l, p, &until);
			if (!r && l->count)
				r = queue_take(l);
		}
		if (!r)
			r = tl__deadline_arm(s, p->task, until);
		if (r) {
			leave_line(l, p);
			settle(l);
			return r;
		}
		p->roused = false;
		p->asleep = true;
		tl__poll_soon(s);
		r = tl__park(s, p->task, &accept_ops, p);
		if (!p->roused)
			return r;
		if (!p->listener)
			return -EPIPE;
	}
}

int tl_listener_accept_until(struct tl_listener *l, uint64_t deadline_ns)
{
	struct tl_sched *s = tl__sched();
	struct place place = { .listener = l };
	struct tl__io *io;
	int r;

	if (!s)
		return tl__sched_error();
	if (l->sched != s && (l->armed || !tl__list_empty(&l->line)))
		return -EXDEV;
	place.task = tl__me(s);
	r = tl__block_check(s, place.task, !l->count);
	if (r)
		return r;
	r = tl__io_start(s, &io);
	if (r)
		return r;
	if (unlikely(l->sched != s || l->io != io))
		start_afresh(l, s, io);
	if (l->count && tl__list_empty(&l->line))
		return queue_take(l);
	join_line(l, &place);
	return tl__unwind_return(place.task, stay(s, l, &place, deadline_ns));
}

int tl_listener_accept(struct tl_listener *listener)
{
	return tl_listener_accept_until(listener, TL_FOREVER);
}

/* Those in line that are awake find it out; the others are told. */
static void send_away(struct tl_listener *l)
{
	struct place *p;

	while ((p = first_in_line(l))) {
		if (p->asleep) {
			serve(l, p, -EPIPE);
		} else {
			leave_line(l, p);
			p->listener = NULL;
		}
	}
}

void tl_listener_free(struct tl_listener *l)
{
	int i;

	if (!l)
		return;
	send_away(l);
	if (l->armed && l->io != l->sched->reactor)
		l->armed = false;	/* the parent's */
	if (l->armed && !l->pausing)
		cancel(l);
	/*
	 * As a rule the kernel lets go of the socket when it is told to, so that
	 * its address is free for the next one. Otherwise it does so later.
	 */
	for (i = 0; i < FREE_POLLS && l->armed; i++)
		l->io->backend->reactor.poll(l->io, false);
	if (l->armed) {
		queue_drop(l);
		l->gone = true;
	} else {
		listener_end(l);
	}
}
