/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* See probes.h. */
#include "probes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "symbol.h"

int probes_attach(struct object *o, const struct probe *probes, size_t count,
		  const char *path, pid_t pid)
{
	int attached = 0, r;
	uint64_t offset;
	size_t i;

	for (i = 0; i < count; i++) {
		r = symbol_offset(path, probes[i].function, &offset);
		if (r == -ENOENT)
			continue;
		if (r)
			return r;
		r = object_keep(o, bpf_program__attach_uprobe(
				object_program(o, probes[i].program),
				probes[i].at_return, pid, path, offset));
		if (r)
			return r;
		attached++;
	}
	return attached;
}

struct search {
	const char *name;
	char *path;
	size_t size;
};

static bool is_it(const char *path, void *arg)
{
	const struct search *search = arg;
	const char *slash = strrchr(path, '/');

	if (strncmp(slash + 1, search->name, strlen(search->name)))
		return false;
	snprintf(search->path, search->size, "%s", path);
	return true;
}

bool probes_find_file(pid_t pid, const char *name, char *path, size_t size)
{
	struct search search = { name, path, size };

	return symbol_each_file(pid ? pid : getpid(), is_it, &search);
}
