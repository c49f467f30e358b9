/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Asks a UDP echo server: echo-client PORT SECONDS RATE. RATE is in requests a second,
 * at times fixed beforehand, so that a late answer does not put off what comes after
 * it; 0: the next one as soon as the answer is there. Prints a line of JSON: answers,
 * and how long they took from when the request was due.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <tasklet/hist.h>

#include "base/num.h"
#include "os/clock.h"

/*
 * The client wakes so much earlier than it has to, and waits awake: how long this
 * machine takes to wake it is none of the server's latency.
 */
#define AHEAD_NS (200 * TL__NS_PER_US)

static struct tl_hist hist;
static int sock;
static uint64_t sent, answers;

static void die(const char *what)
{
	fprintf(stderr, "echo-client: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* A request says when it was due. */
static void request(uint64_t due)
{
	if (send(sock, &due, sizeof(due), 0) != sizeof(due))
		die("send");
	sent++;
}

/* Takes answers until @until, or the first one. */
static void receive(uint64_t until, bool one)
{
	struct pollfd p = { .fd = sock, .events = POLLIN };
	uint64_t due, now;

	for (;;) {
		if (recv(sock, &due, sizeof(due), MSG_DONTWAIT) ==
		    (ssize_t)sizeof(due)) {
			tl_hist_record(&hist, tl__now() - due);
			answers++;
			if (one)
				return;
			continue;
		}
		now = tl__now();
		if (now >= until)
			return;
		struct timespec ts = tl__timespec(until - now);

		ppoll(&p, 1, &ts, NULL);
	}
}

static void receive_awake(uint64_t until)
{
	while (tl__now() < until)
		receive(0, false);
}

int main(int argc, char **argv)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	uint64_t port, seconds, rate, end, due;

	if (argc != 4 || tl__parse_u64(argv[1], 1, 65535, &port) ||
	    tl__parse_duration_ns(argv[2], TL__NS_PER_S, 1, 600 * TL__NS_PER_S,
				  &seconds) ||
	    tl__parse_u64(argv[3], 0, 1000000, &rate)) {
		fprintf(stderr, "usage: echo-client PORT SECONDS RATE\n");
		return 2;
	}
	tl_hist_init(&hist, "ns");
	prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
	a.sin_port = htons((uint16_t)port);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0 || connect(sock, (struct sockaddr *)&a, sizeof(a)))
		die("connect");
	due = tl__now();
	end = due + seconds;
	while (due < end) {
		request(due);
		if (rate) {
			due += TL__NS_PER_S / rate;
			receive(due - AHEAD_NS, false);
			receive_awake(due);
		} else {
			receive(tl__now() + TL__NS_PER_S, true);
			due = tl__now();
		}
	}
	receive(tl__now() + 100 * TL__NS_PER_MS, !rate);
	printf("{\"sent\":%ju,\"answers\":%ju,\"p50_us\":%.1f,\"p90_us\":%.1f,"
	       "\"p99_us\":%.1f,\"p999_us\":%.1f,\"max_us\":%.1f}\n",
	       (uintmax_t)sent, (uintmax_t)answers,
	       tl_hist_percentile(&hist, 50) / 1e3, tl_hist_percentile(&hist, 90) / 1e3,
	       tl_hist_percentile(&hist, 99) / 1e3,
	       tl_hist_percentile(&hist, 99.9) / 1e3, tl_hist_max(&hist) / 1e3);
	return 0;
}
