/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A future of tl_async() is completed once. If somebody else has done that, it keeps what it came to, error and all, when
 * its tasklet ends with an error of its own; and if the tasklet's error is there already, nobody else comes in between.
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

static void test_taken(void)
{
	struct tl_future *f;
	struct tl_error *e;
	int gone = 0;

	if (tl_async(&f, fn_fails, NULL) || tl_error_new(&e, 7, "first"))
		tap_bail("no memory");
	tl_error_set_payload(e, &gone, freed);
	tap_is(tl_future_set_error(f, e), 0, "future.h: somebody else completes it");
	tap_is(tl_run(), TL_RUN_FINISHED, "future.h: its tasklet ends with an error");
	tap_ok(tl_future_error(f) == e && tl_future_result(f, NULL) == -7, "future.h: each arrow is taken once at most");
	tl_future_unref(f);
	tap_is(gone, 1, "future.h: the first error is freed with the last handle");
}

/* --- between the tasklet's error and its end --- */

static struct tl_future *settled;
static struct tl_error *late;
static int set, set_error, result;

static void come_late(UNUSED void *arg)
{
	result = tl_future_result(settled, NULL);
	set_error = tl_future_set_error(settled, late);
	set = tl_future_set(settled, 1);
}

/* Handlers that it leaves behind run when the error has gone to the future. */
static bool sees_error(UNUSED struct tl_task *task, UNUSED const struct tl_error *error, UNUSED void *arg)
{
	return tl_defer(come_late, NULL) != 0;
}

static void test_settled(void)
{
	int gone = 0;

	if (tl_async(&settled, fn_fails, NULL) || tl_error_new(&late, 7, "late"))
		tap_bail("no memory");
	tl_error_set_payload(late, &gone, freed);
	tl_set_error_handler(sees_error, NULL, NULL, NULL);
	tap_is(tl_run(), TL_RUN_FINISHED, "future.h: its tasklet ends with an error");
	tl_set_error_handler(NULL, NULL, NULL, NULL);
	tap_is(result, -EAGAIN, "future.h: which is there before it is done");
	tap_is(set, -EALREADY, "future.h: then nobody else completes it with a result");
	tap_is(set_error, -EALREADY, "future.h: nor with an error");
	tap_is(tl_future_result(settled, NULL), -5, "future.h: it comes to the tasklet's error");
	tap_is(gone, 0, "future.h: the other one stays its owner's");
	if (set_error)
		tl_error_free(late);
	tl_future_unref(settled);
}

int main(void)
{
	tap_plan(10);
	test_taken();
	test_settled();
	tl_sched_end();
	return tap_exit();
}
