/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * tap.h: what a test program says, in TAP 13.
 *
 * Owns the plan, the count and the standard output of one test program. Keeps two promises: a line that was said is
 * with the reader before the call returns (a crash right after it loses nothing), and no line is said twice (nothing
 * sits in a buffer that fork() could copy). Every function may be called by any thread or tasklet; the one lock is
 * held for one write(2) and never while the test's own code runs. Lines are built in static memory, because the
 * caller may stand on a very small stack.
 *
 *	int main(void)
 *	{
 *		tap_plan(2);
 *		tap_ok(list_empty(&l), "a new list is empty");
 *		tap_is(list_len(&l), 0, "and %s", "its length is 0");
 *		return tap_exit();
 *	}
 *
 * A forked child is not the test: what it checks is said as a comment, and tap_exit() in it tells only of its own
 * checks. So a child ends with _exit(tap_exit()), and the parent checks that status with tap_ok().
 */
#ifndef TAP_H
#define TAP_H

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define TAP_EXIT_SKIP	4	/* kselftest's KSFT_SKIP */

#define TAP__PRINTF(f, a)	__attribute__((format(printf, f, a)))

struct tap__state {
	int lock;		/* 1: someone says a line */
	bool child;		/* forked after the plan: comments only */
	bool seeded;
	pid_t pid;		/* whose state this is */
	long plan, count, failed;
	unsigned long seed;
	char text[1024];	/* what the caller's format came to */
	char line[2304];	/* text with its escapes, and what stands before it */
};

/* Weak, so that a test of several files has one count and the header needs no .c file of its own. */
__attribute__((weak)) struct tap__state tap__state;

static inline void tap__lock(void)
{
	struct tap__state *s = &tap__state;
	pid_t pid = getpid();

	/* In a child only the thread that forked lives: a lock held by another one would never be given back. */
	if (s->pid != pid) {
		s->child = s->pid != 0;
		s->pid = pid;
		s->failed = 0;
		__atomic_store_n(&s->lock, 0, __ATOMIC_RELAXED);
	}
	/* pairs with tap.h:tap__unlock: the counts and the text of the last line */
	while (__atomic_exchange_n(&s->lock, 1, __ATOMIC_ACQUIRE))
		sched_yield();
}

static inline void tap__unlock(void)
{
	/* pairs with tap.h:tap__lock: the counts and the text of this line */
	__atomic_store_n(&tap__state.lock, 0, __ATOMIC_RELEASE);
}

/* One write a line, so that lines of stdout and stderr do not mix within a line. The lock is held, errno is kept. */
static inline void tap__write(const char *s, size_t len)
{
	int saved = errno;

	fflush(stdout);		/* what the test printed itself comes first */
	while (len) {
		ssize_t n = write(STDOUT_FILENO, s, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		s += n;
		len -= (size_t)n;
	}
	errno = saved;
}

static inline void tap__format(const char *fmt, va_list ap)
{
	struct tap__state *s = &tap__state;

	s->text[0] = '\0';
	vsnprintf(s->text, sizeof(s->text), fmt, ap);
}

/*
 * Says `head` and the text on one line. A description must not end its line nor begin a directive: '\n' becomes a
 * space and '#' is escaped. The lock is held.
 */
static inline void tap__say(const char *head, bool escape)
{
	struct tap__state *s = &tap__state;
	size_t n;
	const char *p;

	n = (size_t)snprintf(s->line, sizeof(s->line), "%.200s%s", head, s->text[0] ? " " : "");
	for (p = s->text; *p && n < sizeof(s->line) - 3; p++) {
		if (*p == '#' && escape)
			s->line[n++] = '\\';
		s->line[n++] = *p == '\n' ? ' ' : *p;
	}
	s->line[n++] = '\n';
	tap__write(s->line, n);
}

/* Says the text as comments, each of its lines with its own "# ". The lock is held. */
static inline void tap__comment(void)
{
	struct tap__state *s = &tap__state;
	char *p = s->text, *end;

	do {
		end = strchr(p, '\n');
		if (end)
			*end = '\0';
		tap__write(s->line, (size_t)snprintf(s->line, sizeof(s->line), "# %s\n", p));
		p = end ? end + 1 : p;
	} while (end && *p);
}

/* Says any text as a comment. The lock is held. */
static inline TAP__PRINTF(1, 2) void tap__note(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tap__format(fmt, ap);
	va_end(ap);
	tap__comment();
}

/* Says one result; the text is its description. The lock is held. */
static inline void tap__result(bool ok, const char *directive)
{
	struct tap__state *s = &tap__state;
	char head[64];

	s->failed += !ok;
	if (s->child)
		snprintf(head, sizeof(head), "# child %ld: %sok%s", (long)s->pid, ok ? "" : "not ", directive);
	else
		snprintf(head, sizeof(head), "%sok %ld%s", ok ? "" : "not ", ++s->count, directive);
	tap__say(head, !*directive);
}

/* Comment lines, shown with the failed test that stands before them. */
static inline TAP__PRINTF(1, 2) void tap_diag(const char *fmt, ...)
{
	va_list ap;

	tap__lock();
	va_start(ap, fmt);
	tap__format(fmt, ap);
	va_end(ap);
	tap__comment();
	tap__unlock();
}

/* Gives up the whole run at once: exit status 1, from any thread, without exit handlers. */
static inline __attribute__((noreturn)) TAP__PRINTF(1, 2) void tap_bail(const char *fmt, ...)
{
	va_list ap;

	tap__lock();
	va_start(ap, fmt);
	tap__format(fmt, ap);
	va_end(ap);
	tap__say(tap__state.child ? "# child: Bail out!" : "Bail out!", false);
	_exit(1);
}

/* First call of a test: how many results it will say. */
static inline void tap_plan(long n)
{
	struct tap__state *s = &tap__state;

	fflush(stdout);
	/* The test's own printf() too must be neither lost in a crash nor repeated by a child. */
	setvbuf(stdout, NULL, _IONBF, 0);
	tap__lock();
	s->plan = n;
	tap__write(s->line, (size_t)snprintf(s->line, sizeof(s->line), "TAP version 13\n1..%ld\n", n));
	tap__unlock();
}

static inline TAP__PRINTF(5, 6) bool tap__ok(bool ok, const char *cond, const char *file, int line,
					     const char *fmt, ...)
{
	va_list ap;

	tap__lock();
	va_start(ap, fmt);
	tap__format(fmt, ap);
	va_end(ap);
	tap__result(ok, "");
	if (!ok)
		tap__note("at %s:%d: %s", file, line, cond);
	tap__unlock();
	return ok;
}

static inline TAP__PRINTF(6, 7) bool tap__is(long long got, long long want, const char *cond, const char *file,
					     int line, const char *fmt, ...)
{
	va_list ap;

	tap__lock();
	va_start(ap, fmt);
	tap__format(fmt, ap);
	va_end(ap);
	tap__result(got == want, "");
	if (got != want)
		tap__note("at %s:%d: %s\n     got: %lld\nexpected: %lld", file, line, cond, got, want);
	tap__unlock();
	return got == want;
}

/* bool tap_ok(bool cond, const char *fmt, ...): one result; gives the condition back. */
#define tap_ok(cond, ...)	tap__ok(!!(cond), #cond, __FILE__, __LINE__, __VA_ARGS__)

/* bool tap_is(long long got, long long want, const char *fmt, ...): one result; says both values where they differ. */
#define tap_is(got, want, ...)	tap__is((got), (want), #got " == " #want, __FILE__, __LINE__, __VA_ARGS__)

/* One test that cannot run here, and why. */
static inline TAP__PRINTF(1, 2) void tap_skip(const char *fmt, ...)
{
	va_list ap;

	tap__lock();
	va_start(ap, fmt);
	tap__format(fmt, ap);
	va_end(ap);
	tap__result(true, " # SKIP");
	tap__unlock();
}

/* All that the plan still holds cannot run here, and why. */
static inline TAP__PRINTF(1, 2) void tap_skip_rest(const char *fmt, ...)
{
	struct tap__state *s = &tap__state;
	va_list ap;

	tap__lock();
	va_start(ap, fmt);
	tap__format(fmt, ap);
	va_end(ap);
	while (!s->child && s->count < s->plan)
		tap__result(true, " # SKIP");
	tap__unlock();
}

/* Instead of tap_plan(): nothing of this program can run here, and why. Ends it with TAP_EXIT_SKIP. */
static inline __attribute__((noreturn)) TAP__PRINTF(1, 2) void tap_skip_all(const char *fmt, ...)
{
	va_list ap;

	if (tap__state.plan || tap__state.count)
		tap_bail("tap_skip_all() after tap_plan(): use tap_skip_rest()");
	tap__lock();
	va_start(ap, fmt);
	tap__format(fmt, ap);
	va_end(ap);
	tap__say("TAP version 13\n1..0 # SKIP", false);
	tap__unlock();
	exit(TAP_EXIT_SKIP);
}

/* Last call, the value for exit(): 0 if all passed and the plan was kept, else 1 and a line that says which. */
static inline int tap_exit(void)
{
	struct tap__state *s = &tap__state;
	int ret;

	tap__lock();
	if (!s->child && s->count != s->plan)
		tap__note("planned %ld tests but ran %ld", s->plan, s->count);
	if (s->failed && !s->child)
		tap__note("%ld of %ld tests failed", s->failed, s->count);
	ret = s->failed || (!s->child && s->count != s->plan);
	tap__unlock();
	return ret;
}

/*
 * The seed of this run, from TL_SEED or from the kernel, and a comment line that says how to have it again. Later calls
 * give the same seed without a line. Tests that choose at random take every choice from it:
 *
 *	uint64_t rnd = tap_seed();
 *	size_t victim = tap_random(&rnd) % n;
 */
static inline unsigned long tap_seed(void)
{
	struct tap__state *s = &tap__state;
	const char *env = getenv("TL_SEED");
	unsigned long seed = 0;
	char *end;

	if (s->seeded)
		return s->seed;
	if (env) {
		errno = 0;
		seed = strtoul(env, &end, 0);
		if (errno || end == env || *end || strchr(env, '-'))
			tap_bail("TL_SEED=%s is not a number between 0 and %lu", env, ~0ul);
	} else if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed)) {
		tap_bail("getrandom: %s", strerror(errno));
	}
	s->seed = seed;
	s->seeded = true;
	tap_diag("seed %lu (replay with TL_SEED=%lu)", seed, seed);
	return seed;
}

/*
 * splitmix64 (Steele, Lea, Flood 2014): 64 well mixed bits a call, every state is a good one, even 0, and the period is
 * 2^64. One state a thread: nothing is shared, so that a failing run can be replayed.
 */
static inline uint64_t tap_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

#endif /* TAP_H */
