/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * device.h: the calls of /dev/tasklet, plainly, for its tests; results are 0 or
 * -errno.
 */
#ifndef DEVICE_H
#define DEVICE_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <tasklet/uapi/handoff.h>

#include "tap.h"

#define MS UINT64_C(1000000)

static inline int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static inline void sleep_ms(int ms)
{
	nanosleep(&(struct timespec){ .tv_sec = ms / 1000,
				      .tv_nsec = ms % 1000 * 1000000l }, NULL);
}

static inline int device_call(int fd, unsigned long command, void *arg)
{
	return ioctl(fd, command, arg) ? -errno : 0;
}

/* The device, or the end of the test: a skip where it is not there. */
static inline int device_open(void)
{
	int fd = open(TL_HANDOFF_DEVICE, O_RDWR | O_CLOEXEC);

	if (fd < 0 && tap__state.plan)
		tap_bail("%s: %s", TL_HANDOFF_DEVICE, strerror(errno));
	if (fd < 0)
		tap_skip_all("%s: %s", TL_HANDOFF_DEVICE, strerror(errno));
	return fd;
}

static inline int device_register(int fd, uint64_t *slot)
{
	struct tl_handoff_register reg = { .size = sizeof(reg) };
	int r = device_call(fd, TL_HANDOFF_REGISTER, &reg);

	if (slot)
		*slot = reg.slot;
	return r;
}

static inline int device_unregister(int fd)
{
	struct tl_handoff_register reg = { .size = sizeof(reg) };

	return device_call(fd, TL_HANDOFF_UNREGISTER, &reg);
}

static inline int device_wake(int fd, uint64_t target, uint64_t cookie)
{
	struct tl_handoff_op op = { .size = sizeof(op), .target = target,
				    .target_cookie = cookie };

	return device_call(fd, TL_HANDOFF_WAKE, &op);
}

static inline int device_wait(int fd, uint64_t self, uint64_t cookie,
			      int64_t deadline_ns)
{
	struct tl_handoff_op op = { .size = sizeof(op), .self = self,
				    .self_cookie = cookie,
				    .deadline_ns = deadline_ns };

	return device_call(fd, TL_HANDOFF_WAIT, &op);
}

static inline int device_swap(int fd, uint64_t self, uint64_t cookie,
			      uint64_t target, uint64_t target_cookie,
			      int64_t deadline_ns)
{
	struct tl_handoff_op op = { .size = sizeof(op), .self = self,
				    .self_cookie = cookie, .target = target,
				    .target_cookie = target_cookie,
				    .deadline_ns = deadline_ns };

	return device_call(fd, TL_HANDOFF_SWAP, &op);
}

/* Until @tid of this process sleeps in a call: 'S' in its state. */
static inline void await_sleep(pid_t tid)
{
	char file[64], line[256], *end, state = 0;
	FILE *f;

	snprintf(file, sizeof(file), "/proc/self/task/%d/stat", tid);
	while (state != 'S') {
		f = fopen(file, "r");
		if (!f)
			return;
		end = fgets(line, sizeof(line), f) ? strrchr(line, ')') : NULL;
		state = end && end[1] ? end[2] : 0;
		fclose(f);
	}
}

/* --- another thread, which registers and then does what it is told ------------ */

struct peer {
	pthread_t thread;
	int fd;
	void (*work)(struct peer *peer);
	_Atomic pid_t tid;
	uint64_t slot;
	int result;		/* the work's */
	_Atomic uint64_t count;
	uint64_t target;	/* for the work */
};

static inline void *peer_main(void *arg)
{
	struct peer *peer = arg;

	if (device_register(peer->fd, &peer->slot))
		tap_bail("a peer can't register");
	/* release: pairs with peer_start(): the slot */
	atomic_store_explicit(&peer->tid, gettid(), memory_order_release);
	peer->work(peer);
	return NULL;
}

static inline void peer_start(struct peer *peer, int fd,
			      void (*work)(struct peer *peer))
{
	peer->fd = fd;
	peer->work = work;
	peer->tid = 0;
	if (pthread_create(&peer->thread, NULL, peer_main, peer))
		tap_bail("no thread");
	/* acquire: as above */
	while (!atomic_load_explicit(&peer->tid, memory_order_acquire))
		sched_yield();
}

static inline int peer_end(struct peer *peer)
{
	pthread_join(peer->thread, NULL);
	return peer->result;
}

#endif
