/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The switch itself, in assembly (switch.S), and what prepares a new stack for
 * it. A suspended tasklet is nothing but a stack pointer: below it lie the
 * callee-saved registers and the address to go on at.
 */
#ifndef TL_CORE_SWITCH_H
#define TL_CORE_SWITCH_H

#include <stdint.h>

#include "base/compiler.h"

struct tl_task;

/*
 * Suspends @from, whose first word receives the stack pointer, and resumes @to.
 * When somebody switches back to @from, returns from->result. Saves what the
 * ABI asks a function to keep, except floating point control words (fpenv.h).
 *
 * Call it last: a blocking call that ends with "return tl__switch(...)" is left
 * through a jump, and a jump that is taken straight to whoever made that call
 * costs one branch prediction where two returns would cost two.
 */
tl__hidden int tl__switch(struct tl_task *from, struct tl_task *to);

/* Resumes @to; whoever calls it is gone for good. */
tl__hidden void tl__switch_final(struct tl_task *to) __attribute__((noreturn));

/*
 * Where a new tasklet starts; calls tl__task_main(task) with an aligned stack.
 * The start is one instruction behind the entry: see switch.S.
 */
tl__hidden void tl__switch_entry(void);
tl__hidden void tl__switch_start(void);

/* Written in C: runs the tasklet's function and ends the tasklet. */
tl__hidden void tl__task_main(struct tl_task *self) __attribute__((noreturn));

#if defined(__x86_64__)
#define TL__SWITCH_WORDS 7	/* r15 r14 r13 r12 rbx rbp, address */
#define TL__SWITCH_FP 5
#define TL__SWITCH_PC 6
#elif defined(__aarch64__)
#define TL__SWITCH_WORDS 20	/* x19-x28, x29, x30, d8-d15 */
#define TL__SWITCH_FP 10
#define TL__SWITCH_PC 11
#else
#error "libtasklet knows x86-64 and aarch64"
#endif

/*
 * The stack pointer of a tasklet that will start at tl__switch_start with its
 * stack growing down from @top (16-byte aligned). Only the return address and
 * the frame pointer need a value: a null frame pointer ends the chain that
 * profilers follow.
 */
static inline void *tl__switch_prepare(void *top)
{
	uintptr_t *sp = (uintptr_t *)top - TL__SWITCH_WORDS;

	sp[TL__SWITCH_FP] = 0;
	sp[TL__SWITCH_PC] = (uintptr_t)tl__switch_start;
	return sp;
}

#endif
