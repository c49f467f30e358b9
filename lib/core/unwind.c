/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Forced unwinding, and the exception state of C++; see unwind.h.
 *
 * The unwinder is the compiler's (libgcc, or LLVM's). The library does not
 * depend on it: the one function that it needs is a weak reference, which costs
 * nothing where nobody unwinds. Whatever has something to unwind, a program
 * in C++ or in C with -fexceptions, brings it along. Should a plug-in bring it
 * later, it is opened by name, as the C library does for pthread_cancel().
 *
 * Two words of C++ belong to a flow of control although they lie in thread-local
 * memory: which exceptions are being handled, and how many are in the air.
 * Tasklets with TL_UNWIND have these to themselves: they put the thread's back
 * when they are left, and their own when they come back. All others share the
 * thread's, and must not switch inside a catch block.
 */
#include "core/unwind.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "core/end.h"
#include "core/extra.h"
#include "core/kill.h"
#include "os/log.h"

#pragma weak _Unwind_ForcedUnwind
#pragma weak dlopen
#pragma weak dlsym

/* The C++ ABI's: struct __cxa_eh_globals. */
extern void *__cxa_get_globals(void) __attribute__((weak));

static _Unwind_Reason_Code (*forced_unwind)(struct _Unwind_Exception *,
					    _Unwind_Stop_Fn, void *);
static void *(*cxx_globals)(void);

/* POSIX guarantees that a data pointer from dlsym() can be called. */
static void find(const char *library, const char *name, void *fn)
{
	void *handle = NULL, *symbol = NULL;

	if (dlopen && dlsym) {
		handle = library ? dlopen(library, RTLD_NOW) : RTLD_DEFAULT;
		if (handle || !library)
			symbol = dlsym(handle, name);
	}
	memcpy(fn, &symbol, sizeof(symbol));
}

static void find_all(void)
{
	int saved = errno;

	forced_unwind = _Unwind_ForcedUnwind;
	if (!forced_unwind)
		find("libgcc_s.so.1", "_Unwind_ForcedUnwind", &forced_unwind);
	cxx_globals = __cxa_get_globals;
	if (!cxx_globals)
		find(NULL, "__cxa_get_globals", &cxx_globals);
	errno = saved;
}

int tl__unwind_available(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, find_all);
	return forced_unwind ? 0 : -ENOTSUP;
}

/* --- the exception state ---------------------------------------------------- */

static void cxx_exchange(struct tl__cxx *out, const struct tl__cxx *in)
{
	struct tl__cxx *words;

	if (!cxx_globals)
		return;
	words = cxx_globals();
	*out = *words;
	*words = *in;
}

void tl__unwind_start(struct tl_task *me)
{
	memset(tl__extra(me), 0, offsetof(struct tl__extra, keeper));
	tl__unwind_enter(me);
}

void tl__unwind_enter(struct tl_task *me)
{
	cxx_exchange(&me->sched->cxx, &tl__extra(me)->cxx);
	me->sched->slow |= TL__SLOW_UNWIND;
}

void tl__unwind_leave(struct tl_task *me)
{
	cxx_exchange(&tl__extra(me)->cxx, &me->sched->cxx);
	me->sched->slow &= ~TL__SLOW_UNWIND;
}

void tl__unwind_end(struct tl_task *me)
{
	tl__unwind_leave(me);
}

/* --- unwinding -------------------------------------------------------------- */

/* A catch block has let go of the unwinding, which can't be undone. */
static void swallowed(_Unwind_Reason_Code reason,
		      struct _Unwind_Exception *exception)
{
	(void)reason, (void)exception;
	tl__fatal("%s is being ended, and a catch (...) did not rethrow",
		  tl__task_label(tl__me(tl__sched_self)));
}

/* Called for each frame, before what it has to undo; and at the end. */
static _Unwind_Reason_Code next_frame(int version, _Unwind_Action actions,
				      _Unwind_Exception_Class class,
				      struct _Unwind_Exception *exception,
				      struct _Unwind_Context *context, void *arg)
{
	struct tl_task *me = arg;
	struct tl__extra *extra = tl__extra(me);
	struct tl_error *error = extra->error;

	(void)version, (void)class, (void)exception, (void)context;
	if (!(actions & _UA_END_OF_STACK))
		return _URC_NO_REASON;
	extra->error = NULL;
	if (error)
		tl__caught_set(me, error);
	tl__task_end(me, extra->result);
}

void tl__unwind(struct tl_task *me, int result, struct tl_error *error)
{
	struct tl__extra *extra = tl__extra(me);
	int reason;

	/* What is undone may block: it is like a deferred handler. */
	me->flags |= TL__IN_END | TL__SHIELDED;
	extra->result = result;
	extra->error = error;
	memset(&extra->exception, 0, sizeof(extra->exception));
	extra->exception.exception_cleanup = swallowed;
	tl__annotate_no_return();
	reason = forced_unwind(&extra->exception, next_frame, me);
	tl__fatal("the stack of %s can't be unwound (%d)", tl__task_label(me),
		  reason);
}

void tl__unwind_killed(struct tl_task *me)
{
	if (me->thrown != &tl__error_killed ||
	    (me->sched->slow & TL__SLOW_IN_CALLBACK))
		return;
	tl__unwind(me, -ECANCELED, NULL);
}

/*
 * The personality of a tasklet's outermost frame (switch.S). An exception that
 * looks for its handler here finds none: its thrower terminates the program,
 * and can't say where that was.
 */
_Unwind_Reason_Code tl__unwind_personality(int version, _Unwind_Action actions,
					   _Unwind_Exception_Class class,
					   struct _Unwind_Exception *exception,
					   struct _Unwind_Context *context);

_Unwind_Reason_Code tl__unwind_personality(int version, _Unwind_Action actions,
					   _Unwind_Exception_Class class,
					   struct _Unwind_Exception *exception,
					   struct _Unwind_Context *context)
{
	(void)version, (void)class, (void)exception, (void)context;
	if ((actions & _UA_SEARCH_PHASE) && tl__sched_self)
		tl__log("an exception leaves the function of %s",
			tl__task_label(tl__me(tl__sched_self)));
	return _URC_CONTINUE_UNWIND;
}
