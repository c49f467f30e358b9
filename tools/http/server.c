/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The HTTP server's tasklets: one accepts, one serves each connection, and one,
 * the reaper, keeps the time while there are connections.
 *
 * Invariant: a connection is in server->conns from the first instruction of its
 * tasklet to its last but few, and owns its descriptor for as long. It is
 * started at once when it has been accepted (a tasklet that is killed before it
 * ran would leave its descriptor open), and it removes itself; nobody else
 * frees anything of it.
 */
#include "server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <tasklet/tasklet.h>

#include "base/compiler.h"
#include "base/num.h"

/* A peer that sends a body has to keep up this, whatever the time limit. */
#define BODY_BYTES_PER_S 1024

#define LINGER_NS (2 * TL__NS_PER_S)

/* --- time limits ---------------------------------------------------------- */

static bool overdue(const struct server *s, const struct conn *c)
{
	uint32_t limit = s->limit[c->phase];

	if (!limit || c->late)
		return false;
	if (c->phase == CONN_BODY)
		limit += c->request.body_len / s->body_bytes_per_tick;
	return s->tick - c->since >= limit;
}

static void throw_late(struct conn *c)
{
	struct tl_error *error;

	/* Without memory now: the next tick tries again. */
	if (tl_error_new(&error, ETIMEDOUT, "connection timed out"))
		return;
	c->late = !tl_task_throw_later(c->task, error);
	if (!c->late)
		tl_error_free(error);
}

void server_tick(struct server *s, void (*throw_at)(struct conn *c))
{
	struct tl__list *pos, *tmp;

	s->tick++;
	http_set_date(s);
	tl__list_for_each_safe(pos, tmp, &s->conns) {
		struct conn *c = tl__container_of(pos, struct conn, link);

		if (unlikely(overdue(s, c)))
			throw_at(c);
	}
}

static int reap(void *arg)
{
	struct server *s = arg;

	while (!tl__list_empty(&s->conns)) {
		if (tl_sleep(s->tick_ns))
			break;
		server_tick(s, throw_late);
	}
	s->reaper = NULL;
	return 0;
}

static uint32_t ticks(const struct server *s, uint64_t ns)
{
	/* One more than it takes: the first one may be all but over. */
	return (uint32_t)((ns + s->tick_ns - 1) / s->tick_ns) + 1;
}

static void set_limits(struct server *s)
{
	uint64_t idle = s->config.idle_ns, header = s->config.header_ns;
	uint64_t least = idle < header ? idle : header, bytes;

	/* As coarse as can be, and an eighth of the time limit at most. */
	s->tick_ns = least / 8;
	if (s->tick_ns > TL__NS_PER_S)
		s->tick_ns = TL__NS_PER_S;
	if (s->tick_ns < TL__NS_PER_MS)
		s->tick_ns = TL__NS_PER_MS;
	s->limit[CONN_IDLE] = ticks(s, idle);
	s->limit[CONN_HEAD] = ticks(s, header);
	s->limit[CONN_BODY] = ticks(s, header);
	s->limit[CONN_WORK] = 0;
	s->limit[CONN_SEND] = ticks(s, idle);
	s->limit[CONN_LINGER] = ticks(s, LINGER_NS);
	bytes = BODY_BYTES_PER_S * s->tick_ns / TL__NS_PER_S;
	s->body_bytes_per_tick = bytes ? (uint32_t)bytes : 1;
}

/* --- connections ---------------------------------------------------------- */

void conn_begin(struct conn *c, struct server *s)
{
	http_request_init(&c->request);
	c->server = s;
	c->late = false;
	c->head = c->pos = c->len = c->out_len = 0;
	conn_set_phase(c, CONN_IDLE);
	tl__list_add_tail(&s->conns, &c->link);
	s->counters.connections++;
	if (++s->counters.open > s->counters.open_max)
		s->counters.open_max = s->counters.open;
}

static void start_reaper(struct server *s)
{
	http_set_date(s);
	/* Without it nothing times out; a later one tries again. */
	if (tl_spawn(&s->reaper, reap, s))
		s->counters.faults[FAULT_SPAWN]++;
	else
		tl_task_unref(s->reaper);
}

void conn_end(struct conn *c)
{
	http_request_drop_body(&c->request);
	tl__list_del(&c->link);
	c->server->counters.open--;
}

/*
 * The reaper has seen to it. A request that is half there is answered, so
 * that the peer learns why the connection ends.
 */
static int time_out(struct conn *c)
{
	struct server_counters *n = &c->server->counters;

	if (c->task)
		tl_error_free(tl_catch());
	c->late = false;
	switch (c->phase) {
	case CONN_HEAD:
	case CONN_BODY:
		http_refuse(c, HTTP_STATUS_REQUEST_TIMEOUT);
		return conn_flush(c);
	case CONN_SEND:
		n->faults[FAULT_SLOW_READER]++;
		break;
	default:
		n->idle_closed++;
		break;
	}
	return 0;
}

static void account_end(struct conn *c, int r)
{
	struct server_counters *n = &c->server->counters;

	if (r == -ECANCELED)
		n->killed++;
	else if (r < 0)
		n->faults[FAULT_RESET]++;
	else if (r && c->phase != CONN_IDLE)
		n->faults[FAULT_TRUNCATED]++;
}

void conn_serve(struct conn *c)
{
	int r;

	do {
		r = conn_next_request(c);
		if (!r && c->io->compute)
			c->io->compute(c);
		if (likely(!r && !c->request.status))
			r = http_answer(c);
		if (unlikely(!r && c->request.status))
			r = http_refuse(c, c->request.status);
	} while (likely(!r && c->request.keep_alive));
	if (!r)
		r = conn_flush(c);
	if (!r && (c->request.stage != HTTP_COMPLETE || c->pos < c->len))
		conn_linger(c);
	if (r == -ETIMEDOUT && c->late)
		r = time_out(c);
	account_end(c, r);
}

static ssize_t task_recv(struct conn *c, void *buf, size_t size)
{
	return tl_recv(c->fd, buf, size, 0);
}

static ssize_t task_send(struct conn *c, const void *buf, size_t size)
{
	return tl_send(c->fd, buf, size, 0);
}

static ssize_t task_sendmsg(struct conn *c, const struct msghdr *msg)
{
	return tl_sendmsg(c->fd, msg, 0);
}

static int task_shutdown(struct conn *c, int how)
{
	return tl_shutdown(c->fd, how);
}

static int task_sleep(struct conn *c, uint64_t ns)
{
	(void)c;
	return tl_sleep(ns);
}

static const struct conn_io task_io = {
	.recv = task_recv,
	.send = task_send,
	.sendmsg = task_sendmsg,
	.shutdown = task_shutdown,
	.sleep = task_sleep,
};

/* From the acceptor to a connection's tasklet, which takes the descriptor. */
struct handoff {
	struct server *server;
	int fd;
};

static int serve(void *arg)
{
	struct handoff *from = arg;
	struct server *s = from->server;
	struct conn c;

	c.task = tl_current();
	c.work = NULL;
	c.io = &task_io;
	c.fd = from->fd;
	from->fd = -1;
	conn_begin(&c, s);
	if (unlikely(!s->reaper))
		start_reaper(s);
	conn_serve(&c);
	tl_close(c.fd);
	conn_end(&c);
	if (unlikely(s->full)) {
		s->full = false;
		tl_chan_try_send(s->room, NULL);
	}
	return 0;
}

/* --- accepting ------------------------------------------------------------ */

/* Blocks while there are as many connections as there may be. */
static int wait_for_room(struct server *s)
{
	int r = 0;

	while (!r && s->counters.open >= s->config.max_connections) {
		s->full = true;
		r = tl_chan_recv(s->room, NULL);
	}
	return r;
}

bool server_accepts_after(int error)
{
	switch (error) {
	case -ECONNABORTED:
	case -ECONNRESET:
	case -EPERM:		/* a firewall's word */
	case -EPROTO:
	case -EHOSTUNREACH:
	case -ENETDOWN:
	case -ENETUNREACH:
	case -ENOBUFS:
	case -ENOMEM:
		return true;
	default:
		return false;
	}
}

static int accept_one(struct server *s)
{
	struct handoff h = { .server = s };
	int r = wait_for_room(s);

	if (r)
		return r;
	h.fd = tl_listener_accept(s->listener);
	if (unlikely(h.fd < 0)) {
		if (!server_accepts_after(h.fd))
			return h.fd;
		s->counters.faults[FAULT_ACCEPT]++;
		return tl_sleep(TL__NS_PER_MS);
	}
	/* Begins at once: nobody else would close its descriptor. */
	r = tl_spawn_run(NULL, serve, &h);
	if (unlikely(h.fd >= 0)) {
		tl_close(h.fd);
		s->counters.faults[FAULT_SPAWN]++;
		return r == -ENOMEM ? tl_sleep(TL__NS_PER_MS) : r;
	}
	return r;
}

static int accept_all(void *arg)
{
	struct server *s = arg;
	int r;

	do {
		r = accept_one(s);
	} while (!r);
	tl_listener_free(s->listener);
	s->listener = NULL;
	s->acceptor = NULL;
	if (!s->stopping) {
		s->error = r;
		server_stop(s);
	}
	return 0;
}

/* --- start and stop ------------------------------------------------------- */

static int listen_on(struct server *s, const struct addrinfo *ai)
{
	int one = 1;

	s->fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return -errno;
	/* Accepted sockets inherit TCP_NODELAY: a system call less for each. */
	if (setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) ||
	    bind(s->fd, ai->ai_addr, ai->ai_addrlen) ||
	    listen(s->fd, SOMAXCONN))
		return -errno;
	return 0;
}

int server_open(struct server *s, const struct server_config *config,
		const char **why)
{
	struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
		.ai_socktype = SOCK_STREAM,
	}, *ai;
	char port[8];
	int r;

	memset(s, 0, sizeof(*s));
	s->config = *config;
	s->fd = -1;
	tl__list_init(&s->conns);
	set_limits(s);
	http_request_setup();
	*why = "memory";
	r = http_make_replies(s);
	if (r)
		return r;
	r = tl_chan_new(&s->room, 0, 1);
	if (r)
		return r;
	tl_chan_set_preference(s->room, 0);
	*why = "address";
	snprintf(port, sizeof(port), "%u", config->port);
	if (getaddrinfo(config->address, port, &hints, &ai))
		return -EINVAL;
	*why = "listen";
	r = listen_on(s, ai);
	freeaddrinfo(ai);
	return r;
}

int server_name(const struct server *s, char *name, size_t size,
		uint16_t *port)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	char host[NI_MAXHOST], serv[NI_MAXSERV];
	bool is_v6;
	uint64_t n;

	if (getsockname(s->fd, (struct sockaddr *)&addr, &len))
		return -errno;
	if (getnameinfo((struct sockaddr *)&addr, len, host, sizeof(host), serv,
			sizeof(serv), NI_NUMERICHOST | NI_NUMERICSERV) ||
	    tl__parse_u64(serv, 1, UINT16_MAX, &n))
		return -EINVAL;
	is_v6 = addr.ss_family == AF_INET6;
	snprintf(name, size, "%s%s%s:%s", is_v6 ? "[" : "", host,
		 is_v6 ? "]" : "", serv);
	*port = (uint16_t)n;
	return 0;
}

int server_start(struct server *s)
{
	int r = tl_listener_new(&s->listener, s->fd, SOCK_CLOEXEC);

	if (r)
		return r;
	r = tl_spawn(&s->acceptor, accept_all, s);
	if (r)
		return r;
	/* The ring and its waits keep it; it clears this when it ends. */
	tl_task_unref(s->acceptor);
	return 0;
}

void server_stop(struct server *s)
{
	struct tl__list *pos, *tmp;

	if (s->stopping)
		return;
	s->stopping = true;
	if (s->acceptor)
		tl_task_kill_later(s->acceptor);
	tl__list_for_each_safe(pos, tmp, &s->conns)
		tl_task_kill_later(
			tl__container_of(pos, struct conn, link)->task);
	if (s->reaper)
		tl_task_kill_later(s->reaper);
}

void server_free(struct server *s)
{
	/* Where the acceptor was killed before it ran. */
	tl_listener_free(s->listener);
	s->listener = NULL;
	tl_chan_unref(s->room);
	if (s->fd >= 0)
		close(s->fd);
	http_free_replies(s);
}
