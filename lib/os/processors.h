/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Whether it can make sense to spin.
 */
#ifndef TL_OS_PROCESSORS_H
#define TL_OS_PROCESSORS_H

#include <stdbool.h>

/* Whether more than one is online; asked once. */
bool tl__several_processors(void);

#endif
