/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The epoll backend on kernels that lack what it likes best: the other tests of IO are run again under a seccomp filter
 * that denies it. They are looked for next to this program.
 */
#include "iotest.h"

#include <libgen.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif
#define NOSIGNAL 0x100

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define DENY(error) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error))
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
/* The next instruction is for this call only. */
#define ON(call) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (call), 0, 1)

static struct sock_filter no_nosignal[] = {
	LOAD(nr),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pwritev2, 0, 3),
	LOAD(args[5]),
	BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, NOSIGNAL, 0, 1),
	DENY(EOPNOTSUPP),
	ALLOW,
};

static struct sock_filter no_nowait[] = {
	LOAD(nr),
	ON(SYS_preadv2),
	DENY(EOPNOTSUPP),
	ON(SYS_pwritev2),
	DENY(EOPNOTSUPP),
	ON(SYS_epoll_pwait2),
	DENY(ENOSYS),
	ALLOW,
};

/* As some containers have it: what a filter does not know is forbidden. */
static struct sock_filter forbidden[] = {
	LOAD(nr),
	ON(SYS_preadv2),
	DENY(ENOSYS),
	ON(SYS_pwritev2),
	DENY(ENOSYS),
	ON(SYS_epoll_pwait2),
	DENY(EPERM),
	ALLOW,
};

static const struct {
	const char *name;
	struct sock_fprog filter;
} modes[] = {
	{ "no RWF_NOSIGNAL", { ARRAY_LEN(no_nosignal), no_nosignal } },
	{ "no RWF_NOWAIT, no epoll_pwait2", { ARRAY_LEN(no_nowait), no_nowait } },
	{ "forbidden calls", { ARRAY_LEN(forbidden), forbidden } },
};

static const char *const programs[] = { "pipes", "files", "sockets", "stress" };

static int install(const struct sock_fprog *filter)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter);
}

/* What it says is shown if it fails: as comments. */
static void show(int fd)
{
	FILE *f = fdopen(fd, "r");
	char line[500];

	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, "ok", 2))
			tap_diag("  | %s", line);
	if (f)
		fclose(f);
}

static bool run(const char *path, const struct sock_fprog *filter)
{
	int out = fileno(tmpfile()), status = 0;
	pid_t pid = fork();

	must(out >= 0 && pid >= 0);
	if (!pid) {
		setenv("TL_IO", "epoll", 1);
		dup2(out, STDOUT_FILENO);
		dup2(out, STDERR_FILENO);
		if (install(filter))
			_exit(126);
		execl(path, path, (char *)NULL);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0)
		must(errno == EINTR);
	if (status) {
		lseek(out, 0, SEEK_SET);
		show(dup(out));
	}
	return !status;
}

/* Whether filters can be had at all: not in an emulator, nor in some sandboxes. */
static bool filters_work(void)
{
	pid_t pid = fork();
	int status = 0;

	must(pid >= 0);
	if (!pid) {
		struct iovec iov = { &status, 1 };

		if (install(&modes[2].filter))
			_exit(1);
		_exit(syscall(SYS_preadv2, 0, &iov, 1, 0, 0, 0) >= 0 || errno != ENOSYS);
	}
	must(waitpid(pid, &status, 0) == pid);
	return !status;
}

int main(UNUSED int argc, char **argv)
{
	char dir[4096], path[4200];
	size_t i, k;

	if (!filters_work())
		tap_skip_all("no seccomp filters here");
	snprintf(dir, sizeof(dir), "%s", argv[0]);
	tap_plan((long)(ARRAY_LEN(modes) * ARRAY_LEN(programs)));
	for (i = 0; i < ARRAY_LEN(modes); i++) {
		for (k = 0; k < ARRAY_LEN(programs); k++) {
			snprintf(path, sizeof(path), "%s/%s", i + k ? dir : dirname(dir), programs[k]);
			if (access(path, X_OK))
				tap_skip("%s: no program %s", modes[i].name, path);
			else
				tap_ok(run(path, &modes[i].filter), "%s: %s", modes[i].name, programs[k]);
		}
	}
	return tap_exit();
}
