/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The epoll backend: one epoll set a thread, for machines that deny io_uring.
 *
 * An operation is tried at once. If it would block it waits for its descriptor;
 * what has no form that doesn't block goes to the pool. epoll.h says where what
 * is, and what holds between calls.
 */
#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/probe.h"
#include "io/epoll-ops.h"
#include "io/epoll.h"
#include "os/clock.h"

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

/*
 * A look at the set costs 250 ns. As long as something can run there is one in
 * 20 microseconds, so that it costs about 1 percent and nobody waits for long
 * compared with a thread's wake-up; reading the clock for it costs 24 ns.
 */
#define LOOK_NS 20000
/* Operations done at once before the next one lets the others run. */
#define AT_ONCE_MAX 32

/* --- the calls' side ------------------------------------------------------ */

/* Whether @op is to wait behind those that wait on @d already. */
static bool has_to_queue(struct tl__epoll_fd *d, const struct tl__io_op *op,
			 int direction)
{
	struct tl__list *waiting;

	if (direction != TL__TRY_IN && direction != TL__TRY_OUT)
		return false;
	waiting = &d->waiting[tl__epoll_direction_of(direction)];
	if (tl__list_empty(waiting) ||
	    (tl__epoll_linked(waiting->prev)->due & TL__TRIED_APART))
		return false;
	return !tl__epoll_never_waits(op);
}

static int begin(struct tl__epoll *e, struct tl__io_op *op)
{
	struct tl__epoll_fd *d = tl__epoll_find(e, op->fd);
	int direction = tl__epoll_direction(op);

	if (!d)
		return tl__epoll_go_on(e, op, tl__epoll_try(op));
	if (d->closer)
		return -EBADF;	/* as good as closed */
	if (has_to_queue(d, op, direction))
		return tl__epoll_go_on(e, op, direction);
	/* A job may hold the lock of the file's position. */
	if (!tl__list_empty(&d->jobs) && tl__epoll_shares_position(op))
		return tl__epoll_go_on(e, op, TL__TRY_POOL);
	return tl__epoll_go_on(e, op, tl__epoll_try(op));
}

static int epoll_submit(struct tl__io *io, struct tl__io_op *op)
{
	struct tl__epoll *e = tl__epoll_of(io);
	int saved = errno;
	int r;

	op->result = 0;
	op->due = 0;
	if (op->code == TL__IO_CLOSE)
		r = tl__epoll_submit_close(e, op);
	else
		r = begin(e, op);
	if (r > 0 && ++e->at_once > AT_ONCE_MAX) {
		/* It is done, but to say so later lets the others run. */
		op->state = TL__EPOLL_TOLD;
		tl__list_add_tail(&e->told, &op->link);
		r = 0;
	}
	errno = saved;
	return r;
}

static bool epoll_cancel(struct tl__io *io, struct tl__io_op *op, int result)
{
	struct tl__epoll *e = tl__epoll_of(io);

	if (op->code == TL__IO_CLOSE)
		return false;
	switch (op->state) {
	case TL__EPOLL_JOB:
		if (tl__epoll_job_take_back(op))
			break;
		if (!op->given_up || op->given_up == -ETIMEDOUT)
			op->given_up = result;
		return false;
	case TL__EPOLL_TOLD:
		tl__list_del(&op->link);
		tl__io_complete(op, op->result, false);
		return false;
	default:
		tl__epoll_stop_waiting(e, op);
	}
	if (op->result > 0) {
		tl__io_complete(op, op->result, false);
		return false;
	}
	io->sched->io_pending--;
	return true;
}

/* --- the scheduler's side ------------------------------------------------- */

static void tell(struct tl__epoll *e)
{
	struct tl__list *link;
	struct tl__io_op *op;

	e->at_once = 0;
	while ((link = tl__list_first(&e->told))) {
		tl__list_del(link);
		op = tl__epoll_linked(link);
		tl__io_complete(op, op->result, false);
	}
}

static void epoll_poll(void *reactor, bool idle)
{
	struct tl__epoll *e = reactor;
	int saved = errno;
	uint64_t now;

	tell(e);
	if (idle || !e->waiting)
		return;
	if (e->waited) {
		e->waited = false;
		return;
	}
	now = tl__now();
	if (now < e->look_at)
		return;
	e->look_at = now + LOOK_NS;
	tl__epoll_on_events(e, epoll_wait(e->set, e->events, TL__EPOLL_EVENTS,
					  0));
	errno = saved;
}

/* Sleeps; less than 1 for whatever else than events ends it. */
static int sleep_until(struct tl__epoll *e, uint64_t deadline_ns)
{
	/* relaxed: all find out the same */
	static _Atomic bool no_pwait2;
	struct timespec timeout = { 0 };
	uint64_t left = 0, now;
	int ms = -1, n;

	if (deadline_ns != TL_FOREVER) {
		now = tl__now();
		if (deadline_ns > now)
			left = deadline_ns - now;
		timeout = tl__timespec(left);
		left = (left + 999999) / 1000000;
		ms = left < INT_MAX ? (int)left : INT_MAX;
	}
	if (!atomic_load_explicit(&no_pwait2, memory_order_relaxed)) {
		n = (int)syscall(SYS_epoll_pwait2, e->set, e->events,
				 TL__EPOLL_EVENTS, ms < 0 ? NULL : &timeout,
				 NULL, 0);
		if (n >= 0 || errno == EINTR)
			return n;
		/* Older than 5.11, or a filter that does not know it. */
		atomic_store_explicit(&no_pwait2, true, memory_order_relaxed);
	}
	return epoll_wait(e->set, e->events, TL__EPOLL_EVENTS, ms);
}

static void epoll_wait_until(void *reactor, uint64_t deadline_ns)
{
	struct tl__epoll *e = reactor;
	int saved = errno;

	if (!tl__list_empty(&e->late) && e->late_at < deadline_ns)
		deadline_ns = e->late_at;
	if (!tl__list_empty(&e->told))
		deadline_ns = 0;
	tl__epoll_on_events(e, sleep_until(e, deadline_ns));
	e->waited = true;
	errno = saved;
}

static void epoll_wake(void *reactor)
{
	struct tl__epoll *e = reactor;
	uint64_t one = 1;
	int saved = errno;
	ssize_t r;

	tl__probe_wake(TL_PROBE_WAKE_RING, e, 1);
	r = write(e->bell, &one, sizeof(one));
	(void)r;	/* can't fail: nobody rings it 2^64 times */
	errno = saved;
}

/* What is under way still belongs to an object (a listener's accept). */
static void epoll_destroy(void *reactor)
{
	struct tl__epoll *e = reactor;
	int saved = errno;

	tell(e);
	tl__epoll_fds_free(e);
	close(e->bell);
	close(e->set);
	tl__free(e);
	errno = saved;
}

/* --- start ---------------------------------------------------------------- */

static void epoll_forked(struct tl__io *io)
{
	struct tl__epoll *e = tl__epoll_of(io);

	close(e->bell);
	close(e->set);
}

static void epoll_features(const struct tl__io *io, struct tl_features *out)
{
	(void)io;
	out->multishot_accept = false;
	out->doorbell = "eventfd";
}

/* An event of the bell is an edge, so that nobody has to read it. */
static int open_set(struct tl__epoll *e, const char **why)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int r;

	*why = "no epoll descriptor can be had";
	e->set = tl__fault() ? -1 : epoll_create1(EPOLL_CLOEXEC);
	if (e->set < 0)
		return -errno;
	e->bell = tl__fault() ? -1 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (e->bell < 0)
		goto close_set;
	event.data.fd = e->bell;
	if (tl__fault() ||
	    epoll_ctl(e->set, EPOLL_CTL_ADD, e->bell, &event) < 0)
		goto close_bell;
	return 0;

close_bell:
	r = -errno;
	close(e->bell);
	close(e->set);
	return r;

close_set:
	r = -errno;
	close(e->set);
	return r;
}

static int epoll_create_io(struct tl_sched *s, struct tl__io **out,
			   const char **why)
{
	struct tl__epoll *e = tl__calloc(1, sizeof(*e));
	int saved = errno;
	int r;

	*why = "no memory";
	if (!e)
		return -ENOMEM;
	errno = ENOMEM;		/* what an injected fault comes to */
	r = open_set(e, why);
	errno = saved;
	if (r) {
		tl__free(e);
		return r;
	}
	e->io.backend = &tl__io_epoll;
	e->io.sched = s;
	tl__list_init(&e->told);
	tl__list_init(&e->late);
	*out = &e->io;
	return 0;
}

const struct tl__io_backend tl__io_epoll = {
	.name = "epoll",
	.reactor = {
		.poll = epoll_poll,
		.wait = epoll_wait_until,
		.wake = epoll_wake,
		.destroy = epoll_destroy,
	},
	.create = epoll_create_io,
	.submit = epoll_submit,
	.cancel = epoll_cancel,
	.forked = epoll_forked,
	.features = epoll_features,
};
