/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The list of the primitives, and their names. Its order is that of all output;
 * the first one is what the others are measured against.
 */
#include <string.h>

#include "link.h"

const struct primitive *const primitives[PRIMITIVES] = {
	[PRIMITIVE_BASE] = &link_raw,
	&link_sem,
	&link_pthread,
	&link_pthread_after,
	&link_cond,
	&link_cond_after,
	&link_emulated,
	&link_emulated_after,
	&link_birrell,
	&link_eventfd,
	&link_pipe,
	&link_channel,
	&link_channel_local,
};

int primitive_find(const char *name, size_t len)
{
	int i;

	for (i = 0; i < PRIMITIVES; i++)
		if (strlen(primitives[i]->name) == len &&
		    !memcmp(primitives[i]->name, name, len))
			return i;
	return -1;
}

int link_open(struct link *link, const struct primitive *primitive,
	      unsigned int capacity)
{
	memset(link, 0, sizeof(*link));
	link->primitive = primitive;
	link->capacity = capacity;
	return primitive->open(link);
}
