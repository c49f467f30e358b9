/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * guest: what the tests of the virtual machine run there: tasklets wait for time, for another thread, and for a pipe,
 * which are the three ways in which the library needs the guest's kernel.
 */
#include <string.h>
#include <tasklet/tasklet.h>
#include <unistd.h>

#include "tap.h"

static int fds[2];

static long elsewhere(void *arg, struct tl_error **error)
{
	(void)error;
	usleep(1000);
	return (long)arg + 1;
}

static long later(void *arg, struct tl_error **error)
{
	(void)arg;
	(void)error;
	usleep(20000);
	return write(fds[1], "x", 1);
}

int main(void)
{
	struct tl_features features = { .size = sizeof(features) };
	struct tl_future *call;
	uint64_t start = tl_now();
	char c = 0;
	long result = 0;

	tap_plan(4);
	tap_is(tl_features(&features), 0, "the library tells what it has here");
	tap_diag("io: %s", features.io);
	tl_sleep(2000000);
	tap_ok(tl_now() - start >= 2000000, "a tasklet sleeps");
	tap_ok(!tl_call_async(&call, elsewhere, (void *)41L, NULL) && !tl_future_wait(call) &&
	       !tl_future_result(call, &result) && result == 42, "another thread wakes it");
	tl_future_unref(call);
	tap_ok(!pipe(fds) && !tl_call_async(&call, later, NULL, NULL) && tl_read(fds[0], &c, 1) == 1 && c == 'x',
	       "a pipe wakes it");
	return tap_exit();
}
