/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* See probes.h. */
#include "probes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "symbol.h"

static int attach_one(struct object *o, const struct probe *probe,
		      const char *path, pid_t pid)
{
	uint64_t offsets[SYMBOL_CLONES];
	int i, r, count = symbol_offsets(path, probe->function, offsets);

	for (i = 0; i < count; i++) {
		r = object_keep(o, bpf_program__attach_uprobe(
				object_program(o, probe->program),
				probe->at_return, pid, path, offsets[i]));
		if (r)
			return r;
	}
	return count;
}

int probes_attach(struct object *o, const struct probe *probes, size_t count,
		  const char *path, pid_t pid)
{
	int attached = 0, r;
	size_t i;

	for (i = 0; i < count; i++) {
		r = attach_one(o, &probes[i], path, pid);
		if (r < 0 && r != -ENOENT)
			return r;
		attached += r > 0;
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
