/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Numbers in a table of tl-trace: they take 7 columns, whatever they are.
 */
#include <string.h>

#include "tap.h"
#include "trace/values.h"

static bool is(uint64_t n, const char *text)
{
	char buf[VALUES_COUNT];

	return !strcmp(values_count(buf, n), text);
}

static bool fits(uint64_t n)
{
	char buf[VALUES_COUNT];

	return strlen(values_count(buf, n)) <= 7;
}

static void test_whole(void)
{
	tap_ok(is(0, "0") && is(9999999, "9999999"), "whole as long as they fit");
	tap_ok(is(10000000, "10.0M") && is(12399999, "12.3M"), "then millions, cut off");
	tap_ok(is(9999999999, "9999.9M") && is(10000000000, "10.0G"), "and so on");
	tap_ok(is(UINT64_MAX, "18.4E"), "the greatest one");
}

static void test_width(void)
{
	uint64_t n;
	bool all = fits(UINT64_MAX);

	for (n = 1; n < UINT64_MAX / 10; n *= 10)
		all = all && fits(n - 1) && fits(n) && fits(9 * n + (n - 1));
	tap_ok(all, "none is longer than 7 columns");
}

int main(void)
{
	tap_plan(5);
	test_whole();
	test_width();
	return tap_exit();
}
