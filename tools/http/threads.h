/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The HTTP server the other way: threads with blocking sockets under a GIL, as a
 * server in an interpreted language is. One accepts, some serve a connection each
 * from a queue, some only compute.
 *
 * All of the server, and of the pool but what a call blocks on, belongs to whoever
 * holds the GIL. The queue's mutex is a leaf: nobody waits for anything with it but
 * for the GIL.
 */
#ifndef TL_HTTP_THREADS_H
#define TL_HTTP_THREADS_H

#include <signal.h>
#include <stdio.h>

#include "server.h"

struct tl_error;

struct pool_config {
	unsigned int threads;		/* that serve */
	unsigned int cpu_threads;
	unsigned int work;		/* bytecodes for each request */
	const char *gil;		/* what tl_gil_new() takes */
};

/*
 * Makes the GIL, attaches the caller to it, and starts the threads; @s is open.
 * Returns 0 or -errno, and for -EINVAL what is wrong with the GIL's name in
 * *@error.
 */
int pool_start(struct pool **pool, struct server *s,
	       const struct pool_config *config, struct tl_error **error);

/*
 * Keeps the server's clock until one of the signals comes, which are blocked
 * everywhere; returns it. Or 0: the server has stopped by itself, s->error says why.
 */
int pool_wait(struct pool *pool, const sigset_t *signals);

/* Ends connections and threads. Its statistics are there still. */
void pool_stop(struct pool *pool);

/* After that: detaches the caller. */
void pool_free(struct pool *pool);

/* What it consists of and has counted: members of a JSON object. With the GIL. */
void pool_write_stats(const struct pool *pool, FILE *f);

#endif
