/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * membarrier(2), private and expedited; see membarrier.h.
 */
#include "os/membarrier.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/log.h"

bool tl__membarrier_test_refused;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool works;	/* settled by the once */

static long membarrier(int command)
{
	return syscall(SYS_membarrier, command, 0, 0);
}

static void ask(void)
{
	int saved = errno;

	/* The emulators and sandboxes that refuse one refuse to register. */
	works = !tl__membarrier_test_refused &&
		membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0 &&
		membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0;
	errno = saved;
}

bool tl__membarrier_works(void)
{
	pthread_once(&once, ask);
	return works;
}

void tl__membarrier(void)
{
	int saved = errno;

	/* A forked child is registered as its parent was. */
	if (membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED))
		tl__fatal("membarrier: %s", strerror(errno));
	errno = saved;
}
