/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The device of fake-device.h as a library to be loaded before a program, which says
 * on standard error what was asked of it.
 */
#include <stdio.h>

#include "fake-device.h"

__attribute__((destructor)) static void tell(void)
{
	if (getpid() == fake.owner)
		dprintf(STDERR_FILENO, "fake device: %lu wakes, %lu here, %lu waits, %lu swaps, %lu refused\n",
			fake_wakes, fake_here, fake_waits, fake_swaps, fake_refused);
}
