/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * runner: the test of the tests. Gives the runner programs that fail, crash, hang and lie in every way we know, and
 * asks whether it saw through them; then does the same with tap.h, through a second name of this very program.
 *
 * Owns a temporary folder with those programs. Each case looks at the exit status, at the last line (the counts) and at
 * the words that the reader would get. $TL_RUNNER names the runner, which sets it itself for the programs that it runs.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "../harness/tap.h"

#define SH	"#!/bin/sh\n"

struct outcome {
	int status;		/* as from waitpid() */
	double seconds;
	char out[262144];
	const char *last;	/* its last line */
};

struct script_case {
	const char *name, *script, *options;
	int exit;
	const char *counts;
	const char *words[3];	/* each must be in the output; "!x": x must not */
};

static char dir[PATH_MAX], runner[PATH_MAX];
static struct outcome got;

static const struct script_case cases[] = {
	{ "pass", "echo 1..2; echo ok 1 one; echo ok 2 two", "", 0,
	  "2 passed, 0 failed, 0 skipped", { "ok 1 selftests: t: pass # 2 passed\n", "!not ok" } },
	{ "stderr", "echo 1..1; echo ok 1 >&2", "", 0, "1 passed, 0 failed, 0 skipped", { 0 } },
	{ "plan_last", "echo ok 1; echo ok - unnumbered; echo 1..2", "", 0, "2 passed, 0 failed, 0 skipped", { 0 } },
	{ "fail", "echo 1..2; echo ok 1; echo not ok 2 the bad one; echo '# why it failed'; exit 1", "", 1,
	  "1 passed, 1 failed, 0 skipped", { "not ok 1 selftests: t: fail #", "#   not ok 2 the bad one", "#     # why it failed" } },
	{ "crash", "echo 1..3; echo ok 1; kill -SEGV $$", "", 1,
	  "1 passed, 1 failed, 0 skipped", { "killed by SIGSEGV after 1 of 3 tests" } },
	{ "crash_last", "echo 1..1; echo ok 1; kill -ABRT $$", "", 1,
	  "1 passed, 1 failed, 0 skipped", { "killed by SIGABRT" } },
	{ "crash_below", "echo 1..2; echo ok 1; sh -c 'kill -BUS $$'; exit", "", 1,
	  "1 passed, 1 failed, 0 skipped", { "exit status 135 (128 + SIGBUS)" } },
	{ "few", "echo 1..3; echo ok 1; echo ok 2", "", 1,
	  "2 passed, 1 failed, 0 skipped", { "planned 3 tests but ran 2" } },
	{ "many", "echo 1..1; echo ok 1; echo ok 2", "", 1,
	  "2 passed, 1 failed, 0 skipped", { "planned only 1 tests but ran 2" } },
	{ "twice", "echo 1..3; echo ok 1; echo ok 2; echo ok 2", "", 1,
	  "3 passed, 1 failed, 0 skipped", { "test number 2 where 3 was due" } },
	{ "gap", "echo 1..2; echo ok 1; echo ok 3", "", 1,
	  "2 passed, 1 failed, 0 skipped", { "test number 3 where 2 was due" } },
	{ "huge", "echo 1..1; echo ok 99999999999999999999", "", 1,
	  "1 passed, 1 failed, 0 skipped", { "bad test number where 1 was due" } },
	{ "no_plan", "echo ok 1; echo ok 2", "", 1, "2 passed, 1 failed, 0 skipped", { "no plan" } },
	{ "two_plans", "echo 1..1; echo 1..1; echo ok 1", "", 1, "1 passed, 1 failed, 0 skipped", { "a second plan" } },
	{ "bad_plan", "echo 1..1x; echo ok 1", "", 1, "1 passed, 1 failed, 0 skipped", { "bad plan \"1..1x\"" } },
	{ "empty_plan", "echo 1..0", "", 1, "0 passed, 1 failed, 0 skipped", { "planned no test at all" } },
	{ "lie_zero", "echo 1..2; echo ok 1; echo not ok 2", "", 1,
	  "1 passed, 2 failed, 0 skipped", { "exit status 0 in spite of 1 not ok" } },
	{ "lie_one", "echo 1..1; echo ok 1; exit 1", "", 1,
	  "1 passed, 1 failed, 0 skipped", { "exit status 1 though no test failed" } },
	{ "status", "echo 1..1; echo ok 1; exit 7", "", 1, "1 passed, 1 failed, 0 skipped", { "exit status 7" } },
	{ "bail", "echo 1..3; echo ok 1; echo 'Bail out! no disk'; exit 1", "", 1,
	  "1 passed, 1 failed, 0 skipped", { "bailed out after 1 tests: no disk" } },
	{ "bail_zero", "echo 1..1; echo ok 1; echo 'Bail out!'", "", 1,
	  "1 passed, 1 failed, 0 skipped", { "bailed out after 1 tests: (no reason given)" } },
	{ "silent", ":", "", 1, "0 passed, 1 failed, 0 skipped", { "no output at all" } },
	{ "silent_one", "exit 1", "", 1, "0 passed, 1 failed, 0 skipped", { "no output at all" } },
	{ "garbage", "echo 1..1; head -c 300000 /dev/urandom; printf '\\n\\0\\033[2J\\377\\nok 1\\n'", "", 0,
	  "1 passed, 0 failed, 0 skipped", { "!\033" } },
	{ "garbage_only", "printf '1..\\0\\033[2J\\377\\n'; printf 'ok\\0 1\\n'", "", 1,
	  "0 passed, 1 failed, 0 skipped", { "\\x1b[2J\\xff", "!\033", "bad plan" } },
	{ "no_newline", "echo 1..2; echo ok 1; printf 'not ok 2 last word'; exit 1", "", 1,
	  "1 passed, 1 failed, 0 skipped", { "#   not ok 2 last word\n" } },
	{ "carriage", "printf '1..1\\r\\nok 1\\r\\n'", "", 0, "1 passed, 0 failed, 0 skipped", { 0 } },
	{ "long_line", "echo 1..1; printf 'not ok 1 %05000d\\n' 7; exit 1", "", 1,
	  "0 passed, 1 failed, 0 skipped", { "00000...\n", "!7\n" } },
	{ "skip_one", "echo 1..2; echo ok 1; echo 'ok 2 # SKIP no such device'", "", 0,
	  "1 passed, 0 failed, 1 skipped", { "# 1 passed, 1 skipped\n", "#   ok 2 # SKIP no such device\n" } },
	{ "skip_mute", "echo 1..2; echo ok 1; echo 'ok 2 # skip'", "", 0,
	  "1 passed, 0 failed, 1 skipped", { "ok 2 # skip (no reason given)\n" } },
	{ "skip_lie", "echo 1..1; echo 'not ok 1 # SKIP it crashed'; exit 1", "", 1,
	  "0 passed, 1 failed, 0 skipped", { "not ok 1 #" } },
	{ "skip_escaped", "echo 1..1; echo 'ok 1 \\# SKIP is a word here'", "", 0, "1 passed, 0 failed, 0 skipped", { 0 } },
	{ "skip_all", "echo '1..0 # SKIP no module'; exit 4", "", 1,
	  "0 passed, 0 failed, 1 skipped", { "ok 1 selftests: t: skip_all # SKIP no module\n", "# nothing ran\n" } },
	{ "skip_sh", "echo 'must be root'; exit 4", "", 1,
	  "0 passed, 0 failed, 1 skipped", { "ok 1 selftests: t: skip_sh # SKIP must be root\n" } },
	{ "skip_zero", "echo '1..0 # SKIP no module'; echo bye", "", 1,
	  "0 passed, 0 failed, 1 skipped", { "ok 1 selftests: t: skip_zero # SKIP no module\n" } },
	{ "skip_ran", "echo 1..1; echo ok 1; exit 4", "", 1,
	  "1 passed, 1 failed, 0 skipped", { "exit status 4 (skipped) after 1 tests ran" } },
	{ "skip_failed", "echo 1..1; echo not ok 1; exit 4", "", 1,
	  "0 passed, 2 failed, 0 skipped", { "exit status 4 (skipped) after 1 tests ran" } },
	{ "skip_planned", "echo 1..3; exit 4", "", 1, "0 passed, 1 failed, 0 skipped", { "planned 3 tests but ran 0" } },
	{ "todo", "echo 1..2; echo ok 1; echo 'not ok 2 # TODO later'", "", 0,
	  "1 passed, 0 failed, 1 skipped", { "(1 todo)", "#   not ok 2 # TODO later\n" } },
	{ "hang", "echo 1..2; echo ok 1; sleep 1000", "-t 1", 1,
	  "1 passed, 1 failed, 0 skipped", { "timed out after 1 s after 1 of 2 tests" } },
	{ "hang_session", "setsid sleep 1000 & echo 1..1; sleep 1000", "-t 1", 1,
	  "0 passed, 1 failed, 0 skipped", { "timed out after 1 s", "!left running" } },
	{ "hang_deaf", "trap '' TERM INT HUP; echo 1..1; while :; do sleep 1000; done", "-t 1", 1,
	  "0 passed, 1 failed, 0 skipped", { "timed out after 1 s after 0 of 1 tests" } },
	{ "hang_loud", "echo 1..1; yes", "-t 1", 1, "0 passed, 1 failed, 0 skipped", { "timed out after 1 s" } },
	{ "hang_scaled", "echo 1..1; sleep 1.3; echo ok 1", "-t 1 -T 20", 0, "1 passed, 0 failed, 0 skipped", { 0 } },
};

#define NR_CASES	(sizeof(cases) / sizeof(cases[0]))

/* Runs a command line of the shell; what it says and how it ended is in `got`. */
static __attribute__((format(printf, 1, 2))) void run(const char *fmt, ...)
{
	struct timespec from, to;
	char cmd[8192];
	size_t n;
	va_list ap;
	FILE *f;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	clock_gettime(CLOCK_MONOTONIC, &from);
	f = popen(cmd, "r");
	if (!f)
		tap_bail("popen: %s", strerror(errno));
	n = fread(got.out, 1, sizeof(got.out) - 1, f);
	got.status = pclose(f);
	clock_gettime(CLOCK_MONOTONIC, &to);
	got.seconds = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
	got.out[n] = '\0';
	/* A NUL that got through would hide all that follows. */
	for (size_t i = 0; i < n; i++)
		if (!got.out[i])
			got.out[i] = '\033';
	got.last = n && got.out[n - 1] == '\n' ? memrchr(got.out, '\n', n - 1) : NULL;
	got.last = got.last ? got.last + 1 : got.out;
}

static bool exited(int code)
{
	return WIFEXITED(got.status) && WEXITSTATUS(got.status) == code;
}

static bool last_is(const char *counts)
{
	size_t n = strlen(counts);

	return !strncmp(got.last, counts, n) && !strcmp(got.last + n, "\n");
}

static bool has(const char *word)
{
	return *word == '!' ? !strstr(got.out, word + 1) : !!strstr(got.out, word);
}

static void write_file(const char *name, const char *text)
{
	char path[PATH_MAX + 64];
	FILE *f;

	snprintf(path, sizeof(path), "%s/t/%s", dir, name);
	f = fopen(path, "we");
	if (!f || fputs(text, f) < 0 || fclose(f) || chmod(path, 0755))
		tap_bail("%s: %s", path, strerror(errno));
}

static void write_script(const char *name, const char *body)
{
	char text[1024];

	snprintf(text, sizeof(text), SH "%s\n", body);
	write_file(name, text);
}

/* The number that a script left in a file; waits for it. */
static pid_t pid_in(const char *name)
{
	char path[PATH_MAX + 64];
	int pid = 0;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	for (int i = 0; i < 1000 && !pid; i++) {
		FILE *f = fopen(path, "re");

		if (!f || fscanf(f, "%d\n", &pid) != 1)
			usleep(10000);
		if (f)
			fclose(f);
	}
	return pid;
}

/* A zombie is gone: who reaps it is another matter. */
static bool is_gone(pid_t pid)
{
	char path[64], line[256];

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	for (int i = 0; pid && i < 500; i++) {
		FILE *f = fopen(path, "re");
		char *end = NULL;

		if (f && fgets(line, sizeof(line), f))
			end = strrchr(line, ')');
		if (f)
			fclose(f);
		if (!end || end[2] == 'Z' || end[2] == 'X')
			return true;
		usleep(10000);
	}
	return false;
}

/* ---- the runner ---- */

static void check_outcome(const char *name, int code, const char *counts, const char *const *words, int nr_words)
{
	bool said = true;

	if (!tap_ok(exited(code), "%s: exit status %d", name, code))
		tap_diag("wait status: %#x", (unsigned int)got.status);
	if (!tap_ok(last_is(counts), "%s: last line is %s", name, counts))
		tap_diag("last line: %s", got.last);
	for (int i = 0; i < nr_words && words[i]; i++) {
		if (!has(words[i]))
			tap_diag("not as it should be: \"%s\"", words[i]);
		said &= has(words[i]);
	}
	if (!tap_ok(said, "%s: shows why", name))
		tap_diag("all of it: %.900s", got.out);
}

#define CASE_TESTS	4

static void test_case(const struct script_case *c)
{
	write_script(c->name, c->script);
	run("%s -s %s %s %s/t/%s 2>&1", runner, dir, c->options, dir, c->name);
	check_outcome(c->name, c->exit, c->counts, c->words, 3);
	if (!tap_ok(got.seconds < 20, "%s: in time", c->name))
		tap_diag("took %.1f s", got.seconds);
}

#define LEFTOVER_TESTS	(3 * 3 + 3 * 2 + 1)

static void test_leftovers(void)
{
	static const struct {
		const char *name, *script;
	} ways[] = {
		{ "left_pipe", "sleep 1000 & echo $! >$TEST_DIR/left_pipe.pid; echo 1..1; echo ok 1" },
		{ "left_mute", "sleep 1000 >/dev/null 2>&1 & echo $! >$TEST_DIR/left_mute.pid; echo 1..1; echo ok 1" },
		{ "left_session", "setsid sh -c 'echo $$ >$TEST_DIR/left_session.pid; exec sleep 1000' & sleep 0.3; echo 1..1; echo ok 1" },
	};
	static const char *const words[] = { "left running, killed now: sleep (" };
	char file[64];

	for (int i = 0; i < 3; i++) {
		write_script(ways[i].name, ways[i].script);
		run("%s -s %s %s/t/%s 2>&1", runner, dir, dir, ways[i].name);
		check_outcome(ways[i].name, 0, "1 passed, 0 failed, 0 skipped", words, 1);
		snprintf(file, sizeof(file), "%s.pid", ways[i].name);
		tap_ok(is_gone(pid_in(file)), "%s: is killed", ways[i].name);
		if (!tap_ok(got.seconds < 20, "%s: does not hang the runner", ways[i].name))
			tap_diag("took %.1f s", got.seconds);
	}
	/* While another test runs, only the session tells whose they are. */
	run("%s -j 2 %s/t/left_mute %s/t/hang_scaled 2>&1", runner, dir, dir);
	tap_ok(has("left_mute # 1 passed\n#   left running, killed now: sleep"), "leftovers are found beside a running test");
}

#define INTERRUPT_TESTS	6

/* Starts the runner on a script that hangs and a second program, and sends it a signal. */
static int interrupt(const char *name, int sig, pid_t *left)
{
	char out[PATH_MAX + 64], script[PATH_MAX + 64], pid_file[64];
	int status, fd;
	pid_t pid;

	snprintf(out, sizeof(out), "%s/%s.out", dir, name);
	snprintf(script, sizeof(script), "%s/t/%s", dir, name);
	snprintf(pid_file, sizeof(pid_file), "%s.pid", name);
	pid = fork();
	if (!pid) {
		fd = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		dup2(fd, 1);
		dup2(fd, 2);
		execl(runner, runner, "-t", "60", script, script, (char *)NULL);
		_exit(99);
	}
	*left = pid_in(pid_file);
	kill(pid, sig);
	if (waitpid(pid, &status, 0) != pid)
		tap_bail("waitpid: %s", strerror(errno));
	run("cat %s", out);
	return status;
}

static void test_interrupt(void)
{
	time_t from = time(NULL);
	pid_t left;
	int status;

	write_script("interrupt", "echo 1..1; sleep 1000 & echo $! >$TEST_DIR/interrupt.pid; wait");
	status = interrupt("interrupt", SIGINT, &left);
	tap_ok(WIFEXITED(status) && WEXITSTATUS(status) == 128 + SIGINT, "SIGINT: exit status 130");
	tap_ok(is_gone(left), "SIGINT: the test's children are killed");
	tap_ok(time(NULL) - from < 20, "SIGINT: at once");
	tap_ok(has("interrupted by SIGINT: 1 of 2 programs not run"), "SIGINT: says what did not run");
	tap_ok(last_is("0 passed, 1 failed, 0 skipped"), "SIGINT: the last line is still the counts");

	write_script("orphan", "echo $$ >$TEST_DIR/orphan.pid; exec sleep 1000");
	interrupt("orphan", SIGKILL, &left);
	tap_ok(is_gone(left), "a test does not outlive a killed runner");
}

#define MANY_TESTS	(3 * 3 + 9)

/* Several programs in one run: the sums, the order and the logs. */
static void test_many(void)
{
	static const char *const sums[] = { "\n1..5\n", "ok 3 selftests: t: skip_all # SKIP no module", "!nothing ran" };
	static const char *const order[] = { "ok 1 selftests: t: slow # 1 passed\nok 2 selftests: t: pass # 2 passed\n" };
	static const char *const missing[] = { "cannot run", "No such file", "ok 2 selftests: t: pass" };

	run("cd %s && %s t/pass t/crash t/skip_all t/fail t/lie_zero 2>&1", dir, runner);
	check_outcome("five programs", 1, "5 passed, 4 failed, 1 skipped", sums, 3);

	write_script("slow", "echo 1..1; sleep 0.5; echo ok 1");
	run("%s -j 4 -o %s/logs %s/t/slow %s/t/pass 2>&1", runner, dir, dir, dir);
	check_outcome("-j", 0, "3 passed, 0 failed, 0 skipped", order, 1);
	/* Each waits for the other to be there. */
	write_script("meet", "touch $0.$$; echo 1..1; for i in $(seq 100); do set -- $0.*; "
		     "[ $# = 2 ] && echo ok 1 && exit; sleep 0.1; done");
	run("%s -j 2 %s/t/meet %s/t/meet 2>&1", runner, dir, dir);
	tap_ok(last_is("2 passed, 0 failed, 0 skipped"), "-j: they do run at the same time");
	run("cat %s/logs/t/pass.log", dir);
	tap_ok(!strcmp(got.out, "1..2\nok 1 one\nok 2 two\n"), "-o: the log is what the test said");

	run("%s -s %s %s/t/absent %s/t/pass 2>&1", runner, dir, dir, dir);
	check_outcome("a missing program", 1, "2 passed, 1 failed, 0 skipped", missing, 3);
	run("%s -b %s t/pass 2>&1", runner, dir);
	tap_ok(last_is("2 passed, 0 failed, 0 skipped"), "-b: a program is found by TARGET/NAME");
	run("%s -s %s t/pass 2>&1", runner, dir);
	tap_ok(last_is("2 passed, 0 failed, 0 skipped"), "-s: a script is found by TARGET/NAME");
	run("%s %s/t/pass 2>&1 <&- | cat", runner, dir);
	tap_ok(last_is("2 passed, 0 failed, 0 skipped"), "works with a closed standard input");
	run("%s %s/t/pass <&- >&- 2>&-", runner, dir);
	tap_ok(exited(0), "works with no standard streams at all");
	/* Signals 32 and 33 are the C library's: its popen() leaves them ignored. */
	write_script("clean", "echo 1..1; cat; "
		     "grep -qE '^Sig(Blk|Ign):.*[1-9a-f][0-9a-f]{0,6}$' /proc/self/status || echo ok 1");
	run("trap '' PIPE USR1; echo not ok 1 | %s %s/t/clean 2>&1", runner, dir);
	tap_ok(last_is("1 passed, 0 failed, 0 skipped"), "a test has an empty input, and no signal is ignored or blocked");
	write_script("bare", "echo 1..1; [ \"$TL_WRAPPED\" ] || "
		     "[ \"$TL_WRAPPER\" != 'env TL_WRAPPED=1' ] || echo ok 1");
	run("%s -w 'env TL_WRAPPED=1' %s/t/bare 2>&1", runner, dir);
	tap_ok(last_is("1 passed, 0 failed, 0 skipped"), "-w: a script is told of the wrapper, not run under it");
	run("%s %s/t/skip_one %s/t/skip_all 2>&1", runner, dir, dir);
	tap_ok(exited(0) && last_is("1 passed, 0 failed, 2 skipped"), "skips beside a test that passed are no failure");
}

#define SETTINGS_TESTS	5

static void test_settings(void)
{
	write_file("settings", "# short\n\ntimeout=1\n");
	run("%s -t 30 %s/t/hang 2>&1", runner, dir);
	tap_ok(exited(1) && has("timed out after 1 s"), "settings: timeout= goes before -t");
	write_file("settings", "timeout=soon\n");
	run("%s %s/t/pass 2>&1", runner, dir);
	tap_ok(exited(2) && has("settings: timeout: \"soon\" is not a number"), "settings: a bad number is an error");
	write_file("settings", "timout=3\n");
	run("%s %s/t/pass 2>&1", runner, dir);
	tap_ok(exited(2) && has("unknown setting \"timout=3\""), "settings: an unknown name is an error");
	run("mkdir -p %s/src/t && cp %s/t/settings %s/src/t/ && echo timeout=1 >%s/t/settings", dir, dir, dir, dir);
	run("%s -s %s/src %s/t/hang 2>&1", runner, dir, dir);
	tap_ok(exited(1) && has("timed out after 1 s"), "settings: those beside the program go before those of -s");
	run("mv %s/t/settings %s/src/t/", dir, dir);
	run("%s -s %s/src %s/t/hang 2>&1", runner, dir, dir);
	tap_ok(exited(1) && has("timed out after 1 s"), "settings: found through -s");
}

static const char *const bad_options[] = {
	"-t 0", "-t x", "-t ''", "-t 5s", "-t -1", "-t 99999999999999999999", "-t 86401", "-j 0", "-j 1025", "-j 1.5", "-j",
	"-T 0", "-T ' 2'", "-x",
};

#define NR_BAD		(sizeof(bad_options) / sizeof(bad_options[0]))
#define OPTION_TESTS	((int)NR_BAD + 2)

static void test_options(void)
{
	for (size_t i = 0; i < NR_BAD; i++) {
		run("%s %s/t/pass %s 2>&1 >/dev/null", runner, dir, bad_options[i]);
		if (!tap_ok(exited(2) && *got.out, "option %s: exit status 2 and a word", bad_options[i]))
			tap_diag("wait status %#x: %s", (unsigned int)got.status, got.out);
	}
	run("%s", runner);
	tap_ok(exited(1) && last_is("0 passed, 0 failed, 0 skipped"), "no program at all is a failure");
	run("%s --help", runner);
	tap_ok(exited(0) && has("Usage: run-tests"), "--help");
}

/* ---- tap.h, in a second process of this program under another name ---- */

static int as_child_checks(void)
{
	int status = 0;
	pid_t pid;

	tap_plan(3);
	printf("half a line, ");
	pid = fork();
	if (!pid) {
		tap_ok(false, "the child's own");
		if (!fork())
			_exit(tap_exit());
		wait(&status);
		_exit(status ? 2 : tap_exit());
	}
	waitpid(pid, &status, 0);
	printf("and its end\n");
	tap_is(WEXITSTATUS(status), 1, "a child's failure reaches its status");
	pid = fork();
	if (!pid)
		exit(tap_exit());
	waitpid(pid, &status, 0);
	tap_is(WEXITSTATUS(status), 0, "a child that fails nothing");
	tap_ok(true, "a # in\na line");
	return tap_exit();
}

/* The program under the name `as`: what tap.h's own cases below run. */
static int play(const char *as)
{
	sigset_t set;
	uint64_t rnd;

	if (!strcmp(as, "tap_skip_all"))
		tap_skip_all("not %s", "here");
	if (!strcmp(as, "tap_child"))
		return as_child_checks();
	tap_plan(2);
	if (!strcmp(as, "tap_fail")) {
		tap_ok(1 + 1 == 3, "sum %d", 3);
		tap_is(6 * 7, 54, "product");
	} else if (!strcmp(as, "tap_few")) {
		tap_ok(true, "one");
	} else if (!strcmp(as, "tap_skip")) {
		tap_ok(true, "one");
		tap_skip_rest("no more of %s", "it");
	} else if (!strcmp(as, "tap_bail")) {
		tap_bail("no %s", "way");
	} else if (!strcmp(as, "tap_crash")) {
		tap_ok(true, "said before the crash");
		printf("and this too\n");
		raise(SIGSEGV);
	} else if (!strcmp(as, "tap_seed")) {
		rnd = tap_seed();
		tap_diag("random %llx", (unsigned long long)tap_random(&rnd));
		tap_is((long long)tap_seed(), 7, "the seed of the environment");
		tap_ok(tap_random(&rnd) != tap_random(&rnd), "numbers differ");
	} else {
		sigprocmask(SIG_BLOCK, NULL, &set);
		tap_ok(sigisemptyset(&set), "no signal is blocked");
		tap_is(getenv("TL_WRAPPED") ? 1 : 0, 1, "under the wrapper");
	}
	return tap_exit();
}

static const struct script_case tap_cases[] = {
	{ "tap_fail", NULL, "", 1, "0 passed, 2 failed, 0 skipped",
	  { "#   not ok 1 sum 3\n#     # at ", "runner.c:", "#      got: 42\n#     # expected: 54\n" } },
	{ "tap_few", NULL, "", 1, "1 passed, 1 failed, 0 skipped", { "planned 2 tests but ran 1", "| # planned 2 tests" } },
	{ "tap_skip", NULL, "", 0, "1 passed, 0 failed, 1 skipped", { "ok 2 # SKIP no more of it" } },
	{ "tap_skip_all", NULL, "", 1, "0 passed, 0 failed, 1 skipped", { "tap_skip_all # SKIP not here\n" } },
	{ "tap_bail", NULL, "", 1, "0 passed, 1 failed, 0 skipped", { "bailed out after 0 tests: no way" } },
	{ "tap_crash", NULL, "", 1,
	  "1 passed, 1 failed, 0 skipped", { "| ok 1 said before the crash\n", "| and this too\n" } },
	{ "tap_child", NULL, "-o logs", 0, "3 passed, 0 failed, 0 skipped", { 0 } },
	{ "tap_seed", NULL, "-w 'env TL_SEED=7'", 0, "2 passed, 0 failed, 0 skipped", { 0 } },
	{ "tap_seed", NULL, "-w 'env TL_SEED=7x'", 1, "0 passed, 1 failed, 0 skipped", { "TL_SEED=7x is not a number" } },
	{ "tap_wrap", NULL, "-w '  env  TL_WRAPPED=1'", 0, "2 passed, 0 failed, 0 skipped", { 0 } },
	{ "tap_wrap", NULL, "", 1, "1 passed, 1 failed, 0 skipped", { "#   not ok 2 under the wrapper" } },
};

#define NR_TAP		(sizeof(tap_cases) / sizeof(tap_cases[0]))
#define TAP_TESTS	((int)NR_TAP * 3 + 3)

static void test_tap(void)
{
	char self[PATH_MAX] = "", name[PATH_MAX + 64];
	const char *log;

	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		tap_bail("/proc/self/exe: %s", strerror(errno));
	snprintf(name, sizeof(name), "%s/t/tap_skip", dir);
	if (symlink(self, name))
		tap_bail("%s: %s", name, strerror(errno));
	run("exec %s 2>&1", name);
	if (!exited(0)) {
		/* Under an emulator that the kernel does not know. */
		tap_skip_rest("this program cannot run itself: %.100s", got.out);
		return;
	}
	for (size_t i = 0; i < NR_TAP; i++) {
		const struct script_case *c = &tap_cases[i];

		snprintf(name, sizeof(name), "%s/t/%s", dir, c->name);
		if (symlink(self, name) && errno != EEXIST)
			tap_bail("%s: %s", name, strerror(errno));
		run("cd %s && %s %s t/%s 2>&1", dir, runner, c->options, c->name);
		check_outcome(c->name, c->exit, c->counts, c->words, 3);
	}
	run("%s/t/tap_skip_all", dir);
	tap_ok(exited(TAP_EXIT_SKIP), "tap.h: tap_skip_all() exits with %d", TAP_EXIT_SKIP);
	run("cat %s/logs/t/tap_child.log", dir);
	log = strstr(got.out, "half a line");
	tap_ok(log && !strstr(log + 1, "half a line"), "tap.h: a fork repeats nothing");
	tap_ok(has("\nok 3 a \\# in a line\n"), "tap.h: a description stays one line and no directive");
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static void set_up(void)
{
	const char *name = getenv("TL_RUNNER"), *tmp = getenv("TMPDIR");
	char path[PATH_MAX + 8];

	if (!realpath(name ? name : "./build/tests/harness/run-tests", runner) || access(runner, X_OK))
		tap_bail("no runner at %s: %s (set TL_RUNNER)", name ? name : runner, strerror(errno));
	snprintf(dir, sizeof(dir), "%s/run-tests.XXXXXX", tmp && *tmp == '/' ? tmp : "/tmp");
	if (!mkdtemp(dir))
		tap_bail("%s: %s", dir, strerror(errno));
	snprintf(path, sizeof(path), "%s/t", dir);
	if (mkdir(path, 0755))
		tap_bail("%s: %s", path, strerror(errno));
	setenv("TEST_DIR", dir, 1);
	/* The cases choose their own. */
	unsetenv("TL_SEED");
	unsetenv("TL_WRAPPED");
}

int main(int argc, char **argv)
{
	const char *as = argc > 0 ? basename(argv[0]) : "";

	if (!strncmp(as, "tap_", 4))
		return play(as);
	tap_plan((int)NR_CASES * CASE_TESTS + LEFTOVER_TESTS + INTERRUPT_TESTS + MANY_TESTS + SETTINGS_TESTS + OPTION_TESTS +
		 TAP_TESTS);
	set_up();
	for (size_t i = 0; i < NR_CASES; i++)
		test_case(&cases[i]);
	test_leftovers();
	test_interrupt();
	test_many();
	test_settings();
	test_options();
	test_tap();
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return tap_exit();
}
