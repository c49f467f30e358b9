/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The results as tables of at most 80 columns, for people.
 */
#include <inttypes.h>
#include <math.h>

#include "base/num.h"
#include "results.h"

/* A cell's text; what there is no figure for is a dash. */
struct text {
	char s[16];
};

static struct text rate_text(double rate)
{
	struct text t = { "-" };

	if (isnan(rate))
		return t;
	if (rate >= 999.5e3)
		snprintf(t.s, sizeof(t.s), "%.3gM", rate / 1e6);
	else if (rate >= 99.95e3)
		snprintf(t.s, sizeof(t.s), "%.0fk", rate / 1e3);
	else if (rate >= 999.5)
		snprintf(t.s, sizeof(t.s), "%.3gk", rate / 1e3);
	else
		snprintf(t.s, sizeof(t.s), "%.0f", rate);
	return t;
}

static struct text time_text(uint64_t ns)
{
	struct text t;
	double v = (double)ns;
	const char *unit = "s";

	if (v < 999.5) {
		unit = "ns";
	} else if (v < 999.5e3) {
		v /= 1e3;
		unit = "us";
	} else if (v < 999.5e6) {
		v /= 1e6;
		unit = "ms";
	} else {
		v /= 1e9;
	}
	/* Two digits at least, and no more than three. */
	snprintf(t.s, sizeof(t.s), v < 9.95 ? "%.1f%s" : "%.0f%s", v, unit);
	return t;
}

static struct text percent_text(double share)
{
	struct text t = { "-" };

	if (share >= 9.995)
		return (struct text){ ">1k" };
	if (!isnan(share))
		snprintf(t.s, sizeof(t.s), "%.0f", 100 * share);
	return t;
}

/* --- rows ----------------------------------------------------------------- */

/* Where there are several settings, each is said above its rows. */
static void name_cells(const struct results *r, unsigned int contender, FILE *f)
{
	const struct contender *c = &r->plan->contenders[contender];

	if (r->plan->settings_count > 1 &&
	    (!contender || c[-1].settings != c->settings))
		fprintf(f, "%s%s:\n", *c->settings ? "with " : "with nothing else",
			c->settings);
	fprintf(f, "%-8s %-8s", c->policy, c->wake->name);
}

static void rate_cells(const struct results *r, unsigned int pin,
		       unsigned int contender, enum load load, FILE *f)
{
	unsigned int n;

	for (n = 0; n <= CPU_THREADS_MAX; n++) {
		fprintf(f, " %5s",
			rate_text(results_rate(r, results_at(r, pin, contender,
							     load, n))).s);
		if (n)
			fprintf(f, " %3s",
				percent_text(results_share(r, pin, contender,
							   load, n)).s);
	}
}

static void throughput_row(const struct results *r, unsigned int pin,
			   unsigned int contender, FILE *f)
{
	double e = results_e(r, pin, contender);

	if (isnan(e) || e >= 99.995)
		fprintf(f, " %5s", isnan(e) ? "-" : ">99");
	else
		fprintf(f, " %5.2f", e);
	rate_cells(r, pin, contender, LOAD_PAIRS, f);
	rate_cells(r, pin, contender, LOAD_COND, f);
}

static void latency_row(const struct results *r, unsigned int pin,
			unsigned int contender, enum load load, FILE *f)
{
	static const double of[] = { 50, 99, 100 };
	unsigned int n, i;

	for (n = 0; n <= CPU_THREADS_MAX; n++) {
		const struct figure *g = results_at(r, pin, contender, load, n);

		for (i = 0; i < 3; i++)
			fprintf(f, " %5s", !tl_hist_count(&g->latency) ? "-" :
				time_text(tl_hist_percentile(&g->latency,
							     of[i])).s);
		if (n)
			fprintf(f, " %3s",
				percent_text(results_share(r, pin, contender,
							   load, n)).s);
	}
}

/* --- tables --------------------------------------------------------------- */

static void throughput_table(const struct results *r, unsigned int pin, FILE *f)
{
	unsigned int i;

	fputs("\nPairs a second; %: what the CPU threads beside them keep\n"
	      "                         on a lock, CPU threads    "
	      "on a condition\n"
	      "policy   lock         e     0     1   %     2   %"
	      "     0     1   %     2   %\n", f);
	for (i = 0; i < r->plan->contender_count; i++) {
		name_cells(r, i, f);
		throughput_row(r, pin, i, f);
		putc('\n', f);
	}
}

static void latency_table(const struct results *r, unsigned int pin,
			  enum load load, FILE *f)
{
	unsigned int i;

	if (load == LOAD_PACED)
		fprintf(f, "\nLatency of an echo, %" PRIu64 " requests a second",
			r->plan->rate);
	else
		fputs("\nLatency of an echo, one request after the other", f);
	fputs("; %: what CPU threads keep\n"
	      "                    no CPU thread  beside one          "
	      "    beside two\n"
	      "policy   lock       p50   p99   max   p50   p99   max   %"
	      "   p50   p99   max   %\n", f);
	for (i = 0; i < r->plan->contender_count; i++) {
		name_cells(r, i, f);
		latency_row(r, pin, i, load, f);
		putc('\n', f);
	}
}

static void heading(const struct results *r, unsigned int pin, FILE *f)
{
	unsigned int n = r->plan->pins[pin];
	const char *comma = "";
	cpu_set_t set;
	int i;

	plan_processors(r->plan, n, &set);
	fprintf(f, "%sOn %u processor%s (", pin ? "\n" : "", n,
		n == 1 ? "" : "s");
	for (i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &set)) {
			fprintf(f, "%s%d", comma, i);
			comma = ", ";
		}
	fputs(")\n", f);
}

void results_write_table(const struct results *r, FILE *f)
{
	const bool *columns = r->plan->columns;
	double ns = results_bytecode_ns(r);
	unsigned int pin;

	for (pin = 0; pin < r->plan->pin_count; pin++) {
		heading(r, pin, f);
		if (columns[COLUMN_E] || columns[COLUMN_PAIRS] ||
		    columns[COLUMN_COND])
			throughput_table(r, pin, f);
		if (columns[COLUMN_ECHO])
			latency_table(r, pin, LOAD_ECHO, f);
		if (columns[COLUMN_PACED])
			latency_table(r, pin, LOAD_PACED, f);
	}
	if (!isnan(ns))
		fprintf(f, "\nA bytecode, and with it a tick, every %.1f ns.\n",
			ns);
	if (!isnan(r->noise.others))
		fprintf(f, "Other programs had %.1f %% of this machine's time "
			"meanwhile, and its host %.1f %%.\n",
			100 * r->noise.others, 100 * r->noise.stolen);
}
