/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * wakes N [M]: a thread sleeps N times, and is woken each time after it has fallen asleep;
 * then it wakes itself M times before it would sleep.
 */
#include "device.h"

static uint64_t wanted, early;

static void sleep_often(struct peer *peer)
{
	uint64_t cookie;

	for (cookie = 1; cookie <= wanted && !peer->result; cookie++) {
		peer->result = device_wait(peer->fd, peer->slot, cookie, -1);
		peer->count = cookie;
	}
	for (; cookie <= wanted + early && !peer->result; cookie++) {
		device_wake(peer->fd, peer->slot, cookie);
		peer->result = device_wait(peer->fd, peer->slot, cookie, -1);
	}
}

int main(int argc, char **argv)
{
	struct peer peer = { 0 };
	uint64_t cookie;
	int fd = device_open();

	wanted = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
	early = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
	peer_start(&peer, fd, sleep_often);
	for (cookie = 1; cookie <= wanted; cookie++) {
		await_sleep(peer.tid);
		if (device_wake(fd, peer.slot, cookie))
			return 1;
		while (peer.count < cookie)
			sched_yield();
	}
	return peer_end(&peer) ? 1 : 0;
}
