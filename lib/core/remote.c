/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Messages between threads' schedulers; see remote.h.
 */
#include "core/remote.h"

#include "base/list.h"

bool tl__wake_awaited(struct tl_task *t)
{
	if (!(t->flags & TL__AWAITED)) {
		t->flags |= TL__AWAITED;
		t->sched->inbox.awaited++;
	}
	return false;
}

void tl__wake_delivered(struct tl_sched *s, struct tl__message *message)
{
	struct tl_task *t = tl__container_of(message, struct tl_task,
					     wake_message);

	if (t->flags & TL__AWAITED) {
		t->flags &= ~TL__AWAITED;
		s->inbox.awaited--;
	}
	tl__wake(s, t, t->remote_result);
}
