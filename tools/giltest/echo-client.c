/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The client of the echo measurement: asks, waits, and notes how long it took.
 *
 * One request is under way at a time. Without a period, the next one leaves when the
 * client has thought about the answer. With one, requests leave at multiples of
 * it; those that were to leave while the last one was not answered are left out,
 * so that what is measured is the answers' latency, never the length of a queue.
 *
 * Each request has its number, so that an answer that comes after its time is not
 * taken for another one's.
 */
#include "echo-client.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/num.h"
#include "echo.h"
#include "os/clock.h"

/* How long one recv() waits at most before it looks whether to hurry. */
#define POLL_US 50000
#define LOST_NS (5 * TL__NS_PER_S)
/* For so long the last word is said, again and again. */
#define BYE_NS (10 * TL__NS_PER_S)

/* One order being served. */
struct asking {
	int fd;
	struct echo_packet packet;
	struct echo_shared *shared;
	struct echo_report report;
};

static bool in_a_hurry(const struct asking *a)
{
	/* relaxed: see echo_hurry() */
	return atomic_load_explicit(&a->shared->hurry, memory_order_relaxed) ==
	       a->packet.run;
}

/* Waits for the answer. Returns 1, 0 if it isn't there in time, or -errno. */
static int await_answer(const struct asking *a, uint64_t until_ns, bool patient)
{
	const struct echo_packet *p = &a->packet;
	struct echo_packet got;
	ssize_t n;

	do {
		n = recv(a->fd, &got, sizeof(got), 0);
		if (n == sizeof(got) && got.run == p->run && got.seq == p->seq)
			return 1;
		if (n < 0 && errno != EAGAIN && errno != EINTR &&
		    errno != ECONNREFUSED)
			return -errno;
	} while ((patient || !in_a_hurry(a)) && tl__now() < until_ns);
	return 0;
}

static int send_packet(const struct asking *a)
{
	ssize_t n;

	do {
		n = send(a->fd, &a->packet, sizeof(a->packet), MSG_NOSIGNAL);
	} while (n < 0 && (errno == EINTR || errno == ECONNREFUSED));
	return n == sizeof(a->packet) ? 0 : n < 0 ? -errno : -EIO;
}

static void sleep_until(uint64_t ns)
{
	struct timespec ts = tl__timespec(ns);

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

/* One request. Returns 0, or -errno if there can't be more. */
static int ask(struct asking *a)
{
	uint64_t sent = tl__now();
	int r;

	a->packet.seq++;
	r = send_packet(a);
	if (!r)
		r = await_answer(a, sent + LOST_NS, false);
	if (r < 0)
		return r;
	if (r) {
		tl_hist_record(&a->shared->latency, tl__now() - sent);
		a->report.answers++;
	} else if (!in_a_hurry(a)) {
		a->report.lost++;
	}
	return 0;
}

static int ask_for(struct asking *a, const struct echo_order *o,
		   uint64_t duration_ns)
{
	uint64_t begin = tl__now(), now = begin, next = begin;
	int r = 0;

	while (!r && !in_a_hurry(a) && now - begin < duration_ns) {
		if (o->period_ns) {
			while (next <= now)
				next += o->period_ns;
			sleep_until(next);
		} else if (o->think_ns) {
			sleep_until(now + o->think_ns);
		}
		r = ask(a);
		now = tl__now();
	}
	a->report.elapsed_ns = now - begin;
	return r;
}

/* Until the server has heard it, or can't. */
static int say_bye(struct asking *a)
{
	uint64_t until_ns = tl__now() + BYE_NS;
	int r;

	a->packet.seq = ECHO_BYE;
	do {
		r = send_packet(a);
		if (!r)
			r = await_answer(a, 0, true);
	} while (!r && tl__now() < until_ns);
	return r < 0 ? r : r ? 0 : -ETIMEDOUT;
}

static void serve_order(struct asking *a, const struct echo_order *o)
{
	int r, bye;

	memset(&a->packet, 0, sizeof(a->packet));
	a->packet.run = o->run;
	r = ask_for(a, o, o->warm_up_ns);
	memset(&a->report, 0, sizeof(a->report));
	tl_hist_init(&a->shared->latency, "ns");
	if (!r)
		r = ask_for(a, o, o->duration_ns);
	bye = say_bye(a);
	a->report.error = r ? r : bye;
}

static void set_up(int fd)
{
	struct timeval tv = { .tv_usec = POLL_US };

	/* What ends the program ends this, by the control socket or by force. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	prctl(PR_SET_TIMERSLACK, 1);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
}

void echo_client(int fd, int control, struct echo_shared *shared)
{
	struct asking a = { .fd = fd, .shared = shared };
	struct echo_order order;
	ssize_t n;

	set_up(fd);
	for (;;) {
		n = recv(control, &order, sizeof(order), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n != sizeof(order))
			_exit(0);
		serve_order(&a, &order);
		/* To nobody, perhaps: the next recv() ends it then. */
		(void)send(control, &a.report, sizeof(a.report), MSG_NOSIGNAL);
	}
}
