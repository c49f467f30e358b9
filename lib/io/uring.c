/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The io_uring backend: one ring a thread.
 *
 * Calls only fill submission entries; the kernel is entered when the scheduler
 * polls or has nothing to run, once for all that was queued since. An operation
 * that finds the queue full waits in the backlog, which the next poll empties:
 * so no call here fails for want of room, and completions are reaped from one
 * place only.
 *
 * Invariants:
 *  - op->due is the number of completions to come: the operation's own and, if
 *    it was given up, the cancellation's. The operation ends when there is none
 *    left, so its address means nothing else while the kernel may name it.
 *  - An operation is in the backlog if and only if it needs an SQE: to begin if
 *    nothing is due, else for its cancellation.
 *  - One whose cancellation did not find it, and that has not completed, is in
 *    `missed`, and will be in the backlog again: the kernel finds none on its way
 *    to a worker thread, and one that a worker is just about to begin does not
 *    notice.
 *  - Before the thread sleeps the doorbell's read is under way.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "io/uring-bell.h"
#include "io/uring-fds.h"
#include "io/uring-ops.h"
#include "os/clock.h"
#include "os/log.h"
#include "os/uring.h"

/* How long to wait for the kernel to have memory again. */
#define PAUSE_NS 1000000

/* The second time that a cancellation is tried again; doubled with each. */
#define AGAIN_NS 20000

/* The low bits of user_data, next to the address of an operation. */
enum tag {
	TAG_OP,
	TAG_CANCEL,
	TAG_BELL,
	TAG_WAKE,	/* another ring's message: only wakes the thread */
	TAG_MESSAGE,	/* our own to another ring has failed */
	TAG_MASK = 7,
};

struct uring {
	struct tl__io io;		/* first */
	struct tl__uring ring;
	struct tl__uring_fds fds;
	unsigned int held;		/* operations that have not ended */
	struct tl__list backlog;
	struct tl__list missed;
	uint64_t again_ns;		/* when to cancel these again */
	struct tl__bell bell;
	bool entered_just_now;		/* by a wait, and nothing ran since */
	bool ending;
};

static struct uring *uring_of(struct tl__io *io)
{
	return (struct uring *)(void *)io;
}

/* --- handing over ----------------------------------------------------------- */

static void fill(struct uring *u, struct io_uring_sqe *sqe,
		 struct tl__io_op *op)
{
	uint64_t address = (uintptr_t)op;

	if (op->due) {
		io_uring_prep_cancel64(sqe, address | TAG_OP, 0);
		sqe->user_data = address | TAG_CANCEL;
	} else {
		tl__uring_op_prepare(sqe, op, u->ring.write_flags);
		if (unlikely(!u->ring.write_flags))
			u->ring.loud_writes += tl__uring_op_is_loud(op);
		sqe->user_data = address | TAG_OP;
	}
	op->due++;
}

/* @op begins, or is to be cancelled if it has begun: now or when there is room. */
static void want_sqe(struct uring *u, struct tl__io_op *op)
{
	struct io_uring_sqe *sqe = NULL;

	if (likely(tl__list_empty(&u->backlog)))
		sqe = tl__uring_sqe(&u->ring);
	if (likely(sqe)) {
		fill(u, sqe, op);
		return;
	}
	op->state |= OP_BACKLOG;
	tl__list_add_tail(&u->backlog, &op->queue);
}

/* @op was not found, nor has it completed: it is cancelled again soon. */
tl__cold static void cancel_again(struct uring *u, struct tl__io_op *op)
{
	unsigned int tries = op->state / OP_TRY;
	uint64_t at = tl__now() + (tries ? (uint64_t)AGAIN_NS << tries : 0);

	if (tries < OP_TRIES_MAX)
		op->state += OP_TRY;
	if (tl__list_empty(&u->missed) || at < u->again_ns)
		u->again_ns = at;
	op->state |= OP_BACKLOG;
	tl__list_add_tail(&u->missed, &op->queue);
}

tl__cold static void retry_missed(struct uring *u)
{
	struct tl__list *link;

	if (tl__now() < u->again_ns)
		return;
	while ((link = tl__list_first(&u->missed))) {
		tl__list_del(link);
		tl__list_add_tail(&u->backlog, link);
	}
}

/* The doorbell is always under way and never counted. */
static void arm_bell(struct uring *u)
{
	tl__bell_arm(&u->bell, &u->ring, TAG_BELL); /* no room: refill() will */
}

/* Fills what room there is. Returns whether more is wanted. */
static bool refill(struct uring *u)
{
	struct io_uring_sqe *sqe;
	struct tl__io_op *op;

	if (unlikely(!u->bell.armed && !u->ending))
		arm_bell(u);
	while (!tl__list_empty(&u->backlog)) {
		sqe = tl__uring_sqe(&u->ring);
		if (!sqe)
			return true;
		op = tl__container_of(u->backlog.next, struct tl__io_op, queue);
		tl__list_del(&op->queue);
		op->state &= ~OP_BACKLOG;
		fill(u, sqe, op);
	}
	return !u->bell.armed && !u->ending;
}

/*
 * What an enter may answer. It is over (a signal), or to be tried again once
 * there is memory or once there is room for completions.
 */
static bool entered(int r)
{
	switch (r) {
	case 0:
	case -EINTR:
		return true;
	case -EAGAIN:
	case -EBUSY:
	case -ENOMEM:
		return false;
	}
	tl__fatal("io_uring_enter: %s", strerror(-r));
}

/* --- ends ------------------------------------------------------------------- */

/* The backend's part in @op is over. */
static void release(struct uring *u, struct tl__io_op *op)
{
	struct tl__io_op *closer;

	if (unlikely(op->state & OP_BACKLOG))
		tl__list_del(&op->queue);
	u->held--;
	if (unlikely(!(op->state & OP_LINKED)))
		return;
	closer = tl__uring_fds_unlink(&u->fds, op);
	if (unlikely(closer))
		want_sqe(u, closer);
}

static void finish(struct uring *u, struct tl__io_op *op)
{
	int result = tl__uring_op_outcome(op);

	release(u, op);
	tl__io_complete(op, result, false);
}

/*
 * @op is to end as soon as the kernel lets go of it, with @result unless it
 * succeeds all the same. Returns true if it is over now.
 */
static bool give_up(struct uring *u, struct tl__io_op *op, int result)
{
	if (op->code == TL__IO_CLOSE)
		return false;
	if (op->given_up) {
		if (op->given_up == -ETIMEDOUT && result == -ECANCELED)
			op->given_up = result;
		return false;
	}
	if (!op->due) {
		/* In the backlog: the kernel has never seen it. */
		release(u, op);
		return true;
	}
	op->given_up = result;
	want_sqe(u, op);
	return false;
}

/* Gives up all operations on @fd but a close. */
static void give_up_all(struct uring *u, int fd)
{
	struct tl__io_op *op = tl__uring_fds_first(&u->fds, fd), *next;
	size_t n = tl__uring_fds_count(op);

	/* The circle shrinks under the loop: those that are over leave it. */
	for (; n; n--, op = next) {
		next = tl__uring_fds_next(op);
		if (give_up(u, op, -ECANCELED))
			tl__io_complete(op, -ECANCELED, false);
	}
}

/* --- completions ------------------------------------------------------------ */

static void on_result(struct uring *u, struct tl__io_op *op, int result,
		      uint32_t flags)
{
	if (flags & IORING_CQE_F_MORE) {
		tl__io_complete(op, result, true);
		return;
	}
	op->due--;
	if (unlikely(!u->ring.write_flags))
		u->ring.loud_writes -= tl__uring_op_is_loud(op);
	if (unlikely(result < 0 || (op->state & OP_POLLS)) &&
	    tl__uring_op_goes_on(op, result)) {
		want_sqe(u, op);
		return;
	}
	op->result = result;
	if (likely(!op->due))
		finish(u, op);
}

static void on_completion(struct uring *u, const struct io_uring_cqe *cqe)
{
	struct tl__io_op *op;

	op = (void *)(uintptr_t)(cqe->user_data & ~(uint64_t)TAG_MASK);
	switch (cqe->user_data & TAG_MASK) {
	case TAG_OP:
		on_result(u, op, cqe->res, cqe->flags);
		break;
	case TAG_CANCEL:
		if (!--op->due)
			finish(u, op);
		else if (unlikely(cqe->res < 0))
			cancel_again(u, op);
		break;
	case TAG_BELL:
		tl__bell_heard(&u->bell);
		if (!u->ending)
			arm_bell(u);
		break;
	case TAG_WAKE:
	case TAG_MESSAGE:
		break;
	}
}

/* Takes all completions that are there. Returns whether there were any. */
static bool reap(struct uring *u)
{
	const struct io_uring_cq *cq = &u->ring.ring.cq;
	unsigned int head = *cq->khead, tail;

	/* pairs with the kernel's release of the tail: what the CQEs say */
	tail = __atomic_load_n(cq->ktail, __ATOMIC_ACQUIRE);
	if (head == tail)
		return false;
	for (; head != tail; head++)
		on_completion(u, &cq->cqes[head & cq->ring_mask]);
	/* pairs with the kernel's acquire of the head: we have read them */
	__atomic_store_n(cq->khead, head, __ATOMIC_RELEASE);
	return true;
}

/* --- the scheduler's side --------------------------------------------------- */

/*
 * Hands over all that is wanted, in several steps if it is more than fits. Returns
 * whether it has taken completions meanwhile: somebody may be runnable.
 */
static bool push(struct uring *u)
{
	bool any = false, more;
	int r;

	do {
		more = refill(u);
		r = tl__uring_submit(&u->ring, tl__uring_flagged(&u->ring));
		if (more)
			any |= reap(u);
	} while (entered(r) && more);
	return any;
}

static bool wants_push(const struct uring *u)
{
	return tl__uring_pending(&u->ring) || !tl__list_empty(&u->backlog) ||
	       tl__uring_flagged(&u->ring);
}

static void uring_poll(void *reactor, bool idle)
{
	struct uring *u = reactor;

	if (unlikely(!tl__list_empty(&u->missed)))
		retry_missed(u);
	/* The scheduler polls after each wait: once more would bring little. */
	if (!idle && !u->entered_just_now && wants_push(u))
		push(u);
	u->entered_just_now = false;
	reap(u);
}

/*
 * When to try again what the kernel had no memory for. What is under way may
 * free some; until then not even the doorbell need work.
 */
tl__cold static uint64_t soon(uint64_t deadline_ns)
{
	uint64_t pause = tl__now() + PAUSE_NS;

	return pause < deadline_ns ? pause : deadline_ns;
}

static void uring_wait(void *reactor, uint64_t deadline_ns)
{
	struct uring *u = reactor;
	int r;

	if (unlikely(!tl__list_empty(&u->missed))) {
		retry_missed(u);
		if (!tl__list_empty(&u->missed) && u->again_ns < deadline_ns)
			deadline_ns = u->again_ns;
	}
	if (unlikely(refill(u))) {
		if (push(u) | reap(u))
			return;
		if (refill(u))
			deadline_ns = soon(deadline_ns);
	}
	r = tl__uring_wait(&u->ring, true, deadline_ns);
	if (!entered(r) && !reap(u))
		tl__uring_wait(&u->ring, false, soon(deadline_ns));
	u->entered_just_now = true;
	reap(u);
}

/* The calling thread's, if it has one that can send. */
static struct uring *own_ring(void)
{
	const struct tl_sched *s = tl__sched_self;
	struct uring *u;

	if (!s || s->reactor_ops != &tl__io_uring.reactor)
		return NULL;
	u = s->reactor;
	return u->ending ? NULL : u;
}

static void uring_wake(void *reactor)
{
	struct uring *u = reactor, *own = own_ring();

	if (!own || !tl__bell_message(&own->ring, &u->ring, TAG_WAKE,
				      TAG_MESSAGE))
		tl__bell_ring(&u->bell);
}

/* It can't be rung: a program may have closed descriptors that it did not open. */
static void disarm_bell(struct uring *u)
{
	struct io_uring_sqe *sqe;

	while (u->bell.armed && !(sqe = tl__uring_sqe(&u->ring)))
		uring_wait(u, soon(TL_FOREVER));
	if (!u->bell.armed)
		return;
	io_uring_prep_cancel64(sqe, TAG_BELL, 0);
	sqe->user_data = TAG_WAKE;
}

/*
 * Nothing is under way for a tasklet any more, but what belongs to an object
 * (a listener's accept) and the doorbell may be.
 */
static void uring_destroy(void *reactor)
{
	struct uring *u = reactor;
	int fd;

	u->ending = true;
	for (fd = 0; fd < (int)u->fds.count; fd++)
		give_up_all(u, fd);
	disarm_bell(u);
	while (u->held || u->bell.armed)
		uring_wait(u, TL_FOREVER);
	tl__uring_close(&u->ring);
	tl__bell_close(&u->bell);
	tl__uring_fds_free(&u->fds);
	tl__free(u);
}

/* --- the calls' side -------------------------------------------------------- */

/*
 * shutdown(2) does not block, but the kernel hands IORING_OP_SHUTDOWN to a
 * worker thread for fear that it might. What was queued before goes first.
 */
static int shut_down(struct uring *u, struct tl__io_op *op)
{
	int saved = errno;

	if (tl__uring_fds_first(&u->fds, op->fd))
		push(u);
	op->result = shutdown(op->fd, op->flags) ? -errno : 0;
	errno = saved;
	return 1;
}

static int submit_close(struct uring *u, struct tl__io_op *op)
{
	int r = tl__uring_fds_close(&u->fds, op);

	if (unlikely(r < 0))
		return r;
	u->held++;
	if (likely(!r))
		want_sqe(u, op);
	else
		give_up_all(u, op->fd);
	return 0;
}

static int uring_submit(struct tl__io *io, struct tl__io_op *op)
{
	struct uring *u = uring_of(io);
	int r;

	tl__uring_op_begin(op);
	if (unlikely(op->code == TL__IO_CLOSE))
		return submit_close(u, op);
	if (unlikely(op->code == TL__IO_SHUTDOWN))
		return shut_down(u, op);
	r = tl__uring_fds_link(&u->fds, op);
	if (unlikely(r))
		return r;
	u->held++;
	want_sqe(u, op);
	return 0;
}

static bool uring_cancel(struct tl__io *io, struct tl__io_op *op, int result)
{
	if (!give_up(uring_of(io), op, result))
		return false;
	io->sched->io_pending--;
	return true;
}

static void uring_forked(struct tl__io *io)
{
	struct uring *u = uring_of(io);

	tl__uring_close_forked(&u->ring);
	tl__bell_close(&u->bell);
}

static void uring_features(const struct tl__io *io, struct tl_features *out)
{
	const struct uring *u = (const struct uring *)io;

	out->io_uring_flags = u->ring.setup_flags;
	out->io_uring_entries = u->ring.ring.sq.ring_entries;
	out->multishot_accept = u->ring.multishot_accept;
	out->doorbell = u->bell.futex ? "futex" : "eventfd";
	out->ring_messages = u->ring.msg_ring && !tl__bell_test_no_message;
}

static int uring_create(struct tl_sched *s, struct tl__io **out,
			const char **why)
{
	struct uring *u = tl__calloc(1, sizeof(*u));
	int saved = errno;
	int r;

	if (!u) {
		*why = "no memory";
		return -ENOMEM;
	}
	r = tl__uring_open(&u->ring, why);
	if (r)
		goto free_memory;
	r = tl__bell_open(&u->bell, &u->ring);
	if (r) {
		*why = "no descriptor is left for an eventfd";
		goto close_ring;
	}
	u->io.backend = &tl__io_uring;
	u->io.sched = s;
	tl__list_init(&u->backlog);
	tl__list_init(&u->missed);
	arm_bell(u);
	*out = &u->io;
	return 0;

close_ring:
	tl__uring_close(&u->ring);
free_memory:
	tl__free(u);
	errno = saved;
	return r;
}

const struct tl__io_backend tl__io_uring = {
	.name = "io_uring",
	.reactor = {
		.poll = uring_poll,
		.wait = uring_wait,
		.wake = uring_wake,
		.destroy = uring_destroy,
	},
	.create = uring_create,
	.submit = uring_submit,
	.cancel = uring_cancel,
	.forked = uring_forked,
	.features = uring_features,
};
