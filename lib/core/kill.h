/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Errors on their way into a tasklet.
 */
#ifndef TL_CORE_KILL_H
#define TL_CORE_KILL_H

#include "core/task.h"

/*
 * What @me's call has to fail with: -code of what was thrown at it, as long as
 * it isn't caught; what was delivered to it, once; or 0.
 */
int tl__raise(struct tl_task *me);

/*
 * The call in which @t waits will report @error. What it hides is freed by @t
 * itself, later: a destructor must not run here, in the middle of a hand-over.
 */
void tl__caught_push(struct tl_task *t, struct tl_error *error);

/* Keeps @error, which a call of @me reports now, for tl_catch(). */
void tl__caught_set(struct tl_task *me, struct tl_error *error);

/* Frees what nobody caught; @me ends. */
void tl__caught_drop(struct tl_task *me);

/*
 * Throws without switching: marks @t, ends its wait if it is blocked, makes it
 * runnable if it is paused. @t is alive and has started, and is not current.
 */
void tl__throw_at(struct tl_sched *s, struct tl_task *t,
		  struct tl_error *error);

/*
 * The same for what came from another thread, @t being in any state. No
 * destructor runs here: this may be in the middle of a switch.
 */
void tl__throw_arrived(struct tl_sched *s, struct tl_task *t,
		       struct tl_error *error);

/*
 * Kills @t, which is alive and not current, without switching. What it had been
 * thrown before is @t's or the main tasklet's to free: no destructor runs here.
 */
void tl__kill_quietly(struct tl_sched *s, struct tl_task *t);

#endif
