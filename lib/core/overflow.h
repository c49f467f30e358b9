/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Names the tasklet that ran over its stack, in place of a bare crash.
 */
#ifndef TL_CORE_OVERFLOW_H
#define TL_CORE_OVERFLOW_H

#include "core/task.h"

/*
 * Gives the calling thread an alternate signal stack, if it has none, and the
 * process a SIGSEGV handler, if it has none. Failure is harmless: the process
 * then dies without the message.
 */
void tl__overflow_thread_start(struct tl_sched *s);
void tl__overflow_thread_end(struct tl_sched *s);

#endif
