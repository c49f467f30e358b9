/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Domains, slots and threads that come and go leave no memory behind in the kernel: it
 * would be some 10 kB for each domain, and as much for each thread.
 */
#include "device.h"

enum { WARM = 300, ROUNDS = 2000, LIMIT_KB = 6000 };

/* What the kernel has for its own objects. */
static long slab_kb(void)
{
	FILE *f = fopen("/proc/meminfo", "r");
	char line[128];
	long kb = -1, more;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Slab: %ld", &more) == 1 || sscanf(line, "VmallocUsed: %ld", &more) == 1 ||
		    sscanf(line, "KernelStack: %ld", &more) == 1)
			kb += more;
	if (f)
		fclose(f);
	return kb;
}

static void leave(struct peer *peer)
{
	if (peer->target)
		peer->result = device_unregister(peer->fd);
}

/* A thread that says that it goes, one that doesn't, and this one. */
static int come_and_go(void)
{
	struct peer polite = { .target = 1 }, rude = { 0 };
	int fd = open(TL_HANDOFF_DEVICE, O_RDWR), r;

	peer_start(&polite, fd, leave);
	peer_start(&rude, fd, leave);
	r = peer_end(&polite) | peer_end(&rude);
	r |= device_register(fd, NULL);
	close(fd);
	return r;
}

int main(void)
{
	long before, grown = 0;
	int i, r = 0;

	close(device_open());
	tap_plan(2);
	for (i = 0; i < WARM; i++)
		r |= come_and_go();
	before = slab_kb();
	for (i = 0; i < ROUNDS; i++)
		r |= come_and_go();
	/* Some of it is given back after a while. */
	for (i = 0; i < 100 && (grown = slab_kb() - before) > LIMIT_KB; i++)
		sleep_ms(100);
	tap_is(r, 0, "%d domains with three threads each", ROUNDS);
	tap_ok(before > 0 && grown <= LIMIT_KB, "what the kernel has has grown by %ld kB", grown);
	return tap_exit();
}
