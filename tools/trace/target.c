/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* See target.h. Signals that end us are blocked and read from a descriptor. */
#include "target.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tasklet/base.h>
#include <tasklet/time.h>

#include "os/clock.h"

static int signals_fd = -1;
static sigset_t before;

static int take_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	/* Whoever reads what we write may go: the write fails then. */
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_BLOCK, &set, &before);
	signals_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return signals_fd < 0 ? complain("signalfd", -errno) : EXIT_SUCCESS;
}

static void __attribute__((noreturn)) become(char **command, int go_fd,
					     int error_fd)
{
	int error;
	char byte;

	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_SETMASK, &before, NULL);
	/* Nothing to read: the tracer has given up. */
	if (read(go_fd, &byte, 1) != 1)
		_exit(125);
	execvp(command[0], command);
	error = errno;
	if (write(error_fd, &error, sizeof(error)) < 0)
		_exit(126);
	_exit(127);
}

static int start(struct target *t, char **command)
{
	int go[2], errors[2];

	if (pipe2(go, O_CLOEXEC) || pipe2(errors, O_CLOEXEC | O_NONBLOCK))
		return complain("pipe", -errno);
	t->pid = fork();
	if (t->pid < 0)
		return complain("fork", -errno);
	if (!t->pid) {
		close(go[1]);
		become(command, go[0], errors[1]);
	}
	close(go[0]);
	close(errors[1]);
	t->go_fd = go[1];
	t->error_fd = errors[0];
	t->is_ours = true;
	return EXIT_SUCCESS;
}

bool target_is_running(const struct target *t)
{
	char ours[PATH_MAX] = "", theirs[PATH_MAX] = "", path[40];

	snprintf(path, sizeof(path), "/proc/%d/exe", t->pid);
	return readlink(path, theirs, sizeof(theirs) - 1) > 0 &&
	       readlink("/proc/self/exe", ours, sizeof(ours) - 1) > 0 &&
	       strcmp(ours, theirs);
}

int target_check(const struct target *t, const struct request *request)
{
	int error;

	if (t->error_fd < 0 ||
	    read(t->error_fd, &error, sizeof(error)) != sizeof(error))
		return EXIT_SUCCESS;
	return complain(request->command[0], -error);
}

int target_open(struct target *t, const struct request *request)
{
	char what[40];

	*t = (struct target){ .pid = request->pid, .pidfd = -1, .go_fd = -1,
			      .error_fd = -1 };
	if (take_signals())
		return EXIT_FAILURE;
	if (request->command && start(t, request->command))
		return EXIT_FAILURE;
	if (!t->pid)
		return EXIT_SUCCESS;
	t->pidfd = (int)syscall(SYS_pidfd_open, t->pid, 0);
	if (t->pidfd >= 0)
		return EXIT_SUCCESS;
	snprintf(what, sizeof(what), "process %d", t->pid);
	return complain(what, -errno);
}

void target_go(struct target *t)
{
	if (t->go_fd < 0)
		return;
	if (write(t->go_fd, "", 1) < 0)
		complain("the command", -errno);
	close(t->go_fd);
	t->go_fd = -1;
}

static int milliseconds_until(uint64_t until_ns)
{
	uint64_t now = tl_now(), ms;

	if (until_ns == TL_FOREVER)
		return -1;
	if (until_ns <= now)
		return 0;
	ms = (until_ns - now + 999999) / 1000000;
	return ms > INT_MAX ? INT_MAX : (int)ms;
}

enum target_event target_wait(struct target *t, uint64_t until_ns)
{
	struct pollfd fds[2] = {
		{ .fd = signals_fd, .events = POLLIN },
		{ .fd = t->pidfd, .events = POLLIN },
	};

	for (;;) {
		int ms = milliseconds_until(until_ns);
		int n = poll(fds, 2, ms);

		if (n < 0 && errno != EINTR)
			return TARGET_STOP;
		if (n > 0 && fds[0].revents)
			return TARGET_STOP;
		if (n > 0 && fds[1].revents)
			return TARGET_ENDED;
		if (!n && until_ns <= tl_now())
			return TARGET_TIME;
	}
}

/* What has come is dealt with; what comes from now on ends us. */
static void give_signals_back(void)
{
	struct signalfd_siginfo info;

	if (signals_fd < 0)
		return;
	while (read(signals_fd, &info, sizeof(info)) == sizeof(info))
		;
	close(signals_fd);
	signals_fd = -1;
	sigprocmask(SIG_SETMASK, &before, NULL);
}

void target_close(struct target *t)
{
	if (t->go_fd >= 0)
		close(t->go_fd);	/* it ends by itself */
	give_signals_back();
	if (t->is_ours && t->pid > 0) {
		kill(t->pid, SIGTERM);
		waitpid(t->pid, NULL, 0);
	}
	if (t->pidfd >= 0)
		close(t->pidfd);
	if (t->error_fd >= 0)
		close(t->error_fd);
}
