/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What tl_external() counts is the program's own: a wait for what the pool brings, which counts as something under way
 * too, is not in it and can't be taken out of it.
 */
#include <errno.h>
#include <semaphore.h>

#include <tasklet/tasklet.h>

#include "tap.h"

static sem_t go_on;

static long fn(void *arg, struct tl_error **error)
{
	(void)arg, (void)error;
	while (sem_wait(&go_on))
		;
	return 3;
}

static int fn_call(void *arg)
{
	return tl_call(fn, NULL, NULL, arg);
}

int main(void)
{
	long result = 0;

	tap_plan(3);
	sem_init(&go_on, 0, 0);
	if (tl_spawn(NULL, fn_call, &result))
		tap_bail("no tasklet");
	tl_schedule();
	tap_is(tl_external(0), 0, "sched.h: the count is what was declared");
	tap_is(tl_external(-1), -ERANGE, "sched.h: and no more can be taken back");
	sem_post(&go_on);
	tap_ok(tl_run() == TL_RUN_FINISHED && result == 3, "future.h: a run waits for the call");
	tl_sched_end();
	return tap_exit();
}
