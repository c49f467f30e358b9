/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * run-tests: runs test programs in the manner of kselftest and reports what they came to.
 *
 * Owns the processes of the tests: each program has a session of its own, so that nothing a test starts survives it or
 * keeps the runner waiting, whatever it does with its pipe, its group or its parent. Keeps this: between fork and report
 * a leader is a child that nobody has waited for, hence its number (and its group's and session's) cannot be another's.
 * One thread, one poll loop, no locks. What a program said is read in tap-read.h.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "leftovers.h"
#include "tap-read.h"

#define DEFAULT_TIMEOUT	45		/* seconds, kselftest's */
#define LOG_MAX		(64L << 20)	/* bytes of a log file */
#define GRACE_MS	300		/* for what is still in the pipe when the leader has gone */
#define DEATH_MS	10000		/* for a killed leader to be gone: one stuck in the kernel never is */

enum job_state { WAITING, RUNNING, EXITED, DONE };

struct job {
	char *path, *target, *name, *log;
	long timeout;			/* seconds, scaled */
	enum job_state state;
	pid_t pid;			/* leader, session and group */
	int fd, log_fd;			/* the pipe's read end, -1 after its end; the log or -1 */
	long log_len;
	int64_t deadline;		/* ms: RUNNING to kill it; EXITED to stop reading */
	bool kill_sent;
	bool skipped;			/* as a whole, for tap.reason */
	char killed[64];		/* why the runner killed it, or empty */
	struct tap_read tap;
	struct text extra;		/* what the runner itself saw */
};

static struct {
	long timeout, jobs, factor;
	const char *log_dir, *src_dir;
	char bin_dir[PATH_MAX];
	char **wrapper;			/* words, NULL at the end */
	int words;
} opt = { DEFAULT_TIMEOUT, 1, 1, NULL, "tests", "", NULL, 0 };

static long total_passed, total_failed, total_skipped;
static int interrupted;			/* the signal */

static const char usage[] =
"Usage: run-tests [OPTION]... PROGRAM...\n"
"Runs each test PROGRAM (a path that ends in TARGET/NAME), reads its TAP and reports.\n"
"\n"
"  -t SECONDS  time-out of a test whose folder has no \"settings\" file with\n"
"              timeout=SECONDS (45)\n"
"  -T FACTOR   multiply every time-out, for sanitizers and emulators (1)\n"
"  -j N        run N tests at a time (1)\n"
"  -o DIR      keep the output of each test in DIR/TARGET/NAME.log\n"
"  -w WRAPPER  run each binary under these words, split at spaces; scripts find\n"
"              them in $TL_WRAPPER\n"
"  -s DIR      where the sources of TARGET and its settings are (tests)\n"
"  -b DIR      where PROGRAM is looked for if there is none of that path (the\n"
"              folder above this program's)\n"
"  -h, --help  this text\n"
"\n"
"Exit status: 0 all passed, 1 some failed or none ran, 2 usage; 128 + signal if interrupted.\n";

static __attribute__((noreturn, format(printf, 2, 3))) void die(int status, const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fputs("run-tests: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(status);
}

static void *must(void *p)
{
	if (!p)
		die(1, "out of memory");
	return p;
}

static char *path_of(const char *a, const char *b, const char *c)
{
	struct text t = { 0 };

	text_add(&t, "%s/%s%s%s", a, b, *c ? "/" : "", c);
	return t.s;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000) + ts.tv_nsec / 1000000;
}

static long checked_number(const char *what, const char *s, long lo, long hi)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(s, &end, 10);
	if (errno || end == s || *end || !isdigit((unsigned char)*s) || n < lo || n > hi)
		die(2, "%s: \"%s\" is not a number between %ld and %ld", what, s, lo, hi);
	return n;
}

/* ---- what to run ---- */

/* kselftest's settings: comments, blank lines and name=value. A misspelt one must not silently change a time-out. */
static bool read_settings(const char *file, long *timeout)
{
	char line[256], what[PATH_MAX + 32];
	FILE *f = fopen(file, "re");

	if (!f)
		return false;
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\r\n")] = '\0';
		if (!*line || *line == '#')
			continue;
		if (strncmp(line, "timeout=", 8))
			die(2, "%s: unknown setting \"%s\"", file, line);
		snprintf(what, sizeof(what), "%s: timeout", file);
		*timeout = checked_number(what, line + 8, 1, 86400);
	}
	fclose(f);
	return true;
}

static char *find_program(const char *arg)
{
	const char *dirs[] = { opt.bin_dir, opt.src_dir };

	for (int i = 0; i < 2 && access(arg, F_OK); i++) {
		char *path = path_of(dirs[i], arg, "");

		if (!access(path, F_OK))
			return path;
		free(path);
	}
	return strchr(arg, '/') ? must(strdup(arg)) : path_of(".", arg, "");
}

static void job_init(struct job *j, const char *arg)
{
	char *slash, *dir, *full, *file;
	bool found;

	memset(j, 0, sizeof(*j));
	j->fd = j->log_fd = -1;
	tap_read_init(&j->tap);
	j->path = find_program(arg);
	slash = strrchr(j->path, '/');
	j->name = must(strdup(slash + 1));
	dir = must(strndup(j->path, slash > j->path ? (size_t)(slash - j->path) : 1));
	full = realpath(dir, NULL);
	slash = strrchr(full ? full : dir, '/');
	j->target = must(strdup(slash ? slash + 1 : dir));

	j->timeout = opt.timeout;
	file = path_of(dir, "settings", "");
	found = read_settings(file, &j->timeout);
	free(file);
	if (!found) {
		file = path_of(opt.src_dir, j->target, "settings");
		read_settings(file, &j->timeout);
		free(file);
	}
	j->timeout *= opt.factor;
	free(full);
	free(dir);
}

static void job_free(struct job *j)
{
	tap_read_free(&j->tap);
	free(j->extra.s);
	free(j->path);
	free(j->target);
	free(j->name);
	free(j->log);
}

/* ---- processes ---- */

static bool is_elf(const char *path)
{
	char magic[4] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, magic, sizeof(magic));

	if (fd >= 0)
		close(fd);
	return n == 4 && !memcmp(magic, "\177ELF", 4);
}

static __attribute__((noreturn)) void child_exec(struct job *j, int out, pid_t runner)
{
	char **argv = must(calloc((size_t)opt.words + 2, sizeof(*argv)));
	sigset_t none;
	int n = 0;

	setsid();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != runner)
		_exit(127);
	/* A test starts as from a shell, whatever this program's parent or poll loop ignores or blocks. */
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);

	if (is_elf(j->path))
		for (; n < opt.words; n++)
			argv[n] = opt.wrapper[n];
	argv[n] = j->path;
	execvp(argv[0], argv);
	dprintf(STDERR_FILENO, "cannot run %s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

static void open_log(struct job *j)
{
	char *dir;

	if (!opt.log_dir)
		return;
	dir = path_of(opt.log_dir, j->target, "");
	if (mkdir(dir, 0777) && errno != EEXIST)
		die(1, "%s: %s", dir, strerror(errno));
	j->log = must(malloc(strlen(dir) + strlen(j->name) + 6));
	sprintf(j->log, "%s/%s.log", dir, j->name);
	j->log_fd = open(j->log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (j->log_fd < 0)
		die(1, "%s: %s", j->log, strerror(errno));
	free(dir);
}

static void job_start(struct job *j)
{
	pid_t runner = getpid();
	int fd[2];

	open_log(j);
	if (access(j->path, X_OK)) {
		tap_wrong(&j->tap, "cannot run %s: %s", j->path, strerror(errno));
		j->state = DONE;
		return;
	}
	if (pipe2(fd, O_CLOEXEC))
		die(1, "pipe: %s", strerror(errno));
	fcntl(fd[0], F_SETFL, O_NONBLOCK);
	j->pid = fork();
	if (j->pid < 0)
		die(1, "fork: %s", strerror(errno));
	if (!j->pid)
		child_exec(j, fd[1], runner);
	close(fd[1]);
	j->fd = fd[0];
	j->state = RUNNING;
	j->deadline = now_ms() + j->timeout * 1000;
}

static void job_kill(struct job *j, int64_t now)
{
	/* The child may not yet have its own group. */
	kill(-j->pid, SIGKILL);
	kill(j->pid, SIGKILL);
	if (!j->kill_sent)
		j->deadline = now + DEATH_MS;
	j->kill_sent = true;
}

/* Reads what is there, at most about 1 MiB, so that a chatterbox cannot hold up the others' time-outs. */
static void job_read(struct job *j)
{
	static char buf[65536];

	for (int i = 0; i < 16 && j->fd >= 0; i++) {
		ssize_t n = read(j->fd, buf, sizeof(buf));

		if (n < 0)
			return;
		if (!n) {
			close(j->fd);
			j->fd = -1;
			return;
		}
		tap_read_feed(&j->tap, buf, (size_t)n);
		if (j->log_fd >= 0 && j->log_len < LOG_MAX) {
			if (write(j->log_fd, buf, (size_t)n) != n)
				die(1, "%s: %s", j->log, strerror(errno));
			j->log_len += n;
			if (j->log_len >= LOG_MAX)
				text_add(&j->extra, "#   log cut after %ld bytes\n", j->log_len);
		}
	}
}

/* ---- report ---- */

static void show_tail(const struct tap_read *t)
{
	long from = t->lines > TAP_READ_TAIL ? t->lines - TAP_READ_TAIL : 0;

	for (long i = from; i < t->lines; i++)
		printf("#   | %s\n", t->tail[i % TAP_READ_TAIL]);
}

static void job_report(struct job *j, long number)
{
	struct tap_read *t = &j->tap;
	long failed = t->failed + (t->wrong.len > 0), skipped = t->skipped + t->todo;

	printf("%sok %ld selftests: %s: %s # %ld passed", failed ? "not " : "", number, j->target, j->name, t->passed);
	if (failed)
		printf(", %ld failed", failed);
	if (skipped)
		printf(", %ld skipped", skipped);
	if (t->todo)
		printf(" (%ld todo)", t->todo);
	if (t->wrong.len)
		printf(": %s", t->wrong.s);
	printf("\n%s%s", t->notes.len ? t->notes.s : "", j->extra.len ? j->extra.s : "");
	if (failed && t->lines) {
		printf("#   the last lines it said%s%s:\n", j->log ? ", all in " : "", j->log ? j->log : "");
		show_tail(t);
	}
	total_passed += t->passed;
	total_failed += failed;
	total_skipped += skipped;
}

static void job_show(struct job *j, long number)
{
	struct tap_read *t = &j->tap;

	if (j->skipped) {
		printf("ok %ld selftests: %s: %s # SKIP %s\n%s", number, j->target, j->name,
		       t->reason.len ? t->reason.s : "(no reason given)", j->extra.len ? j->extra.s : "");
		total_skipped++;
	} else {
		job_report(j, number);
	}
	fflush(stdout);
}

/* ---- the loop ---- */

static void job_finish(struct job *j, bool alone)
{
	int status = 0;

	end_leftovers(j->pid, alone, !*j->killed, &j->extra);
	if (j->fd >= 0)
		close(j->fd);
	j->fd = -1;
	if (waitpid(j->pid, &status, WNOHANG) != j->pid)
		text_add(&j->extra, "#   process %d does not die\n", j->pid);
	if (j->log_fd >= 0)
		close(j->log_fd);
	j->skipped = tap_read_judge(&j->tap, status, *j->killed ? j->killed : NULL);
	j->state = DONE;
}

static void job_step(struct job *j, int64_t now, bool alone)
{
	siginfo_t si = { 0 };

	if (j->state == RUNNING && !waitid(P_PID, (id_t)j->pid, &si, WEXITED | WNOHANG | WNOWAIT) && si.si_pid) {
		j->state = EXITED;
		j->deadline = now + GRACE_MS;
	} else if (j->state == RUNNING && now >= j->deadline) {
		if (j->kill_sent) {
			job_finish(j, alone);
			return;
		}
		snprintf(j->killed, sizeof(j->killed), "timed out after %ld s", j->timeout);
		job_kill(j, now);
	}
	if (j->state == EXITED && (j->fd < 0 || now >= j->deadline))
		job_finish(j, alone);
}

static void take_signals(int sfd, struct job *jobs, long n)
{
	struct signalfd_siginfo si;
	int64_t now = now_ms();

	while (read(sfd, &si, sizeof(si)) == sizeof(si)) {
		if (si.ssi_signo == SIGCHLD)
			continue;	/* job_step() looks itself */
		interrupted = (int)si.ssi_signo;
		for (long i = 0; i < n; i++) {
			if (jobs[i].state != RUNNING || *jobs[i].killed)
				continue;
			snprintf(jobs[i].killed, sizeof(jobs[i].killed), "interrupted");
			job_kill(&jobs[i], now);
		}
	}
}

/* Sleeps until a test says something, ends or must end. */
static void wait_for_news(int sfd, struct job *jobs, long n, struct pollfd *pfd)
{
	int64_t next = INT64_MAX, left;
	nfds_t used = 0;

	pfd[used++] = (struct pollfd){ .fd = sfd, .events = POLLIN };
	for (long i = 0; i < n; i++) {
		if (jobs[i].state != RUNNING && jobs[i].state != EXITED)
			continue;
		pfd[used++] = (struct pollfd){ .fd = jobs[i].fd, .events = POLLIN };
		if (jobs[i].deadline < next)
			next = jobs[i].deadline;
	}
	left = next - now_ms();
	poll(pfd, used, left < 0 ? 0 : left > 60000 ? 60000 : (int)left);
}

static void run_all(struct job *jobs, long n, int sfd)
{
	struct pollfd *pfd = must(calloc((size_t)n + 1, sizeof(*pfd)));
	long started = 0, running = 0, shown = 0;

	while (shown < n) {
		for (; running < opt.jobs && started < n && !interrupted; started++) {
			job_start(&jobs[started]);
			running += jobs[started].state == RUNNING;
		}
		if (running)
			wait_for_news(sfd, jobs, started, pfd);
		take_signals(sfd, jobs, started);
		for (long i = shown; i < started; i++) {
			if (jobs[i].state != RUNNING && jobs[i].state != EXITED)
				continue;
			job_read(&jobs[i]);
			job_step(&jobs[i], now_ms(), running == 1);
			running -= jobs[i].state == DONE;
		}
		/* In the order of the arguments, so that two runs compare. */
		for (; shown < started && jobs[shown].state == DONE; shown++)
			job_show(&jobs[shown], shown + 1);
		if (interrupted && !running)
			break;
	}
	if (interrupted)
		printf("# interrupted by SIG%s: %ld of %ld programs not run\n", sigabbrev_np(interrupted), n - started, n);
	free(pfd);
}

/* ---- set-up ---- */

static void split_wrapper(char *words)
{
	char *save, *w;

	opt.wrapper = must(calloc(strlen(words) + 1, sizeof(*opt.wrapper)));
	for (w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save))
		opt.wrapper[opt.words++] = w;
}

static void parse_options(int argc, char **argv)
{
	static const struct option longs[] = { { "help", no_argument, NULL, 'h' }, { 0 } };
	int c;

	while ((c = getopt_long(argc, argv, "t:T:j:o:w:s:b:h", longs, NULL)) != -1) {
		switch (c) {
		case 't':
			opt.timeout = checked_number("-t", optarg, 1, 86400);
			break;
		case 'T':
			opt.factor = checked_number("-T", optarg, 1, 1000);
			break;
		case 'j':
			opt.jobs = checked_number("-j", optarg, 1, 1024);
			break;
		case 'o':
			opt.log_dir = optarg;
			break;
		case 'w':
			setenv("TL_WRAPPER", optarg, 1);
			free(opt.wrapper);
			opt.words = 0;
			split_wrapper(optarg);
			break;
		case 's':
			opt.src_dir = optarg;
			break;
		case 'b':
			if (snprintf(opt.bin_dir, sizeof(opt.bin_dir), "%s", optarg) >= (int)sizeof(opt.bin_dir))
				die(2, "-b: too long a path");
			break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		default:
			fputs("Try --help.\n", stderr);
			exit(2);
		}
	}
}

/* Where this program is: tests of the runner run it, and its neighbours are the test programs. */
static void find_self(void)
{
	char self[PATH_MAX], *slash;
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n <= 0)
		return;
	self[n] = '\0';
	setenv("TL_RUNNER", self, 0);
	for (int i = 0; i < 2; i++) {
		slash = strrchr(self, '/');
		if (slash)
			*slash = '\0';
	}
	strcpy(opt.bin_dir, self);
}

static int catch_signals(void)
{
	static const int sigs[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction old;
	sigset_t set;
	int sfd;

	signal(SIGCHLD, SIG_DFL);	/* an inherited SIG_IGN would reap the tests behind our back */
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	for (size_t i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++) {
		/* nohup and the shell's & mean it. */
		if (!sigaction(sigs[i], NULL, &old) && old.sa_handler != SIG_IGN)
			sigaddset(&set, sigs[i]);
	}
	sigprocmask(SIG_BLOCK, &set, NULL);
	sfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (sfd < 0)
		die(1, "signalfd: %s", strerror(errno));
	return sfd;
}

int main(int argc, char **argv)
{
	struct job *jobs;
	long n;
	int fd, sfd;

	/* With a closed standard stream a pipe could become number 0 to 2. */
	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= 2);
	close(fd);
	find_self();
	parse_options(argc, argv);
	n = argc - optind;
	if (opt.log_dir && mkdir(opt.log_dir, 0777) && errno != EEXIST)
		die(1, "%s: %s", opt.log_dir, strerror(errno));
	jobs = must(calloc((size_t)n + 1, sizeof(*jobs)));
	for (long i = 0; i < n; i++)
		job_init(&jobs[i], argv[optind + i]);

	sfd = catch_signals();
	prctl(PR_SET_CHILD_SUBREAPER, 1);	/* what leaves its session and its parent comes to us */
	printf("TAP version 13\n1..%ld\n", n);
	fflush(stdout);
	run_all(jobs, n, sfd);
	for (long i = 0; i < n; i++)
		job_free(&jobs[i]);
	free(jobs);
	free(opt.wrapper);

	if (!total_passed && !total_failed)
		printf("# nothing ran\n");
	printf("%ld passed, %ld failed, %ld skipped\n", total_passed, total_failed, total_skipped);
	if (fflush(stdout))
		die(1, "standard output: %s", strerror(errno));
	if (interrupted)
		return 128 + interrupted;
	return total_failed || !total_passed;
}
