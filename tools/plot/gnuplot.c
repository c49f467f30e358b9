/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * gnuplot as a child; see gnuplot.h.
 *
 * It reads its script from a file in memory and writes to another one, so that neither
 * of the two can wait for the other, and what goes to the user's file is a whole
 * picture or nothing: gnuplot's exit status does not tell of a failed write.
 */
#include "gnuplot.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "output/output.h"

extern char **environ;

/* Whoever calls may have signals blocked. */
static int set_up(posix_spawnattr_t *attr)
{
	sigset_t none;
	int r;

	sigemptyset(&none);
	r = posix_spawnattr_setsigmask(attr, &none);
	return r ? r : posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK);
}

/* @in: -1 where it shall stay what it is. */
static int redirect(posix_spawn_file_actions_t *actions, int in, int out)
{
	int r = in < 0 ? 0 : posix_spawn_file_actions_adddup2(actions, in,
							      STDIN_FILENO);

	return r ? r : posix_spawn_file_actions_adddup2(actions, out,
							STDOUT_FILENO);
}

static int start(int in, int out, char *argument, pid_t *pid)
{
	char name[] = "gnuplot", *argv[] = { name, argument, NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	int r = posix_spawn_file_actions_init(&actions);

	if (r)
		return -r;
	r = posix_spawnattr_init(&attr);
	if (!r) {
		r = set_up(&attr);
		if (!r)
			r = redirect(&actions, in, out);
		if (!r)
			r = posix_spawnp(pid, name, &actions, &attr, argv, environ);
		posix_spawnattr_destroy(&attr);
	}
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

static int run(int in, int out, char *argument)
{
	int status, r;
	pid_t pid;

	r = start(in, out, argument, &pid);
	if (r)
		return r;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EPROTO;
}

static int new_memory(const char *name)
{
	int fd;

	if (tl__fault())
		return -ENOMEM;
	fd = memfd_create(name, MFD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int gnuplot_check(void)
{
	char version[] = "--version";
	int out = new_memory("version"), r;

	if (out < 0)
		return out;
	r = run(-1, out, version);
	close(out);
	return r;
}

/* All of @from, which must be a whole picture. */
static int copy(int from, int to)
{
	static const char end[] = "</svg>";
	char buf[4096];
	off_t size = lseek(from, 0, SEEK_END);
	ssize_t n;
	int r;

	n = size < 32 ? 0 : pread(from, buf, 32, size - 32);
	if (n <= 0 || !memmem(buf, (size_t)n, end, sizeof(end) - 1))
		return -EPROTO;
	if (lseek(from, 0, SEEK_SET))
		return -errno;
	/* Devices and pipes have no length to cut. */
	if (ftruncate(to, 0) && errno != EINVAL)
		return -errno;
	while ((n = read(from, buf, sizeof(buf))) > 0) {
		r = write_whole(to, buf, (size_t)n);
		if (r)
			return r;
	}
	return n < 0 ? -errno : 0;
}

static int write_script(void (*script)(FILE *f, const void *arg),
			const void *arg, int to)
{
	int fd = dup(to), failed;
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");

	if (!f) {
		failed = -errno;
		if (fd >= 0)
			close(fd);
		return failed;
	}
	script(f, arg);
	failed = ferror(f);
	if (fclose(f) || failed)
		return -EIO;
	return lseek(to, 0, SEEK_SET) ? -errno : 0;
}

int gnuplot_draw(void (*script)(FILE *f, const void *arg), const void *arg, int fd)
{
	int in = new_memory("script"), out, r;

	if (in < 0)
		return in;
	out = new_memory("picture");
	r = out < 0 ? out : write_script(script, arg, in);
	if (!r)
		r = run(in, out, NULL);
	if (!r)
		r = copy(out, fd);
	if (out >= 0)
		close(out);
	close(in);
	return r;
}

int gnuplot_complain(const char *tool, const char *path, int error)
{
	if (error == -ENOENT)
		fprintf(stderr, "%s: --svg needs gnuplot, and there is none "
			"(package gnuplot-nox)\n", tool);
	else if (error == -EPROTO)
		fprintf(stderr, "%s: gnuplot failed\n", tool);
	else
		fprintf(stderr, "%s: %s: %s\n", tool, path, strerror(-error));
	return EXIT_FAILURE;
}
