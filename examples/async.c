/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Calls that run elsewhere: functions on other threads, taken as they finish,
 * with a limit for all of them; and one that nobody waits for in the end.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <tasklet/tasklet.h>
#include <unistd.h>

#define CALLS 4
#define MS 1000000ull

/* Blocks a thread of the pool, not ours. */
static long slow_square(void *arg, struct tl_error **error)
{
	long n = (long)arg;

	if (n == 3) {
		tl_error_new(error, EDOM, "%ld can't be squared today", n);
		return 0;
	}
	usleep(1000 * (unsigned int)(CALLS - n));
	return n * n;
}

static long too_slow(void *arg, struct tl_error **error)
{
	(void)error;
	usleep(50000);
	return *(int *)arg;
}

int main(void)
{
	struct tl_future *calls[CALLS];
	long i, result, sum = 0;
	int k, r, *number;

	for (i = 0; i < CALLS; i++)
		if (tl_call_async(&calls[i], slow_square, (void *)i, NULL))
			return 1;
	while ((k = tl_wait_any_until(calls, CALLS, tl_after(10000 * MS))) >= 0) {
		r = tl_future_result(calls[k], &result);
		if (r)
			printf("call %d: %s\n", k,
			       tl_error_message(tl_future_error(calls[k])));
		else
			sum += result;
		tl_future_unref(calls[k]);
		calls[k] = NULL;
	}
	printf("sum of the others: %ld\n", sum);

	/* Too late is too late; its argument is freed when it is done. */
	number = malloc(sizeof(*number));
	if (!number)
		return 1;
	*number = 42;
	r = tl_call_until(too_slow, number, free, &result, tl_after(MS));
	if (!r)
		free(number);
	printf("the slow one: %s\n", r == -ETIMEDOUT ? "timed out" : "done");
	return sum == 5 ? 0 : 1;
}
