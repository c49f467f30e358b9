/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * One thread at a time has the lock, whatever the policy and whatever it waits with: threads that compute, that block,
 * that make calls which don't block, that come and go, add up a plain variable; none is left behind, and all get
 * their turn.
 */
#include "gil.h"

#define THREADS 6
#ifdef __SANITIZE_THREAD__
#define ROUNDS 300
#else
#define ROUNDS 1000
#endif

static struct tl_gil *the_gil;
static long sum;		/* the holder's */
static int inside;		/* likewise */
static _Atomic int mixed_up;

static void touch(void)
{
	if (inside++)
		atomic_fetch_add(&mixed_up, 1);
	sum++;
	inside--;
	if (!tl_gil_is_held())
		atomic_fetch_add(&mixed_up, 1);
}

static void outside(bool blocks)
{
	tl_gil_block_begin();
	if (tl_gil_is_held())
		atomic_fetch_add(&mixed_up, 1);
	if (blocks)
		nap();
	tl_gil_block_end();
}

static void *computes(UNUSED void *arg)
{
	volatile int k;
	int i;

	come_in(the_gil);
	for (i = 0; i < ROUNDS; i++) {
		touch();
		for (k = 0; k < 200; k++)
			if (k % 10 == 0)
				tl_tick();
	}
	tl_gil_detach();
	return NULL;
}

static void *blocks(UNUSED void *arg)
{
	int i;

	come_in(the_gil);
	for (i = 0; i < ROUNDS; i++) {
		touch();
		outside(i % 20 == 0);
		tl_tick();
	}
	return NULL;	/* and so leaves */
}

static void *comes_and_goes(UNUSED void *arg)
{
	int i;

	for (i = 0; i < ROUNDS; i++) {
		come_in(the_gil);
		touch();
		if (i % 3 == 0)
			tl_gil_yield();
		touch();
		tl_gil_detach();
	}
	return NULL;
}

static void test(struct tl_gil *gil)
{
	static void *(*const kinds[])(void *) = { computes, blocks, comes_and_goes };
	long wanted = THREADS / 3 * (ROUNDS + ROUNDS + 2 * ROUNDS);
	pthread_t threads[THREADS];
	int i;

	the_gil = gil;
	sum = 0;
	atomic_store(&mixed_up, 0);
	for (i = 0; i < THREADS; i++)
		threads[i] = start(kinds[i % 3], NULL);
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	tap_ok(sum == wanted && !atomic_load(&mixed_up), "%s: one at a time, and all of them", tl_gil_name(gil));
	if (sum != wanted || atomic_load(&mixed_up))
		tap_diag("%ld of %ld, %d times mixed up", sum, wanted, atomic_load(&mixed_up));
	tap_ok(!stats_of(gil).holds, "%s: nobody holds it in the end", tl_gil_name(gil));
}

int main(void)
{
	tap_plan(2 * count_gils());
	each_gil(test);
	return tap_exit();
}
