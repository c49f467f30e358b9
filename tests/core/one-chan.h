/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * one-chan.h: what tests with one channel share: it, and tasklets that use it once and say what came of it.
 */
#ifndef CORE_ONE_CHAN_H
#define CORE_ONE_CHAN_H

#include "check.h"

static struct tl_chan *chan;

static UNUSED void new_chan(size_t size, size_t capacity)
{
	if (tl_chan_new(&chan, size, capacity))
		tap_bail("no channel");
}

static UNUSED int fn_recv(UNUSED void *arg)
{
	long v = 0;
	int r = tl_chan_recv(chan, &v);

	say("%s%d:%ld", me(), r, v);
	return 0;
}

/* Its argument is the value. */
static UNUSED int fn_send(void *arg)
{
	int r = tl_chan_send(chan, &arg);

	say("%s%d", me(), r);
	return 0;
}

#endif
