/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * One measurement, from the making of its threads to their end.
 *
 * The thread that measures never takes the GIL. It waits for signals all the
 * time: they are blocked everywhere, and are the end of the measurement.
 */
#include "cell.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <tasklet/error.h>

#include "base/num.h"
#include "load.h"
#include "os/clock.h"

#define WARM_UP_MIN_NS (5 * TL__NS_PER_MS)
#define WARM_UP_MAX_NS (200 * TL__NS_PER_MS)
/* How long threads may take to come in. */
#define READY_NS (10 * TL__NS_PER_S)

/* What was there at one moment. */
struct reading {
	uint64_t at_ns, count, cpu;
};

static uint64_t warm_up_ns(const struct cell *cell)
{
	uint64_t ns = cell->duration_ns / 10;

	return ns < WARM_UP_MIN_NS ? WARM_UP_MIN_NS :
	       ns > WARM_UP_MAX_NS ? WARM_UP_MAX_NS : ns;
}

/* Returns 0; -EINTR if a signal came, -EPIPE if it says that the client is dead. */
static int wait_ns(const struct cell *cell, uint64_t ns)
{
	uint64_t until = tl__now() + ns, now;
	struct timespec ts;
	int sig;

	while ((now = tl__now()) < until) {
		ts = tl__timespec(until - now);
		sig = sigtimedwait(cell->signals, NULL, &ts);
		if (sig > 0)
			return sig == SIGCHLD ? -EPIPE : -EINTR;
	}
	return 0;
}

static void *run_worker(void *arg)
{
	struct worker *w = arg;
	struct scene *s = w->scene;

	w->error = tl_gil_attach(s->gil);
	/* relaxed: a number; what threads did is ordered by the GIL */
	atomic_fetch_add_explicit(&s->ready, 1, memory_order_relaxed);
	if (!w->error) {
		w->error = w->body(w);
		tl_gil_detach();
	}
	return NULL;
}

static int start(struct scene *s, unsigned int *started, const char **why)
{
	uint64_t until = tl__now() + READY_NS;
	int r;

	*why = "thread";
	for (*started = 0; *started < s->workers; ++*started) {
		struct worker *w = &s->worker[*started];

		r = pthread_create(&w->thread, NULL, run_worker, w);
		if (r)
			return -r;
	}
	/* relaxed: as in run_worker() */
	while (atomic_load_explicit(&s->ready, memory_order_relaxed) <
	       s->workers) {
		*why = "the client of the echo";
		r = wait_ns(s->cell, 50 * TL__NS_PER_US);
		if (r)
			return r;
		*why = "the threads did not get the lock";
		if (tl__now() > until)
			return -ETIMEDOUT;
	}
	return 0;
}

static int stop(struct scene *s, unsigned int started, const char **why)
{
	unsigned int i;
	int r = 0;

	/* relaxed: those who block see it after what load_wake() does */
	atomic_store_explicit(&s->stop, true, memory_order_relaxed);
	load_wake(s);
	for (i = 0; i < started; i++) {
		pthread_join(s->worker[i].thread, NULL);
		if (s->worker[i].error && !r) {
			*why = "a measured thread";
			r = s->worker[i].error;
		}
	}
	return r;
}

static void read_counts(const struct scene *s, struct reading *now)
{
	unsigned int i;

	now->at_ns = tl__now();
	now->count = now->cpu = 0;
	for (i = 0; i < s->workers; i++) {
		if (i < s->cpu_from)
			/* relaxed: a number */
			now->count += atomic_load_explicit(
				&s->worker[i].count, memory_order_relaxed);
		else
			now->cpu += work_done(&s->worker[i].work);
	}
}

static bool is_echo(const struct cell *cell)
{
	return cell->load == LOAD_ECHO || cell->load == LOAD_PACED;
}

/* The time in which it is measured. */
static int watch(const struct scene *s, struct sample *sample)
{
	const struct cell *cell = s->cell;
	struct reading from, to;
	double seconds;
	int r = wait_ns(cell, warm_up_ns(cell));

	if (r)
		return r;
	read_counts(s, &from);
	r = wait_ns(cell, cell->duration_ns);
	read_counts(s, &to);
	seconds = (double)(to.at_ns - from.at_ns) / (double)TL__NS_PER_S;
	sample->rate = (double)(to.count - from.count) / seconds;
	sample->cpu_rate = (double)(to.cpu - from.cpu) / seconds;
	return r;
}

static int watch_echo(const struct scene *s, struct sample *sample,
		      struct tl_hist *latency)
{
	const struct cell *cell = s->cell;
	struct echo_report report;
	struct echo_order order = {
		.warm_up_ns = warm_up_ns(cell),
		.duration_ns = cell->duration_ns,
		.think_ns = cell->think_ns,
		.period_ns = cell->load == LOAD_PACED ? cell->period_ns : 0,
	};
	int r, end;

	r = echo_begin(cell->echo, &order);
	if (!r)
		r = watch(s, sample);
	if (r == -EINTR)
		echo_hurry(cell->echo);
	end = r == -EPIPE ? r : echo_end(cell->echo, &report, latency);
	if (end) {
		/* Nobody says the last word to the server. */
		echo_break(cell->echo);
		return end;
	}
	sample->lost = report.lost;
	sample->rate = (double)report.answers * (double)TL__NS_PER_S /
		       (double)report.elapsed_ns;
	return r;
}

static bool take_sum(const struct tl_gil_stats *stats, void *arg)
{
	*(struct tl_gil_stats *)arg = *stats;
	return false;	/* the threads' own come behind it */
}

static int run_scene(struct scene *s, struct sample *sample,
		     struct tl_hist *latency, const char **why)
{
	const struct cell *cell = s->cell;
	const char *stop_why;
	unsigned int started;
	int r, end;

	r = start(s, &started, why);
	if (!r) {
		*why = "the client of the echo";
		r = is_echo(cell) ? watch_echo(s, sample, latency) :
				    watch(s, sample);
	} else if (is_echo(cell)) {
		echo_break(cell->echo);
	}
	end = stop(s, started, &stop_why);
	if (end && (!r || r == -EINTR)) {
		r = end;
		*why = stop_why;
	}
	tl_gil_stats(s->gil, take_sum, &sample->stats);
	return r;
}

int cell_run(const struct cell *cell, struct sample *sample,
	     struct tl_hist *latency, const char **why)
{
	struct tl_error *error = NULL;
	struct scene *s;
	int r;

	memset(sample, 0, sizeof(*sample));
	*why = "memory";
	if (posix_memalign((void **)&s, alignof(struct scene), sizeof(*s)))
		return -ENOMEM;
	memset(s, 0, sizeof(*s));
	s->cell = cell;
	*why = cell->spec;
	r = tl_gil_new(&s->gil, cell->spec, &error);
	tl_error_free(error);
	if (!r) {
		load_cast(s);
		r = run_scene(s, sample, latency, why);
		tl_gil_free(s->gil);
	}
	free(s);
	return r;
}
