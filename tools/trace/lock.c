/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* See lock.h; what each probe means is in bpf/gil-cpython.bpf.h. */
#include "lock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "probes.h"
#include "symbol.h"

/* With the interpreter's own symbols. */
static const struct probe named[] = {
	{ "python_enters_restore", "PyEval_RestoreThread", false },
	{ "python_enters_restore", "PyEval_AcquireThread", false },
	{ "python_enters_save", "PyEval_SaveThread", false },
	{ "python_enters_save", "PyEval_ReleaseThread", false },
	{ "python_take", "take_gil", false },
	{ "python_taken", "take_gil", true },
	{ "python_drop", "drop_gil", false },
};

/* With what every interpreter exports, */
static const struct probe exported[] = {
	{ "python_restore", "PyEval_RestoreThread", false },
	{ "python_restored", "PyEval_RestoreThread", true },
	{ "python_save", "PyEval_SaveThread", false },
	{ "python_save", "PyEval_ReleaseThread", false },
	{ "python_acquire", "PyEval_AcquireThread", false },
	{ "python_restored", "PyEval_AcquireThread", true },
};

/* and what it uses of the C library, or of libtasklet-preload in its place. */
static const struct probe conditions[] = {
	{ "python_cond_timedwait", "pthread_cond_timedwait", false },
	{ "python_cond_signal", "pthread_cond_signal", false },
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct search {
	struct lock_tracer *l;
	pid_t pid;
	int result;		/* as lock_attach() */
};

/* --- CPython ------------------------------------------------------------------------- */

/* 0: the file that has them is not there (yet). */
static int attach_conditions(struct object *o, pid_t pid)
{
	char path[4200];

	if (!probes_find_file(pid, "libtasklet-preload.so", path, sizeof(path)) &&
	    !probes_find_file(pid, "libc.so.6", path, sizeof(path)))
		return 0;
	return probes_attach(o, conditions, COUNT(conditions), path, pid);
}

static int attach_python(struct object *o, const char *path, pid_t pid)
{
	int r;

	if (symbol_exists(path, "take_gil") && symbol_exists(path, "drop_gil")) {
		r = probes_attach(o, named, COUNT(named), path, pid);
	} else {
		r = attach_conditions(o, pid);
		if (r > 0)
			r = probes_attach(o, exported, COUNT(exported), path, pid);
	}
	return r > 0 ? 1 : r;
}

/* --- ours ------------------------------------------------------------------------------ */

static int attach_usdt(struct search *s, const char *path)
{
	static const char *const probes[] = {
		"gil_wait", "gil_acquire", "gil_release", "gil_yield",
		"gil_keep", "gil_regain"
	};
	char program[40] = "tasklet_";
	size_t i;
	int r;

	if (!s->l->usdt.bpf && object_load_part(&s->l->usdt, &s->l->usdt_source,
						&s->l->object))
		return -ENOTSUP;
	for (i = 0; i < COUNT(probes); i++) {
		strcpy(program + 8, probes[i]);
		r = object_keep(&s->l->object, bpf_program__attach_usdt(
				object_program(&s->l->usdt, program), s->pid,
				path, "tasklet", probes[i], NULL));
		if (r)
			return r;
	}
	return 1;
}

static bool look(const char *path, void *arg)
{
	struct search *s = arg;

	if (symbol_exists(path, "PyEval_RestoreThread"))
		s->result = attach_python(&s->l->object, path, s->pid);
	else if (!strstr(path, "libtasklet-preload") &&
		 symbol_has_probe(path, "tasklet", "gil_acquire"))
		s->result = attach_usdt(s, path);
	return s->result;
}

int lock_attach(struct lock_tracer *l, pid_t pid)
{
	struct search s = { l, pid, 0 };

	symbol_each_file(pid, look, &s);
	return s.result;
}

/* --- from begin to end ------------------------------------------------------------------ */

/* Nothing is counted before the last probe is there. */
int lock_open(struct lock_tracer *l, const struct request *request)
{
	if (object_load(&l->object, &l->source, request) ||
	    object_pause(&l->object))
		return EXIT_FAILURE;
	return object_attach(&l->object);
}

int lock_begin(struct lock_tracer *l, const struct request *request, pid_t pid)
{
	return object_begin(&l->object, request, pid);
}

uint64_t lock_counted(const struct lock_tracer *l)
{
	return object_counted(&l->object);
}

uint64_t lock_lost(const struct lock_tracer *l)
{
	return object_lost(&l->object);
}

struct object_cost lock_cost(const struct lock_tracer *l)
{
	struct object_cost a = object_cost(&l->object), b = object_cost(&l->usdt);

	return (struct object_cost){ a.runs + b.runs, a.ns + b.ns };
}

void lock_close(struct lock_tracer *l)
{
	object_free(&l->object);
	object_free(&l->usdt);
}
