/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * fake-device.h: the kernel module's device in user space, for programs that are linked
 * with the static library: it finds these open() and ioctl() in place of the C library's.
 * One lock and one condition for all, no placement; what a call does and refuses is as
 * <tasklet/uapi/handoff.h> has it. The true one is tested in a virtual machine
 * (tests/kmod).
 *
 * To be included by one file of a program. Calls are counted.
 */
#ifndef FAKE_DEVICE_H
#define FAKE_DEVICE_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <tasklet/uapi/handoff.h>

enum { FAKE_SLOTS = 4096 };

static struct {
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	int fd, error;		/* what open() fails with */
	pid_t owner;
	uint64_t posted[FAKE_SLOTS];
	pid_t tids[FAKE_SLOTS];
	unsigned int taken;
} fake = { .mutex = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER, .fd = -1 };

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
	if (fake.error) {
		errno = fake.error;
		return -1;
	}
	/* Also in the child of a fork, which may have been made in the middle of a call. */
	pthread_mutex_init(&fake.mutex, NULL);
	pthread_cond_init(&fake.cond, NULL);
	fake.taken = 0;
	fake.owner = getpid();
	fake.fd = (int)syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC);
	return fake.fd;
}

static int fake_register(struct tl_handoff_register *reg)
{
	unsigned int i;

	for (i = 0; i < fake.taken; i++)
		if (fake.tids[i] == gettid())
			break;
	if (i == FAKE_SLOTS)
		return ENOSPC;
	fake.tids[i] = gettid();
	fake.posted[i] = 0;
	fake.taken = i == fake.taken ? i + 1 : fake.taken;
	reg->slot = UINT64_C(1) << 32 | i;
	return 0;
}

static int fake_wake(const struct tl_handoff_op *op)
{
	uint32_t slot = (uint32_t)op->target;

	if (slot >= fake.taken)
		return ENOENT;
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

	if (slot >= fake.taken || fake.tids[slot] != gettid())
		return EPERM;
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
	if (fd != fake.fd)
		return (int)syscall(SYS_ioctl, fd, command, arg);
	pthread_mutex_lock(&fake.mutex);
	r = fake.owner == getpid() ? fake_call(command, arg) : EPERM;
	pthread_mutex_unlock(&fake.mutex);
	if (!r)
		return 0;
	fake_refused += r != ETIMEDOUT;
	errno = r;
	return -1;
}

#endif
