/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Looks at a program before it is run; see program.h. What the loader leaves out
 * without a word is named here: LD_PRELOAD has no effect on a program without a
 * loader, or of another architecture, or with more rights than its caller.
 */
#include "program.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define NOT_FOUND 127
#define NOT_RUN 126
#define INTERPRETERS_MAX 5	/* as in the kernel, one after the other */

static int __attribute__((format(printf, 3, 4)))
wrong(struct program *p, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p->why, sizeof(p->why), fmt, ap);
	va_end(ap);
	return code;
}

/* --- where it is -------------------------------------------------------------------- */

static int usable(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return errno;
	if (S_ISDIR(st.st_mode))
		return EISDIR;
	return access(path, X_OK) ? errno : 0;
}

/* The first file in PATH that can be executed, else the first that is there. */
static int search(struct program *p, const char *name)
{
	const char *dir = getenv("PATH"), *end;
	char path[PATH_MAX];
	int error = ENOENT, r;

	for (dir = dir ? dir : "/bin:/usr/bin"; ; dir = end + 1) {
		end = strchrnul(dir, ':');
		r = snprintf(path, sizeof(path), "%.*s%s%s", (int)(end - dir), dir,
			     end > dir ? "/" : "", name);
		r = r < (int)sizeof(path) ? usable(path) : ENAMETOOLONG;
		if (!r || (r == EACCES && error == ENOENT)) {
			strcpy(p->path, path);
			error = r;
		}
		if (!r || !*end)
			return error;
	}
}

static int find(struct program *p, const char *name)
{
	if (!*name)
		return ENOENT;
	if (!strchr(name, '/'))
		return search(p, name);
	if (strlen(name) >= sizeof(p->path))
		return ENAMETOOLONG;
	strcpy(p->path, name);
	return usable(name);
}

/* --- what it is ---------------------------------------------------------------------- */

/* The architecture of the library is ours. */
static bool same_architecture(const Elf64_Ehdr *e)
{
	Elf64_Ehdr own;
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	bool same = true;

	if (fd >= 0 && read(fd, &own, sizeof(own)) == sizeof(own))
		same = own.e_machine == e->e_machine &&
		       own.e_ident[EI_CLASS] == e->e_ident[EI_CLASS] &&
		       own.e_ident[EI_DATA] == e->e_ident[EI_DATA];
	if (fd >= 0)
		close(fd);
	return same;
}

static bool has_loader(int fd, const Elf64_Ehdr *e)
{
	Elf64_Phdr ph;
	int i;

	for (i = 0; i < e->e_phnum; i++) {
		off_t at = (off_t)(e->e_phoff + (size_t)i * e->e_phentsize);

		if (pread(fd, &ph, sizeof(ph), at) != sizeof(ph))
			return false;
		if (ph.p_type == PT_INTERP)
			return true;
	}
	return false;
}

static int check_rights(struct program *p, const char *path, int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return wrong(p, NOT_RUN, "%s: %s", path, strerror(errno));
	if (((st.st_mode & S_ISUID) && st.st_uid != getuid()) ||
	    ((st.st_mode & S_ISGID) && (st.st_mode & S_IXGRP) &&
	     st.st_gid != getgid()))
		return wrong(p, NOT_RUN, "%s is set-user-ID or set-group-ID: the "
			     "loader takes no LD_PRELOAD from its caller", path);
	if (getuid() && fgetxattr(fd, "security.capability", NULL, 0) > 0)
		return wrong(p, NOT_RUN, "%s has file capabilities: the loader "
			     "takes no LD_PRELOAD from its caller", path);
	return 0;
}

static int check_elf(struct program *p, const char *path, int fd,
		     const Elf64_Ehdr *e)
{
	if (!same_architecture(e))
		return wrong(p, NOT_RUN, "%s is of another architecture than the "
			     "preload library", path);
	if (!has_loader(fd, e))
		return wrong(p, NOT_RUN, "%s is linked statically: there is no "
			     "loader that would take the preload library", path);
	return check_rights(p, path, fd);
}

/* A file that the kernel would run: @path itself or the one before's interpreter. */
static int check_file(struct program *p, const char *path, int depth);

/* The head of a script: "#!" blanks interpreter [blanks argument] */
static int check_script(struct program *p, const char *path, char *head, int depth)
{
	char *name = head + 2 + strspn(head + 2, " \t");
	int error;

	name[strcspn(name, " \t\r\n")] = '\0';
	if (!*name)
		return wrong(p, NOT_RUN, "%s names no interpreter", path);
	if (depth == INTERPRETERS_MAX)
		return wrong(p, NOT_RUN, "%s: interpreters of interpreters without "
			     "end", path);
	error = usable(name);
	if (error)
		return wrong(p, NOT_RUN, "%s, the interpreter of %s: %s", name, path,
			     strerror(error));
	return check_file(p, name, depth + 1);
}

static int check_file(struct program *p, const char *path, int depth)
{
	union {
		Elf64_Ehdr elf;
		char text[256];
	} head = { .text = "" };
	int fd = open(path, O_RDONLY | O_CLOEXEC), r;
	ssize_t got;

	/* What may be executed but not read is none of ours to judge. */
	if (fd < 0)
		return errno == EACCES ? 0 :
		       wrong(p, NOT_RUN, "%s: %s", path, strerror(errno));
	got = read(fd, head.text, sizeof(head.text) - 1);
	if (got >= (ssize_t)sizeof(head.elf) &&
	    !memcmp(head.elf.e_ident, ELFMAG, SELFMAG))
		r = check_elf(p, path, fd, &head.elf);
	else if (got > 2 && !memcmp(head.text, "#!", 2))
		r = check_script(p, path, head.text, depth);
	else
		r = wrong(p, NOT_RUN, "%s: %s", path, got < 0 ? strerror(errno) :
			  "neither an ELF program nor a script with '#!'");
	close(fd);
	return r;
}

int program_check(struct program *p, const char *name)
{
	int error = find(p, name);

	if (error)
		return wrong(p, error == ENOENT || error == ENOTDIR ? NOT_FOUND :
								      NOT_RUN,
			     "%s: %s", name, error == ENOENT ?
			     "no such program" : strerror(error));
	return check_file(p, p->path, 0);
}
