/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A small interpreter that runs one small program for ever.
 *
 * Owns the program and the costs of its bytecodes. Each does something that
 * depends on the one before, and then pays what an interpreter pays for one:
 * fetching, types, reference counts. That payment is a number of steps, not a
 * time, so that the same work takes longer on a slower processor, and nobody can
 * read a clock into it.
 */
#include "work.h"

#include <tasklet/watchdog.h>

/* Each waits for the one before: a multiplication and two more, 5 or 6 cycles. */
#define STEPS_PER_BYTECODE 32

enum opcode { LOAD, ADD, MULTIPLY, STORE, COMPARE, JUMP };

struct bytecode {
	uint8_t opcode;
	uint8_t operand;	/* a local's number, or where to go on */
};

/* b = (b + a) * c; if b is odd, a = b, else d = b + a; again. */
static const struct bytecode program[] = {
	{ LOAD, 1 },  { ADD, 0 },  { MULTIPLY, 2 }, { STORE, 1 },
	{ COMPARE, 9 }, { LOAD, 1 }, { ADD, 0 }, { STORE, 3 },
	{ JUMP, 0 },  { LOAD, 1 }, { STORE, 0 }, { JUMP, 0 },
};

static uint64_t pay(uint64_t x)
{
	unsigned int i;

	for (i = 0; i < STEPS_PER_BYTECODE; i++)
		x = x * UINT64_C(6364136223846793005) + (x >> 33);
	return x;
}

static void step(struct work *w)
{
	const struct bytecode *code = &program[w->pc++];

	switch ((enum opcode)code->opcode) {
	case LOAD:
		w->top = w->local[code->operand];
		break;
	case ADD:
		w->top += w->local[code->operand] + 1;
		break;
	case MULTIPLY:
		w->top *= w->local[code->operand] | 1;
		break;
	case STORE:
		w->local[code->operand] = w->top;
		break;
	case COMPARE:
		if (w->top & 1) {
			w->pc = code->operand;
			w->taken++;
		}
		break;
	case JUMP:
		w->pc = code->operand;
		break;
	}
	w->top = pay(w->top);
}

void work_run(struct work *w, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		step(w);
		/* No tasklets here: nothing can be thrown at this thread. */
		(void)tl_tick();
	}
	/* relaxed: see work_done(); only this thread writes */
	atomic_store_explicit(&w->done, work_done(w) + n,
			      memory_order_relaxed);
}
