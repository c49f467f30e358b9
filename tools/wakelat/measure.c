/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Runs the threads of one measurement.
 *
 * Owns struct run, which belongs to the caller of measure() and the threads it
 * made; it is freed when these have been joined, and if they can't be it is left
 * to them. The caller sleeps in sigtimedwait(): for a signal of a user, for that
 * of the last side to end, or until it is plain that a wake-up was lost. No
 * locks.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <tasklet/tasklet.h>

#include "base/alloc.h"
#include "measure.h"
#include "os/clock.h"

/* Handed over first and not recorded: threads come up, memory is touched. */
#define WARM_UP 64

/* Values that are no times. */
#define LAST 0
#define WARM 1

/* Nobody is so late beside one burner, but who missed his wake-up. */
#define STUCK_NS (10 * TL__NS_PER_SEC)

#define DONE_SIGNAL SIGUSR1

const char MEASURE_STUCK[] = "threads that don't end: a wake-up was lost";

struct side {
	struct tl_hist hist;	/* of what it received */
	struct tl_hist trip;	/* the first side's */
	uint64_t sent, received, backwards;
	uint64_t ended;
	_Atomic int error;	/* the caller may look before its thread has ended */
} __attribute__((aligned(LINK_LINE)));

struct run {
	struct link link[WAYS];
	struct side side[2];	/* the second one receives what goes THERE */
	unsigned int work;
	const struct primitive *primitive;
	uint64_t duration_ns;
	uint64_t started;
	pthread_t caller;
	_Atomic int sides;	/* that have not ended */
	_Atomic bool stop;	/* an end before the time, and that of the burner */
	uint64_t burner_ns;
};

static unsigned int capacity_of(unsigned int work)
{
	return work == PINGPONG ? 0 : work == QUEUE_1 ? 1 : LINK_CAPACITY_MAX;
}

/* --- what the two sides do ----------------------------------------------------- */

static int put(struct run *run, int way, uint64_t value)
{
	int r = run->primitive->put(&run->link[way], value);

	if (!r)
		run->side[way].sent++;
	return r;
}

/* Returns 1 at the end. */
static int get(struct run *run, int way, struct side *side)
{
	uint64_t value, now;
	int r = run->primitive->get(&run->link[way], &value);

	if (r)
		return r;
	now = tl__now();
	side->received++;
	side->ended = now;
	if (value == LAST)
		return 1;
	if (value == WARM)
		return 0;
	if (now < value) {
		side->backwards++;
		now = value;
	}
	tl_hist_record(&side->hist, now - value);
	return 0;
}

static int round_trip(struct run *run, struct side *side, uint64_t sent)
{
	int r = put(run, THERE, sent);

	if (!r)
		r = get(run, BACK, side);
	if (!r && sent != WARM)
		tl_hist_record(&side->trip, (side->ended - sent) / 2);
	return r;
}

static bool time_is_up(struct run *run, uint64_t now)
{
	/* relaxed: nothing is published by it, and it need not be seen at once */
	return now - run->started >= run->duration_ns ||
	       atomic_load_explicit(&run->stop, memory_order_relaxed);
}

static int first_side(struct run *run)
{
	bool answers = run->work == PINGPONG;
	struct side *side = &run->side[0];
	uint64_t now = WARM;
	int i, r = 0;

	for (i = 0; !r && i < WARM_UP; i++)
		r = answers ? round_trip(run, side, WARM) :
			      put(run, THERE, WARM);
	run->started = tl__now();
	while (!r) {
		now = tl__now();
		if (time_is_up(run, now))
			break;
		r = answers ? round_trip(run, side, now) :
			      put(run, THERE, now);
	}
	return r ? r : put(run, THERE, LAST);
}

static int second_side(struct run *run)
{
	bool answers = run->work == PINGPONG;
	struct side *side = &run->side[1];
	unsigned int warm = WARM_UP;
	int r;

	while (!(r = get(run, THERE, side))) {
		if (!answers)
			continue;
		r = put(run, BACK, warm ? WARM : tl__now());
		if (r)
			return r;
		if (warm)
			warm--;
	}
	return r < 0 ? r : 0;
}

/* --- threads ---------------------------------------------------------------------- */

static void end_side(struct run *run, struct side *side, int error)
{
	/* relaxed: published by what follows */
	atomic_store_explicit(&side->error, error, memory_order_relaxed);
	/*
	 * release: pairs with wait_for_sides(), for the error. Who failed leaves
	 * the other one waiting: the caller need not.
	 */
	if (atomic_fetch_sub_explicit(&run->sides, 1, memory_order_release) == 1 ||
	    error)
		pthread_kill(run->caller, DONE_SIGNAL);
}

static void *first_thread(void *arg)
{
	struct run *run = arg;

	end_side(run, &run->side[0], first_side(run));
	return NULL;
}

static void *second_thread(void *arg)
{
	struct run *run = arg;

	end_side(run, &run->side[1], second_side(run));
	return NULL;
}

static int second_tasklet(void *arg)
{
	struct run *run = arg;

	/* relaxed: it is the same thread */
	atomic_store_explicit(&run->side[1].error, second_side(run),
			      memory_order_relaxed);
	return 0;
}

static int open_links(struct run *run)
{
	unsigned int capacity = capacity_of(run->work);
	int r = link_open(&run->link[THERE], run->primitive, capacity);

	if (r)
		return r;
	r = link_open(&run->link[BACK], run->primitive, capacity);
	if (r)
		run->primitive->close(&run->link[THERE]);
	return r;
}

static void close_links(struct run *run)
{
	run->primitive->close(&run->link[THERE]);
	run->primitive->close(&run->link[BACK]);
}

/* Both sides, as tasklets of this thread, which is who opens the links too. */
static void *only_thread(void *arg)
{
	struct run *run = arg;
	int r = open_links(run);

	if (!r) {
		r = tl_spawn(NULL, second_tasklet, run);
		if (!r)
			r = first_side(run);
		if (!r && tl_run())
			r = -EDEADLK;
		/* With the scheduler that made them, which then ends. */
		close_links(run);
		tl_sched_end();
	}
	end_side(run, &run->side[0], r);
	return NULL;
}

static void *burner_thread(void *arg)
{
	struct run *run = arg;
	volatile unsigned int work = 0;
	struct timespec ts;

	/* relaxed: nothing is published by it */
	while (!atomic_load_explicit(&run->stop, memory_order_relaxed))
		work = work * 5 + 1;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	run->burner_ns = (uint64_t)ts.tv_sec * TL__NS_PER_SEC +
			 (uint64_t)ts.tv_nsec;
	return NULL;
}

/* On that processor from its first instruction on. */
static int start(pthread_t *thread, int cpu, void *(*fn)(void *), void *arg)
{
	pthread_attr_t attr;
	cpu_set_t set;
	int r;

	if (tl__fault())
		return -EAGAIN;
	r = pthread_attr_init(&attr);
	if (r)
		return -r;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	r = pthread_attr_setaffinity_np(&attr, sizeof(set), &set);
	if (!r)
		r = pthread_create(thread, &attr, fn, arg);
	pthread_attr_destroy(&attr);
	return -r;
}

/* --- the caller's part --------------------------------------------------------------- */

static sigset_t watched, before;

void measure_begin(void)
{
	static const int users[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction old;
	size_t i;

	sigemptyset(&watched);
	for (i = 0; i < sizeof(users) / sizeof(users[0]); i++)
		if (!sigaction(users[i], NULL, &old) &&
		    old.sa_handler != SIG_IGN)
			sigaddset(&watched, users[i]);
	sigaddset(&watched, DONE_SIGNAL);
	pthread_sigmask(SIG_BLOCK, &watched, &before);
}

void measure_end(void)
{
	static const struct timespec none;

	while (sigtimedwait(&watched, NULL, &none) > 0)
		;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static int error_of(struct run *run)
{
	/* relaxed: whoever must see it has seen that the side has ended */
	int first = atomic_load_explicit(&run->side[0].error,
					 memory_order_relaxed);

	return first ? first :
		       atomic_load_explicit(&run->side[1].error,
					    memory_order_relaxed);
}

/*
 * Until the sides have ended (0), or one of them failed or is stuck. A signal of
 * the user's makes them end early.
 */
static int wait_for_sides(struct run *run, struct measurement *m)
{
	uint64_t deadline = tl__now() + run->duration_ns + STUCK_NS, now;

	for (;;) {
		struct timespec left;
		int sig;

		/* acquire: pairs with end_side(): its error */
		if (!atomic_load_explicit(&run->sides, memory_order_acquire))
			return 0;
		if (error_of(run))
			return -EIO;
		now = tl__now();
		if (now >= deadline)
			return -ETIMEDOUT;
		left = tl__timespec(deadline - now);
		sig = sigtimedwait(&watched, NULL, &left);
		if (sig <= 0 || sig == DONE_SIGNAL)
			continue;
		m->signal = sig;
		/* relaxed: see time_is_up() */
		atomic_store_explicit(&run->stop, true, memory_order_relaxed);
		deadline = tl__now() + STUCK_NS;
	}
}

/* What came twice is as wrong as what did not come. */
static uint64_t difference(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

static void take_results(const struct run *run, struct measurement *m)
{
	const struct side *first = &run->side[0], *second = &run->side[1];
	static struct tl_hist both;
	int i;

	m->hist[THERE] = second->hist;
	m->hist[BACK] = first->hist;
	m->hist[TRIP] = first->trip;
	m->round.elapsed_ns = second->ended - run->started;
	m->round.burner_ns = run->burner_ns;
	m->round.lost = difference(first->sent, second->received) +
			difference(second->sent, first->received);
	m->round.backwards = first->backwards + second->backwards;
	tl_hist_reset(&both);
	for (i = 0; i < WAYS; i++)
		tl_hist_merge(&both, &m->hist[i]);
	m->round.count = tl_hist_count(&both);
	m->round.p50_ns = tl_hist_percentile(run->work == PINGPONG ?
						     &first->trip : &both,
					     50);
}

static int burner_cpu(const struct measurement *m)
{
	switch (setting_burner(m->setting)) {
	case BURN_FIRST:
		return m->cpu[0];
	case BURN_SECOND:
		return m->cpu[1];
	default:
		return -1;
	}
}

struct threads {
	pthread_t thread[3];
	int count;
	bool burns;
};

/* The second side comes first: a word over the link ends it, if need be. */
static int start_all(struct run *run, struct measurement *m, struct threads *t)
{
	int second = m->cpu[setting_pin(m->setting) == PIN_TWO];
	int burner = burner_cpu(m), r = 0;
	bool alone = run->primitive->one_thread;

	run->sides = alone ? 1 : 2;
	m->failed = "the burner's thread";
	if (burner >= 0) {
		r = start(&t->thread[t->count], burner, burner_thread, run);
		if (r)
			return r;
		t->burns = true;
		t->count++;
	}
	m->failed = "the second thread";
	if (!alone) {
		r = start(&t->thread[t->count], second, second_thread, run);
		if (r)
			return r;
		t->count++;
	}
	m->failed = "the first thread";
	r = start(&t->thread[t->count], m->cpu[0],
		  alone ? only_thread : first_thread, run);
	if (!r)
		t->count++;
	else if (!alone)
		put(run, THERE, LAST);
	return r;
}

static void join_all(struct run *run, struct threads *t)
{
	/* relaxed: see burner_thread() */
	atomic_store_explicit(&run->stop, true, memory_order_relaxed);
	while (t->count)
		pthread_join(t->thread[--t->count], NULL);
}

static int run_threads(struct run *run, struct measurement *m)
{
	struct threads threads = { .count = 0 };
	int error, r = start_all(run, m, &threads);

	if (r) {
		join_all(run, &threads);
		return r;
	}
	m->failed = MEASURE_STUCK;
	r = wait_for_sides(run, m);
	error = error_of(run);
	/* What is left of two sides waits for the other one. */
	if (r && (r == -ETIMEDOUT || !run->primitive->one_thread))
		return error ? error : r;
	join_all(run, &threads);
	m->failed = error ? "handing a value over" : NULL;
	return error;
}

int measure(struct measurement *m)
{
	struct run *run;
	bool outside;
	int r;

	m->failed = "memory";
	m->signal = 0;
	run = tl__fault() ? NULL : aligned_alloc(LINK_LINE, sizeof(*run));
	if (!run)
		return -ENOMEM;
	memset(run, 0, sizeof(*run));
	run->primitive = m->primitive;
	run->work = setting_work(m->setting);
	run->duration_ns = m->duration_ns;
	run->caller = pthread_self();
	outside = !run->primitive->one_thread;
	m->failed = "making it";
	r = outside ? open_links(run) : 0;
	if (r) {
		free(run);
		return r;
	}
	r = run_threads(run, m);
	if (r && m->failed == MEASURE_STUCK)
		return r;
	if (!r)
		take_results(run, m);
	if (outside)
		close_links(run);
	free(run);
	return r ? r : m->signal ? -EINTR : 0;
}
