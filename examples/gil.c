/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A language's runtime with a global lock: a little machine whose programs run on
 * threads of their own and share its variables. One program computes, the other one
 * waits for something again and again; each is let in as soon as it is back.
 */
#include <pthread.h>
#include <stdio.h>
#include <tasklet/gil.h>
#include <time.h>

enum op { ADD, WAIT, LOOP, END };

struct instruction {
	enum op op;
	int variable, number;
};

/* Of the machine; who holds the lock may touch them. */
static long variables[4];
static struct tl_gil *gil;

static void wait_ms(int ms)
{
	struct timespec ts = { .tv_nsec = ms * 1000000L };

	tl_gil_block_begin();	/* others run meanwhile */
	nanosleep(&ts, NULL);
	tl_gil_block_end();
}

static void interpret(const struct instruction *program)
{
	const struct instruction *pc = program;

	for (;;) {
		tl_tick();	/* others may want the lock */
		switch (pc->op) {
		case ADD:
			variables[pc->variable] += pc->number;
			break;
		case WAIT:
			wait_ms(pc->number);
			break;
		case LOOP:	/* to the start, while the variable is smaller */
			if (variables[pc->variable] < pc->number) {
				pc = program;
				continue;
			}
			break;
		case END:
			return;
		}
		pc++;
	}
}

/* 3 is their common one. */
static const struct instruction computes[] = {
	{ ADD, 0, 1 }, { ADD, 3, 1 }, { LOOP, 0, 3000000 }, { END, 0, 0 },
};
static const struct instruction waits[] = {
	{ WAIT, 0, 1 }, { ADD, 1, 1 }, { ADD, 3, 1 }, { LOOP, 1, 20 }, { END, 0, 0 },
};

static void *run(void *program)
{
	if (tl_gil_attach(gil))
		return program;
	interpret(program);
	tl_gil_detach();
	return NULL;
}

static bool show(const struct tl_gil_stats *stats, void *arg)
{
	(void)arg;
	printf("let go at a tick: %s; longest wait of one that was back: %s\n",
	       stats->forced ? "yes" : "no",
	       stats->waits[TL_GIL_IO].max_ns < 1000000000 ? "below a second" : "too long");
	return false;	/* the sum is enough */
}

int main(void)
{
	pthread_t threads[2];
	void *failed[2];
	struct tl_error *error;

	if (tl_gil_new(&gil, NULL, &error)) {	/* as TL_GIL says */
		fprintf(stderr, "%s\n", tl_error_message(error));
		return 1;
	}
	if (pthread_create(&threads[0], NULL, run, (void *)computes) ||
	    pthread_create(&threads[1], NULL, run, (void *)waits))
		return 1;
	pthread_join(threads[0], &failed[0]);
	pthread_join(threads[1], &failed[1]);
	printf("%ld + %ld = %ld\n", variables[0], variables[1], variables[3]);
	tl_gil_stats(gil, show, NULL);
	return failed[0] || failed[1] || tl_gil_free(gil) ||
	       variables[3] != variables[0] + variables[1];
}
