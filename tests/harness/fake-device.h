/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * fake-device.h: the kernel module's device in user space, for programs that are linked
 * with the static library: it finds these open() and ioctl() in place of the C library's.
 * One lock and one condition for all, no placement; what a call does and refuses is as
 * <tasklet/uapi/handoff.h> has it. The true one is tested in a virtual machine
 * (tests/kmod).
 *
 * To be included by one file of a program. Calls are counted. A thread that has ended
 * keeps its slot here.
 */
#ifndef FAKE_DEVICE_H
#define FAKE_DEVICE_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <tasklet/uapi/handoff.h>

enum { FAKE_SLOTS = 4096 };

static struct {
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	int error;		/* what open() fails with */
	pid_t owner;
	uint64_t posted[FAKE_SLOTS];
	pid_t tids[FAKE_SLOTS];	/* 0: nobody's */
	uint32_t generations[FAKE_SLOTS];
	unsigned int taken, calls;
	unsigned int interrupts;	/* one of so many waits, if not 0 */
	uint32_t no_features;
	_Atomic bool pause, paused;	/* open() waits as long; it does */
} fake = { .mutex = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER };

/* Of threads that come at the same time each opens it: all have the same slots here. */
static bool fake_is_device(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}

/* The child of a fork, which may have been made in the middle of a call. */
static void fake_begin(void)
{
	static atomic_flag busy = ATOMIC_FLAG_INIT;

	while (atomic_flag_test_and_set(&busy))
		sched_yield();
	if (fake.owner != getpid()) {
		pthread_mutex_init(&fake.mutex, NULL);
		pthread_cond_init(&fake.cond, NULL);
		fake.taken = 0;
		fake.owner = getpid();
	}
	atomic_flag_clear(&busy);
}

static _Atomic unsigned long fake_wakes, fake_waits, fake_swaps, fake_here, fake_refused;

int open(const char *path, int flags, ...)
{
	mode_t mode;
	va_list args;

	va_start(args, flags);
	mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
	va_end(args);
	if (strcmp(path, TL_HANDOFF_DEVICE))
		return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
	while (fake.pause) {
		fake.paused = true;
		sched_yield();
	}
	if (fake.error) {
		errno = fake.error;
		return -1;
	}
	fake_begin();
	return (int)syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC);
}

/* The first slot of that thread's; 0: that is nobody's. Or one more. */
static unsigned int fake_slot_of(pid_t tid)
{
	unsigned int i;

	for (i = 0; i < fake.taken && fake.tids[i] != tid; i++)
		;
	return i;
}

static int fake_register(struct tl_handoff_register *reg)
{
	unsigned int mine = fake_slot_of(gettid());
	bool has_one = mine < fake.taken;
	unsigned int i = has_one ? mine : fake_slot_of(0);

	if (i == FAKE_SLOTS)
		return ENOSPC;
	if (!has_one) {
		fake.tids[i] = gettid();
		fake.posted[i] = 0;
		fake.generations[i]++;
	}
	fake.taken += i == fake.taken;
	reg->slot = (uint64_t)fake.generations[i] << 32 | i;
	reg->features = TL_HANDOFF_F_HERE & ~fake.no_features;
	return has_one ? EEXIST : 0;
}

static int fake_unregister(void)
{
	unsigned int i = fake_slot_of(gettid());

	if (i == fake.taken)
		return ENOENT;
	fake.tids[i] = 0;
	return 0;
}

static int fake_wake(const struct tl_handoff_op *op)
{
	uint32_t slot = (uint32_t)op->target;

	if (slot >= fake.taken)
		return ENOENT;
	if (fake.generations[slot] != op->target >> 32 || !fake.tids[slot])
		return ESRCH;
	if ((int64_t)(fake.posted[slot] - op->target_cookie) < 0)
		fake.posted[slot] = op->target_cookie;
	pthread_cond_broadcast(&fake.cond);
	return 0;
}

static int fake_wait(const struct tl_handoff_op *op)
{
	uint32_t slot = (uint32_t)op->self;
	struct timespec until = { .tv_sec = op->deadline_ns / 1000000000,
				  .tv_nsec = op->deadline_ns % 1000000000 };
	int r = 0;

	if (slot >= fake.taken)
		return ENOENT;
	if (fake.generations[slot] != op->self >> 32 || fake.tids[slot] != gettid())
		return EPERM;
	if (fake.interrupts && !(++fake.calls % fake.interrupts))
		return EINTR;
	while ((int64_t)(fake.posted[slot] - op->self_cookie) < 0 && !r)
		r = op->deadline_ns < 0 ? pthread_cond_wait(&fake.cond, &fake.mutex) :
		    pthread_cond_clockwait(&fake.cond, &fake.mutex, CLOCK_MONOTONIC, &until);
	return (int64_t)(fake.posted[slot] - op->self_cookie) < 0 ? r : 0;
}

static int fake_call(unsigned long command, void *arg)
{
	struct tl_handoff_op *op = arg;
	int r = 0;

	switch (command) {
	case TL_HANDOFF_REGISTER:
		return fake_register(arg);
	case TL_HANDOFF_UNREGISTER:
		return fake_unregister();
	case TL_HANDOFF_WAKE:
		fake_wakes++;
		fake_here += !(op->flags & TL_HANDOFF_ANYWHERE);
		return fake_wake(op);
	case TL_HANDOFF_SWAP:
		fake_swaps++;
		r = fake_wake(op);
		return r ? r : fake_wait(op);
	case TL_HANDOFF_WAIT:
		fake_waits++;
		return fake_wait(op);
	}
	return ENOTTY;
}

int ioctl(int fd, unsigned long command, ...)
{
	va_list args;
	void *arg;
	int r;

	va_start(args, command);
	arg = va_arg(args, void *);
	va_end(args);
	if (!fake_is_device(fd))
		return (int)syscall(SYS_ioctl, fd, command, arg);
	pthread_mutex_lock(&fake.mutex);
	r = fake.owner == getpid() ? fake_call(command, arg) : EPERM;
	pthread_mutex_unlock(&fake.mutex);
	if (!r)
		return 0;
	/* EEXIST: of a thread that has ended, whose number this one has. */
	fake_refused += r != ETIMEDOUT && r != EINTR && r != EEXIST;
	errno = r;
	return -1;
}

#endif
