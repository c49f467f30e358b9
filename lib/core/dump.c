/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * tl_dump(): what all tasklets of the process do, with their backtraces.
 *
 * Each thread describes its own tasklets, between two of their steps, for nobody
 * else can look at them; ask.h is how it is told to. Locks: ask.h, then, for a
 * block of text, report.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <tasklet/dump.h>

#include "core/ask.h"
#include "core/report.h"
#include "core/task.h"
#include "core/threads.h"
#include "os/clock.h"

struct totals {
	int fd;
	int error;
	uint64_t threads, silent;	/* silent: only what runs is known */
	uint64_t tasklets, running, runnable, blocked, paused;
};

/* A walk over the tasklets of the calling thread. */
struct walk {
	struct tl__report *report;
	struct tl_sched *sched;
	const struct tl_task *here;	/* on whose stack we are */
	const void *below;		/* frames down to this one are ours */
	uint64_t now;
	uint64_t left;			/* how many may still be shown */
};

static void count(struct tl__out *out, uint64_t n, const char *what)
{
	tl__out_u64(out, n);
	tl__out_str(out, " ");
	tl__out_str(out, what);
}

static void counted(struct tl__out *out, uint64_t n, const char *what)
{
	count(out, n, what);
	if (n != 1)
		tl__out_str(out, "s");
}

static void put_states(struct tl__out *out, uint64_t running,
		       uint64_t runnable, uint64_t blocked, uint64_t paused)
{
	count(out, running, "running, ");
	count(out, runnable, "runnable, ");
	count(out, blocked, "blocked, ");
	count(out, paused, "paused");
}

/* --- one tasklet ----------------------------------------------------------- */

/* Not t->sched: that is gone already when a scheduler ends. */
static const char *state_name(const struct walk *walk, const struct tl_task *t)
{
	static const char *const names[] = {
		[TL__UNBOUND] = "unbound",   [TL__BOUND] = "bound",
		[TL__PAUSED] = "paused",     [TL__RUNNABLE] = "runnable",
		[TL__BLOCKED] = "blocked",   [TL__DEAD] = "dead",
	};

	return t == walk->sched->head ? "running" : names[tl__state(t)];
}

static void put_wait(const struct walk *walk, const struct tl_task *t)
{
	struct tl__out *out = &walk->report->out;
	char text[160];
	uint64_t deadline;

	tl__out_str(out, ": ");
	if (t->wait_ops->describe) {
		t->wait_ops->describe(t, text, sizeof(text));
		tl__out_name(out, text);
	} else {
		tl__out_str(out, t->wait_ops->verb);
		if (t->wait_object) {
			tl__out_str(out, " ");
			tl__out_hex(out, (uintptr_t)t->wait_object);
		}
	}
	if (!tl__heap_has(&t->timer))
		return;
	deadline = walk->sched->timers.entry[t->timer.pos - 1].key;
	tl__out_str(out, ", ");
	count(out, deadline > walk->now ?
		      (deadline - walk->now) / 1000000 : 0, "ms left");
}

static void put_line(const struct walk *walk, const struct tl_task *t)
{
	struct tl__out *out = &walk->report->out;
	bool main = t->flags & TL__MAIN;
	uint32_t handles = tl__refs(t) - main;

	tl__out_str(out, "  tasklet");
	tl__report_label(walk->report, t->id,
			 t->name || !main ? t->name : "main");
	tl__out_str(out, " ");
	tl__out_str(out, state_name(walk, t));
	if (tl__state(t) == TL__BLOCKED)
		put_wait(walk, t);
	if (t->flags & TL__IN_RUN)
		tl__out_str(out, ", in tl_run()");
	if (tl__is_alive(t) && !(t->flags & TL__STARTED))
		tl__out_str(out, ", not started");
	if (t->flags & TL__RAISED)
		tl__out_str(out, t->flags & TL__KILLED ? ", killed" :
							 ", thrown at");
	if (t->flags & TL__SHIELDED)
		tl__out_str(out, ", shielded");
	if (handles) {
		tl__out_str(out, ", ");
		counted(out, handles, "handle");
	}
	tl__out_str(out, "\n");
}

static void put_function(const struct walk *walk, const struct tl_task *t)
{
	struct tl__out *out = &walk->report->out;

	tl__out_str(out, "    function ");
	tl__symbol_print(out, &walk->report->symbols, (uintptr_t)t->fn);
	tl__out_str(out, "\n");
}

static void put_trace(const struct walk *walk, const struct tl_task *t)
{
	struct tl__backtrace trace;

	if (t == walk->here)
		tl__backtrace_here(&trace, walk->below);
	else
		tl__backtrace_suspended(&trace, t);
	tl__backtrace_print(&walk->report->out, &walk->report->symbols, &trace,
			    4);
	/* Where it ended with the call that it is in, no frame of it is left. */
	if (!trace.count && t->fn)
		put_function(walk, t);
}

static bool put_task(struct tl_task *t, void *arg)
{
	struct walk *walk = arg;

	/* What is neither alive nor has a handle is a free stack. */
	if (!tl__is_alive(t) && !tl__refs(t))
		return true;
	if (!walk->left--) {
		tl__out_str(&walk->report->out, "  and others\n");
		return false;
	}
	put_line(walk, t);
	if (tl__is_alive(t) && (t->flags & TL__STARTED))
		put_trace(walk, t);
	else if (tl__is_alive(t) || tl__state(t) == TL__BOUND)
		put_function(walk, t);
	return !walk->report->out.error;
}

/* --- one thread ------------------------------------------------------------ */

struct search {
	const char *address;
	const struct tl_task *found;
};

static bool is_on_stack(struct tl_task *t, void *arg)
{
	struct search *search = arg;

	if (search->address >= (const char *)t ||
	    search->address < tl__stack_low(t))
		return true;
	search->found = t;
	return false;
}

/*
 * The tasklet on whose stack we are. Not always the head: one that blocks waits
 * on its own stack for the next, and in a switch the head is changed first.
 */
static const struct tl_task *stack_owner(struct tl_sched *s,
					 const void *address)
{
	struct search search = { .address = address, .found = s->main };

	tl__stack_each(s, is_on_stack, &search);
	return search.found;
}

static void put_thread(struct tl__out *out, int tid, const char *name)
{
	tl__out_str(out, "thread ");
	tl__out_u64(out, (uint64_t)tid);
	if (*name) {
		tl__out_str(out, " (");
		tl__out_name(out, name);
		tl__out_str(out, ")");
	}
	tl__out_str(out, ": ");
}

static void add_up(struct totals *totals, uint64_t alive, bool running,
		   unsigned int runnable, unsigned int paused)
{
	totals->threads++;
	totals->tasklets += alive;
	totals->running += running;
	totals->runnable += runnable - running;
	totals->paused += paused;
	totals->blocked += alive - runnable - paused;
}

/* The block of the calling thread, whose frames down to @below are ours. */
static int dump_own(struct tl_sched *s, int fd, const void *below,
		    uint64_t limit)
{
	struct walk walk = {
		.report = tl__report_begin(fd),
		.sched = s,
		.here = stack_owner(s, below),
		.below = below,
		.now = tl__now(),
		.left = limit,
	};
	struct tl__out *out = &walk.report->out;
	bool running = s->head;
	char name[16] = "";

	prctl(PR_GET_NAME, name);
	put_thread(out, s->tid, name);
	counted(out, s->alive, "tasklet");
	tl__out_str(out, ": ");
	put_states(out, running, s->runcount - running,
		   s->alive - s->runcount - s->paused, s->paused);
	tl__out_str(out, "\n");
	put_task(s->main, &walk);
	tl__stack_each(s, put_task, &walk);
	return tl__report_end(walk.report);
}

tl__cold int tl__dump_own(struct tl_sched *s, int fd, uint64_t limit)
{
	int saved = errno;
	int r = dump_own(s, fd, __builtin_frame_address(0), limit);

	errno = saved;
	return r;
}

/* The thread that is asked runs this, when it looks into its inbox. */
static void dump_asked(struct tl_sched *s, void *arg, const void *below)
{
	struct totals *totals = arg;
	int saved = errno;

	add_up(totals, s->alive, s->head, s->runcount, s->paused);
	totals->error = dump_own(s, totals->fd, below, UINT64_MAX);
	errno = saved;
}

/* --- all threads ----------------------------------------------------------- */

/* The name of another thread, as ps(1) shows it; "" if it is gone. */
static void thread_name(int tid, char *name, size_t size)
{
	char path[48];
	ssize_t len = 0;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/comm", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		len = read(fd, name, size);
		close(fd);
	}
	name[len > 0 ? len - 1 : 0] = '\0';	/* for its newline */
}

/* One that has answered in a signal handler, or not at all (NULL). */
static int put_silent(struct totals *totals, const struct tl__asked *asked,
		      const struct tl__answer *answer)
{
	struct tl__report *report = tl__report_begin(totals->fd);
	struct tl__out *out = &report->out;
	char name[32];
	bool running;

	thread_name(asked->tid, name, sizeof(name));
	put_thread(out, asked->tid, name);
	if (!answer) {
		totals->threads++;
		tl__out_str(out, "does not answer\n");
		return tl__report_end(report);
	}
	running = answer->running;
	counted(out, answer->alive, "tasklet");
	tl__out_str(out, ": ");
	put_states(out, running, answer->runnable - running,
		   answer->alive - answer->runnable - answer->paused,
		   answer->paused);
	tl__out_str(out, "; busy, so only this one\n");
	if (answer->id) {
		tl__out_str(out, "  tasklet");
		tl__report_label(report, answer->id, answer->name);
		tl__out_str(out, " running\n");
	}
	tl__backtrace_print(out, &report->symbols, &answer->trace, 4);
	add_up(totals, answer->alive, running, answer->runnable,
	       answer->paused);
	return tl__report_end(report);
}

/*
 * The threads are taken in the order of their main tasklets' numbers, up to the
 * last one that was there at the beginning: where threads come and go faster than
 * we look, it would have no end otherwise.
 */
struct next {
	uint64_t after, last;
	struct tl__asked asked;
};

static bool find_last(struct tl_sched *s, void *arg)
{
	struct next *next = arg;

	if (s->main->id > next->last)
		next->last = s->main->id;
	return true;
}

static bool find_next(struct tl_sched *s, void *arg)
{
	struct next *next = arg;

	if (s->main->id > next->after && s->main->id <= next->last &&
	    (!next->asked.sched || s->main->id < next->asked.main_id))
		next->asked = tl__ask_identity(s);
	return true;
}

static void dump_thread(struct totals *totals, const struct tl__asked *asked,
			const void *below)
{
	const struct tl__answer *answer;
	struct tl_sched *s = tl__sched_self;

	if (asked->sched == s) {
		add_up(totals, s->alive, s->head, s->runcount, s->paused);
		totals->error = dump_own(s, totals->fd, below, UINT64_MAX);
		return;
	}
	answer = tl__ask(asked, dump_asked, totals);
	if (answer && !answer->by_signal)
		return;
	totals->silent++;
	totals->error = put_silent(totals, asked, answer);
}

static int put_head(int fd)
{
	struct tl__report *report = tl__report_begin(fd);

	tl__out_str(&report->out, "process ");
	tl__out_u64(&report->out, (uint64_t)getpid());
	tl__out_str(&report->out, " (");
	tl__out_name(&report->out, program_invocation_short_name);
	tl__out_str(&report->out, "), libtasklet ");
	tl__out_str(&report->out, tl_version());
	tl__out_str(&report->out, "\n");
	return tl__report_end(report);
}

static int put_totals(const struct totals *totals)
{
	struct tl__report *report = tl__report_begin(totals->fd);
	struct tl__out *out = &report->out;

	tl__out_str(out, "total: ");
	counted(out, totals->threads, "thread");
	tl__out_str(out, ", ");
	counted(out, totals->tasklets, "tasklet");
	tl__out_str(out, ": ");
	put_states(out, totals->running, totals->runnable, totals->blocked,
		   totals->paused);
	if (totals->silent) {
		tl__out_str(out, "; ");
		counted(out, totals->silent, "thread");
		tl__out_str(out, " not in full");
	}
	tl__out_str(out, "\n");
	return tl__report_end(report);
}

tl__cold int tl_dump(int fd)
{
	struct totals totals = { .fd = fd };
	struct next next = { 0 };
	int saved = errno;

	tl__ask_lock();
	tl__threads_each(find_last, &next);
	totals.error = put_head(fd);
	while (!totals.error) {
		next.asked.sched = NULL;
		tl__threads_each(find_next, &next);
		if (!next.asked.sched)
			break;
		next.after = next.asked.main_id;
		dump_thread(&totals, &next.asked, __builtin_frame_address(0));
	}
	if (!totals.error)
		totals.error = put_totals(&totals);
	tl__ask_unlock();
	errno = saved;
	return totals.error;
}

int tl_dump_set_signal(int sig)
{
	int r;

	tl__ask_lock();
	r = tl__ask_set_signal(sig);
	tl__ask_unlock();
	return r;
}
