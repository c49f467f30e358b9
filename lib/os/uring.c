/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Making a ring, and the one system call that drives it. See uring.h.
 *
 * Set-up is a ladder: flags that an older kernel does not know are dropped step
 * by step (EINVAL), queues that RLIMIT_MEMLOCK does not allow are halved
 * (ENOMEM: kernels charge rings to it again). Whatever is left is proved by a
 * round trip, because a filter may let io_uring_setup() pass and deny the rest.
 */
#include "os/uring.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include <tasklet/base.h>

#include "base/alloc.h"
#include "os/clock.h"

/* What liburing 2.3, the oldest that serves, has no names for. */
#define ENTER_ABS_TIMER		(1u << 5)	/* 6.12 */
#define ENTER_NO_IOWAIT		(1u << 7)	/* 6.15 */
#define FEAT_REG_REG_RING	(1u << 13)	/* 6.3 */
#define FEAT_NO_IOWAIT		(1u << 17)
#define OP_FUTEX_WAIT		51		/* 6.7 */
#define FUTEX_OF_U32		2u		/* FUTEX2_SIZE_U32; not _PRIVATE */
#ifndef RWF_NOSIGNAL
#define RWF_NOSIGNAL		0x00000100	/* 6.18 */
#endif

#define SQ_ENTRIES	256
#define CQ_ENTRIES	2048	/* multishot results come without an SQE */
#define SQ_ENTRIES_MIN	32
#define CQ_ENTRIES_MIN	64

/* Threads for calls that block after all, on files; the default is 4 a CPU. */
#define WORKERS_MAX	64

#define REQUIRED_FEATURES						\
	(IORING_FEAT_NODROP | IORING_FEAT_FAST_POLL |			\
	 IORING_FEAT_EXT_ARG | IORING_FEAT_RW_CUR_POS |			\
	 IORING_FEAT_SUBMIT_STABLE)

unsigned int tl__uring_test_entries;
uint32_t tl__uring_test_refused;
bool tl__uring_test_old;

/*
 * Best first. Without the first or second a completion interrupts the thread
 * wherever it is, which costs half as much again. No R_DISABLED: a ring is made
 * by the thread that will use it. No NO_SQARRAY: liburing 2.3 would write to
 * the array all the same.
 */
static const uint32_t ladder[] = {
	IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
		IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL, /* 6.1 */
	IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
		IORING_SETUP_SUBMIT_ALL, /* 5.19 */
	IORING_SETUP_SUBMIT_ALL, /* 5.18 */
	0,
};

static const uint8_t required_ops[] = {
	IORING_OP_NOP, IORING_OP_READ, IORING_OP_WRITE, IORING_OP_READV,
	IORING_OP_WRITEV, IORING_OP_OPENAT, IORING_OP_CLOSE, IORING_OP_FSYNC,
	IORING_OP_STATX, IORING_OP_ACCEPT, IORING_OP_CONNECT, IORING_OP_RECV,
	IORING_OP_SEND, IORING_OP_RECVMSG, IORING_OP_SENDMSG,
	IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL,
};

/* What /proc/sys/kernel/io_uring_disabled says; 0 if it isn't there. */
static int disabled_by_sysctl(void)
{
	int fd = open("/proc/sys/kernel/io_uring_disabled",
		      O_RDONLY | O_CLOEXEC);
	char digit = '0';

	if (fd < 0)
		return 0;
	if (read(fd, &digit, 1) != 1)
		digit = '0';
	close(fd);
	return digit - '0';
}

static const char *words_for(int error)
{
	const char *words;

	switch (error) {
	case -EPERM:
		return disabled_by_sysctl() ?
			"the sysctl kernel.io_uring_disabled forbids io_uring" :
			"io_uring is denied (a seccomp filter?)";
	case -EACCES:
		return "io_uring is denied by a security module";
	case -ENOSYS:
		return "the kernel has no io_uring, or a seccomp filter "
		       "hides it";
	case -ENOMEM:
		return "no memory for an io_uring, or RLIMIT_MEMLOCK is too "
		       "small for one";
	case -EMFILE:
		return "no descriptor is left for an io_uring (RLIMIT_NOFILE)";
	case -ENFILE:
		return "the system has no descriptor left for an io_uring";
	case -EINVAL:
	case -EOPNOTSUPP:
		return "the kernel's io_uring is too old (5.11 is needed)";
	case -ETIME:
		return "io_uring does not answer";
	}
	words = strerrordesc_np(-error);
	return words ? words : "io_uring_setup() failed for no known reason";
}

static int set_up(struct tl__uring *u, uint32_t flags, unsigned int sq,
		  unsigned int cq)
{
	struct io_uring_params p = {
		.flags = flags | IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE,
		.cq_entries = cq,
	};
	int r;

	if (p.flags & tl__uring_test_refused)
		return -EINVAL;
	if (tl__fault())
		return -ENOMEM;
	r = io_uring_queue_init_params(sq, &u->ring, &p);
	if (!r)
		u->setup_flags = p.flags;
	return r;
}

static int climb_down(struct tl__uring *u)
{
	unsigned int sq = tl__uring_test_entries, cq = sq;
	size_t step = 0;
	int r;

	if (!sq) {
		sq = SQ_ENTRIES;
		cq = CQ_ENTRIES;
	}
	for (;;) {
		r = set_up(u, ladder[step], sq, cq);
		if (r == -EINVAL) {
			if (++step == sizeof(ladder) / sizeof(ladder[0]))
				return r;
		} else if (r == -ENOMEM) {
			if (sq <= SQ_ENTRIES_MIN && cq <= CQ_ENTRIES_MIN)
				return r;
			if (sq > SQ_ENTRIES_MIN)
				sq /= 2;
			if (cq > CQ_ENTRIES_MIN)
				cq /= 2;
		} else {
			return r;
		}
	}
}

static int probe(struct tl__uring *u)
{
	struct io_uring_probe *found;
	int r = 0;
	size_t i;

	if ((u->ring.features & REQUIRED_FEATURES) != REQUIRED_FEATURES)
		return -EINVAL;
	found = io_uring_get_probe_ring(&u->ring);
	if (!found)
		return -EPERM;	/* it says no more; a filter is likely */
	for (i = 0; i < sizeof(required_ops); i++)
		if (!io_uring_opcode_supported(found, required_ops[i]))
			r = -EINVAL;
	/* Nothing tells it directly; this operation came with it, in 5.19. */
	u->multishot_accept =
		io_uring_opcode_supported(found, IORING_OP_SOCKET) &&
		!tl__uring_test_old;
	u->futex_wait = !tl__uring_test_old && found->last_op >= OP_FUTEX_WAIT &&
			(found->ops[OP_FUTEX_WAIT].flags & IO_URING_OP_SUPPORTED);
	/*
	 * Messages to rings that defer their work came right in 6.3, with the
	 * feature that is asked for here.
	 */
	u->msg_ring = !tl__uring_test_old &&
		io_uring_opcode_supported(found, IORING_OP_MSG_RING) &&
		(u->ring.features & FEAT_REG_REG_RING) &&
		(u->ring.features & IORING_FEAT_CQE_SKIP);
	io_uring_free_probe(found);
	return r;
}

/* A NOP there and back, with a wait as the reactor's. */
static int prove(struct tl__uring *u)
{
	struct io_uring_cqe *cqe;
	int r;

	u->wait_flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
	if (!tl__uring_test_old) {
		u->wait_flags |= ENTER_ABS_TIMER;
		if (u->ring.features & FEAT_NO_IOWAIT)
			u->wait_flags |= ENTER_NO_IOWAIT;
	}
	io_uring_prep_nop(tl__uring_sqe(u));
	do {
		r = tl__uring_wait(u, true, tl__now() + TL__NS_PER_SEC);
		if (r == -EINVAL && (u->wait_flags & ENTER_ABS_TIMER)) {
			u->wait_flags &= ~ENTER_ABS_TIMER;
			r = -EINTR;
		}
	} while (r == -EINTR);
	if (r)
		return r;
	if (io_uring_peek_cqe(&u->ring, &cqe))
		return -ETIME;
	r = cqe->res;
	io_uring_cqe_seen(&u->ring, cqe);
	return r;
}

/* Whether a write can be told not to raise SIGPIPE. */
static bool has_nosignal(void)
{
	struct iovec iov = { .iov_base = "", .iov_len = 1 };
	bool has;
	int p[2];

	if (tl__uring_test_old || pipe2(p, O_CLOEXEC))
		return false;
	has = pwritev2(p[1], &iov, 1, -1, RWF_NOSIGNAL) == 1;
	close(p[0]);
	close(p[1]);
	return has;
}

/* The array says which SQE is next; ours are taken in order. */
static void set_array(struct tl__uring *u)
{
	unsigned int i;

	for (i = 0; i < u->ring.sq.ring_entries; i++)
		u->ring.sq.array[i] = i;
}

/* What makes it better, but that it can do without. */
static void improve(struct tl__uring *u)
{
	unsigned int workers[2] = { WORKERS_MAX, 0 };

	io_uring_register_iowq_max_workers(&u->ring, workers);	/* 5.15 */
	if (has_nosignal())
		u->write_flags = RWF_NOSIGNAL;
	if (!tl__uring_test_old && io_uring_register_ring_fd(&u->ring) == 1)
		u->enter_flags = IORING_ENTER_REGISTERED_RING; /* 5.18 */
}

int tl__uring_open(struct tl__uring *u, const char **why)
{
	int r;

	*u = (struct tl__uring){ 0 };
	r = climb_down(u);
	if (r) {
		*why = words_for(r);
		return r;
	}
	set_array(u);
	r = probe(u);
	if (!r)
		r = prove(u);
	/* A child that wrote to the queues would write to the parent's. */
	if (!r)
		r = io_uring_ring_dontfork(&u->ring);
	if (r) {
		tl__uring_close(u);
		*why = words_for(r);
		return r;
	}
	improve(u);
	return 0;
}

void tl__uring_close(struct tl__uring *u)
{
	io_uring_queue_exit(&u->ring);
}

void tl__uring_close_forked(struct tl__uring *u)
{
	close(u->ring.ring_fd);
}

static int enter_plain(struct tl__uring *u, unsigned int to_submit,
		       unsigned int min_complete, uint32_t flags,
		       struct io_uring_getevents_arg *arg)
{
	int r = io_uring_enter2((unsigned int)u->ring.enter_ring_fd, to_submit,
				min_complete, flags | u->enter_flags,
				(sigset_t *)(void *)arg,
				arg ? sizeof(*arg) : 0);

	return r < 0 ? r : 0;
}

/*
 * The same with SIGPIPE held off and, if it comes, taken away, unless it was
 * pending before. Without DEFER_TASKRUN (before 6.1) a write may also break
 * during some other system call, and then it does get through.
 */
tl__cold static int enter_quietly(struct tl__uring *u, unsigned int to_submit,
				  unsigned int min_complete, uint32_t flags,
				  struct io_uring_getevents_arg *arg)
{
	static const struct timespec at_once;
	sigset_t set, old, before, after;
	int saved = errno;
	int r;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	sigpending(&before);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	r = enter_plain(u, to_submit, min_complete, flags, arg);
	sigpending(&after);
	if (sigismember(&after, SIGPIPE) && !sigismember(&before, SIGPIPE))
		while (sigtimedwait(&set, NULL, &at_once) < 0 && errno == EINTR)
			;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	errno = saved;
	return r;
}

static int enter(struct tl__uring *u, unsigned int to_submit,
		 unsigned int min_complete, uint32_t flags,
		 struct io_uring_getevents_arg *arg)
{
	if (unlikely(u->loud_writes))
		return enter_quietly(u, to_submit, min_complete, flags, arg);
	return enter_plain(u, to_submit, min_complete, flags, arg);
}

/* Shows the kernel all SQEs that are filled, and returns how many. */
static unsigned int publish(struct tl__uring *u)
{
	struct io_uring_sq *sq = &u->ring.sq;

	/* pairs with the kernel's acquire of the tail: what the SQEs say */
	__atomic_store_n(sq->ktail, sq->sqe_tail, __ATOMIC_RELEASE);
	sq->sqe_head = sq->sqe_tail;
	return tl__uring_pending(u);
}

int tl__uring_submit(struct tl__uring *u, bool events)
{
	return enter(u, publish(u), 0, events ? IORING_ENTER_GETEVENTS : 0,
		     NULL);
}

/* What the kernel is told; false: there is no limit. */
static bool set_limit(const struct tl__uring *u, struct __kernel_timespec *out,
		      uint64_t deadline_ns)
{
	uint64_t now;

	/* Signed times would overflow; in 290 years we look again. */
	if (deadline_ns > INT64_MAX)
		return false;
	if (!(u->wait_flags & ENTER_ABS_TIMER)) {
		now = tl__now();
		deadline_ns = deadline_ns > now ? deadline_ns - now : 0;
	}
	out->tv_sec = (long long)(deadline_ns / TL__NS_PER_SEC);
	out->tv_nsec = (long long)(deadline_ns % TL__NS_PER_SEC);
	return true;
}

int tl__uring_wait(struct tl__uring *u, bool submit, uint64_t deadline_ns)
{
	struct io_uring_getevents_arg arg = { 0 };
	struct __kernel_timespec limit;
	int r;

	if (set_limit(u, &limit, deadline_ns))
		arg.ts = (uintptr_t)&limit;
	r = enter(u, submit ? publish(u) : 0, 1, u->wait_flags, &arg);
	return r == -ETIME ? 0 : r;
}

void tl__uring_prep_futex_wait(struct io_uring_sqe *sqe,
			       const _Atomic uint32_t *word, uint32_t value)
{
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = OP_FUTEX_WAIT;
	sqe->fd = FUTEX_OF_U32;
	sqe->addr = (uintptr_t)word;
	sqe->off = value;
	sqe->addr3 = UINT32_MAX;	/* any bit of a waker's mask */
}

bool tl__uring_has_cqe(const struct tl__uring *u, uint64_t user_data)
{
	const struct io_uring_cq *cq = &u->ring.cq;
	unsigned int head = *cq->khead, tail;

	/* relaxed: set in our own enter, if it is of interest */
	if (__atomic_load_n(u->ring.sq.kflags, __ATOMIC_RELAXED) &
	    IORING_SQ_CQ_OVERFLOW)
		return true;
	/* pairs with the kernel's release of the tail: what the CQEs say */
	tail = __atomic_load_n(cq->ktail, __ATOMIC_ACQUIRE);
	for (; head != tail; head++)
		if (cq->cqes[head & cq->ring_mask].user_data == user_data)
			return true;
	return false;
}
