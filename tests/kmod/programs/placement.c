/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Where a thread runs that was woken: on the waker's processor, unless it may not
 * run there. The partner has been on the other processor just before, so that it
 * would come back there by itself.
 *
 * The scheduler may always move a thread on: so 9 of 10 must be where they should.
 */
#include <sched.h>

#include "device.h"

enum { ROUNDS = 200, ENOUGH = ROUNDS * 9 / 10 };

static int fd;
static uint64_t me;
static int pinned_to = -1;	/* the partner; -1: to no one */

static void run_on(int processor)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	if (processor < 0) {
		CPU_SET(0, &set);
		CPU_SET(1, &set);
	} else {
		CPU_SET(processor, &set);
	}
	sched_setaffinity(0, sizeof(set), &set);
}

/* Waits on processor 1; counts how often it is woken on 0. */
static void come_over(struct peer *peer)
{
	uint64_t round;

	for (round = 1; round <= ROUNDS && !peer->result; round++) {
		run_on(1);
		run_on(pinned_to);
		peer->result = device_wait(peer->fd, peer->slot, round, -1);
		peer->count += sched_getcpu() == 0;
		if (!peer->result)
			peer->result = device_wake(peer->fd, me, round);
	}
}

static uint64_t times_here(bool swap, int pinned)
{
	struct peer peer = { 0 };
	uint64_t round;
	int r = 0;

	device_unregister(fd);
	device_register(fd, &me);
	run_on(0);
	pinned_to = pinned;
	peer_start(&peer, fd, come_over);
	for (round = 1; round <= ROUNDS && !r; round++) {
		await_sleep(peer.tid);
		if (swap)
			r = device_swap(fd, me, round, peer.slot, round, -1);
		else if (!(r = device_wake(fd, peer.slot, round)))
			r = device_wait(fd, me, round, -1);
	}
	if (peer_end(&peer) || r)
		tap_bail("a call failed: %d, %d", r, peer.result);
	return peer.count;
}

int main(void)
{
	struct tl_handoff_register reg = { .size = sizeof(reg) };
	uint64_t n;

	fd = device_open();
	tap_plan(4);
	device_call(fd, TL_HANDOFF_REGISTER, &reg);
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
		tap_skip_rest("there is one processor");
		return tap_exit();
	}
	if (reg.features & TL_HANDOFF_F_HERE) {
		n = times_here(true, -1);
		tap_ok(n >= ENOUGH, "swap: the partner comes to this processor (%d of 200)", (int)n);
		n = times_here(false, -1);
		tap_ok(n >= ENOUGH, "wake, then wait: it comes, too (%d of 200)", (int)n);
	} else {
		tap_skip("this kernel can't place it");
		tap_skip("this kernel can't place it");
	}
	tap_is(times_here(true, 1), 0, "swap: a partner that may not run here does not");
	tap_is(times_here(false, 1), 0, "wake: nor does it there");
	return tap_exit();
}
