/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The threads of a measurement: what each of them does until it is stopped.
 */
#ifndef TL_GILTEST_LOAD_H
#define TL_GILTEST_LOAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "cell.h"
#include "lock.h"
#include "work.h"

#define WORKERS_MAX (2 + CPU_THREADS_MAX)

struct scene;

struct worker {
	struct work work;
	_Atomic uint64_t count;		/* transactions */
	struct scene *scene;
	int (*body)(struct worker *w);	/* with the GIL; 0 or -errno */
	pthread_t thread;
	int error;		/* of the body; for who has joined it */
};

/* All that the threads of a cell share. */
struct scene {
	const struct cell *cell;
	struct tl_gil *gil;
	_Atomic bool stop;
	_Atomic unsigned int ready;	/* have come in, or failed to */
	unsigned int workers, cpu_from;	/* those that compute are the last ones */
	struct worker worker[WORKERS_MAX];

	/* A place for one thing, between producer and consumer: the lock's. */
	struct lock full, empty;
	/* ... and the condition's. */
	struct cond cond;
	bool is_full;
	uint64_t thing;
};

/* Says who there is; nobody runs yet. */
void load_cast(struct scene *s);

/* Makes those who block come back, after `stop`. May be called again. */
void load_wake(struct scene *s);

#endif
