/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The fault injector: it fails the call it was told to, that one only or all
 * from there on, and counts right with threads that race for it.
 */
#include <limits.h>
#include <pthread.h>

#include "base/alloc.h"
#include "../harness/tap.h"

#define THREADS 4
#define CALLS 300000

static pthread_barrier_t start;

/* The sanitizers call these, if they are there: NULL is what is tested. */
#define SEEN __attribute__((visibility("default")))
SEEN const char *__asan_default_options(void);
SEEN const char *__tsan_default_options(void);

const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void)
{
	return "allocator_may_return_null=1";
}

/* Passes CALLS points; the number of those that failed. */
static void *pass(void *arg)
{
	uintptr_t failed = 0;
	unsigned i;

	(void)arg;
	pthread_barrier_wait(&start);
	for (i = 0; i < CALLS; i++)
		failed += tl__fault();
	return (void *)failed;
}

static unsigned long race(void)
{
	pthread_t thread[THREADS];
	unsigned long failed = 0;
	unsigned i;

	for (i = 0; i < THREADS; i++)
		if (pthread_create(&thread[i], NULL, pass, NULL))
			tap_bail("pthread_create");
	for (i = 0; i < THREADS; i++) {
		void *ret;

		pthread_join(thread[i], &ret);
		failed += (uintptr_t)ret;
	}
	return failed;
}

static void test_calls(void)
{
	char *p, *q;

	tl__fault_arm(3, false);
	p = tl__malloc(10);
	q = tl__calloc(10, 10);
	tap_ok(p && q, "the calls before the one pass");
	strcpy(p, "as it was");
	tap_ok(!tl__realloc(p, 100), "that one fails");
	tap_ok(!strcmp(p, "as it was"), "and leaves the memory alone");
	p = tl__realloc(p, 100);
	tap_ok(p && !strcmp(p, "as it was"), "those behind it pass");
	tap_is((long long)tl__fault_count(), 4, "all were counted");
	tl__free(p);
	tl__free(q);

	tl__fault_arm(2, true);
	p = tl__malloc(1);
	tap_ok(p && !tl__malloc(1) && !tl__calloc(1, 1) && !tl__malloc(1),
	       "sticky: that one and all behind it fail");
	tl__free(p);
	tl__fault_arm(0, false);
	p = tl__malloc(1);
	tap_ok(p && !tl__fault(), "disarmed: all pass");
	tap_is((long long)tl__fault_count(), 4, "and are not counted");
	tl__free(p);
	tl__fault_arm(ULONG_MAX, false);
	tap_is((long long)tl__fault_count(), 0, "arming starts at 0");
	tl__fault_arm(0, false);
}

static void test_edges(void)
{
	/* Not a constant, or the compiler says that it is too large. */
	volatile size_t huge = SIZE_MAX / 2, none = 0;
	void *p, *q;

	errno = 77;
	tap_ok(!tl__malloc(huge) && !tl__calloc(huge, 8) &&
		       !tl__realloc(NULL, huge),
	       "too much is NULL");
	tap_is(errno, 77, "without a word in errno");
	p = tl__malloc(none);
	q = tl__calloc(none, 8);
	tap_ok(p && q && p != q, "0 bytes are not NULL");
	p = tl__realloc(p, none);
	tap_ok(p, "nor by realloc");
	tl__free(p);
	tl__free(q);
	tl__free(NULL);
	p = tl__calloc(1, 5000);
	tap_ok(p && !memcmp(p, (char[5000]){ 0 }, 5000), "calloc clears");
	tl__free(p);
}

static void test_threads(void)
{
	pthread_barrier_init(&start, NULL, THREADS);
	tl__fault_arm(THREADS * CALLS / 2, false);
	tap_is((long long)race(), 1, "of racing threads exactly one fails");
	tap_is((long long)tl__fault_count(), THREADS * CALLS,
	       "and no call is lost");
	tl__fault_arm(THREADS * CALLS - 9, true);
	tap_is((long long)race(), 10, "sticky: exactly those behind it");
	tl__fault_arm(0, false);
	pthread_barrier_destroy(&start);
}

int main(void)
{
	tap_plan(17);
	test_calls();
	test_edges();
	test_threads();
	return tap_exit();
}
