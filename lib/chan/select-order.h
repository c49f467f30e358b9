/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Locking all channels of a select, each once, in the order of their addresses.
 */
#ifndef TL_CHAN_SELECT_ORDER_H
#define TL_CHAN_SELECT_ORDER_H

#include "chan/channel.h"

/* All are shared. No waiter of the select is queued. */
void tl__select_lock_all(struct tl__select *select);
void tl__select_unlock_all(struct tl__select *select);

#endif
