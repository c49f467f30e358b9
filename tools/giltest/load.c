/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the threads of a measurement do; all of it with the GIL, but where they
 * block.
 *
 * A transaction of a pair is one thing that goes from the producer to the
 * consumer. What both compute for it, and what a server computes for an answer,
 * is as much as an interpreter needs for some lines.
 */
#include "load.h"

#include <errno.h>

#define PAIR_BYTECODES 20
#define ECHO_BYTECODES 10
#define BURN_BYTECODES 64

static bool stopped(const struct scene *s)
{
	/* relaxed: whoever sees it late goes round once more */
	return atomic_load_explicit(&s->stop, memory_order_relaxed);
}

static void count_one(struct worker *w)
{
	/* relaxed: a number; only this thread writes it */
	uint64_t n = atomic_load_explicit(&w->count, memory_order_relaxed);

	atomic_store_explicit(&w->count, n + 1, memory_order_relaxed);
}

static int burn(struct worker *w)
{
	while (!stopped(w->scene))
		work_run(&w->work, BURN_BYTECODES);
	return 0;
}

/* --- pairs ---------------------------------------------------------------- */

static int produce(struct worker *w)
{
	struct scene *s = w->scene;

	for (;;) {
		work_run(&w->work, PAIR_BYTECODES);
		lock_acquire(&s->empty);
		if (stopped(s))
			return 0;
		s->thing++;
		lock_release(&s->full);
	}
}

static int consume(struct worker *w)
{
	struct scene *s = w->scene;
	uint64_t last = 0;

	for (;;) {
		lock_acquire(&s->full);
		if (stopped(s))
			return 0;
		/* Nothing is lost and nothing comes twice, or the lock is none. */
		if (s->thing != ++last)
			return -EILSEQ;
		lock_release(&s->empty);
		work_run(&w->work, PAIR_BYTECODES);
		count_one(w);
	}
}

/* Waits until the place is so. Returns whether to go on. */
static bool await_place(struct scene *s, bool full)
{
	cond_acquire(&s->cond);
	while (s->is_full != full && !stopped(s))
		cond_await(&s->cond);
	return !stopped(s);
}

static int produce_cond(struct worker *w)
{
	struct scene *s = w->scene;
	bool go_on;

	do {
		work_run(&w->work, PAIR_BYTECODES);
		go_on = await_place(s, false);
		s->thing++;
		s->is_full = true;
		cond_notify(&s->cond);
		cond_release(&s->cond);
	} while (go_on);
	return 0;
}

static int consume_cond(struct worker *w)
{
	struct scene *s = w->scene;
	uint64_t last = 0, thing;
	bool go_on;

	for (;;) {
		go_on = await_place(s, true);
		thing = s->thing;
		s->is_full = false;
		cond_notify(&s->cond);
		cond_release(&s->cond);
		if (!go_on)
			return 0;
		if (thing != ++last)
			return -EILSEQ;
		work_run(&w->work, PAIR_BYTECODES);
		count_one(w);
	}
}

/* --- echo ----------------------------------------------------------------- */

static int answer(struct worker *w)
{
	const struct echo *echo = w->scene->cell->echo;
	char request[ECHO_SIZE];
	int n, r;

	for (;;) {
		tl_gil_block_begin();
		n = echo_receive(echo->server, echo->run, request);
		tl_gil_block_end();
		if (n <= 0)
			return n;
		work_run(&w->work, ECHO_BYTECODES);
		tl_gil_block_begin();
		r = echo_answer(echo->server, request, n);
		tl_gil_block_end();
		if (r)
			return r;
		work_run(&w->work, ECHO_BYTECODES);
		count_one(w);
	}
}

/* --- who there is --------------------------------------------------------- */

void load_cast(struct scene *s)
{
	static int (*const bodies[LOADS][2])(struct worker *) = {
		[LOAD_PAIRS] = { produce, consume },
		[LOAD_COND] = { produce_cond, consume_cond },
		[LOAD_ECHO] = { answer },
		[LOAD_PACED] = { answer },
	};
	const struct cell *cell = s->cell;
	unsigned int i;

	for (i = 0; i < 2 && bodies[cell->load][i]; i++)
		s->worker[s->workers++].body = bodies[cell->load][i];
	s->cpu_from = s->workers;
	for (i = 0; i < cell->cpu_threads; i++)
		s->worker[s->workers++].body = burn;
	for (i = 0; i < s->workers; i++)
		s->worker[i].scene = s;
	s->full.wake = s->empty.wake = s->cond.wake = cell->wake;
	lock_release(&s->empty);
	if (cell->load == LOAD_ECHO || cell->load == LOAD_PACED)
		echo_prepare(cell->echo);
}

void load_wake(struct scene *s)
{
	switch (s->cell->load) {
	case LOAD_PAIRS:
		lock_release(&s->full);
		lock_release(&s->empty);
		break;
	case LOAD_COND:
		cond_notify_all(&s->cond);
		break;
	default:
		break;	/* the client's last word, or echo_break() */
	}
}
