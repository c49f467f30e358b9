/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The explorer; see explore.h.
 *
 *	explore [-l] [-b BOUND] [-s SECONDS] [-r SCHEDULE] [SCENARIO...]
 *
 * Runs the scenarios (all if none is named), each with 0, 1, ... BOUND preemptions, and prints how many interleavings
 * that were. -s: give a scenario up after that time, which is a failure: what was not run is not claimed. -r: run one
 * schedule, as a failure printed it, and show each step.
 * Exit: 0 all hold, 1 a bug, 2 usage, 3 a scenario took too long.
 *
 * A schedule is a list of threads with how many steps each: a3b1a2 is three of the first, one of the second and two of
 * the first.
 */
#include "explore.h"

#include <errno.h>

#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MAX_STEPS 20000
#define PATIENCE 2		/* turns of a spinning loop before it has to hand over */
#define MAX_GONE 64
#define FOREVER UINT64_MAX
#define START_NS UINT64_C(1000000000)

enum state { READY, WAITS_FUTEX, WAITS_MUTEX, DONE };
enum command { BEGIN, BODY, FINISH };

static struct thread {
	uint32_t baton;		/* 1: it's this one's turn */
	enum state state;
	const void *address;	/* what it waits for */
	uint64_t deadline_ns;
	uint64_t since;		/* order of the waits */
	unsigned int after;	/* threads that have to take a step first */
	unsigned int timed_after; /* ... before it may time out again */
	bool timed_out;		/* the last wait */
	int pauses;
	const char *what, *file;
	int line;
	const volatile void *touches;
} threads[EXPLORE_THREADS + 1];	/* the last is the controller */

#define CONTROLLER EXPLORE_THREADS

static __thread int self = -1;
static const struct explore_scenario *scenario;
static enum command command;
static bool active, starting;
static int count;		/* of threads */
static uint64_t now_ns, waits;

/* One execution. */
static uint8_t taken[MAX_STEPS];
static unsigned int steps;
static int preemptions, bound;

/* The path through the tree: at each place with a choice, which one of how many. */
static struct { uint8_t choice, of; } path[MAX_STEPS];
static unsigned int depth, path_len;

static const char *replay;
static unsigned int replay_left;
static int replay_thread;

static struct { const char *from, *to, *name; } gone[MAX_GONE];
static int ngone;

static void print_schedule(FILE *to)
{
	unsigned int i, n;

	for (i = 0; i < steps; i += n) {
		for (n = 1; i + n < steps && taken[i + n] == taken[i]; n++)
			;
		fprintf(to, "%c%u", 'a' + taken[i], n);
	}
}

static const char *base_name(const char *path_name)
{
	const char *slash = path_name ? strrchr(path_name, '/') : NULL;

	return slash ? slash + 1 : path_name;
}

static void print_threads(void)
{
	static const char *const words[] = {
		[READY] = "before", [WAITS_FUTEX] = "asleep in", [WAITS_MUTEX] = "waits in", [DONE] = "done, last",
	};
	int i;

	for (i = 0; i < count; i++)
		printf("  %c: %s %s (%s:%d)\n", 'a' + i, words[threads[i].state],
		       threads[i].what ? threads[i].what : "its begin",
		       threads[i].file ? base_name(threads[i].file) : "-", threads[i].line);
}

static void print_bug(const char *what)
{
	printf("BUG %s: %s\n  with %d preemptions; replay with: -r ", scenario->name, what, preemptions);
	print_schedule(stdout);
	printf(" %s\n", scenario->name);
	print_threads();
	fflush(stdout);
}

void explore_fail(const char *fmt, ...)
{
	char what[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	print_bug(what);
	_exit(1);
}

/* A crash has a schedule as well. The library's own handler, which comes first, passes it on. */
static void crashed(int sig)
{
	explore_fail("signal %d, in %c", sig, self < 0 ? '-' : 'a' + self);
}

/* Built with the address sanitizer: what is freed too early is seen in the interleaving that does it. */
const char *__asan_default_options(void);
void __asan_on_error(void);

const char *__asan_default_options(void)
{
	/* What an execution leaves behind is for other tests to see; signals are ours. */
	return "detect_leaks=0:handle_segv=0:handle_sigbus=0:handle_abort=0:quarantine_size_mb=1";
}

void __asan_on_error(void)
{
	print_bug("memory that is not there (a report of the address sanitizer follows)");
}

/* --- the baton ---------------------------------------------------------------------------------------------------- */

/*
 * noipa: the compiler would see that these two touch no variable of ours, and keep some of them in registers from one
 * hand-over to the next.
 */
static __attribute__((noipa)) void give(int to)
{
	/* pairs with take(): all that was done by whoever had it */
	__atomic_store_n(&threads[to].baton, 1, __ATOMIC_RELEASE);
	syscall(SYS_futex, &threads[to].baton, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static __attribute__((noipa)) void take(int me)
{
	/* pairs with give() */
	while (!__atomic_load_n(&threads[me].baton, __ATOMIC_ACQUIRE))
		syscall(SYS_futex, &threads[me].baton, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
	__atomic_store_n(&threads[me].baton, 0, __ATOMIC_RELAXED);
}

/* --- choices ------------------------------------------------------------------------------------------------------ */

/* Those that sleep until a time before @deadline_ns. */
static unsigned int sleep_until(uint64_t deadline_ns)
{
	unsigned int mask = 0;
	int i;

	for (i = 0; i < count; i++)
		if (threads[i].state == WAITS_FUTEX && threads[i].deadline_ns < deadline_ns)
			mask |= 1u << i;
	return mask;
}

static bool can_go_on(int i, unsigned int ready)
{
	const struct thread *t = &threads[i];

	ready &= ~(1u << i);
	if (t->state == WAITS_FUTEX)
		return t->deadline_ns != FOREVER && !(t->after & ready) &&
		       !(t->timed_after & (ready | sleep_until(t->deadline_ns)));
	return t->state == READY && !(t->after & ready);
}

static unsigned int all_ready(void)
{
	unsigned int mask = 0;
	int i;

	for (i = 0; i < count; i++)
		if (threads[i].state == READY)
			mask |= 1u << i;
	return mask;
}

/* Which of @n choices this path takes. */
static int follow_path(int n)
{
	if (depth == path_len) {
		path[path_len].choice = 0;
		path[path_len++].of = (uint8_t)n;
	} else if (path[depth].of != n) {
		printf("BUG %s: the same schedule does not run the same way twice (choice %u: %d of %d)\n",
		       scenario->name, depth, n, path[depth].of);
		print_threads();
		fflush(stdout);
		_exit(1);
	}
	return path[depth++].choice;
}

/* Which of the threads in @list, @n of them, the replayed schedule names next. */
static int follow_replay(const int *list, int n)
{
	char *end;
	int i;

	if (!replay_left && *replay) {
		replay_thread = *replay - 'a';
		replay_left = (unsigned int)strtoul(replay + 1, &end, 10);
		if (!replay_left)
			replay_left = 1;
		replay = end;
	}
	if (!replay_left)	/* the end of it: go on as is simplest */
		return 0;
	replay_left--;
	for (i = 0; i < n; i++)
		if (list[i] == replay_thread)
			return i;
	printf("the schedule does not fit: step %u can't be %c's\n", steps, 'a' + replay_thread);
	print_threads();
	fflush(stdout);
	_exit(2);
}

static void show_step(int i)
{
	printf("%5u %c %s %s:%d%s\n", steps, 'a' + i, threads[i].what ? threads[i].what : "", base_name(threads[i].file),
	       threads[i].line, threads[i].state == WAITS_FUTEX ? "  (times out)" : "");
}

/*
 * Chooses who goes on. @me has the baton; @stays: it could go on, so that to choose another one is a preemption. @me
 * may be none (-1).
 */
static int choose(int me, bool stays)
{
	int list[EXPLORE_THREADS], n = 0, allowed, pick, i;
	unsigned int ready = all_ready();

	if (stays)
		list[n++] = me;
	for (i = 0; i < count; i++)
		/* @me is among them if it sleeps with a deadline, not if it has yielded. */
		if ((i != me || threads[i].state != READY) && can_go_on(i, ready))
			list[n++] = i;
	if (!n && me >= 0 && threads[me].state == READY)
		list[n++] = me;		/* a loop that waits, and nobody else */
	if (!n) {
		for (i = 0; i < count; i++)
			if (threads[i].state != DONE)
				explore_fail("nobody can go on: a wake-up is lost, or there is a deadlock");
		return CONTROLLER;
	}
	allowed = stays && preemptions == bound && !replay ? 1 : n;
	if (replay)
		pick = follow_replay(list, n);
	else
		pick = allowed > 1 ? follow_path(allowed) : 0;
	if (stays && pick)
		preemptions++;
	i = list[pick];
	if (steps >= MAX_STEPS)
		explore_fail("no end after %u steps", steps);
	taken[steps++] = (uint8_t)i;
	if (replay)
		show_step(i);
	for (pick = 0; pick < count; pick++) {
		threads[pick].after &= ~(1u << i);
		threads[pick].timed_after &= ~(1u << i);
	}
	if (threads[i].state == WAITS_FUTEX) {
		threads[i].state = READY;
		threads[i].timed_out = true;
		threads[i].timed_after = (ready | sleep_until(FOREVER)) & ~(1u << i);
		if (now_ns < threads[i].deadline_ns)
			now_ns = threads[i].deadline_ns;
	}
	return i;
}

/* Lets @next go on, and returns when it is our turn again. */
static void hand_over(int next)
{
	if (next == self)
		return;
	threads[self].pauses = 0;
	give(next);
	take(self);
}

/* At first each thread goes to its first point, in turn; then the first choice is made. */
static int next_to_start(void)
{
	if (self + 1 < count)
		return self + 1;
	starting = false;
	return choose(-1, false);
}

static bool at(const volatile void *address, const char *what, const char *file, int line)
{
	struct thread *t;

	if (!active || self < 0)
		return false;
	t = &threads[self];
	t->touches = address;
	t->what = what;
	t->file = file;
	t->line = line;
	return true;
}

static void check_gone(void)
{
	const char *p = (const char *)(uintptr_t)threads[self].touches;
	int i;

	for (i = 0; i < ngone; i++)
		if (p >= gone[i].from && p < gone[i].to)
			explore_fail("%s is gone, and is touched by %c: %s (%s:%d)", gone[i].name, 'a' + self,
				     threads[self].what, base_name(threads[self].file), threads[self].line);
}

void explore_point(const volatile void *address, const char *what, const char *file, int line)
{
	if (!at(address, what, file, line))
		return;
	hand_over(starting ? next_to_start() : choose(self, true));
	check_gone();
}

/* --- what waits --------------------------------------------------------------------------------------------------- */

int explore_futex_wait_by(_Atomic uint32_t *word, uint32_t value, uint64_t deadline_ns, const char *file, int line)
{
	struct thread *t = &threads[self < 0 ? CONTROLLER : self];

	explore_point(word, "futex wait", file, line);
	if (__atomic_load_n((uint32_t *)word, __ATOMIC_SEQ_CST) != value)
		return -EAGAIN;
	if (!active) {		/* alone: nobody will wake us, but the time may come */
		if (deadline_ns == FOREVER)
			explore_fail("%s:%d: a wait for ever in begin or finish", base_name(file), line);
		now_ns = now_ns < deadline_ns ? deadline_ns : now_ns;
		return -ETIMEDOUT;
	}
	if (deadline_ns <= now_ns)
		return -ETIMEDOUT;
	t->state = WAITS_FUTEX;
	t->address = word;
	t->deadline_ns = deadline_ns;
	t->since = ++waits;
	t->timed_out = false;
	hand_over(choose(self, false));
	return t->timed_out ? -ETIMEDOUT : 0;
}

void explore_futex_wait(_Atomic uint32_t *word, uint32_t value, uint64_t deadline_ns, const char *file, int line)
{
	(void)explore_futex_wait_by(word, value, deadline_ns, file, line);
}

void explore_futex_wake(_Atomic uint32_t *word, int n, const char *file, int line)
{
	int i, first;

	/* Futexes are woken by address: their memory may be gone by design. */
	explore_point(NULL, "futex wake", file, line);
	for (; n > 0; n--) {
		for (first = -1, i = 0; i < count; i++)
			if (threads[i].state == WAITS_FUTEX && threads[i].address == (void *)word &&
			    (first < 0 || threads[i].since < threads[first].since))
				first = i;
		if (first < 0)
			return;
		threads[first].state = READY;
	}
}

int explore_yield(const char *file, int line)
{
	if (!at(NULL, "yield", file, line))
		return 0;
	if (starting) {
		hand_over(next_to_start());
		return 0;
	}
	threads[self].after = all_ready() & ~(1u << self);
	hand_over(choose(self, false));
	return 0;
}

void explore_pause(const char *file, int line)
{
	if (active && self >= 0 && ++threads[self].pauses > PATIENCE)
		explore_yield(file, line);
}

void explore_mutex_lock(pthread_mutex_t *mutex, const char *file, int line)
{
	explore_point(mutex, "mutex lock", file, line);
	while (pthread_mutex_trylock(mutex)) {
		threads[self].state = WAITS_MUTEX;
		threads[self].address = mutex;
		hand_over(choose(self, false));
	}
}

void explore_mutex_unlock(pthread_mutex_t *mutex)
{
	int i;

	pthread_mutex_unlock(mutex);
	for (i = 0; i < count; i++)
		if (threads[i].state == WAITS_MUTEX && threads[i].address == mutex)
			threads[i].state = READY;
}

uint64_t explore_now(void)
{
	return now_ns;
}

void explore_gone(const void *memory, size_t size, const char *name)
{
	if (ngone == MAX_GONE)
		explore_fail("too much memory is gone");
	gone[ngone].from = memory;
	gone[ngone].to = (const char *)memory + size;
	gone[ngone++].name = name;
}

/* --- executions --------------------------------------------------------------------------------------------------- */

static void *thread_main(void *arg)
{
	int me = (int)(intptr_t)arg;

	self = me;
	for (;;) {
		take(me);
		switch (command) {
		case BEGIN:
			if (scenario->begin)
				scenario->begin(me);
			give(me + 1 < count ? me + 1 : CONTROLLER);
			break;
		case BODY:
			scenario->body(me);
			threads[me].state = DONE;
			give(starting ? next_to_start() : choose(me, false));
			break;
		case FINISH:
			if (scenario->finish)
				scenario->finish(me);
			give(me + 1 < count ? me + 1 : CONTROLLER);
			break;
		}
	}
	return NULL;
}

static void each_in_turn(enum command c)
{
	command = c;
	give(0);
	take(CONTROLLER);
}

static void execute(void)
{
	int i;

	steps = depth = 0;
	preemptions = 0;
	ngone = 0;
	now_ns = START_NS;
	waits = 0;
	for (i = 0; i < count; i++) {
		threads[i].state = READY;
		threads[i].after = threads[i].timed_after = 0;
		threads[i].pauses = 0;
		threads[i].what = threads[i].file = NULL;
		threads[i].line = 0;
	}
	if (scenario->setup)
		scenario->setup();
	each_in_turn(BEGIN);
	command = BODY;
	starting = active = true;
	give(0);
	take(CONTROLLER);
	active = false;
	each_in_turn(FINISH);
	if (scenario->check)
		scenario->check();
}

/* Goes to the next path; false: that was the last. */
static bool next_path(void)
{
	if (depth != path_len)
		explore_fail("the same schedule does not run the same way twice: it ends early");
	while (path_len && path[path_len - 1].choice + 1 == path[path_len - 1].of)
		path_len--;
	if (!path_len)
		return false;
	path[path_len - 1].choice++;
	return true;
}

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Returns the exit status. */
static int explore(const struct explore_scenario *s, int max_bound, double limit_s)
{
	unsigned long executions = 0;
	unsigned int longest = 0;
	double start = seconds();

	scenario = s;
	count = s->threads;
	if (replay) {
		execute();
		printf("%s: nothing found with this schedule\n", s->name);
		return 0;
	}
	/* What is made only once (locks, keys, caches) is made now: later runs must be alike. */
	bound = 0;
	path_len = 0;
	execute();
	printf("%s:", s->name);
	for (bound = 0; bound <= max_bound; bound++) {
		path_len = 0;
		executions = 0;
		do {
			execute();
			executions++;
			longest = steps > longest ? steps : longest;
			if (limit_s > 0 && executions % 256 == 0 && seconds() - start > limit_s) {
				printf(" not finished with %d preemptions after %lu interleavings\n", bound, executions);
				return 3;
			}
		} while (next_path());
		printf(" %lu", executions);
		fflush(stdout);
	}
	printf(" interleavings with 0-%d preemptions, at most %u steps, %.1f s: %s\n", max_bound, longest,
	       seconds() - start, s->what);
	if (s->wanted && max_bound == s->bound && s->wanted != executions) {
		printf("BUG %s: there are %lu interleavings in truth\n", s->name, s->wanted);
		return 1;
	}
	return 0;
}

static const struct explore_scenario *const lists[] = { explore_self, explore_core, explore_chan, explore_sync,
	explore_gil, explore_preload };

static bool is_named(const struct explore_scenario *s, char **names)
{
	if (!*names)
		return true;
	for (; *names; names++)
		if (!strcmp(*names, s->name))
			return true;
	return false;
}

static void start_threads(void)
{
	pthread_t t;
	cpu_set_t one;
	int i;

	/* On one processor a hand-over is a plain switch. */
	CPU_ZERO(&one);
	CPU_SET((size_t)sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
	for (i = 0; i < EXPLORE_THREADS; i++)
		if (pthread_create(&t, NULL, thread_main, (void *)(intptr_t)i)) {
			fputs("explore: pthread_create failed\n", stderr);
			exit(2);
		}
}

int main(int argc, char **argv)
{
	int opt, max_bound = -1, status = 0, ran = 0, r;
	const struct explore_scenario *s;
	bool list_only = false;
	double limit_s = 0;
	unsigned int i;

	while ((opt = getopt(argc, argv, "lb:s:r:")) != -1) {
		switch (opt) {
		case 'l': list_only = true; break;
		case 'b': max_bound = atoi(optarg); break;
		case 's': limit_s = atof(optarg); break;
		case 'r': replay = optarg; break;
		default: return 2;
		}
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGSEGV, crashed);
	signal(SIGBUS, crashed);
	signal(SIGABRT, crashed);
	if (!list_only)
		start_threads();
	for (i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
		for (s = lists[i]; s->name; s++) {
			if (!is_named(s, argv + optind))
				continue;
			ran++;
			if (list_only) {
				puts(s->name);
				continue;
			}
			r = explore(s, max_bound >= 0 ? max_bound : s->bound ? s->bound : EXPLORE_BOUND, limit_s);
			status = r ? r : status;
		}
	}
	if (!ran) {
		fputs("explore: no such scenario\n", stderr);
		return 2;
	}
	return status;
}
