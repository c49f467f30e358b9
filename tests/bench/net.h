/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The pieces of the network benchmarks: servers in processes of their own on
 * processor 0, and a closed-loop client on processor 1.
 *
 * What is measured is the processor time that a server uses a request. It does
 * not depend on how fast the client is, as long as both servers of a row see
 * the same client; nor on the time slices that other processes take away.
 */
#ifndef BENCH_NET_H
#define BENCH_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "http/request.h"

#define NET_SERVER_CPU 0
#define NET_CLIENT_CPU 1
#define NET_PIN "cpu0,cpu1"
#define NET_ECHO_SIZE 64
#define NET_BODY "Hello, world!"
#define NET_PATH "/hello"

/* --- net-process.c: servers ------------------------------------------------ */

struct net_server {
	pid_t pid;		/* 0: none */
	uint16_t port;
};

/* Serves connections of @listener until the process is killed. */
typedef void net_serve_fn(int listener);

/* These return 0, or -1 after bench_skip(). */
int net_start_loop(struct net_server *server, net_serve_fn *serve);
int net_start_testserver(struct net_server *server);
int net_start_nginx(struct net_server *server);

/* Kills and reaps it. Harmless where none was started. */
void net_stop(struct net_server *server);

/* Processor time that all its threads have used so far; < 0: it is gone. */
double net_cpu_ns(const struct net_server *server);

/* Pins the caller. Returns 0 or -1 after bench_skip(). */
int net_pin(int cpu);

/* --- net-epoll.c, net-uring.c, net-tasklet.c: what they run ------------------ */

net_serve_fn net_epoll_echo, net_epoll_http, net_uring_http, net_tasklet_echo;

/* --- net-http.c: the request handler of the plain loops ---------------------- */

struct net_http {
	struct http_request request;
	bool keep_alive;	/* after the last answer */
	uint32_t len, parsed;
	char buf[HTTP_HEAD_MAX];	/* receive behind buf[len] */
};

/* Once in the process. */
void net_http_setup(void);

void net_http_init(struct net_http *http);

/*
 * @size bytes were received. Returns 1 with the answer to send, 0 if the
 * request is not complete, -1 if it is not the one that is asked here.
 */
int net_http_feed(struct net_http *http, size_t size, const char **answer,
		  size_t *answer_size);

/* --- net-client.c: load ------------------------------------------------------ */

enum net_kind {
	NET_ECHO,		/* 64 bytes there and back */
	NET_HTTP,		/* keep-alive */
	NET_HTTP_CLOSE,		/* a connection a request */
};

struct net_client;

/* Connects @connections times. NULL after bench_skip(). */
struct net_client *net_client_open(enum net_kind kind, unsigned int connections,
				   uint16_t port);
void net_client_close(struct net_client *client);

/*
 * Has @requests answered, each connection asking again as soon as it has its
 * answer, and checks each answer. Returns 0 or -1 after bench_skip().
 */
int net_client_run(struct net_client *client, unsigned long requests);

#endif
