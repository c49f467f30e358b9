/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Operations that the pool has, and closing, which waits for them.
 *
 * A job refers to its operation from tl__epoll_job_start() until its end; the
 * operation's tasklet stays blocked for that long. Invariant: all jobs that use
 * a descriptor, but for one that closes it, are in its list, and a close does
 * not begin before that is empty.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/alloc.h"
#include "io/epoll-ops.h"
#include "io/epoll.h"

struct epoll_job {
	struct tl__job job;
	struct tl__io_op *op;
	struct tl__list link;		/* in tl__epoll_fd.jobs, or empty */
	int result;
};

static int close_now(struct tl__epoll *e, struct tl__io_op *op,
		     struct tl__epoll_fd *d);

static void job_run(struct tl__job *job)
{
	struct epoll_job *j = tl__container_of(job, struct epoll_job, job);

	j->result = tl__epoll_block(j->op);
}

/* The job is over, one way or another; the operation is its own again. */
static void job_end(struct epoll_job *j)
{
	struct tl__io_op *op = j->op;

	tl__list_del(&j->link);
	tl__free(j);
	op->job = NULL;
	op->io->sched->io_pending++;	/* see tl__epoll_job_start() */
}

static void job_done(struct tl__job *job)
{
	struct epoll_job *j = tl__container_of(job, struct epoll_job, job);
	struct tl__io_op *op = j->op, *closer;
	struct tl__epoll *e = tl__epoll_of(op->io);
	struct tl__epoll_fd *d = tl__epoll_find(e, op->fd);
	int result = j->result;
	int saved = errno;

	job_end(j);
	if (result >= 0)
		result += op->result;
	else
		result = tl__epoll_outcome(op, op->given_up ? op->given_up :
							      result);
	tl__io_complete(op, result, false);
	if (d && d->closer && tl__list_empty(&d->jobs)) {
		closer = d->closer;
		d->closer = NULL;
		if (close_now(e, closer, d))
			tl__io_complete(closer, closer->result, false);
	}
	errno = saved;
}

int tl__epoll_job_start(struct tl__epoll *e, struct tl__io_op *op)
{
	struct tl__epoll_fd *d = NULL;
	struct epoll_job *j;
	int r;

	/* Whatever closes the descriptor waits for those that use it. */
	if (op->fd >= 0 && op->code != TL__IO_CLOSE) {
		r = tl__epoll_get(e, op->fd, &d);
		if (r)
			return r;
	}
	j = tl__calloc(1, sizeof(*j));
	if (!j)
		return -ENOMEM;
	j->op = op;
	j->job.run = job_run;
	j->job.done = job_done;
	r = tl__pool_submit(e->io.sched, &j->job);
	if (r) {
		tl__free(j);
		return r;
	}
	/* The operation counts already. */
	e->io.sched->io_pending--;
	tl__list_init(&j->link);
	if (d)
		tl__list_add_tail(&d->jobs, &j->link);
	op->job = &j->job;
	op->state = TL__EPOLL_JOB;
	return 0;
}

bool tl__epoll_job_take_back(struct tl__io_op *op)
{
	if (!tl__pool_cancel(op->job))
		return false;
	job_end(tl__container_of(op->job, struct epoll_job, job));
	return true;
}

/* --- closing -------------------------------------------------------------- */

static int close_now(struct tl__epoll *e, struct tl__io_op *op,
		     struct tl__epoll_fd *d)
{
	/* Else the set would keep what other descriptors keep open. */
	if (d && d->known) {
		epoll_ctl(e->set, EPOLL_CTL_DEL, op->fd, NULL);
		d->known = false;
	}
	if (tl__epoll_close_blocks(op->fd) && !tl__epoll_job_start(e, op))
		return 0;
	/* After EINTR it is closed all the same. */
	op->result = close(op->fd) && errno != EINTR ? -errno : 0;
	return 1;
}

int tl__epoll_submit_close(struct tl__epoll *e, struct tl__io_op *op)
{
	struct tl__epoll_fd *d = tl__epoll_find(e, op->fd);
	struct tl__list *pos, *tmp;
	struct tl__io_op *other;

	op->state = TL__EPOLL_CLOSING;
	if (!d)
		return close_now(e, op, NULL);
	if (d->closer)
		return -EBADF;	/* somebody else closes it */
	tl__epoll_give_up_all(e, d, -ECANCELED);
	tl__list_for_each_safe(pos, tmp, &d->jobs) {
		other = tl__container_of(pos, struct epoll_job, link)->op;
		if (tl__epoll_job_take_back(other))
			tl__io_complete(other,
					tl__epoll_outcome(other, -ECANCELED),
					false);
		else if (!other->given_up)
			other->given_up = -ECANCELED;
	}
	if (tl__list_empty(&d->jobs))
		return close_now(e, op, d);
	d->closer = op;
	return 0;
}

