/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Starting a thread's IO: which backend, and what it takes to wait for an
 * operation. The choice is made once for the process, by trying: the first
 * thread whose ring can't be made sends all later ones to epoll.
 */
#include "io/io.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "os/handoff.h"
#include "os/log.h"

#ifdef TL_NO_URING
static int no_uring(struct tl_sched *s, struct tl__io **out, const char **why)
{
	(void)s, (void)out;
	*why = "the library was built without io_uring";
	return -ENOSYS;
}

const struct tl__io_backend tl__io_uring = { .create = no_uring };
#endif

static pthread_mutex_t choice_lock = PTHREAD_MUTEX_INITIALIZER;
static const struct tl__io_backend *chosen;	/* under choice_lock */
static const char *reason = "";			/* under choice_lock */

static void in_forked_child(void)
{
	struct tl_sched *s = tl__sched_self;
	struct tl__io *io;

	/* Another thread may have held it; in the child there is only us. */
	pthread_mutex_init(&choice_lock, NULL);
	tl__pool_after_fork_in_child();
	if (!s)
		return;
	s->io_pending = 0;
	io = s->reactor;
	if (!io)
		return;
	s->reactor = NULL;
	s->reactor_ops = NULL;
	io->forked = true;
	io->backend->forked(io);
}

static void register_fork_handler(void)
{
	/* Failure (ENOMEM) leaves a child without IO of its own. */
	if (pthread_atfork(tl__pool_before_fork, tl__pool_after_fork_in_parent,
			   in_forked_child))
		tl__log_once("IO will not work in forked children: "
			     "no memory for a fork handler");
}

void tl__io_watch_forks(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, register_fork_handler);
}

/* The backend that the user or an earlier thread has settled on, or NULL. */
static const struct tl__io_backend *settled(void)
{
	const char *wish = getenv("TL_IO");

	if (chosen || !wish || !*wish)
		return chosen;
	if (!strcmp(wish, "epoll")) {
		reason = "TL_IO=epoll";
		chosen = &tl__io_epoll;
	} else if (strcmp(wish, "io_uring") != 0) {
		tl__log_once("TL_IO=%s is neither io_uring nor epoll: ignored",
			     wish);
	}
	return chosen;
}

static int create(struct tl_sched *s, struct tl__io **out)
{
	const char *why = "";
	int r;

	if (!settled()) {
		r = tl__io_uring.create(s, out, &why);
		if (!r) {
			chosen = &tl__io_uring;
			return 0;
		}
		reason = why;
	} else if (chosen == &tl__io_uring) {
		/* Other threads have rings; this one is out of luck, not all. */
		r = tl__io_uring.create(s, out, &why);
		if (!r)
			return 0;
	}
	r = tl__io_epoll.create(s, out, &why);
	if (!r && !chosen)
		chosen = &tl__io_epoll;
	return r;
}

int tl__io_start(struct tl_sched *s, struct tl__io **out)
{
	struct tl__io *io = NULL;
	int r;

	if (likely(s->reactor)) {
		*out = s->reactor;
		return 0;
	}
	tl__io_watch_forks();
	pthread_mutex_lock(&choice_lock);
	r = create(s, &io);
	pthread_mutex_unlock(&choice_lock);
	if (r)
		return r;
	s->reactor = io;
	s->reactor_ops = &io->backend->reactor;
	*out = io;
	return 0;
}

const char *tl__io_reason(void)
{
	const char *r;

	pthread_mutex_lock(&choice_lock);
	r = reason;
	pthread_mutex_unlock(&choice_lock);
	return r;
}

static bool io_abandon(struct tl_task *t, int result)
{
	struct tl__io_op *op = t->wait_object;

	if (unlikely(op->io->forked) ||
	    op->io->backend->cancel(op->io, op, result)) {
		tl__wake(t->sched, t, result);
		return true;
	}
	return false;
}

static const struct tl__wait_ops io_wait_ops = {
	.verb = "waits for IO",
	.abandon = io_abandon,
	.unwinds = true,
};

/* Hands @op to the backend. As its submit(), and counts. */
static int submit(struct tl_sched *s, struct tl__io *io, struct tl_task *me,
		  struct tl__io_op *op)
{
	int r;

	op->task = me;
	op->io = io;
	op->given_up = 0;
	s->io_pending++;
	r = io->backend->submit(io, op);
	if (unlikely(r))
		s->io_pending--;
	else
		tl__poll_soon(s);
	return r;
}

int tl__io_wait(struct tl__io_op *op, uint64_t deadline_ns)
{
	struct tl_sched *s = tl__sched();
	struct tl_task *me;
	struct tl__io *io;
	int r;

	if (unlikely(!s))
		return tl__sched_error();
	r = tl__io_start(s, &io);
	if (unlikely(r))
		return r;
	me = tl__me(s);
	r = tl__block_check(s, me, true);
	if (unlikely(r))
		return r;
	r = tl__deadline_arm(s, me, deadline_ns);
	if (unlikely(r))
		return r;
	r = submit(s, io, me, op);
	if (unlikely(r)) {
		tl__deadline_disarm(s, me);
		return r < 0 ? r : op->result;
	}
	return tl__park(s, me, &io_wait_ops, op);
}

int tl__io_wait_settled(struct tl__io_op *op)
{
	struct tl_sched *s = tl__sched();
	struct tl_task *me;
	struct tl__io *io;
	int r;

	if (!s || tl__switch_check(s) || tl__io_start(s, &io))
		return TL__IO_NOT_TAKEN;
	me = tl__me(s);
	if (me->flags & TL__BLOCKTRAP)
		return TL__IO_NOT_TAKEN;
	r = submit(s, io, me, op);
	if (unlikely(r == -ENOMEM))
		return TL__IO_NOT_TAKEN;
	if (unlikely(r))
		return r < 0 ? r : op->result;
	return tl__park(s, me, &io_wait_ops, op);
}

bool tl__io_is_socket(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

int tl_features(struct tl_features *out)
{
	struct tl_sched *s = tl__sched();
	size_t size = out->size;
	struct tl__io *io;
	int r;

	if (!s)
		return tl__sched_error();
	if (size < sizeof(*out))
		return -EINVAL;
	r = tl__io_start(s, &io);
	if (r)
		return r;
	*out = (struct tl_features){
		.size = size,
#if defined(__x86_64__)
		.arch = "x86_64",
#else
		.arch = "aarch64",
#endif
		.io = io->backend->name,
		.io_reason = io->backend == &tl__io_uring ? "" :
							   tl__io_reason(),
		.guards = tl__stack_guard_method(),
	};
	out->handoff = tl__handoff_name(&out->handoff_reason);
	io->backend->features(io, out);
	return 0;
}
