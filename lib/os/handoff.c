/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * See handoff.h. Owns the device's descriptor, one for all threads, and each thread's
 * slot.
 *
 * The first who asks opens the device; it stays open. It belongs to the process that
 * opened it: the child of a fork, in which each call would be refused, opens its own.
 * `forks` tells slots of the child from those of its parent.
 */
#include "os/handoff.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <tasklet/uapi/handoff.h>

#include "base/alloc.h"
#include "base/compiler.h"
#include "os/clock.h"
#include "os/lock.h"
#include "os/log.h"

enum { NOT_TRIED = -1, NONE = -2 };

/* The descriptor, or one of these. Only ever changed with the lock, or in a child. */
static _Atomic int device = NOT_TRIED;
static const char *reason = "";		/* why it is NONE */
static struct tl__lock lock = TL__LOCK_INIT;
static uint32_t forks;			/* written where there is one thread */

static __thread struct {
	uint64_t slot, cookie;
	uint32_t forks;
	bool refused;
	uint32_t soon;		/* so often it slept soon after a wake-up */
	uint64_t woke_ns;	/* its last one, if it has not slept since */
} self __attribute__((tls_model("initial-exec")));

/* --- the device ------------------------------------------------------------- */

static void in_forked_child(void)
{
	/* relaxed, both: there is one thread */
	int fd = atomic_load_explicit(&device, memory_order_relaxed);

	forks++;
	atomic_store_explicit(&lock.word, 0, memory_order_relaxed);
	if (fd >= 0) {
		close(fd);
		atomic_store_explicit(&device, NOT_TRIED, memory_order_relaxed);
	}
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

/* The descriptor, or NONE and the reason. */
static int try_to_open(void)
{
	static bool watches_forks;
	int fd;

	if (is_off()) {
		reason = "TL_HANDOFF=off";
		return NONE;
	}
	fd = tl__fault() ? (errno = EMFILE, -1) :
	     open(TL_HANDOFF_DEVICE, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		reason = errno == ENOENT ? "no " TL_HANDOFF_DEVICE :
			 errno == EACCES ? "no permission for " TL_HANDOFF_DEVICE :
			 TL_HANDOFF_DEVICE " can't be opened";
		return NONE;
	}
	if (!watches_forks && (tl__fault() ||
			       pthread_atfork(NULL, NULL, in_forked_child))) {
		close(fd);
		reason = "no memory";
		return NONE;
	}
	watches_forks = true;
	return fd;
}

static int get_device(void)
{
	/* acquire: pairs with the store below: the reason */
	int fd = atomic_load_explicit(&device, memory_order_acquire);

	if (likely(fd != NOT_TRIED))
		return fd;
	tl__lock(&lock);
	/* relaxed: with the lock */
	fd = atomic_load_explicit(&device, memory_order_relaxed);
	if (fd == NOT_TRIED) {
		fd = try_to_open();
		/* release: pairs with the load above */
		atomic_store_explicit(&device, fd, memory_order_release);
	}
	tl__unlock(&lock);
	return fd;
}

const char *tl__handoff_name(const char **why)
{
	int saved = errno;
	bool is_there = get_device() >= 0;

	errno = saved;
	*why = is_there ? "" : reason;
	return is_there ? "module" : "futex";
}

/* --- a thread --------------------------------------------------------------- */

/* Once a thread, and once more in the child of a fork. */
static void register_self(int fd)
{
	struct tl_handoff_register reg = { .size = sizeof(reg) };
	int r = tl__fault() ? -1 : ioctl(fd, TL_HANDOFF_REGISTER, &reg);

	self.forks = forks;
	self.cookie = 0;
	/* EEXIST: by one that has come to this thread's storage anew. */
	self.refused = r && errno != EEXIST;
	self.slot = self.refused ? 0 : reg.slot;
}

struct tl__seat tl__handoff_seat(void)
{
	int fd = get_device(), saved = errno;

	if (likely(fd < 0))
		return (struct tl__seat){ 0 };
	if (unlikely(self.forks != forks || (!self.slot && !self.refused)))
		register_self(fd);
	errno = saved;
	return (struct tl__seat){ self.slot, ++self.cookie };
}

/*
 * Who is woken here has to wait until we sleep: so it pays only if that is soon. It will
 * be if it was the last times; the first time that it isn't ends that.
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
	uint64_t now = tl__now();

	if (self.woke_ns && now - self.woke_ns > SOON_NS)
		self.soon = 0;
	self.woke_ns = now;
	return self.soon == SOON_ENOUGH;
}

/*
 * A call that fails in a way that it never should, as in a child that was made without
 * fork(): sleeps a little, so that whoever asks again and again gets on all the same.
 */
static int failed(int error)
{
	static const struct timespec pause = { .tv_nsec = 1000000 };

	if (error == ETIMEDOUT || error == EINTR)
		return -error;
	tl__log_once("%s is out of order: %s", TL_HANDOFF_DEVICE, strerror(error));
	nanosleep(&pause, NULL);
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
	r = ioctl(get_device(), target.slot ? TL_HANDOFF_SWAP : TL_HANDOFF_WAIT,
		  &op);
	/* Its partner has ended without waiting: all the same to who waits here. */
	if (unlikely(r && errno == ESRCH)) {
		op.target = op.target_cookie = 0;
		r = ioctl(get_device(), TL_HANDOFF_WAIT, &op);
	}
	r = r ? failed(errno) : 0;
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
	int saved = errno;

	ioctl(get_device(), TL_HANDOFF_WAKE, &op);
	errno = saved;
}
