/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A storm over a pool: several threads and the jobs themselves spawn, bind, wait for, cancel and kill jobs that compute,
 * yield, sleep, block and spawn; then the pool is closed, killed, or left alone in the middle. Each job runs or is
 * dropped, exactly once, and none migrates.
 */
#include "pool.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__) || defined(__aarch64__)
#define SHARE 150
#else
#define SHARE 1500
#endif
#define SPAWNERS 3
#define POOL_THREADS 3
#define CHILDREN 2
#define JOBS (SPAWNERS * SHARE * (1 + CHILDREN))

struct record {
	_Atomic unsigned char spawned, ran, dropped, done;
	_Atomic int bound;	/* to thread number bound - 1 */
};

static struct record record[JOBS];
static struct tl_pool *pool;
static struct tl_chan *chan, *never;
static bool kills;
static _Atomic long next_child;
static _Atomic int wrong;
static unsigned long seed;

static uint64_t rng_of(long n)
{
	uint64_t r = seed + (uint64_t)n * UINT64_C(0x9e3779b97f4a7c15);

	tap_random(&r);
	return r;
}

static void on_dropped(void *arg)
{
	atomic_fetch_add(&record[(long)arg].dropped, 1);
}

static int fn_job(void *arg);

/* Returns what the spawn said. */
static int spawn_one(long n, uint64_t *rng, struct tl_future **f)
{
	struct tl_task_attr task = { .size = sizeof(task), .name = tap_random(rng) % 2 ? "a name" : NULL };
	struct tl_pool_attr attr = { .size = sizeof(attr), .task = &task, .on_dropped = on_dropped };
	int r, on = (int)(tap_random(rng) % (4 * POOL_THREADS));

	if (on < POOL_THREADS) {
		atomic_store(&record[n].bound, on + 1);
		r = tl_pool_spawn_on(pool, on, f, &attr, fn_job, (void *)n);
	} else {
		r = tl_pool_spawn_attr(pool, f, &attr, fn_job, (void *)n);
	}
	if (!r)
		atomic_fetch_add(&record[n].spawned, 1);
	else if (r != -EPIPE)
		atomic_fetch_add(&wrong, 1);
	return r;
}

/* One that waits for ever, until it is killed. */
static bool waits(long n)
{
	return n % 16 == 5;
}

static void use(long n, struct tl_future *f, uint64_t *rng)
{
	switch (waits(n) && !kills ? 0 : tap_random(rng) % 4) {
	case 0:
		tl_future_cancel(f);
		break;
	case 1:
		tl_future_wait_until(f, tl_now() + tap_random(rng) % 300000);
		break;
	default:
		break;
	}
	tl_future_unref(f);
}

static void done(void *arg)
{
	atomic_fetch_add(&record[(long)arg].done, 1);
}

static int fn_job(void *arg)
{
	long n = (long)arg, v = 0;
	pthread_t here = pthread_self();
	uint64_t rng = rng_of(n);
	struct tl_future *f;
	long child;
	int i;

	atomic_fetch_add(&record[n].ran, 1);
	if (tl_defer(done, arg))
		return -ENOMEM;
	if (record[n].bound && tl_pool_index() != record[n].bound - 1)
		atomic_fetch_add(&wrong, 1);
	for (i = 0; n < SPAWNERS * SHARE && i < CHILDREN; i++) {
		child = atomic_fetch_add(&next_child, 1);
		if (!spawn_one(child, &rng, &f))
			use(child, f, &rng);
	}
	if (waits(n) && tl_chan_recv(never, &v) != -ECANCELED)
		atomic_fetch_add(&wrong, 1);
	switch (tap_random(&rng) % 6) {
	case 0:
		tl_sleep(tap_random(&rng) % 100000);
		break;
	case 1:
		tl_chan_recv_until(chan, &v, tl_now() + tap_random(&rng) % 100000);
		break;
	case 2:
		tl_chan_send_until(chan, &v, tl_now() + tap_random(&rng) % 100000);
		break;
	case 3:
		for (i = 0; i < 20; i++)
			tl_schedule();
		break;
	default:
		break;
	}
	if (!pthread_equal(here, pthread_self()))
		atomic_fetch_add(&wrong, 1);
	return 0;
}

static void *spawns(void *arg)
{
	long first = (long)arg * SHARE, i;
	uint64_t rng = rng_of(-1 - (long)arg);
	struct tl_future *f;

	for (i = first; i < first + SHARE; i++) {
		if (!spawn_one(i, &rng, &f))
			use(i, f, &rng);
		if (tap_random(&rng) % 64 == 0)
			tl_pool_wait_until(pool, tl_now() + tap_random(&rng) % 200000);
	}
	return NULL;
}

enum end { CLOSE, KILL, UNREF };

static void storm(enum tl_pool_placement placement, enum end end, const char *how)
{
	long i, lost = 0, twice = 0, unfinished = 0;
	struct tl_pool_stats s = { 0 };
	pthread_t t[SPAWNERS];

	memset(record, 0, sizeof(record));
	atomic_store(&wrong, 0);
	atomic_store(&next_child, SPAWNERS * SHARE);
	chan = new_chan(sizeof(long), 0);
	never = new_chan(sizeof(long), 0);
	kills = end == KILL;
	pool = new_pool(POOL_THREADS, placement, 0);
	for (i = 0; i < SPAWNERS; i++)
		t[i] = start(spawns, (void *)i);
	if (end == KILL) {
		await(stats_of(pool, -1).started > JOBS / 6);
		tl_pool_kill(pool);
	}
	for (i = 0; i < SPAWNERS; i++)
		pthread_join(t[i], NULL);
	if (end == CLOSE)
		tl_pool_close(pool);
	if (end == UNREF) {
		tl_pool_unref(tl_pool_ref(pool));
		if (tl_pool_wait(pool))
			atomic_fetch_add(&wrong, 1);
	} else if (tl_pool_wait(pool)) {
		atomic_fetch_add(&wrong, 1);
	}
	s = stats_of(pool, -1);
	tl_pool_unref(pool);
	for (i = 0; i < JOBS; i++) {
		int n = record[i].ran + record[i].dropped;

		lost += n < record[i].spawned;
		twice += n > record[i].spawned;
		unfinished += record[i].ran != record[i].done;
	}
	tap_ok(!lost && !twice && !unfinished && !wrong && !s.running && !s.queued && s.started == s.ended,
	       "%s: %ld lost, %ld twice, %ld unfinished, %d wrong; %lu begun, %lu stolen, %lu dropped", how, lost, twice,
	       unfinished, (int)wrong, (unsigned long)s.started, (unsigned long)s.stolen, (unsigned long)s.dropped);
	tl_chan_unref(chan);
	tl_chan_unref(never);
}

int main(void)
{
	tap_plan(5);
	seed = tap_seed();
	storm(TL_POOL_ROUND_ROBIN, CLOSE, "closed");
	storm(TL_POOL_LEAST_LOADED, CLOSE, "least loaded, closed");
	storm(TL_POOL_ROUND_ROBIN, KILL, "killed in the middle");
	storm(TL_POOL_LEAST_LOADED, UNREF, "left alone");
	tap_is(tl_sched_end(), 0, "sched.h: nothing is left");
	return tap_exit();
}
