/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* See checked.h. Empty but for the checked build. */
#ifdef TL_CHECKED

#include "gil/checked.h"

#include "core/checked.h"

bool tl__gil_checked_gone(const struct tl_gil *gil, void *place)
{
	if (tl__gil_exists(gil))
		return false;
	tl__checked_report(place, "a global lock (%p) is used that was freed, "
			   "or never made", (const void *)gil);
	return true;
}

#endif
