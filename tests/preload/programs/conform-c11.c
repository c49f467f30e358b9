/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * C11's mutexes and conditions; they are also used through pthread's functions, for
 * that is what they are.
 */
#include "conform.h"

#include <threads.h>
#include <unistd.h>

static mtx_t m;
static cnd_t c;
static int turn;

static void test_mtx(void)
{
	struct timespec past = in_ms(CLOCK_REALTIME, -10);

	IS(mtx_init(&m, mtx_plain), thrd_success);
	IS(mtx_lock(&m), thrd_success);
	IS(*(int *)(void *)&m == gettid(), is_ours());
	IS(mtx_trylock(&m), thrd_busy);
	IS(mtx_unlock(&m), thrd_success);
	mtx_destroy(&m);
	IS(mtx_init(&m, mtx_timed), thrd_success);
	IS(mtx_lock(&m), thrd_success);
	IS(mtx_timedlock(&m, &past), thrd_timedout);
	IS(mtx_unlock(&m), thrd_success);
	mtx_destroy(&m);
	IS(mtx_init(&m, mtx_plain | mtx_recursive), thrd_success);
	IS(mtx_lock(&m), thrd_success);
	IS(mtx_trylock(&m), thrd_success);
	IS(mtx_unlock(&m), thrd_success);
	IS(mtx_unlock(&m), thrd_success);
	IS(mtx_unlock(&m), thrd_error);
	mtx_destroy(&m);
}

static int other(void *arg)
{
	int i;

	(void)arg;
	for (i = 0; i < 2000; i++) {
		mtx_lock(&m);
		while (!turn)
			cnd_wait(&c, &m);
		turn = 0;
		if (i % 2)
			cnd_signal(&c);
		else
			cnd_broadcast(&c);
		mtx_unlock(&m);
	}
	return 7;
}

static void test_cnd(void)
{
	struct timespec t;
	thrd_t thread;
	int i, r;

	IS(mtx_init(&m, mtx_plain), thrd_success);
	IS(cnd_init(&c), thrd_success);
	IS(thrd_create(&thread, other, NULL), thrd_success);
	for (i = 0; i < 2000; i++) {
		mtx_lock(&m);
		turn = 1;
		cnd_signal(&c);
		while (turn)
			cnd_wait(&c, &m);
		mtx_unlock(&m);
	}
	IS(thrd_join(thread, &r), thrd_success);
	IS(r, 7);
	mtx_lock(&m);
	t = in_ms(CLOCK_REALTIME, 30);
	IS(cnd_timedwait(&c, &m, &t), thrd_timedout);
	mtx_unlock(&m);
	cnd_destroy(&c);
	mtx_destroy(&m);
}

const struct test c11_tests[] = {
	{ "c11: mtx", test_mtx },
	{ "c11: cnd", test_cnd },
	{ NULL, NULL },
};
