/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * tl-testserver: an HTTP/1.1 server with a tasklet for each connection, or with
 * threads under a GIL, to try the library with ab, wrk and curl.
 *
 * The server is in http/; this file has the command line, the signals and the
 * order in which things start and end. Signals are read from a descriptor by a
 * tasklet, so that what they do runs where everything else runs; of threads, the
 * first one waits for them.
 */
#include <argp.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <tasklet/tasklet.h>

#include "base/num.h"
#include "http/server.h"
#include "http/threads.h"
#include "text/args.h"

enum {
	OPT_PORT_FILE = 0x100,
	OPT_HEADER_TIMEOUT,
	OPT_IO,
	OPT_THREADS,
	OPT_GIL,
	OPT_CPU_THREADS,
	OPT_WORK,
};

static const struct argp_option options[] = {
	{ "address", 'a', "ADDRESS", 0, "Listen on this one (127.0.0.1)", 0 },
	{ "port", 'p', "PORT", 0, "Listen on this one; 0 is any (8080)", 0 },
	{ "port-file", OPT_PORT_FILE, "FILE", 0,
	  "Write the port's number there when it is open", 0 },
	{ "connections", 'c', "MAX", 0,
	  "Keep at most so many open; others wait (10000)", 0 },
	{ "timeout", 't', "TIME", 0,
	  "Close a connection that is idle for so long (60s)", 0 },
	{ "header-timeout", OPT_HEADER_TIMEOUT, "TIME", 0,
	  "Refuse a request that takes longer to come in (20s)", 0 },
	{ "body-size", 'b', "SIZE", 0, "Bytes of hello's body (13)", 0 },
	{ "statistics", 's', NULL, 0,
	  "Print statistics as one line of JSON at the end", 0 },
	{ "io", OPT_IO, "BACKEND", 0, "io_uring or epoll; fail without it", 0 },
	{ NULL, 0, NULL, 0, "Threads and blocking sockets, not tasklets:", 0 },
	{ "threads", OPT_THREADS, "N", 0,
	  "Serve so many connections at a time, others wait", 0 },
	{ "gil", OPT_GIL, "POLICY", 0,
	  "Of all threads that of this GIL runs (handoff:futex)", 0 },
	{ "cpu-threads", OPT_CPU_THREADS, "N", 0,
	  "So many threads more that only compute (0)", 0 },
	{ "work", OPT_WORK, "N", 0,
	  "Bytecodes that a request takes, some 40 ns each (1000)", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static const char doc[] =
	"An HTTP/1.1 server with a tasklet for each connection, or threads."
	"\vA TIME is a number with ns, us, ms, s (the default), m or h; a SIZE "
	"one with k, M or G.\n\n"
	"  GET  / or /hello     Hello, world!\n"
	"  GET  /sleep?ms=N     answers after that time\n"
	"  GET  /bytes?n=N      so many bytes\n"
	"  POST /echo           the body\n"
	"  GET  /stats          statistics as JSON\n\n"
	"SIGTERM and SIGINT end the server: connections are closed, and it "
	"exits with 0. SIGUSR1 prints the statistics on standard output.";

struct program {
	struct server_config config;
	const char *port_file;
	const char *io;
	bool statistics;
	struct pool_config pool;	/* of no threads: tasklets */
	bool pool_options, task_options;	/* of one kind alone */
	struct server server;
	sigset_t signals;
	int signal_fd;
};

/* Stops with a usage message where a number is none, or out of bounds. */
static void check(struct argp_state *state, int r, const char *what,
		  const char *arg)
{
	if (r == -EINVAL)
		argp_error(state, "%s: '%s' is no number of that kind", what,
			   arg);
	else if (r)
		argp_error(state, "%s: %s is out of range", what, arg);
}

static uint64_t time_option(struct argp_state *state, const char *what,
			    const char *arg)
{
	uint64_t ns = 0;

	check(state,
	      tl__parse_duration_ns(arg, TL__NS_PER_S, 10 * TL__NS_PER_MS,
				    24 * 3600 * TL__NS_PER_S, &ns),
	      what, arg);
	return ns;
}

/* What it is that the library doesn't know, it says. */
static void check_gil(struct argp_state *state, const char *arg)
{
	struct tl_error *error = NULL;
	struct tl_gil *gil;
	int r = tl_gil_new(&gil, arg, &error);

	if (!r)
		tl_gil_free(gil);
	else if (error)
		argp_error(state, "gil: %s", tl_error_message(error));
	else
		argp_failure(state, EXIT_FAILURE, -r, "gil");
}

/* Those of threads, and what does not go with them. */
static error_t parse_pool_option(int key, char *arg, struct argp_state *state)
{
	struct program *p = state->input;
	uint64_t n = 0;

	switch (key) {
	case OPT_THREADS:
		check(state, tl__parse_u64(arg, 1, 1024, &n), "threads", arg);
		p->pool.threads = (unsigned int)n;
		break;
	case OPT_GIL:
		check_gil(state, arg);
		p->pool.gil = arg;
		p->pool_options = true;
		break;
	case OPT_CPU_THREADS:
		check(state, tl__parse_u64(arg, 0, 1024, &n), "cpu-threads",
		      arg);
		p->pool.cpu_threads = (unsigned int)n;
		p->pool_options = true;
		break;
	case OPT_WORK:
		check(state, tl__parse_u64(arg, 0, 100000000, &n), "work", arg);
		p->pool.work = (unsigned int)n;
		p->pool_options = true;
		break;
	case ARGP_KEY_END:
		if (p->pool_options && !p->pool.threads)
			argp_error(state, "--gil, --cpu-threads and --work go "
				   "with --threads");
		if (p->task_options && p->pool.threads)
			argp_error(state, "threads have no --connections and "
				   "no --io");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct program *p = state->input;
	uint64_t n = 0;

	switch (key) {
	case 'a':
		p->config.address = arg;
		break;
	case 'p':
		check(state, tl__parse_u64(arg, 0, UINT16_MAX, &n), "port",
		      arg);
		p->config.port = (uint16_t)n;
		break;
	case OPT_PORT_FILE:
		p->port_file = arg;
		break;
	case 'c':
		check(state, tl__parse_u64(arg, 1, 10000000, &n), "connections",
		      arg);
		p->config.max_connections = n;
		p->task_options = true;
		break;
	case 't':
		p->config.idle_ns = time_option(state, "timeout", arg);
		break;
	case OPT_HEADER_TIMEOUT:
		p->config.header_ns = time_option(state, "header-timeout", arg);
		break;
	case 'b':
		check(state, tl__parse_size(arg, 0, 64 << 20, &n), "body-size",
		      arg);
		p->config.body_size = n;
		break;
	case 's':
		p->statistics = true;
		break;
	case OPT_IO:
		if (strcmp(arg, "io_uring") != 0 && strcmp(arg, "epoll") != 0)
			argp_error(state,
				   "io: '%s' is neither io_uring nor epoll",
				   arg);
		p->io = arg;
		p->task_options = true;
		break;
	case ARGP_KEY_ARG:
		argp_error(state, "unexpected argument '%s'", arg);
		break;
	default:
		return parse_pool_option(key, arg, state);
	}
	return 0;
}

static int fail(const char *what, int error)
{
	fprintf(stderr, "tl-testserver: %s: %s\n", what, strerror(-error));
	return EXIT_FAILURE;
}

/* From a thread; others run meanwhile. */
static int write_all(const char *text, size_t len)
{
	ssize_t n = 0;
	int r = 0;

	tl_gil_block_begin();
	for (; !r && len; text += n, len -= (size_t)n) {
		n = write(STDOUT_FILENO, text, len);
		if (n < 0 && errno != EINTR)
			r = -errno;
		if (n < 0)
			n = 0;
	}
	tl_gil_block_end();
	return r;
}

/* Through the ring: a reader that does not read must not stop the server. */
static int print_statistics(const struct program *p)
{
	char text[SERVER_STATS_MAX];
	int len = server_write_stats(&p->server, text, sizeof(text));
	ssize_t r;

	if (!len)
		return -ENOMEM;
	if (p->server.pool)
		return write_all(text, (size_t)len);
	r = tl_write_full(STDOUT_FILENO, text, (size_t)len, NULL);
	return r < 0 ? (int)r : 0;
}

static int watch_signals(void *arg)
{
	struct program *p = arg;
	struct signalfd_siginfo info;
	int r;

	for (;;) {
		ssize_t n = tl_read(p->signal_fd, &info, sizeof(info));

		if (n == -ECANCELED)
			return 0;
		if (n != (ssize_t)sizeof(info)) {
			fail("signals", n < 0 ? (int)n : -EIO);
			break;
		}
		if (info.ssi_signo != SIGUSR1)
			break;
		r = print_statistics(p);
		if (r)
			fail("statistics", r);
	}
	server_stop(&p->server);
	return 0;
}

/* Whoever waits for the file to appear finds the whole number in it. */
static int write_port(const char *path, unsigned int port)
{
	char *temporary;
	FILE *f;
	int r;

	if (asprintf(&temporary, "%s.new", path) < 0)
		return -ENOMEM;
	f = fopen(temporary, "we");
	r = f && fprintf(f, "%u\n", port) > 0 ? 0 : -1;
	if (f && fclose(f))
		r = -1;
	if (r || rename(temporary, path))
		r = errno ? -errno : -EIO;
	free(temporary);
	return r;
}

static int announce(struct program *p)
{
	char name[128];
	uint16_t port;
	int r = server_name(&p->server, name, sizeof(name), &port);

	if (r)
		return fail("address", r);
	fprintf(stderr, "listening on %s\n", name);
	if (p->port_file) {
		r = write_port(p->port_file, port);
		if (r)
			return fail(p->port_file, r);
	}
	return 0;
}

static int check_backend(const struct program *p)
{
	struct tl_features has = { .size = sizeof(has) };
	int r = tl_features(&has);

	if (r)
		return fail("IO", r);
	if (p->io && strcmp(has.io, p->io) != 0) {
		fprintf(stderr, "tl-testserver: no %s: %s\n", p->io,
			has.io_reason);
		return EXIT_FAILURE;
	}
	return 0;
}

/* The same of a server with threads; from the first one's begin to the last's end. */
static int run_threads(struct program *p)
{
	struct tl_error *error = NULL;
	struct pool *pool;
	int r, status;

	r = pool_start(&pool, &p->server, &p->pool, &error);
	if (r) {
		/* That of TL_GIL: the option was looked at before. */
		if (error)
			fprintf(stderr, "tl-testserver: gil: %s\n",
				tl_error_message(error));
		else
			fail("threads", r);
		tl_error_free(error);
		return EXIT_FAILURE;
	}
	status = announce(p);
	while (!status) {
		r = pool_wait(pool, &p->signals);
		if (r != SIGUSR1)
			break;
		r = print_statistics(p);
		if (r)
			fail("statistics", r);
	}
	pool_stop(pool);
	if (!status && p->statistics) {
		r = print_statistics(p);
		if (r)
			status = fail("statistics", r);
	}
	pool_free(pool);
	return p->server.error ? fail("accept", p->server.error) : status;
}

/* From the first tasklet to the last. */
static int run(struct program *p)
{
	struct tl_task *watcher = NULL;
	int r, status;

	r = server_start(&p->server);
	if (!r)
		r = tl_spawn(&watcher, watch_signals, p);
	status = r ? fail("start", r) : announce(p);
	if (status)
		server_stop(&p->server);
	r = tl_run();
	/* The server may have stopped by itself, and nobody sent a signal. */
	if (watcher) {
		tl_task_kill(watcher);
		tl_task_unref(watcher);
	}
	if (r)
		return fail("server", r < 0 ? r : -EDEADLK);
	if (p->server.error)
		return fail("accept", p->server.error);
	return status;
}

static int serve(struct program *p)
{
	const char *why = "";
	int r, status;

	r = server_open(&p->server, &p->config, &why);
	if (r)
		status = fail(why, r);
	else if (p->pool.threads)
		status = run_threads(p);
	else
		status = run(p);
	if (!status && p->statistics && !p->pool.threads) {
		r = print_statistics(p);
		if (r)
			status = fail("statistics", r);
	}
	server_free(&p->server);
	return status;
}

int main(int argc, char **argv)
{
	static struct program p = {
		.config = {
			.address = "127.0.0.1",
			.port = 8080,
			.max_connections = 10000,
			.idle_ns = 60 * TL__NS_PER_S,
			.header_ns = 20 * TL__NS_PER_S,
			.body_size = 13,
		},
		.pool = { .work = 1000 },
	};
	static const struct argp argp = { options, parse_option, NULL, doc,
					  NULL, NULL, NULL };
	int status, r;

	args_begin("tl-testserver");
	argp_parse(&argp, argc, argv, 0, NULL, &p);
	if (p.io)
		setenv("TL_IO", p.io, 1);
	/* Before any thread begins, so that none of them takes one. */
	sigemptyset(&p.signals);
	sigaddset(&p.signals, SIGTERM);
	sigaddset(&p.signals, SIGINT);
	sigaddset(&p.signals, SIGUSR1);
	sigprocmask(SIG_BLOCK, &p.signals, NULL);
	p.signal_fd = signalfd(-1, &p.signals, SFD_CLOEXEC);
	if (p.signal_fd < 0)
		return fail("signalfd", -errno);
	status = p.pool.threads ? 0 : check_backend(&p);
	if (!status)
		status = serve(&p);
	close(p.signal_fd);
	r = tl_sched_end();
	if (r && !status)
		status = fail("tasklets are left", -EBUSY);
	return status;
}
