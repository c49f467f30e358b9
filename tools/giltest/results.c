/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The figures; results.h says what they are.
 */
#include "results.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"

#define PER_CONTENDER (LOADS * (CPU_THREADS_MAX + 1))

static size_t figure_count(const struct plan *plan)
{
	return (size_t)plan->pin_count * plan->contender_count * PER_CONTENDER;
}

int results_init(struct results *r, const struct plan *plan)
{
	size_t n = figure_count(plan), rounds = plan->rounds, i;

	r->plan = plan;
	r->figures = calloc(n, sizeof(*r->figures));
	r->values = calloc(2 * n * rounds, sizeof(*r->values));
	r->scratch = calloc(n > rounds ? n : rounds, sizeof(*r->scratch));
	if (!r->figures || !r->values || !r->scratch) {
		results_free(r);
		return -ENOMEM;
	}
	for (i = 0; i < n; i++) {
		r->figures[i].rate = r->values + 2 * i * rounds;
		r->figures[i].cpu_rate = r->figures[i].rate + rounds;
	}
	return 0;
}

void results_free(struct results *r)
{
	free(r->figures);
	free(r->values);
	free(r->scratch);
	memset(r, 0, sizeof(*r));
}

struct figure *results_at(const struct results *r, unsigned int pin,
			  unsigned int contender, enum load load,
			  unsigned int cpu_threads)
{
	return &r->figures[(pin * r->plan->contender_count + contender) *
				   PER_CONTENDER +
			   load * (CPU_THREADS_MAX + 1) + cpu_threads];
}

static void add_times(struct tl_gil_times *sum, const struct tl_gil_times *t)
{
	sum->count += t->count;
	sum->sum_ns += t->sum_ns;
	if (t->max_ns > sum->max_ns)
		sum->max_ns = t->max_ns;
}

void results_add(struct figure *f, const struct sample *sample)
{
	const struct tl_gil_stats *s = &sample->stats;
	int i;

	f->rate[f->count] = sample->rate;
	f->cpu_rate[f->count] = sample->cpu_rate;
	f->count++;
	f->lost += sample->lost;
	for (i = 0; i < 2; i++) {
		add_times(&f->stats.waits[i], &s->waits[i]);
		add_times(&f->stats.holds_as[i], &s->holds_as[i]);
	}
	f->stats.forced += s->forced;
	f->stats.kept += s->kept;
	f->stats.stolen += s->stolen;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Of the first @n in r->scratch. */
static double median(const struct results *r, unsigned int n)
{
	double *v = r->scratch;

	if (!n)
		return NAN;
	qsort(v, n, sizeof(*v), compare);
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static double median_of(const struct results *r, const double *values,
			unsigned int n)
{
	memcpy(r->scratch, values, n * sizeof(*values));
	return median(r, n);
}

double results_rate(const struct results *r, const struct figure *f)
{
	return median_of(r, f->rate, f->count);
}

/* The CPU threads' rate against that of one alone, round by round. */
static double against_one(const struct results *r, unsigned int pin,
			  unsigned int contender, const struct figure *f)
{
	const struct figure *one = results_at(r, pin, contender, LOAD_NONE, 1);
	unsigned int i, n = 0;

	for (i = 0; i < one->count && i < f->count; i++)
		/* It did nothing: somebody else had the processor all the time. */
		if (one->cpu_rate[i] > 0)
			r->scratch[n++] = f->cpu_rate[i] / one->cpu_rate[i];
	return median(r, n);
}

double results_e(const struct results *r, unsigned int pin,
		 unsigned int contender)
{
	return against_one(r, pin, contender,
			   results_at(r, pin, contender, LOAD_NONE, 2));
}

double results_share(const struct results *r, unsigned int pin,
		     unsigned int contender, enum load load,
		     unsigned int cpu_threads)
{
	if (!cpu_threads)
		return NAN;
	return against_one(r, pin, contender,
			   results_at(r, pin, contender, load, cpu_threads));
}

static double alone(const struct results *r, unsigned int pin,
		    unsigned int contender)
{
	const struct figure *f = results_at(r, pin, contender, LOAD_NONE, 1);

	return median_of(r, f->cpu_rate, f->count);
}

double results_bytecode_ns(const struct results *r)
{
	const struct plan *p = r->plan;
	double *each, result;
	unsigned int n = 0, i, k;

	/* Medians of medians: each of them needs the scratch by itself. */
	each = calloc((size_t)p->pin_count * p->contender_count + 1,
		      sizeof(*each));
	if (!each)
		return NAN;
	for (i = 0; i < p->pin_count; i++)
		for (k = 0; k < p->contender_count; k++) {
			each[n] = (double)TL__NS_PER_S / alone(r, i, k);
			n += !isnan(each[n]);
		}
	result = median_of(r, each, n);
	free(each);
	return result;
}
