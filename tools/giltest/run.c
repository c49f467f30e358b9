/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The order of measurements. All that is divided by each other, a load and what is
 * left to CPU threads beside it, is measured within a second, and then it is the
 * next GIL's turn; the next round goes through all of them backwards. So neither
 * warming up nor a neighbour on the same machine is taken for a difference between
 * them.
 */
#include "run.h"

#include <errno.h>
#include <string.h>

#include "base/num.h"
#include "os/clock.h"
#include "os/sched.h"

/* What goes on now. */
struct turn {
	const struct plan *plan;
	struct results *results;
	struct progress *progress;
	struct cell cell;
	unsigned int pin, contender;
	const char **why;
};

static const char *const load_words[LOADS] = {
	[LOAD_NONE] = "CPU threads alone",
	[LOAD_PAIRS] = "pairs on a lock",
	[LOAD_COND] = "pairs on a condition",
	[LOAD_ECHO] = "echo",
	[LOAD_PACED] = "echo at a fixed rate",
};

static void show_progress(const struct turn *t)
{
	struct progress *p = t->progress;
	uint64_t left_s = 0;

	if (!p->shown)
		return;
	if (p->done)
		left_s = (tl__now() - p->begun_ns) / p->done *
			 (p->total - p->done) / TL__NS_PER_S;
	fprintf(stderr, "\r\033[K%u/%u, %u:%02u left: %s on %u, %s, %u CPU",
		p->done, p->total, (unsigned int)(left_s / 60),
		(unsigned int)(left_s % 60), t->cell.spec,
		t->plan->pins[t->pin], load_words[t->cell.load],
		t->cell.cpu_threads);
}

static int measure(struct turn *t, enum load load, unsigned int cpu_threads)
{
	struct figure *f = results_at(t->results, t->pin, t->contender, load,
				      cpu_threads);
	struct sample sample;
	int r;

	if (!plan_wants(t->plan, load, cpu_threads))
		return 0;
	t->cell.load = load;
	t->cell.cpu_threads = cpu_threads;
	show_progress(t);
	r = cell_run(&t->cell, &sample, &f->latency, t->why);
	if (!r)
		results_add(f, &sample);
	t->progress->done++;
	return r;
}

/* One column of one GIL: beside none, one and two CPU threads. */
static int measure_load(struct turn *t, enum load load, bool backwards)
{
	const struct contender *c = &t->plan->contenders[t->contender];
	unsigned int i, n;
	int r = 0;

	t->cell.spec = c->spec;
	t->cell.wake = c->wake;
	for (i = 0; !r && i <= CPU_THREADS_MAX; i++) {
		n = backwards ? CPU_THREADS_MAX - i : i;
		r = measure(t, load, n);
	}
	return r;
}

static int move_to(const struct plan *plan, unsigned int pin, struct echo *echo,
		   const char **why)
{
	cpu_set_t set;

	*why = "processors";
	plan_processors(plan, plan->pins[pin], &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		return -errno;
	return echo_pin(echo, &set, sizeof(set));
}

static int run_round(struct turn *t, unsigned int round)
{
	bool backwards = round % 2;
	unsigned int n = t->plan->contender_count, i, load;
	int r = 0;

	for (t->pin = 0; !r && t->pin < t->plan->pin_count; t->pin++) {
		r = move_to(t->plan, t->pin, t->cell.echo, t->why);
		for (i = 0; !r && i < n; i++) {
			t->contender = backwards ? n - 1 - i : i;
			for (load = 0; !r && load < LOADS; load++)
				r = measure_load(t, backwards ?
						 LOADS - 1 - load : load,
						 backwards);
		}
	}
	return r;
}

static unsigned int count_cells(const struct plan *plan)
{
	unsigned int each = 0, n;
	enum load load;

	for (load = LOAD_NONE; load < LOADS; load++)
		for (n = 0; n <= CPU_THREADS_MAX; n++)
			each += plan_wants(plan, load, n);
	return each * plan->pin_count * plan->contender_count * plan->rounds;
}

/*
 * The thread that measures must not be kept away by those that it measures, which may
 * have real-time priorities: it would see the moments alone in which they have to
 * pause. Where that is not allowed, they can't have them either.
 */
static void come_first(void)
{
	static const struct tl__sched first = {
		.policy = SCHED_FIFO,
		.priority = 2,
		.flags = TL__SCHED_RESET_ON_FORK,
	};

	(void)tl__sched_set(&first);
}

int run_plan(const struct plan *plan, struct echo *echo,
	     const sigset_t *signals, struct progress *progress,
	     struct results *r, const char **why)
{
	struct turn t = {
		.plan = plan,
		.results = r,
		.progress = progress,
		.why = why,
		.cell = {
			.duration_ns = plan->duration_ns,
			.period_ns = TL__NS_PER_S / plan->rate,
			.think_ns = plan->think_ns,
			.echo = echo,
			.signals = signals,
		},
	};
	unsigned int round;
	int status = 0;

	come_first();
	progress->begun_ns = tl__now();
	progress->total = count_cells(plan);
	noise_begin(&r->noise, echo->client);
	for (round = 0; !status && round < plan->rounds; round++)
		status = run_round(&t, round);
	noise_end(&r->noise, echo->client);
	if (progress->shown)
		fputs("\r\033[K", stderr);
	return status;
}
