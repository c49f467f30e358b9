/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * iochild.h: for tests of what a process settles once, such as which backend it has: they run in children, which are
 * forked before their parent has any IO.
 */
#ifndef IOCHILD_H
#define IOCHILD_H

#include <sys/wait.h>

#include "iotest.h"

/*
 * Runs fn(arg) in a child and gives its exit status: what fn returned. A signal counts as 128 and its number. Sanitizers
 * see to it that a child which exits has no leaks, as everywhere.
 */
static UNUSED int in_child(int (*fn)(void *arg), void *arg)
{
	pid_t pid = fork();
	int status;

	must(pid >= 0);
	if (!pid) {
		status = fn(arg);
		tl_sched_end();
		exit(status);
	}
	while (waitpid(pid, &status, 0) < 0)
		must(errno == EINTR);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* In such a child: says what is wrong, and gives the status for it. */
#define child_check(x, ...) \
	do { if (!(x)) { tap_diag("child: line %d: %s", __LINE__, #x); tap_diag(__VA_ARGS__); return 1; } } while (0)

#endif
