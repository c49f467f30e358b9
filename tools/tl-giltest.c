/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * tl-giltest: what a GIL costs, and whom: every policy on every lock, measured
 * side by side.
 *
 * The measurements are in giltest/; this file has the command line, the signals
 * and the order in which things start and end. Signals are blocked and taken by
 * the thread that measures, when it waits.
 */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tasklet/tasklet.h>

#include "base/num.h"
#include "giltest/run.h"
#include "output/output.h"
#include "plot/gnuplot.h"
#include "text/args.h"

enum {
	OPT_PINS = 0x100,
	OPT_SVG,
	OPT_RATE,
	OPT_THINK,
	OPT_SETTINGS,
};

#define QUICK_NS (10 * TL__NS_PER_MS)

static const struct argp_option options[] = {
	{ "policies", 'p', "LIST", 0, "Measure these policies only", 0 },
	{ "locks", 'l', "LIST", 0, "... on these locks", 0 },
	{ "columns", 'c', "LIST", 0, "... and of the columns these", 0 },
	{ "pins", OPT_PINS, "LIST", 0,
	  "On so many processors, one after the other (1,2)", 0 },
	{ "duration", 'd', "TIME", 0, "Of each measurement (50ms)", 0 },
	{ "rounds", 'r', "N", 0, "Measure each so often (3)", 0 },
	{ "quick", 'q', NULL, 0, "As -d 10ms -r 1: to see that it works", 0 },
	{ "rate", OPT_RATE, "N", 0,
	  "Requests a second in the column paced (1000)", 0 },
	{ "think", OPT_THINK, "TIME", 0,
	  "How long echo's client thinks before it asks again (50us)", 0 },
	{ "settings", OPT_SETTINGS, "LIST", 0,
	  "Settings of the policies, as interval=1ms; once more: others, beside "
	  "them", 0 },
	{ "json", 'j', NULL, 0, "Print lines of JSON, not tables", 0 },
	{ "svg", OPT_SVG, "FILE", 0, "Draw the figures there as well", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static const char doc[] =
	"Measures what a global interpreter lock costs, and whom."
	"\vA LIST is names or numbers with commas; a TIME is a number with ns, "
	"us, ms, s (the default), m or h.\n\n"
	"The columns: e, what two CPU threads do together against one; pairs "
	"and cond, a producer and a consumer on a lock and on a condition; "
	"echo and paced, an echo over UDP, as fast as it is answered and at a "
	"fixed rate. All but the first are measured beside 0, 1 and 2 CPU "
	"threads, with what these keep of the rate of one alone.\n\n"
	"SIGINT and SIGTERM end it early: what there is is printed.";

struct program {
	struct plan plan;
	const char *svg;
	int svg_fd;
	bool json;
	sigset_t signals;
};

typedef int (*choose_fn)(struct plan *plan, const char *list, char **wrong);

/* Stops with a usage message that says what there is. */
static void choose(struct argp_state *state, const char *what, const char *arg,
		   choose_fn choose_from, void (*write_all)(FILE *f))
{
	struct program *p = state->input;
	char *wrong = NULL, *all = NULL;
	size_t size;
	FILE *f;
	int r = choose_from(&p->plan, arg, &wrong);

	if (!r)
		return;
	f = open_memstream(&all, &size);
	if (!f || r == -ENOMEM)
		argp_failure(state, EXIT_FAILURE, ENOMEM, "%s", what);
	write_all(f);
	fclose(f);
	argp_error(state, "%s: '%s' is none; there are %s", what, wrong, all);
}

static void write_pins(FILE *f)
{
	fputs("numbers of processors, from 1, at most 8 of them", f);
}

static uint64_t number(struct argp_state *state, const char *what,
		       const char *arg, uint64_t min, uint64_t max)
{
	uint64_t n = 0;

	if (tl__parse_u64(arg, min, max, &n))
		argp_error(state, "%s: '%s' is no number from %ju to %ju", what,
			   arg, (uintmax_t)min, (uintmax_t)max);
	return n;
}

static uint64_t duration(struct argp_state *state, const char *what,
			 const char *arg, uint64_t min, uint64_t max)
{
	uint64_t ns = 0;
	int r = tl__parse_duration_ns(arg, TL__NS_PER_S, min, max, &ns);

	if (r == -EINVAL)
		argp_error(state, "%s: '%s' is no time", what, arg);
	else if (r)
		argp_error(state, "%s: %s is not from %ju ns to %ju s", what,
			   arg, (uintmax_t)min, (uintmax_t)(max / TL__NS_PER_S));
	return ns;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct program *p = state->input;

	switch (key) {
	case 'p':
		choose(state, "policies", arg, plan_choose_policies,
		       plan_write_policies);
		break;
	case 'l':
		choose(state, "locks", arg, plan_choose_locks,
		       plan_write_locks);
		break;
	case 'c':
		choose(state, "columns", arg, plan_choose_columns,
		       plan_write_columns);
		break;
	case OPT_PINS:
		choose(state, "pins", arg, plan_choose_pins, write_pins);
		break;
	case 'd':
		p->plan.duration_ns = duration(state, "duration", arg,
					       TL__NS_PER_MS,
					       3600 * TL__NS_PER_S);
		break;
	case 'r':
		p->plan.rounds = (unsigned int)number(state, "rounds", arg, 1,
						      1000);
		break;
	case 'q':
		p->plan.duration_ns = QUICK_NS;
		p->plan.rounds = 1;
		break;
	case OPT_RATE:
		p->plan.rate = number(state, "rate", arg, 1, 1000000);
		break;
	case OPT_THINK:
		p->plan.think_ns = duration(state, "think", arg, 0,
					    TL__NS_PER_S);
		break;
	case OPT_SETTINGS:
		if (plan_add_settings(&p->plan, arg))
			argp_error(state, "settings: more than %d times",
				   PLAN_SETTINGS_MAX);
		break;
	case 'j':
		p->json = true;
		break;
	case OPT_SVG:
		p->svg = arg;
		break;
	case ARGP_KEY_END:
		if (p->svg && p->plan.settings_count > 1)
			argp_error(state, "svg: of one --settings, not of %u",
				   p->plan.settings_count);
		break;
	case ARGP_KEY_ARG:
		argp_error(state, "unexpected argument '%s'", arg);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static int fail(const char *what, int error)
{
	fprintf(stderr, "tl-giltest: %s: %s\n", what, strerror(-error));
	return EXIT_FAILURE;
}

static int make_plan(struct plan *plan)
{
	struct tl_error *error = NULL;
	int r = plan_make(plan, &error);

	if (r == -ENODEV) {
		fprintf(stderr, "tl-giltest: pins: there %s %d processor%s\n",
			CPU_COUNT(&plan->allowed) == 1 ? "is" : "are",
			CPU_COUNT(&plan->allowed),
			CPU_COUNT(&plan->allowed) == 1 ? "" : "s");
		return EXIT_FAILURE;
	}
	if (r && error) {
		fprintf(stderr, "tl-giltest: %s\n", tl_error_message(error));
		tl_error_free(error);
		return r == -EINVAL ? EXIT_USAGE : EXIT_FAILURE;
	}
	return r ? fail("GIL", r) : EXIT_SUCCESS;
}

static int show(const struct program *p, const struct results *results)
{
	struct stdout_text o;
	int r = stdout_begin(&o);

	if (!r) {
		if (p->json)
			results_write_json(results, o.f);
		else
			results_write_table(results, o.f);
		r = stdout_end(&o);
	}
	if (r)
		return fail("output", r);
	if (!p->svg)
		return EXIT_SUCCESS;
	r = results_draw(results, p->svg_fd);
	if (close(p->svg_fd) && !r)
		r = -errno;
	return r ? gnuplot_complain("tl-giltest", p->svg, r) : EXIT_SUCCESS;
}

static int measure(struct program *p, struct echo *echo)
{
	struct progress progress = { .shown = isatty(STDERR_FILENO) };
	struct results results;
	const char *why = "";
	int status, r = results_init(&results, &p->plan);

	if (r)
		return fail("results", r);
	r = run_plan(&p->plan, echo, &p->signals, &progress, &results, &why);
	if (r && r != -EINTR)
		fail(why, r);
	/* What was measured is shown whatever ended it. */
	status = show(p, &results);
	if (r == -EINTR)
		fprintf(stderr, "tl-giltest: interrupted after %u of %u "
			"measurements\n", progress.done - 1, progress.total);
	results_free(&results);
	return r ? EXIT_FAILURE : status;
}

/*
 * At the beginning: not to find out after minutes that it can't be drawn. What was
 * there stays until there is a picture.
 */
static int open_svg(struct program *p)
{
	int r;

	if (!p->svg)
		return 0;
	p->svg_fd = open(p->svg, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	if (p->svg_fd < 0)
		return fail(p->svg, -errno);
	r = gnuplot_check();
	return r ? gnuplot_complain("tl-giltest", p->svg, r) : 0;
}

int main(int argc, char **argv)
{
	static const struct argp argp = { options, parse_option, NULL, doc,
					  NULL, NULL, NULL };
	static struct program p = { .svg_fd = -1 };
	struct echo echo;
	int status, r;

	plan_init(&p.plan);
	p.plan.duration_ns = 50 * TL__NS_PER_MS;
	p.plan.rounds = 3;
	p.plan.rate = 1000;
	p.plan.think_ns = 50 * TL__NS_PER_US;
	args_begin("tl-giltest");
	argp_parse(&argp, argc, argv, 0, NULL, &p);
	status = make_plan(&p.plan);
	if (status)
		return status;
	status = open_svg(&p);
	if (status)
		return status;
	/* Before any thread begins, so that none of them takes one. */
	sigemptyset(&p.signals);
	sigaddset(&p.signals, SIGTERM);
	sigaddset(&p.signals, SIGINT);
	sigaddset(&p.signals, SIGCHLD);	/* the echo's client */
	sigprocmask(SIG_BLOCK, &p.signals, NULL);
	r = echo_open(&echo);
	if (r)
		return fail("the client of the echo", r);
	status = measure(&p, &echo);
	echo_close(&echo);
	plan_free(&p.plan);
	return status;
}
