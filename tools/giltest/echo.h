/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The echo measurement: a client in a process of its own, which asks over UDP on
 * loopback and takes the time, and what the measured thread needs to answer.
 *
 * The client is made once, before the program has any other thread, and serves one
 * order after the other. Whatever an order left in the sockets is known by its
 * number and dropped. The client ends with the program, however that ends.
 */
#ifndef TL_GILTEST_ECHO_H
#define TL_GILTEST_ECHO_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct tl_hist;
struct echo_shared;

struct echo {
	pid_t client;
	int control;		/* orders to it, reports from it */
	int server;		/* the socket on which it asks */
	uint32_t run;		/* number of the order to come, or of the last one */
	struct echo_shared *shared;
};

struct echo_order {
	uint64_t warm_up_ns, duration_ns;
	uint64_t period_ns;	/* of requests; 0: each when the last is answered, */
	uint64_t think_ns;	/* and after so long */
	uint32_t run;		/* filled in by echo_begin() */
};

struct echo_report {
	uint64_t answers;	/* that are in the histogram */
	uint64_t lost;		/* requests without an answer in 5 s */
	uint64_t elapsed_ns;
	int error;		/* -errno: it could not ask */
};

/* Returns 0 or -errno; echo_close() is due only after 0. */
int echo_open(struct echo *e);
void echo_close(struct echo *e);

/* Only the processor numbers in @set, of @size bytes. Returns 0 or -errno. */
int echo_pin(struct echo *e, const void *set, size_t size);

/* Numbers the order to come. Before the server's thread begins. */
void echo_prepare(struct echo *e);

/* Makes the client begin. Returns 0 or -errno. */
int echo_begin(struct echo *e, const struct echo_order *order);

/* Makes it come to its end soon; its report is due all the same. */
void echo_hurry(struct echo *e);

/*
 * Waits for the report, and adds the latencies to @latency, ns. Returns 0, or
 * -errno: -EPIPE if the client is dead.
 */
int echo_end(struct echo *e, struct echo_report *report,
	     struct tl_hist *latency);

/*
 * The server's part, without waiting for anything but the network: the next
 * request of @run. Returns its length (then it is in @request), 0 if it was the last,
 * or -errno. And its answer: 0 or -errno.
 */
#define ECHO_SIZE 32
int echo_receive(int fd, uint32_t run, char request[ECHO_SIZE]);
int echo_answer(int fd, const char *request, int len);

/* Makes a server that waits return; it can't be used any more. */
void echo_break(struct echo *e);

#endif
