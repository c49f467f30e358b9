/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A wait whose deadline has passed tries once more, as a newcomer does: it does not slip past those that wait, and for
 * whom newcomers are kept away (rwlock.h, mutex.h).
 */
#include "../core/check.h"

static struct tl_rwlock l = TL_RWLOCK_INIT;

static int fn_write(UNUSED void *arg)
{
	say("w%d", tl_rwlock_wrlock(&l));
	tl_rwlock_wrunlock(&l);
	return 0;
}

int main(void)
{
	tap_plan(3);
	tl_rwlock_rdlock(&l);
	go("W", fn_write, NULL);
	tl_schedule();
	tap_is(tl_rwlock_rdlock_until(&l, tl_after(1000000)), -ETIMEDOUT,
	       "rwlock.h: a writer that waits keeps a new reader away, also at the reader's deadline");
	tl_rwlock_rdunlock(&l);
	tl_run();
	tap_str(said(), "w0", "rwlock.h: it gets its turn");
	tap_is(tl_sched_end(), 0, "nothing is left");
	return tap_exit();
}
