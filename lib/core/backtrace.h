/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Backtraces of tasklets: addresses first, their text later, for the one may
 * happen in a signal handler and the other may not.
 *
 * An address here is one inside the call instruction, not the one behind it, so
 * that it belongs to the line and the function that made the call. The frames
 * below a tasklet's function (tl__task_main() and the entry) are left out.
 */
#ifndef TL_CORE_BACKTRACE_H
#define TL_CORE_BACKTRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "os/out.h"

struct tl_task;

#define TL__BACKTRACE_MAX 48

struct tl__backtrace {
	unsigned int count;
	bool more;		/* there were more than fit */
	uintptr_t pc[TL__BACKTRACE_MAX];
};

/*
 * The calling tasklet, or thread. Frames of the library that lead here are left
 * out: those up to the one whose __builtin_frame_address(0) is @below, and what
 * switching and polling add.
 */
void tl__backtrace_here(struct tl__backtrace *trace, const void *below);

/*
 * A tasklet that is suspended and has started; the calling thread's, and it stays
 * suspended meanwhile.
 */
void tl__backtrace_suspended(struct tl__backtrace *trace,
			     const struct tl_task *task);

/*
 * What a signal has interrupted: @context is the handler's third argument.
 * Async-signal-safe once tl__backtrace_warm() was called.
 */
void tl__backtrace_interrupted(struct tl__backtrace *trace,
			       const void *context);
void tl__backtrace_warm(void);

/* What an address is called, for the time of one report. */
#define TL__SYMBOLS 64

struct tl__symbols {
	struct tl__symbol {
		uintptr_t pc;
		const char *name, *file; /* NULL: not known */
		uintptr_t start, base;
	} cache[TL__SYMBOLS];
};

/* One line a frame, with @indent blanks before it. Not in signal handlers. */
void tl__backtrace_print(struct tl__out *out, struct tl__symbols *symbols,
			 const struct tl__backtrace *trace, int indent);

/* "name+0x12 (file+0x1234)", as far as known. */
void tl__symbol_print(struct tl__out *out, struct tl__symbols *symbols,
		      uintptr_t pc);

/* visit.S */
tl__hidden int tl__unwind_from(void *sp, int (*fn)(void *arg), void *arg);

#endif
