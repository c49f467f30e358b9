/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Checked numbers, in tables: what is a number, what is none, and what is one
 * but out of range.
 */
#include "base/num.h"
#include "../harness/tap.h"

#define S TL__NS_PER_S
#define UNTOUCHED 4711

struct number {
	const char *s;
	uint64_t arg;	/* duration: the default unit */
	uint64_t min, max;
	int rc;
	uint64_t value;
};

static const struct number u64s[] = {
	{ "0", 0, 0, UINT64_MAX, 0, 0 },
	{ "42", 0, 0, UINT64_MAX, 0, 42 },
	{ "007", 0, 0, UINT64_MAX, 0, 7 },
	{ "18446744073709551615", 0, 0, UINT64_MAX, 0, UINT64_MAX },
	{ "18446744073709551616", 0, 0, UINT64_MAX, -ERANGE, 0 },
	{ "18446744073709551620", 0, 0, UINT64_MAX, -ERANGE, 0 },
	{ "99999999999999999999999999", 0, 0, UINT64_MAX, -ERANGE, 0 },
	{ "184467440737095516160", 0, 0, UINT64_MAX, -ERANGE, 0 },
	{ "99999999999999999999x", 0, 0, UINT64_MAX, -EINVAL, 0 },
	{ "5", 0, 5, 10, 0, 5 },
	{ "10", 0, 5, 10, 0, 10 },
	{ "4", 0, 5, 10, -ERANGE, 0 },
	{ "11", 0, 5, 10, -ERANGE, 0 },
	{ "", 0, 0, UINT64_MAX, -EINVAL, 0 },
	{ NULL, 0, 0, UINT64_MAX, -EINVAL, 0 },
	{ " 1", 0, 0, UINT64_MAX, -EINVAL, 0 },
	{ "1 ", 0, 0, UINT64_MAX, -EINVAL, 0 },
	{ "1\n", 0, 0, UINT64_MAX, -EINVAL, 0 },
	{ "+1", 0, 0, UINT64_MAX, -EINVAL, 0 },
	{ "-1", 0, 0, UINT64_MAX, -EINVAL, 0 },
	{ "0x10", 0, 0, UINT64_MAX, -EINVAL, 0 },
	{ "1e3", 0, 0, UINT64_MAX, -EINVAL, 0 },
	{ "1.0", 0, 0, UINT64_MAX, -EINVAL, 0 },
	{ "abc", 0, 0, UINT64_MAX, -EINVAL, 0 },
	{ "\331\241", 0, 0, UINT64_MAX, -EINVAL, 0 },
};

static const struct number durations[] = {
	{ "10", S, 0, UINT64_MAX, 0, 10 * S },
	{ "10", 1, 0, UINT64_MAX, 0, 10 },
	{ "10s", 1, 0, UINT64_MAX, 0, 10 * S },
	{ "5ms", S, 0, UINT64_MAX, 0, 5000000 },
	{ "5us", S, 0, UINT64_MAX, 0, 5000 },
	{ "5ns", S, 0, UINT64_MAX, 0, 5 },
	{ "2m", S, 0, UINT64_MAX, 0, 120 * S },
	{ "2h", S, 0, UINT64_MAX, 0, 7200 * S },
	{ "1.5s", S, 0, UINT64_MAX, 0, 1500000000 },
	{ "0.25", S, 0, UINT64_MAX, 0, 250000000 },
	{ "1.000000001s", S, 0, UINT64_MAX, 0, 1000000001 },
	{ "1.0000000010000000000000000000000000s", S, 0, UINT64_MAX, 0,
	  1000000001 },
	{ "1.0000000001s", S, 0, UINT64_MAX, -EINVAL, 0 },
	{ "0.0000000000000000001s", S, 0, UINT64_MAX, -EINVAL, 0 },
	{ "0.00000000000000000000000000000000000000000000000000000000000000001s",
	  S, 0, UINT64_MAX, -EINVAL, 0 },
	{ "0.5ns", S, 0, UINT64_MAX, -EINVAL, 0 },
	{ "7.0ns", S, 0, UINT64_MAX, 0, 7 },
	{ "0.0000000000125h", S, 0, UINT64_MAX, 0, 45 },
	{ "5.5", 2, 0, UINT64_MAX, 0, 11 },
	{ "18446744073709551615ns", S, 0, UINT64_MAX, 0, UINT64_MAX },
	{ "18446744073709551616ns", S, 0, UINT64_MAX, -ERANGE, 0 },
	{ "18446744073.709551615s", S, 0, UINT64_MAX, 0, UINT64_MAX },
	{ "18446744073.709551616s", S, 0, UINT64_MAX, -ERANGE, 0 },
	{ "18446744074s", S, 0, UINT64_MAX, -ERANGE, 0 },
	{ "5124096h", S, 0, UINT64_MAX, -ERANGE, 0 },
	{ "1s", S, S, 2 * S, 0, S },
	{ "2.000000001s", S, S, 2 * S, -ERANGE, 0 },
	{ "999ms", S, S, 2 * S, -ERANGE, 0 },
	{ "", S, 0, UINT64_MAX, -EINVAL, 0 },
	{ NULL, S, 0, UINT64_MAX, -EINVAL, 0 },
	{ "s", S, 0, UINT64_MAX, -EINVAL, 0 },
	{ ".5s", S, 0, UINT64_MAX, -EINVAL, 0 },
	{ "5.s", S, 0, UINT64_MAX, -EINVAL, 0 },
	{ "5.", S, 0, UINT64_MAX, -EINVAL, 0 },
	{ "1.2.3s", S, 0, UINT64_MAX, -EINVAL, 0 },
	{ "1,5s", S, 0, UINT64_MAX, -EINVAL, 0 },
	{ "1 s", S, 0, UINT64_MAX, -EINVAL, 0 },
	{ "1S", S, 0, UINT64_MAX, -EINVAL, 0 },
	{ "1sec", S, 0, UINT64_MAX, -EINVAL, 0 },
	{ "1ss", S, 0, UINT64_MAX, -EINVAL, 0 },
	{ "-1s", S, 0, UINT64_MAX, -EINVAL, 0 },
	{ "1e9", S, 0, UINT64_MAX, -EINVAL, 0 },
};

static const struct number sizes[] = {
	{ "4096", 0, 0, UINT64_MAX, 0, 4096 },
	{ "64k", 0, 0, UINT64_MAX, 0, 65536 },
	{ "64K", 0, 0, UINT64_MAX, 0, 65536 },
	{ "1M", 0, 0, UINT64_MAX, 0, 1048576 },
	{ "1m", 0, 0, UINT64_MAX, 0, 1048576 },
	{ "3g", 0, 0, UINT64_MAX, 0, UINT64_C(3) << 30 },
	{ "3G", 0, 0, UINT64_MAX, 0, UINT64_C(3) << 30 },
	{ "2T", 0, 0, UINT64_MAX, 0, UINT64_C(1) << 41 },
	{ "16777215T", 0, 0, UINT64_MAX, 0, UINT64_C(16777215) << 40 },
	{ "16777216T", 0, 0, UINT64_MAX, -ERANGE, 0 },
	{ "0k", 0, 0, UINT64_MAX, 0, 0 },
	{ "4k", 0, 4096, 8192, 0, 4096 },
	{ "9k", 0, 4096, 8192, -ERANGE, 0 },
	{ "4095", 0, 4096, 8192, -ERANGE, 0 },
	{ "", 0, 0, UINT64_MAX, -EINVAL, 0 },
	{ NULL, 0, 0, UINT64_MAX, -EINVAL, 0 },
	{ "k", 0, 0, UINT64_MAX, -EINVAL, 0 },
	{ "1kk", 0, 0, UINT64_MAX, -EINVAL, 0 },
	{ "1kB", 0, 0, UINT64_MAX, -EINVAL, 0 },
	{ "1b", 0, 0, UINT64_MAX, -EINVAL, 0 },
	{ "1.5M", 0, 0, UINT64_MAX, -EINVAL, 0 },
	{ "1 k", 0, 0, UINT64_MAX, -EINVAL, 0 },
	{ "-1k", 0, 0, UINT64_MAX, -EINVAL, 0 },
};

static void result(const char *fn, const struct number *n, int rc, uint64_t got)
{
	uint64_t want = n->rc ? UNTOUCHED : n->value;

	if (!tap_ok(rc == n->rc && got == want, "%s(%s) is %s", fn,
		    n->s ? n->s : "null",
		    !n->rc		? "right" :
		    n->rc == -ERANGE ? "out of range" :
					  "no number"))
		tap_diag("rc %d (expected %d), value %llu (expected %llu)", rc,
			 n->rc, (unsigned long long)got,
			 (unsigned long long)want);
}

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

int main(void)
{
	uint64_t out;
	size_t i;
	int rc;

	tap_plan(COUNT(u64s) + COUNT(durations) + COUNT(sizes) + 1);
	errno = 77;
	for (i = 0; i < COUNT(u64s); i++) {
		const struct number *n = &u64s[i];

		out = UNTOUCHED;
		rc = tl__parse_u64(n->s, n->min, n->max, &out);
		result("u64", n, rc, out);
	}
	for (i = 0; i < COUNT(durations); i++) {
		const struct number *n = &durations[i];

		out = UNTOUCHED;
		rc = tl__parse_duration_ns(n->s, n->arg, n->min, n->max, &out);
		result("duration", n, rc, out);
	}
	for (i = 0; i < COUNT(sizes); i++) {
		const struct number *n = &sizes[i];

		out = UNTOUCHED;
		rc = tl__parse_size(n->s, n->min, n->max, &out);
		result("size", n, rc, out);
	}
	tap_is(errno, 77, "errno is left alone");
	return tap_exit();
}
