/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Links over our channels: between two threads, and between two tasklets of one
 * thread, which is what the others can be compared with.
 *
 * Without a capacity the channel is a rendezvous. A channel belongs to the thread
 * that opens the link until another one uses it.
 */
#include <tasklet/channel.h>

#include "link.h"

static int chan_open(struct link *link)
{
	return tl_chan_new(&link->u.chan, sizeof(uint64_t), link->capacity);
}

static void chan_close(struct link *link)
{
	tl_chan_unref(link->u.chan);
}

static int chan_put(struct link *link, uint64_t value)
{
	return tl_chan_send(link->u.chan, &value);
}

static int chan_get(struct link *link, uint64_t *value)
{
	return tl_chan_recv(link->u.chan, value);
}

#define CHAN_FUNCTIONS .open = chan_open, .close = chan_close, \
		       .put = chan_put, .get = chan_get

const struct primitive link_channel = {
	.name = "channel",
	.what = "libtasklet's channel between two threads",
	CHAN_FUNCTIONS,
};

const struct primitive link_channel_local = {
	.name = "channel-local",
	.what = "... between two tasklets of one thread, on one processor only",
	.one_thread = true,
	CHAN_FUNCTIONS,
};
