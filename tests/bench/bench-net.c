/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What a request costs a server: microseconds of processor time, the server on
 * processor 0 and the client on processor 1. Each measurement starts a server
 * of its own, connects, lets it warm up, and divides the time that it used by
 * the number of requests. "Ours" is the test server, but for the echo.
 */
#include <time.h>

#include "bench.h"
#include "net.h"

struct load {
	enum net_kind kind;
	unsigned int connections;
	unsigned long requests;
};

/*
 * About 0.1 s each, and the more rounds: what else runs on the machine comes and
 * goes more slowly than that, so a pair sees the same of it. In the same total
 * time this halves the spread of the median ratio (a loop against itself: 1 %
 * rather than 2 %), and the targets here are a few per cent.
 */
static const struct load echo_100 = { NET_ECHO, 100, 15000 };
static const struct load http_1 = { NET_HTTP, 1, 2000 };
static const struct load http_10 = { NET_HTTP, 10, 12000 };
static const struct load http_100 = { NET_HTTP, 100, 12000 };
static const struct load http_1000 = { NET_HTTP, 1000, 15000 };
static const struct load close_1 = { NET_HTTP_CLOSE, 1, 1000 };
static const struct load close_10 = { NET_HTTP_CLOSE, 10, 2000 };

#define ROUNDS 31
#define ROUNDS_SLOW 21	/* those that take longer to set up */

/* Lets the server finish what follows its last answer. */
static void settle(void)
{
	struct timespec ts = { 0, 3000000 };

	nanosleep(&ts, NULL);
}

static double measure(const struct net_server *server, const struct load *load)
{
	struct net_client *client;
	double before, after = -1;
	unsigned long warm_up;

	if (net_pin(NET_CLIENT_CPU))
		return -1;
	bench_set_pin(NET_PIN);
	client = net_client_open(load->kind, load->connections, server->port);
	if (!client)
		return -1;
	warm_up = 4 * load->connections + load->requests / 8;
	if (!net_client_run(client, warm_up)) {
		settle();
		before = net_cpu_ns(server);
		if (before >= 0 && !net_client_run(client, load->requests)) {
			settle();
			after = net_cpu_ns(server);
		}
	}
	net_client_close(client);
	if (after < 0)
		return -1;
	/* Somebody else has its port, and it ended for want of one. */
	if (after == before)
		return bench_skip("another server has answered");
	return (after - before) / (double)load->requests / 1e3;
}

/* @started: what starting the server returned. */
static double finish(struct net_server *server, const struct load *load,
		     int started)
{
	double r = started ? -1 : measure(server, load);

	net_stop(server);
	net_pin(NET_SERVER_CPU);	/* where bench.c had put us */
	return r;
}

static double loop(const struct load *load, net_serve_fn *serve)
{
	struct net_server server = { 0 };

	return finish(&server, load, net_start_loop(&server, serve));
}

static double testserver(const struct load *load)
{
	struct net_server server = { 0 };

	return finish(&server, load, net_start_testserver(&server));
}

static double nginx(const struct load *load)
{
	struct net_server server = { 0 };

	return finish(&server, load, net_start_nginx(&server));
}

static double echo_floor(void) { return loop(&echo_100, net_epoll_echo); }
static double echo_ours(void) { return loop(&echo_100, net_tasklet_echo); }

static double epoll_1(void) { return loop(&http_1, net_epoll_http); }
static double epoll_10(void) { return loop(&http_10, net_epoll_http); }
static double epoll_100(void) { return loop(&http_100, net_epoll_http); }
static double epoll_1000(void) { return loop(&http_1000, net_epoll_http); }
static double epoll_close_1(void) { return loop(&close_1, net_epoll_http); }
static double epoll_close_10(void) { return loop(&close_10, net_epoll_http); }

static double uring_100(void) { return loop(&http_100, net_uring_http); }

static double nginx_100(void) { return nginx(&http_100); }
static double nginx_close_1(void) { return nginx(&close_1); }
static double nginx_close_10(void) { return nginx(&close_10); }

static double ours_1(void) { return testserver(&http_1); }
static double ours_10(void) { return testserver(&http_10); }
static double ours_100(void) { return testserver(&http_100); }
static double ours_1000(void) { return testserver(&http_1000); }
static double ours_close_1(void) { return testserver(&close_1); }
static double ours_close_10(void) { return testserver(&close_10); }

#define EPOLL "a plain epoll loop"
#define URING "a plain io_uring loop"
#define NGINX "nginx"

const struct bench bench_net[] = {
	{ "tcp_echo_cpu", "us", EPOLL, "echo of 64 bytes, 100 connections",
	  echo_floor, echo_ours, ROUNDS, 0, 0 },
	{ "http_cpu", "us", EPOLL, "GET, 100 connections, keep-alive",
	  epoll_100, ours_100, ROUNDS, 0, 1.03 },
	{ "http_cpu_1", "us", EPOLL, "the same, 1 connection",
	  epoll_1, ours_1, ROUNDS, 0, 0 },
	{ "http_cpu_10", "us", EPOLL, "the same, 10 connections",
	  epoll_10, ours_10, ROUNDS, 0, 0 },
	{ "http_cpu_1000", "us", EPOLL, "the same, 1,000 connections",
	  epoll_1000, ours_1000, ROUNDS_SLOW, 0, 0 },
	{ "http_close_1", "us", EPOLL, "a connection a GET, 1 at a time",
	  epoll_close_1, ours_close_1, ROUNDS_SLOW, 0, 0 },
	{ "http_close_10", "us", EPOLL, "the same, 10 at a time",
	  epoll_close_10, ours_close_10, ROUNDS_SLOW, 0, 0 },
	{ "http_uring", "us", URING, "GET, 100 connections, keep-alive",
	  uring_100, ours_100, ROUNDS, 0, 0 },
	{ "http_nginx", "us", NGINX, "GET, 100 connections, keep-alive",
	  nginx_100, ours_100, ROUNDS, 0, 1.0 },
	{ "http_nginx_close_1", "us", NGINX, "a connection a GET, 1 at a time",
	  nginx_close_1, ours_close_1, ROUNDS_SLOW, 0, 1.0 },
	{ "http_nginx_close_10", "us", NGINX, "the same, 10 at a time",
	  nginx_close_10, ours_close_10, ROUNDS_SLOW, 0, 1.0 },
	{ 0 },
};
