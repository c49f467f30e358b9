/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * tl-run: runs a program with libtasklet-preload.so.
 *
 * Sets LD_PRELOAD and the variables that the library reads, and becomes the program.
 * A program that the library can't reach is not run at all: it would run as ever, and
 * look as if it had been helped.
 */
#include <argp.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tasklet/base.h>

#include "base/num.h"
#include "run/program.h"
#include "text/args.h"

#define LIBRARY "libtasklet-preload.so"

enum {
	EXIT_OURS = 125,	/* as env(1), nohup(1), timeout(1) have it */
	OPT_COND = 0x100,
	OPT_GIL,
	OPT_FLOOR,
	OPT_STATS,
};

static const struct argp_option options[] = {
	{ "cond", OPT_COND, "KIND", 0,
	  "What conditions, mutexes and semaphores are made of: futex, emulated, "
	  "or pthread, the C library's (futex; with --gil: pthread)", 0 },
	{ "gil", OPT_GIL, "POLICY", 0,
	  "priority: in CPython, threads that come back from waiting get the GIL "
	  "at once; or off (off)", 0 },
	{ "cpu-floor", OPT_FLOOR, "PERCENT", 0,
	  "What threads that compute get of the GIL at least, 0 to 90 (30); "
	  "with --gil priority", 0 },
	{ "stats", OPT_STATS, NULL, 0,
	  "At the end of each process, write what was done to standard error", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static const char doc[] =
	"Runs a program with other locks, or a Python program without the convoy "
	"effect."
	"\vThe exit status is the program's; 125: tl-run failed; 126: the program "
	"can't be run, or not be helped; 127: there is no such program.";

struct run {
	const char *cond, *gil, *floor;
	bool stats;
	char **program;
};

static const char *one_of(struct argp_state *state, const char *what,
			  const char *arg, const char *const *words)
{
	char valid[100] = "";
	int i;

	for (i = 0; words[i]; i++) {
		if (!strcmp(arg, words[i]))
			return arg;
		strcat(valid, i ? ", " : "");
		strcat(valid, words[i]);
	}
	argp_error(state, "%s: '%s' is not one of: %s", what, arg, valid);
	return NULL;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	static const char *const conds[] = { "futex", "emulated", "pthread", NULL };
	static const char *const gils[] = { "priority", "off", NULL };
	struct run *r = state->input;
	uint64_t n;

	switch (key) {
	case OPT_COND:
		r->cond = one_of(state, "cond", arg, conds);
		break;
	case OPT_GIL:
		r->gil = one_of(state, "gil", arg, gils);
		break;
	case OPT_FLOOR:
		if (tl__parse_u64(arg, 0, 90, &n))
			argp_error(state, "cpu-floor: '%s' is no number from 0 to "
				   "90", arg);
		r->floor = arg;
		break;
	case OPT_STATS:
		r->stats = true;
		break;
	case ARGP_KEY_ARGS:
		r->program = state->argv + state->next;
		break;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which program?");
		break;
	case ARGP_KEY_END:
		if (r->floor && (!r->gil || strcmp(r->gil, "priority")))
			argp_error(state, "--cpu-floor goes with --gil priority");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static void __attribute__((noreturn)) fail(int code, const char *what,
					   const char *why)
{
	fprintf(stderr, "tl-run: %s%s%s\n", what, *why ? ": " : "", why);
	exit(code);
}

/* Beside the tools' directory, as built, or where it is installed. */
static void find_library(char *path)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (n > 0) {
		self[n] = '\0';
		slash = strrchr(self, '/');
		*slash = '\0';
		slash = strrchr(self, '/');
		if (slash) {
			*slash = '\0';
			if (snprintf(path, PATH_MAX, "%s/" LIBRARY, self) <
			    PATH_MAX && !access(path, R_OK))
				return;
		}
	}
	snprintf(path, PATH_MAX, "%s/" LIBRARY, TL_LIBDIR);
	if (access(path, R_OK))
		fail(EXIT_OURS, path, strerror(errno));
}

static void set(const char *name, const char *value)
{
	if (setenv(name, value, 1))
		fail(EXIT_OURS, name, strerror(errno));
}

/* Behind what is there: there are libraries that insist on being the first. */
static void set_preload(const char *library)
{
	const char *old = getenv("LD_PRELOAD");
	char *all;

	if (strpbrk(library, ": \t\n"))
		fail(EXIT_OURS, library, "LD_PRELOAD can't name a path with a blank "
		     "or a colon");
	if (!old || !*old) {
		set("LD_PRELOAD", library);
		return;
	}
	if (strstr(old, "/" LIBRARY))
		return;
	if (asprintf(&all, "%s:%s", old, library) < 0)
		fail(EXIT_OURS, "LD_PRELOAD", strerror(ENOMEM));
	set("LD_PRELOAD", all);
	free(all);
}

int main(int argc, char **argv)
{
	static const struct argp argp = { options, parse_option,
					  "PROGRAM [ARGUMENTS...]", doc, NULL, NULL,
					  NULL };
	static struct program program;
	static char library[PATH_MAX];
	struct run r = { 0 };
	int code;

	args_begin("tl-run");
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &r);
	code = program_check(&program, r.program[0]);
	if (code)
		fail(code, program.why, "");
	find_library(library);
	set_preload(library);
	set("TL_PRELOAD_COND", r.cond ? r.cond : r.gil ? "pthread" : "futex");
	set("TL_PRELOAD_GIL", r.gil ? r.gil : "off");
	if (r.floor)
		set("TL_PRELOAD_CPU_FLOOR", r.floor);
	if (r.stats)
		set("TL_PRELOAD_STATS", "1");
	execv(program.path, r.program);
	fail(errno == ENOENT ? 127 : 126, program.path, strerror(errno));
}
