/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A future of tl_async() that somebody else has completed keeps what it came to, error and all, when its tasklet ends with
 * an error of its own.
 */
#include "check.h"

static int fn_fails(UNUSED void *arg)
{
	return -5;
}

static void freed(void *payload)
{
	*(int *)payload += 1;
}

int main(void)
{
	struct tl_future *f;
	struct tl_error *e;
	int gone = 0;

	tap_plan(4);
	if (tl_async(&f, fn_fails, NULL) || tl_error_new(&e, 7, "first"))
		tap_bail("no memory");
	tl_error_set_payload(e, &gone, freed);
	tap_is(tl_future_set_error(f, e), 0, "future.h: somebody else completes it");
	tap_is(tl_run(), TL_RUN_FINISHED, "future.h: its tasklet ends with an error");
	tap_ok(tl_future_error(f) == e && tl_future_result(f, NULL) == -7, "future.h: each arrow is taken once at most");
	tl_future_unref(f);
	tap_is(gone, 1, "future.h: the first error is freed with the last handle");
	tl_sched_end();
	return tap_exit();
}
