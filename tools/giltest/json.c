/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The results as lines of JSON, one for each GIL on each number of processors.
 *
 * Invariant: what is not known is null, so that each line has all keys. Lists have
 * a figure for each number of CPU threads, from 0.
 */
#include <inttypes.h>
#include <math.h>

#include "base/json.h"
#include "results.h"

/* A line being written. */
struct line {
	FILE *f;
	const struct results *r;
	unsigned int pin, contender;
};

static const char *const load_names[LOADS] = {
	[LOAD_NONE] = "cpu",
	[LOAD_PAIRS] = "pairs",
	[LOAD_COND] = "cond",
	[LOAD_ECHO] = "echo",
	[LOAD_PACED] = "paced",
};

static void write_number(FILE *f, double v, int digits)
{
	if (isfinite(v))
		fprintf(f, "%.*f", digits, v);
	else
		fputs("null", f);
}

static void write_u64(FILE *f, bool known, uint64_t v)
{
	if (known)
		fprintf(f, "%" PRIu64, v);
	else
		fputs("null", f);
}

static const struct figure *figure(const struct line *l, enum load load,
				   unsigned int n)
{
	return results_at(l->r, l->pin, l->contender, load, n);
}

static double share(const struct line *l, enum load load, unsigned int n)
{
	return results_share(l->r, l->pin, l->contender, load, n);
}

/* --- keys and values ------------------------------------------------------ */

static void rates(const struct line *l, enum load load)
{
	unsigned int n;

	for (n = 0; n <= CPU_THREADS_MAX; n++) {
		fprintf(l->f, ",\"%s", load_names[load]);
		if (n)
			fprintf(l->f, "_cpu%u", n);
		fputs("\":", l->f);
		write_number(l->f, results_rate(l->r, figure(l, load, n)), 1);
	}
}

static void shares(const struct line *l, enum load load, const char *key)
{
	unsigned int n;

	fprintf(l->f, ",\"%s\":[", key);
	for (n = 0; n <= CPU_THREADS_MAX; n++) {
		fputs(n ? "," : "", l->f);
		write_number(l->f, share(l, load, n), 4);
	}
	putc(']', l->f);
}

static void percentiles(const struct line *l, enum load load, const char *key,
			double p)
{
	unsigned int n;

	fprintf(l->f, ",\"%s_%s_ns\":[", load_names[load], key);
	for (n = 0; n <= CPU_THREADS_MAX; n++) {
		const struct tl_hist *h = &figure(l, load, n)->latency;

		fputs(n ? "," : "", l->f);
		write_u64(l->f, tl_hist_count(h) > 0, tl_hist_percentile(h, p));
	}
	putc(']', l->f);
}

static void latencies(const struct line *l, enum load load)
{
	unsigned int n;

	percentiles(l, load, "p50", 50);
	percentiles(l, load, "p99", 99);
	percentiles(l, load, "max", 100);
	fprintf(l->f, ",\"%s_per_s\":[", load_names[load]);
	for (n = 0; n <= CPU_THREADS_MAX; n++) {
		fputs(n ? "," : "", l->f);
		write_number(l->f, results_rate(l->r, figure(l, load, n)), 1);
	}
	fprintf(l->f, "],\"%s_lost\":[", load_names[load]);
	for (n = 0; n <= CPU_THREADS_MAX; n++) {
		const struct figure *g = figure(l, load, n);

		fputs(n ? "," : "", l->f);
		write_u64(l->f, g->count > 0, g->lost);
	}
	putc(']', l->f);
}

/* What the GIL itself has counted. */
static uint64_t counter(const struct tl_gil_stats *s, unsigned int i)
{
	switch (i) {
	case 0: return s->waits[TL_GIL_IO].count;
	case 1: return s->waits[TL_GIL_IO].sum_ns;
	case 2: return s->waits[TL_GIL_IO].max_ns;
	case 3: return s->waits[TL_GIL_CPU].count;
	case 4: return s->waits[TL_GIL_CPU].sum_ns;
	case 5: return s->waits[TL_GIL_CPU].max_ns;
	case 6: return s->holds_as[TL_GIL_IO].sum_ns;
	case 7: return s->holds_as[TL_GIL_CPU].sum_ns;
	case 8: return s->forced;
	case 9: return s->kept;
	default: return s->stolen;
	}
}

static void counters(const struct line *l, enum load load)
{
	static const char *const keys[] = {
		"io_waits", "io_wait_ns", "io_wait_max_ns", "cpu_waits",
		"cpu_wait_ns", "cpu_wait_max_ns", "io_hold_ns", "cpu_hold_ns",
		"forced", "kept", "stolen",
	};
	unsigned int i, n;

	fprintf(l->f, "%s\"%s\":{", load ? "," : "", load_names[load]);
	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		fprintf(l->f, "%s\"%s\":[", i ? "," : "", keys[i]);
		for (n = 0; n <= CPU_THREADS_MAX; n++) {
			const struct figure *g = figure(l, load, n);

			fputs(n ? "," : "", l->f);
			write_u64(l->f, g->count > 0, counter(&g->stats, i));
		}
		putc(']', l->f);
	}
	putc('}', l->f);
}

static void write_line(const struct line *l, double bytecode_ns)
{
	const struct plan *p = l->r->plan;
	const struct contender *c = &p->contenders[l->contender];
	enum load load;
	FILE *f = l->f;

	fprintf(f, "{\"policy\":\"%s\",\"lock\":\"%s\",\"pin\":%u,\"spec\":",
		c->policy, c->wake->name, p->pins[l->pin]);
	tl__json_write_str(f, c->spec);
	fputs(",\"e\":", f);
	write_number(f, results_e(l->r, l->pin, l->contender), 4);
	rates(l, LOAD_PAIRS);
	shares(l, LOAD_PAIRS, "pairs_cpu_share");
	rates(l, LOAD_COND);
	shares(l, LOAD_COND, "cond_cpu_share");
	fputs(",\"cpu_threads\":[0,1,2]", f);
	latencies(l, LOAD_ECHO);
	shares(l, LOAD_ECHO, "cpu_share");
	latencies(l, LOAD_PACED);
	shares(l, LOAD_PACED, "paced_cpu_share");
	fprintf(f, ",\"rate\":%" PRIu64 ",\"think_ns\":%" PRIu64
		",\"rounds\":%u,\"cell_ns\":%" PRIu64 ",\"bytecode_ns\":",
		p->rate, p->think_ns, p->rounds, p->duration_ns);
	write_number(f, bytecode_ns, 2);
	fputs(",\"others_share\":", f);
	write_number(f, l->r->noise.others, 4);
	fputs(",\"stolen_share\":", f);
	write_number(f, l->r->noise.stolen, 4);
	fputs(",\"gil\":{", f);
	for (load = LOAD_NONE; load < LOADS; load++)
		counters(l, load);
	fputs("}}\n", f);
}

void results_write_json(const struct results *r, FILE *f)
{
	struct line l = { .f = f, .r = r };
	double ns = results_bytecode_ns(r);

	for (l.pin = 0; l.pin < r->plan->pin_count; l.pin++)
		for (l.contender = 0; l.contender < r->plan->contender_count;
		     l.contender++)
			write_line(&l, ns);
}
