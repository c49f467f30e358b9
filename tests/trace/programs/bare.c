/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * bare: how many nanoseconds the way into the kernel and back takes, by a call that does nothing there; the least of many
 * means, for others may come in between.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <tasklet/time.h>

#define CALLS 1000

int main(void)
{
	uint64_t least = UINT64_MAX;
	int i, j;

	for (i = 0; i < 100; i++) {
		uint64_t ns = tl_now();

		for (j = 0; j < CALLS; j++)
			syscall(SYS_getppid);
		ns = (tl_now() - ns) / CALLS;
		if (ns < least)
			least = ns;
	}
	printf("%" PRIu64 "\n", least);
	return 0;
}
