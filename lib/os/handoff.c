/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * See handoff.h. Owns the device's descriptor, one for all threads, and each thread's
 * slot.
 *
 * The first who asks opens the device; it stays open. It belongs to the process that
 * opened it: the child of a fork, in which each call would be refused, opens its own.
 * `forks` tells slots of the child from those of its parent.
 *
 * No locks: threads that come at the same time open it each, and one of them keeps it.
 * Nothing here is a point of cancellation, for nobody who waits for a lock is ready
 * for that.
 */
#include "os/handoff.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <tasklet/uapi/handoff.h>

#include "base/alloc.h"
#include "base/compiler.h"
#include "os/clock.h"
#include "os/log.h"

enum { NOT_TRIED = -1, NONE = -2 };

/* The descriptor, or one of these. */
static _Atomic int device = NOT_TRIED;
/* Why it is NONE, and which file it is else: set before it is. */
static _Atomic(const char *) reason = "";
static _Atomic dev_t device_number;
static uint32_t forks;			/* written where there is one thread */
static bool watches_forks;		/* written once, by watch_forks() */

static __thread struct {
	uint64_t slot, cookie;
	uint32_t forks;
	bool refused;
	uint32_t soon;		/* so often it slept soon after its only wake-up */
	uint64_t woke_ns;	/* its last one, if it has not slept since */
} self __attribute__((tls_model("initial-exec")));

/* --- the device ------------------------------------------------------------- */

/* Not if the program has closed it, and the number is another file's. */
static bool is_device(int fd)
{
	struct stat st;

	/* relaxed: set before the descriptor */
	return !fstat(fd, &st) && st.st_rdev == atomic_load_explicit(
					  &device_number, memory_order_relaxed);
}

static void in_forked_child(void)
{
	/* relaxed, both: there is one thread */
	int fd = atomic_load_explicit(&device, memory_order_relaxed), saved = errno;

	forks++;
	if (fd >= 0) {
		if (is_device(fd))
			close(fd);
		atomic_store_explicit(&device, NOT_TRIED, memory_order_relaxed);
	}
	errno = saved;
}

static void watch_forks(void)
{
	watches_forks = !tl__fault() &&
			!pthread_atfork(NULL, NULL, in_forked_child);
}

static bool is_off(void)
{
	const char *wish = getenv("TL_HANDOFF");

	if (!wish || !*wish || !strcmp(wish, "on"))
		return false;
	if (!strcmp(wish, "off"))
		return true;
	tl__log_once("TL_HANDOFF=%s is neither on nor off: ignored", wish);
	return false;
}

/* Registers the caller. False, and errno, if that fails. */
static bool register_at(int fd, struct tl_handoff_register *reg)
{
	int tries;

	/*
	 * EEXIST: the slot is another's, who has had this thread's storage before, or
	 * it is not known what it was woken with. A new one begins anew.
	 */
	for (tries = 0; tries < 2; tries++) {
		*reg = (struct tl_handoff_register){ .size = sizeof(*reg) };
		if (!(tl__fault() ? (errno = ENOMEM, -1) :
				    ioctl(fd, TL_HANDOFF_REGISTER, reg)))
			return true;
		if (errno != EEXIST)
			return false;
		ioctl(fd, TL_HANDOFF_UNREGISTER, reg);
	}
	return false;
}

static void set_self(uint64_t slot)
{
	self.forks = forks;
	self.cookie = 0;
	self.slot = slot;
	self.refused = !slot;
}

/* A new descriptor, with the caller registered; or why not. */
static int open_device(const char **why)
{
	struct tl_handoff_register reg;
	struct stat st;
	int fd = tl__fault() ? (errno = EMFILE, -1) :
		 open(TL_HANDOFF_DEVICE, O_RDWR | O_CLOEXEC);

	*why = errno == ENOENT ? "no " TL_HANDOFF_DEVICE :
	       errno == EACCES ? "no permission for " TL_HANDOFF_DEVICE :
				 TL_HANDOFF_DEVICE " can't be opened";
	if (fd < 0)
		return NONE;
	*why = TL_HANDOFF_DEVICE " does not work";
	if (fstat(fd, &st) || !register_at(fd, &reg))
		goto close_it;
	/* Then it is worse than a futex, which the scheduler knows. */
	*why = "this kernel can't place who is woken";
	if (!(reg.features & TL_HANDOFF_F_HERE))
		goto close_it;
	/* relaxed: before the descriptor is told; all of them find the same */
	atomic_store_explicit(&device_number, st.st_rdev, memory_order_relaxed);
	set_self(reg.slot);
	return fd;

close_it:
	close(fd);
	return NONE;
}

/* The first time: opens it, or finds out why not. */
static int find_device(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	int found = NONE, before = NOT_TRIED, cancel;
	const char *why = "TL_HANDOFF=off";

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	pthread_once(&once, watch_forks);
	if (!is_off()) {
		why = "no memory";
		if (watches_forks)
			found = open_device(&why);
	}
	if (found == NONE)
		/* relaxed: before the result is told */
		atomic_store_explicit(&reason, why, memory_order_relaxed);
	/* release: pairs with get_device(); acquire: what another one has found */
	if (!atomic_compare_exchange_strong_explicit(&device, &before, found,
						     memory_order_acq_rel,
						     memory_order_acquire)) {
		if (found >= 0)
			close(found);
		self.slot = 0;		/* it was of that one */
		self.refused = false;
		found = before;
	}
	pthread_setcancelstate(cancel, NULL);
	return found;
}

static inline int get_device(void)
{
	/* acquire: pairs with find_device(): the reason, and which file it is */
	int fd = atomic_load_explicit(&device, memory_order_acquire);

	return likely(fd != NOT_TRIED) ? fd : find_device();
}

const char *tl__handoff_name(const char **why)
{
	int saved = errno;
	bool is_there = get_device() >= 0;

	errno = saved;
	/* relaxed: ordered by get_device() */
	*why = is_there ? "" : atomic_load_explicit(&reason,
						     memory_order_relaxed);
	return is_there ? "module" : "futex";
}

/* --- a thread --------------------------------------------------------------- */

struct tl__seat tl__handoff_seat(void)
{
	struct tl_handoff_register reg;
	int fd, saved;

	/* acquire: as in get_device() */
	if (likely(atomic_load_explicit(&device, memory_order_acquire) == NONE))
		return (struct tl__seat){ 0 };
	saved = errno;
	fd = get_device();
	/* Once a thread, and once more in the child of a fork. */
	if (fd >= 0 && unlikely(self.forks != forks ||
				(!self.slot && !self.refused)))
		set_self(register_at(fd, &reg) ? reg.slot : 0);
	errno = saved;
	if (fd < 0)
		return (struct tl__seat){ 0 };
	return (struct tl__seat){ self.slot, ++self.cookie };
}

/*
 * A call that fails in a way that it never should: the program has closed the
 * descriptor, or may not use it any more. Nobody sleeps there from now on. Who does
 * already finds out as late as his time is over; see tasklet_handoff(4).
 */
static void out_of_order(int error)
{
	static const char words[] = TL_HANDOFF_DEVICE " is out of order";
	int cancel;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	tl__log_once("%s: %s", words, strerror(error));
	pthread_setcancelstate(cancel, NULL);
	/* relaxed, release: as in find_device() */
	atomic_store_explicit(&reason, words, memory_order_relaxed);
	atomic_store_explicit(&device, NONE, memory_order_release);
}

/*
 * Who is woken here has to wait until we sleep: so it pays only if that is soon. It will
 * be if it was the last times, each after one wake-up, and no more; the first time that
 * it isn't ends that. Several that are woken had better run at the same time.
 */
#define SOON_NS 20000u
#define SOON_ENOUGH 2u

static void note_sleep(void)
{
	if (!self.woke_ns)
		return;
	if (tl__now() - self.woke_ns > SOON_NS)
		self.soon = 0;
	else if (self.soon < SOON_ENOUGH)
		self.soon++;
	self.woke_ns = 0;
}

static bool sleeps_soon(void)
{
	if (self.woke_ns)
		self.soon = 0;
	self.woke_ns = tl__now();
	return self.soon == SOON_ENOUGH;
}

/* 0 or -errno */
static int call(unsigned long command, struct tl_handoff_op *op)
{
	return ioctl(get_device(), command, op) ? -errno : 0;
}

/* Where the device is out of order: whoever asks again and again gets on all the same. */
static int sleep_a_little(void)
{
	static const struct timespec pause = { .tv_nsec = 1000000 };

	/* Not the C library's, which is a point of cancellation. */
	syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &pause, NULL);
	return -EINTR;
}

int tl__handoff_wait(struct tl__seat seat, struct tl__seat target,
		     uint64_t deadline_ns)
{
	struct tl_handoff_op op = {
		.size = sizeof(op),
		.self = seat.slot,
		.self_cookie = seat.cookie,
		.target = target.slot,
		.target_cookie = target.slot ? target.cookie : 0,
		/* What is no signed number is no deadline. */
		.deadline_ns = (int64_t)deadline_ns,
	};
	int saved = errno, r;

	note_sleep();
	r = call(target.slot ? TL_HANDOFF_SWAP : TL_HANDOFF_WAIT, &op);
	/* Its partner has ended without waiting: all the same to who waits here. */
	if (unlikely(r == -ESRCH && target.slot)) {
		op.target = op.target_cookie = 0;
		r = call(TL_HANDOFF_WAIT, &op);
	}
	if (unlikely(r && r != -ETIMEDOUT && r != -EINTR)) {
		out_of_order(-r);
		r = sleep_a_little();
	}
	errno = saved;
	return r;
}

void tl__handoff_wake(struct tl__seat target)
{
	struct tl_handoff_op op = {
		.size = sizeof(op),
		.flags = sleeps_soon() ? 0 : TL_HANDOFF_ANYWHERE,
		.target = target.slot,
		.target_cookie = target.cookie,
	};
	int saved = errno, r;

	r = call(TL_HANDOFF_WAKE, &op);
	/* Gone, or of before a fork: it needs no waking. */
	if (unlikely(r && r != -ESRCH && r != -ENOENT))
		out_of_order(-r);
	errno = saved;
}
