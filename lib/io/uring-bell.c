/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Bells and messages of rings; see uring-bell.h.
 */
#include "io/uring-bell.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/probe.h"
#include "os/futex.h"
#include "os/log.h"

bool tl__bell_test_no_futex, tl__bell_test_no_message;

int tl__bell_open(struct tl__bell *bell, const struct tl__uring *ring)
{
	bell->armed = false;
	bell->fd = -1;
	/* relaxed: nobody else knows it */
	atomic_store_explicit(&bell->word, 0, memory_order_relaxed);
	bell->futex = ring->futex_wait && !tl__bell_test_no_futex;
	if (bell->futex)
		return 0;
	bell->fd = tl__fault() ? -1 : eventfd(0, EFD_CLOEXEC);
	return bell->fd < 0 ? -EMFILE : 0;
}

void tl__bell_close(struct tl__bell *bell)
{
	if (bell->fd >= 0)
		close(bell->fd);
}

bool tl__bell_arm(struct tl__bell *bell, struct tl__uring *ring,
		  uint64_t user_data)
{
	struct io_uring_sqe *sqe = tl__uring_sqe(ring);

	if (!sqe)
		return false;
	if (bell->futex) {
		tl__uring_prep_futex_wait(sqe, &bell->word, 0);
	} else {
		io_uring_prep_read(sqe, bell->fd, &bell->count,
				   sizeof(bell->count), 0);
	}
	sqe->user_data = user_data;
	bell->armed = true;
	return true;
}

void tl__bell_heard(struct tl__bell *bell)
{
	bell->armed = false;
	/*
	 * relaxed: who has rung needs no more, for no sleep begins before the
	 * thread has looked at its inbox; who rings for that one rings later
	 */
	atomic_store_explicit(&bell->word, 0, memory_order_relaxed);
}

void tl__bell_ring(struct tl__bell *bell)
{
	uint64_t one = 1;
	int saved = errno;

	tl__probe_wake(TL_PROBE_WAKE_RING, &bell->word, 1);
	if (bell->futex) {
		/* relaxed: the system call orders it; the message is elsewhere */
		atomic_store_explicit(&bell->word, 1, memory_order_relaxed);
		tl__futex_wake_shared(&bell->word, 1);
	} else if (write(bell->fd, &one, sizeof(one)) < 0) {
		/* Can't be full: nobody rings 2^64 times before the read. */
		tl__log_once("the doorbell is out of order: %s",
			     strerror(errno));
	}
	errno = saved;
}

bool tl__bell_message(struct tl__uring *from, const struct tl__uring *to,
		      uint64_t user_data, uint64_t failed)
{
	struct io_uring_sqe *sqe;
	int saved = errno;
	bool sent;

	if (!from->msg_ring || tl__bell_test_no_message)
		return false;
	sqe = tl__uring_sqe(from);
	if (!sqe)
		return false;
	io_uring_prep_msg_ring(sqe, to->ring.ring_fd, 0, user_data, 0);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	sqe->user_data = failed;
	tl__probe_wake(TL_PROBE_WAKE_RING, to, 1);
	/* What was queued before goes with it; a failure leaves a completion. */
	sent = !tl__uring_submit(from, false) && !tl__uring_pending(from) &&
	       !tl__uring_has_cqe(from, failed);
	errno = saved;
	return sent;
}
