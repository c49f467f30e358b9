/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The stall detector: looks at each thread with tasklets every now and then,
 * from the monitor's thread, and reports the tasklet that has run all the time.
 *
 * It costs the threads nothing: what it compares are two counters that change
 * anyway (ask.h). The detector's settings are written while its alarm is not
 * armed, with `control` held; the alarm takes the lock of the question and the
 * list of threads, never `control`.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include <tasklet/dump.h>

#include "base/num.h"
#include "core/ask.h"
#include "core/monitor.h"
#include "core/report.h"
#include "core/stall.h"
#include "core/task.h"
#include "core/threads.h"
#include "os/clock.h"
#include "os/log.h"
#include "os/tids.h"

#define LIMIT_MIN TL__NS_PER_MS
#define PERIOD_MAX TL__NS_PER_S
#define LIMIT_MAX (UINT64_C(1000000) * TL__NS_PER_S)
/* So late, the monitor was stopped, and all others with it. */
#define LATE_NS TL__NS_PER_S

static uint64_t sample(struct tl__alarm *alarm);

static pthread_mutex_t control = PTHREAD_MUTEX_INITIALIZER;
/* Under control, and unchanged while the alarm is armed. */
static struct tl__alarm alarm_clock = { .go_off = sample };
static uint64_t limit;		/* 0: off */
static tl_stall_fn *report_fn;
static void *report_arg;
/* The alarm's own. */
static uint64_t begun_ns;	/* what was seen before does not count */
static uint64_t next_ns;
static __thread bool in_report;

/* In a forked child: the detector is on, but has no alarm. */
static _Atomic bool to_restart;
static struct tl__message restart_message;

/* --- sampling, on the monitor's thread ------------------------------------- */

struct suspect {
	uint64_t now;
	bool can_ask;
	bool found;
	struct tl__asked asked;
	uint64_t progress;
	int round_left;
	uint64_t held_ns;
	unsigned int report;
};

/* relaxed: a sample; see ask.h */
static uint64_t progress_of(const struct tl_sched *s)
{
	return atomic_load_explicit(&s->ask.progress, memory_order_relaxed);
}

/*
 * A sample too, and not seen by the checker, for the owner's stores are plain
 * ones: an atomic decrement that costs no more than that can't be written in C.
 */
__attribute__((no_sanitize("thread"))) static int
round_of(const struct tl_sched *s)
{
	return __atomic_load_n(&s->round_left, __ATOMIC_RELAXED);
}

/* The same for the count of its tasklets, the main one included. */
__attribute__((no_sanitize("thread"))) static uint64_t
alive_of(const struct tl_sched *s)
{
	return __atomic_load_n(&s->alive, __ATOMIC_RELAXED);
}

/* Whether it holds up somebody, and is awake. */
static bool is_watched(struct tl_sched *s)
{
	return alive_of(s) > 1 && !(progress_of(s) & 1) &&
	       !tl__monitor_owns_tid(s->tid);
}

static bool look(struct tl_sched *s, void *arg)
{
	struct suspect *suspect = arg;
	struct tl__ask *ask = &s->ask;
	uint64_t progress = progress_of(s);
	int left = round_of(s);

	if (!is_watched(s) || progress != ask->seen_progress ||
	    left != ask->seen_left || ask->since_ns < begun_ns) {
		ask->seen_progress = progress;
		ask->seen_left = left;
		ask->since_ns = suspect->now;
		ask->report_at_ns = suspect->now + limit;
		ask->reports = 0;
		return true;
	}
	if (suspect->now < ask->report_at_ns || !suspect->can_ask)
		return true;
	suspect->found = true;
	suspect->asked = tl__ask_identity(s);
	suspect->progress = progress;
	suspect->round_left = left;
	suspect->held_ns = suspect->now - ask->since_ns;
	suspect->report = ask->reports + 1;
	ask->report_at_ns = suspect->now + suspect->held_ns;
	return false;
}

/* A report that can't be confirmed is not told, and has no number. */
static bool count_report(struct tl_sched *s, void *arg)
{
	const struct suspect *suspect = arg;

	if (s != suspect->asked.sched || s->main->id != suspect->asked.main_id)
		return true;
	s->ask.reports = suspect->report;
	return false;
}

static bool look_again(struct tl_sched *s, void *arg)
{
	struct suspect *suspect = arg;

	if (s != suspect->asked.sched || s->main->id != suspect->asked.main_id)
		return true;
	suspect->found = progress_of(s) == suspect->progress &&
			 round_of(s) == suspect->round_left;
	return false;
}

static void call(const struct tl_stall *stall)
{
	in_report = true;
	tl__tids_work_begins();	/* it may wake somebody */
	if (report_fn)
		report_fn(stall, report_arg);
	else
		tl_stall_write(stall, STDERR_FILENO);
	tl__tids_work_ends();
	in_report = false;
}

/* With the lock of the question, which it gives back. */
static void report(struct suspect *suspect)
{
	struct tl_stall stall = {
		.size = sizeof(stall),
		.task_name = "",
		.tid = suspect->asked.tid,
		.held_ns = suspect->held_ns,
		.report = suspect->report,
	};
	const struct tl__answer *found;
	struct tl__answer answer;

	found = tl__ask(&suspect->asked, NULL, NULL);
	if (found)
		answer = *found;
	tl__ask_unlock();
	if (found) {
		/* It has let go meanwhile, or there was nobody to wait for it. */
		if (answer.progress != suspect->progress ||
		    answer.round_left != suspect->round_left ||
		    answer.alive <= 1)
			return;
		stall.task_id = answer.id;
		stall.task_name = answer.name;
		stall.pc = (void *const *)answer.trace.pc;
		stall.npc = answer.trace.count;
	} else {
		suspect->found = false;
		tl__threads_each(look_again, suspect);
		if (!suspect->found)
			return;
	}
	tl__threads_each(count_report, suspect);
	call(&stall);
}

static uint64_t sample(struct tl__alarm *alarm)
{
	uint64_t period = limit / 4;
	struct suspect suspect;

	(void)alarm;
	if (period > PERIOD_MAX)
		period = PERIOD_MAX;
	if (tl__now() > next_ns + limit + LATE_NS)
		begun_ns = tl__now();
	do {
		suspect = (struct suspect){
			.now = tl__now(),
			/* tl_dump() may be under way: later, then. */
			.can_ask = tl__ask_trylock(),
		};
		tl__threads_each(look, &suspect);
		if (suspect.found)
			report(&suspect);
		else if (suspect.can_ask)
			tl__ask_unlock();
	} while (suspect.found);
	next_ns = tl__now() + period;
	return next_ns;
}

/* --- on and off ------------------------------------------------------------ */

static int start(void)
{
	int r;

	/* What takes time for the first time shall not do so in a report. */
	tl__ask_lock();
	(void)tl__ask_signal();
	tl__ask_unlock();
	begun_ns = next_ns = tl__now();
	r = tl__monitor_arm(&alarm_clock, next_ns);
	if (r)
		limit = 0;
	return r;
}

static void restart(void)
{
	/* relaxed: only which of several threads does it */
	if (!atomic_exchange_explicit(&to_restart, false,
				      memory_order_relaxed))
		return;
	pthread_mutex_lock(&control);
	if (limit && start())
		tl__log("no stall detector in a forked child: no thread");
	pthread_mutex_unlock(&control);
}

static void restart_delivered(struct tl_sched *s, struct tl__message *message)
{
	(void)s, (void)message;
	restart();
}

/* No thread may be started here: the forking one will, when it next looks. */
static void in_forked_child(void)
{
	struct tl_sched *s = tl__sched_self;

	pthread_mutex_init(&control, NULL);
	if (!limit)
		return;
	atomic_store_explicit(&to_restart, true, memory_order_relaxed);
	if (!s)
		return;
	restart_message.deliver = restart_delivered;
	tl__inbox_push(s, &restart_message);
	s->round_left = 0;
}

static void register_fork_handler(void)
{
	tl__threads_watch_forks();
	if (pthread_atfork(NULL, NULL, in_forked_child))
		tl__log_once("no stall detector in forked children: no memory "
			     "for a fork handler");
}

static int detect(uint64_t limit_ns, tl_stall_fn *fn, void *arg)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	int r = 0;

	if (limit_ns)
		pthread_once(&once, register_fork_handler);
	pthread_mutex_lock(&control);
	if (limit)
		tl__monitor_disarm(&alarm_clock);
	limit = limit_ns < LIMIT_MAX ? limit_ns : LIMIT_MAX;
	report_fn = fn;
	report_arg = arg;
	if (limit)
		r = start();
	pthread_mutex_unlock(&control);
	return r;
}

static void read_environment(void)
{
	const char *text = getenv("TL_STALL");
	uint64_t ns;
	int r;

	if (!text)
		return;
	r = tl__parse_duration_ns(text, TL__NS_PER_MS, 0, LIMIT_MAX, &ns);
	if (!r && ns && ns < LIMIT_MIN)
		r = -ERANGE;
	if (r) {
		tl__log("TL_STALL=%s: %s; ignored", text,
			r == -ERANGE ? "not within 1 ms and 11 days" :
				       "not a time as 250ms or 2s");
		return;
	}
	if (ns && detect(ns, NULL, NULL))
		tl__log("TL_STALL: no thread could be started; ignored");
}

static pthread_once_t environment_read = PTHREAD_ONCE_INIT;

static void keep_environment_out(void)
{
}

void tl__stall_thread_starts(void)
{
	pthread_once(&environment_read, read_environment);
	/* relaxed: see restart() */
	if (atomic_load_explicit(&to_restart, memory_order_relaxed))
		restart();
}

tl__cold int tl_stall_detect(uint64_t limit_ns, tl_stall_fn *fn, void *arg)
{
	int saved = errno;
	int r;

	if (limit_ns && limit_ns < LIMIT_MIN)
		return -EINVAL;
	if (in_report)
		return -EBUSY;
	pthread_once(&environment_read, keep_environment_out);
	r = detect(limit_ns, fn, arg);
	errno = saved;
	return r;
}

/* --- text ------------------------------------------------------------------ */

int tl_stall_write(const struct tl_stall *stall, int fd)
{
	struct tl__report *report = tl__report_begin(fd);
	struct tl__out *out = &report->out;
	struct tl__backtrace trace = { .count = 0 };

	tl__out_str(out, "libtasklet: ");
	if (stall->task_id) {
		tl__out_str(out, "tasklet");
		tl__report_label(report, stall->task_id, stall->task_name);
	} else {
		tl__out_str(out, "a tasklet");
	}
	tl__out_str(out, " has held thread ");
	tl__out_u64(out, (uint64_t)stall->tid);
	tl__out_str(out, " for ");
	tl__out_u64(out, stall->held_ns / TL__NS_PER_MS);
	tl__out_str(out, " ms\n");
	while (trace.count < stall->npc && trace.count < TL__BACKTRACE_MAX) {
		trace.pc[trace.count] = (uintptr_t)stall->pc[trace.count];
		trace.count++;
	}
	tl__backtrace_print(out, &report->symbols, &trace, 4);
	return tl__report_end(report);
}
