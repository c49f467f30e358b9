/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The beginning and the end of a server with threads, and its clock, which the
 * thread that began it keeps: it comes for the GIL once a tick.
 */
#include "threads.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tasklet/gil.h>

#include "base/json.h"
#include "os/clock.h"
#include "pool.h"

static void *run_thread(void *arg)
{
	struct pool_thread *t = arg;
	struct pool *pool = t->pool;
	int r = tl_gil_attach(pool->gil);

	if (r)
		/* relaxed: the token is behind it */
		atomic_store_explicit(&pool->error, r, memory_order_relaxed);
	pool->cond.wake->sem_post(&pool->came_in);
	if (!r) {
		t->body(t);
		tl_gil_detach();
	}
	return NULL;
}

/* Until all have come in; the caller has the GIL. */
static int await_threads(struct pool *pool)
{
	unsigned int i;

	tl_gil_block_begin();
	for (i = 0; i < pool->count; i++)
		pool->cond.wake->sem_wait(&pool->came_in, CLOCK_MONOTONIC,
					  TL_FOREVER);
	tl_gil_block_end();
	/* relaxed: as in run_thread() */
	return atomic_load_explicit(&pool->error, memory_order_relaxed);
}

static int start_threads(struct pool *pool)
{
	const struct pool_config *config = &pool->config;
	unsigned int i;
	int r;

	for (i = 0; i < pool->count; i++) {
		struct pool_thread *t = &pool->thread[i];

		t->pool = pool;
		t->body = !i ? pool_accept :
			  i <= config->threads ? pool_serve : pool_compute;
		r = pthread_create(&t->thread, NULL, run_thread, t);
		if (r)
			return -r;
		pool->started++;
	}
	return await_threads(pool);
}

static int make_gil(struct pool *pool, struct tl_error **error)
{
	int r = tl_gil_new(&pool->gil, pool->config.gil, error);

	if (r)
		return r;
	/* The queue's lock is of the kind that the GIL is made of. */
	pool->cond.wake = tl_wake_find(strchr(tl_gil_name(pool->gil), ':') + 1);
	r = tl_gil_attach(pool->gil);
	if (r)
		tl_gil_free(pool->gil);
	return r;
}

int pool_start(struct pool **out, struct server *s,
	       const struct pool_config *config, struct tl_error **error)
{
	struct pool *pool = calloc(1, sizeof(*pool));
	int r;

	if (!pool)
		return -ENOMEM;
	pool->config = *config;
	pool->server = s;
	pool->count = 1 + config->threads + config->cpu_threads;
	if (posix_memalign((void **)&pool->thread, alignof(struct pool_thread),
			   pool->count * sizeof(*pool->thread))) {
		free(pool);
		return -ENOMEM;
	}
	memset(pool->thread, 0, pool->count * sizeof(*pool->thread));
	r = make_gil(pool, error);
	if (r) {
		free(pool->thread);
		free(pool);
		return r;
	}
	s->pool = pool;
	http_set_date(s);
	r = start_threads(pool);
	if (r) {
		pool_stop(pool);
		pool_free(pool);
		return r;
	}
	*out = pool;
	return 0;
}

int pool_wait(struct pool *pool, const sigset_t *signals)
{
	struct server *s = pool->server;
	uint64_t next = tl__now() + s->tick_ns, now;
	struct timespec ts;
	int sig = -1;

	while (sig <= 0 && !s->error) {
		now = tl__now();
		if (now >= next) {
			server_tick(s, pool_throw_late);
			next = now + s->tick_ns;
		}
		ts = tl__timespec(next - now);
		tl_gil_block_begin();
		sig = sigtimedwait(signals, NULL, &ts);
		tl_gil_block_end();
	}
	return sig > 0 ? sig : 0;
}

void pool_stop(struct pool *pool)
{
	struct server *s = pool->server;
	struct tl__list *pos;
	unsigned int i;

	/* relaxed: as in pool_stopped() */
	atomic_store_explicit(&pool->stop, true, memory_order_relaxed);
	shutdown(s->fd, SHUT_RDWR);
	/* Nobody takes one from the queue any more: these are all. */
	for (pos = s->conns.next; pos != &s->conns; pos = pos->next)
		shutdown(tl__container_of(pos, struct conn, link)->fd,
			 SHUT_RDWR);
	tl_gil_block_begin();
	cond_notify_all(&pool->cond);
	for (i = 0; i < pool->started; i++)
		pthread_join(pool->thread[i].thread, NULL);
	tl_gil_block_end();
}

void pool_free(struct pool *pool)
{
	unsigned int i;

	for (i = 0; i < pool->queued; i++)
		close(pool->fds[(pool->first + i) % POOL_QUEUE_MAX]);
	tl_gil_detach();
	tl_gil_free(pool->gil);
	pool->server->pool = NULL;
	free(pool->thread);
	free(pool);
}

/* --- statistics ----------------------------------------------------------- */

static bool take_sum(const struct tl_gil_stats *stats, void *arg)
{
	*(struct tl_gil_stats *)arg = *stats;
	return false;
}

void pool_write_stats(const struct pool *pool, FILE *f)
{
	struct tl_gil_stats sum = { .size = sizeof(sum) };
	uint64_t bytecodes = 0;
	unsigned int i;

	for (i = 1 + pool->config.threads; i < pool->count; i++)
		bytecodes += work_done(&pool->thread[i].work);
	tl_gil_stats(pool->gil, take_sum, &sum);
	fprintf(f, "\"threads\":%u,\"cpu_threads\":%u,\"cpu_bytecodes\":%"
		PRIu64 ",\"gil\":", pool->config.threads,
		pool->config.cpu_threads, bytecodes);
	tl__json_write_str(f, tl_gil_name(pool->gil));
	fprintf(f, ",\"io_waits\":%" PRIu64 ",\"io_wait_ns\":%" PRIu64
		",\"io_wait_max_ns\":%" PRIu64 ",\"cpu_waits\":%" PRIu64
		",\"cpu_wait_ns\":%" PRIu64 ",\"cpu_wait_max_ns\":%" PRIu64,
		sum.waits[TL_GIL_IO].count, sum.waits[TL_GIL_IO].sum_ns,
		sum.waits[TL_GIL_IO].max_ns, sum.waits[TL_GIL_CPU].count,
		sum.waits[TL_GIL_CPU].sum_ns, sum.waits[TL_GIL_CPU].max_ns);
	fprintf(f, ",\"forced\":%" PRIu64 ",\"kept\":%" PRIu64
		",\"stolen\":%" PRIu64 ",", sum.forced, sum.kept, sum.stolen);
}
