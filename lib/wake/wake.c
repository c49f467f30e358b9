/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The table of implementations.
 */
#include <string.h>

#include "wake/checked.h"
#include "wake/impl.h"

static const struct tl_wake *const all[] = {
	&tl__wake_futex,
	&tl__wake_emulated,
	&tl__wake_pthread,
	&tl__wake_birrell,
};

#define COUNT (sizeof(all) / sizeof(all[0]))

const struct tl_wake *tl_wake_at(unsigned int index)
{
	if (index >= COUNT)
		return NULL;
#ifdef TL_CHECKED
	return tl__wake_checked(index);
#else
	return all[index];
#endif
}

const struct tl_wake *tl_wake_find(const char *name)
{
	unsigned int i;

	for (i = 0; i < COUNT; i++)
		if (!strcmp(all[i]->name, name))
			return tl_wake_at(i);
	return NULL;
}
