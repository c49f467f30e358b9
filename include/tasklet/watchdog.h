/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * run() with a budget, which interrupts tasklets that take too long; the ticks
 * at which they can be; and what holds interrupts off.
 *
 * C has no instructions to count. A long loop calls tl_tick(), and a budget is
 * a number of ticks, or a time that is looked at by another thread and noticed
 * at the next tick.
 *
 * Contexts, unless said otherwise: tasklets and plain threads, not signal
 * handlers.
 */
#ifndef TASKLET_WATCHDOG_H
#define TASKLET_WATCHDOG_H

#include <tasklet/base.h>
#include <tasklet/sched.h>
#include <tasklet/task.h>

TL_BEGIN_DECLS

/* Flags of struct tl_run_options. */
#define TL_RUN_SOFT		(UINT64_C(1) << 0)
#define TL_RUN_TOTAL		(UINT64_C(1) << 1)
#define TL_RUN_IGNORE_NESTING	(UINT64_C(1) << 2)
#define TL_RUN_THREADBLOCK	(UINT64_C(1) << 3)

/*
 * struct tl_run_options - what tl_run_with() may do
 *
 * @size is sizeof(struct tl_run_options): fields that a later version appends
 * count as zero. @ticks and @ns are the budget, of each tasklet since the last
 * switch; whichever is used up first counts, 0 means no limit. @flags:
 *
 *	TL_RUN_SOFT		nobody is interrupted at a tick; run() returns
 *				when one whose budget is used up lets others run
 *	TL_RUN_TOTAL		the budget is that of the whole run, not of each
 *				tasklet since the last switch
 *	TL_RUN_IGNORE_NESTING	as if each tasklet had tl_set_ignore_nesting()
 *	TL_RUN_THREADBLOCK	when nothing can run, sleep as long as another
 *				thread may give this one something to do
 */
struct tl_run_options {
	size_t size;
	uint64_t ticks;
	uint64_t ns;
	uint64_t flags;
};

/*
 * tl_run_with - run the others, with a budget
 *
 * tl_run() with options; NULL means none. In the hard mode, without TL_RUN_SOFT,
 * a tasklet that has used its budget up is interrupted at its next tick: it
 * becomes paused, the caller takes its place in the ring and the call returns
 * TL_RUN_INTERRUPTED. *interrupted is the tasklet then, with a handle that the
 * caller must give up; in all other cases it is NULL. tl_task_insert() lets the
 * tasklet go on; without that handle or another one it would be killed.
 *
 * The interrupt waits, and the budget starts anew, while the tasklet is atomic
 * (tl_atomic()), uses the C stack (tl_nesting()) without ignoring that, while a
 * callback runs or a switch trap is set. If it waits for one of the first two,
 * the end of that makes it due at the tasklet's next tick; else the budget must
 * be used up again.
 *
 * In the soft mode the call returns TL_RUN_SOFT_INTERRUPTED at the next call by
 * which the tasklet lets others run (blocks, yields, ends, runs another one);
 * whoever was to run then is the next after the caller. A switch to a preferred
 * partner of a channel, or to a tasklet just made (tl_spawn_run()), and one inside
 * nested use of the C stack, don't count: the next tasklet has it in its stead.
 * Time that is up is noticed here too, without any tick.
 *
 * With TL_RUN_TOTAL and @ns the call returns TL_RUN_SOFT_INTERRUPTED, in both
 * modes, if the time is up while nothing can run.
 *
 * Runs nest, but only the outermost one with a budget can interrupt: the budgets
 * of those inside it are ignored. The inner ones return TL_RUN_FINISHED in their
 * turn when the outer one is back first.
 *
 * Allocates nothing; the first one with @ns starts a thread. Returns as tl_run(),
 * or TL_RUN_INTERRUPTED or TL_RUN_SOFT_INTERRUPTED; or without having run
 * anything, and with *interrupted as it was: -EINVAL (@size, an unknown flag, or a
 * budget in the hard mode and @interrupted is NULL), -E2BIG (an option that this
 * version does not know), -EPERM (a trap), -EAGAIN (no thread to look at the
 * clock).
 */
TL_API int tl_run_with(const struct tl_run_options *options,
		       struct tl_task **interrupted);

/* The word that a tick looks at, and what it does if that is not 0. Private. */
extern TL_API __thread unsigned int tl__tick_word
	__attribute__((tls_model("initial-exec")));
TL_API int tl__tick_slow(void);

/*
 * tl_tick - a place where the caller may be interrupted
 *
 * Put it into long loops. It may switch: to the watchdog, see tl_run_with(). It
 * also looks at what other threads have asked of this one, if they have; and lets
 * them have the global interpreter lock by which this one runs, if they want it
 * (<tasklet/gil.h>) and the tasklet is not atomic. Costs a load and a branch that
 * is not taken while nobody has anything to say.
 *
 * Returns 0; or, when it did look, what was thrown at the caller and is not
 * caught: -ECANCELED for a kill. That is no promise to report it each time, as
 * blocking calls do. One with TL_UNWIND is unwound by a kill that it finds. No
 * effect on a thread without a scheduler, but for the lock.
 *
 * Contexts: any thread, callbacks too (where nothing is interrupted); not signal
 * handlers. Memory ordering: what another thread did before it asked is visible
 * after the tick that looks.
 */
TL_API int tl_tick(void);

#if defined(__GNUC__) && defined(__OPTIMIZE__)
extern __inline __attribute__((gnu_inline, always_inline)) int tl_tick(void)
{
	/* relaxed: only a hint; the slow half orders what is behind it */
	if (__builtin_expect(__atomic_load_n(&tl__tick_word, __ATOMIC_RELAXED) !=
			     0, 0))
		return tl__tick_slow();
	return 0;
}
#endif

/*
 * tl_atomic - hold interrupts of the current tasklet off
 *
 * Belongs to the tasklet: it may switch and block, others run then as ever, and
 * it is atomic still when it is back. A new tasklet is not atomic. An interrupt
 * that comes meanwhile waits, and is due at the next tick after the end. Soft
 * interrupts, which come where the tasklet lets others run anyway, are not held
 * off. Nor do its ticks give the global interpreter lock away (<tasklet/gil.h>): what
 * it does without a wait it does at once for the tasklets of all threads that share
 * the lock. Where it waits, or says that it blocks, others have it as ever.
 *
 * Returns the previous setting, to be restored (so sections nest).
 */
TL_API bool tl_atomic(bool on);

/* Whether it is. */
TL_API bool tl_task_is_atomic(const struct tl_task *task);

/*
 * tl_nesting - say that the C stack is used in a way no switch must break into
 *
 * An interpreter or a callback that others call adds 1 on entry and -1 on exit.
 * While the current tasklet's level is not 0 it is not interrupted, unless it or
 * the run ignores that. What it calls may switch by itself as ever.
 *
 * Returns the old level; -ERANGE if it would leave 0..4095; or -ENOMEM.
 */
TL_API int tl_nesting(int delta);

/*
 * tl_set_ignore_nesting - let the current tasklet be interrupted at any level
 *
 * Returns the previous setting, to be restored.
 */
TL_API bool tl_set_ignore_nesting(bool on);

TL_END_DECLS

#endif
