/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * tl-sched: a scheduler in the kernel for threads that share a global lock.
 */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tasklet/base.h>

#include "base/num.h"
#include "sched/sched.h"

enum {
	EXIT_USAGE = 2,
	OPT_SLICE = 0x100,
	OPT_STARVE,
	OPT_HOLD,
};

#define MS UINT64_C(1000000)

static const struct argp_option options[] = {
	{ "pid", 'p', "PID", 0, "Know this process's threads, by the library's probes; "
	  "may be given ten times", 0 },
	{ "file", 'f', "FILE", 0, "Know those of all processes that have this library "
	  "or program mapped", 0 },
	{ "slice", OPT_SLICE, "TIME", 0, "How long a thread runs before others of "
	  "its rank do (3ms)", 0 },
	{ "starve", OPT_STARVE, "TIME", 0, "How long a rank may wait for those before "
	  "it (20ms)", 0 },
	{ "duration", 'd', "TIME", 0, "So long: 5, 500ms (until the command ends, or "
	  "Ctrl-C)", 0 },
	{ "interval", 'i', "TIME", 0, "A line each time that so much has gone by "
	  "(only one, at the end)", 0 },
	{ "json", 'j', NULL, 0, "Lines of JSON", 0 },
	{ "verbose", 'v', NULL, 0, "Say what libbpf says", 0 },
	{ "hold", OPT_HOLD, NULL, OPTION_HIDDEN, "For tests: nobody is ever run", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static const char args_doc[] = "load [-- COMMAND...]\nrun -- COMMAND...\n"
	"mark io|cpu|none TID...";

static const char doc[] =
	"Loads a scheduler in which threads that come back from blocking, and those "
	"that a global lock is handed to, come before those that compute. It is for "
	"threads that ask for it: of commands under 'run' or behind 'load --', and "
	"where a lock has 'sched=ext'."
	"\vThe exit status is 0, 1 if it failed or the kernel has ended the scheduler, "
	"2 if it was asked for something that makes no sense; that of 'run' is the "
	"command's, or 125 to 127 as env(1) has it.";

struct command_line {
	struct sched_request request;
	const char *word;	/* load, run or mark */
	bool has_options;
	enum gilsched_mark mark;
	char **tids;		/* NULL: not there yet */
};

static uint64_t parse_time(struct argp_state *state, const char *what,
			   const char *arg, uint64_t max)
{
	uint64_t ns;

	if (tl__parse_duration_ns(arg, 1000 * MS, MS, max, &ns))
		argp_error(state, "%s: '%s' is no time, or not one from 1ms to %g s",
			   what, arg, (double)max / 1e9);
	return ns;
}

static void add_pid(struct sched_request *r, struct argp_state *state,
		    const char *arg)
{
	uint64_t n;

	if (tl__parse_u64(arg, 1, 1 << 22, &n))
		argp_error(state, "pid: '%s' is no process's number", arg);
	else if (r->pids_count == SCHED_PIDS)
		argp_error(state, "more than %d processes: --file is for all",
			   SCHED_PIDS);
	else
		r->pids[r->pids_count++] = (pid_t)n;
}

static void parse_mark(struct command_line *c, struct argp_state *state,
		       const char *arg)
{
	static const char *const marks[] = {
		[GILSCHED_UNMARKED] = "none",
		[GILSCHED_MARK_CPU] = "cpu",
		[GILSCHED_MARK_IO] = "io",
	};
	int i;

	for (i = 0; i < 3 && strcmp(marks[i], arg); i++)
		;
	if (i == 3)
		argp_error(state, "mark: '%s' is not one of: io, cpu, none", arg);
	c->mark = (enum gilsched_mark)i;
	c->tids = state->argv + state->next;
	state->next = state->argc;
}

static void parse_word(struct command_line *c, struct argp_state *state, char *arg)
{
	if (state->quoted && state->next > state->quoted) {
		c->request.common.command = state->argv + state->next - 1;
		state->next = state->argc;
	} else if (c->word) {
		if (!strcmp(c->word, "mark"))
			parse_mark(c, state, arg);
		else
			argp_error(state, "'%s': what is to run comes after --", arg);
	} else {
		if (strcmp(arg, "load") && strcmp(arg, "run") && strcmp(arg, "mark"))
			argp_error(state, "'%s' is not one of: load, run, mark", arg);
		c->word = arg;
	}
}

static void check(const struct command_line *c, struct argp_state *state)
{
	if (!c->word)
		argp_error(state, "what? load, run or mark");
	else if (c->has_options && strcmp(c->word, "load"))
		argp_error(state, "options are for load alone");
	else if (!strcmp(c->word, "run") && !c->request.common.command)
		argp_error(state, "run: what? -- COMMAND");
	else if (!strcmp(c->word, "mark") && (!c->tids || !*c->tids))
		argp_error(state, "mark: io, cpu or none, and numbers of threads");
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct command_line *c = state->input;
	struct request *r = &c->request.common;

	switch (key) {
	case ARGP_KEY_ARG:
		parse_word(c, state, arg);
		return 0;
	case ARGP_KEY_END:
		check(c, state);
		return 0;
	case 'p':
		add_pid(&c->request, state, arg);
		break;
	case 'f':
		c->request.file = arg;
		break;
	case OPT_SLICE:
		c->request.slice_ns = parse_time(state, "slice", arg, 1000 * MS);
		break;
	case OPT_STARVE:
		c->request.starve_ns = parse_time(state, "starve", arg, 2000 * MS);
		break;
	case 'd':
		r->duration_ns = parse_time(state, "duration", arg, 86400000 * MS);
		break;
	case 'i':
		r->interval_ns = parse_time(state, "interval", arg, 86400000 * MS);
		break;
	case 'j':
		r->json = true;
		break;
	case 'v':
		r->verbose = true;
		break;
	case OPT_HOLD:
		c->request.hold = true;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	c->has_options = true;
	return 0;
}

static void print_version(FILE *f, struct argp_state *state)
{
	(void)state;
	fprintf(f, "tl-sched (libtasklet) %s\n", tl_version());
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		options, parse_option, args_doc, doc, NULL, NULL, NULL
	};
	struct command_line c = {
		.request = { .slice_ns = 3 * MS, .starve_ns = 20 * MS },
	};

	argp_program_version_hook = print_version;
	argp_err_exit_status = EXIT_USAGE;
	/* In order: what is behind -- must be told from what is before it. */
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &c);
	if (!strcmp(c.word, "run"))
		return sched_run(c.request.common.command);
	if (!strcmp(c.word, "mark"))
		return sched_mark(c.mark, c.tids);
	return sched_load(&c.request);
}
