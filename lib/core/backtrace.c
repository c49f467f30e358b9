/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Backtraces; see backtrace.h.
 *
 * Owns nothing. The unwinder is libgcc's, which follows CFI and needs no frame
 * pointers. A suspended tasklet is unwound on the stack of whoever asks, through
 * a frame that claims to be the tasklet's (visit.S).
 *
 * In signal handlers: _Unwind_Backtrace() takes no lock where the C library has
 * _dl_find_object() (glibc 2.35) and allocates nothing; before, it took the
 * loader's recursive lock. Its first call sets up tables: tl__backtrace_warm().
 */
#include "core/backtrace.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <string.h>
#include <ucontext.h>
#include <unwind.h>

#include "core/park.h"

struct walk {
	struct tl__backtrace *trace;
	uintptr_t below;	/* frames below this address don't count; 0 */
	uintptr_t from;		/* those before this pc don't either; 0 */
	bool skip_machinery;	/* leading frames of that are left out */
};

/* Whether the frame is one by which every tasklet gets to sleep. */
static bool is_machinery(uintptr_t start)
{
	return start == (uintptr_t)tl__switch ||
	       start == (uintptr_t)tl__unwind_from ||
	       start == (uintptr_t)tl__switch_slow ||
	       start == (uintptr_t)tl__switch_polled ||
	       start == (uintptr_t)tl__inbox_drain ||
	       start == (uintptr_t)tl__inbox_sleep ||
	       start == (uintptr_t)tl__poll ||
	       start == (uintptr_t)tl__next_runnable ||
	       start == (uintptr_t)tl__park_slow;
}

static bool skipped(struct walk *walk, struct _Unwind_Context *context,
		    uintptr_t pc)
{
	if (walk->from) {
		if (pc != walk->from)
			return true;
		walk->from = 0;
	}
	/* A frame's "CFA" is the stack pointer that its callee returns to. */
	if (walk->below && _Unwind_GetCFA(context) <= walk->below)
		return true;
	walk->below = 0;
	if (walk->skip_machinery &&
	    is_machinery(_Unwind_GetRegionStart(context)))
		return true;
	walk->skip_machinery = false;
	return false;
}

static _Unwind_Reason_Code frame(struct _Unwind_Context *context, void *arg)
{
	struct walk *walk = arg;
	struct tl__backtrace *trace = walk->trace;
	int exact = 0;	/* not behind a call, but interrupted there */
	uintptr_t pc = _Unwind_GetIPInfo(context, &exact);

	if (!pc)
		return _URC_END_OF_STACK;
	if (skipped(walk, context, pc))
		return _URC_NO_REASON;
	if (_Unwind_GetRegionStart(context) == (uintptr_t)tl__task_main ||
	    _Unwind_GetRegionStart(context) == (uintptr_t)tl__switch_entry)
		return _URC_END_OF_STACK;
	if (trace->count == TL__BACKTRACE_MAX) {
		trace->more = true;
		return _URC_END_OF_STACK;
	}
	trace->pc[trace->count++] = exact ? pc : pc - 1;
	return _URC_NO_REASON;
}

static __attribute__((noinline)) int unwind(void *arg)
{
	_Unwind_Backtrace(frame, arg);
	/* No tail call: this frame is what tl__unwind_from() has called. */
	__asm__ volatile("" : : : "memory");
	return 0;
}

void tl__backtrace_here(struct tl__backtrace *trace, const void *below)
{
	struct walk walk = {
		.trace = trace,
		.below = (uintptr_t)below,
		.skip_machinery = true,
	};

	trace->count = 0;
	trace->more = false;
	unwind(&walk);
}

void tl__backtrace_suspended(struct tl__backtrace *trace,
			     const struct tl_task *task)
{
	struct walk walk = {
		.trace = trace,
		/*
		 * Two frames are ours, and they may lie above the tasklet's: go
		 * by the address where it will go on, which is its first one.
		 */
		.from = ((const uintptr_t *)task->sp)[TL__SWITCH_PC],
		.skip_machinery = true,
	};

	trace->count = 0;
	trace->more = false;
	tl__unwind_from(task->sp, unwind, &walk);
}

static uintptr_t interrupted_pc(const ucontext_t *context)
{
#if defined(__x86_64__)
	return (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
#else
	return (uintptr_t)context->uc_mcontext.pc;
#endif
}

void tl__backtrace_interrupted(struct tl__backtrace *trace,
			       const void *context)
{
	struct walk walk = { .trace = trace, .from = interrupted_pc(context) };

	trace->count = 0;
	trace->more = false;
	unwind(&walk);
	if (trace->count)
		return;
	/* Not unwound to there, as where a checker has delayed the signal. */
	walk.from = 0;
	unwind(&walk);
}

static void warm(void)
{
	struct tl__backtrace trace;

	tl__backtrace_here(&trace, NULL);
}

void tl__backtrace_warm(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, warm);
}

/* --- text ------------------------------------------------------------------ */

static const struct tl__symbol *look_up(struct tl__symbols *symbols,
					uintptr_t pc)
{
	struct tl__symbol *symbol =
		&symbols->cache[(pc ^ pc >> 6) % TL__SYMBOLS];
	struct link_map *map = NULL;
	int saved = errno;
	Dl_info info;

	if (symbol->pc == pc)
		return symbol;
	memset(symbol, 0, sizeof(*symbol));
	symbol->pc = pc;
	if (dladdr1((void *)pc, &info, (void **)&map, RTLD_DL_LINKMAP)) {
		symbol->name = info.dli_sname;
		symbol->start = (uintptr_t)info.dli_saddr;
		symbol->file = info.dli_fname;
		/* Not dli_fbase: zero where addresses are not relocated. */
		symbol->base = map ? map->l_addr : (uintptr_t)info.dli_fbase;
	}
	errno = saved;
	return symbol;
}

void tl__symbol_print(struct tl__out *out, struct tl__symbols *symbols,
		      uintptr_t pc)
{
	const struct tl__symbol *symbol = look_up(symbols, pc);

	if (symbol->name) {
		tl__out_name(out, symbol->name);
		tl__out_str(out, "+");
		tl__out_hex(out, pc - symbol->start);
	} else {
		tl__out_str(out, "??");
	}
	tl__out_str(out, " (");
	if (symbol->file) {
		tl__out_name(out, symbol->file);
		tl__out_str(out, "+");
		tl__out_hex(out, pc - symbol->base);
	} else {
		tl__out_hex(out, pc);
	}
	tl__out_str(out, ")");
}

void tl__backtrace_print(struct tl__out *out, struct tl__symbols *symbols,
			 const struct tl__backtrace *trace, int indent)
{
	unsigned int i;

	for (i = 0; i < trace->count; i++) {
		tl__out_blanks(out, indent);
		tl__out_str(out, "#");
		tl__out_u64(out, i);
		tl__out_str(out, " ");
		tl__symbol_print(out, symbols, trace->pc[i]);
		tl__out_str(out, "\n");
	}
	if (trace->more) {
		tl__out_blanks(out, indent);
		tl__out_str(out, "and so on\n");
	}
}
