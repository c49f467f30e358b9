/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The signals that a thread of the library's own leaves to the program's.
 */
#include "os/signals.h"

#include <stddef.h>

void tl__signals_block(sigset_t *old)
{
	static const int faults[] = {
		SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT,
	};
	sigset_t set;
	size_t i;

	sigfillset(&set);
	for (i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		sigdelset(&set, faults[i]);
	pthread_sigmask(SIG_SETMASK, &set, old);
}
