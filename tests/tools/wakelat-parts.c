/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The parts of tl-wakelat, with what a run of it can't be made to show: known
 * statistics, results that differ by a known factor, files with each byte
 * altered, primitives that lose and double values, and every failure.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <tasklet/sched.h>

#include "base/alloc.h"
#include "wakelat/measure.h"
#include "wakelat/plan.h"
#include "wakelat/saved.h"
#include "wakelat/show.h"
#include "wakelat/stats.h"
#include "../harness/tap.h"

static bool near(double a, double b)
{
	return fabs(a - b) < 1e-9;
}

/* --- statistics --------------------------------------------------------------- */

static void test_stats(void)
{
	double low[] = { 1, 2, 3, 4, 5 }, high[] = { 6, 7, 8, 9, 10 };
	double mixed[] = { 1.5, 2.5, 3.5, 4.5, 5.5 }, same[] = { 4, 4, 4 };
	double a[40], b[40];
	int i;

	tap_ok(near(stats_median(low, 5), 3) && near(stats_median(low, 4), 2.5),
	       "medians of odd and even numbers");
	tap_ok(near(stats_rank_test(low, 5, high, 5), 2 / 252.0),
	       "two samples apart: 2 of 252 ways");
	tap_ok(near(stats_rank_test(high, 5, low, 5), 2 / 252.0),
	       "... the other way round");
	tap_ok(near(stats_rank_test(low, 3, high, 2), 0.2), "unequal sizes");
	/* Rank sum 25 of 5: 0.6905 is in the tables (U = 10). */
	tap_ok(fabs(stats_rank_test(low, 5, mixed, 5) - 0.690476) < 1e-5,
	       "two samples within each other");
	tap_ok(near(stats_rank_test(same, 3, same, 3), 1), "nothing but ties");
	tap_ok(near(stats_rank_test(low, 5, high, 0), 1), "an empty sample");
	tap_ok(near(stats_rank_test_least(5, 5), 2 / 252.0) &&
	       near(stats_rank_test_least(3, 0), 1), "the least of all");
	for (i = 0; i < 40; i++) {
		a[i] = i;
		b[i] = i + 10.5;
	}
	/* U = 435: z = 3.512, without the correction for steps */
	tap_ok(fabs(stats_rank_test(a, 40, b, 40) - 4.4e-4) < 3e-5,
	       "large samples, by the normal distribution");
	tl__fault_arm(1, false);
	tap_ok(stats_rank_test(low, 5, high, 5) < 0, "no memory");
	tl__fault_arm(2, false);
	tap_ok(stats_rank_test(low, 5, high, 5) < 0, "... for the ways");
	tl__fault_arm(0, false);
}

/* --- results that are known ------------------------------------------------------ */

/* @scale: for all but the base; @machine: for all. */
static void fill(struct results *r, int rounds, double machine, double scale,
		 unsigned int s)
{
	unsigned int p;
	int i, k;

	memset(r, 0, sizeof(*r));
	strcpy(r->setup, "made up");
	for (i = 0; i < rounds; i++) {
		for (p = 0; p < 3; p++) {
			struct round round = { .number = (uint64_t)i };
			static struct tl_hist hist[HISTS];
			double ns = 1000 * machine * (p ? scale : 1) + i;

			memset(hist, 0, sizeof(hist));
			for (k = 0; k < 10; k++)
				tl_hist_record(&hist[k % 2], (uint64_t)ns);
			round.count = 10;
			round.p50_ns = (uint64_t)ns;
			round.elapsed_ns = (uint64_t)(ns * 10);
			if (results_add(r, s, p, &round, hist))
				tap_bail("results_add");
		}
	}
}

static char *text_of(const struct results *a, const struct results *b,
		     bool json)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		tap_bail("open_memstream");
	if (b)
		show_diff(a, b, json, f);
	else if (json)
		show_json(a, f);
	else
		show_text(a, f);
	fclose(f);
	return text;
}

static int occurrences(const char *text, const char *what)
{
	int n = 0;

	for (; (text = strstr(text, what)); text++)
		n++;
	return n;
}

static void expect_verdict(double machine, double scale, int rounds,
			   unsigned int s, const char *verdict, int times,
			   const char *name)
{
	static struct results a, b;
	char want[64], *text;

	fill(&a, rounds, 1, 1, s);
	fill(&b, rounds, machine, scale, s);
	text = text_of(&a, &b, true);
	snprintf(want, sizeof(want), "\"verdict\":\"%s\"", verdict);
	tap_is(occurrences(text, want), times, "%s", name);
	if (occurrences(text, want) != times)
		tap_diag("%s", text);
	free(text);
	results_free(&a);
	results_free(&b);
}

static void test_diff(void)
{
	unsigned int ping = setting(PINGPONG, PIN_ONE, BURN_NONE);
	unsigned int queue = setting(QUEUE_64, PIN_TWO, BURN_FIRST);

	expect_verdict(1, 1, 7, ping, "can't tell", 3, "the same results");
	expect_verdict(1, 1.5, 7, ping, "slower", 2, "slower than futex was");
	expect_verdict(1, 0.5, 7, queue, "faster", 2, "faster, in a queue");
	expect_verdict(2, 1, 7, ping, "slower", 1,
		       "a slower machine is seen in futex alone");
	expect_verdict(1, 1.5, 4, ping, "too few rounds", 3,
		       "4 rounds say nothing");
	expect_verdict(1, 1.5, 5, ping, "slower", 2, "5 do");
}

static void test_ratios(void)
{
	static struct results a, b, all;
	unsigned int s = setting(PINGPONG, PIN_ONE, BURN_NONE);
	struct ratio ratio;
	struct round total;

	fill(&a, 5, 1, 2, s);
	fill(&b, 5, 10, 3, s);
	ratio = series_ratio(a.series[s][1], a.series[s][0], BY_P50);
	tap_ok(ratio.median > 1.99 && ratio.median < 2.01 &&
	       ratio.min <= ratio.median && ratio.median <= ratio.max,
	       "a ratio of twice");
	memset(&all, 0, sizeof(all));
	tap_is(results_merge(&all, &a) || results_merge(&all, &b), 0, "merge");
	tap_is(all.rounds, 10, "... has the rounds of both");
	ratio = series_ratio(all.series[s][1], all.series[s][0], BY_TIME);
	tap_ok(ratio.min > 1.98 && ratio.max < 3.01 && ratio.median > 2.4 &&
	       ratio.median < 2.6,
	       "... whose ratios stay those of the same round");
	total = series_total(all.series[s][1]);
	tap_is(total.count, 100, "... and all of the values");
	results_drop(&all, s, 0);
	tap_ok(series_ratio(all.series[s][1], all.series[s][0], BY_P50).median ==
	       0, "without futex there is no ratio");
	results_free(&a);
	results_free(&b);
	results_free(&all);
}

/* --- files ------------------------------------------------------------------------- */

static char *saved_text(const struct results *r, size_t *size)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, size);

	if (!f)
		tap_bail("open_memstream");
	if (saved_write(r, f))
		tap_bail("saved_write");
	fclose(f);
	return text;
}

static int read_text(char *text, size_t size, struct results *r)
{
	unsigned long line;
	FILE *f = size ? fmemopen(text, size, "r") : fopen("/dev/null", "r");
	int err;

	if (!f)
		tap_bail("fmemopen");
	memset(r, 0, sizeof(*r));
	err = saved_read(r, f, &line);
	fclose(f);
	return err;
}

static void test_saved(void)
{
	static struct results a, b;
	size_t size, again_size, i, accepted = 0;
	char *text, *again;

	fill(&a, 2, 1, 1, setting(QUEUE_1, PIN_TWO, BURN_SECOND));
	text = saved_text(&a, &size);
	tap_is(read_text(text, size, &b), 0, "what was saved is read");
	again = saved_text(&b, &again_size);
	tap_ok(size == again_size && !memcmp(text, again, size),
	       "... and is the same");
	results_free(&b);
	free(again);
	for (i = 0; i < size; i++) {
		int r = read_text(text, i, &b);

		accepted += !r || r != -EINVAL || !results_empty(&b);
		results_free(&b);
	}
	tap_is(accepted, 0, "cut off anywhere, it is refused");
	for (i = 0, accepted = 0; i < size; i++) {
		text[i] ^= 1;
		accepted += read_text(text, size, &b) == 0;
		results_free(&b);
		text[i] ^= 1;
	}
	tap_is(accepted, 0, "with any byte altered, it is refused");
	free(text);
	results_free(&a);
}

/* A file that says so itself: its checksum is right, its numbers are not. */
static void test_crafted(void)
{
	static struct results a, b;
	struct series *series;
	unsigned int s = setting(PINGPONG, PIN_ONE, BURN_NONE);
	size_t size;
	char *text;

	fill(&a, 2, 1, 1, s);
	series = a.series[s][0];
	series->rounds[0].count++;
	text = saved_text(&a, &size);
	tap_is(read_text(text, size, &b), -EINVAL,
	       "rounds that do not add up to the histogram");
	free(text);
	series->rounds[0].count--;
	series->rounds[1].number = 0;
	text = saved_text(&a, &size);
	tap_is(read_text(text, size, &b), -EINVAL, "the same round twice");
	free(text);
	series->rounds[1].number = 1;
	tl_hist_init(&series->hist[TRIP], "us");
	text = saved_text(&a, &size);
	tap_is(read_text(text, size, &b), -EINVAL, "microseconds");
	free(text);
	tl_hist_init(&series->hist[TRIP], "ns");
	strcpy(a.setup, "bell \a");
	text = saved_text(&a, &size);
	tap_is(read_text(text, size, &b), -EINVAL, "what rings at a terminal");
	free(text);
	results_free(&a);
}

/* --- measurements ------------------------------------------------------------------- */

static struct plan plan;	/* its processors */
static unsigned int calls;

static int losing_put(struct link *link, uint64_t value)
{
	if (value > 1 && ++calls % 50 == 0)
		return 0;
	return link_raw.put(link, value);
}

static int doubling_put(struct link *link, uint64_t value)
{
	int r = link_raw.put(link, value);

	return r || value <= 1 || ++calls % 50 ? r : link_raw.put(link, value);
}

static int failing_get(struct link *link, uint64_t *value)
{
	int r = link_raw.get(link, value);

	return *value > 1 ? -EPIPE : r;
}

static int early_put(struct link *link, uint64_t value)
{
	return link_raw.put(link, value > 1 ? value + 1000000000 : value);
}

static int run_for(const struct primitive *like, struct measurement *m,
		   unsigned int s, uint64_t ns)
{
	memset(m, 0, sizeof(*m));
	m->primitive = like;
	m->setting = s;
	m->duration_ns = ns;
	m->cpu[0] = plan.cpu[0];
	m->cpu[1] = plan.cpu[1];
	return measure(m);
}

static int run(const struct primitive *like, struct measurement *m,
	       unsigned int s)
{
	return run_for(like, m, s, 2000000);
}

/* Until there are values enough: others may have the processor meanwhile. */
static int run_long(const struct primitive *like, struct measurement *m,
		    unsigned int s)
{
	uint64_t ns = 2000000;
	int r;

	do {
		r = run_for(like, m, s, ns);
		ns *= 2;
	} while (!r && m->round.count < 200);
	return r;
}

static void test_faults_are_seen(void)
{
	struct primitive p = link_raw;
	static struct measurement m;
	unsigned int s = setting(QUEUE_64, PIN_ONE, BURN_NONE);

	tap_ok(!run_long(&p, &m, s) && !m.round.lost && !m.round.backwards &&
	       m.round.count, "bare futexes lose nothing");
	p.put = losing_put;
	tap_ok(!run_long(&p, &m, s) && m.round.lost, "lost values are counted");
	p.put = doubling_put;
	tap_ok(!run_long(&p, &m, s) && m.round.lost && m.round.lost < UINT32_MAX,
	       "values that come twice are counted");
	p.put = early_put;
	tap_ok(!run_long(&p, &m, s) && m.round.backwards == m.round.count &&
	       tl_hist_max(&m.hist[THERE]) == 0,
	       "values that come before they were sent are counted");
	p.put = link_raw.put;
	p.get = failing_get;
	tap_is(run_for(&p, &m, s, 10000000000), -EPIPE,
	       "a link that fails is reported");
	tap_ok(m.failed == MEASURE_STUCK,
	       "... and that its threads are left alone");
}

/* Each call that can fail, one after the other, for each primitive. */
static void test_faults(unsigned int s, const char *words)
{
	static struct measurement m;
	unsigned int i, good = 0, bad = 0;
	unsigned long nth;
	int r;

	for (i = 0; i < PRIMITIVES; i++) {
		if (primitives[i]->one_thread && setting_pin(s) == PIN_TWO)
			continue;
		for (nth = 1;; nth++) {
			tl__fault_arm(nth, false);
			r = run(primitives[i], &m, s);
			tl__fault_arm(0, false);
			if (tl__fault_count() < nth)
				break;
			/* Where one side failed the other is left asleep. */
			if (r == -ETIMEDOUT)
				tap_bail("%s: stuck after fault %lu",
					 primitives[i]->name, nth);
			/* A thread may do without, and measure all the same. */
			bad += r >= 0 && m.round.lost;
		}
		good += !r && m.round.count && !m.round.lost;
	}
	tap_is(bad, 0, "%s: a failure is reported, or does no harm", words);
	tap_is(good, PRIMITIVES - (setting_pin(s) == PIN_TWO),
	       "%s: without one all measure", words);
}

static void test_memory(void)
{
	static struct results a, b;
	unsigned int s = setting(PINGPONG, PIN_ONE, BURN_NONE);
	struct round round = { .count = 0 };
	static struct tl_hist hist[HISTS];
	unsigned long nth;
	char *text;
	size_t size;
	int r;

	memset(&b, 0, sizeof(b));
	tl__fault_arm(1, false);
	tap_is(results_add(&b, s, 0, &round, hist), -ENOMEM, "no series");
	tl__fault_arm(2, false);
	tap_is(results_add(&b, s, 0, &round, hist), -ENOMEM, "no round");
	tl__fault_arm(0, false);
	tap_ok(results_empty(&b), "... and nothing was added");
	fill(&a, 5, 1, 1, s);
	text = saved_text(&a, &size);
	for (nth = 1;; nth++) {
		tl__fault_arm(nth, false);
		r = read_text(text, size, &b);
		tl__fault_arm(0, false);
		if (tl__fault_count() < nth)
			break;
		if (r != -ENOMEM || !results_empty(&b))
			break;
	}
	tap_ok(!r && nth > 5, "reading without memory fails as a whole");
	results_free(&b);
	tl__fault_arm(3, true);
	tap_is(show_diff(&a, &a, true, stderr), -ENOMEM, "so does a comparison");
	tl__fault_arm(0, false);
	free(text);
	results_free(&a);
}

int main(void)
{
	unsigned int one = setting(PINGPONG, PIN_ONE, BURN_FIRST);
	unsigned int two = setting(QUEUE_1, PIN_TWO, BURN_SECOND);

	tap_plan(46);
	if (plan_find_cpus(&plan))
		tap_bail("processors");
	/* A handle can't be given up without a scheduler: not what fails here. */
	if (!tl_current())
		tap_bail("no scheduler");
	measure_begin();
	test_stats();
	test_diff();
	test_ratios();
	test_saved();
	test_crafted();
	test_memory();
	test_faults(one, "one processor");
	if (plan.cpu[1] >= 0) {
		test_faults(two, "two processors");
	} else {
		tap_skip("one processor only");
		tap_skip("one processor only");
	}
	test_faults_are_seen();
	measure_end();
	return tap_exit();
}
