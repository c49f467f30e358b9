/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * child.h: a child process that is to die, or to complain, and what it says on stderr.
 */
#ifndef CORE_CHILD_H
#define CORE_CHILD_H

#include <sys/resource.h>
#include <sys/wait.h>

#include "check.h"

static char child_said[4096];

/* Runs fn in a child; returns how it ended, and leaves what it wrote to stderr in child_said. */
static int in_child(void (*fn)(void))
{
	int fd[2], status = -1;
	size_t len = 0;
	ssize_t n = 1;
	pid_t pid;

	if (pipe(fd))
		tap_bail("pipe: %s", strerror(errno));
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		tap_bail("fork: %s", strerror(errno));
	if (!pid) {
		static const struct rlimit no_core;

		setrlimit(RLIMIT_CORE, &no_core);
		dup2(fd[1], STDERR_FILENO);
		close(fd[0]);
		close(fd[1]);
		fn();
		_exit(0);
	}
	close(fd[1]);
	while (len < sizeof(child_said) - 1 && (n = read(fd[0], child_said + len, sizeof(child_said) - 1 - len)) > 0)
		len += (size_t)n;
	child_said[len] = '\0';
	/* The rest of a long report: nobody wants it, but its writer must not die of that. */
	while (n > 0)
		n = read(fd[0], (char[512]){ 0 }, 512);
	close(fd[0]);
	waitpid(pid, &status, 0);
	return status;
}

#endif
