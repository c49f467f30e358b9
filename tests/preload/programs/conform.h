/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What POSIX and C11 say of the objects, as a list of tests. It has to pass with the C
 * library's own functions as with those that stand in for them.
 */
#ifndef TL_TESTS_PRELOAD_CONFORM_H
#define TL_TESTS_PRELOAD_CONFORM_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct test {
	const char *name;
	void (*run)(void);
};

/* Each ends with a NULL name. */
extern const struct test mutex_tests[], cond_tests[], cancel_tests[], sem_tests[],
	c11_tests[];

/* What our objects are made of, from the command line: "pthread" is nothing of ours. */
extern const char *kind;
bool is_ours(void);

/* Ends the test, which runs in a process of its own. */
void failed(const char *file, int line, const char *what, long got, long wanted)
	__attribute__((noreturn));

#define IS(got, wanted)							\
	do {								\
		long got_ = (long)(got), wanted_ = (long)(wanted);	\
		if (got_ != wanted_)					\
			failed(__FILE__, __LINE__, #got, got_, wanted_);\
	} while (0)
#define OK(what) IS(!!(what), 1)

/* fork(); the child does not outlive a test that hangs. */
int fork_child(void);

/* The lowest of the priorities that a ceiling is over; false: the system denies it. */
bool become_real_time(void);

/* So far from now; may be negative. */
struct timespec in_ms(clockid_t clock, long ms);
uint64_t now_ms(void);
void sleep_ms(long ms);

#endif
