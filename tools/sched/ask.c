/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Asking for the scheduler, which needs no rights; see sched.h. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sched.h"

#define POLICY_EXT 7		/* SCHED_EXT, which the C library does not know yet */

enum {
	EXIT_OURS = 125,	/* as env(1), nohup(1), timeout(1) have it */
	EXIT_CANT = 126,
	EXIT_NONE = 127,
};

int complain(const char *what, int error)
{
	fprintf(stderr, "tl-sched: %s: %s\n", what, strerror(-error));
	return 1;
}

int sched_ask(pid_t tid)
{
	struct sched_param param = { .sched_priority = 0 };

	return sched_setscheduler(tid, POLICY_EXT, &param) ? -errno : 0;
}

int sched_run(char **command)
{
	int r = sched_ask(0);

	if (r == -EINVAL) {
		fprintf(stderr, "tl-sched: this kernel has no sched_ext "
			"(CONFIG_SCHED_CLASS_EXT; Linux 6.12 or later)\n");
		return EXIT_OURS;
	}
	if (r) {
		complain("can't ask for the scheduler", r);
		return EXIT_OURS;
	}
	execvp(command[0], command);
	r = -errno;
	complain(command[0], r);
	return r == -ENOENT ? EXIT_NONE : EXIT_CANT;
}
