/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * check.h: what the tests of tasklets and channels share: a journal of who did what in which order, the ring as a line
 * of text, and a picture of everything that a call which fails must leave as it was.
 *
 * A tasklet's name is one letter and main's is M, so that "M A B" reads: main runs, then A, then B.
 */
#ifndef CORE_CHECK_H
#define CORE_CHECK_H

#include <tasklet/tasklet.h>

#include "tap.h"

#if defined(__SANITIZE_ADDRESS__)
#define CHECK_ASAN 1
#else
#define CHECK_ASAN 0
#endif
#if defined(__SANITIZE_THREAD__)
#define CHECK_TSAN 1
#else
#define CHECK_TSAN 0
#endif

#define UNUSED __attribute__((unused))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* As tap_is() for strings. */
#define tap_str(got, want, ...) check__str((got), (want), #got, __FILE__, __LINE__, __VA_ARGS__)

static UNUSED TAP__PRINTF(6, 7) bool check__str(const char *got, const char *want, const char *cond,
						const char *file, int line, const char *fmt, ...)
{
	static __thread char text[512];
	bool ok = !strcmp(got, want);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	tap__ok(ok, cond, file, line, "%s", text);
	if (!ok)
		tap_diag("     got: \"%s\"\nexpected: \"%s\"", got, want);
	return ok;
}

/* The journal: words with a space between them. One thread uses it at a time. */
static char check__journal[4096];
static size_t check__journal_len;

static UNUSED TAP__PRINTF(1, 2) void say(const char *fmt, ...)
{
	size_t room = sizeof(check__journal) - check__journal_len;
	va_list ap;
	int n;

	if (room < 64)
		tap_bail("the journal is full: %s", check__journal);
	if (check__journal_len) {
		check__journal[check__journal_len++] = ' ';
		room--;
	}
	va_start(ap, fmt);
	n = vsnprintf(check__journal + check__journal_len, room, fmt, ap);
	va_end(ap);
	check__journal_len += (size_t)n;
}

/* What was said since the last call. */
static UNUSED const char *said(void)
{
	static char copy[sizeof(check__journal)];

	memcpy(copy, check__journal, check__journal_len);
	copy[check__journal_len] = '\0';
	check__journal_len = 0;
	check__journal[0] = '\0';
	return copy;
}

static UNUSED const char *name_of(const struct tl_task *t)
{
	if (!t)
		return "-";
	if (tl_task_is_main(t))
		return "M";
	return *tl_task_name(t) ? tl_task_name(t) : "?";
}

static UNUSED const char *me(void)
{
	return name_of(tl_current());
}

/* The ring from the running tasklet on. Also checks its links and its count. */
static UNUSED const char *ring(void)
{
	static __thread char text[512];
	struct tl_task *first = tl_current(), *t = first;
	size_t len = 0;
	int count = 0;

	do {
		if (!t || tl_task_prev(tl_task_next(t)) != t)
			return "broken links";
		if (!tl_task_is_scheduled(t) || tl_task_is_blocked(t) || tl_task_is_paused(t))
			return "wrong state in the ring";
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", len ? " " : "", name_of(t));
		t = tl_task_next(t);
		count++;
	} while (t != first && len < sizeof(text) - 16);
	if (t == first && count != tl_runcount())
		return "wrong runcount";
	return text;
}

static UNUSED struct tl_stats stats(void)
{
	struct tl_stats s = { .size = sizeof(s) };
	int r = tl_stats(&s);

	if (r)
		tap_bail("tl_stats: %d", r);
	return s;
}

/* The picture; two are equal if and only if nothing of this has changed. */
struct picture {
	char ring[512];
	uint64_t alive, runnable, paused, blocked, timers;
};

static UNUSED struct picture picture(void)
{
	struct tl_stats s = stats();
	struct picture p;

	memset(&p, 0, sizeof(p));
	snprintf(p.ring, sizeof(p.ring), "%s", ring());
	p.alive = s.alive;
	p.runnable = s.runnable;
	p.paused = s.paused;
	p.blocked = s.blocked;
	p.timers = s.timers;
	return p;
}

static UNUSED bool same_picture(const struct picture *a)
{
	struct picture b = picture();

	if (!memcmp(a, &b, sizeof(b)))
		return true;
	tap_diag("was: %s, alive %llu runnable %llu paused %llu blocked %llu timers %llu", a->ring,
		 (unsigned long long)a->alive, (unsigned long long)a->runnable, (unsigned long long)a->paused,
		 (unsigned long long)a->blocked, (unsigned long long)a->timers);
	tap_diag("now: %s, alive %llu runnable %llu paused %llu blocked %llu timers %llu", b.ring,
		 (unsigned long long)b.alive, (unsigned long long)b.runnable, (unsigned long long)b.paused,
		 (unsigned long long)b.blocked, (unsigned long long)b.timers);
	return false;
}

static UNUSED struct tl_task *mk_flags(const char *name, uint64_t flags, tl_task_fn *fn, void *arg)
{
	struct tl_task_attr attr = { .size = sizeof(attr), .name = name, .flags = flags };
	struct tl_task *t;
	int r = tl_spawn_attr(&t, &attr, fn, arg);

	if (r == -ENOTSUP && flags)
		tap_skip_all("no unwinder");
	if (r)
		tap_bail("tl_spawn_attr: %d", r);
	return t;
}

/* A runnable tasklet with a name, and its handle. */
static UNUSED struct tl_task *mk(const char *name, tl_task_fn *fn, void *arg)
{
	return mk_flags(name, 0, fn, arg);
}

/* The same without a handle: the ring keeps it. */
static UNUSED void go(const char *name, tl_task_fn *fn, void *arg)
{
	tl_task_unref(mk(name, fn, arg));
}

/* The same, paused and not started. */
static UNUSED struct tl_task *mk_paused(const char *name, tl_task_fn *fn, void *arg)
{
	struct tl_task_attr attr = { .size = sizeof(attr), .name = name };
	struct tl_task *t;

	if (tl_task_new(&t, &attr) || tl_task_bind_arg(t, fn, arg))
		tap_bail("no tasklet");
	return t;
}

static UNUSED struct tl_error *mk_error(int code, const char *text)
{
	struct tl_error *e;

	if (tl_error_new(&e, code, "%s", text))
		tap_bail("no error");
	return e;
}

/* An error whose end is counted. */
static UNUSED void check__count(void *payload)
{
	++*(int *)payload;
}

static UNUSED struct tl_error *mk_counted(int code, const char *text, int *freed)
{
	struct tl_error *e = mk_error(code, text);

	tl_error_set_payload(e, freed, check__count);
	return e;
}

/* The code of what tl_catch() hands over, which is freed; 0 if that is nothing. */
static UNUSED int caught(void)
{
	struct tl_error *e = tl_catch();
	int code = e ? tl_error_code(e) : 0;

	tl_error_free(e);
	return code;
}

/* End of a scenario: nobody is left, and nothing is to be reported. */
#define all_gone(what)									\
	do {										\
		int run__ = tl_run();							\
		tap_ok(run__ == TL_RUN_FINISHED && stats().alive == 1 && !caught(),	\
		       "%s: at the end only main is left", what);			\
		said();									\
	} while (0)

/* Lets the others run until they wait for something. */
static UNUSED void a_few_turns(void)
{
	int i;

	for (i = 0; i < 8; i++)
		tl_schedule();
}

/* Functions for tasklets. */
static UNUSED int fn_nop(UNUSED void *arg)
{
	return 0;
}

/* Says its name, then gives way, as many times as its argument says; then ends. */
static UNUSED int fn_yield(void *arg)
{
	long i, n = (long)arg;

	for (i = 1; i <= n; i++) {
		say("%s%ld", name_of(tl_current()), i);
		if (tl_schedule())
			return 0;
	}
	say("%s.", name_of(tl_current()));
	return 0;
}

#endif
