/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* See probes.h. */
#include "probes.h"

#include <stdio.h>
#include <string.h>

#include "trace/symbol.h"

struct search {
	struct object *o;
	pid_t pid;		/* -1: all */
	int result;
};

static int attach(struct object *o, pid_t pid, const char *path)
{
	static const char *const probes[] = {
		"gil_wait", "gil_acquire", "gil_release", "gil_yield",
		"gil_keep", "gil_regain"
	};
	char program[40];
	size_t i;
	int r;

	for (i = 0; i < sizeof(probes) / sizeof(probes[0]); i++) {
		snprintf(program, sizeof(program), "tasklet_%s", probes[i]);
		r = object_keep(o, bpf_program__attach_usdt(
				object_program(o, program), pid, path,
				"tasklet", probes[i], NULL));
		if (r)
			return r;
	}
	return 1;
}

static bool look(const char *path, void *arg)
{
	struct search *s = arg;

	if (!strstr(path, "libtasklet-preload") &&
	    symbol_has_probe(path, "tasklet", "gil_acquire"))
		s->result = attach(s->o, s->pid, path);
	return s->result;
}

int sched_probes_of(struct object *o, pid_t pid)
{
	struct search s = { o, pid, 0 };

	symbol_each_file(pid, look, &s);
	return s.result;
}

int sched_probes_in(struct object *o, const char *path)
{
	struct search s = { o, -1, 0 };

	look(path, &s);
	return s.result;
}
