/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The scheduler in the kernel, from load to unload.
 */
#ifndef SCHED_POLICY_H
#define SCHED_POLICY_H

#include "sched.h"
#include "trace/object.h"

struct policy {
	struct object object;
	int link;		/* as long as it is open the scheduler is there; -1 */
	bool pinned;
};

/*
 * Loads it, and puts it in charge of the threads that ask. EXIT_FAILURE after a line on
 * stderr.
 */
int policy_open(struct policy *p, const struct sched_request *request);

/* What was counted so far. 0, or -errno. */
int policy_stats(const struct policy *p, struct gilsched_stats *stats);

/* How it ended; ->kind is 0: it has not. */
void policy_exit(const struct policy *p, struct gilsched_exit *e);

/* Takes it away: when that returns all threads are the kernel's again. */
void policy_stop(struct policy *p);

/* ... and forgets it, also after an open that failed. */
void policy_close(struct policy *p);

#endif
