/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The inside of a server with threads; threads.h is what others see.
 */
#ifndef TL_HTTP_POOL_H
#define TL_HTTP_POOL_H

#include <pthread.h>
#include <stdatomic.h>

#include "../giltest/lock.h"
#include "../giltest/work.h"
#include "threads.h"

/* Accepted connections that wait for a thread; more stay in the kernel's hands. */
#define POOL_QUEUE_MAX 64

struct pool_thread {
	struct work work;
	struct pool *pool;
	pthread_t thread;
	void (*body)(struct pool_thread *t);	/* with the GIL */
};

struct pool {
	struct pool_config config;
	struct server *server;
	struct tl_gil *gil;
	_Atomic bool stop;
	struct tl_wake_sem came_in;	/* a token for each thread that did, or failed */
	_Atomic int error;	/* -errno of one that failed */
	unsigned int started, count;
	struct pool_thread *thread;	/* the acceptor, those that serve, the rest */

	/* The queue: first come, first served. Its condition's lock guards it. */
	struct cond cond;
	int fds[POOL_QUEUE_MAX];
	unsigned int first, queued;
};

static inline bool pool_stopped(const struct pool *pool)
{
	/* relaxed: those who block are woken after it was set */
	return atomic_load_explicit(&pool->stop, memory_order_relaxed);
}

/* What the threads do. */
void pool_accept(struct pool_thread *t);
void pool_serve(struct pool_thread *t);
void pool_compute(struct pool_thread *t);

/* Makes the call that a connection waits in fail. With the GIL. */
void pool_throw_late(struct conn *c);

#endif
