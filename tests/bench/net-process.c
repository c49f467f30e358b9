/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Servers as child processes: started on a port that the kernel chose, pinned,
 * watched, and always killed; they die with the benchmark however it ends.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "net.h"

#define DESCRIPTORS 8192
#define START_MS 5000

int net_pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		return (int)bench_skip("can't run on processor %d: %s", cpu,
				       strerror(errno));
	return 0;
}

/* A socket on a free port of the loopback. Returns it, or -1. */
static int bind_any(uint16_t *port)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t size = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) ||
	    getsockname(fd, (struct sockaddr *)&addr, &size)) {
		bench_skip("a listening socket: %s", strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	*port = ntohs(addr.sin_port);
	return fd;
}

static void raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) ||
	    limit.rlim_cur >= DESCRIPTORS)
		return;
	limit.rlim_cur = limit.rlim_max < DESCRIPTORS ? limit.rlim_max :
							DESCRIPTORS;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* Forks. In the child, returns 0 with everything set up. */
static pid_t fork_server(void)
{
	pid_t parent = getpid(), pid;

	raise_limit();
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		bench_skip("fork: %s", strerror(errno));
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || net_pin(NET_SERVER_CPU))
		_exit(1);
	return 0;
}

int net_start_loop(struct net_server *server, net_serve_fn *serve)
{
	int fd = bind_any(&server->port);

	if (fd < 0)
		return -1;
	if (listen(fd, SOMAXCONN)) {
		close(fd);
		return (int)bench_skip("listen: %s", strerror(errno));
	}
	server->pid = fork_server();
	if (!server->pid) {
		serve(fd);
		_exit(1);
	}
	close(fd);
	return server->pid < 0 ? -1 : 0;
}

static bool connects(uint16_t port)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool yes = fd >= 0 &&
		   !connect(fd, (struct sockaddr *)&to, sizeof(to));

	if (fd >= 0)
		close(fd);
	return yes;
}

static void sleep_ms(long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&ts, NULL);
}

static int await(struct net_server *server, const char *program, int words)
{
	char text[160] = "";
	int waited;

	for (waited = 0; waited < START_MS; waited += 5) {
		if (waitpid(server->pid, NULL, WNOHANG) == server->pid) {
			server->pid = 0;
			if (pread(words, text, sizeof(text) - 1, 0) < 0)
				text[0] = '\0';
			text[strcspn(text, "\n")] = '\0';
			return (int)bench_skip("%s did not start: %s", program,
					       text);
		}
		if (connects(server->port))
			return 0;
		sleep_ms(5);
	}
	return (int)bench_skip("%s does not listen", program);
}

/*
 * Starts a program that is to listen on server->port. What it says is of
 * interest only if it doesn't.
 */
static int start_program(struct net_server *server, char *const argv[])
{
	int words = memfd_create("words", MFD_CLOEXEC), r;

	if (words < 0)
		return (int)bench_skip("memfd_create: %s", strerror(errno));
	server->pid = fork_server();
	if (!server->pid) {
		dup2(words, STDERR_FILENO);
		execv(argv[0], argv);
		fprintf(stderr, "%s\n", strerror(errno));
		fflush(stderr);
		_exit(127);
	}
	r = server->pid < 0 ? -1 : await(server, argv[0], words);
	close(words);
	return r;
}

/*
 * A port that is free now. Another process may take it before the server does:
 * then the server does not start, and the row says so.
 */
static int free_port(uint16_t *port)
{
	int fd = bind_any(port);

	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

/* $TL_BUILD/tools/tl-testserver, or the one of this program's own build. */
static int find_testserver(char *path, size_t size)
{
	const char *build = getenv("TL_BUILD");
	char self[PATH_MAX - 32];
	ssize_t n;
	int i;

	if (build && *build) {
		snprintf(path, size, "%s/tools/tl-testserver", build);
	} else {
		n = readlink("/proc/self/exe", self, sizeof(self) - 1);
		self[n > 0 ? n : 0] = '\0';
		/* Up from tests/bench/bench. */
		for (i = 0; i < 3 && strrchr(self, '/'); i++)
			*strrchr(self, '/') = '\0';
		snprintf(path, size, "%s/tools/tl-testserver", self);
	}
	if (access(path, X_OK))
		return (int)bench_skip("no test server: %s: %s", path,
				       strerror(errno));
	return 0;
}

int net_start_testserver(struct net_server *server)
{
	char path[PATH_MAX], port[16];
	char *argv[] = { path, "-p", port, NULL };

	if (find_testserver(path, sizeof(path)) || free_port(&server->port))
		return -1;
	snprintf(port, sizeof(port), "%u", server->port);
	return start_program(server, argv);
}

static const char *find_nginx(void)
{
	static const char *const places[] = {
		"/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/sbin/nginx",
		"/usr/local/nginx/sbin/nginx",
	};
	size_t i;

	for (i = 0; i < sizeof(places) / sizeof(*places); i++)
		if (!access(places[i], X_OK))
			return places[i];
	return NULL;
}

/*
 * One process: the master would only watch the worker, and could leave it
 * behind. What the worker does for a request is the same.
 */
static const char nginx_conf[] =
	"daemon off;\n"
	"master_process off;\n"
	"worker_processes 1;\n"
	"pid %s/pid;\n"
	"error_log stderr crit;\n"
	"events { worker_connections 4096; }\n"
	"http {\n"
	"	access_log off;\n"
	"	keepalive_requests 1000000000;\n"
	"	client_body_temp_path %s/body;\n"
	"	proxy_temp_path %s/proxy;\n"
	"	fastcgi_temp_path %s/fastcgi;\n"
	"	uwsgi_temp_path %s/uwsgi;\n"
	"	scgi_temp_path %s/scgi;\n"
	"	server {\n"
	"		listen 127.0.0.1:%u;\n"
	"		default_type text/plain;\n"
	"		location = " NET_PATH " { return 200 \"" NET_BODY "\"; }\n"
	"	}\n"
	"}\n";

static void remove_nginx_dir(const char *dir)
{
	static const char *const names[] = {
		"conf", "pid", "body", "proxy", "fastcgi", "uwsgi", "scgi",
	};
	char path[PATH_MAX];
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(*names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		remove(path);
	}
	rmdir(dir);
}

static int first_answer(const struct net_server *server)
{
	struct net_client *client = net_client_open(NET_HTTP, 1, server->port);
	int r = client ? net_client_run(client, 1) : -1;

	net_client_close(client);
	return r;
}

int net_start_nginx(struct net_server *server)
{
	const char *program = find_nginx(), *tmp = getenv("TMPDIR");
	char dir[PATH_MAX - 16], conf[PATH_MAX];
	FILE *file;
	int r;

	if (!program)
		return (int)bench_skip("nginx is not installed");
	if (free_port(&server->port))
		return -1;
	snprintf(dir, sizeof(dir), "%s/bench-nginx-XXXXXX",
		 tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(dir))
		return (int)bench_skip("%s: %s", dir, strerror(errno));
	snprintf(conf, sizeof(conf), "%s/conf", dir);
	file = fopen(conf, "w");
	if (file) {
		fprintf(file, nginx_conf, dir, dir, dir, dir, dir, dir,
			server->port);
		fclose(file);
	}
	r = start_program(server, (char *[]){ (char *)program, "-e", "stderr",
					      "-p", dir, "-c", conf, NULL });
	/* When it answers it has made all its files, and needs none of them. */
	if (!r)
		r = first_answer(server);
	remove_nginx_dir(dir);
	return r;
}

void net_stop(struct net_server *server)
{
	if (server->pid > 0) {
		kill(server->pid, SIGKILL);
		waitpid(server->pid, NULL, 0);
	}
	server->pid = 0;
}

double net_cpu_ns(const struct net_server *server)
{
	struct timespec ts;
	clockid_t clock;

	/* To the nanosecond, with the threads that run and those that ended. */
	if (clock_getcpuclockid(server->pid, &clock) ||
	    clock_gettime(clock, &ts))
		return bench_skip("the server is gone");
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}
