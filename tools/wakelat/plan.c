/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Chooses what is measured, and measures it in interleaved rounds.
 */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "measure.h"
#include "os/clock.h"
#include "plan.h"

static int index_of(const char *word, size_t len, const char *const *names,
		    size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (strlen(names[i]) == len && !memcmp(names[i], word, len))
			return (int)i;
	return -1;
}

int plan_choose(const char *list, const char *const *names, size_t count,
		bool *chosen, const char **wrong, size_t *len)
{
	const char *word = list;

	memset(chosen, 0, count * sizeof(*chosen));
	if (!strcmp(list, "all")) {
		memset(chosen, 1, count * sizeof(*chosen));
		return 0;
	}
	for (;;) {
		size_t n = strcspn(word, ",");
		int i = index_of(word, n, names, count);

		if (i < 0) {
			*wrong = word;
			*len = n;
			return -EINVAL;
		}
		chosen[i] = true;
		if (!word[n])
			return 0;
		word += n + 1;
	}
}

int plan_find_cpus(struct plan *plan)
{
	cpu_set_t set;
	int cpu, n = 0;

	plan->cpu[0] = plan->cpu[1] = -1;
	if (sched_getaffinity(0, sizeof(set), &set))
		return -errno;
	for (cpu = 0; cpu < CPU_SETSIZE && n < 2; cpu++)
		if (CPU_ISSET(cpu, &set))
			plan->cpu[n++] = cpu;
	return n ? 0 : -ENODEV;
}

bool plan_needs_two(unsigned int s)
{
	return setting_pin(s) == PIN_TWO || setting_burner(s) == BURN_SECOND;
}

bool plan_has(const struct plan *plan, unsigned int s, unsigned int primitive)
{
	if (!plan->work[setting_work(s)] || !plan->pin[setting_pin(s)] ||
	    !plan->burner[setting_burner(s)] || !plan->primitive[primitive])
		return false;
	if (plan_needs_two(s) && plan->cpu[1] < 0)
		return false;
	return setting_pin(s) == PIN_ONE || !primitives[primitive]->one_thread;
}

size_t plan_count(const struct plan *plan)
{
	unsigned int s, p;
	size_t n = 0;

	for (s = 0; s < SETTINGS; s++)
		for (p = 0; p < PRIMITIVES; p++)
			n += plan_has(plan, s, p);
	return n;
}

/* --- on the terminal ------------------------------------------------------------------ */

struct progress {
	bool shown;
	size_t done, all;
	uint64_t started;
};

#define CLEAR_LINE "\r\033[K"

static void show_progress(struct progress *p, const struct plan *plan,
			  uint64_t round, unsigned int s, unsigned int primitive)
{
	uint64_t left_ns;
	char words[80];

	if (!p->shown)
		return;
	left_ns = p->done ? (tl__now() - p->started) / p->done :
			    plan->duration_ns;
	left_ns *= p->all - p->done;
	setting_words(s, words, sizeof(words));
	fprintf(stderr, CLEAR_LINE "%zu of %zu, %ju s left: round %ju, %s, %s",
		p->done, p->all, (uintmax_t)(left_ns / TL__NS_PER_SEC + 1),
		(uintmax_t)round + 1, words, primitives[primitive]->name);
	fflush(stderr);
}

static void hide_progress(const struct progress *p)
{
	if (p->shown)
		fputs(CLEAR_LINE, stderr);
}

/* --- rounds --------------------------------------------------------------------------- */

struct campaign {
	const struct plan *plan;
	struct results *results;
	struct progress progress;
	struct measurement m;
	bool failed[SETTINGS][PRIMITIVES];
	int error;
};

static void report(struct campaign *c, unsigned int s, unsigned int primitive,
		   int error)
{
	char words[80];

	hide_progress(&c->progress);
	setting_words(s, words, sizeof(words));
	fprintf(stderr, "tl-wakelat: %s, %s: %s: %s\n",
		primitives[primitive]->name, words, c->m.failed,
		strerror(-error));
	c->error = error;
}

/* Returns what ends the whole, else 0. */
static int one(struct campaign *c, uint64_t round, unsigned int s,
	       unsigned int primitive)
{
	struct measurement *m = &c->m;
	int r;

	show_progress(&c->progress, c->plan, round, s, primitive);
	c->progress.done++;
	if (c->failed[s][primitive])
		return 0;
	m->primitive = primitives[primitive];
	m->setting = s;
	r = measure(m);
	if (r == -EINTR && m->signal)
		return r;
	m->round.number = round;
	if (!r) {
		m->failed = "memory";
		r = results_add(c->results, s, primitive, &m->round, m->hist);
	}
	if (!r)
		return 0;
	report(c, s, primitive, r);
	c->failed[s][primitive] = true;
	/* Its threads are still there, and would be in the way of the others. */
	return m->failed == MEASURE_STUCK ? r : 0;
}

static int one_setting(struct campaign *c, uint64_t round, unsigned int s)
{
	unsigned int i, p;
	int r = 0;

	for (i = 0; !r && i < PRIMITIVES; i++) {
		p = (unsigned int)((i + round) % PRIMITIVES);
		if (plan_has(c->plan, s, p))
			r = one(c, round, s, p);
	}
	return r;
}

int plan_run(const struct plan *plan, struct results *results, int *sig)
{
	static struct campaign c;
	unsigned int s;
	uint64_t round;
	int r = 0;

	memset(&c, 0, sizeof(c));
	c.plan = plan;
	c.results = results;
	c.m.cpu[0] = plan->cpu[0];
	c.m.cpu[1] = plan->cpu[1];
	c.m.duration_ns = plan->duration_ns;
	c.progress.shown = isatty(STDERR_FILENO);
	c.progress.all = plan_count(plan) * plan->rounds;
	c.progress.started = tl__now();
	measure_begin();
	for (round = 0; !r && round < plan->rounds; round++)
		for (s = 0; !r && s < SETTINGS; s++)
			r = one_setting(&c, round, s);
	measure_end();
	hide_progress(&c.progress);
	*sig = c.m.signal;
	return r ? r : c.error;
}
