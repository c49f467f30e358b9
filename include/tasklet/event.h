/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Events: a flag that can be waited for.
 *
 * A set wakes all that wait, first come first served, and the caller goes on.
 * Those it has woken get 0 even if the flag was cleared again before they run: a
 * set is not lost, however short. (Python 3's Event.wait() does so too; that of
 * stacklesslib returned the flag as it was when the waiter ran.)
 *
 * Who uses it, contexts and errors: as tasklet/mutex.h has it. Memory: may be
 * used again as soon as all waits have returned or, if there are none, the flag
 * was seen, while the set is on its way out: so an event may lie on its only
 * waiter's stack. Memory ordering: what was done before a set is visible to
 * whoever has seen the flag, or was woken.
 */
#ifndef TASKLET_EVENT_H
#define TASKLET_EVENT_H

#include <tasklet/base.h>

TL_BEGIN_DECLS

struct tl__waiter;

struct tl_event {
	uint32_t tl__word;
	uint32_t tl__lock;
	struct tl__waiter *tl__queue;
};

/* The flag is not set. */
#define TL_EVENT_INIT { 0, 0, 0 }

/* tl_event_wait - until it is set. Returns 0 or see above. */
TL_API int tl_event_wait(struct tl_event *event);
TL_API int tl_event_wait_until(struct tl_event *event, uint64_t deadline_ns);

/* tl_event_try_wait - Returns 0: it is set; or -EAGAIN. Never blocks or switches. */
TL_API int tl_event_try_wait(const struct tl_event *event);

/* Never block or switch. */
TL_API void tl_event_set(struct tl_event *event);
TL_API void tl_event_clear(struct tl_event *event);
TL_API bool tl_event_is_set(const struct tl_event *event);

TL_END_DECLS

#endif
