/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * tl-wakelat: how long it takes to wake another thread, by futexes, semaphores,
 * conditions, descriptors and channels, measured side by side.
 *
 * The parts are in wakelat/; this file has the command line, the files, and the
 * order in which things are done: nothing is measured before all that is needed
 * for its output is known to be there.
 */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <tasklet/base.h>

#include "base/num.h"
#include "output/output.h"
#include "text/args.h"
#include "text/time.h"
#include "wakelat/files.h"
#include "wakelat/measure.h"
#include "wakelat/plan.h"
#include "wakelat/show.h"

enum {
	EXIT_SIGNAL = 128,
	OPT_SAVE = 0x100,
	OPT_SVG,
	OPT_MERGE,
	OPT_DIFF,
};

enum mode { MEASURE, MERGE, DIFF };

static const struct argp_option options[] = {
	{ "primitives", 'p', "LIST", 0, "Measure these (all)", 1 },
	{ "works", 'w', "LIST", 0, "... at these works (all)", 1 },
	{ "pin", 'c', "LIST", 0,
	  "... with both threads on 1 processor, or each on one of 2 (all)", 1 },
	{ "burner", 'b', "LIST", 0,
	  "... beside a thread that computes, on the first or the second (none)", 1 },
	{ "duration", 'd', "SECONDS", 0, "Each for so long a round (0.1)", 1 },
	{ "rounds", 'r', "N", 0, "So many rounds (7)", 1 },
	{ "list", 'l', NULL, 0, "Say what there is to choose from", 1 },
	{ "json", 'j', NULL, 0, "Print lines of JSON, not tables", 2 },
	{ "save", OPT_SAVE, "FILE", 0, "Save the histograms there", 2 },
	{ "svg", OPT_SVG, "FILE", 0, "Draw the latency curves there", 2 },
	{ "merge", OPT_MERGE, NULL, 0,
	  "Do not measure; show what is saved in all of the FILEs", 3 },
	{ "diff", OPT_DIFF, NULL, 0,
	  "Do not measure; say how saved results B differ from A", 3 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static const char doc[] =
	"Measures how long it takes to wake another thread."
	"\vA LIST is names with commas between them, or all. SIGINT ends the "
	"measuring; what there is by then is shown.";

struct program {
	enum mode mode;
	bool json, list, burners_given;
	const char *only_for_measuring;	/* such an option was given */
	bool two_asked;			/* for what needs two processors */
	struct plan plan;
	struct outputs outputs;
	struct results results, other;
	char **files;
	int file_count;
};

/* --- the command line ----------------------------------------------------------------- */

static const char *names_of_primitives[PRIMITIVES];

static void choose(struct argp_state *state, const char *what, const char *list,
		   const char *const *names, size_t count, bool *chosen)
{
	const char *wrong = NULL;
	char known[512] = "";
	size_t len = 0, i, used = 0;

	if (!plan_choose(list, names, count, chosen, &wrong, &len))
		return;
	for (i = 0; i < count && used < sizeof(known); i++)
		used += (size_t)snprintf(known + used, sizeof(known) - used,
					 "%s%s", i ? ", " : "", names[i]);
	argp_error(state, "%s: there is no '%.*s'; there are: %s, or all", what,
		   (int)len, wrong, known);
}

static void set_number(struct argp_state *state, const char *what,
		       const char *arg, int r)
{
	if (r == -EINVAL)
		argp_error(state, "%s: '%s' is no such number", what, arg);
	else if (r)
		argp_error(state, "%s: %s is out of range", what, arg);
}

static void set_mode(struct argp_state *state, struct program *p,
		     enum mode mode)
{
	if (p->mode != MEASURE && p->mode != mode)
		argp_error(state, "--merge and --diff exclude each other");
	p->mode = mode;
}

/* The whole of it, when all options are known. */
static void check_usage(struct argp_state *state, const struct program *p)
{
	int files = p->file_count;

	if (p->mode == MEASURE && files)
		argp_error(state, "unexpected argument '%s'", p->files[0]);
	if (p->mode == MERGE && !files)
		argp_error(state, "--merge needs a FILE");
	if (p->mode == DIFF && files != 2)
		argp_error(state, "--diff needs two FILEs");
	if (p->mode != MEASURE && p->only_for_measuring)
		argp_error(state, "--%s is for measuring",
			   p->only_for_measuring);
	if (p->mode == DIFF && (p->outputs.save.path || p->outputs.svg.path))
		argp_error(state, "--diff neither saves nor draws");
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct program *p = state->input;

	switch (key) {
	case 'p':
		choose(state, "primitives", arg, names_of_primitives,
		       PRIMITIVES, p->plan.primitive);
		break;
	case 'w':
		choose(state, "works", arg, work_names, WORKS, p->plan.work);
		break;
	case 'c':
		choose(state, "pin", arg, pin_names, PINS, p->plan.pin);
		p->two_asked |= strcmp(arg, "all") && p->plan.pin[PIN_TWO];
		break;
	case 'b':
		p->burners_given = true;
		choose(state, "burner", arg, burner_names, BURNERS,
		       p->plan.burner);
		p->two_asked |= strcmp(arg, "all") &&
				p->plan.burner[BURN_SECOND];
		break;
	case 'd':
		set_number(state, "duration", arg,
			   tl__parse_duration_ns(arg, TL__NS_PER_S,
						 TL__NS_PER_MS,
						 3600 * TL__NS_PER_S,
						 &p->plan.duration_ns));
		p->only_for_measuring = "duration";
		break;
	case 'r':
		set_number(state, "rounds", arg,
			   tl__parse_u64(arg, 1, ROUNDS_MAX, &p->plan.rounds));
		p->only_for_measuring = "rounds";
		break;
	case 'l':
		p->list = true;
		break;
	case 'j':
		p->json = true;
		break;
	case OPT_SAVE:
		p->outputs.save.path = arg;
		break;
	case OPT_SVG:
		p->outputs.svg.path = arg;
		break;
	case OPT_MERGE:
		set_mode(state, p, MERGE);
		break;
	case OPT_DIFF:
		set_mode(state, p, DIFF);
		break;
	case ARGP_KEY_ARGS:
		p->files = state->argv + state->next;
		p->file_count = state->argc - state->next;
		break;
	case ARGP_KEY_END:
		check_usage(state, p);
		/* What was saved is shown as a whole. */
		if (p->mode != MEASURE && !p->burners_given)
			memset(p->plan.burner, 1, sizeof(p->plan.burner));
		state->next = state->argc;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static void show_list(FILE *f)
{
	size_t i;

	fputs("Primitives (-p):\n", f);
	for (i = 0; i < PRIMITIVES; i++)
		fprintf(f, "  %-15s %s\n", primitives[i]->name,
			primitives[i]->what);
	fputs("Works (-w):\n"
	      "  pingpong        a value goes there and one comes back\n"
	      "  queue1          one thread puts values into a queue of 1, one "
	      "takes them\n"
	      "  queue64         ... of 64\n"
	      "Processors (-c):\n"
	      "  1               both threads on the first one\n"
	      "  2               the second thread on the second one\n"
	      "A thread that only computes (-b):\n"
	      "  none            is not there\n"
	      "  first, second   is on the first, on the second processor\n", f);
}

/* --- files ------------------------------------------------------------------------------ */

static int merge_file(struct program *p, const char *path)
{
	static struct results one;
	int r;

	memset(&one, 0, sizeof(one));
	if (results_load(path, &one))
		return EXIT_FAILURE;
	if (results_empty(&p->results))
		memcpy(p->results.setup, one.setup, sizeof(one.setup));
	else if (strcmp(p->results.setup, one.setup) != 0)
		snprintf(p->results.setup, sizeof(p->results.setup),
			 "merged from %d files", p->file_count);
	r = results_merge(&p->results, &one);
	results_free(&one);
	return r ? complain(path, r) : EXIT_SUCCESS;
}

/* --- what is done ------------------------------------------------------------------------ */

/* One processor: leaves out what needs two, or says that it can't be had. */
static int check_cpus(struct program *p)
{
	unsigned int s, i;
	bool left_out = false;
	int r = plan_find_cpus(&p->plan);

	if (r)
		return complain("processors", r);
	if (p->plan.cpu[1] < 0 && p->two_asked) {
		fprintf(stderr, "tl-wakelat: this process may use one processor "
			"only (cpu %d): no -c 2, no -b second\n",
			p->plan.cpu[0]);
		return EXIT_FAILURE;
	}
	for (s = 0; s < SETTINGS; s++)
		left_out |= p->plan.cpu[1] < 0 && plan_needs_two(s) &&
			    p->plan.work[setting_work(s)] &&
			    p->plan.pin[setting_pin(s)] &&
			    p->plan.burner[setting_burner(s)];
	if (left_out)
		fprintf(stderr, "tl-wakelat: one processor only (cpu %d): what "
			"needs two is left out\n", p->plan.cpu[0]);
	for (i = 0; i < SETTINGS * PRIMITIVES; i++)
		if (plan_has(&p->plan, i / PRIMITIVES, i % PRIMITIVES))
			return EXIT_SUCCESS;
	fprintf(stderr, "tl-wakelat: nothing of what was chosen goes together: "
		"channel-local is for -c 1\n");
	return EXIT_FAILURE;
}

static void describe(struct program *p)
{
	struct utsname un;
	char cpus[48], time[TIME_TEXT];
	const struct plan *plan = &p->plan;

	if (uname(&un))
		memset(&un, 0, sizeof(un));
	if (plan->cpu[1] < 0)
		snprintf(cpus, sizeof(cpus), "pinned to cpu %d", plan->cpu[0]);
	else
		snprintf(cpus, sizeof(cpus),
			 "pinned: first is cpu %d, second cpu %d", plan->cpu[0],
			 plan->cpu[1]);
	time_text(time, (double)plan->duration_ns);
	snprintf(p->results.setup, sizeof(p->results.setup),
		 "%.16s %.40s %.16s; %s; %ju rounds of %s each, interleaved; "
		 "clock %juns, recording %juns",
		 un.sysname, un.release, un.machine, cpus,
		 (uintmax_t)plan->rounds, time,
		 (uintmax_t)measure_clock_ns(),
		 (uintmax_t)measure_record_ns());
}

static bool anything_lost(const struct results *r)
{
	unsigned int s, i;

	for (s = 0; s < SETTINGS; s++)
		for (i = 0; i < PRIMITIVES; i++)
			if (r->series[s][i] && series_total(r->series[s][i]).lost)
				return true;
	return false;
}

/* Shows, saves and draws what there is; each of the three though another failed. */
static int output(struct program *p)
{
	struct stdout_text o;
	int status, r = stdout_begin(&o), failed = 0;

	if (!r) {
		if (p->json)
			failed = show_json(&p->results, o.f);
		else
			show_text(&p->results, o.f);
		r = stdout_end(&o);
	}
	r = r ? r : failed;
	status = r ? complain("output", r) : EXIT_SUCCESS;
	return status | outputs_write(&p->outputs, &p->results);
}

static int run_measure(struct program *p)
{
	int sig = 0, status, r;

	status = check_cpus(p);
	if (status)
		return status;
	describe(p);
	r = plan_run(&p->plan, &p->results, &sig);
	if (sig)
		fprintf(stderr, "tl-wakelat: ended by signal %d (%s)\n", sig,
			strsignal(sig));
	if (!results_empty(&p->results))
		status = output(p);
	if (sig)
		return EXIT_SIGNAL + sig;
	return r || anything_lost(&p->results) ? EXIT_FAILURE : status;
}

/* Leaves what -p, -w, -c and -b name. */
static void filter(struct program *p, struct results *results)
{
	unsigned int s, i;

	for (s = 0; s < SETTINGS; s++)
		for (i = 0; i < PRIMITIVES; i++)
			if (!plan_has(&p->plan, s, i))
				results_drop(results, s, i);
}

static int run_merge(struct program *p)
{
	int i;

	for (i = 0; i < p->file_count; i++)
		if (merge_file(p, p->files[i]))
			return EXIT_FAILURE;
	filter(p, &p->results);
	if (results_empty(&p->results)) {
		fprintf(stderr, "tl-wakelat: nothing of what was chosen is in "
			"the files\n");
		return EXIT_FAILURE;
	}
	return output(p);
}

static int run_diff(struct program *p)
{
	struct stdout_text o;
	long n;
	int r;

	if (results_load(p->files[0], &p->results) ||
	    results_load(p->files[1], &p->other))
		return EXIT_FAILURE;
	filter(p, &p->results);
	r = stdout_begin(&o);
	if (r)
		return complain("output", r);
	n = show_diff(&p->results, &p->other, p->json, o.f);
	r = stdout_end(&o);
	if (n < 0)
		return complain("comparison", (int)n);
	if (r)
		return complain("output", r);
	if (!n) {
		fprintf(stderr, "tl-wakelat: the two have nothing in common\n");
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}

static int run_list(void)
{
	struct stdout_text o;
	int r = stdout_begin(&o);

	if (!r) {
		show_list(o.f);
		r = stdout_end(&o);
	}
	return r ? complain("output", r) : EXIT_SUCCESS;
}

static int run(struct program *p)
{
	if (descriptors_check())
		return EXIT_FAILURE;
	if (p->list)
		return run_list();
	if (p->mode == DIFF)
		return run_diff(p);
	if (outputs_prepare(&p->outputs))
		return EXIT_FAILURE;
	return p->mode == MERGE ? run_merge(p) : run_measure(p);
}

int main(int argc, char **argv)
{
	static const struct argp argp = { options, parse_option, "[FILE...]",
					  doc, NULL, NULL, NULL };
	static struct program p = {
		.plan = { .duration_ns = 100 * TL__NS_PER_MS, .rounds = 7 },
	};
	int i, status;

	for (i = 0; i < PRIMITIVES; i++)
		names_of_primitives[i] = primitives[i]->name;
	memset(p.plan.primitive, 1, sizeof(p.plan.primitive));
	memset(p.plan.work, 1, sizeof(p.plan.work));
	memset(p.plan.pin, 1, sizeof(p.plan.pin));
	p.plan.burner[BURN_NONE] = true;
	args_begin("tl-wakelat");
	argp_parse(&argp, argc, argv, 0, NULL, &p);
	status = run(&p);
	results_free(&p.results);
	results_free(&p.other);
	return status;
}
