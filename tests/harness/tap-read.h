/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * tap-read.h: what a test program said, and whether to believe it.
 *
 * Owns the TAP parser of the runner: bytes go in (any bytes, in any pieces), counts and words for the report come out.
 * Keeps this: whatever the program prints, memory stays bounded and what is shown of it is printable ASCII; and a
 * program counts as passed only where its plan, its results and its exit status all agree.
 *
 * `failed` counts single tests; `wrong` says what is wrong with the program as a whole (crash, broken plan, lying exit
 * status) and counts as one failed test more, for the ones that it kept from running.
 */
#ifndef TAP_READ_H
#define TAP_READ_H

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>

#define TAP_READ_LINE	1024		/* bytes of a line that are looked at */
#define TAP_READ_TAIL	20		/* last lines kept for the report */
#define TAP_READ_DIAG	12		/* comment lines kept after a failed test */
#define TAP_READ_MAX	10000000L	/* no honest plan is larger */
#define TEXT_MAX	(256 * 1024)

/* A string that grows, up to a bound. */
struct text {
	char *s;
	size_t len;
};

static __attribute__((format(printf, 2, 3))) void text_add(struct text *t, const char *fmt, ...)
{
	va_list ap;
	char *add, *s;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&add, fmt, ap);
	va_end(ap);
	s = n < 0 ? NULL : realloc(t->s, t->len + (size_t)n + 1);
	if (!s) {
		perror("run-tests");
		exit(1);
	}
	t->s = s;
	if (t->len < TEXT_MAX) {
		memcpy(t->s + t->len, add, (size_t)n + 1);
		t->len += (size_t)n;
	}
	free(add);
}

struct tap_read {
	char line[TAP_READ_LINE];	/* the line that is not complete yet */
	size_t len;
	bool cut;			/* it was longer than that */
	bool plan_skip, bailed, misnumbered;
	int diags;			/* comment lines that still belong to the last failed test */
	long plan;			/* -1: none seen */
	long due;			/* number of the next result */
	long seen, passed, failed, skipped, todo;
	long lines;
	struct text notes;		/* failed and skipped tests, as they were said */
	struct text wrong;		/* what is wrong with the program as a whole */
	struct text reason;		/* of a whole skip, or of bailing out */
	char tail[TAP_READ_TAIL][256];
};

static void tap_read_init(struct tap_read *t)
{
	memset(t, 0, sizeof(*t));
	t->plan = -1;
	t->due = 1;
}

static void tap_read_free(struct tap_read *t)
{
	free(t->notes.s);
	free(t->wrong.s);
	free(t->reason.s);
}

#define tap_wrong(t, ...)						\
	do {								\
		if ((t)->wrong.len)					\
			text_add(&(t)->wrong, "; ");			\
		text_add(&(t)->wrong, __VA_ARGS__);			\
	} while (0)

static const char *skip_blanks(const char *s)
{
	while (*s == ' ' || *s == '\t')
		s++;
	return s;
}

/* A number that is a whole word; -1 if it is none or too large. */
static long read_number(const char *s, const char **end)
{
	char *e;
	long n;

	if (!isdigit((unsigned char)*s))
		return -1;
	errno = 0;
	n = strtol(s, &e, 10);
	if (errno || n > TAP_READ_MAX || (*e && *e != ' ' && *e != '\t'))
		return -1;
	*end = e;
	return n;
}

/* Finds "# SKIP reason" or "# TODO reason"; an escaped '#' belongs to the description. Gives the reason or NULL. */
static const char *find_directive(const char *s, const char *word)
{
	const char *p, *q;

	for (p = strchr(s, '#'); p; p = strchr(p + 1, '#')) {
		if (p > s && p[-1] == '\\')
			continue;
		q = skip_blanks(p + 1);
		if (strncasecmp(q, word, 4))
			continue;
		while (*q && *q != ' ' && *q != '\t')
			q++;
		return skip_blanks(q);
	}
	return NULL;
}

static void note_with_reason(struct tap_read *t, const char *s, const char *reason)
{
	text_add(&t->notes, "#   %s%s\n", s, *reason ? "" : " (no reason given)");
}

/* `s` is the whole line, `p` what comes after "ok". */
static void read_result(struct tap_read *t, const char *s, const char *p, bool ok)
{
	const char *skip, *todo;
	long n;

	p = skip_blanks(p);
	n = isdigit((unsigned char)*p) ? read_number(p, &p) : t->due;
	if (n != t->due && !t->misnumbered) {
		t->misnumbered = true;
		if (n < 0)
			tap_wrong(t, "bad test number where %ld was due", t->due);
		else
			tap_wrong(t, "test number %ld where %ld was due", n, t->due);
	}
	t->due = (n < 0 ? t->due : n) + 1;
	t->seen++;
	t->diags = 0;

	skip = find_directive(p, "skip");
	todo = find_directive(p, "todo");
	if (ok && skip) {
		t->skipped++;
		note_with_reason(t, s, skip);
	} else if (!ok && todo) {
		t->todo++;
		note_with_reason(t, s, todo);
	} else if (ok) {
		t->passed++;
		if (todo)
			text_add(&t->notes, "#   %s (passes by now)\n", s);
	} else {
		t->failed++;
		t->diags = TAP_READ_DIAG;
		text_add(&t->notes, "#   %s\n", s);
	}
}

static void read_plan(struct tap_read *t, const char *s)
{
	const char *skip, *end = s;
	long n = read_number(s + 3, &end);

	if (n < 0) {
		tap_wrong(t, "bad plan \"%.40s\"", s);
		return;
	}
	if (t->plan >= 0)
		tap_wrong(t, "a second plan");
	t->plan = n;
	skip = n ? NULL : find_directive(end, "skip");
	if (skip) {
		t->plan_skip = true;
		t->reason.len = 0;
		text_add(&t->reason, "%s", skip);
	}
}

static bool is_word(const char *s, const char *word)
{
	size_t n = strlen(word);

	return !strncmp(s, word, n) && (!s[n] || s[n] == ' ' || s[n] == '\t');
}

static void read_line(struct tap_read *t, const char *s)
{
	snprintf(t->tail[t->lines++ % TAP_READ_TAIL], sizeof(t->tail[0]), "%.255s", s);
	if (!strncmp(s, "1..", 3)) {
		read_plan(t, s);
	} else if (is_word(s, "ok")) {
		read_result(t, s, s + 2, true);
	} else if (is_word(s, "not ok")) {
		read_result(t, s, s + 6, false);
	} else if (!strncasecmp(s, "Bail out!", 9)) {
		t->bailed = true;
		t->reason.len = 0;
		text_add(&t->reason, "%s", skip_blanks(s + 9));
	} else if (*s == '#' && t->diags) {
		t->diags--;
		text_add(&t->notes, "#     %s\n", s);
	} else if (*s && !t->plan_skip && !t->bailed && strncmp(s, "TAP version", 11)) {
		/* The last word of a program that exits with 4 and no plan is why. */
		t->reason.len = 0;
		text_add(&t->reason, "%s", *s == '#' ? skip_blanks(s + 1) : s);
	}
}

/* Makes any bytes printable: a test must not get at the reader's terminal, nor put a NUL into the report. */
static void make_printable(char *out, const char *in, size_t len)
{
	static const char hex[] = "0123456789abcdef";

	for (; len; len--, in++) {
		unsigned char c = (unsigned char)*in;

		if (c == '\t' || (c >= ' ' && c < 0x7f)) {
			*out++ = (char)c;
			continue;
		}
		*out++ = '\\';
		*out++ = 'x';
		*out++ = hex[c >> 4];
		*out++ = hex[c & 15];
	}
	*out = '\0';
}

static void end_line(struct tap_read *t)
{
	char s[4 * TAP_READ_LINE + 4];

	if (t->len && t->line[t->len - 1] == '\r')
		t->len--;
	make_printable(s, t->line, t->len);
	if (t->cut)
		strcat(s, "...");
	t->len = 0;
	t->cut = false;
	read_line(t, s);
}

static void tap_read_feed(struct tap_read *t, const char *buf, size_t n)
{
	for (; n; n--, buf++) {
		if (*buf == '\n')
			end_line(t);
		else if (t->len < sizeof(t->line))
			t->line[t->len++] = *buf;
		else
			t->cut = true;
	}
}

/* Exit status 4 says "nothing ran": true if nothing did. */
static bool judge_skip(struct tap_read *t)
{
	if (t->seen != t->skipped) {
		tap_wrong(t, "exit status 4 (skipped) after %ld tests ran", t->seen - t->skipped);
		return false;
	}
	return t->seen ? t->plan == t->seen : t->plan <= 0;
}

static void judge_plan(struct tap_read *t)
{
	if (!t->lines)
		tap_wrong(t, "no output at all");
	else if (t->plan < 0)
		tap_wrong(t, "no plan");
	else if (t->seen < t->plan)
		tap_wrong(t, "planned %ld tests but ran %ld", t->plan, t->seen);
	else if (t->seen > t->plan)
		tap_wrong(t, "planned only %ld tests but ran %ld", t->plan, t->seen);
	else if (!t->plan && !t->plan_skip)
		tap_wrong(t, "planned no test at all");
}

static void judge_status(struct tap_read *t, int code)
{
	if (code == 0 && t->failed)
		tap_wrong(t, "exit status 0 in spite of %ld not ok", t->failed);
	else if (code == 1 && !t->failed && !t->wrong.len)
		tap_wrong(t, "exit status 1 though no test failed");
	else if (code > 128 && code < 128 + 32)
		tap_wrong(t, "exit status %d (128 + SIG%s)", code, sigabbrev_np(code - 128) ?: "?");
	else if (code > 1 && code != 4)
		tap_wrong(t, "exit status %d", code);
}

/*
 * The end of the program: `status` as from waitpid(), `killed` why the runner ended it itself, or NULL. Gives true if
 * the program as a whole was skipped, for t->reason.
 */
static bool tap_read_judge(struct tap_read *t, int status, const char *killed)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;

	if (t->len || t->cut)
		end_line(t);
	if (killed || WIFSIGNALED(status)) {
		if (killed)
			tap_wrong(t, "%s", killed);
		else
			tap_wrong(t, "killed by SIG%s", sigabbrev_np(WTERMSIG(status)) ?: "?");
		text_add(&t->wrong, " after %ld", t->seen);
		if (t->plan >= 0)
			text_add(&t->wrong, " of %ld", t->plan);
		text_add(&t->wrong, " tests");
		return false;
	}
	if (t->bailed) {
		tap_wrong(t, "bailed out after %ld tests: %s", t->seen, t->reason.len ? t->reason.s : "(no reason given)");
		return false;
	}
	if (code == 4 && judge_skip(t))
		return !t->seen && !t->wrong.len;
	judge_plan(t);
	judge_status(t, code);
	return t->plan_skip && !t->wrong.len;
}

#endif /* TAP_READ_H */
