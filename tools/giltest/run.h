/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The whole run: every measurement of the plan, round by round, so that what is
 * compared was measured side by side.
 */
#ifndef TL_GILTEST_RUN_H
#define TL_GILTEST_RUN_H

#include <signal.h>

#include "results.h"

struct progress {
	bool shown;		/* on stderr */
	unsigned int done, total;
	uint64_t begun_ns;
};

/*
 * Measures all of it. The signals in @signals, which are blocked, end it early;
 * SIGCHLD says that the client is dead.
 * Returns 0; -EINTR then, with what there is in @r; or another -errno, with what
 * failed in *@why.
 */
int run_plan(const struct plan *plan, struct echo *echo,
	     const sigset_t *signals, struct progress *progress,
	     struct results *r, const char **why);

#endif
