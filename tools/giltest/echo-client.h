/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the two processes of the echo measurement say to each other.
 */
#ifndef TL_GILTEST_ECHO_CLIENT_H
#define TL_GILTEST_ECHO_CLIENT_H

#include <stdatomic.h>
#include <stdint.h>

#include <tasklet/hist.h>

/* Memory that both have. Only one of them uses `latency` at a time. */
struct echo_shared {
	struct tl_hist latency;
	_Atomic uint32_t hurry;	/* this run is to end soon */
};

/* A request, and its answer, which is the same. */
struct echo_packet {
	uint64_t seq;		/* ECHO_BYE: the last of its run */
	uint32_t run;
	uint32_t zero;
};

#define ECHO_BYE UINT64_MAX

/* The client: takes orders from @control until that ends. */
void echo_client(int fd, int control, struct echo_shared *shared)
	__attribute__((noreturn));

#endif
